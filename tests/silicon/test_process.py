from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from benchmarks.shapes import write_shape

from plural_nb.errors import Cancelled, ModelCrashed, ModelError
from plural_nb.silicon.gguf import read_model_file
from plural_nb.silicon.model import Model, open_model
from plural_nb.silicon.settings import Settings, repacking_crashes
from plural_nb.survey.question import ask_for

from .conftest import CHATML, gone

QUESTION = ask_for("Tea or coffee?", ["Tea", "Coffee"])
CROWD = [f"I am person number {i} of many." for i in range(3000)]
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Start `work` in a thread; its result or exception lands in the list."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


@POSIX
def test_a_worker_killed_in_mid_run_is_explained_and_replaced_and_nothing_is_lost(tiny: Model) -> None:
    done: list[int] = []

    def kill_after_five(answered: int, _: int) -> None:
        done.append(answered)
        if answered >= 5:
            os.kill(tiny._process.pid, signal.SIGKILL)

    with pytest.raises(ModelCrashed, match=r"tiny\.gguf.*SIGKILL.*memory ran out") as caught:
        tiny.ask(QUESTION, persona=CROWD, examples=0, on_progress=kill_after_five)
    assert "llama" in caught.value.log
    assert tiny.log == caught.value.log
    kept = len(tiny._memory)
    assert kept >= 5
    first = []
    tiny.ask(QUESTION, persona=CROWD[:50], examples=0, on_progress=lambda *p: first.append(p))
    assert first[0][0] > 0  # some of these were answered before the crash
    assert first[-1] == (50, 50)


@POSIX
@pytest.mark.parametrize(("number", "safe"), [(signal.SIGSEGV, True), (signal.SIGKILL, False)])
def test_a_native_crash_in_mid_run_makes_the_next_start_a_safe_one(tiny: Model, number: int, safe: bool) -> None:
    def crash(done: int, _: int) -> None:
        if done >= 3:
            os.kill(tiny._process.pid, number)

    with pytest.raises(ModelCrashed):
        tiny.ask(QUESTION, persona=CROWD, examples=0, on_progress=crash)
    assert tiny.ask(QUESTION, examples=0).answered.all()
    assert tiny.settings.extra_buffers is not safe
    assert not repacking_crashes()  # once in a run is no proof for the whole machine


@POSIX
def test_a_worker_that_died_between_calls_is_replaced_in_silence(tiny: Model) -> None:
    os.kill(tiny._process.pid, signal.SIGKILL)
    tiny._process._process.wait(60)
    assert tiny.ask(QUESTION, examples=0).answered.all()


def test_a_cancelled_run_keeps_its_worker_and_its_replies(tiny: Model) -> None:
    worker = tiny._process.pid
    started = threading.Event()
    thread, outcome = in_thread(
        lambda: tiny.ask(QUESTION, persona=CROWD, examples=0, on_progress=lambda d, _: d > 3 and started.set())
    )
    assert started.wait(60)
    tiny.cancel()
    thread.join(60)
    assert isinstance(outcome[0], Cancelled)
    assert 3 < len(tiny._memory) < len(CROWD)
    assert tiny.ask(QUESTION, examples=0).answered.all()
    assert tiny._process.pid == worker


def test_cancelling_when_nothing_runs_does_nothing_to_the_next_request(tiny: Model) -> None:
    tiny.cancel()
    tiny.ask(QUESTION, examples=0)
    tiny.cancel()
    assert tiny.ask(QUESTION, persona="I am new.", examples=0).answered.all()


ABORT = """
import ctypes, json, sys, threading, time
from plural_nb.errors import Cancelled
from plural_nb.silicon.engine import LlamaModel
stop = ctypes.create_string_buffer(2)
m = LlamaModel(sys.argv[1], threads=1, extra_buffers=False, context=None, cancelled=stop)
prompt = tuple(i % 250 for i in range(500))
truth = m.next_logits(prompt)
m.forget()
m._is_cancelled = lambda: False  # only llama.cpp itself can notice now, in mid-decode
stop[0] = b"\\1"
try:
    m.next_logits(prompt)
    outcome = "finished"
except Cancelled:
    outcome = "cancelled"
stop[0] = b"\\0"
remembered = list(m._decoded)
print(json.dumps([outcome, remembered, float(abs(m.next_logits(prompt) - truth).max())]))
"""


def test_llama_cpp_itself_stops_within_a_decode_and_starts_clean(
    tiny_path: Path, run_python: Callable[..., Any]
) -> None:
    outcome, remembered, difference = run_python(ABORT, tiny_path)
    assert outcome == "cancelled"
    assert remembered == []
    assert difference < 1e-4


def test_an_error_in_a_progress_callback_reaches_the_caller_and_frees_the_worker(tiny: Model) -> None:
    def fail(done: int, _: int) -> None:
        if done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny.ask(QUESTION, persona=CROWD, examples=0, on_progress=fail)
    worker = tiny._process.pid
    assert tiny.ask(QUESTION, persona="Über 100 % — naïve?", examples=0).answered.all()
    assert tiny._process.pid == worker


