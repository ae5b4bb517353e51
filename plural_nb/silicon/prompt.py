"""The text a model is sent, and what came back: letters, in-context examples, plain and chat prompts.

Pure text: nothing here loads a model. Chat templates are rendered by the worker, in a sandbox.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

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
    terminated: whether a form counts only where the answer ends behind it (a line break or the end of the turn),
        which keeps "1" and "10" apart.
    samples, seed: when samples is not 0, so many answers are drawn instead, reproducibly, and forms are not scored.
    longest: when not 0, free text of so many tokens at most is drawn, which may have several lines; else an answer ends
        at the first line break.
    negligible: forms whose first tokens together have less than this part of what all options have need not be
        followed to their ends; 0 where every form is.
    """

    text: str
    messages: tuple[Message, ...]
    forms: tuple[tuple[str, ...], ...]
    shown: tuple[int, ...]
    terminated: bool = False
    samples: int = 0
    seed: int = 0
    longest: int = 0
    negligible: float = 0.0

    def __hash__(self) -> int:
        # Strings remember their hash; tuples of forms do not, and they hardly ever tell two prompts apart.
        return hash((self.text, self.messages, self.seed))

    def frame(self) -> dict[str, Any]:
        """What the worker is sent of it."""
        return {
            "text": self.text,
            "messages": [{"role": m.role, "content": m.content} for m in self.messages],
            "forms": self.forms,
            "terminated": self.terminated,
            "samples": self.samples,
            "seed": self.seed,
            "longest": self.longest,
            "negligible": self.negligible,
        }


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model was sent, exactly, and what it made of each option.

    text: the exact prompt, chat template applied.
    probabilities: of each option shown, in the order shown, not normalised; their sum is the captured mass.
    shown: for each option shown, its place in the question's options.
    lengths: for each option shown, how many tokens its likeliest form has; empty where nothing was scored.
    said: the answers that were drawn, each with how often; empty where probabilities were scored.
    ids: the tokens the model saw, four bytes each (little-endian), as `packed` makes them: thousands of replies are
        kept, and the tokens of a few are looked at. spelling: the text of each token of the model.

    >>> reply = Reply("Tea?", (0.5, 0.25), (0, 1), ids=packed([7, 9]), spelling={7: "Te", 9: "a?"})
    >>> reply.captured_mass, reply.tokens, reply.pieces
    (0.75, (7, 9), ('Te', 'a?'))
    """

    text: str
    probabilities: tuple[float, ...]
    shown: tuple[int, ...]
    lengths: tuple[int, ...] = field(default=(), repr=False)
    said: tuple[tuple[str, int], ...] = field(default=(), repr=False)
    ids: bytes = field(default=b"", repr=False)
    spelling: Mapping[int, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def tokens(self) -> tuple[int, ...]:
        """The token ids the model saw."""
        return struct.unpack(f"<{len(self.ids) // 4}i", self.ids)

    @property
    def pieces(self) -> tuple[str, ...]:
        """The text of each token the model saw."""
        return tuple(map(self.spelling.__getitem__, self.tokens))

    @property
    def captured_mass(self) -> float:
        """Probability that fell on any option shown, between 0 and 1."""
        return float(sum(self.probabilities))


def packed(tokens: Sequence[int]) -> bytes:
    """Token ids, four bytes each (little-endian)."""
    return struct.pack(f"<{len(tokens)}i", *tokens)


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
    system: str = "",
) -> list[Prompt]:
    """Return the prompts whose answers, averaged, are the model's row for one question and one persona.

    persona: backstory put before the question; empty for the model's own voice.
    examples: in-context examples, 0 to 3. With examples there are `variants` prompts whose examples carry letters
        drawn at random, so that no letter is favoured (Sorensen et al. 2024, App. A: 3 examples, 5 variants);
        without examples there is one prompt.
    shown: places of the options in the order to show them; as asked when None.
    system: text that comes first of all.

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
    prompts = []
    draw = random.Random(seed if examples else 0)
    for _ in range(variants if examples else 1):
        solved = []
        for text, options in EXAMPLES[:examples]:
            solved.append((_lettered_example(text, options), LETTERS[draw.randrange(len(options))]))
        prompts.append(
            assemble(
                lettered(question, places),
                solved=solved,
                instruction=CHAT_INSTRUCTION,
                persona=persona,
                system=system,
                mode=mode,
                forms=forms,
                shown=places,
            )
        )
    return prompts


def assemble(
    asked: str,
    *,
    solved: Sequence[tuple[str, str]],
    instruction: str,
    persona: str,
    system: str,
    mode: Mode,
    forms: tuple[tuple[str, ...], ...],
    shown: tuple[int, ...],
    terminated: bool = False,
) -> Prompt:
    """Return the prompt that asks `asked` behind solved examples (what was asked, what was answered).

    instruction: what a chat adds to each question. system: comes first; persona: comes before the question.
    """
    if mode == "chat":
        turns = [Message("system", system)] if system else []
        for example, answer in solved:
            turns += [Message("user", f"{example}\n{instruction}"), Message("assistant", answer)]
        turns.append(Message("user", "\n\n".join([*([persona] if persona else []), f"{asked}\n{instruction}"])))
        return Prompt("", tuple(turns), forms, shown, terminated)
    blocks = [system] if system else []
    blocks += [f"{example}\nAnswer: {answer}" for example, answer in solved]
    blocks += [persona] if persona else []
    return Prompt("\n\n".join([*blocks, f"{asked}\nAnswer:"]), (), forms, shown, terminated)


def _lettered_example(text: str, options: Sequence[str]) -> str:
    return "\n".join([f"Question: {text}", *(f"{LETTERS[i]}. {o}" for i, o in enumerate(options))])
