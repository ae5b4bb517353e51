"""Samples are judged by what they are off, beside what an honest sample of their size would be."""

import numpy as np
import polars as pl
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.comparison.benchmarking import benchmark
from plural_nb.comparison.benchmarks import EVERYONE, Benchmarks
from plural_nb.comparison.classification import classify
from plural_nb.comparison.sample import Sample
from plural_nb.demo.corpus import Respondents
from plural_nb.errors import PluralError
from plural_nb.resources import data
from plural_nb.silicon.model import open_model
from plural_nb.survey.design import Design
from plural_nb.survey.library import load_survey
from plural_nb.survey.question import ask_for
from plural_nb.survey.shares import estimate

TEA = ask_for("What do you drink?", ["Tea", "Coffee", "Water"], key="drink")
SMOKE = ask_for("Do you smoke?", ["Yes", "No"], key="smoke")
KNOWN = {"drink": {"Tea": 0.5, "Coffee": 0.3, "Water": 0.2}, "smoke": {"Yes": 0.2, "No": 0.8}}


def people(drink, smoke):
    return {
        "drink": Answers.from_places(TEA, np.repeat([0, 1, 2], drink)),
        "smoke": Answers.from_places(SMOKE, np.repeat([0, 1], smoke)),
    }


def drawn(r, n, off=0.0):
    shares = np.array([0.5 + off, 0.3 - off, 0.2])
    return people(r.multinomial(n, shares), r.multinomial(n, [0.2 - off, 0.8 + off]))


def test_biases_are_means_over_options_and_then_over_questions():
    found = benchmark({"panel": people([60, 20, 20], [30, 70])}, KNOWN)
    [row] = found.table().iter_rows(named=True)
    assert row["average_absolute_bias"] == pytest.approx(((0.1 + 0.1 + 0) / 3 + 0.1) / 2)
    assert row["rmse"] == pytest.approx(np.sqrt(((0.01 + 0.01) / 3 + 0.01) / 2))
    assert row["questions"] == 2
    assert found.cells()["bias"].round(12).to_list() == [0.1, -0.1, 0.0, 0.1, -0.1]
    assert found.spread()["sd_across_samples"].null_count() == 5


def test_standard_errors_are_those_of_the_design():
    survey = load_survey("teaching")
    answers = survey.answers("vote")
    shares = dict.fromkeys(answers.shares().options, 1 / 6)
    cells = benchmark({"teaching": survey}, {"vote": shares}, replicates=2000).cells()
    np.testing.assert_allclose(cells["estimate"], answers.shares().share[0])
    np.testing.assert_allclose(cells["se"], answers.shares().se[0], rtol=0.08)


def test_the_noise_floor_is_the_bias_that_an_unbiased_sample_shows():
    r = np.random.default_rng(5)
    shown, floors, left, covered = [], [], [], 0
    for i in range(200):
        [row] = benchmark({"a": drawn(r, 400)}, KNOWN, replicates=100, seed=i).table().iter_rows(named=True)
        shown.append(row["average_absolute_bias"])
        floors.append(row["noise_floor"])
        left.append(row["rmse_debiased"])
        [row] = benchmark({"a": drawn(r, 400, 0.12)}, KNOWN, replicates=100, seed=i).table().iter_rows(named=True)
        covered += row["low"] < (0.08 + 0.12) / 2 < row["high"]
    assert np.mean(shown) == pytest.approx(np.mean(floors), rel=0.04)
    assert np.mean(left) < np.mean(shown) / 2
    assert 0.90 <= covered / 200 <= 0.98


def test_the_ranking_is_sure_of_what_differs_and_of_nothing_else():
    r = np.random.default_rng(2)
    samples = {"good": drawn(r, 2000), "twin": drawn(r, 2000), "bad": drawn(r, 2000, 0.1)}
    found = benchmark(samples, KNOWN)
    ranks = {row["sample"]: row for row in found.ranking().iter_rows(named=True)}
    assert ranks["bad"]["rank"] == ranks["bad"]["rank_low"] == 3
    assert ranks["good"]["rank_high"] == 2
    assert ranks["good"]["share_best"] + ranks["twin"]["share_best"] == pytest.approx(1)
    pairs = {(row["a"], row["b"]): row for row in found.pairs().iter_rows(named=True)}
    assert not pairs["good", "twin"]["real"]
    assert pairs["good", "bad"]["real"]
    assert pairs["good", "bad"]["high"] < 0
    assert "bad is off by" in found.sentence()
    sd = np.std([samples[s]["smoke"].rows[:, 0].mean() for s in samples], ddof=1)
    spread = found.spread().filter(pl.col("question") == "smoke", pl.col("option") == "Yes")
    assert spread["sd_across_samples"].item() == pytest.approx(sd)


