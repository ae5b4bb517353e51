"""Comparisons in groups: differences, intervals, debiased values, baselines, verdicts, and what goes wrong."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.comparison.baselines import uniform
from plural_nb.comparison.comparison import compare
from plural_nb.comparison.demographics import demographic_baseline
from plural_nb.comparison.distances import js_distance
from plural_nb.comparison.verdict import benjamini_hochberg
from plural_nb.errors import PluralError, SurveyError
from plural_nb.survey.contrasts import contrast
from plural_nb.survey.design import Design
from plural_nb.survey.library import load_survey
from plural_nb.survey.question import Option, Question, ask_for
from plural_nb.survey.replicates import bootstrap
from plural_nb.survey.survey import Population

TEA = ask_for("Tea, coffee or water?", ["Tea", "Coffee", "Water"])
SCALE = Question("q", "?", (Option("low"), Option("middle"), Option("high")), kind="ordinal")


def exact(row, question=TEA, name="demo", mass=1.0):
    return Answers(
        question, np.array([row], dtype=float), Design(np.ones(1)), np.ones(1, dtype=bool), Source("model", name),
        captured_mass=np.array([mass]),
    )  # fmt: skip


def people(counts, question=TEA):
    return Answers.from_places(question, np.repeat(np.arange(len(counts)), counts))


@pytest.fixture(scope="module")
def teaching():
    return load_survey("teaching")


def in_2023(survey, key):
    return survey.answers(key, Population({"wave": "2023"}))


def test_each_group_is_compared_as_it_would_be_alone(teaching):
    answers = in_2023(teaching, "nature")
    guess = exact([0.3, 0.3, 0.2, 0.1, 0.1, 0.0], answers.question)
    together = compare(answers, guess, by=teaching.groups("age"))
    for g, name in enumerate(together.groups):
        alone = compare(teaching.answers("nature", Population({"wave": "2023", "age": name})), guess)
        for distance in ("js_distance", "wasserstein", "kl"):
            one, other = together.distance(distance), alone.distance(distance)
            assert one.value[g] == pytest.approx(other.value[0], rel=1e-12)
            assert one.noise_mean[g] == pytest.approx(other.noise_mean[0], rel=1e-9)
            assert (one.low[g], one.high[g]) == pytest.approx((other.low[0], other.high[0]), rel=1e-5)


def test_differences_keep_what_groups_share_of_psus(teaching):
    """Two groups of one survey: the variance of the difference is that of the contrast, covariance included."""
    answers = in_2023(teaching, "nature")
    women, men = (replace(answers, domain=answers.domain & (teaching.trait_codes["gender"] == g)) for g in (0, 1))
    found = compare(women, men).differences()
    by = teaching.groups("gender")
    for row in found.iter_rows(named=True):
        expected = contrast(answers, {("Woman", row["option"]): 1.0, ("Man", row["option"]): -1.0}, by=by)
        assert row["difference"] == pytest.approx(expected.estimate)
        assert row["se"] == pytest.approx(expected.se, rel=1e-9)
    apart = np.sqrt(women.shares().se[0] ** 2 + men.shares().se[0] ** 2)
    assert not np.allclose(found["se"].to_numpy(), apart, rtol=0.01)


def test_intervals_come_from_the_replicates_that_the_design_brings(teaching):
    """Bootstrap weights written into the design give the interval that its own PSUs give."""
    answers = in_2023(teaching, "nature")
    guess = exact([0.3, 0.3, 0.2, 0.1, 0.1, 0.0], answers.question)
    own = compare(answers, guess, replicates=2000).distance("js_distance")
    weights = replace(answers, design=bootstrap(answers.design, 400, seed=3))
    theirs = compare(weights, guess, replicates=2000).distance("js_distance")
    width = own.high[0] - own.low[0]
    assert theirs.high[0] - theirs.low[0] == pytest.approx(width, rel=0.15)
    assert theirs.low[0] == pytest.approx(own.low[0], abs=0.15 * width)


def test_the_debiased_square_is_the_square_less_the_floor():
    found = compare(people([300, 200, 100]), people([290, 215, 95])).distance("js_distance")
    n, K = 600, 3
    floor = (K - 1) * 2 / (n - 1) / 8 / np.log(2)
    assert found.debiased_square[0] == pytest.approx(found.value[0] ** 2 - floor, rel=0.02, abs=2e-5)
    assert found.debiased[0] == pytest.approx(np.sqrt(max(0, found.debiased_square[0])))


def test_a_unanimous_group_still_has_noise():
    """Its variance is estimated as 0, which is not what a sample of 12 would show of the model's row."""
    floor = compare(people([12, 0, 0]), exact([0.9, 0.06, 0.04])).floor
    r = np.random.default_rng(0)
    drawn = r.multinomial(12, [0.9, 0.06, 0.04], 20_000) / 12
    assert floor.method == "simulated"
    assert floor.mean == pytest.approx(js_distance(drawn, [0.9, 0.06, 0.04]).mean(), rel=0.03)


