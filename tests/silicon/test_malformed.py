"""A thousand damaged model files, through the real reader and the real llama.cpp: an error in words, or a model."""

from __future__ import annotations

import random
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from plural_nb import resources
from plural_nb.errors import ModelCrashed, ModelError
from plural_nb.silicon.gguf import read_model_file, require_usable
from plural_nb.silicon.header import read_header
from plural_nb.silicon.model import open_model
from plural_nb.silicon.process import WorkerProcess
from plural_nb.silicon.prompt import Prompt
from plural_nb.survey.question import ask_for

MUTANTS = 1200
PATIENCE = 60.0  # seconds; a file may make llama.cpp neither fail nor finish
EXTREMES = (0, 1, 2, 3, 7, 127, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1)
PROMPT = Prompt("Question: Tea?\nA. Yes\nB. No\nAnswer:", (), ((" A", "A"), (" B", "B")), (0, 1))


@pytest.fixture(scope="module")
def whole() -> bytes:
    path = resources.data("models", "plural-demo-base.gguf")
    if not path.is_file():
        pytest.skip("the demo models are not here")
    return path.read_bytes()


def mutants(whole: bytes, header: int, many: int) -> Iterator[tuple[str, bytes]]:
    """Kinds and contents of damaged files; the same ones in every run.

    Places are drawn near both ends of the header, where numbers are, more often than among the thousands of tokens.
    """
    draw = random.Random(20)
    tokens = whole.index(b"tokenizer.ggml.tokens")
    after = whole.index(b"tokenizer.ggml.merges")

    def place() -> int:
        return draw.choice(
            [draw.randrange(4, 64), draw.randrange(tokens), draw.randrange(after, header), draw.randrange(header)]
        )

    for i in range(many):
        kind = ("cut", "bytes", "number", "swap", "data")[i % 5]
        raw = bytearray(whole)
        if kind == "cut":
            del raw[draw.choice([draw.randrange(header), draw.randrange(len(raw))]) :]
        elif kind == "bytes":
            for _ in range(draw.choice([1, 1, 2, 5])):
                raw[place()] = draw.randrange(256)
        elif kind == "number":
            at, size = place(), draw.choice("IQ")
            value = draw.choice([*EXTREMES, draw.getrandbits(64)])
            struct.pack_into(f"<{size}", raw, at, value & (2**32 - 1 if size == "I" else 2**64 - 1))
        elif kind == "swap":  # a piece of the header in the place of another: lengths and names no longer fit
            a, b, n = place(), place(), draw.choice([4, 8, 16, 40])
            raw[a : a + n] = raw[b : b + n]
        else:
            at = draw.randrange(header, len(raw) - 64)
            raw[at : at + 64] = draw.choice([b"\xff" * 64, b"\x00\x7c" * 32, draw.randbytes(64)])
        yield kind, bytes(raw)


class Trial:
    """A worker that opens one file after the other, and a fresh one where it died."""

    def __init__(self) -> None:
        self.process: WorkerProcess | None = None
        self.said: list[str] = []

    def of(self, path: Path) -> str:
        """What became of a file: "refused", "not loaded", "cannot answer", "crashed" or "works"."""
        try:
            require_usable(read_model_file(path))
        except ModelError as error:
            self.said.append(str(error))
            return "refused"
        if self.process is None or not self.process.alive:
            self.process = WorkerProcess(str(path))
        loaded = False
        clock = threading.Timer(PATIENCE, self.process.cancel)
        clock.start()
        try:
            self.process.request("open", path=str(path), threads=1, extra_buffers=False, context=None)
            loaded = True
            told: list[dict] = []
            self.process.request("ask", prompts=[PROMPT.frame()], on_event=lambda frame: told.extend(frame["replies"]))
        except ModelCrashed as crash:
            self.said.append(str(crash))
            return "crashed"
        except ModelError as error:
            self.said.append(str(error))
            return "cannot answer" if loaded else "not loaded"
        finally:
            clock.cancel()
        assert all(0 <= p <= 1 for p in told[0]["probabilities"])
        return "works"

    def close(self) -> None:
        if self.process is not None:
            self.process.close()


def as_a_user(path: Path) -> bool:
    """Whether a file gives answers when it is opened and asked in the usual way; a ModelError is the only error."""
    try:
        with open_model(path) as model:
            model.ask(ask_for("Tea?", ["Yes", "No"]), mode="completion", examples=0)
    except ModelError:
        return False
    return True


def test_a_thousand_damaged_files_are_errors_in_words_or_work(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mutant.gguf"
    path.write_bytes(whole)
    header = read_header(path).size_bytes
    trial, outcomes = Trial(), Counter()
    try:
        assert trial.of(path) == "works"  # undamaged
        for kind, raw in mutants(whole, header, MUTANTS):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(raw)
            fresh.replace(path)  # another file: llama.cpp may still read the one before
            outcome = trial.of(path)
            outcomes[kind, outcome] += 1
            if outcomes[kind, outcome] <= 2:
                assert as_a_user(path) == (outcome == "works"), (kind, outcome)
    finally:
        trial.close()
    found: Counter[str] = Counter()
    for (_, outcome), times in outcomes.items():
        found[outcome] += times
    assert found.total() == MUTANTS
    assert all(found[outcome] for outcome in ("refused", "not loaded", "works")), found
    assert outcomes["cut", "works"] == 0
    assert len(trial.said) == MUTANTS - found["works"]
    assert all(len(message.split()) > 5 for message in trial.said)
    assert not _workers()


def _workers() -> list[psutil.Process]:
    below = psutil.Process().children(recursive=True)
    return [p for p in below if p.status() != psutil.STATUS_ZOMBIE and "plural_nb.silicon.worker" in p.cmdline()]
