"""No worker outlives what asked it, however that ends."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from plural_nb.silicon.model import Model, open_model

from .conftest import gone

SCRIPT = """
import sys
from plural_nb.silicon.model import open_model
from plural_nb.survey.question import ask_for
model = open_model(sys.argv[1])
print(model._process.pid, flush=True)
crowd = [f"I am person number {{i}} of many." for i in range(20_000)]
{last}
"""
BUSY = """
model.ask(ask_for("Tea?", ["Yes", "No"]), persona=crowd, examples=0,
          on_progress=lambda done, _: done and print("busy", flush=True))
"""
IDLE = "import time; print('idle', flush=True); time.sleep(600)"


def test_a_forgotten_model_ends_its_worker(tiny_path: Path) -> None:
    model = open_model(tiny_path)
    worker = model._process.pid
    del model
    gc.collect()
    assert gone(worker)


@pytest.mark.parametrize("how", ["a bare script", "python -c"])
@pytest.mark.parametrize("last", [BUSY, IDLE], ids=["busy", "idle"])
def test_a_parent_killed_outright_leaves_no_worker(tiny_path: Path, tmp_path: Path, how: str, last: str) -> None:
    code = SCRIPT.format(last=last)
    script = tmp_path / "bare.py"  # no __main__ guard
    script.write_text(code)
    command = [sys.executable, *(["-c", code] if how == "python -c" else [str(script)]), str(tiny_path)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    assert parent.stdout.readline().strip() in ("busy", "idle")
    assert psutil.pid_exists(worker)
    parent.kill()
    parent.wait()
    assert gone(worker)


def test_a_parent_that_just_ends_leaves_no_worker(tiny_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(last=""), str(tiny_path)], capture_output=True, text=True, check=True
    )
    assert gone(int(done.stdout))
    assert done.stderr == ""


def test_a_kernel_that_is_killed_restarted_or_shut_down_leaves_no_worker(tiny_path: Path) -> None:
    from jupyter_client import KernelManager

    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    try:
        for how in ("restart", "kill"):
            client = manager.blocking_client()
            client.start_channels()
            client.wait_for_ready(timeout=60)
            code = SCRIPT.format(last="").replace("sys.argv[1]", repr(str(tiny_path)))
            said = []
            client.execute_interactive(code, timeout=60, output_hook=said.append, store_history=False)
            worker = int("".join(m["content"].get("text", "") for m in said))
            assert psutil.pid_exists(worker)
            client.stop_channels()
            if how == "restart":
                manager.restart_kernel(now=False)
            else:
                psutil.Process(manager.provisioner.pid).kill()
            assert gone(worker)
    finally:
        manager.shutdown_kernel(now=True)


@pytest.mark.skipif(os.name == "nt", reason="process groups are POSIX")
def test_an_interrupt_for_the_whole_group_does_not_reach_the_worker(tiny: Model) -> None:
    """Jupyter interrupts a kernel by a signal to its process group."""
    assert os.getpgid(tiny._process.pid) != os.getpgid(0)
