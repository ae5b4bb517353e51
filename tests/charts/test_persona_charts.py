"""Charts of personas: several voices beside people, coefficients, AUC beside baselines, and steering as a heat map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.charts.dots import auc_dumbbells, coefficient_plot
from plural_nb.charts.steering import steering_heatmap
from plural_nb.charts.voices import people_and_voices
from plural_nb.errors import PluralError
from plural_nb.personas.hiding import hide_at_random
from plural_nb.personas.steering import steering
from plural_nb.personas.unasked import predict
from plural_nb.survey.design import Design
from plural_nb.survey.library import load_survey
from plural_nb.survey.measure import Measure
from plural_nb.survey.question import ask_for
from plural_nb.survey.regression import regress

TEA = ask_for("Tea?", ["Yes", "No"])


def people(yes: int, n: int = 100) -> Answers:
    return Answers.from_places(TEA, [0] * yes + [1] * (n - yes))


def personas(p: float, n: int = 50) -> Answers:
    rows = np.tile([p, 1 - p], (n, 1))
    return Answers(TEA, rows, Design(np.ones(n)), np.ones(n, bool), Source("personas", "toy"))


def test_every_side_has_its_own_bars_and_the_regression_no_interval() -> None:
    chart = people_and_voices(
        people(30).shares(), {"first": personas(0.4).shares(), "third": personas(0.6).shares()},
        baseline=personas(0.31).shares(),
    )  # fmt: skip
    drawn = {(row["who"], row["option_text"]): row for row in chart.rows}
    assert [drawn[who, "Yes"]["label"] for who in ("humans", "model", "model2", "baseline")] == [
        *("30%", "40%", "60%", "31%"),
    ]
    assert drawn["humans", "Yes"]["low"] == pytest.approx(people(30).shares().low[0, 0])
    assert drawn["baseline", "Yes"]["low"] is None
    assert chart.frame.height == 8
    assert [key.mark for key in chart.keys] == ["humans", "model", "model2", "baseline"]


def test_the_light_fill_is_the_first_voices_and_not_spaced_evenly() -> None:
    spec = people_and_voices(
        people(30).shares(), {"a": personas(0.4).shares(), "b": personas(0.5).shares()}
    ).spec  # fmt: skip
    scale = spec["layer"][0]["encoding"]["fillOpacity"]["scale"]
    assert (scale["type"], dict(zip(scale["domain"], scale["range"], strict=True))) == (
        "ordinal", {"humans": 1, "model": 0.22, "model2": 0.62},
    )  # fmt: skip


def test_growing_samples_send_rows_only_and_other_options_are_refused() -> None:
    first, later = (people_and_voices(people(30).shares(), {"a": personas(p).shares()}) for p in (0.2, 0.4))
    assert first.shape == later.shape
    other = Answers.from_places(ask_for("Tea?", ["Yes", "Never"]), [0, 1])
    with pytest.raises(PluralError, match="same options"):
        people_and_voices(people(30).shares(), {"a": other.shares()})
    with pytest.raises(PluralError, match="at most 3"):
        people_and_voices(people(30).shares(), dict.fromkeys("abcd", personas(0.4).shares()))


def test_coefficients_stand_side_by_side_without_the_intercept() -> None:
    x = np.arange(40.0)
    frame = pl.DataFrame({"x": x})
    noise = np.random.default_rng(0).normal(size=40)
    fits = {
        name: regress(Measure.of(slope * x + noise), frame, ["x"]) for name, slope in (("People", 2), ("Silicon", 1))
    }
    chart = coefficient_plot(fits)
    assert [(row["label"], row["name"]) for row in chart.rows] == [("x", "People"), ("x", "Silicon")]
    for row, fit in zip(chart.rows, fits.values(), strict=True):
        assert (row["value"], row["low"], row["high"]) == pytest.approx(
            (fit.coefficient[1], fit.bounds[0][1], fit.bounds[1][1])
        )
    assert len(coefficient_plot(fits, intercept=True).rows) == 4


def test_auc_stands_hardest_first_beside_every_baseline() -> None:
    survey = load_survey("anes96")
    hidden = hide_at_random(survey, ["vote", "clinton_ideology"], seed=1)
    found = predict(hidden, traits=["party", "age"], replicates=20)
    chart = auc_dumbbells(found, predictor="logit")
    table = found.table().filter(predictor="logit").sort("auc")
    labels = [survey.questions[key].label for key in table["question"]]
    assert list(dict.fromkeys(row["label"] for row in chart.rows)) == labels
    assert {row["name"] for row in chart.rows} == {"marginal", "logit", "neighbours"}
    drawn = [row["value"] for row in chart.rows if row["name"] == "logit"]
    assert drawn == pytest.approx(table["auc"].to_list())
    with pytest.raises(PluralError, match="no predictor 'personas'"):
        auc_dumbbells(found)


def test_a_cell_of_the_heat_map_is_the_matrixs_distance(tmp_path: Path) -> None:
    by = ["a"] * 50 + ["b"] * 50
    humans = {"tea": Answers.from_places(TEA, [0] * 40 + [1] * 10 + [0] * 10 + [1] * 40)}
    told = np.array([[0.8, 0.2], [0.3, 0.7]])
    silicon = {"tea": Answers(TEA, told, Design(np.ones(2)), np.ones(2, bool), Source("personas", "toy"))}
    own = Answers(TEA, np.array([[0.5, 0.5]]), Design(np.ones(1)), np.ones(1, bool), Source("model", "toy"))
    found = steering(humans, silicon, by=by, silicon_by=["a", "b"], default={"tea": own}, replicates=50)
    chart = steering_heatmap(found)
    assert len(chart.rows) == 6
    for row in chart.rows:
        cell = found.matrix.filter(target=row["target"], steered=row["steered"]).row(0, named=True)
        assert row["value"] == cell["js_distance"]
        assert row["own"] == (row["target"] == row["steered"])
    assert "a: nearest when it speaks as a (0.00)" in chart.summary
    assert chart.save(tmp_path / "a.svg").read_text(encoding="utf-8").count("own voice") >= 1
    assert "currentColor" in json.dumps(chart.spec)
