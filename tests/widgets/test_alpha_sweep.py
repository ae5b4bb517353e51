"""The Python half of AlphaSweep: tables against the library, choices by code, files, and juries at the edge."""

from __future__ import annotations

import itertools
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.errors import PluralError
from plural_nb.jury.welfare import place_of
from plural_nb.widgets.sweep_tables import PLACES, Tables, dots, slider_alphas, thresholds


@pytest.fixture(scope="module")
def toll() -> pnb.Utilities:
    keys = {"Abolish": "rate_abolish", "Halve": "rate_commuters", "Regions": "rate_regions"}
    return pnb.Utilities.from_survey(pnb.load_survey("teaching"), keys, traits=["region", "settlement"])


@pytest.fixture(scope="module")
def panel(toll: pnb.Utilities) -> pnb.AlphaSweep:
    made = pnb.AlphaSweep(toll, by="region", replicates=40)
    assert made.wait()
    return made


def test_the_slider_has_round_numbers_near_even_places() -> None:
    alphas = slider_alphas()
    assert alphas.size == PLACES
    assert (np.diff(place_of(alphas)) > 0).all()
    assert np.abs(place_of(alphas) - np.linspace(0, 1, PLACES)).max() < 0.5 / (PLACES - 1)
    assert {0.0, 0.5, 1.0, 2.0, 3.0, 10.0, np.inf} <= set(alphas)


def test_the_table_is_the_sweep_and_the_switches_of_the_library(toll: pnb.Utilities, panel: pnb.AlphaSweep) -> None:
    state = panel.tables["none"]
    truth = pnb.sweep(toll, slider_alphas(), replicates=40)
    for name, values in (("score", truth.welfare), ("low", truth.low), ("probability", truth.probability)):
        shown = np.array(state["alpha"][name], dtype=float)
        assert np.array_equal(np.isnan(shown), np.isnan(values))
        assert np.nanmax(np.abs(shown - values) / np.maximum(np.abs(values), 1e-9)) < 6e-5
    assert state["alpha"]["rank"] == truth.rank.tolist()
    assert [s["at"] for s in state["switches"]] == [s.a for s in pnb.switches(toll)]
    panel.alpha = 1
    assert panel.data.filter(pl.col("alpha") == 1).height == 3


