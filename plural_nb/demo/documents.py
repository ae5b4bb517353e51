"""What a demo model reads in one go: prompts, what is said behind them, and how likely each answer should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from plural_nb.silicon.manner import Manner
from plural_nb.silicon.methods import prompts_for
from plural_nb.silicon.prompt import LETTERS, Mode, Prompt, letter_prompts
from plural_nb.survey.question import Question

# As what an answer is given: the letter of an option, its own words, or a whole number.
Way = Literal["letter", "words", "number"]
LINE_BREAK = "\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer in a document.

    before: the text in front of it, from the answer before. said: the answer that is read, with its end.
    shares: each answer possible here, with its end, and the probability it should have; empty where the one that is
    read is the one to be learned.

    >>> Answer("Tea?\\nAnswer:", " Yes\\n").possible
    ((' Yes\\n', 1.0),)
    """

    before: str
    said: str
    shares: tuple[tuple[str, float], ...] = ()

    @property
    def possible(self) -> tuple[tuple[str, float], ...]:
        """Each answer to be learned and its probability."""
        return self.shares or ((self.said, 1.0),)


@dataclass(frozen=True, slots=True)
class Document:
    """A text with at least one answer: what a model reads in one go, in a row of its own."""

    answers: tuple[Answer, ...]

    @property
    def text(self) -> str:
        """The whole text, the last answer's end included."""
        return "".join(answer.before + answer.said for answer in self.answers)


def posed(question: Question, way: Way, persona: str, *, shown: Sequence[int], mode: Mode = "completion") -> Prompt:
    """Return the prompt that asks for an answer this way, exactly as `Model.ask` sends it.

    shown: places of the options in the order to show them; a prompt for a number shows none.

    >>> from plural_nb.survey.question import ask_for
    >>> print(posed(ask_for("Tea or coffee?", ["Tea", "Coffee"]), "words", "", shown=(1, 0)).text)
    Question: Tea or coffee?
    - Coffee
    - Tea
    Answer:
    """
    if way == "letter":
        return letter_prompts(question, persona=persona, mode=mode, shown=shown)[0]
    if way == "words":
        question = replace(question, options=tuple(question.options[place] for place in shown))
    manner = Manner(mode=mode, method="text" if way == "words" else "number")
    return prompts_for(question, persona, manner)[0][0]


def spoken(question: Question, way: Way, shown: Sequence[int]) -> list[str]:
    """Return how each option shown is said, without space in front or end: by its letter, or in its words.

    >>> from plural_nb.survey.question import ask_for
    >>> spoken(ask_for("Tea or coffee?", ["Tea", "Coffee"]), "letter", (1, 0))
    ['A', 'B']
    """
    if way == "letter":
        return [LETTERS[i] for i in range(len(shown))]
    return [question.options[place].label.strip() for place in shown]
