"""A planted distortion of the tails is recovered through sampling error, and leads where it must."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from plural_nb.answers import Answers
from plural_nb.comparison.answering import Row
from plural_nb.comparison.distortion import Pair, log_spread, logit_slope, sharpening
from plural_nb.comparison.question_sample import QuestionSample
from plural_nb.comparison.tails import tails
from plural_nb.demo.corpus import Respondents
from plural_nb.errors import PluralError
from plural_nb.silicon.model import open_model
from plural_nb.survey.question import ask_for


def questions(n, K):
    return [ask_for(f"Number {i}?", [f"o{k}" for k in range(K)], key=f"q{i}") for i in range(n)]


def table(rows):
    return pl.DataFrame(
        [(f"q{i}", f"o{k}", float(p)) for i, row in enumerate(rows) for k, p in enumerate(row)],
        schema=["question", "option", "share"], orient="row",
    )  # fmt: skip


def sharpened(rows, b):
    raised = np.asarray(rows) ** b
    return raised / raised.sum(axis=1, keepdims=True)


def sampled(r, rows, n):
    return {
        f"q{i}": Answers.from_places(q, np.repeat(np.arange(len(row)), r.multinomial(n, row)))
        for i, (q, row) in enumerate(zip(questions(len(rows), len(rows[0])), rows, strict=True))
    }


@settings(max_examples=30, deadline=None)
@given(st.floats(0.3, 3), st.integers(2, 7), st.integers(0, 10**6))
def test_a_planted_power_is_recovered_exactly_from_exact_shares(b, K, seed):
    truth = np.random.default_rng(seed).dirichlet(np.full(K, 2.0), 6) * 0.98 + 0.02 / K
    found = tails(table(sharpened(truth, b)), table(truth), questions(6, K), replicates=100)
    assert found.sharpening.value == pytest.approx(b, rel=1e-6)
    assert found.sharpening.low == pytest.approx(b, rel=1e-4)
    assert found.left_out == ()


def test_two_options_have_one_slope_on_either_scale():
    truth = np.column_stack([p := np.linspace(0.05, 0.9, 9), 1 - p])
    found = tails(table(sharpened(truth, 1.7)), table(truth), questions(9, 2))
    assert found.logit.value == pytest.approx(1.7)
    assert found.sharpening.value == pytest.approx(1.7)
    more = np.random.default_rng(1).dirichlet(np.ones(4), 9) * 0.9 + 0.025
    model = np.random.default_rng(2).dirichlet(np.ones(4), 9) * 0.9 + 0.025
    p, q = more.ravel(), model.ravel()
    theirs = np.polyfit(special.logit(p), special.logit(q), 1, w=np.sqrt(p * (1 - p)))[0]
    assert tails(table(model), table(more), questions(9, 4)).logit.uncorrected == pytest.approx(theirs)


@pytest.mark.parametrize("b", [0.6, 1.5])
def test_a_planted_power_is_recovered_from_a_sample_of_people(b):
    r = np.random.default_rng(21)
    covered, values, naive, logits, spreads, sims, n = 0, [], [], [], [], 150, 60
    asked = questions(30, 4)
    for i in range(sims):
        truth = r.dirichlet(np.ones(4), 30) * 0.92 + 0.02
        people = [Row(counts / n, n_eff=n) for counts in (r.multinomial(n, p) for p in truth)]
        models = [Row(q) for q in sharpened(truth, b)]
        pairs = [Pair.of(*one) for one in zip(asked, people, models, strict=True)]
        exact = [Pair.of(*one) for one in zip(asked, map(Row, truth), models, strict=True)]
        sample = QuestionSample.of([q.key for q in asked], [q.key for q in asked], replicates=300, seed=i)
        found = sharpening(pairs, sample)
        values.append(found.value)
        naive.append(found.uncorrected)
        logits.append(logit_slope(pairs, sample).value / logit_slope(exact, sample).value)
        spreads.append(log_spread(pairs, sample).value)
        covered += found.low < b < found.high
    assert np.mean(values) == pytest.approx(b, rel=0.015)
    assert abs(np.mean(values) / b - 1) < abs(np.mean(naive) / b - 1) / 2  # the correction is worth it
    assert np.mean(logits) == pytest.approx(1, abs=0.015)
    assert np.mean(spreads) == pytest.approx(b, rel=0.015)
    assert 0.90 <= covered / sims <= 0.99


def test_a_model_that_is_sure_of_other_answers_is_peaked_without_sharpening():
    r = np.random.default_rng(3)
    truth = r.dirichlet(np.ones(4), 200) * 0.96 + 0.01
    other = sharpened(r.permuted(truth, axis=1), 2)
    found = tails(table(other), table(truth), questions(200, 4))
    assert found.sharpening.low < 0 < found.sharpening.high or abs(found.sharpening.value) < 0.3
    assert found.spread.low > 1.8


def test_the_truth_itself_has_no_bent_tails():
    r = np.random.default_rng(10)
    truth = r.dirichlet(np.ones(5), 60) * 0.95 + 0.01
    found = tails(table(truth), sampled(r, truth, 2000), questions(60, 5))
    assert found.sharpening.value == pytest.approx(1, abs=0.012)
    by_model = found.table().filter(pl.col("binned_by") == "model", pl.col("options") > 10)
    off = (by_model["low"] > 0) | (by_model["high"] < 0)
    assert off.sum() <= 1
    assert "as they are, as far as these questions tell" in found.sentence()


def test_the_calibration_curve_shows_rare_answers_under_estimated():
    truth = np.random.default_rng(9).dirichlet(np.ones(5), 60) * 0.95 + 0.01
    curve = tails(table(sharpened(truth, 2)), table(truth), questions(60, 5)).table()
    by_people = curve.filter(pl.col("binned_by") == "humans")
    rare = by_people.filter(pl.col("bin_high") <= 0.1)
    assert (rare["high"] < 0).all()
    common = by_people.filter(pl.col("bin_low") >= 0.6)
    assert (common["low"] > 0).all()
    assert by_people["options"].sum() == 300
    low = truth[(truth >= 0.05) & (truth < 0.1)]
    row = by_people.row(by_predicate=pl.col("bin_low") == 0.05, named=True)
    assert row["human"] == pytest.approx(low.mean())


def test_a_chain_of_models_has_the_power_of_powers():
    truth = np.array([[0.9, 0.06, 0.04], [0.5, 0.45, 0.05]])
    model = sharpened(truth, 1.5)
    found = tails(table(model), table(truth), questions(2, 3), generations=3)
    chain, p = found.chain(), truth
    for t in range(4):
        assert chain["power"][t] == pytest.approx(1.5**t)
        assert chain["entropy_nats"][t] == pytest.approx(np.mean([stats.entropy(row) for row in p]))
        rare = [row[people < 0.1].sum() for row, people in zip(p, truth, strict=True)]
        assert chain["rare"][t] == pytest.approx(np.mean(rare))
        p = sharpened(p, 1.5)
    assert (chain["rare"].diff().drop_nulls() < 0).all()
    assert "shrunken" in found.sentence()
    flat = tails(table(sharpened(truth, 0.5)), table(truth), questions(2, 3))
    assert "swollen" in flat.sentence()
    assert flat.chain()["entropy_nats"].is_sorted()


def test_batteries_are_drawn_whole_and_one_has_no_interval():
    truth = np.random.default_rng(2).dirichlet(np.ones(3), 6) * 0.94 + 0.02
    grid = [replace(q, battery="Trust") for q in questions(6, 3)]
    found = tails(table(sharpened(truth, 2)), table(truth), grid)
    assert found.sharpening.low is None
    assert found.sentence().endswith("so no interval can be given.")
    assert found.chain()["rare_low"].null_count() == 6
    assert found.table()["low"].null_count() == found.table().height


def test_what_cannot_be_used_is_named():
    truth = [[0.5, 0.3, 0.2], [0.6, 0.4, 0.0], [0.2, 0.2, 0.6]]
    model = table([[0.6, 0.3, 0.1], [0.5, 0.3, 0.2]])
    found = tails(model, table(truth), questions(3, 3))
    assert found.left_out == (
        "q1: the people give 'o2' a share of 0, and no sample size is known that would adjust it",
        "q2: the model gave no answer",
    )
    with pytest.raises(PluralError, match=r"no question that both sides answer. q0: the people"):
        tails(model, table([[1.0, 0.0, 0.0]]), questions(1, 3))
    with pytest.raises(PluralError, match="differ no more from option to option than sampling error"):
        tails(table([[0.4, 0.6]]), table([[0.5, 0.5]]), questions(1, 2))
    with pytest.raises(PluralError, match="at least one generation"):
        tails(model, table(truth), questions(3, 3), generations=0)


def test_the_tuned_demo_model_shrinks_the_tails_and_the_base_model_hardly():
    held = Respondents.of("teaching")
    found = {}
    for name in ("base", "tuned"):
        with open_model(f"plural-demo-{name}") as model:
            found[name] = tails(
                model, lambda q: held.survey.answers(q).within(held.held_out), held.survey
            )  # fmt: skip
    assert found["tuned"].name == "plural-demo-tuned"
    assert found["tuned"].sharpening.low > 1.1
    assert found["base"].sharpening.low < 1 < found["base"].sharpening.high
    assert found["tuned"].chain()["rare"][-1] < found["tuned"].chain()["rare"][0] / 2
