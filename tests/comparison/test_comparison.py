"""Comparisons align options, name their distances, and say what sampling alone would show."""

from dataclasses import replace

import numpy as np
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.comparison.comparison import compare
from plural_nb.comparison.distances import js_distance
from plural_nb.errors import PluralError
from plural_nb.survey.design import Design
from plural_nb.survey.question import Option, Question, ask_for

MODEL = Source("model", "demo")
TEA = ask_for("Tea, coffee or water?", ["Tea", "Coffee", "Water"])


def model(row, question=TEA, mass=1.0, **rest):
    return Answers(
        question, np.array([row], dtype=float), Design(np.ones(1)), np.ones(1, dtype=bool), MODEL,
        captured_mass=np.array([mass]), **rest,
    )  # fmt: skip


def people(counts, question=TEA):
    return Answers.from_places(question, np.repeat(np.arange(len(counts)), counts))


def test_options_are_matched_by_label():
    turned = ask_for("Water, tea or coffee?", ["Water", "Tea", "Coffee"])
    c = compare(people([50, 30, 20]), model([0.2, 0.5, 0.3], turned))
    assert c.distances["total_variation"] == pytest.approx(0)
    assert c.b.options == ("Tea", "Coffee", "Water")


def test_only_substantive_options_are_compared():
    with_refusals = Question("t", "?", (Option("Tea"), Option("Coffee"), Option("Refused", substantive=False)))
    c = compare(people([30, 30, 40], with_refusals), model([0.5, 0.5], ask_for("?", ["Tea", "Coffee"])))
    assert c.distances["js_distance"] == pytest.approx(0)
    assert "40% of people gave no opinion" in c.sentence()


def test_wasserstein_is_there_only_for_scales():
    scale = Question("q", "?", (Option("low"), Option("middle"), Option("high")), kind="ordinal")
    assert "wasserstein_normalised" not in compare(people([5, 5, 5]), model([0.2, 0.3, 0.5])).distances
    c = compare(people([10, 0, 0], scale), model([0, 0, 1], scale))
    assert c.distances["wasserstein_normalised"] == pytest.approx(1)


def test_other_options_are_an_error_that_names_the_nearest():
    with pytest.raises(PluralError, match=r"no option 'Coffee'. Did you mean 'Cofee'"):
        compare(people([5, 5, 5]), model([0.2, 0.3, 0.5], ask_for("?", ["Tea", "Cofee", "Water"])))
    with pytest.raises(PluralError, match="no option 'Milk'"):
        compare(people([5, 5, 5]), model([0.2, 0.3, 0.3, 0.2], ask_for("?", ["Tea", "Coffee", "Water", "Milk"])))


def test_scales_must_agree():
    scale = Question("q", "?", (Option("low"), Option("middle"), Option("high")), kind="ordinal")
    other = replace(scale, options=(Option("low", value=1), Option("middle", value=2), Option("high", value=5)))
    with pytest.raises(PluralError, match="other values on the two sides"):
        compare(people([5, 5, 5], scale), model([0.2, 0.3, 0.5], other))


@pytest.mark.parametrize("sizes", [(400, None), (400, 900), (60, 40), (30, None)])
@pytest.mark.parametrize("truth", [[0.5, 0.3, 0.2], [0.9, 0.07, 0.03]])
def test_the_noise_floor_is_what_two_samples_of_one_truth_show(sizes, truth):
    r = np.random.default_rng(1)
    draws = [np.tile(truth, (20_000, 1)) if n is None else r.multinomial(n, truth, 20_000) / n for n in sizes]
    shown = js_distance(*draws)
    floors = []
    for _ in range(40):
        sides = [model(truth) if n is None else people(r.multinomial(n, truth)) for n in sizes]
        floors.append(compare(*sides).floor)
    assert np.mean([f.mean for f in floors]) == pytest.approx(shown.mean(), rel=0.08)
    assert np.mean([f.p95 for f in floors]) == pytest.approx(np.quantile(shown, 0.95), rel=0.08)


def test_the_noise_floor_grows_with_the_design_effect():
    places = np.tile(np.repeat([0, 1, 2], 40), 5)
    random, clustered = Design(np.ones(600)), Design(np.ones(600), psu=np.arange(600) // 40)
    one, other = (Answers.from_places(TEA, places, design=d) for d in (random, clustered))
    deff = other.shares().deff_wr[0].mean()
    assert deff > 20
    exact = model([1 / 3, 1 / 3, 1 / 3])
    assert compare(other, exact).noise_floor > 3 * compare(one, exact).noise_floor


def test_two_exact_rows_have_no_noise():
    c = compare(model([0.2, 0.3, 0.5]), model([0.3, 0.3, 0.4]))
    assert (c.noise_floor, c.floor.method) == (0.0, "none")
    assert "both are exact for their prompts" in c.sentence()


def test_the_sentence_says_it_all():
    humans = replace(people([122, 60, 30]), about="Age: 18 to 29")
    sentence = compare(humans, model([0.48, 0.3, 0.22], mass=0.97)).sentence()
    assert sentence.startswith("Among 212 people (Age: 18 to 29), 58% chose Tea; demo says 48%.")
    assert "The Jensen–Shannon distance (base 2) is 0.10" in sentence
    assert "a sample of this size would show about 0.0" in sentence
    assert sentence.endswith("3% of the probability of demo fell outside the options.")
    assert "from one truth would show about" in compare(people([5, 5, 5]), people([4, 5, 9])).sentence()


def test_little_captured_mass_is_said_plainly():
    c = compare(people([5, 5, 5]), model([0.2, 0.3, 0.5], mass=0.31))
    assert c.captured_warning.startswith("Only 31% of the probability of demo fell on the options")
    assert c.sentence().endswith(c.captured_warning)
    assert compare(people([5, 5, 5]), model([0.2, 0.3, 0.5], mass=0.5)).captured_warning == ""


def test_the_table_has_a_row_per_side_and_option():
    table = compare(people([5, 5, 5]), model([0.2, 0.3, 0.5])).table()
    columns = ["source", "kind", "group", "option", "n", "share", "se", "low", "high", "exact"]
    ranges = [f"{over}_{end}" for over in ("spread", "orders", "wordings") for end in ("low", "high")]
    assert table.columns == [*columns, *ranges]
    assert table["exact"].to_list() == [False] * 3 + [True] * 3
    assert table.filter("exact")["se"].null_count() == 3
    assert table.filter("exact")["n"].null_count() == 3


def test_a_models_range_over_orders_and_wordings_is_a_second_whisker():
    ends = np.array([[0.1, 0.3, 0.4], [0.3, 0.3, 0.6]])
    single = compare(people([5, 5, 5]), model([0.2, 0.3, 0.5], spread=ends)).table()
    assert single["spread_low"].to_list() == [None] * 3 + [0.1, 0.3, 0.4]
    rows = np.tile([0.2, 0.3, 0.5], (40, 1)) + np.array([0.01, -0.01, 0]) * np.arange(-20, 20)[:, None] / 20
    personas = Answers(TEA, rows, Design(np.ones(40)), np.ones(40, dtype=bool), Source("personas", "demo"), spread=ends)
    table = compare(people([5, 5, 5]), personas).table().filter(kind="personas")
    assert table["spread_high"].to_list() == pytest.approx([0.3, 0.3, 0.6], abs=1e-3)
    assert table["high"][0] < 0.3  # the interval of who was asked is another thing


def test_comparing_the_same_people_with_themselves_leaves_no_noise():
    humans = people([50, 30, 20])
    c = compare(humans, humans)
    assert c.distances["js_distance"] == 0
    assert c.noise_floor == 0