def test_the_debiased_value_is_unclipped_before_its_root():
    found = compare(people([100, 100, 100]), people([100, 100, 100])).distance("js_distance")
    assert found.debiased_square[0] < 0
    assert found.debiased[0] == 0


def test_verdicts_say_what_can_be_said():
    far = compare(people([600, 200, 200]), exact([0.2, 0.4, 0.4])).verdict
    assert far.word == "beyond noise"
    assert far.worse_than_uniform is True
    near = compare(people([6000, 3000, 1000]), exact([0.6, 0.3, 0.1])).verdict
    assert (near.word, near.closer, near.worse_than_uniform) == ("within noise", True, False)
    few = compare(people([7, 4, 1]), exact([0.5, 0.3, 0.2])).verdict
    assert few.word == "cannot tell"
    assert few.n_to_tell > 12
    both = compare(exact([0.5, 0.3, 0.2]), exact([0.2, 0.3, 0.5])).verdict
    assert both.word == "exact"
    assert "no noise" in both.sentence()


def test_the_n_that_would_tell_tells():
    """With so many people the same shares are beyond noise, or the baseline is told apart."""
    shares, guess = np.array([0.42, 0.35, 0.23]), exact([0.38, 0.35, 0.27])
    verdict = compare(people(np.round(shares * 100).astype(int)), guess).verdict
    assert verdict.word == "cannot tell"
    assert verdict.n_to_tell is not None
    more = compare(people(np.round(shares * verdict.n_to_tell).astype(int)), guess).verdict
    assert more.word != "cannot tell"


def test_many_cells_are_adjusted_for():
    assert benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5])) == pytest.approx([0.04, 0.0533333, 0.0533333, 0.5])
    r = np.random.default_rng(0)
    places, labels = r.integers(0, 3, 6000), [f"g{i % 60}" for i in range(6000)]
    c = compare(Answers.from_places(TEA, places), exact([1 / 3, 1 / 3, 1 / 3]), by=labels)
    assert min(v.p for v in c.verdicts) < 0.05
    assert all(v.word != "beyond noise" for v in c.verdicts)


def test_baselines_are_the_guesses_they_say(teaching):
    answers = in_2023(teaching, "nature")
    c = compare(answers, exact([0.3, 0.3, 0.2, 0.1, 0.1, 0.0], answers.question), by=teaching.groups("age"))
    assert list(c.baselines) == ["uniform", "everyone else"]
    young = teaching.trait_codes["age"] == 0
    others = replace(answers, domain=answers.domain & ~young).shares().share[0]
    mine = replace(answers, domain=answers.domain & young).shares().share[0]
    outside = c.baselines["everyone else"].distances.value("total_variation")[0]
    assert outside == pytest.approx(np.abs(mine - others).sum() / 2)
    even = c.baselines["uniform"].distances.value("total_variation")[0]
    assert even == pytest.approx(np.abs(mine - 0.2).sum() / 2)


def test_a_population_has_everyone_outside_it_as_baseline(teaching):
    c = compare(teaching.answers("nature", Population({"age": "18 to 29"})), uniform(teaching.answers("nature")))
    assert "everyone else" in c.baselines
    assert "everyone else" not in compare(teaching.answers("nature"), uniform(teaching.answers("nature"))).baselines


def test_a_paired_difference_is_narrower_than_two_intervals():
    """A model near the best baseline: noise that both distances share cancels."""
    answers = people([5000, 3000, 2000])
    c = compare(answers, exact([0.4, 0.3, 0.3]), baselines={"other": exact([0.4, 0.31, 0.29])})
    other, own = c.baselines["other"], c.distance("js_distance")
    assert other.low[0] <= other.gap[0] <= other.high[0]
    assert other.high[0] - other.low[0] < (own.high[0] ** 2 - own.low[0] ** 2) / 2


def test_demographics_predict_people_that_were_not_fitted():
    anes = load_survey("anes96")
    guess = demographic_baseline(anes, "vote", ["party"], folds=5)
    vote, party = anes.answer_codes["vote"], anes.trait_codes["party"]
    told = guess.rows[np.arange(anes.n), np.maximum(vote, 0)][vote >= 0]
    marginal = np.bincount(vote[vote >= 0]).max() / (vote >= 0).sum()
    right = (guess.rows.argmax(axis=1) == vote)[vote >= 0].mean()
    assert right > 0.85 > marginal
    assert told.mean() > 0.8
    for level in range(3):
        share = (vote[party == level] == 0).mean()
        assert guess.rows[party == level, 0].mean() == pytest.approx(share, abs=0.06)


