"""The teaching survey: made again from its program, and telling the truth when it is weighted."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plural_nb.answers import Answers
from plural_nb.demo import teaching
from plural_nb.resources import data
from plural_nb.survey.library import load_survey
from plural_nb.survey.survey import Population, Survey

FILES = ("teaching.parquet", "teaching_replicates.parquet", "teaching_truth.csv")


@pytest.fixture(scope="module")
def survey() -> Survey:
    return load_survey("teaching")


@pytest.fixture(scope="module")
def people() -> pl.DataFrame:
    return pl.read_parquet(data("surveys", "teaching.parquet"))


@pytest.fixture(scope="module")
def truth() -> pl.DataFrame:
    return pl.read_csv(data("surveys", "teaching_truth.csv"))


def true_shares(truth: pl.DataFrame, question: str, wave: str = "all") -> np.ndarray:
    told = truth.filter((pl.col("question") == question) & (pl.col("wave") == wave) & (pl.col("option") != "(mean)"))
    return told["share"].to_numpy()


def covered(answers: Answers, true: np.ndarray) -> np.ndarray:
    shares = answers.shares()
    return (shares.low[0] <= true) & (true <= shares.high[0])


def test_the_program_makes_the_shipped_files_again(tmp_path: Path) -> None:
    """Byte for byte with the polars that wrote them; another version may pack the same values differently."""
    teaching.main(tmp_path)
    for name in FILES:
        made, shipped = tmp_path / name, data("surveys", name)
        if name.endswith(".csv") or pl.__version__ == teaching.MADE_WITH_POLARS:
            assert made.read_bytes() == shipped.read_bytes(), name
        else:
            assert pl.read_parquet(made).equals(pl.read_parquet(shipped)), name


def test_it_is_small_and_has_about_3000_people_in_each_of_three_waves(people: pl.DataFrame) -> None:
    assert sum(data("surveys", name).stat().st_size for name in FILES) < 2**20
    counts = people.group_by("wave").len()["len"].to_list()
    assert len(counts) == 3
    assert all(2800 <= n <= 3200 for n in counts)


def test_its_questions_are_of_all_kinds_and_come_in_five_wordings(survey: Survey) -> None:
    questions = survey.questions.values()
    assert {q.kind for q in questions} == {"nominal", "ordinal", "numeric"}
    assert all(len({q.text, *q.wordings}) >= 5 for q in questions)
    assert any(not o.substantive and o.offered for q in questions for o in q.options)
    assert any(not o.substantive and not o.offered for q in questions for o in q.options)
    assert any(q.battery for q in questions)
    opinions = [q for q in questions if q.key not in ("turnout", "vote") and not q.key.startswith("rate_")]
    assert len(opinions) == 12
    assert sum(q.key.startswith("rate_") for q in questions) == 6


def test_weighting_removes_the_planted_bias(survey: Survey, truth: pl.DataFrame) -> None:
    true = true_shares(truth, "toll")
    answers = survey.answers("toll")
    unweighted = answers.unweighted().shares().share[0]
    assert abs(unweighted[0] - true[0]) > 0.06
    assert not covered(answers.unweighted(), true).any()
    assert covered(answers, true).all()


@pytest.mark.parametrize("wave", ["2019", "2021", "2023"])
def test_weighting_removes_it_in_each_wave(survey: Survey, truth: pl.DataFrame, wave: str) -> None:
    answers = survey.answers("toll", Population({"wave": wave}))
    true = true_shares(truth, "toll", wave)
    assert covered(answers, true).all()
    assert not covered(answers.unweighted(), true).any()


def test_weighted_intervals_cover_the_truth_about_as_often_as_they_claim(survey: Survey, truth: pl.DataFrame) -> None:
    """Nonresponse depends on trust itself, so weights repair most of the bias and not all of it."""
    weighted, unweighted = [], []
    for key in survey.questions:
        for wave in ("2019", "2021", "2023"):
            answers = survey.answers(key, Population({"wave": wave}))
            true = true_shares(truth, key, wave)
            weighted += covered(answers, true).tolist()
            unweighted += covered(answers.unweighted(), true).tolist()
    assert np.mean(weighted) > 0.88
    assert np.mean(unweighted) < 0.70


def test_those_who_distrust_parliament_answer_less_often(survey: Survey, truth: pl.DataFrame) -> None:
    true = true_shares(truth, "trust_parliament")
    weighted = survey.answers("trust_parliament").shares().share[0]
    assert weighted[3] < true[3] - 0.01


def test_the_job_is_asked_of_those_in_work_and_the_vote_of_voters(people: pl.DataFrame) -> None:
    assert people.filter(pl.col("job").is_not_null() != (pl.col("work") == 1)).is_empty()
    assert people.filter(pl.col("vote").is_not_null() != (pl.col("turnout") == 1)).is_empty()


def test_selection_is_clustered_stratified_and_unequal(survey: Survey, people: pl.DataFrame) -> None:
    psus = people.group_by("stratum").agg(pl.col("psu").n_unique())["psu"]
    assert psus.len() == 45
    assert psus.min() >= 4
    assert people["base_weight"].max() > 8 * people["base_weight"].min()
    assert float(np.nanmean(survey.answers("problem").shares().deff_wr)) > 1.2


def test_weights_add_up_to_3000_in_each_wave(people: pl.DataFrame) -> None:
    for total in people.group_by("wave").agg(pl.col("weight").sum())["weight"]:
        assert total == pytest.approx(3000, abs=0.05)


def test_bootstrap_factors_keep_each_stratum_on_average(people: pl.DataFrame) -> None:
    factors = pl.read_parquet(data("surveys", "teaching_replicates.parquet"))
    assert factors.height == people["psu"].n_unique()
    means = factors.group_by("stratum").agg(pl.col("^rep_.*$").mean()).drop("stratum").to_numpy()
    np.testing.assert_allclose(means, 1, atol=1e-12)


def test_bootstrap_and_linearisation_agree_on_the_standard_error(survey: Survey, people: pl.DataFrame) -> None:
    factors = pl.read_parquet(data("surveys", "teaching_replicates.parquet"))
    joined = people.select("psu", "weight", yes=pl.col("toll") == 1, asked=pl.col("toll") > 0).join(factors, on="psu")
    w = joined["weight"].to_numpy()[:, None] * joined.select("^rep_.*$").to_numpy()
    yes, asked = joined["yes"].to_numpy().astype(float), joined["asked"].to_numpy().astype(float)
    full = (joined["weight"].to_numpy() * yes).sum() / (joined["weight"].to_numpy() * asked).sum()
    se = np.sqrt(np.mean((yes @ w / (asked @ w) - full) ** 2))
    # A standard error from 80 replicates is itself uncertain by about 8%.
    assert se == pytest.approx(survey.answers("toll").shares().se[0, 0], rel=0.3)


@pytest.mark.parametrize("wave", [2019, 2021, 2023, None])
def test_utilitarian_nash_and_rawlsian_winners_differ(people: pl.DataFrame, wave: int | None) -> None:
    asked = people if wave is None else people.filter(pl.col("wave") == wave)
    rated = asked.select("weight", "^rate_.*$").drop_nulls()
    assert rated.height > 1000
    w, u = rated["weight"].to_numpy(), rated.drop("weight").to_numpy().astype(float)
    names = [name.removeprefix("rate_") for name in rated.columns[1:]]
    assert (u.min(), u.max()) == (1, 100)
    assert names[np.argmax(w @ u)] == "abolish"
    assert names[np.argmax(w @ np.log(u))] == "commuters"
    assert names[np.argmax(u.min(axis=0))] == "regions"
