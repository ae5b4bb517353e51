"""The exact text of every kind of prompt, written out: a changed word is another question, and must be meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plural_nb.errors import ModelError
from plural_nb.silicon.model import Model, open_model
from plural_nb.survey.question import Option, Question, ask_for

from .conftest import CHATML

TRUST = ask_for("How much do you trust the courts?", ["A lot", "A little", "Not at all"])
WARMTH = Question(
    "warmth", "How warm do you feel?", (Option("cool", bounds=(0, 50)), Option("warm", bounds=(50, 100))), "numeric"
)

BREAKFAST = """\
Question: How often do you eat breakfast?
A. Every day
B. Some days
C. Rarely
D. Never
Answer: """
SEASONS = """\
Question: Which of these seasons do you like best?
A. Spring
B. Summer
C. Autumn
D. Winter
Answer: """
TRAVEL = """\
Question: How do you usually travel to work or school?
A. On foot
B. By bicycle
C. By public transport
D. By car
Answer: """
LETTERS = """\
Question: How much do you trust the courts?
A. A lot
B. A little
C. Not at all
Answer:"""
WORDS = """\
Question: How much do you trust the courts?
- A lot
- A little
- Not at all
Answer:"""

COMPLETIONS: list[tuple[dict[str, Any], str]] = [
    ({}, LETTERS),
    ({"persona": "I am 30 years old."}, f"I am 30 years old.\n\n{LETTERS}"),
    ({"system": "A poll of 2024."}, f"A poll of 2024.\n\n{LETTERS}"),
    ({"system": "A poll.", "persona": "I am 30."}, f"A poll.\n\nI am 30.\n\n{LETTERS}"),
    ({"order": "reversed"}, LETTERS.replace("A. A lot", "A. Not at all").replace("C. Not at all", "C. A lot")),
    ({"method": "sampled"}, LETTERS),
    ({"method": "text"}, WORDS),
    (
        {"examples": 2, "variants": 1, "seed": 1, "persona": "I am 30."},
        f"{BREAKFAST}B\n\n{SEASONS}A\n\nI am 30.\n\n{LETTERS}",
    ),
    (
        {"method": "text", "examples": 1, "variants": 1, "seed": 0},
        "Question: How often do you eat breakfast?\n- Every day\n- Some days\n- Rarely\n- Never\nAnswer: Never\n\n"
        + WORDS,
    ),
]


@pytest.mark.parametrize(("how", "golden"), COMPLETIONS)
def test_completions_are_these(tiny: Model, how: dict[str, Any], golden: str) -> None:
    [reply] = tiny.ask(TRUST, **{"examples": 0, **how}).replies
    assert reply.text == golden
    assert "".join(reply.pieces) == golden  # what the tokens say is the text, and nothing else
    assert len(reply.tokens) == len(reply.pieces)


NUMBER = "Question: How warm do you feel?\nAnswer with a whole number from 0 to 100 only.\nAnswer:"


def test_a_number_is_asked_for_like_this(tiny: Model) -> None:
    assert tiny.ask(WARMTH, method="number", examples=0).replies[0].text == NUMBER
    [solved] = tiny.ask(WARMTH, method="number", examples=1, variants=1, seed=0).replies
    example = "Question: How much do you like rainy days?\nAnswer with a whole number from 0 to 100 only.\nAnswer: "
    assert solved.text == f"{example}49\n\n{NUMBER}"


SAY_LETTER = "Answer with the letter of one option only."
CHATS: list[tuple[Question, dict[str, Any], str]] = [
    (TRUST, {}, f"<|im_start|>user\n{LETTERS[:-8]}\n{SAY_LETTER}<|im_end|>\n<|im_start|>assistant\n"),
    (
        TRUST,
        {"persona": "I am 30.", "system": "You answer polls."},
        "<|im_start|>system\nYou answer polls.<|im_end|>\n"
        f"<|im_start|>user\nI am 30.\n\n{LETTERS[:-8]}\n{SAY_LETTER}<|im_end|>\n<|im_start|>assistant\n",
    ),
    (
        TRUST,
        {"examples": 1, "variants": 1, "seed": 1},
        f"<|im_start|>user\n{BREAKFAST[:-9]}\n{SAY_LETTER}<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n"
        f"<|im_start|>user\n{LETTERS[:-8]}\n{SAY_LETTER}<|im_end|>\n<|im_start|>assistant\n",
    ),
    (
        TRUST,
        {"method": "text"},
        f"<|im_start|>user\n{WORDS[:-8]}\nAnswer with the words of one option only.<|im_end|>\n<|im_start|>assistant\n",
    ),
    (
        WARMTH,
        {"method": "number"},
        "<|im_start|>user\nQuestion: How warm do you feel?\nAnswer with a whole number from 0 to 100 only.<|im_end|>\n"
        "<|im_start|>assistant\n",
    ),
]


@pytest.fixture(scope="module")
def chatty(write_model: Callable[..., Path]) -> Path:
    return write_model(tokenizer__chat_template=CHATML)


@pytest.mark.parametrize(("question", "how", "golden"), CHATS)
def test_chats_are_these(chatty: Path, question: Question, how: dict[str, Any], golden: str) -> None:
    with open_model(chatty) as model:
        [reply] = model.ask(question, **how).replies
    assert reply.text == golden
    assert "".join(reply.pieces) == golden
    assert reply.pieces.count("<|im_start|>") == golden.count("<|im_start|>")


def test_in_context_examples_of_the_paper_are_three_in_five_variants_with_drawn_letters(chatty: Path) -> None:
    with open_model(chatty) as model:
        answers = model.ask(TRUST, in_context="sorensen2024", persona="I am 30.", seed=4)
        by_hand = model.ask(TRUST, mode="completion", examples=3, variants=5, persona="I am 30.", seed=4)
        another = model.ask(TRUST, in_context="sorensen2024", persona="I am 30.", seed=5)
        alone = model.ask(TRUST, in_context="none", mode="completion")
    texts = [reply.text for reply in answers.replies]
    assert len(texts) == len(set(texts)) == 5  # plain text, also where the model has a chat template
    letters = []
    for text in texts:
        first, second, third, rest = (
            text.replace(BREAKFAST, "|").replace(SEASONS, "|").replace(TRAVEL, "|").split("|")[i] for i in range(4)
        )
        assert (first, rest[1:]) == ("", f"\n\nI am 30.\n\n{LETTERS}")
        letters.append((second.strip(), third.strip(), rest[0]))
    assert len(set(letters)) == 5
    assert {letter for drawn in letters for letter in drawn} == set("ABCD")
    table = np.array([reply.probabilities for reply in answers.replies])
    rows = table / table.sum(axis=1, keepdims=True)
    assert answers.rows[0] == pytest.approx(rows.mean(axis=0))  # rows count equally, whatever their captured mass
    assert answers.captured_mass[0] == pytest.approx(table.sum(axis=1).mean())
    assert answers.captured_mass_min[0] == pytest.approx(table.sum(axis=1).min())
    assert answers.spread == pytest.approx(np.stack([rows.min(axis=0), rows.max(axis=0)]))
    assert by_hand.replies == answers.replies
    assert [r.text for r in another.replies] != texts
    assert [r.text for r in alone.replies] == [LETTERS]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"in_context": "sorenson2024"}, "Did you mean 'sorensen2024'"),
        ({"in_context": "sorensen2024", "examples": 2}, "leave them out"),
        ({"in_context": "sorensen2024", "variants": 3}, "leave them out"),
    ],
)
def test_in_context_examples_that_cannot_be_say_so(tiny: Model, how: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        tiny.ask(TRUST, **how)
