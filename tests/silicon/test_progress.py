"""The bar of plain code: it shows what takes long, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plural_nb.silicon import progress
from plural_nb.silicon.model import Model
from plural_nb.survey.question import ask_for

QUESTION = ask_for("Tea or coffee?", ["Tea", "Coffee"])


class Terminal:
    """A standard error that somebody watches."""

    def __init__(self) -> None:
        self.written = ""

    def write(self, text: str) -> int:
        self.written += text
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """clock(seconds) moves the time that the bar sees."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


def test_a_long_run_shows_done_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None]
) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with progress.told("tiny") as report:
        report(50, 200)  # known before
        clock(10)
        report(100, 200)
        assert "tiny:  50%" in screen.written
        assert "100/200" in screen.written
        assert "[00:10<00:20," in screen.written  # 50 in ten seconds, 100 to go
        assert "5.00 prompts/s" in screen.written
    assert screen.written.endswith("\r")  # wiped


def test_a_quick_run_shows_nothing_and_does_not_load_the_bar(monkeypatch: pytest.MonkeyPatch, tiny: Model) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    monkeypatch.setitem(sys.modules, "tqdm", None)  # importing it would fail
    tiny.ask(QUESTION, persona=["a", "b"], examples=0)
    assert screen.written == ""


@pytest.mark.parametrize("how", [{"progress": False}, {"on_progress": lambda done, total: None}])
def test_no_bar_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch, tiny: Model, how: dict[str, Any]) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    crowd = [f"I am person number {i} of many." for i in range(300)]
    tiny.ask(QUESTION, persona=crowd, examples=0, **how)
    assert screen.written == ""
    tiny.ask(QUESTION, persona=[p + " Yes." for p in crowd], examples=0)
    assert "prompts/s" in screen.written


def test_a_script_whose_output_goes_to_a_file_stays_silent(tiny_path: Path) -> None:
    code = """
import sys
from plural_nb.silicon import progress
from plural_nb.silicon.model import open_model
from plural_nb.survey.question import ask_for
progress.QUIET_SECONDS = 0.0
with open_model(sys.argv[1]) as model:
    model.ask(ask_for("Tea?", ["Yes", "No"]), persona=[f"I am {i}." for i in range(300)], examples=0)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tiny_path)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_in_a_notebook_the_bar_is_plain_text_that_goes_away(tiny_path: Path) -> None:
    from jupyter_client import KernelManager

    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    try:
        client = manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=60)
        code = f"""
from plural_nb.silicon import progress
from plural_nb.silicon.model import open_model
from plural_nb.survey.question import ask_for
progress.QUIET_SECONDS = 0.0
with open_model({str(tiny_path)!r}) as model:
    model.ask(ask_for("Tea?", ["Yes", "No"]), persona=[f"I am {{i}}." for i in range(300)], examples=0)
"""
        told: list[Any] = []
        client.execute_interactive(code, timeout=120, output_hook=told.append)
        client.stop_channels()
    finally:
        manager.shutdown_kernel(now=True)
    assert {m["content"]["name"] for m in told if m["msg_type"] == "stream"} == {"stdout"}
    assert not [m for m in told if m["msg_type"] in ("display_data", "error")]
    text = "".join(m["content"]["text"] for m in told if m["msg_type"] == "stream")
    assert "prompts/s" in text
    assert text.endswith("\r")