def truth():
    frame = pl.read_csv(data("surveys", "teaching_truth.csv"))
    everyone = pl.col("wave") == "all"
    return frame.filter(pl.col("option") != "(mean)").select(
        "question", "option", "share",
        pl.when(~everyone).then(pl.lit("wave")).alias("trait"), pl.when(~everyone).then("wave").alias("level"),
    )  # fmt: skip


def test_weights_bring_the_teaching_survey_nearer_to_its_known_truth():
    survey = load_survey("teaching")
    known = Benchmarks.read(truth())
    assert known.problems == ()
    keys = list(known.shares[EVERYONE])
    found = benchmark({w: Sample.of(survey, keys, weighted=w == "weighted") for w in ("weighted", "unweighted")}, known)
    assert found.left_out == ()
    rows = {(r["sample"], r["level"]): r for r in found.table().iter_rows(named=True)}
    assert rows["weighted", None]["average_absolute_bias"] < rows["unweighted", None]["average_absolute_bias"] - 0.005
    assert rows["weighted", None]["average_absolute_bias"] < 2.5 * rows["weighted", None]["noise_floor"]
    [pair] = found.pairs().iter_rows(named=True)
    assert pair["real"]
    assert {level for _, level in rows} == {None, "2019", "2021", "2023"}
    by_wave = survey.answers("toll").within(survey.trait_codes["wave"] == 0)
    cell = found.cells().filter(
        pl.col("sample") == "weighted", pl.col("level") == "2019", pl.col("question") == "toll"
    )  # fmt: skip
    np.testing.assert_allclose(cell["estimate"].to_numpy().max(), estimate(by_wave).share[0].max())


def test_a_silicon_sample_is_judged_beside_people():
    held = Respondents.of("teaching")
    survey, keys = held.survey, ["toll", "turnout"]
    rows = held.tested("toll")[::60]
    stories = [" ".join(held.sentences(int(row))) for row in rows]
    design = Design(survey.design.weight[rows])
    with open_model("plural-demo-tuned") as model:
        answers = {k: model.ask(survey.questions[k], persona=stories, mode="completion", design=design) for k in keys}
    found = benchmark({"people": Sample.of(survey, keys), "silicon": Sample(answers)}, Benchmarks.read(truth()))
    assert found.ranking()["sample"].to_list() == ["people", "silicon"]
    assert found.table()["questions"].to_list() == [2, 2]
    assert any(reason.startswith("toll (wave: 2019), silicon: its people have no trait") for reason in found.left_out)


def test_what_cannot_be_used_is_named_and_the_rest_still_comes():
    known = Benchmarks.of({**KNOWN, "votes": {"Yes": 0.7, "No": 0.5}, "cars": {"One": 0.6, "None": 0.4}})
    assert known.problems == ("votes: its shares sum to 1.2, not 1 (rounding aside).",)
    other = dict(people([50, 30, 20], [20, 80]))
    del other["smoke"]
    found = benchmark({"a": people([50, 30, 20], [20, 80]), "b": other}, known)
    assert found.table()["questions"].to_list() == [1, 1]
    assert found.left_out[0] == known.problems[0]
    assert "cars, a: it was not asked. It can be: drink, smoke." in found.left_out
    assert any(reason.startswith("smoke, b: it was not asked") for reason in found.left_out)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"drink": {"Tea": 0.5, "Coffee": 0.3, "Beer": 0.2}}, r"drink, a: 'Beer' is not among the sample's options"),
        ({"drink": {"Tea": 0.6, "Coffee": 0.4}}, r"'Water' is not among the benchmark's options"),
        ({"fish": {"Yes": 0.6, "No": 0.4}}, r"fish, a: it was not asked"),
        ({"drink": {"Tea": 0.9, "Coffee": 0.4}}, r"No benchmark can be used. drink: its shares sum to 1.3, not 1"),
        ({"drink": {"Tea": 1.2, "Coffee": -0.2}}, r"a share lies outside 0 to 1"),
        ({"drink": {"Tea": 1.0}}, r"a single option"),
        (pl.DataFrame({"question": ["drink"], "option": ["Tea"]}), r"no column 'share'"),
        (pl.DataFrame({"question": ["d", "d"], "option": ["T", "T"], "share": [0.5, 0.5]}), r"d, T stands twice"),
        (pl.DataFrame({"question": ["d"], "option": ["T"], "share": ["half"]}), r"'half' is not a number"),
    ],
)
def test_bad_benchmarks_are_said_plainly(known, words):
    with pytest.raises(PluralError, match=words):
        benchmark({"a": people([50, 30, 20], [20, 80])}, known)


def test_bad_samples_are_said_plainly():
    with pytest.raises(PluralError, match="no sample to benchmark"):
        benchmark({}, KNOWN)
    with pytest.raises(PluralError, match="'a' is no sample"):
        benchmark({"a": 3}, KNOWN)
    with pytest.raises(PluralError, match="There is no file"):
        Benchmarks.read("nowhere.csv")


