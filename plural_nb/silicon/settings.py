"""How a model is loaded on this machine, and the memory of which settings crash it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from plural_nb.silicon.cache import read_facts, write_facts

_FACTS = "safe_settings"
_SMALL_MODEL = 20_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """threads: for decoding. extra_buffers: whether llama.cpp may repack weights for this processor. context:
    fixed number of tokens, None to grow with the prompts.
    """

    threads: int
    extra_buffers: bool = True
    context: int | None = None


def default_threads(parameters: int) -> int:
    """One for a model of fewer than 20 M parameters, whose threads would wait for each other more than they compute;
    else all cores up to 4 and half of those beyond: hyper-threads add little to decoding, and the notebook needs air.
    """
    if 0 < parameters < _SMALL_MODEL:
        return 1
    return cores() if cores() <= 4 else max(4, cores() // 2)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def repacking_crashes() -> bool:
    """Whether repacked weights are known to crash on this machine with this build of llama.cpp."""
    return bool(read_facts(_FACTS).get(_machine()))


def remember_that_repacking_crashes() -> None:
    """Keep for later sessions that this machine needs the safe settings."""
    write_facts(_FACTS, {**read_facts(_FACTS), _machine(): True})


def _machine() -> str:
    """The build of llama.cpp and the processor, as one short key."""
    parts = [platform.machine(), platform.system()]
    try:
        parts.append(importlib.metadata.version("llama-cpp-python"))
    except importlib.metadata.PackageNotFoundError:
        parts.append("unknown")
    spec = importlib.util.find_spec("llama_cpp")
    folder = Path(spec.origin).parent / "lib" if spec and spec.origin else None
    for library in sorted(folder.glob("*llama*")) if folder and folder.is_dir() else []:
        facts = library.stat()
        parts.append(f"{library.name} {facts.st_size} {facts.st_mtime_ns}")
    parts.append(_processor())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    wanted = [line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))]
    return "\n".join(dict.fromkeys(wanted))
