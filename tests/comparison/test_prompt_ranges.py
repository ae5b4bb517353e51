"""A model's shares carry how much they vary over the ways it is asked: over both, over orders, over wordings."""

import numpy as np
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.charts import dumbbell_by_group, humans_and_model
from plural_nb.comparison.comparison import compare
from plural_nb.errors import PluralError
from plural_nb.silicon.model import open_model
from plural_nb.survey.design import Design
from plural_nb.survey.library import load_survey
from plural_nb.survey.question import Option, Question, ask_for

TEA = ask_for("Tea or coffee?", ["Tea", "Coffee"])
# Three wordings in two orders: the share of the first option in each.
FIRST = np.array([[0.1, 0.3], [0.4, 0.8], [0.5, 0.5]])


def people(question=TEA):
    return Answers.from_places(question, [0] * 60 + [1] * 40)


def model(ways, question=TEA, n=1):
    kind = "model" if n == 1 else "personas"
    row = ways.mean(axis=(0, 1))
    return Answers(
        question, np.tile(row, (n, 1)), Design(np.ones(n)), np.ones(n, dtype=bool), Source(kind, "demo"),
        captured_mass=np.ones(n), by_wording_and_order=ways,
        spread=np.stack([ways.min(axis=(0, 1)), ways.max(axis=(0, 1))]),
    )  # fmt: skip


def ways_of(first):
    return np.stack([first, 1 - first], axis=2)


@pytest.mark.parametrize("n", [1, 40])
def test_the_ranges_over_orders_and_over_wordings_stand_apart(n):
    table = compare(people(), model(ways_of(FIRST), n=n)).table()
    assert (
        table.filter(kind="humans").select("spread_low", "orders_low", "wordings_high").null_count().row(0) == (2,) * 3
    )
    tea = table.filter(option="Tea").row(1, named=True)
    assert (tea["spread_low"], tea["spread_high"]) == pytest.approx((0.1, 0.8))
    assert (tea["orders_low"], tea["orders_high"]) == pytest.approx((1.0 / 3, 1.6 / 3))
    assert (tea["wordings_low"], tea["wordings_high"]) == pytest.approx((0.2, 0.6))


def test_one_order_has_a_range_over_wordings_alone():
    tea = compare(people(), model(ways_of(FIRST[:, :1]))).table().filter(option="Tea").row(1, named=True)
    assert tea["orders_low"] is tea["orders_high"] is None
    assert (tea["wordings_low"], tea["wordings_high"]) == pytest.approx((0.1, 0.5))


def test_a_share_of_opinions_ranges_over_what_it_was_in_each_prompt():
    asked = Question("tea", "Tea?", (Option("Tea"), Option("Coffee"), Option("None", substantive=False)))
    # "None" takes half in the one wording and nothing in the other, and opinions are split alike in both.
    ways = np.array([[[0.2, 0.3, 0.5]], [[0.4, 0.6, 0.0]]])
    c = compare(people(asked), model(ways, asked))
    assert (c.b.low[0], c.b.high[0]) == (pytest.approx([0.4, 0.6]), pytest.approx([0.4, 0.6]))


def test_options_on_one_side_only_leave_the_ranges_of_the_others():
    asked = ask_for("Tea, coffee or milk?", ["Tea", "Coffee", "Milk"])
    ways = np.array([[[0.2, 0.2, 0.6], [0.6, 0.2, 0.2]]])
    tea = compare(people(), model(ways, asked), align="common").table().filter(option="Tea").row(1, named=True)
    assert (tea["orders_low"], tea["orders_high"]) == pytest.approx((0.5, 0.75))
    assert tea["wordings_low"] is None


def test_charts_say_in_how_many_ways_and_tell_the_ranges_apart():
    c = compare(people(), model(ways_of(FIRST), n=40))
    drawn = humans_and_model(c)
    assert drawn.keys[1].whisker == "whisker: 95% interval; dotted: range over 3 wordings × 2 orders"
    assert drawn.rows[2]["note"] == "3 wordings × 2 orders: 10% – 80%; orders: 33% – 53%; wordings: 20% – 60%"
    exact = compare(people(), model(ways_of(FIRST)), by=["a"] * 50 + ["b"] * 50)
    assert dumbbell_by_group(exact).keys[1].whisker.endswith("dotted: range over 3 wordings × 2 orders")
    alone = humans_and_model(compare(people(), model(ways_of(FIRST))))
    assert alone.rows[2]["note"] == "exact for these prompts; orders: 33% – 53%; wordings: 20% – 60%"


def test_the_report_says_both_ranges_of_every_share():
    text = compare(people(), model(ways_of(FIRST))).report()
    assert "| demo | Tea | 0.433 | 0.100 to 0.800 | 0.333 to 0.533 | 0.200 to 0.600 |" in text


def test_a_model_is_asked_in_every_wording_and_order():
    survey = load_survey("teaching")
    toll = survey.questions["toll"]
    with open_model("plural-demo-base", threads=1) as opened:
        both = opened.ask(toll, wordings=True, order="balanced", progress=False)
        # One wording after the other, in one order after the other, and by hand.
        each = [
            opened.ask(toll.reworded(text), order="balanced", progress=False) for text in (toll.text, *toll.wordings)
        ]
    assert both.by_wording_and_order.shape[:2] == (1 + len(toll.wordings), len(each[0].replies))
    for ways, alone in zip(both.by_wording_and_order, each, strict=True):
        assert ways == pytest.approx(alone.by_wording_and_order[0], abs=2e-3)
        assert ways.mean(axis=0) == pytest.approx(alone.rows[0], abs=2e-3)


def test_both_shipped_surveys_have_other_wordings_of_every_question():
    for name in ("anes96", "teaching"):
        for question in load_survey(name).questions.values():
            assert len({question.text, *question.wordings}) >= 3, question.key
            assert question.wording == "paraphrased" or name == "teaching"


def test_rows_by_wording_and_order_must_fit_the_question():
    with pytest.raises(PluralError, match=r"by wording and order have shape \(3, 2\)"):
        Answers(
            TEA, np.array([[0.5, 0.5]]), Design(np.ones(1)), np.ones(1, dtype=bool), Source("model", "m"),
            by_wording_and_order=FIRST,
        )  # fmt: skip
