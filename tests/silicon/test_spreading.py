"""Asking over executors: the same numbers, and processes that die take no answer along."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from plural_nb.errors import Cancelled, ModelCrashed, ModelError
from plural_nb.silicon import shards as in_process
from plural_nb.silicon.holding import HeldModel
from plural_nb.silicon.model import Model, open_model
from plural_nb.silicon.prompt import Prompt
from plural_nb.silicon.settings import Settings
from plural_nb.silicon.shards import Answered, Shard, cut
from plural_nb.silicon.spreading import Lost, spread
from plural_nb.survey.question import ask_for

from .conftest import piece_vocabulary

QUESTION = ask_for("Tea or coffee?", ["Tea", "Coffee"])
CROWD = [f"I am person number {i} of many." for i in range(300)]
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
SPAWN = multiprocessing.get_context("spawn")


def workers() -> set[int]:
    """The model processes below this one, those of a pool's processes included."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        try:
            if "plural_nb.silicon.worker" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.add(child.pid)
        except psutil.Error:
            continue
    return found


def gone(pids: set[int], seconds: float = 20.0) -> bool:
    """Whether processes end by themselves; the time is patience, not a claim."""
    until = time.monotonic() + seconds
    while any(psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE for p in pids):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    in_process.close_held()
    in_process._held = None
    assert gone(workers())


@pytest.fixture
def in_store(tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: tmp_path / f"{name}.sqlite"


def test_a_pool_gives_the_same_numbers_and_a_second_ask_needs_none(tiny: Model, in_store: Callable) -> None:
    with tiny.remembering_in(in_store("here")):
        here = tiny.ask(QUESTION, persona=CROWD, examples=0)
    seen: list[tuple[int, int]] = []
    # Both processes wait for each other before the first shard: on a busy machine one might answer all before the other
    # has started.
    with ProcessPoolExecutor(2, mp_context=SPAWN, initializer=SPAWN.Barrier(2).wait, initargs=(60,)) as pool:
        there = tiny.ask(QUESTION, persona=CROWD, examples=0, executor=pool, on_progress=lambda *p: seen.append(p))
        models = workers() - {tiny._process.pid}
        assert len(models) == 2  # one for each process, whatever the number of shards
    assert there.rows == pytest.approx(here.rows, abs=2e-4)
    assert [r.tokens for r in there.replies] == [r.tokens for r in here.replies]
    assert seen[0] == (0, 300)
    assert seen[-1] == (300, 300)
    assert gone(models)
    again = tiny.ask(QUESTION, persona=CROWD, examples=0, executor=lambda: pytest.fail("nothing was unknown"))
    assert np.array_equal(again.rows, there.rows)


def test_dask_gives_the_same_numbers_and_survives_a_lost_worker(
    tiny: Model, in_store: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE", "false")
    with tiny.remembering_in(in_store("here")):
        here = tiny.ask(QUESTION, persona=CROWD, examples=0)
    killed: list[int] = []
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, scheduler_port=0
        ) as cluster,
        distributed.Client(cluster) as client,
    ):

        def lose_one(done: int, _: int) -> None:
            if done and not killed:
                [killed_pid, *_] = client.run(os.getpid).values()
                killed.append(killed_pid)
                os.kill(killed_pid, signal.SIGKILL)

        there = tiny.ask(QUESTION, persona=CROWD, examples=0, executor=client.get_executor(), on_progress=lose_one)
    assert killed
    assert there.rows == pytest.approx(here.rows, abs=2e-4)


@POSIX
def test_a_pool_process_killed_in_mid_run_costs_no_answer(tiny: Model, in_store: Callable) -> None:
    with tiny.remembering_in(in_store("undisturbed")), ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        undisturbed = tiny.ask(QUESTION, persona=CROWD, examples=0, executor=pool)
    killed: list[int] = []

    def kill_one(done: int, _: int) -> None:
        if done and not killed:
            killed.append(next(iter(pool._processes)))
            os.kill(killed[0], signal.SIGKILL)

    with ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        disturbed = tiny.ask(QUESTION, persona=CROWD, examples=0, executor=pool, on_progress=kill_one)
    assert killed
    assert np.array_equal(disturbed.rows, undisturbed.rows)  # whole shards, asked again from the start