def test_approval_and_its_interval_are_those_of_the_rule(toll: pnb.Utilities) -> None:
    found = Tables.of(toll, "none", replicates=40)
    for t in (0, found.tau.size // 2, found.tau.size - 1):
        truth = pnb.decide(toll, "approval", threshold=float(found.tau[t]), replicates=40)
        assert found.share[t] == pytest.approx(truth.score, abs=1e-12)
        assert found.low[t] == pytest.approx(truth.low, abs=1e-12)
        assert found.high[t] == pytest.approx(truth.high, abs=1e-12)
        assert found.probability[t] == pytest.approx(truth.probability, abs=1e-9)


def test_the_worst_off_group_is_the_librarys_and_another_trait_comes_without_a_new_sweep(
    toll: pnb.Utilities, panel: pnb.AlphaSweep
) -> None:
    sweep = panel._made["none"].sweep
    panel.by = "settlement"
    groups = panel.tables["none"]["groups"]
    truth = pnb.groups_at(toll, "settlement", [1.0])
    assert groups["names"] == truth["group"].to_list()
    assert groups["welfare"][100] == pytest.approx(truth["welfare"].to_list(), rel=6e-5)
    assert panel._made["none"].sweep is sweep
    panel.by = "none such"
    assert panel.by == "settlement"
    assert "no trait 'none such'" in panel.status["text"]
    panel.by = ""
    assert panel.tables["none"]["groups"] is None
    panel.by = "region"


def test_dots_are_jurors_where_they_are_few_and_equal_shares_of_weight_otherwise() -> None:
    few = pnb.Utilities.of({"A": [3.0, 1.0, None]})
    assert dots(few) == [[1.0, 3.0]]
    # Nine tenths of the weight at 5: nine tenths of the dots.
    heavy = pnb.Utilities.of({"A": [1.0, 5.0]}, weight=[1.0, 9.0])
    assert dots(heavy)[0] == [1.0] * 10 + [5.0] * 90
    many = pnb.Utilities.of({"A": np.arange(100_000.0)})
    assert len(dots(many)[0]) == 100
    assert np.mean(dots(many)[0]) == pytest.approx(49_999.5, rel=1e-3)


def test_thresholds_are_the_ratings_that_occur_or_even_steps() -> None:
    assert thresholds(pnb.Utilities.of({"A": [3.0, 1.0, None], "B": [1.0, 2.0, 2.0]})).tolist() == [1.0, 2.0, 3.0]
    assert thresholds(pnb.Utilities.of({"A": np.linspace(0, 1, 1000)})).size == 201


def test_an_alpha_set_by_code_goes_to_the_nearest_place(panel: pnb.AlphaSweep) -> None:
    for wanted, there in ((2, 2.0), (np.inf, np.inf), (0, 0.0), (1e9, np.inf), (0.3, 0.3)):
        panel.alpha = wanted
        assert panel.alpha == there
    with pytest.raises(PluralError, match="from 0"):
        panel.alpha = -1
    panel.place = 999
    assert panel.place == PLACES - 1
    panel.alpha = 0
    assert panel.winner == ("Abolish",)


def test_the_code_computes_what_is_shown(
    toll: pnb.Utilities, panel: pnb.AlphaSweep, capsys: pytest.CaptureFixture[str]
) -> None:
    for scaling, rule in itertools.product(("none", "rank", "z"), ("welfare", "approval")):
        panel.scaling, panel.rule = scaling, rule
        panel.alpha = 0.5
        names: dict[str, Any] = {"jury": toll}
        *before, last = panel.code().split("\n")
        exec("\n".join(before), names)
        found = eval(last, names)
        shown = panel.data
        if rule == "approval":
            rows = shown.filter((pl.col("tau") - panel.tau).abs() < 1e-9)
            assert rows["share"].to_list() == pytest.approx(found["score"].to_list())
        else:
            assert capsys.readouterr().out
            there = names["scaled"]
            assert pnb.welfare(there, 0.5).tolist() == pytest.approx(
                shown.filter(pl.col("alpha") == 0.5)["welfare"].to_list()
            )
    panel.scaling, panel.rule = "none", "welfare"


def test_files_come_in_four_kinds(panel: pnb.AlphaSweep, tmp_path: Path) -> None:
    assert pl.read_csv(panel.save(tmp_path / "a.csv")).height == 3 * PLACES
    assert "<svg" in panel.save(tmp_path / "a.svg").read_text(encoding="utf-8")
    assert panel.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    page = panel.save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=[\"']", page)
    assert "script-src 'sha256-" in page
    with pytest.raises(PluralError, match=r"\.csv, \.svg, \.png, \.html"):
        panel.save(tmp_path / "a.pdf")
    with pytest.raises(PluralError, match="cannot be written"):
        panel.save(tmp_path / "none such" / "a.csv")


def test_a_button_sends_a_file(panel: pnb.AlphaSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(panel, "send", lambda *given: sent.append(given))
    panel._told(panel, {"do": "export", "kind": "csv"}, [])
    assert sent[0][0]["file"] == "jury-none-welfare.csv"
    assert sent[0][1][0].startswith(b"alpha,candidate")


@pytest.mark.parametrize(
    "table",
    [{"A": [3.0]}, {"A": [0.0, 0.0]}, {"A": [2.0, 2.0], "B": [2.0, 2.0]}, {"A": [2.0, None], "B": [1.0, None]}],
)
def test_one_juror_one_candidate_all_equal_and_a_silent_juror_are_no_errors(table: dict[str, Any]) -> None:
    made = pnb.AlphaSweep(pnb.Utilities.of(table))
    assert made.wait()
    assert {name for name, found in made.tables.items() if not found["error"]} == {"none", "range", "rank", "z"}
    json.dumps(dict(made.tables), allow_nan=False)
    assert made.winner


def test_negative_ratings_are_told_with_the_shift_and_other_scales_stand() -> None:
    made = pnb.AlphaSweep(pnb.Utilities.of({"A": [-1.0, 2.0], "B": [1.0, 1.0]}))
    assert made.wait()
    assert "utilities.shifted(1)" in made.tables["none"]["error"]
    with pytest.raises(PluralError, match="negative"):
        _ = made.data
    made.scaling = "range"
    assert made.winner


def test_a_million_jurors_are_summarised_while_the_notebook_goes_on() -> None:
    draw = np.random.default_rng(0)
    ratings = draw.integers(1, 101, (1_000_000, 3)).astype(float)
    traits = pl.DataFrame({"side": draw.choice(["left", "right"], 1_000_000)})
    started = time.perf_counter()
    made = pnb.AlphaSweep(pnb.Utilities(ratings, ("A", "B", "C"), traits=traits))
    back = time.perf_counter() - started
    assert made.status["kind"] == "working"
    with pytest.raises(PluralError, match="still being made"):
        _ = made.data
    deadline = time.monotonic() + 120
    while "none" not in made.tables:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # The tables came later than the panel.
    assert time.perf_counter() - started > back
    assert [len(column) for column in made.tables["none"]["dots"]] == [100] * 3
    assert len(json.dumps(made.tables["none"])) < 200_000
    made.close()


def test_a_large_sample_leaves_its_intervals_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plural_nb.widgets.sweep_tables._MOST_WEIGHTS", 1000)
    design = pnb.Design(np.ones(50))
    jury = pnb.Utilities(np.arange(1.0, 101).reshape(50, 2), ("A", "B"), design=design)
    found = Tables.of(jury, "none", replicates=40)
    assert np.isnan(found.sweep.low).all()
    assert "intervals of 50 jurors are left out" in found.notes[0]


def test_wrong_arguments_are_named() -> None:
    jury = pnb.Utilities.of({"A": [1.0]})
    with pytest.raises(TypeError, match="'scaling'"):
        pnb.AlphaSweep(jury, scalings="rank")
    with pytest.raises(PluralError, match="'rank'"):
        pnb.AlphaSweep(jury, scaling="ranks")
    with pytest.raises(PluralError, match="epsilon"):
        pnb.AlphaSweep(jury, epsilon=2)
    with pytest.raises(PluralError, match="no trait"):
        pnb.AlphaSweep(jury, by="age")
    with pytest.raises(PluralError, match="takes Utilities"):
        pnb.AlphaSweep({"A": [1.0]})  # type: ignore[arg-type]