INTERRUPTED = """
import json, os, signal, sys, threading
from plural_nb.silicon.model import open_model
from plural_nb.survey.question import ask_for
question = ask_for("Tea or coffee?", ["Tea", "Coffee"])
crowd = [f"I am person number {i} of many." for i in range(3000)]
told, seen, half = [], [], threading.Event()
def report(done, total):
    seen.append(done)
    if done > 3:
        half.set()
def press():
    half.wait()
    os.killpg(0, signal.SIGINT)  # as a terminal does: to the script and to all that it started
threading.Thread(target=press, daemon=True).start()
model = open_model(sys.argv[1], threads=1)
worker = model._process.pid
try:
    model.ask(question, persona=crowd, examples=0, on_progress=report)
except KeyboardInterrupt:
    told.append(seen[-1])
again = []
answers = model.ask(question, persona=crowd, examples=0, on_progress=lambda done, _: again.append(done))
print(json.dumps([told, again[0], int(answers.answered.sum()), model._process.pid == worker, worker]))
"""


@POSIX
def test_an_interrupt_at_the_keyboard_keeps_what_was_answered_and_the_worker(tiny_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(tiny_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    [before], known, answered, same, worker = json.loads(done.stdout)
    assert 3 < before <= known < 3000
    assert answered == 3000
    assert same
    assert gone(worker)


def test_closing_ends_a_run_in_another_thread(tiny: Model) -> None:
    started = threading.Event()
    thread, outcome = in_thread(
        lambda: tiny.ask(QUESTION, persona=CROWD, examples=0, on_progress=lambda d, _: d > 3 and started.set())
    )
    assert started.wait(60)
    worker = tiny._process.pid
    tiny.close()
    thread.join(60)
    assert isinstance(outcome[0], Cancelled)
    assert gone(worker)


def test_two_threads_may_ask_one_model_at_once(tiny: Model) -> None:
    asked = [[f"I am {name} {i}." for i in range(20)] for name in ("Ann", "Bob")]
    runs = [in_thread(lambda p=p: tiny.ask(QUESTION, persona=p, examples=0)) for p in asked]
    for thread, _ in runs:
        thread.join(60)
    alone = [tiny.ask(QUESTION, persona=p, examples=0).rows for p in asked]
    for (_, [answers]), rows in zip(runs, alone, strict=True):
        assert answers.rows == pytest.approx(rows, abs=0)


LARGE_VOCABULARY = """
import ctypes, json, sys
import numpy as np
from plural_nb.silicon import engine
engine._OUTPUT_FLOATS = int(sys.argv[2])  # rows of logits are few where a vocabulary is large
m = engine.LlamaModel(sys.argv[1], threads=1, extra_buffers=False, context=None,
                      cancelled=ctypes.create_string_buffer(2))
m.warm_up()
prompts = sorted((*range(60), i, j) for i in range(20) for j in range(10))
m.require_context(62)
odds = [np.exp(z - z.max()) for _, logits in m.evaluate(prompts) for z in logits]
print(json.dumps([float(row[7] / row.sum()) for row in odds]))
"""


def test_few_rows_of_logits_give_the_same_answers(tiny_path: Path, run_python: Callable[..., Any]) -> None:
    few, many = (run_python(LARGE_VOCABULARY, tiny_path, floats) for floats in (1, 10_000_000))
    assert len(few) == 200
    assert few == pytest.approx(many, abs=2e-3)


@pytest.mark.parametrize("users", [None, "7"])
def test_a_workers_threads_spin_briefly_and_then_sleep_unless_the_user_says_otherwise(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch, users: str | None
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    if users is not None:
        monkeypatch.setenv("GOMP_SPINCOUNT", users)
    with open_model(tiny_path) as model:
        seen = psutil.Process(model._process.pid).environ()
    assert seen["OMP_WAIT_POLICY"] == "passive"
    assert seen["GOMP_SPINCOUNT"] == (users or "1000")


@pytest.mark.parametrize("path", [None, "", ".", "{here}"])
def test_modules_in_the_users_folder_stay_out_of_the_worker(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str | None
) -> None:
    for name in ("json", "numpy", "llama_cpp", "jinja2", "signal"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    if path is not None:
        monkeypatch.setenv("PYTHONPATH", path.format(here=tmp_path))
    with open_model(tiny_path) as model:
        assert model.ask(QUESTION, examples=0).answered.all()


def test_the_worker_imports_neither_polars_nor_charts(write_model: Callable[..., Path]) -> None:
    with open_model(write_model(tokenizer__chat_template=CHATML)) as model:
        model.ask(QUESTION)
        with model._asking:
            loaded = set(model._held.request("modules")["modules"])
    assert {"numpy", "llama_cpp"} <= loaded
    unwanted = {"polars", "altair", "anywidget", "ipywidgets", "IPython", "statsmodels", "scipy", "pandas"}
    assert not unwanted & loaded
    ours = {name for name in loaded if name.startswith("plural_nb.")}
    assert {name.split(".")[1] for name in ours} == {"errors", "silicon"}
    assert not ours & {"plural_nb.silicon.model", "plural_nb.silicon.prompt", "plural_nb.silicon.finding"}


def test_the_notebooks_process_never_loads_llama_cpp(tiny_path: Path, run_python: Callable[..., Any]) -> None:
    code = """
import json, sys
from plural_nb.silicon.model import open_model
from plural_nb.survey.question import ask_for
with open_model(sys.argv[1]) as model:
    model.ask(ask_for("Tea?", ["Yes", "No"]))
print(json.dumps("llama_cpp" in sys.modules))
"""
    assert run_python(code, tiny_path) is False


FAKE = """
import json, os, signal, sys
for line in sys.stdin:
    frame = json.loads(line)
    if frame["op"] == "open" and (frame["extra_buffers"] or {always}):
        sys.stderr.write("ggml: loading\\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGSEGV)
    print(json.dumps({{"event": "done", "id": frame["id"], "context": 1}}), flush=True)
"""


@POSIX
def test_a_crash_while_loading_is_tried_again_with_safe_settings_which_are_remembered(tiny_path: Path) -> None:
    command = [sys.executable, "-c", FAKE.format(always=False)]
    with Model(read_model_file(tiny_path), Settings(1), command=command) as model:
        assert model.settings.extra_buffers is False
    assert repacking_crashes()
    with open_model(tiny_path) as model:  # the next model on this machine starts with them
        assert model.settings.extra_buffers is False
        assert model.ask(QUESTION, examples=0).answered.all()


@POSIX
def test_a_crash_in_spite_of_safe_settings_is_reported_and_not_remembered(tiny_path: Path) -> None:
    command = [sys.executable, "-c", FAKE.format(always=True)]
    with pytest.raises(ModelCrashed, match=r"tiny\.gguf.*SIGSEGV") as caught:
        Model(read_model_file(tiny_path), Settings(1), command=command)
    assert caught.value.log == "ggml: loading"
    assert not repacking_crashes()


def test_safe_settings_give_the_same_answers(tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    for extra_buffers in (True, False):
        monkeypatch.setenv("PLURAL_NB_CACHE", str(tmp_path / str(extra_buffers)))  # nothing is remembered
        with Model(read_model_file(tiny_path), Settings(1, extra_buffers)) as model:
            rows.append(model.ask(QUESTION, examples=0).rows)
    assert rows[0] == pytest.approx(rows[1], abs=2e-3)


def test_an_endless_template_is_ended_and_the_model_still_answers(write_model: Callable[..., Path]) -> None:
    endless = "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}"
    with open_model(write_model(tokenizer__chat_template=endless)) as model:
        with pytest.raises(ModelError, match="did not finish within"):
            model.ask(QUESTION)
        assert model.ask(QUESTION, mode="completion", examples=0).answered.all()


@POSIX
def test_a_worker_that_does_not_listen_is_ended_on_cancel(tiny: Model) -> None:
    worker = tiny._process.pid
    os.kill(worker, signal.SIGSTOP)
    thread, outcome = in_thread(lambda: tiny.ask(QUESTION, examples=0))
    while not tiny._process._running:
        time.sleep(0.01)
    tiny.cancel()
    thread.join(60)
    assert isinstance(outcome[0], Cancelled)
    assert gone(worker)
    assert tiny.ask(QUESTION, examples=0).answered.all()


NOISE = """
import os, threading, time
def noise():
    while os.fstat(1).st_ino != os.fstat(2).st_ino:  # until the worker has taken its pipes
        time.sleep(0.001)
    os.write(1, b"noise from native code\\n")
    print("noise from Python", flush=True)
threading.Thread(target=noise, daemon=True).start()
"""


@POSIX
def test_what_a_library_prints_does_not_disturb_the_protocol(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NOISE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with open_model(tiny_path) as model:
        assert model.ask(QUESTION, examples=0).rows.sum() == pytest.approx(1)
        whole = os.pread(model._process._log_file.fileno(), 1 << 20, 0)
        assert b"noise from native code" in whole
        assert b"noise from Python" in whole


def test_thousands_of_prompts_pass_through_the_pipes(tiny: Model) -> None:
    answers = tiny.ask(QUESTION, persona=CROWD, examples=0)
    assert answers.rows.shape == (3000, 2)
    assert np.allclose(answers.rows.sum(axis=1), 1)


def test_8_bit_weights_are_read_wherever_repacking_them_crashes(tmp_path: Path) -> None:
    """On processors with AMX some builds of llama.cpp die at the first decode; a second model starts safely at once."""
    path = tmp_path / "eight.gguf"
    write_shape(path, layers=2, width=64, heads=2, kv=1, inner=128, size=512)
    with open_model(path) as first:
        row = first.ask(QUESTION, examples=0).rows[0]
        assert row.sum() == pytest.approx(1)
        assert first.settings.extra_buffers == (not repacking_crashes())
    with open_model(path) as second, second.remembering_in(tmp_path / "other.sqlite"):
        assert second.settings == first.settings
        assert second.ask(QUESTION, examples=0).rows[0] == pytest.approx(row, abs=1e-3)