def test_a_resumed_run_is_identical_to_an_undisturbed_one(tiny: Model, in_store: Callable) -> None:
    with ThreadPoolExecutor(1) as pool:
        with tiny.remembering_in(in_store("undisturbed")):
            undisturbed = tiny.ask(QUESTION, persona=CROWD, examples=0, executor=pool)

        def stop(done: int, _: int) -> None:
            if done >= 100:
                raise KeyboardInterrupt

        with tiny.remembering_in(in_store("resumed")):
            with pytest.raises(KeyboardInterrupt):
                tiny.ask(QUESTION, persona=CROWD, examples=0, executor=pool, on_progress=stop)
            assert 100 <= len(tiny._memory) < 300
        # another session, which also knows answers that were asked alone
        with tiny.remembering_in(in_store("resumed")):
            resumed = tiny.ask(QUESTION, persona=CROWD, examples=0, executor=pool)
    assert np.array_equal(resumed.rows, undisturbed.rows)


def test_a_prompt_that_kills_two_workers_is_named_by_its_person_and_the_rest_is_kept(
    write_model: Callable[..., Path],
) -> None:
    deadly = "I am naïve."  # which this vocabulary cannot write: llama.cpp aborts
    crowd = [*CROWD[:100], deadly]
    with open_model(write_model(vocabulary=piece_vocabulary())) as model, ThreadPoolExecutor(1) as pool:
        with pytest.raises(
            ModelCrashed, match=r"cannot write.*answer persona 101\. All other answers are kept"
        ) as caught:
            model.ask(QUESTION, persona=crowd, examples=0, executor=pool)
        assert caught.value.log
        assert len(model._memory) == 100
        assert in_process._held is not None
        assert model.ask(QUESTION, persona=crowd[:100], examples=0, executor=lambda: None).answered.all()


class FakePool(ProcessPoolExecutor):
    """A pool of two whose processes die of some shards; it breaks as `ProcessPoolExecutor` does, all at once."""

    log: list[Any] = []  # noqa: RUF012
    deadly: frozenset[int] = frozenset()
    accidents: frozenset[int] = frozenset()  # which of its runs break, whatever they hold
    runs: int = 0

    def __init__(
        self, max_workers: int = 2, mp_context: Any = None, initializer: Any = None, initargs: Any = ()
    ) -> None:
        self._max_workers, self._mp_context, self._initializer, self._initargs = max_workers, None, None, ()
        self._now: list[tuple[int, Future[Answered]]] = []
        FakePool.log.append("made")

    def submit(self, fn: Any, shard: Shard, /) -> Future[Answered]:  # type: ignore[override]
        future: Future[Answered] = Future()
        self._now.append((shard.prompts[0]["number"], future))
        threading.Timer(0.02, self._work).start()
        return future

    def _work(self) -> None:
        now, self._now = self._now, []
        numbers = [number for number, _ in now]
        FakePool.log.append(numbers)
        dies = bool(FakePool.deadly & set(numbers))
        if numbers:
            FakePool.runs, dies = FakePool.runs + 1, dies or FakePool.runs in FakePool.accidents
        for _, future in now:
            if dies:
                future.set_exception(BrokenProcessPool("died"))
            else:
                future.set_result(Answered(()))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        FakePool.log.append("ended")


@pytest.fixture
def fake() -> type[FakePool]:
    FakePool.log, FakePool.deadly, FakePool.accidents, FakePool.runs = [], frozenset(), frozenset(), 0
    return FakePool


def run(pool: Any, n: int = 7) -> tuple[list[int], list[Lost]]:
    done: list[int] = []
    shards = [Shard("m.gguf", b"", Settings(1), ({"number": i},)) for i in range(n)]
    lost = spread(shards, pool, on_answered=lambda i, _: done.append(i), stop=threading.Event())
    return sorted(done), lost


@pytest.mark.parametrize("deadly", [{0}, {3}, {6}, {2, 3}, {5, 6}, {0, 2, 4}])
def test_shards_that_kill_are_found_and_all_others_answered(fake: type[FakePool], deadly: set[int]) -> None:
    fake.deadly = frozenset(deadly)
    done, lost = run(fake())
    assert {one.shard for one in lost} == deadly
    assert done == [i for i in range(7) if i not in deadly]
    tries = [number for batch in fake.log if isinstance(batch, list) for number in batch]
    assert all(tries.count(number) == 2 for number in deadly)
    assert fake.log.count("ended") == fake.log.count("made") - 1  # the pool that was given is for its owner to end


