"""The Python half of the steering matrix: its cells, the pair behind one, code and files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.errors import PluralError, SurveyError
from plural_nb.personas.steered import steer
from plural_nb.personas.steering import Steering
from plural_nb.widgets.steering_matrix import SteeringMatrix


@pytest.fixture(scope="module")
def model() -> Iterator[pnb.Model]:
    with pnb.open_model("plural-demo-base") as opened:
        yield opened


@pytest.fixture(scope="module")
def measured(model: pnb.Model) -> Steering:
    return steer(model, pnb.load_survey("anes96"), "party", ["vote", "ideology"])


def test_every_cell_is_the_steerings_and_opens_its_pair(measured: Steering) -> None:
    panel = SteeringMatrix(measured)
    assert panel.columns == list(measured.steered)
    shown = {(line["target"], cell["steered"]): cell for line in panel.lines for cell in line["cells"]}
    for row in measured.matrix.iter_rows(named=True):
        cell = shown[row["target"], row["steered"]]
        assert (cell["label"], cell["own"]) == (f"{row['js_distance']:.2f}", row["own"])
    for target, steered in (("Strong Democrat", "Weak Republican"), ("Independent", "own voice")):
        panel.target, panel.steered, panel.question = target, steered, "ideology"
        truth = measured.pair(target, steered, "ideology")
        assert panel.pair.distances == truth.distances
    assert panel.view.chart is not None
    assert panel.view.chart.title == truth.question.text
    assert measured.sentence() in panel.summary
    panel.target = "Whig"
    assert "no 'Whig'" in panel.status["text"]
    panel.close()


def test_darker_is_nearer(measured: Steering) -> None:
    panel = SteeringMatrix(measured)
    cells = sorted((c for line in panel.lines for c in line["cells"]), key=lambda c: float(c["label"]))
    light = [sum(int(c["paper"][i : i + 2], 16) for i in (1, 3, 5)) for c in cells]
    assert light[0] < light[-1]
    assert all(a <= b + 8 for a, b in itertools.pairwise(light))
    panel.close()


def test_a_model_a_survey_and_a_trait_are_enough_and_the_code_rebuilds_it(model: pnb.Model) -> None:
    panel = SteeringMatrix(model=model, survey="anes96", trait="party", questions=["vote"])
    assert panel.wait(60)
    assert panel.status["kind"] == "ready"
    code = panel.code().split("\n")
    scope: dict[str, Any] = {"display": lambda chart: chart}
    exec("\n".join(code), scope)  # the claim is that this very text runs
    assert scope["found"].matrix.equals(panel.data)
    panel.close()


def test_steering_by_party_moves_the_demo_model_towards_both_sides(measured: Steering) -> None:
    moved = measured.moves.filter(pl.col("group").is_in(["Strong Democrat", "Strong Republican"]))
    assert (moved["low"] > 0).all()
    assert (moved["towards_low"] > 0).all()


def test_nothing_given_and_unknown_names_are_refused(model: pnb.Model) -> None:
    with pytest.raises(PluralError, match="Give a Steering"):
        SteeringMatrix()
    with pytest.raises(TypeError, match="Did you mean 'trait'"):
        SteeringMatrix(trail="party")
    with pytest.raises(SurveyError, match="party"):
        SteeringMatrix(model=model, survey="anes96", trait="praty")


def test_what_is_saved_is_the_matrix(measured: Steering, tmp_path: Path) -> None:
    panel = SteeringMatrix(measured)
    assert pl.read_csv(panel.save(tmp_path / "m.csv")).height == 7 * 8
    page = panel.save(tmp_path / "m.html").read_text(encoding="utf-8")
    assert "own voice" in page
    assert "steering_heatmap" in page
    panel.close()
