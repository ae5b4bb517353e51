"""Shards: some prompts for one model, answered whole in whatever process an executor chooses."""

from __future__ import annotations

import atexit
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from plural_nb.errors import ModelCrashed, ModelError
from plural_nb.silicon.holding import HeldModel
from plural_nb.silicon.settings import Settings, cores

SHARD_PROMPTS = 64
ATTEMPTS = 2
_MOST_DEATHS = 20  # of workers, over one shard; what is left then is given up
_WATCH_SECONDS = 0.5

_lock = threading.Lock()
_held: tuple[int, Hashable, HeldModel] | None = None  # (process id, what it holds, the model)


@dataclass(frozen=True, slots=True)
class Shard:
    """What another process needs to answer some prompts; never a context, which could not travel.

    path: the model's file, the same on every machine. model: hash of its content. settings: how to load it; threads
    are fewer where several processes share the cores. prompts: as the worker is sent them. processes: how many of the
    executor's are on one machine, 0 where unknown.
    """

    path: str
    model: bytes
    settings: Settings
    prompts: tuple[dict[str, Any], ...] = ()
    processes: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a shard.

    told: what the worker told of each prompt, with its place in the shard. crash, log: why some are missing: workers
    died of them.
    """

    told: tuple[dict[str, Any], ...]
    crash: str = ""
    log: str = ""


def answer(shard: Shard) -> Answered:
    """Answer a shard with the model that this process holds; it is loaded first, and instead of any other.

    A worker that dies is replaced, and the shard asked again. Should it die of it twice, halves are asked by
    themselves until the prompts that kill are found; the others are answered. Raises ModelError where the file is
    missing or another, or a prompt cannot be asked.
    """
    with _lock:
        held = _holding(shard)
        told: dict[int, dict[str, Any]] = {}
        parts = deque([list(range(len(shard.prompts)))])
        deaths, why, log = 0, "", ""
        while parts:
            part = parts.popleft()
            crash = _ask(held, shard, part, told)
            if crash is None:
                continue
            deaths += 1
            left = [place for place in part if place not in told]
            if deaths < ATTEMPTS:
                parts.appendleft(part)
            elif len(left) > 1 and deaths < _MOST_DEATHS:
                parts.extendleft([left[len(left) // 2 :], left[: len(left) // 2]])
            else:
                why, log = str(crash), crash.log
        return Answered(tuple(told.values()), why, log)


def close_held() -> None:
    """End the model that this process holds for shards, if any."""
    # Without the lock: a shard that is being answered ends, rather than being waited for.
    if _held is not None and _held[0] == os.getpid():
        _held[2].close()


def cut(prompts: Sequence[Any], size: int = SHARD_PROMPTS) -> list[list[Any]]:
    """Cut distinct prompts into shards of neighbours, which share long beginnings.

    The cut depends on the prompts alone, not on what is known of them or who answers: a run that was interrupted asks
    the very shards that an undisturbed one would, and gets the same numbers.

    >>> from plural_nb.silicon.prompt import Prompt
    >>> made = [Prompt(text, (), (("A",),), (0,)) for text in ("b", "a", "b", "c")]
    >>> [[p.text for p in shard] for shard in cut(made, size=2)]
    [['a', 'b'], ['c']]
    """
    distinct = sorted(dict.fromkeys(prompts), key=lambda p: (p.text, [(m.role, m.content) for m in p.messages]))
    return [distinct[i : i + size] for i in range(0, len(distinct), size)]


def _ask(held: HeldModel, shard: Shard, part: list[int], told: dict[int, dict[str, Any]]) -> ModelCrashed | None:
    def note(frame: dict[str, Any]) -> None:
        for one in frame["replies"]:
            place = part[one["place"]]
            told[place] = {**one, "place": place}

    try:
        # Forgetting what was decoded before makes the numbers those of these prompts alone, whoever asks them when.
        held.request("ask", fresh=True, prompts=[shard.prompts[place] for place in part], on_event=note)
    except ModelCrashed as crash:
        return crash
    return None


def _holding(shard: Shard) -> HeldModel:
    global _held
    key = (shard.path, shard.model, shard.settings)
    if _held is not None and _held[0] == os.getpid():
        if _held[1] == key and not _held[2].closed:
            return _held[2]
        _held[2].close()
    else:  # the first in this process, which may be a fork of one that held a model
        _watch_parent()
        atexit.register(close_held)
    _held = None
    _require_same_file(shard)
    held = HeldModel(Path(shard.path), replace(shard.settings, threads=_threads(shard)))
    held.start()  # a model that cannot be loaded is no prompt's fault
    _held = (os.getpid(), key, held)
    return held


def _require_same_file(shard: Shard) -> None:
    from plural_nb.silicon.remembering import content_hash

    if content_hash(Path(shard.path)) != shard.model:
        raise ModelError(
            f"{shard.path} on {socket.gethostname()} is not the model that was opened. Put the same file at the same "
            "path on every machine."
        )


def _threads(shard: Shard) -> int:
    """Threads for this process: the cores divided by the processes that share them."""
    share = cores() // shard.processes if shard.processes else cores()
    if "distributed" in sys.modules:
        try:
            share = int(sys.modules["distributed"].get_worker().state.nthreads)
        except (ValueError, AttributeError):  # not in one of dask's workers
            pass
    return max(1, min(shard.settings.threads, share))


def _in_a_fork() -> None:
    # Another thread of the parent may have had the lock.
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_fork)


def _watch_parent() -> None:
    """End the model's process should the process that made this one die without a word.

    A pool's process would live on then, waiting for work, and hold its model for good.
    """
    parent = getattr(sys.modules.get("multiprocessing"), "parent_process", lambda: None)()
    if parent is None:
        return
    born = os.getppid()

    def watch() -> None:
        while os.getppid() == born and parent.is_alive():
            time.sleep(_WATCH_SECONDS)
        close_held()

    threading.Thread(target=watch, name="plural_nb-parent", daemon=True).start()
