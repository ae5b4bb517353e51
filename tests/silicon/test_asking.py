"""The walk through the prefix tree, on real models: what it shares, cuts and folds never shows in a probability."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plural_nb.errors import Cancelled
from plural_nb.silicon import holding
from plural_nb.silicon.manner import Manner
from plural_nb.silicon.methods import prompts_for, prompts_of
from plural_nb.silicon.model import Model
from plural_nb.survey.design import Design
from plural_nb.survey.question import ask_for

QUESTION = ask_for("Tea or coffee?", ["Tea", "Coffee", "Water"])

OPEN = """
import ctypes, json, sys
import numpy as np
from plural_nb.silicon import engine
from plural_nb.silicon.asking import Prepared, ask, prepare
def open_here(path):
    return engine.LlamaModel(path, threads=1, extra_buffers=False, context=None,
                             cancelled=ctypes.create_string_buffer(2))
"""

COMPLETE = """
m = open_here(sys.argv[1])
every = range(m.vocabulary_size)
prompt = m.tokens("Tea or coffee?")
longer = {7, 42, 99}
after_two = {(7, 3)}
options = [[(t,)] for t in every if t not in longer]
options += [[(a, b)] for a in sorted(longer) for b in every if (a, b) not in after_two]
options += [[(7, 3, c)] for c in every]
one = Prepared("", prompt, tuple(tuple(forms) for forms in options))
[[(_, outcome)]] = ask(m, [one])
print(json.dumps([len(options), sum(outcome.probabilities)]))
"""

FEW_ROWS = """
engine._OUTPUT_FLOATS = 1  # as if the vocabulary were so large that 16 rows of logits are all there is room for
m = open_here(sys.argv[1])
m._branches = int(sys.argv[2]) or m._branches
start = m.tokens("I am old and I like tea.")
m.require_context(200)
sequences = sorted(start + (a, b) for a in range(12) for b in range(12))
found = [row.copy() for _, rows in m.evaluate(sequences) for row in rows]
worst = max(float(abs(row - m.next_logits(s)).max()) for row, s in zip(found, sequences))
print(json.dumps([len(found), m._outputs, worst]))
"""

SEAMS = """
m = open_here(sys.argv[1])
numbers = [[f" {n}", str(n)] for n in range(101)]
seams, same = {}, []
for ask_end in ("Answer:", "Answer: ", "How many (0 to 100)?\\nAnswer:"):
    for persona in ("I am old.", "I am 12", "I like 4\\n", ""):
        prompt = {"text": f"{persona}\\n\\nHow warm?\\n{ask_end}", "messages": [], "forms": numbers, "terminated": True}
        same.append(prepare(m, None, prompt, seams) == prepare(m, None, prompt))
print(json.dumps([len(seams), same]))
"""


def test_a_complete_set_of_disjoint_forms_is_certain(tiny_path: Path, run_python: Callable[..., Any]) -> None:
    """Every token, but for three of them every token behind it, and every third token behind one pair."""
    n, total = run_python(OPEN + COMPLETE, tiny_path)
    assert n > 4 * 256
    assert total == pytest.approx(1, abs=1e-6)


def test_fewer_rows_of_logits_than_branches_are_never_asked_of_llama_cpp(
    tiny_path: Path, run_python: Callable[..., Any]
) -> None:
    """With 16 rows there are at most 16 branches; llama.cpp would abort the process where there are more."""
    n, rows, worst = run_python(OPEN + FEW_ROWS, tiny_path, 0)
    assert (n, rows) == (144, 16)
    assert worst < 0.05
    command = [sys.executable, "-c", OPEN + FEW_ROWS, str(tiny_path), "128"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGABRT


@pytest.mark.parametrize("file", ["stories260K-f16.gguf", "ggml-vocab-qwen2.gguf", "ggml-vocab-llama-spm.gguf"])
def test_forms_behind_a_known_last_line_are_what_whole_tokenising_gives(
    shared: Path, run_python: Callable[..., Any], file: str
) -> None:
    code = OPEN.replace("context=None,", f"context=None, vocabulary_only={'vocab' in file},") + SEAMS
    kept, same = run_python(code, shared / "models" / file)
    assert all(same)
    assert kept < len(same)  # some prompts did share


def test_folding_identical_respondents_leaves_every_row_unchanged(tiny: Model, tmp_path: Path) -> None:
    """Twelve respondents of three kinds asked at once, beside each asked alone by a model that knows nothing yet."""
    kinds = ["I am old.", "I am young and I live in a town.", ""]
    crowd = [kinds[i * i % 3] if i % 4 else kinds[2] for i in range(12)]
    assert len(set(crowd)) == 3
    design = Design(np.arange(1.0, 13.0))
    folded = tiny.ask(QUESTION, persona=crowd, examples=0, design=design)
    assert len(tiny._memory) == 3
    for i, persona in enumerate(crowd):
        with tiny.remembering_in(tmp_path / f"{i}.sqlite"):
            alone = tiny.ask(QUESTION, persona=[persona], examples=0)
        assert folded.rows[i] == pytest.approx(alone.rows[0], abs=1e-3)
    for i, j in product(range(12), repeat=2):
        assert (folded.rows[i] == folded.rows[j]).all() == (crowd[i] == crowd[j])
    assert folded.shares().share[0] == pytest.approx(design.weight @ folded.rows / 78)


@pytest.mark.parametrize("method", ["letter", "text", "number", "sampled"])
@pytest.mark.parametrize("mode", ["completion", "chat"])
def test_a_question_put_together_once_is_the_same_for_everybody(method: Any, mode: Any) -> None:
    question = ask_for("How many?", ["1", "2", "3"])
    for examples in (0, 2):
        order = "as_asked" if method == "number" else "cyclic"
        manner = Manner(mode=mode, method=method, order=order, examples=examples, variants=2, system="Be brief.")
        crowd = ["I am old.", "", "I am {young}.\n\nQuestion: \\1"]
        expected = {p: [q for cell in prompts_for(question, p, manner) for q in cell] for p in crowd}
        assert prompts_of(question, crowd, manner) == expected


def test_prompts_sent_in_parts_get_the_replies_of_one_request(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = [f"I am person {i}." for i in range(11)]
    whole = tiny.ask(QUESTION, persona=crowd, examples=0)
    monkeypatch.setattr(holding, "_TOGETHER", 3)
    with tiny.remembering_in(tmp_path / "parts.sqlite"):
        parts = tiny.ask(QUESTION, persona=crowd, examples=0)
    assert [r.text for r in parts.replies] == [r.text for r in whole.replies]
    assert parts.rows == pytest.approx(whole.rows, abs=1e-3)


def test_a_cancellation_between_two_parts_is_heard(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "_TOGETHER", 2)
    [one] = tiny.prepare(QUESTION, examples=0)
    answered: list[int] = []

    def frames() -> Iterator[dict[str, Any]]:
        for i in range(6):
            if i == 4:
                tiny.cancel()
            yield {**one.frame(), "text": f"{one.text} {i}"}

    with pytest.raises(Cancelled):
        tiny._held.ask(frames(), lambda told: answered.extend(place for place, _ in told))
    assert sorted(answered) == [0, 1, 2, 3]