def test_a_pool_that_breaks_twice_without_a_shard_to_blame_is_given_up(fake: type[FakePool]) -> None:
    fake.accidents = frozenset({0, 4})
    with pytest.raises(ModelCrashed, match=r"broke twice.*kept"):
        run(fake())


def test_a_pool_that_breaks_whatever_it_is_given_is_given_up(fake: type[FakePool]) -> None:
    fake.deadly = frozenset(range(100))
    with pytest.raises(ModelCrashed, match="whatever it is given"):
        run(fake(), 100)
    assert fake.log.count("made") < 8


def test_one_accident_costs_nothing(fake: type[FakePool]) -> None:
    fake.accidents = frozenset({0})
    assert run(fake()) == (list(range(7)), [])
    assert fake.log.count("made") == 2


def test_cancelling_a_run_on_a_pool_keeps_what_is_done(tiny: Model) -> None:
    begun = threading.Event()
    outcome: list[BaseException] = []

    def ask() -> None:
        try:
            with ThreadPoolExecutor(1) as pool:
                tiny.ask(
                    QUESTION,
                    persona=CROWD,
                    examples=0,
                    executor=pool,
                    on_progress=lambda done, _: done and begun.set(),
                )
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert begun.wait(60)
    tiny.cancel()
    thread.join(60)
    assert isinstance(outcome[0], Cancelled)
    assert 0 < len(tiny._memory) < 300


def test_what_cannot_be_asked_is_said_as_without_an_executor(tiny: Model) -> None:
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ModelError, match="more than the context"):
            tiny.ask(QUESTION, persona="long " * 2000, examples=0, executor=pool)
        with pytest.raises(ModelError, match=r"Give a concurrent\.futures\.Executor"):
            tiny.ask(QUESTION, persona="new", examples=0, executor=lambda: "two")


def test_another_file_at_the_same_path_is_noticed(tiny: Model) -> None:
    shard = Shard(str(tiny.file.path), b"another", Settings(1))
    with pytest.raises(ModelError, match="is not the model that was opened"):
        in_process.answer(shard)


def test_a_model_that_cannot_be_loaded_elsewhere_is_no_prompts_fault(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def die(_: HeldModel) -> None:
        tries.append(1)
        raise ModelCrashed("no memory")

    monkeypatch.setattr(HeldModel, "start", die)
    with ThreadPoolExecutor(1) as pool, pytest.raises(ModelCrashed, match=r"^no memory$"):
        tiny.ask(QUESTION, persona=CROWD, examples=0, executor=pool)
    assert len(tries) <= 2  # a second shard may have been handed out


def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process, "cores", lambda: 8)
    made = [in_process._threads(Shard("", b"", Settings(6), (), processes)) for processes in (0, 1, 2, 3, 16)]
    assert made == [6, 6, 4, 2, 1]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_shards_hold_each_prompt_once_whatever_the_order(size: int) -> None:
    prompts = [Prompt(f"{i % 50}", (), (("A",),), (0,)) for i in range(120)]
    shards = cut(prompts, size)
    assert sorted(p.text for shard in shards for p in shard) == sorted({p.text for p in prompts})
    assert shards == cut(prompts[::-1], size)


SCRIPT = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from plural_nb.silicon.holding import HeldModel
from plural_nb.silicon.model import open_model
from plural_nb.survey.question import ask_for

if __name__ == "__main__":
    crowd = [f"I am person number {i} of many." for i in range(200)]
    context = multiprocessing.get_context(sys.argv[2])
    # Both processes start before the first shard, or one might answer all and the other hold no model.
    pool = ProcessPoolExecutor(2, mp_context=context, initializer=context.Barrier(2).wait, initargs=(60,))
    with open_model(sys.argv[1]) as model:
        model.ask(ask_for("Tea?", ["Yes", "No"]), persona=crowd, examples=0, executor=pool)
        print("asked", flush=True)
        time.sleep(600)
"""


@POSIX
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_parent_killed_outright_leaves_no_model_behind(tiny_path: Path, tmp_path: Path, context: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, str(script), str(tiny_path), context], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "asked\n"
    below = psutil.Process(parent.pid).children(recursive=True)
    models = {p.pid for p in below if "plural_nb.silicon.worker" in p.cmdline()}
    assert len(models) == 3
    parent.kill()
    parent.wait()
    assert gone(models)
    for process in below:  # the pool's own processes wait for work for ever, as Python leaves them
        if process.is_running() and process.pid not in models:
            process.kill()