def test_cross_fitted_rows_do_not_know_their_own_answer():
    """Traits that say nothing: nobody's own answer may leak into their row."""
    anes = load_survey("anes96")
    r = np.random.default_rng(1)
    shuffled = replace(anes, answer_codes={**anes.answer_codes, "vote": r.permutation(anes.answer_codes["vote"])})
    guess = demographic_baseline(shuffled, "vote", ["education", "party", "age"])
    vote = shuffled.answer_codes["vote"]
    own = guess.rows[np.arange(anes.n), np.maximum(vote, 0)][vote >= 0].mean()
    p = np.bincount(vote[vote >= 0]) / (vote >= 0).sum()
    assert own <= float((p**2).sum()) + 0.005


def test_the_multinomial_logit_is_statsmodels():
    import statsmodels.api as sm

    from plural_nb.comparison.demographics import _softmax, fit_multinomial

    r = np.random.default_rng(0)
    X = np.column_stack([np.ones(400), r.normal(size=(400, 2))])
    B = np.array([[0, 0.3, -0.2], [0, 1, 0.5], [0, -0.4, 0.8]])
    y = np.array([r.choice(3, p=p) for p in _softmax(X @ B)])
    ours = fit_multinomial(X, np.eye(3)[y], np.ones(400), 1e-7)
    theirs = sm.MNLogit(y, X).fit(disp=0).params
    assert ours[:, 1:] - ours[:, :1] == pytest.approx(theirs, abs=1e-4)


def test_a_baseline_belongs_to_the_comparison(teaching):
    answers = in_2023(teaching, "nature")
    guess = demographic_baseline(teaching, "nature", ["age", "education"], population=Population({"wave": "2023"}))
    c = compare(answers, exact([0.3, 0.3, 0.2, 0.1, 0.1, 0.0], answers.question), by=teaching.groups("age"),
                baselines={"demographics": guess})  # fmt: skip
    found = c.baselines["demographics"].distances.value("js_distance")
    assert (found < 0.05).all()
    assert {v.best_baseline for v in c.verdicts} == {"demographics"}
    assert "demographics" in c.distance_table().columns


def test_options_on_one_side_only_are_named_and_left_out_on_request():
    more = ask_for("?", ["Tea", "Coffee", "Water", "Milk"])
    c = compare(people([50, 30, 20]), exact([0.4, 0.24, 0.16, 0.2], more), align="common")
    assert c.unaligned == ("'Milk' stands only in demo (question)",)
    assert c.distances["total_variation"] == pytest.approx(0)
    assert "'Milk' stands only in demo" in c.report()
    with pytest.raises(PluralError, match="no option 'Milk'"):
        compare(people([50, 30, 20]), exact([0.4, 0.24, 0.16, 0.2], more))
    with pytest.raises(PluralError, match="1 options in common"):
        compare(people([5, 3, 2]), exact([0.5, 0.5], ask_for("?", ["Tea", "Milk"])), align="common")


def test_groups_that_cannot_be_compared_are_marked_and_the_others_come():
    labels = ["many"] * 60 + ["one"] + ["weightless"] * 5
    weight = np.concatenate([np.ones(61), np.zeros(5)])
    answers = Answers.from_places(TEA, np.arange(66) % 3, design=Design(weight))
    c = compare(answers, exact([0.4, 0.3, 0.3]), by=labels)
    assert set(c.failed) == {"one", "weightless"}
    assert "one person" in c.failed["one"]
    assert "nobody of any weight" in c.failed["weightless"]
    value = c.distance("js_distance").value
    assert np.isfinite(value[0])
    assert np.isnan(value[1:]).all()
    assert c.verdicts[1].word == "cannot compare"
    assert c.distance_table().filter(pl.col("failed") != "")["value"].null_count() == 2 * 5
    assert c.differences().filter(pl.col("group") == "one")["difference"].null_count() == 3


def test_a_model_without_captured_mass_in_one_group_leaves_the_others():
    answers = Answers.from_places(TEA, np.arange(120) % 3)
    rows = {"a": exact([0.4, 0.3, 0.3]), "b": exact([0, 0, 0], mass=0.0)}
    c = compare(answers, rows, by=["a", "b"] * 60)
    assert "no probability" in c.failed["b"]
    assert np.isfinite(c.distance().value[0])
    with pytest.raises((PluralError, SurveyError), match="no probability on any option"):
        compare(answers, exact([0, 0, 0], mass=0.0))
    missing = compare(answers, {"a": exact([0.4, 0.3, 0.3])}, by=["a", "b"] * 60)
    assert missing.failed == {"b": "no answers were given for it"}


