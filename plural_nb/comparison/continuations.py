"""Log-probabilities of the words a text goes on with: what a model has read comes more easily than what it has not."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from plural_nb.silicon.prompt import Prompt, Reply

# Words scored at once: the probability of many more, multiplied out, may be too small for a number.
_CHUNK = 6


class Scorer(Protocol):
    """A model that says how probable the forms of prompts are; `Model` is one."""

    @property
    def replies(self) -> Callable[[Sequence[Prompt]], list[Reply]]:
        """What it makes of each prompt."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """A text cut in two, whose second part is scored behind the first.

    >>> Continuation.halves("Do you drink tea or coffee at home?")
    Continuation(start='Do you drink tea', rest=' or coffee at home?')
    """

    start: str
    rest: str

    @classmethod
    def halves(cls, text: str) -> Continuation:
        """Cut a text in the middle of its words."""
        words = text.split()
        half = (len(words) + 1) // 2
        return cls(" ".join(words[:half]), "".join(f" {word}" for word in words[half:]))

    def shuffled(self, draw: random.Random) -> Continuation:
        """The same with the words of the second part in another order, where there is one."""
        words = self.rest.split()
        mixed = words[:]
        for _ in range(20):
            draw.shuffle(mixed)
            if mixed != words:
                break
        return Continuation(self.start, "".join(f" {word}" for word in mixed))

    def prompts(self) -> list[Prompt]:
        """Prompts for the second part, a few words at a time, each behind all that comes before."""
        words = self.rest.split(" ")[1:]
        made = []
        for i in range(0, len(words), _CHUNK):
            before = self.start + "".join(f" {word}" for word in words[:i])
            made.append(Prompt(before, (), ((" " + " ".join(words[i : i + _CHUNK]),),), (0,)))
        return made


def log_probabilities(model: Scorer, texts: Sequence[Continuation], **how: Any) -> list[float]:
    """Return the mean log-probability per token (nats) of each text's second part; −inf where it has none at all.

    The parts are tokenised whole with what comes before, six words at a time. how: keyword arguments of
    `Model.replies`.
    """
    prompts = [text.prompts() for text in texts]
    flat = model.replies([p for some in prompts for p in some], **how)
    found, at = [], 0
    for some in prompts:
        replies, at = flat[at : at + len(some)], at + len(some)
        with np.errstate(divide="ignore"):
            total = float(np.log([reply.probabilities[0] for reply in replies]).sum())
        found.append(total / max(sum(reply.lengths[0] for reply in replies), 1))
    return found
