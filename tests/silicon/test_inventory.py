"""What the store holds by model and day, deleting of it, and the command that does both."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plural_nb import cli, doctor
from plural_nb.errors import ModelError
from plural_nb.silicon import inventory
from plural_nb.silicon import store as stores
from plural_nb.silicon.inventory import holdings, prune
from plural_nb.silicon.model import open_model
from plural_nb.silicon.store import Store, StoreWarning
from plural_nb.survey.question import ask_for

QUESTION = ask_for("Tea or coffee?", ["Tea", "Coffee"])


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """calendar(day) is what the clock says from now on."""

    def set_to(day: str) -> None:
        class Day(datetime.date):
            @classmethod
            def today(cls) -> datetime.date:
                return datetime.date.fromisoformat(day)

        for module in (stores, inventory):
            monkeypatch.setattr(module.datetime, "date", Day)

    return set_to


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "answers.sqlite")
    yield made
    made.close()


def put(store: Store, model: str, *numbers: int) -> None:
    store.put(
        {f"{model} {i}".encode(): bytes(1000) for i in numbers},
        model=model.encode(),
        name=f"{model} · F16",
        pieces=[(0, model)],
    )
    store.flush()


def kept(store: Store) -> set[str]:
    return {key.decode() for (key,) in store.read("SELECT key FROM replies")}


def test_holdings_are_counted_by_model_and_day(store: Store, calendar: Callable[[str], None]) -> None:
    calendar("2026-01-01")
    put(store, "one", *range(10))
    put(store, "two", *range(3))
    calendar("2026-03-01")
    put(store, "one", *range(5, 20))  # five of these are known
    found = {one.name: (one.replies, one.first_day, one.last_day) for one in holdings(store)}
    assert found == {
        "one · F16": (20, "2026-01-01", "2026-03-01"),
        "two · F16": (3, "2026-01-01", "2026-01-01"),
    }
    assert sum(one.size_bytes for one in holdings(store)) == pytest.approx(23 * 1045, rel=0.01)
    old = {one.name: one.replies for one in holdings(store, older_than=30)}
    assert old == {"one · F16": 10, "two · F16": 3}
    assert [one.name for one in holdings(store, name="TWO")] == ["two · F16"]
    assert holdings(store, older_than=100) == []


def test_runs_of_one_day_are_one_row(store: Store) -> None:
    for i in range(50):
        put(store, "one", i)
    assert len(store.read("SELECT * FROM runs")) == 1


def test_pruning_by_model_or_age_deletes_these_and_no_others(store: Store, calendar: Callable[[str], None]) -> None:
    calendar("2026-01-01")
    put(store, "one", *range(100))
    put(store, "two", *range(100))
    calendar("2026-03-01")
    put(store, "one", *range(100, 110))
    before = store.size_bytes
    assert prune(store, holdings(store, name="one", older_than=7))
    assert kept(store) == {f"two {i}" for i in range(100)} | {f"one {i}" for i in range(100, 110)}
    assert store.size_bytes < before * 0.7
    assert store.pieces(b"one") == {0: "one"}
    assert prune(store, holdings(store, name="two"))
    assert kept(store) == {f"one {i}" for i in range(100, 110)}
    assert store.pieces(b"two") == {}
    put(store, "two", 5)
    assert {one.name: one.replies for one in holdings(store)} == {"one · F16": 10, "two · F16": 1}


def test_numbers_that_come_again_belong_to_the_new_run(store: Store) -> None:
    put(store, "one", *range(10))
    store.prune(0)
    put(store, "two", *range(4))
    assert {one.name: one.replies for one in holdings(store)} == {"two · F16": 4}


def test_replies_from_before_models_were_noted_are_listed_and_pruned(store: Store) -> None:
    put(store, "one", *range(5))
    store.change(lambda connection: connection.execute("DELETE FROM runs"))
    put(store, "two", *range(3))
    found = holdings(store)
    assert {one.name: one.replies for one in found} == {inventory.UNKNOWN: 5, "two · F16": 3}
    assert prune(store, [one for one in found if one.name == inventory.UNKNOWN])
    assert kept(store) == {f"two {i}" for i in range(3)}


def test_an_unknown_model_is_answered_with_the_nearest(store: Store) -> None:
    put(store, "sparrow", 1)
    with pytest.raises(ModelError, match="Did you mean 'sparrow'"):
        holdings(store, name="sparow")


def test_a_clock_that_goes_backwards_loses_nothing(store: Store, calendar: Callable[[str], None]) -> None:
    for day in ("2026-03-01", "2025-01-01", "2026-03-02"):
        calendar(day)
        put(store, "one", *range(hash(day) % 1000, hash(day) % 1000 + 5))
    [one] = holdings(store)
    assert one.replies == len(kept(store))
    assert (one.first_day, one.last_day) == ("2025-01-01", "2026-03-02")


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert cli.main(["store", *arguments]) == 0
    out = capsys.readouterr().out
    return json.loads(out) if "--json" in arguments else out


def test_the_command_lists_says_what_would_go_and_deletes_on_yes(
    tiny_path: Path, own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "0 replies" in command(capsys)
    assert "nothing to delete" in command(capsys, "--prune", "--yes")
    with open_model(tiny_path) as model:
        first = model.ask(QUESTION, persona=[f"I am {i}." for i in range(40)], examples=0)
    listed = command(capsys, "--json")
    assert listed["replies"] == 40
    assert [(m["name"].split(" · ")[0], m["replies"]) for m in listed["models"]] == [("tiny", 40)]
    assert "Add --yes" in command(capsys, "--prune", "--model", "tiny")
    assert "nothing to delete" in command(capsys, "--prune", "--yes", "--older-than", "1")
    assert command(capsys, "--json")["replies"] == 40
    assert "Deleted 40 replies" in command(capsys, "--prune", "--yes", "--model", "tiny")
    assert command(capsys, "--json")["replies"] == 0
    with open_model(tiny_path) as model:
        again = model.ask(QUESTION, persona=[f"I am {i}." for i in range(40)], examples=0)
    assert again.rows == pytest.approx(first.rows, abs=2e-4)


@pytest.mark.parametrize(("arguments", "says"), [(["--yes"], "--prune"), (["--older-than", "soon"], "number of days")])
def test_what_makes_no_sense_is_one_plain_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = cli.main(["store", *arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    assert status == 2
    assert says in capsys.readouterr().err


def test_the_doctor_tells_the_size(tiny_path: Path, own_cache: Path) -> None:
    assert "none yet" in doctor._store().found
    with open_model(tiny_path) as model:
        model.ask(QUESTION, examples=0)
    assert "1 replies in 0.0 MB" in doctor._store().found
    (own_cache / "answers.sqlite").write_bytes(b"this is no database" * 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        assert doctor._store().status == "warn"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
        )
        if sys.platform == "linux"
        else None
    )
    if mounted is None or mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=False)


def test_a_disk_that_is_really_full_stops_the_writing_not_the_asking(
    tiny_path: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = [f"I am person number {i} of many." for i in range(600)]
    monkeypatch.setenv("PLURAL_NB_CACHE", str(small_disk))
    with open_model(tiny_path) as model:
        with pytest.warns(StoreWarning, match=r"this session only.*PLURAL_NB_CACHE"):
            first = model.ask(QUESTION, persona=crowd, examples=0)
        assert first.answered.all()
        again = model.ask(QUESTION, persona=crowd, examples=0)  # from this session's memory
        assert again.replies == first.replies
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        with open_model(tiny_path) as model:  # what was written before the disk was full is there, whole
            fresh = model.ask(QUESTION, persona=crowd, examples=0)
    assert fresh.rows == pytest.approx(first.rows, abs=2e-4)
