"""JuryBuilder: quotas, the smallest relaxation, the draw, what it does to the winner, and work that can be stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.errors import Cancelled, PluralError
from plural_nb.jury.lottery import check_record
from plural_nb.jury.seating import seat_by_quota
from plural_nb.widgets.seat_desk import SeatDesk, SeatNews, SeatRequest

PEOPLE = pl.DataFrame(
    {"age": ["old"] * 40 + ["young"] * 20, "town": (["North"] * 30 + ["South"] * 10) + ["North"] * 20}
)
QUOTAS = pnb.Quotas(10, {"age": {"young": (5, 5)}, "town": {"South": (3, 10)}})


def builder(**how: Any) -> pnb.JuryBuilder:
    panel = pnb.JuryBuilder(PEOPLE, **{"quotas": QUOTAS, **how})
    assert panel.wait()
    return panel


def test_the_draw_is_the_librarys_and_the_next_seed_draws_another() -> None:
    panel = builder(seed=7)
    assert panel.find().wait()
    lottery = pnb.sortition(pnb.Pool.of(PEOPLE), QUOTAS)
    assert panel.lottery.probability == pytest.approx(lottery.probability, abs=1e-7)
    assert panel.jury.ids == panel.lottery.draw(7).ids
    assert panel.data["age"].to_list().count("young") == 5
    before = panel.lottery
    panel.draw_again()
    assert panel.seed == 8
    assert panel.lottery is before
    assert panel.jury.ids == panel.lottery.draw(8).ids
    assert panel.members["total"] == 10


def test_quotas_that_contradict_are_told_with_the_smallest_change_which_can_be_taken() -> None:
    panel = builder()
    panel.bounds = {"age": {"young": [8, 10]}, "town": {"South": [3, 10]}}
    assert panel.wait()
    assert panel.status["text"] == "No jury keeps these quotas."
    assert panel.relaxation["text"] in (
        "town = South: 3 to 10 seats becomes 2 to 10 seats",
        "age = young: 8 to 10 seats becomes 7 to 10 seats",
    )
    panel.relax()
    assert panel.wait()
    assert panel.relaxation == {}
    assert panel.find().wait()
    assert len(panel.jury.ids) == 10


def test_a_quota_that_is_none_is_an_error_in_the_panel_which_lives_on() -> None:
    panel = builder()
    panel.bounds = {"age": {"young": [6, 2]}}
    assert panel.status["kind"] == "error"
    assert "the first not above the second" in panel.status["text"]
    panel.seats = 100
    panel.bounds = {"age": {"young": [1, 2]}}
    panel.find().wait()
    assert "60 people for 100 seats" in panel.status["text"]
    panel.seats = 5
    assert panel.find().wait()
    assert len(panel.jury.ids) == 5


@pytest.mark.parametrize("method", ["maximin", "quota", "simple"])
def test_the_other_methods_seat_as_the_library_does(method: str) -> None:
    panel = builder(method=method, seed=3)
    assert panel.find().wait()
    assert len(panel.jury.ids) == 10
    if method == "quota":
        assert panel.jury.ids == seat_by_quota(pnb.Pool.of(PEOPLE), QUOTAS, seed=3).ids
    if method == "maximin":
        assert panel.lottery.rule == "maximin"
    else:
        with pytest.raises(PluralError, match="no lottery"):
            _ = panel.lottery


def test_a_survey_is_mirrored_by_its_weighted_shares() -> None:
    survey = pnb.load_survey("teaching")
    panel = pnb.JuryBuilder(survey, features=["gender"], seats=100)
    truth = pnb.Quotas.proportional(
        100,
        {
            "gender": {
                name: float(survey.design.weight[survey.groups("gender").codes == g].sum() / survey.design.weight.sum())
                for g, name in enumerate(survey.groups("gender").names)
            }
        },
        leeway=1,
    )
    for level, bounds in truth.bounds["gender"].items():
        assert tuple(panel.bounds["gender"][level]) == bounds
    panel.method = "weight"
    assert panel.find().wait()
    assert len(panel.jury.ids) == 100


def test_the_effect_on_the_winner_is_that_of_the_jurors_drawn() -> None:
    jury = pnb.Utilities.of(
        {"Park": [9.0] * 40 + [1.0] * 20, "Road": [5.0] * 40 + [8.0] * 20}, traits=PEOPLE.select("age")
    )
    panel = pnb.JuryBuilder(jury, quotas=pnb.Quotas(10, {"age": {"young": (9, 9)}}))
    assert panel.find().wait()
    said = {f["name"]: f["more"] for f in panel.findings}
    # Nine of ten are young, and rate the road higher; among everyone two thirds are old.
    expected = "Road; among everyone: Park. Of 200 juries drawn in this way: Road 100%."
    assert said["Winner at α = 0 (utilitarian)"] == expected


def test_the_record_lets_anyone_draw_again(tmp_path: Path) -> None:
    panel = builder(seed=4)
    with pytest.raises(PluralError, match="no lottery"):
        panel.save(tmp_path / "a.json")
    assert panel.find().wait()
    record = json.loads(panel.save(tmp_path / "a.json").read_text(encoding="utf-8"))
    assert check_record(record, pnb.Pool.of(PEOPLE)).ids == panel.jury.ids
    assert pl.read_csv(panel.save(tmp_path / "a.csv")).height == 10
    assert "<svg" in panel.save(tmp_path / "a.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("method", ["leximin", "quota", "simple"])
def test_the_code_seats_the_same_people(method: str) -> None:
    panel = builder(method=method)
    assert panel.find().wait()
    *before, last = panel.code().split("\n")
    names: dict[str, Any] = {"people": PEOPLE}
    exec("\n".join(before), names)
    assert eval(last, names)["id"].to_list() == list(panel.jury.ids)


def test_the_code_of_a_jury_names_its_jurors() -> None:
    jury = pnb.Utilities.of({"Park": np.ones(60)}, jurors=tuple(f"p{i}" for i in range(60)), traits=PEOPLE)
    panel = pnb.JuryBuilder(jury, quotas=QUOTAS)
    assert panel.find().wait()
    *before, last = panel.code().split("\n")
    names: dict[str, Any] = {"jury": jury}
    exec("\n".join(before), names)
    assert eval(last, names)["id"].to_list() == list(panel.jury.ids)


def test_long_work_is_stopped_and_a_newer_request_displaces_an_older(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, heard = threading.Event(), list[SeatNews]()

    def slow(pool: Any, quotas: Any, *, rule: str, progress: Any) -> Any:
        begun.set()
        for step in range(2000):
            progress(step, 2000)
            threading.Event().wait(0.005)
        raise AssertionError("nobody stopped it")

    monkeypatch.setattr("plural_nb.widgets.seat_desk.sortition", slow)
    desk = SeatDesk(heard.append)
    pool = pnb.Pool.of(PEOPLE)
    first = SeatRequest(pool, QUOTAS, "leximin", 1)
    desk.ask(first)
    assert begun.wait(10)
    desk.ask(SeatRequest(pool, QUOTAS, "simple", 1))
    assert desk.wait(10)
    ended = [(news.request is first, news.kind) for news in heard if news.kind in ("cancelled", "seated")]
    assert ended == [(True, "cancelled"), (False, "seated")]
    # Progress is told, but not every step of it.
    assert 1 <= sum(news.kind == "finding" for news in heard) < 500
    begun.clear()
    desk.ask(first)
    assert begun.wait(10)
    desk.cancel()
    assert desk.wait(10)
    assert heard[-1].kind == "cancelled"
    desk.close()


def test_an_unexpected_error_is_told_and_the_desk_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = builder()
    monkeypatch.setattr("plural_nb.widgets.seat_desk.sortition", lambda *a, **k: 1 / 0)
    assert panel.find().wait()
    assert "division by zero" in panel.status["text"]
    panel.method = "simple"
    assert panel.find().wait()
    assert len(panel.jury.ids) == 10
    assert issubclass(Cancelled, PluralError)


def test_wrong_sources_and_arguments_are_named() -> None:
    with pytest.raises(PluralError, match="Pool, a table, a Survey or Utilities"):
        pnb.JuryBuilder([1, 2])  # type: ignore[arg-type]
    with pytest.raises(PluralError, match="'age'"):
        pnb.JuryBuilder(pnb.Utilities.of({"A": np.ones(60)}, traits=PEOPLE), features=["ages"])
    with pytest.raises(PluralError, match="'leximin'"):
        pnb.JuryBuilder(PEOPLE, method="lexmin")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'seats'"):
        pnb.JuryBuilder(PEOPLE, seat=3)


def test_another_panel_does_not_load_what_seating_needs() -> None:
    told = "import sys, plural_nb as pnb; pnb.Explorer; print('plural_nb.jury.sortition' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", told], text=True).strip() == "False"
