"""Charts of comparisons: distances with their noise, dumbbells, heat maps, rankings, calibration, before and after."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.answers import Answers, Source
from plural_nb.charts.alignment import before_and_after_chart
from plural_nb.charts.calibration import calibration_curve
from plural_nb.charts.chart import Chart
from plural_nb.charts.distances import distances_and_noise, distances_by_question
from plural_nb.charts.dumbbell import dumbbell_by_group
from plural_nb.charts.export import FORMATS, as_bytes
from plural_nb.charts.heat_map import heat_map
from plural_nb.charts.points import LOOKS
from plural_nb.charts.ranks import benchmark_chart, ranking_chart
from plural_nb.charts.shares import humans_and_model
from plural_nb.charts.spread import means_and_spread
from plural_nb.comparison.baselines import uniform
from plural_nb.comparison.benchmarking import Benchmarked
from plural_nb.comparison.ranking import Ranking
from plural_nb.comparison.survey_distances import SurveyDistances, compare_survey
from plural_nb.comparison.tails import Tails
from plural_nb.errors import PluralError, SurveyError
from plural_nb.survey.design import Design

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<img src=x onerror=alert(1)> & "quotes": a, b'


@pytest.fixture(scope="module")
def teaching() -> pnb.Survey:
    return pnb.load_survey("teaching")


@pytest.fixture(scope="module")
def table(teaching: pnb.Survey) -> SurveyDistances:
    answers = {key: uniform(teaching.answers(key)) for key in ("nature", "vote")}
    # In one region it says what people say, so that a cell is within noise.
    there = pnb.tabulate(teaching, ["toll"], by="region")["toll"].share[2, 0]
    return compare_survey(teaching, {"toll": lean(teaching, "toll", there)} | answers, by="region")


def words(chart: Chart) -> list[str]:
    """Every text in the picture."""
    return ["".join(t.itertext()) for t in ET.fromstring(as_bytes(chart, "svg")).iter(f"{SVG}text")]


def lean(teaching: pnb.Survey, key: str, first: float) -> Answers:
    """An exact row that gives the first option so much, and the others alike."""
    even = uniform(teaching.answers(key))
    row = np.where(even.rows[0] > 0, (1 - first) / ((even.rows[0] > 0).sum() - 1), 0.0)
    row[0] = first
    return Answers(even.question, row[None, :], even.design, even.domain, Source("model", "tiny"), np.ones(1))


def by_region(teaching: pnb.Survey, key: str = "nature") -> pnb.Comparison:
    return pnb.compare(teaching.answers(key), lean(teaching, key, 0.3), by=teaching.groups("region"))


def pair(teaching: pnb.Survey) -> pnb.BeforeAndAfter:
    keys = ("toll", "nature", "vote", "problem")
    before, after = ({k: lean(teaching, k, p) for k in keys} for p in (0.3, 0.97))
    return pnb.before_and_after(before, after, [teaching.questions[k] for k in keys], {"Vellamar": teaching})


EVERY: dict[str, Callable[[pnb.Survey, SurveyDistances], Chart]] = {
    "distances": lambda s, t: distances_and_noise(by_region(s), by="Region"),
    "distances of one group": lambda s, t: distances_and_noise(pnb.compare(s.answers("toll"), lean(s, "toll", 0.3))),
    "distances by question": lambda s, t: distances_by_question(t, "Far Isles", name="uniform"),
    "dumbbell": lambda s, t: dumbbell_by_group(by_region(s), by="Region"),
    "heat map": lambda s, t: heat_map(t, by="Region"),
    "spread": lambda s, t: means_and_spread(
        pnb.heterogeneity(s.answers("premier"), s.answers("premier"), by=s.groups("leaning"), replicates=100)
    ),
    "ranking": lambda s, t: ranking_chart(ranking()),
    "benchmark": lambda s, t: benchmark_chart(benchmarked(s)),
    "before and after": lambda s, t: before_and_after_chart(pair(s), beside=True),
    "entropy": lambda s, t: before_and_after_chart(pair(s), "entropy_nats"),
    "debiased": lambda s, t: before_and_after_chart(pair(s), "js_divergence_debiased"),
    "calibration": lambda s, t: calibration_curve(tails(s)),
}


def ranking() -> Ranking:
    values = np.array([0.3, 0.1, 0.31])
    drawn = np.random.default_rng(0).normal(values[:, None], 0.02, (3, 400))
    return Ranking("mean_js", "mean JS", ("a", "b", "c"), values, drawn, 12)


def benchmarked(teaching: pnb.Survey) -> Benchmarked:
    share = teaching.answers("toll").shares()
    known = {"toll": dict(zip(share.options, share.share[0].tolist(), strict=True))}
    samples = {"weighted": teaching, "plain": {"toll": teaching.answers("toll", weighted=False)}}
    return pnb.benchmark(samples, known, replicates=200)


def tails(teaching: pnb.Survey) -> Tails:
    keys = ("toll", "nature", "vote", "problem", "work")
    return pnb.tails({k: lean(teaching, k, 0.9) for k in keys}, teaching, [teaching.questions[k] for k in keys])


@pytest.mark.parametrize("name", EVERY)
def test_every_chart_compiles_and_carries_its_rows_words_and_table(
    name: str, teaching: pnb.Survey, table: SurveyDistances
) -> None:
    chart = EVERY[name](teaching, table)
    drawn = words(chart)
    assert chart.title.split()[0] in " ".join(drawn)
    assert chart.frame.height
    assert len(chart.summary) > len(chart.title)
    for row in chart.rows:
        assert {field for field, _ in chart.columns} <= set(row)
    for label in {row["label"] for row in chart.rows if row.get("label")}:
        assert label in drawn
    assert {kind: bool(as_bytes(chart, kind)) for kind in ("csv", "html")} == {"csv": True, "html": True}
    assert "data" in chart.spec
    assert "values" not in chart.spec["data"]


def test_a_distance_carries_interval_noise_and_nearest_guess(teaching: pnb.Survey) -> None:
    comparison = by_region(teaching)
    chart = distances_and_noise(comparison, by="Region")
    found = comparison.distance("js_distance")
    for g, row in enumerate(chart.rows):
        truth = [float(getattr(found, c)[g]) for c in ("value", "low", "high", "noise_mean", "noise_p95")]
        assert [row[c] for c in ("value", "low", "high", "noise_mean", "noise_p95")] == pytest.approx(truth, rel=1e-12)
        assert row["best"] == min(b.distances.value("js_distance")[g] for b in comparison.baselines.values())
        assert row["label"].endswith(comparison.verdicts[g].word)
    assert [key.mark for key in chart.keys] == ["model", "noise", "baseline"]


def test_one_group_shows_every_bounded_distance_of_its_kind(teaching: pnb.Survey) -> None:
    for key, scale in (("toll", False), ("nature", True)):
        chart = distances_and_noise(pnb.compare(teaching.answers(key), lean(teaching, key, 0.3)))
        assert any("Wasserstein" in row["row_text"] for row in chart.rows) == scale
        assert len(chart.rows) == 3 + scale
    with pytest.raises(SurveyError):
        distances_and_noise(
            pnb.compare(teaching.answers("toll"), lean(teaching, "toll", 0.3)), "wasserstein_normalised"
        )


def test_a_failed_group_is_named_and_the_others_are_drawn() -> None:
    tea = pnb.ask_for("Tea?", ["Yes", "No"])
    people = Answers.from_places(tea, [0, 1] * 20 + [0])
    chart = distances_and_noise(pnb.compare(people, uniform(people), by=["a"] * 40 + [HOSTILE]))
    assert [row["label"] for row in chart.rows][1] == "cannot be compared"
    assert any(note.startswith(HOSTILE) for note in chart.notes)
    assert b"<img" not in as_bytes(chart, "html")
    assert dumbbell_by_group(pnb.compare(people, uniform(people), by=["a"] * 40 + ["b"])).notes


def test_a_dumbbell_joins_the_two_shares_of_one_answer(teaching: pnb.Survey) -> None:
    comparison = by_region(teaching)
    option = comparison.a.options[3]
    chart = dumbbell_by_group(comparison, option=option)
    people = [row for row in chart.rows if row["who"] == "humans"]
    assert [row["value"] for row in people] == pytest.approx(comparison.a.share[:, 3].tolist())
    assert [row["other"] for row in people] == pytest.approx(comparison.b.share[:, 3].tolist())
    assert chart.frame["difference"].to_list() == pytest.approx(
        (comparison.a.share - comparison.b.share)[:, 3].tolist()
    )
    with pytest.raises(PluralError, match="Agree"):
        dumbbell_by_group(comparison, option="Agre")


def test_cells_not_beyond_noise_stand_in_brackets(teaching: pnb.Survey, table: SurveyDistances) -> None:
    chart = heat_map(table)
    assert len(chart.rows) == 3 * 5
    for row in chart.rows:
        q = [question.key for question in table.questions].index(row["key"])
        beyond = table.p_adjusted[q, row["at"]] < 0.05
        assert row["label"].startswith("(") != beyond
        assert row["value"] == table.distances["js_distance"]["value"][q, row["at"]]
    assert {row["said"] for row in chart.rows} == {"beyond noise", "not beyond noise"}
    near = dataclasses.replace(table, p_adjusted=np.tile([0.04, 0.06, 0.04, 0.06, np.nan], (3, 1)))
    said = ["beyond noise", "not beyond noise", "beyond noise", "not beyond noise", ""]
    assert [row["said"] for row in heat_map(near).rows[:5]] == said
    nominal = [row for row in heat_map(table, "wasserstein_normalised").rows if row["key"] == "vote"]
    assert {row["label"] for row in nominal} == {"–"}


def test_ranks_are_those_that_real_differences_leave_open() -> None:
    chart = ranking_chart(ranking())
    assert [(row["row_text"], row["ranks"]) for row in chart.rows] == [("b", "1"), ("a", "2–3"), ("c", "2–3")]


def test_means_and_deviations_are_the_samples_own(teaching: pnb.Survey) -> None:
    premier = teaching.answers("premier")
    by = teaching.groups("leaning")
    chart = means_and_spread(pnb.heterogeneity(premier, premier, by=by, replicates=100), by="Leaning")
    values, weight = np.array(premier.question.values), teaching.design.weight
    y = premier.rows[:, list(premier.question.substantive)]
    for g, name in enumerate(by.names):
        here = (by.codes == g) & (y.sum(axis=1) > 0)
        mean = np.average(y[here] @ values, weights=weight[here])
        sd = np.sqrt(np.average((y[here] @ values - mean) ** 2, weights=weight[here]))
        row = next(row for row in chart.rows if row["row_text"] == name and row["who"] == "humans")
        truth = (mean, mean - sd, mean + sd)
        assert (row["value"], row["sd_low"], row["sd_high"]) == pytest.approx(truth, rel=1e-9)
    toll = teaching.answers("toll")
    nominal = pnb.heterogeneity(toll, toll, replicates=100)
    with pytest.raises(PluralError, match="no scale"):
        means_and_spread(nominal)


def test_the_papers_rows_stand_beside_without_intervals(teaching: pnb.Survey) -> None:
    chart = before_and_after_chart(pair(teaching), beside=True)
    row = next(r for r in chart.rows if r["row_text"].startswith("Japan") and "LLaMA2 7B" in r["row_text"])
    assert (row["who"], row["value"], row["low"]) == ("before", 0.47, None)
    own = [r for r in chart.rows if r["row_text"] == "Vellamar"]
    assert [r["who"] for r in own] == ["before", "after"]
    assert all(r["noise_mean"] > 0 and r["low"] < r["value"] < r["high"] for r in own)
    assert len(before_and_after_chart(pair(teaching)).rows) == 2


def test_calibration_bins_are_the_tables(teaching: pnb.Survey) -> None:
    found = tails(teaching)
    for by in ("humans", "model"):
        curve = found.table().filter(pl.col("binned_by") == by, pl.col("options") > 0)
        bins = [row for row in calibration_curve(found, binned_by=by).rows if row["kind"] == "bin"]  # type: ignore[arg-type]
        assert [row["y"] for row in bins] == curve["model"].to_list()


def test_personas_have_an_interval_and_a_second_whisker(teaching: pnb.Survey) -> None:
    tea = pnb.ask_for("Tea?", ["Yes", "No", "Never"])
    rows = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]] * 10)
    low, high = np.array([0.2, 0.3, 0.1]), np.array([0.6, 0.5, 0.3])
    ones = np.ones(20)
    silicon = Answers(tea, rows, Design(ones), ones > 0, Source("personas", "tiny"), ones, np.stack([low, high]))
    people = Answers.from_places(tea, [0] * 30 + [1] * 50 + [2] * 20)
    chart = humans_and_model(pnb.compare(people, silicon))
    model = [row for row in chart.rows if row["who"] == "model"]
    assert [row["spread_low"] for row in model] == pytest.approx(low.tolist())
    assert [row["spread_high"] for row in model] == pytest.approx(high.tolist())
    assert all(row["whisker"] == "interval" and row["spread_low"] < row["low"] for row in model)
    assert "dotted: range over orders and wordings" in chart.keys[1].whisker
    assert "spread_low" not in chart.rows[0]
    assert as_bytes(chart, "svg")


def test_sides_differ_in_more_than_colour() -> None:
    assert len({(look.shape, look.filled) for name, look in LOOKS.items() if name != "sample"}) == len(LOOKS) - 1
    assert set(FORMATS) >= {"csv", "svg", "png", "html"}
