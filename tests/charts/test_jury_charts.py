"""Charts of a jury: welfare over α with its switches, and the chances of a seat."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.charts import seat_chances, welfare_curves
from plural_nb.charts.export import as_bytes, svg
from plural_nb.errors import PluralError

JURY = pnb.Utilities.of({"Bold <b>": [9.0, 9.0, 1.0], "Mild": [4.0, 4.0, 4.0]})


def test_the_curves_are_the_sweep_and_rules_stand_at_the_switches() -> None:
    found, changes = pnb.sweep(JURY), pnb.switches(JURY)
    drawn = welfare_curves(found, changes, title="A toll?")
    curve = [row for row in drawn.rows if row["candidate"] == "Mild"]
    assert [row["w"] for row in curve] == pytest.approx(found.welfare[:, 1])
    assert [row["x"] for row in drawn.rows if row["switch"]] == [s.a for s in changes]
    # Thick from the switch on, and before it for the other.
    assert all((row["won"] is not None) == (row["x"] > changes.found[0].a) for row in curve)
    assert drawn.summary == changes.sentence()
    assert "Bold &lt;b&gt;" in svg(drawn)
    assert b"<b>" not in as_bytes(drawn, "html").split(b"</head>")[1]


def test_no_more_curves_than_can_be_told_apart_and_the_best_are_among_them() -> None:
    jury = pnb.Utilities.of({f"c{i}": [float(i + 1), 2.0] for i in range(12)})
    drawn = welfare_curves(pnb.sweep(jury, [0, 1, np.inf]))
    assert len({row["candidate"] for row in drawn.rows}) == 8
    assert "c11" in {row["candidate"] for row in drawn.rows}
    assert drawn.notes[0] == "The 8 candidates that rank best are drawn, of 12."
    assert drawn.frame.height == 36
    with pytest.raises(PluralError, match="two values"):
        welfare_curves(pnb.sweep(jury, [1]))


def test_an_unrated_candidate_is_not_drawn() -> None:
    jury = pnb.Utilities.of({"A": [1.0, 2.0], "B": [None, None]})
    assert {row["candidate"] for row in welfare_curves(pnb.sweep(jury)).rows} == {"A"}


def test_everybody_is_in_one_bar_of_chances_and_those_without_are_named() -> None:
    people = pl.DataFrame({"age": ["old"] * 6 + ["young"] * 3 + ["child"]})
    lottery = pnb.sortition(pnb.Pool.of(people), pnb.Quotas(4, {"age": {"young": 2, "child": (0, 0)}}))
    drawn = seat_chances(lottery)
    assert sum(row["n"] for row in drawn.rows) == 10
    for row in drawn.rows:
        assert row["n"] == ((lottery.probability >= row["low"]) & (lottery.probability < row["high"])).sum()
        assert row["equal"] == 0.4
    assert drawn.notes == ("The quotas leave 1 people no chance at all.",)
    assert "<svg" in svg(drawn)
