"""Flattening is measured as it was planted, and the intervals know how the people were drawn."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plural_nb.answers import Answers, Source
from plural_nb.comparison.constraint import constraint
from plural_nb.comparison.heterogeneity import heterogeneity
from plural_nb.comparison.redrawing import Redrawing
from plural_nb.demo.corpus import Respondents
from plural_nb.errors import PluralError, SurveyError
from plural_nb.silicon.model import open_model
from plural_nb.survey.design import Design
from plural_nb.survey.library import load_survey
from plural_nb.survey.means import mean
from plural_nb.survey.question import Option, Question, ask_for
from plural_nb.survey.replicates import bootstrap, jackknife
from plural_nb.survey.shares import estimate

SCALE = ask_for("How warm?", [str(k) for k in range(11)], kind="ordinal", key="warm")
PERSONAS = Source("personas", "a model")


def people(places, question=SCALE, **rest):
    return Answers.from_places(question, np.asarray(places, dtype=np.int64), **rest)


def personas(rows, question=SCALE, design=None):
    rows = np.asarray(rows, dtype=float)
    design = design or Design(np.ones(len(rows)))
    return Answers(question, rows, design, np.ones(len(rows), dtype=bool), PERSONAS)


def row(found, statistic):
    return found.table().row(by_predicate=pl.col("statistic") == statistic, named=True)


def test_answers_drawn_halfway_to_the_middle_have_half_the_sd():
    places = np.random.default_rng(0).choice([1, 3, 5, 7, 9], 400)
    half = (places - 5) // 2 + 5
    found = heterogeneity(people(places), people(half, source=PERSONAS))
    assert row(found, "sd")["ratio"] == pytest.approx(0.5)
    assert row(found, "variance_total")["ratio"] == pytest.approx(0.25)
    assert row(found, "sd")["human"] == pytest.approx(places.std())
    assert found.ratio("sd")[2] < 1
    assert "flatter" in found.sentence()


def test_moments_are_those_of_answers_drawn_from_the_rows():
    r = np.random.default_rng(1)
    rows, codes, w = r.dirichlet(np.full(11, 0.4), 60), r.integers(0, 3, 60), r.uniform(0.5, 2, 60)
    by = [f"g{c}" for c in codes]
    silicon = personas(rows, design=Design(w))
    found = heterogeneity(people(r.integers(0, 11, 60)), silicon, by=by, by_silicon=by)
    drawn = np.array([r.choice(11, 20_000, p=p) for p in rows])  # (60, draws)
    weight = np.repeat(w[:, None], drawn.shape[1], axis=1)

    def var(x, w):
        return np.average(np.square(x - np.average(x, weights=w)), weights=w)

    within = np.average([var(drawn[codes == g], weight[codes == g]) for g in range(3)],
                        weights=[w[codes == g].sum() for g in range(3)])  # fmt: skip
    total, means = var(drawn, weight), rows @ np.arange(11)
    assert row(found, "variance_total")["silicon"] == pytest.approx(total, rel=0.01)
    assert row(found, "variance_within")["silicon"] == pytest.approx(within, rel=0.01)
    assert row(found, "variance_between")["silicon"] == pytest.approx(total - within, rel=0.15)
    assert row(found, "share_between_personas")["silicon"] == pytest.approx(var(means, w) / total, rel=0.01)


def test_the_share_between_personas_is_the_planted_one():
    tea = ask_for("Tea?", ["no", "yes"], kind="ordinal")
    silicon = personas([[0.2, 0.8], [0.8, 0.2]] * 50, tea)
    found = heterogeneity(people([0, 1] * 50, tea), silicon)
    assert row(found, "share_between_personas")["silicon"] == pytest.approx(0.3**2 / 0.25)
    assert row(found, "share_between_personas")["human"] is None  # a person gives one answer
    assert "36% of its variance lies between personas" in found.sentence()
    alone = Answers(tea, np.array([[0.2, 0.8]]), Design(np.ones(1)), np.ones(1, dtype=bool), Source("model", "m"))
    single = heterogeneity(people([0, 1] * 50, tea), alone)
    assert row(single, "share_between_personas")["silicon"] is None
    assert row(single, "variance_total")["silicon"] == pytest.approx(0.16)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_variance_splits_into_within_and_between(seed, nominal):
    r = np.random.default_rng(seed)
    question = ask_for("?", list("abc"), kind="nominal" if nominal else "ordinal")
    by = [f"g{c}" for c in r.integers(0, 3, 40)]
    silicon = personas(r.dirichlet(np.ones(3), 40), question)
    found = heterogeneity(people(r.integers(0, 3, 40), question), silicon, by=by, replicates=100)
    for side in ("human", "silicon"):
        parts = row(found, "variance_within")[side] + row(found, "variance_between")[side]
        assert parts == pytest.approx(row(found, "variance_total")[side], abs=1e-12)
    assert 0 <= row(found, "share_between_groups")["human"] <= 1


def test_nominal_answers_vary_by_one_minus_the_sum_of_squares():
    tea = ask_for("?", ["Tea", "Coffee", "Water"])
    found = heterogeneity(people([0] * 50 + [1] * 30 + [2] * 20, tea), people([0] * 100, tea, source=PERSONAS))
    assert row(found, "variance_total")["human"] == pytest.approx(1 - 0.25 - 0.09 - 0.04)
    assert row(found, "variance_total")["ratio"] == 0
    assert found.groups()["mean"].null_count() == 2


def planted(r, n, groups, between, within):
    """Places on 0..10 with group means and a spread within; returns places and labels."""
    codes = r.integers(0, groups, n)
    middle = 5 + between * np.linspace(-1, 1, groups)
    return np.clip(np.rint(middle[codes] + within * r.normal(size=n)), 0, 10).astype(int), codes


def test_intervals_cover_the_planted_ratios():
    r = np.random.default_rng(11)
    truth = []
    for between, within in ((1.0, 2.0), (1.6, 1.2)):
        places, codes = planted(r, 2_000_000, 4, between, within)
        means, total = np.array([places[codes == g].mean() for g in range(4)]), places.var()
        truth.append((total - means.var(), means.var(), total**0.5))
    names = ("variance_within", "variance_between", "sd")
    true = dict(zip(names, (b / a for a, b in zip(*truth, strict=True)), strict=True))
    covered, values = dict.fromkeys(names, 0), {name: [] for name in names}
    sims = 250
    for i in range(sims):
        sides = [planted(r, 300, 4, *p) for p in ((1.0, 2.0), (1.6, 1.2))]
        found = heterogeneity(
            people(sides[0][0]), people(sides[1][0], source=PERSONAS), by=sides[0][1].astype(str),
            by_silicon=sides[1][1].astype(str), replicates=200, seed=i,
        )  # fmt: skip
        for name in names:
            value, low, high = found.ratio(name)
            values[name].append(value)
            covered[name] += low < true[name] < high
    for name in names:
        assert 0.90 <= covered[name] / sims <= 0.985, name
        assert np.median(values[name]) == pytest.approx(true[name], rel=0.05), name


def test_clusters_widen_the_interval_of_a_group_mean_as_linearisation_says():
    survey = load_survey("teaching")
    answers = survey.answers("redistribution")
    found = heterogeneity(answers, answers.unweighted(), by=survey.groups("leaning"))
    rows = found.groups().filter(pl.col("side") == "humans")
    theirs = mean(answers, by=survey.groups("leaning"))
    half = ((rows["mean_high"] - rows["mean_low"]) / 2).to_numpy()
    np.testing.assert_allclose(rows["mean"], theirs.estimate)
    np.testing.assert_allclose(half / 1.96, theirs.se, rtol=0.12)
    entropies = -(estimate(answers).share * np.log(estimate(answers).share)).sum()
    assert row(found, "entropy")["human"] == pytest.approx(entropies)


@pytest.mark.parametrize("make", [jackknife, lambda d: bootstrap(d, 400)])
def test_a_files_replicate_weights_give_their_own_standard_error(make):
    answers = load_survey("teaching").answers("redistribution")
    made = replace(answers, design=make(answers.design))
    found = Redrawing.of(made.design).sums(np.column_stack([made.rows, made.rows.sum(axis=1)]))[:, 0]
    shares = found[:, :5] / found[:, :5].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares[0], estimate(made).share[0])
    np.testing.assert_allclose(shares[1:].std(axis=0), estimate(made).se[0], rtol=0.03)


def test_lonely_strata_are_drawn_together_where_they_are_allowed():
    stratum, psu = np.array([0, 0, 0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 2, 2, 3, 3])
    design = Design(np.ones(8), stratum=stratum, psu=psu, lonely="centre")
    factors = Redrawing.of(design, 400).factors
    assert (factors[2] + factors[3]).tolist() == [2.0] * 400
    assert factors[2].std() > 0.5
    one = Redrawing.of(Design(np.ones(6), stratum=stratum[:6], psu=psu[:6], lonely="skip"), 400).factors
    np.testing.assert_allclose(one.sum(axis=0), 3)


def test_the_same_people_are_redrawn_together():
    answers = load_survey("teaching").answers("redistribution")
    same = heterogeneity(answers, answers)
    assert row(same, "sd")["ratio"] == pytest.approx(1)
    assert row(same, "sd")["low"] is None  # nothing varies: it is the same answers
    by = load_survey("teaching").groups("leaning")
    assert row(heterogeneity(answers, answers, by=by), "variance_between")["ratio"] == pytest.approx(1)


def test_groups_of_one_side_alone_are_named():
    by, other = ["a"] * 10 + ["b"] * 10, ["a"] * 10 + ["c"] * 10
    found = heterogeneity(people([1, 5] * 10), people([2, 4] * 10), by=by, by_silicon=other)
    assert "nobody there: b, c" in found.note
    assert found.groups()["group"].unique().to_list() == ["a"]
    with pytest.raises(PluralError, match="No group has answers on both sides: the humans have a, the personas c"):
        heterogeneity(people([1, 5]), people([2, 4]), by=["a", "a"], by_silicon=["c", "c"])


def test_bad_input_is_said_plainly():
    with pytest.raises(PluralError, match="no option '10'"):
        heterogeneity(people([1, 5]), people([0, 1], ask_for("?", [str(k) for k in range(10)], kind="ordinal")))
    with pytest.raises(PluralError, match=r"there are 3 personas. Give their groups as by_silicon"):
        heterogeneity(people([1, 5]), people([1, 5, 6]), by=["a", "b"])
    lonely = Design(np.ones(4), stratum=np.array([0, 0, 0, 1]))
    with pytest.raises(SurveyError, match="single PSU"):
        heterogeneity(people([1, 5, 6, 7], design=lonely), people([1, 5, 6, 7]))
    with pytest.raises(PluralError, match="level must lie between 0 and 1"):
        heterogeneity(people([1, 5]), people([1, 5]), level=95)
    with pytest.raises(PluralError, match="No ratio is called 'variance'"):
        heterogeneity(people([1, 5]), people([1, 5])).ratio("variance")


def test_options_in_another_order_and_refusals_change_nothing():
    options = (*(Option(str(k)) for k in reversed(range(11))), Option("refused", substantive=False))
    turned = Question("warm", "?", options, kind="ordinal")
    places = np.random.default_rng(4).integers(0, 11, 200)
    plain = heterogeneity(people(places), people(places // 2, source=PERSONAS))
    rows = np.zeros((200, 12))
    rows[np.arange(200), 10 - places // 2] = 0.6
    rows[:, 11] = 0.4
    other = heterogeneity(people(places), personas(rows, turned))
    assert row(other, "sd")["ratio"] == pytest.approx(row(plain, "sd")["ratio"])


def test_the_tuned_demo_model_flattens_the_people_it_speaks_for():
    held = Respondents.of("teaching")
    survey, question = held.survey, held.survey.questions["redistribution"]
    rows = held.tested("redistribution")[:: len(held.tested("redistribution")) // 60][:60]
    stories, design = [" ".join(held.sentences(int(r))) for r in rows], Design(survey.design.weight[rows])
    by = [survey.trait("leaning").labels[c] if c >= 0 else None for c in survey.trait_codes["leaning"]]
    found = {}
    for name in ("base", "tuned"):
        with open_model(f"plural-demo-{name}") as model:
            silicon = model.ask(question, persona=stories, mode="completion", design=design)
        humans = survey.answers("redistribution").within(held.held_out)
        found[name] = heterogeneity(humans, silicon, by=by, by_silicon=[by[r] for r in rows])
    assert found["tuned"].ratio("entropy_within")[2] < 1
    assert found["tuned"].ratio("entropy_within")[0] < found["base"].ratio("entropy_within")[0]


def battery(x, y):
    return {key: people(places, ask_for(key, [str(k) for k in range(11)], kind="ordinal", key=key))
            for key, places in (("a", x), ("b", y))}  # fmt: skip


def test_correlations_are_those_of_pearson():
    r = np.random.default_rng(2)
    x = r.integers(0, 11, 300)
    y = np.clip(x + r.integers(-3, 4, 300), 0, 10)
    found = constraint(battery(x, y), battery(x, r.permutation(y)))
    assert found.table()["human"].item() == pytest.approx(np.corrcoef(x, y)[0, 1])
    low, high = found.table().select("human_low", "human_high").row(0)
    z, half = np.arctanh(np.corrcoef(x, y)[0, 1]), 1.96 / np.sqrt(297)
    assert np.tanh(z - 1.6 * half) < low < np.tanh(z - 0.6 * half)
    assert np.tanh(z + 0.6 * half) < high < np.tanh(z + 1.6 * half)
    assert found.ratio < 0.3
    assert found.high < 1


def test_chance_in_each_answer_weakens_correlations_but_not_between_personas():
    """Rows mixed with the uniform: the means still correlate as before, drawn answers less."""
    r = np.random.default_rng(3)
    x = r.integers(0, 11, 200)
    sure = battery(x, x)
    mixed = {k: personas(0.5 * a.rows + 0.5 / 11, a.question) for k, a in sure.items()}
    found = constraint(sure, mixed)
    assert found.human == pytest.approx(1)
    assert found.silicon_between == pytest.approx(1)
    drawn = {k: np.array([r.choice(11, 3000, p=p) for p in a.rows]) for k, a in mixed.items()}
    theirs = np.corrcoef(drawn["a"].ravel(), drawn["b"].ravel())[0, 1]
    assert found.silicon == pytest.approx(theirs, abs=0.01)
    assert "mean absolute correlation is 1.00 among people" in found.sentence()


def test_batteries_must_be_the_same():
    both = battery([1, 5, 7], [2, 3, 9])
    with pytest.raises(PluralError, match="Item 'b' is on one side alone"):
        constraint(both, {"a": both["a"]})
    with pytest.raises(PluralError, match="two items or more; there is a"):
        constraint({"a": both["a"]}, {"a": both["a"]})
    with pytest.raises(PluralError, match="'a' has 3 rows and 'b' 2"):
        constraint({"a": both["a"], "b": battery([1, 2], [1, 2])["b"]}, both)
    nominal = {k: people([0, 1, 0], ask_for(k, ["x", "y"])) for k in "ab"}
    with pytest.raises(SurveyError, match="nominal"):
        constraint(nominal, nominal)
