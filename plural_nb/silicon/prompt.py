"""The text a model is sent, and what came back: letters, in-context examples, plain and chat prompts.

Pure text: nothing here loads a model. Chat templates are rendered by the worker, in a sandbox.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from plural_nb.errors import ModelError
from plural_nb.survey.question import Question

Mode = Literal["completion", "chat"]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CHAT_INSTRUCTION = "Answer with the letter of one option only."

EXAMPLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("How often do you eat breakfast?", ("Every day", "Some days", "Rarely", "Never")),
    ("Which of these seasons do you like best?", ("Spring", "Summer", "Autumn", "Winter")),
    ("How do you usually travel to work or school?", ("On foot", "By bicycle", "By public transport", "By car")),
)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat: who speaks ("system", "user", "assistant") and what is said."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked, before a chat template is applied.

    text: the whole prompt of a completion; empty when `messages` is not.
    messages: the turns of a chat; the model's own template turns them into text.
    forms: for each option shown, the continuations that count as choosing it (their probabilities are summed).
    shown: for each option shown, its place in the question's options.
    """

    text: str
    messages: tuple[Message, ...]
    forms: tuple[tuple[str, ...], ...]
    shown: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model was sent, exactly, and what it made of each option.

    text: the exact prompt, chat template applied.
    tokens, pieces: the token ids the model saw, with the text of each.
    probabilities: of each option shown, in the order shown, not normalised; their sum is the captured mass.
    shown: for each option shown, its place in the question's options.
    """

    text: str
    tokens: tuple[int, ...] = field(repr=False)
    pieces: tuple[str, ...] = field(repr=False)
    probabilities: tuple[float, ...]
    shown: tuple[int, ...]

    @property
    def captured_mass(self) -> float:
        """Probability that fell on any option shown, between 0 and 1."""
        return float(sum(self.probabilities))


def lettered(question: Question, shown: Sequence[int] | None = None) -> str:
    """Return the question with its offered options behind letters, without the word "Answer".

    >>> from plural_nb.survey.question import ask_for
    >>> print(lettered(ask_for("Tea or coffee?", ["Tea", "Coffee"])))
    Question: Tea or coffee?
    A. Tea
    B. Coffee
    """
    places = question.offered if shown is None else shown
    lines = [f"{LETTERS[i]}. {question.options[place].label}" for i, place in enumerate(places)]
    return "\n".join([f"Question: {question.text}", *lines])


def letter_prompts(
    question: Question,
    *,
    persona: str = "",
    mode: Mode = "completion",
    examples: int = 0,
    variants: int = 5,
    seed: int = 0,
    shown: Sequence[int] | None = None,
) -> list[Prompt]:
    """Return the prompts whose answers, averaged, are the model's row for one question and one persona.

    persona: backstory put before the question; empty for the model's own voice.
    examples: in-context examples, 0 to 3. With examples there are `variants` prompts whose examples carry letters
        drawn at random, so that no letter is favoured (Sorensen et al. 2024, App. A: 3 examples, 5 variants);
        without examples there is one prompt.
    shown: places of the options in the order to show them; as asked when None.

    Raises ModelError for more than 26 options or an impossible number of examples or variants.

    >>> from plural_nb.survey.question import ask_for
    >>> [p] = letter_prompts(ask_for("Tea or coffee?", ["Tea", "Coffee"]), persona="I am British.")
    >>> print(p.text)
    I am British.
    <BLANKLINE>
    Question: Tea or coffee?
    A. Tea
    B. Coffee
    Answer:
    >>> p.forms
    ((' A', 'A'), (' B', 'B'))
    """
    places = tuple(question.offered if shown is None else shown)
    if len(places) > len(LETTERS):
        raise ModelError(
            f"Question {question.key!r} shows {len(places)} options, and letters go from A to Z. Merge options first."
        )
    if not 0 <= examples <= len(EXAMPLES):
        raise ModelError(f"examples must be between 0 and {len(EXAMPLES)}, not {examples}.")
    if variants < 1:
        raise ModelError(f"variants must be at least 1, not {variants}.")
    forms = tuple((f" {LETTERS[i]}", LETTERS[i]) for i in range(len(places)))
    asked = lettered(question, places)
    draw = random.Random(seed)
    prompts = []
    for _ in range(variants if examples else 1):
        solved = [(*EXAMPLES[i], draw.randrange(len(EXAMPLES[i][1]))) for i in range(examples)]
        if mode == "chat":
            turns = []
            for text, options, pick in solved:
                turns.append(Message("user", _ask_in_chat(_lettered_example(text, options))))
                turns.append(Message("assistant", LETTERS[pick]))
            turns.append(Message("user", _ask_in_chat(asked, persona)))
            prompts.append(Prompt("", tuple(turns), forms, places))
        else:
            blocks = [f"{_lettered_example(t, o)}\nAnswer: {LETTERS[pick]}" for t, o, pick in solved]
            blocks += [persona] if persona else []
            prompts.append(Prompt("\n\n".join([*blocks, f"{asked}\nAnswer:"]), (), forms, places))
    return prompts


def _ask_in_chat(asked: str, persona: str = "") -> str:
    return "\n\n".join(([persona] if persona else []) + [f"{asked}\n{CHAT_INSTRUCTION}"])


def _lettered_example(text: str, options: Sequence[str]) -> str:
    return "\n".join([f"Question: {text}", *(f"{LETTERS[i]}. {o}" for i, o in enumerate(options))])
