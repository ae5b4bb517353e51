"""Answers drawn from a model at temperature 1, reproducibly: each distinct beginning of them is decoded once."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from plural_nb.silicon.scoring import Tokens, log_softmax

LONGEST_ANSWER = 24  # tokens; what does not end by then is read as far as it goes


class Writer(Protocol):
    """What is needed of a model: logits after tokens, and the text of a token."""

    def next_logits(self, tokens: Tokens) -> npt.NDArray[np.float32]:
        """Logits of the token that follows."""

    def piece(self, token: int) -> str:
        """The text of a token."""


def draw_answers(
    writer: Writer, prompt: Tokens, samples: int, *, seed: int, ends: frozenset[int], longest: int = LONGEST_ANSWER
) -> tuple[tuple[str, int], ...]:
    """Draw `samples` answers to a prompt and return each distinct text with how often it was drawn, most first.

    ends: tokens that end an answer, which are not part of it. longest: tokens an answer has at most.

    The draw depends on the seed and the prompt alone, not on what else is asked.
    """
    draw = np.random.default_rng([seed & 0xFFFFFFFF, zlib.crc32(np.array(prompt, dtype=np.int32).tobytes())])
    counts: Counter[str] = Counter()
    for tokens, times in _walk(writer, prompt, (), samples, draw, ends, longest):
        counts["".join(map(writer.piece, tokens)).strip()] += times
    return tuple(counts.most_common())


def _walk(
    writer: Writer,
    prompt: Tokens,
    said: Tokens,
    samples: int,
    draw: np.random.Generator,
    ends: frozenset[int],
    longest: int,
) -> Iterator[tuple[Tokens, int]]:
    # All samples that have begun alike share one evaluation: how many go on with which token is multinomial.
    if len(said) == longest:
        yield said, samples
        return
    p = np.exp(log_softmax(writer.next_logits(prompt + said)))
    drawn = draw.multinomial(samples, p / p.sum())
    ended = sum(int(drawn[token]) for token in ends)
    if ended:
        yield said, ended
    for token in np.flatnonzero(drawn).tolist():
        if token not in ends:
            yield from _walk(writer, prompt, (*said, token), int(drawn[token]), draw, ends, longest)