def test_little_captured_mass_is_said_of_its_group():
    answers = Answers.from_places(TEA, np.arange(120) % 3)
    rows = {"a": exact([0.4, 0.3, 0.3], mass=0.9), "b": exact([0.4, 0.3, 0.3], mass=0.2)}
    c = compare(answers, rows, by=["a", "b"] * 60)
    assert c.captured_warning.startswith("In 1 of 2 groups (b) less than half")
    assert c.distance_table().filter(group="b")["captured_mass"][0] == pytest.approx(0.2)


def test_a_nominal_question_refuses_the_wasserstein_distance():
    c = compare(people([5, 5, 5]), exact([0.4, 0.3, 0.3]))
    with pytest.raises(SurveyError, match="nominal: its options have no values"):
        c.distance("wasserstein")
    with pytest.raises(PluralError, match="Did you mean 'hellinger'"):
        c.distance("helinger")
    assert "wasserstein" in compare(people([5, 5, 5], SCALE), exact([0.4, 0.3, 0.3], SCALE)).distances


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"level": 95}, "between 0 and 1"),
        ({"replicates": 10}, "50 replicates or more"),
        ({"checked": "mostly"}, "how far it was checked"),
        ({"align": "some"}, "way to align"),
        ({"baselines": {"uniform": exact([0.4, 0.3, 0.3])}}, "there by itself"),
        ({"baselines": {"x": exact([0.5, 0.5], ask_for("?", ["Tea", "Milk"]))}}, "Baseline 'x'"),
        ({"by": ["a"]}, "entries for 15 rows"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(PluralError, match=message):
        compare(people([5, 5, 5]), exact([0.4, 0.3, 0.3]), **arguments)


def test_one_group_is_asked_for_where_there_are_several():
    c = compare(people([10, 10, 10]), exact([0.4, 0.3, 0.3]), by=["a", "b"] * 15)
    for name in ("distances", "floor", "verdict"):
        with pytest.raises(PluralError, match="is of one group"):
            getattr(c, name)


def test_two_samples_without_a_name_are_not_the_same_people():
    one, other = people([60, 40, 0]), people([50, 50, 0])
    se = compare(one, other).differences()["se"][0]
    assert se == pytest.approx(np.sqrt(0.6 * 0.4 / 99 + 0.5 * 0.5 / 99))


def test_the_report_holds_what_an_appendix_needs(tmp_path, teaching):
    answers = in_2023(teaching, "nature")
    guess = exact([0.3, 0.3, 0.2, 0.1, 0.1, 0.0], answers.question)
    guess = replace(guess, source=replace(guess.source, provenance=(("SHA-256", "c0ffee"),)))
    c = compare(answers, guess, by=teaching.groups("age"), seed=7)
    text = c.report()
    for said in (
        "Vellamar Survey", "weighted", "seed 7", "500 replicates", "base 2", "nats", "noise floor", "Debiased",
        "Captured mass", "SHA-256: c0ffee", "numpy", "plural-nb", "Benjamini", "18 to 29", "everyone else",
    ):  # fmt: skip
        assert said in text, said
    written = c.save(tmp_path / "out")
    assert {path.name for path in written} == {
        "report.md", "shares.csv", "differences.csv", "verdicts.csv", "distances.csv", "entropies.csv"}  # fmt: skip
    assert pl.read_csv(tmp_path / "out" / "distances.csv").height == 4 * 7
    (tmp_path / "file").write_text("")
    with pytest.raises(PluralError, match="is a file"):
        c.save(tmp_path / "file")


def test_entropy_is_debiased_and_says_its_unit():
    r = np.random.default_rng(0)
    truth = np.array([0.5, 0.3, 0.2])
    H = -(truth * np.log(truth)).sum()
    found = [compare(people(r.multinomial(60, truth)), exact(truth)).entropies() for _ in range(300)]
    table = pl.concat(found).filter(pl.col("side") == "a")
    plug_in, debiased = table["entropy_nats"].mean() - H, table["debiased_nats"].mean() - H
    assert plug_in == pytest.approx(-2 / 120, rel=0.35)
    assert abs(debiased) < abs(plug_in) / 3
    assert (table["entropy_bits"] * np.log(2)).to_list() == pytest.approx(table["entropy_nats"].to_list())
    model = found[0].filter(pl.col("side") == "b")
    assert model["low"][0] == model["high"][0] == pytest.approx(H)
