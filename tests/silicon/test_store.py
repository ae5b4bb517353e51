from __future__ import annotations

import datetime
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plural_nb.silicon import remembering
from plural_nb.silicon import store as stores
from plural_nb.silicon.gguf import read_model_file
from plural_nb.silicon.model import Model, open_model
from plural_nb.silicon.remembering import Memory
from plural_nb.silicon.store import Store, StoreWarning
from plural_nb.survey.question import ask_for

from .conftest import CHATML

QUESTION = ask_for("Tea or coffee?", ["Tea", "Coffee"])
CROWD = [f"I am person number {i} of many." for i in range(300)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "answers.sqlite")


@pytest.mark.parametrize("seed", range(6))
def test_many_keys_are_found_wherever_they_stand(store: Store, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    monkeypatch.setattr(stores, "_READ_AT_ONCE", 700)
    kept = {draw.randbytes(32): draw.randbytes(20) for _ in range(9_000)}
    store.put(kept)
    store.flush()
    keys = list(kept)
    store.change(lambda c: c.executemany("DELETE FROM replies WHERE key = ?", [(k,) for k in keys[3_000:4_000]]))
    known = {key: kept[key] for key in keys[:3_000] + keys[4_000:]}
    for some in (
        keys,
        keys[2_500:5_000],
        draw.sample(keys, 2_000),  # sparse among the others
        keys[:1_500] + keys[-1_500:],  # of two runs
        [draw.randbytes(32) for _ in range(2_500)] + keys[:1],
        keys[5_000:8_000] + [draw.randbytes(32) for _ in range(2_500)],
    ):
        draw.shuffle(some := list(some))
        assert store.get(some) == {key: known[key] for key in some if key in known}


def test_tokens_that_another_kernel_was_first_to_see_are_spelled(tiny_path: Path) -> None:
    with open_model(tiny_path) as one, open_model(tiny_path) as other:
        one.ask(QUESTION, examples=0)
        known = one._memory.known(other.prepare(QUESTION, persona="Ωmega", examples=0))
        assert known == [None]
        told = other.ask(QUESTION, persona="Ωmega", examples=0)
        other._memory.store.flush()
        [reply] = one._memory.known(other.prepare(QUESTION, persona="Ωmega", examples=0))
        assert reply is not None
        assert reply.pieces == told.replies[0].pieces


def test_another_session_finds_every_reply_whole(tiny_path: Path) -> None:
    question = ask_for("Tea, coffee or coffee with milk?", ["Tea", "Coffee", "Coffee with milk"])
    asked = [{"method": "letter"}, {"method": "text"}, {"method": "sampled", "samples": 10}]
    with open_model(tiny_path) as model:
        first = [model.ask(question, persona=["Ünlü ☃", ""], **how) for how in asked]
    with open_model(tiny_path) as model:
        model._process.close()
        second = [model.ask(question, persona=["Ünlü ☃", ""], **how) for how in asked]
        assert not model._process.alive  # nothing had to be asked
    for a, b in zip(first, second, strict=True):
        assert a.replies == b.replies
        assert [reply.pieces for reply in a.replies] == [reply.pieces for reply in b.replies]
        assert np.array_equal(a.rows, b.rows)


def test_other_ways_to_ask_are_other_answers(tiny: Model) -> None:
    memory = tiny._memory
    ways = [{}, {"method": "text"}, {"method": "sampled"}, {"method": "sampled", "seed": 1}, {"order": "reversed"}]
    ways += [{"persona": "I am old."}, {"system": "Poll."}, {"method": "sampled", "samples": 7}]
    keys = [memory.key(tiny.prepare(QUESTION, examples=0, **how)[0]) for how in ways]
    assert len(set(keys)) == len(ways)
    assert Memory(tiny.file, "another version").key(tiny.prepare(QUESTION, examples=0)[0]) not in keys


def test_a_template_that_writes_the_date_is_asked_anew_the_next_day(
    write_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {}
    for name, template in (("dated", "{{ strftime_now('%d %B') }}" + CHATML), ("plain", CHATML)):
        with open_model(write_model(tokenizer__chat_template=template)) as model:
            prompt = model.prepare(QUESTION)[0]
            today = model._memory.key(prompt)

            class Tomorrow(datetime.date):
                @classmethod
                def today(cls) -> datetime.date:
                    return datetime.date(2100, 1, 1)

            with monkeypatch.context() as patch:
                patch.setattr(remembering.datetime, "date", Tomorrow)
                keys[name] = model._memory.key(prompt) == today
    assert keys == {"dated": False, "plain": True}


def test_a_file_changed_in_place_is_another_model(write_model: Callable[..., Path], tmp_path: Path) -> None:
    path = write_model(folder=tmp_path, seed=1)
    first = remembering.content_hash(path)
    facts = path.stat()
    write_model(folder=tmp_path, seed=2)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    assert path.stat().st_size == facts.st_size
    assert remembering.content_hash(path) != first


RUN = """
import sys
from plural_nb.silicon.model import open_model
from plural_nb.survey.question import ask_for
crowd = [f"I am person number {i} of many." for i in range(300)]
with open_model(sys.argv[1], threads=1) as model:
    print(model._process.pid, flush=True)
    model.ask(ask_for("Tea or coffee?", ["Tea", "Coffee"]), persona=crowd, examples=0,
              on_progress=lambda done, _: print(done, flush=True))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_a_run_that_is_killed_ten_times_ends_with_every_answer_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the demo model, whose F16 numbers depend a little on what is decoded together."""
    with open_model("plural-demo-base") as model:
        assert model.file.quantisation == "F16"
        undisturbed = model.ask(QUESTION, persona=CROWD, examples=0).rows
    monkeypatch.setenv("PLURAL_NB_CACHE", str(tmp_path))
    draw, begun = random.Random(0), []
    for i in range(10):
        run = subprocess.Popen([sys.executable, "-c", RUN, "plural-demo-base"], stdout=subprocess.PIPE, text=True)
        worker = int(run.stdout.readline())
        begun.append(int(run.stdout.readline()))
        for _ in range(draw.randrange(1, 4)):
            run.stdout.readline()
        os.kill(worker if i % 2 else run.pid, signal.SIGKILL)  # in turn the worker and the kernel
        run.communicate()
    assert begun == sorted(begun)  # nothing that was on disk is lost again
    assert begun[-1] > 0
    with open_model("plural-demo-base") as model:
        resumed = model.ask(QUESTION, persona=CROWD, examples=0)
    assert resumed.rows == pytest.approx(undisturbed, abs=2e-4)
    with sqlite3.connect(tmp_path / "answers.sqlite") as file:
        assert file.execute("SELECT count(*), count(DISTINCT key) FROM replies").fetchone() == (300, 300)


WRITE = """
import sys
from pathlib import Path
from plural_nb.silicon.store import Store
store = Store(Path(sys.argv[1]))
for i in range(400):
    store.put({f"{i} {j}".encode(): f"value {i} {j}".encode() for j in range(5)})
    store.flush()
"""


def test_two_processes_write_the_same_keys_at_once(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    runs = [subprocess.Popen([sys.executable, "-W", "error", "-c", WRITE, str(path)]) for _ in range(2)]
    assert [run.wait(120) for run in runs] == [0, 0]
    store = Store(path)
    assert len(store) == 2000
    assert store.get([b"7 3"]) == {b"7 3": b"value 7 3"}


@pytest.mark.parametrize("spoil", ["no database", "broken pages", "other version"])
def test_a_damaged_store_is_set_aside_and_rebuilt(store: Store, spoil: str) -> None:
    store.put({str(i).encode(): bytes(500) for i in range(2000)})
    store.close()
    raw = store.path.read_bytes()
    if spoil == "no database":
        store.path.write_bytes(b"this is no database" * 1000)
    elif spoil == "broken pages":
        store.path.write_bytes(raw[:4096] + bytes(b ^ 0xFF for b in raw[4096:]))
    else:
        with sqlite3.connect(store.path) as file:
            file.execute("PRAGMA user_version = 99")
    damaged = store.path.read_bytes()
    again = Store(store.path)
    with pytest.warns(StoreWarning, match=r"set aside as answers\.damaged-1\.sqlite"):
        assert again.get([b"5"]) == {}
    again.put({b"5": b"new"})
    again.flush()
    assert store.path.with_name("answers.damaged-1.sqlite").stat().st_size == len(damaged)
    assert again.get([b"5"]) == {b"5": b"new"}


def test_a_full_disk_stops_the_writing_not_the_asking(tiny: Model) -> None:
    tiny.ask(QUESTION, persona="I am first.", examples=0)
    connection = tiny._memory.store._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own SQLITE_FULL, as from the disk
    with pytest.warns(StoreWarning, match=r"(?s)full.*this session only.*PLURAL_NB_CACHE"):
        answers = tiny.ask(QUESTION, persona=CROWD, examples=0)
    assert answers.answered.all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once
        assert tiny.ask(QUESTION, persona=[*CROWD, "I am new."], examples=0).answered.all()
    with open_model(tiny.file.path) as model:
        prompt = model.prepare(QUESTION, persona="I am first.", examples=0)
        assert model._memory.known(prompt) != [None]


FULL = """
import sys, warnings
from pathlib import Path
from plural_nb.silicon.model import open_model
from plural_nb.silicon.store import Store
from plural_nb.survey.question import ask_for
crowd = [f"I am person number {i} of many." for i in range(1000)]
with warnings.catch_warnings(record=True) as told, open_model(sys.argv[1], threads=1) as model:
    warnings.simplefilter("always")
    answers = model.ask(ask_for("Tea or coffee?", ["Tea", "Coffee"]), persona=crowd, examples=0)
print(answers.answered.sum(), *[w.message for w in told], sep="\\n")
"""


def test_a_disk_that_is_really_full_costs_no_answer(tiny_path: Path, tmp_path: Path) -> None:
    def on_small_disk(*command: str) -> subprocess.CompletedProcess[str]:
        mounted = 'mount -t tmpfs -o size=120k none "$0" && PLURAL_NB_CACHE="$0" exec "$@"'
        whole = ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, str(tmp_path), *command]
        return subprocess.run(whole, capture_output=True, text=True, check=False)

    if not shutil.which("unshare") or on_small_disk("true").returncode:
        pytest.skip("this machine does not let a user mount a small disk")
    done = on_small_disk(sys.executable, "-c", FULL, str(tiny_path))
    assert done.returncode == 0, done.stderr
    answered, warning = done.stdout.splitlines()
    assert answered == "1000"
    assert "full" in warning
    assert "this session only" in warning


def test_a_read_only_cache_is_still_read(tiny_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_model(tiny_path) as model:
        first = model.ask(QUESTION, examples=0)
    monkeypatch.setattr(stores.os, "access", lambda *_: False)
    with open_model(tiny_path) as model:
        with pytest.warns(StoreWarning, match="read-only"):
            assert model.ask(QUESTION, examples=0).replies == first.replies
        assert model.ask(QUESTION, persona="I am new.", examples=0).answered.all()
        assert model.ask(QUESTION, persona="I am new.", examples=0).answered.all()
    assert len(Store(own_cache / "answers.sqlite")) == 1


def test_a_cache_that_cannot_be_made_is_said_and_asking_goes_on(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PLURAL_NB_CACHE", str(tmp_path / "file"))
    with open_model(tiny_path) as model, pytest.warns(StoreWarning):
        assert model.ask(QUESTION, persona=CROWD[:3], examples=0).answered.all()


def test_a_clock_that_goes_backwards_loses_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(1000, 0, -1))
    monkeypatch.setattr(stores.time, "monotonic", lambda: float(next(ticks)))
    monkeypatch.setattr(stores.time, "time", lambda: float(next(ticks)))
    for i in range(20):
        store.put({bytes([i]): b"v"})
    store.close()
    assert len(Store(store.path)) == 20


def test_pruning_drops_the_oldest_and_makes_the_file_smaller(store: Store) -> None:
    for i in range(100):
        store.put({i.to_bytes(2, "big"): bytes(10_000)})
        store.flush()
    before = store.size_bytes
    assert before > 1_000_000
    assert store.prune(300_000) == 71  # 29 of 10,042 bytes fit
    assert store.size_bytes < before / 2
    assert store.get([(0).to_bytes(2, "big")]) == {}
    assert (99).to_bytes(2, "big") in store.get([(99).to_bytes(2, "big")])


@pytest.mark.parametrize(("kind", "journal"), [("ext4", "wal"), ("overlay", "delete"), ("nfs4", "delete")])
def test_file_systems_without_shared_memory_get_a_rollback_journal(
    store: Store, monkeypatch: pytest.MonkeyPatch, kind: str, journal: str
) -> None:
    monkeypatch.setattr(stores, "_file_system", lambda _: kind)
    store.put({b"k": b"v"})
    store.flush()
    assert store.journal == journal
    assert ("rollback journal" in store.note and kind in store.note) == (journal == "delete")


def test_a_forked_child_opens_its_own_connection(store: Store) -> None:
    store.put({b"k": b"v"})
    store.flush()
    child = os.fork()
    if child == 0:
        os._exit(0 if store.get([b"k"]) == {b"k": b"v"} else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    "value", [b"", b"\xff\xff\xff\xff nonsense", bytes(11), bytes(13), bytes(12) + b"\xff\xff\xff\x7f"]
)
def test_a_value_by_other_hands_is_asked_again(tiny: Model, value: bytes) -> None:
    [prompt] = tiny.prepare(QUESTION, examples=0)
    tiny._memory.store.put({tiny._memory.key(prompt): value})
    tiny._memory.store.flush()
    answers = tiny.ask(QUESTION, examples=0)
    assert answers.answered.all()
    assert "".join(answers.replies[0].pieces).endswith("Answer:")
    assert json.dumps(read_model_file(tiny.file.path).name) == '"tiny"'
