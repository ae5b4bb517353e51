"""The parent's half of a worker: start the child process, talk to it, cancel it, and explain its death."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from plural_nb.errors import Cancelled, ModelCrashed, ModelError

Frame = dict[str, Any]
GRACE_SECONDS = 3.0
LOG_LINES = 20
# OpenMP threads spin at each of ggml's barriers; when other programs keep the cores busy that is fatal (2 cores under
# load 4, one token: 2,400 ms with 63 M parameters, 744 ms with 0.26 M; 13 and 4 ms when they sleep instead). A short
# spin before they sleep spares most wakings: at 135 M .975 of pp512 instead of .95, a single token in 13 ms instead of
# 18; beside one and four busy programs no difference was seen.
GENTLE = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
_COMMAND = ("-P", "-m", "plural_nb.silicon.worker")
_NATIVE_CRASHES = (signal.SIGSEGV, signal.SIGILL)
_WINDOWS_CRASHES = {0xC0000005: "access violation", 0xC000001D: "illegal instruction", 0xC0000409: "abort"}


_running: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()


class WorkerProcess:
    """One child process that holds one model, spoken to over its own pipes.

    about: what errors call it, the model's file. command: what to run instead of the worker, for tests.

    Requests are served one at a time, from any thread; `cancel` and `close` may come from another thread.
    """

    def __init__(self, about: str, command: Sequence[str] | None = None) -> None:
        self.about = about
        self._turn = threading.Lock()
        self._writing = threading.Lock()
        self._frames: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._number = 0
        self._running = 0
        self._deadline: float | None = None
        self._closed = False
        handle, name = tempfile.mkstemp(prefix="plural_nb-worker-", suffix=".log")
        self._log_path: Path | None = Path(name)
        try:
            self._process = subprocess.Popen(
                list(command) if command else [_python(), *_COMMAND],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=handle,
                env=_environment(),
                # Its own session: an interrupt of the notebook's kernel goes to the whole process group, and the
                # worker is asked to stop over its pipe instead.
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0)
                | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            raise ModelError(f"{about}: the worker process cannot be started ({error}).") from None
        finally:
            os.close(handle)
        self._log_file = self._log_path.open("rb")
        if os.name != "nt":  # unlinked at once, so that nothing is left behind however this process ends
            self._log_path.unlink()
            self._log_path = None
        reader = threading.Thread(
            target=_read_frames, args=(self._process.stdout, self._frames), name="plural_nb-worker-reader", daemon=True
        )
        reader.start()
        self._end = weakref.finalize(self, _end, self._process, self._log_file, self._log_path, os.getpid())
        _running.add(self)

    def forget_in_fork(self) -> None:
        """Let go of the pipe in a forked child: while it holds that, the worker would not see its parent die."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._process.stdin.raw.close()  # type: ignore[attr-defined]

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return not self._closed and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def resident_mb(self) -> float | None:
        """Resident memory of the child in MB; None where this system does not tell."""
        with contextlib.suppress(OSError, StopIteration, ValueError):
            lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
            return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
        return None

    @property
    def crashed_in_native_code(self) -> bool:
        """Whether it died of an illegal access or instruction, rather than of being killed or giving up."""
        return self._process.poll() in (*(-number for number in _NATIVE_CRASHES), 0xC0000005, 0xC000001D)

    @property
    def log(self) -> str:
        """The last lines that llama.cpp wrote."""
        with contextlib.suppress(OSError, ValueError):
            self._log_file.seek(0, os.SEEK_END)
            self._log_file.seek(max(0, self._log_file.tell() - 65536))
            lines = self._log_file.read().decode("utf-8", errors="replace").splitlines()
            return "\n".join(lines[-LOG_LINES:])
        return ""

    def request(
        self,
        op: str,
        *,
        on_event: Callable[[Frame], None] = lambda _: None,
        stop: threading.Event | None = None,
        **body: Any,
    ) -> Frame:
        """Send one request, hand every event before the last to `on_event`, and return the last.

        stop: set it, then call `cancel`, to end the request; it is looked at before the request is sent, so that no
        cancellation is lost in between.

        Raises ModelError as the worker reports it, Cancelled, or ModelCrashed when the process dies.
        """
        with self._turn:
            if stop is not None and stop.is_set():
                raise Cancelled("The request was cancelled.")
            self._number += 1
            number = self._number
            self._deadline = None
            self._running = number
            try:
                self._send({"op": op, "id": number, **body})
                if stop is not None and stop.is_set():
                    self.cancel()
                return self._finish(number, on_event)
            except (ModelError, Cancelled):
                raise
            except BaseException:
                # An interrupt at the keyboard, or a callback that raised: leave a worker that is free again.
                self.cancel()
                with contextlib.suppress(ModelError, Cancelled):
                    self._finish(number, lambda _: None)
                raise
            finally:
                self._running = 0

    def cancel(self) -> None:
        """End the running request, if any: at once where llama.cpp listens, by ending the process where not."""
        running = self._running
        if running and self.alive:
            self._deadline = time.monotonic() + GRACE_SECONDS
            with contextlib.suppress(ModelCrashed):
                self._send({"op": "cancel", "id": running})
            self._frames.put({"event": "wake", "id": 0})

    def close(self) -> None:
        """End the process; calling it twice does nothing more."""
        self._closed = True
        self._end()

    def _finish(self, number: int, on_event: Callable[[Frame], None]) -> Frame:
        while True:
            try:
                wait = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
                frame = self._frames.get(timeout=wait)
            except queue.Empty:
                self._process.kill()
                self.close()
                raise Cancelled("The request was cancelled; its worker did not listen and was ended.") from None
            if frame is None:
                self._frames.put(None)
                raise self._death()
            if frame["id"] != number:
                continue
            if frame["event"] == "done":
                return frame
            if frame["event"] == "error":
                if frame.get("fatal"):
                    self.close()
                raise {"Cancelled": Cancelled}.get(frame["kind"], ModelError)(frame["message"])
            on_event(frame)

    def _send(self, frame: Frame) -> None:
        line = json.dumps(frame).encode() + b"\n"
        assert self._process.stdin is not None
        try:
            with self._writing:
                self._process.stdin.write(line)
                self._process.stdin.flush()
        except (OSError, ValueError):
            raise self._death() from None

    def _death(self) -> ModelCrashed | Cancelled:
        if self._closed:
            return Cancelled("The model was closed.")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
        code, log = self._process.poll(), self.log
        self.close()
        return ModelCrashed(f"{self.about}: the process that held the model {_cause(code, log)}.{last_words(log)}", log)