VOTE = ask_for("Whom do you vote for?", ["Left", "Right", "None"], key="vote")


def voters(r, n, strength=2.0, source=None):
    home, age = r.integers(0, 2, n), r.integers(0, 3, n)
    eta = np.stack([strength * home, strength * (1 - home) * 0.8 + 0.5 * (age == 2), np.full(n, 0.3)], axis=1)
    p = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
    places = (p.cumsum(axis=1) > r.uniform(size=(n, 1))).argmax(axis=1)
    groups = {"home": np.array(["town", "country"])[home].tolist(), "age": np.array(["a", "b", "c"])[age].tolist()}
    return Sample({"vote": Answers.from_places(VOTE, places, source=source)}, groups), p


def test_regressions_classify_as_well_as_the_truth_allows():
    r = np.random.default_rng(4)
    panel, _ = voters(r, 3000)
    target, p = voters(r, 3000)
    [row] = (
        classify({"panel": panel}, target, outcomes=["vote"], predictors=["home", "age"]).table().iter_rows(named=True)
    )
    best = (p.argmax(axis=1) == target.answers["vote"].rows.argmax(axis=1)).mean()
    assert row["correct"] == pytest.approx(best, abs=0.01)
    assert row["low"] < best < row["high"]
    assert row["own"] == pytest.approx(best, abs=0.015)
    assert row["commonest"] == pytest.approx(target.answers["vote"].rows.mean(axis=0).max())
    assert row["better"]


def test_coefficients_are_those_of_statsmodels():
    from statsmodels.api import MNLogit

    from plural_nb.comparison.classification import _indicators, _multinomial

    sample, _ = voters(np.random.default_rng(6), 4000)
    X = _indicators(sample, sample.answers["vote"], {"home": ("town", "country"), "age": ("a", "b", "c")})
    y = sample.answers["vote"].rows
    theirs = MNLogit(y.argmax(axis=1), X).fit(disp=0).params
    ours = _multinomial(X, y, np.ones(4000))
    np.testing.assert_allclose(ours[:, 1:] - ours[:, :1], theirs, atol=0.03)


def test_a_sample_whose_regressions_point_elsewhere_classifies_worse():
    r = np.random.default_rng(9)
    target, p = voters(r, 2000)
    against, _ = voters(r, 2000, strength=-2.0)
    silicon = Answers(VOTE, p, Design(np.ones(2000)), np.ones(2000, dtype=bool), Source("personas", "m"))
    samples = {"good": voters(r, 500)[0], "against": against, "silicon": Sample({"vote": silicon}, target.groups)}
    found = classify(samples, target, outcomes=["vote"], predictors=["home", "age"])
    rows = {row["sample"]: row for row in found.summary().iter_rows(named=True)}
    assert rows["good"]["share_better"] == rows["silicon"]["share_better"] == 1
    assert rows["against"]["share_better"] == 0
    assert rows["against"]["mean_correct"] < rows["against"]["commonest"]
    assert "Regressions fitted on against classify" in found.sentence()


def test_surveys_are_classified_as_their_samples_are():
    survey = load_survey("teaching")
    asked = {"outcomes": ["toll"], "predictors": ["region", "age"]}
    whole = classify({"Vellamar": survey}, survey, **asked).table()
    sample = Sample.of(survey, ["toll"])
    assert whole.equals(classify({"Vellamar": sample}, sample, **asked).table())
    with pytest.raises(PluralError, match="'benchmark_sample' is no sample"):
        classify({"Vellamar": survey}, 3, **asked)


def test_a_table_of_several_waves_says_which_column_tells_them_apart():
    with pytest.raises(PluralError, match="told apart by 'wave'"):
        Benchmarks.read(data("surveys", "teaching_truth.csv"))


def test_what_a_regression_lacks_is_named():
    r = np.random.default_rng(1)
    target, p = voters(r, 300)
    plain = Sample(target.answers)
    found = classify({"good": target, "plain": plain}, target, outcomes=["vote"], predictors=["home"])
    assert found.left_out[0].startswith("vote, plain: its people have no trait 'home'")
    with pytest.raises(PluralError, match=r"benchmark sample has no 'homes'. Did you mean 'home'"):
        classify({"good": target}, target, outcomes=["vote"], predictors=["homes"])
    with pytest.raises(PluralError, match="No regression could be fitted"):
        classify({"plain": plain}, target, outcomes=["vote"], predictors=["home"])
    with pytest.raises(PluralError, match="at least one question and one trait"):
        classify({"good": target}, target, outcomes=[], predictors=["home"])
    silicon = Answers(VOTE, p, Design(np.ones(300)), np.ones(300, dtype=bool), Source("personas", "m"))
    with pytest.raises(PluralError, match="answers are fractional"):
        classify({"good": target}, Sample({"vote": silicon}, target.groups), outcomes=["vote"], predictors=["home"])
