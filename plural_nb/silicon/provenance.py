"""Where a model's answers come from: what an appendix says of the file and of how it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from plural_nb.silicon.gguf import ModelFile
from plural_nb.silicon.manner import Manner
from plural_nb.silicon.remembering import Memory


def provenance(
    file: ModelFile, memory: Memory, facts: Mapping[str, Any], manner: Manner
) -> tuple[tuple[str, str], ...]:
    """Return the file's name, the hash of its content, the version of llama-cpp-python, and every choice of `Manner`.

    memory: the model's, which knows the hash. facts: what the worker says of itself.
    """
    how = "; ".join(f"{f.name}={getattr(manner, f.name)!r}" for f in fields(manner))
    return (
        ("Model file", file.path.name),
        ("SHA-256", memory.model.hex()),
        ("llama-cpp-python", str(facts.get("llama_cpp", "")) or "unknown"),
        ("Asked with", how),
    )
