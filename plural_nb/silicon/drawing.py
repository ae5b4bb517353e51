"""Answers drawn from a model at temperature 1, reproducibly."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from plural_nb.silicon.scoring import Evaluated, Tokens, log_softmax

LONGEST_ANSWER = 24  # tokens; what does not end by then is read as far as it goes


class Writer(Protocol):
    """What is needed of a model: logits after tokens, and the text of a token."""

    def evaluate(self, sequences: Iterable[Tokens]) -> Iterator[Evaluated]:
        """Yield, batch by batch, the places and the logits of distinct, sorted sequences."""

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

    def note(tokens: Tokens, times: int) -> None:
        counts["".join(map(writer.piece, tokens)).strip()] += times

    # All samples that have begun alike share one evaluation, and all beginnings of one length share batches: how many
    # go on with which token is multinomial. Beginnings are taken in their sorted order, so the draw is reproducible.
    begun: dict[Tokens, int] = {(): samples}
    for _ in range(longest):
        sequences = sorted(begun)
        longer: dict[Tokens, int] = {}
        for places, logits in writer.evaluate([prompt + said for said in sequences]):
            for place, row in zip(places, logits, strict=True):
                said = sequences[place]
                p = np.exp(log_softmax(row))
                drawn = draw.multinomial(begun[said], p / p.sum())
                for token in np.flatnonzero(drawn).tolist():
                    if token in ends:
                        note(said, int(drawn[token]))
                    else:
                        longer[*said, token] = int(drawn[token])
        begun = longer
        if not begun:
            break
    for said, times in begun.items():
        note(said, times)
    return tuple(counts.most_common())