def last_words(log: str) -> str:
    """The line of the log that tells most of what went wrong, as the end of a message; "" for an empty log.

    >>> last_words("loading\\nerror loading model: no such tensor\\nfailed to load model")
    ' Its last words: error loading model: no such tensor'
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line.lower() for word in ("assert", "error", "failed", "abort"))]
    # Of a chain of errors the first names the cause, the later ones only pass it on.
    last = telling[-4:][:1] or lines[-1:]
    return f" Its last words: {last[0][:200]}" if last else ""


def _in_a_fork() -> None:
    for process in list(_running):
        process.forget_in_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_fork)


def _read_frames(source: IO[bytes], frames: queue.SimpleQueue[Frame | None]) -> None:
    with contextlib.suppress(OSError, ValueError):
        for line in source:
            with contextlib.suppress(json.JSONDecodeError):  # a line cut off by the process's death
                frames.put(json.loads(line))
    frames.put(None)


def _end(process: subprocess.Popen[bytes], log: IO[bytes], log_path: Path | None, owner: int) -> None:
    if os.getpid() != owner:  # a forked child must not end its parent's worker
        return
    assert process.stdin is not None
    with contextlib.suppress(OSError, ValueError):
        process.stdin.close()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    log.close()
    if log_path is not None:
        with contextlib.suppress(OSError):
            log_path.unlink()


def _cause(code: int | None, log: str) -> str:
    if "unordered_map::at" in log:  # llama.cpp's SentencePiece without byte tokens, on a character it has no piece for
        return "gave up on a character that this model's vocabulary cannot write. Word question and persona without it"
    if code is None:
        return "stopped answering"
    if code >= 0:
        crash = _WINDOWS_CRASHES.get(code)
        return f"ended with an {crash}" if crash else f"ended by itself (exit code {code})"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    causes = {
        "SIGKILL": "it was killed, most likely because memory ran out. Choose a smaller model or close others",
        "SIGABRT": "llama.cpp gave up",
        "SIGSEGV": "llama.cpp crashed; its build and this processor may not agree",
        "SIGILL": "llama.cpp was built for another processor. Install llama-cpp-python again on this machine",
        "SIGBUS": "the file changed or its disk went away while it was in use",
        "SIGTERM": "something asked it to end",
    }
    return f"was ended by {name}: {causes.get(name, 'something ended it')}"


def _python() -> str:
    if not sys.executable:
        raise ModelError("Python does not know its own program here, so no worker can be started.")
    return sys.executable


def _environment() -> dict[str, str]:
    # With -P the current folder is off the worker's path, so a user's json.py or numpy.py stays out of it; relative
    # entries of PYTHONPATH would bring it back. A checkout that is not installed is found by its folder, put last.
    kept = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if Path(entry).is_absolute()]
    with contextlib.suppress(OSError):  # the current folder may be gone
        kept = [entry for entry in kept if Path(entry) != Path.cwd()]
    home = Path(__file__).resolve().parents[2]
    if home.name not in ("site-packages", "dist-packages"):
        kept.append(str(home))
    ours = {
        "PYTHONPATH": os.pathsep.join(kept),
        "PYTHONUTF8": "1",
        # ggml would start a debugger for a backtrace when it aborts, which can hang.
        "GGML_NO_BACKTRACE": "1",
    }
    return {**GENTLE, **os.environ, **ours}
