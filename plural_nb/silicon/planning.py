"""In which order prompts are decoded: a walk through the tree of their beginnings, cut into batches.

Plans only: nothing here talks to llama.cpp. Sorted prompts are the leaves of a prefix tree from left to right, and
what a leaf shares with all leaves before it, it shares with the one right before it. So one remembered path is enough
to decode each distinct token once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Tokens = tuple[int, ...]
Ints = npt.NDArray[np.int32]


@dataclass(slots=True)
class Batch:
    """Tokens that are decoded together, and to which branches each belongs.

    Branch 0 is the path remembered from before; branches 1, 2, … are those of this batch, from left to right.

    tokens, positions: (n,) of each token. first, count: (n,) the branches it belongs to are first … first + count − 1.
    forks: for branch 1, 2, …, how many tokens of branch 0 it begins with. outputs: rows whose logits are wanted, each
    with the place of its sequence. path: the last branch, which is remembered for the next batch.
    """

    tokens: Ints
    positions: Ints
    first: Ints
    count: Ints
    forks: list[int]
    outputs: list[tuple[int, int]]
    path: Tokens


@dataclass(slots=True)
class _Chain:
    """One leaf's tokens, how many of them the path before it shares, and where on the way logits are wanted."""

    tokens: Tokens
    shared: int
    wanted: list[tuple[int, int]] = field(default_factory=list)  # (number of tokens, place of the sequence)


def batches(
    sequences: Iterable[Tokens], remembered: Tokens, *, size: int, branches: int, outputs: int
) -> Iterator[Batch]:
    """Yield batches that decode each distinct beginning of the sequences once, logits wanted at each one's end.

    sequences: distinct and sorted. remembered: the path that is in branch 0 already. size: tokens per batch, at most.
    branches: per batch, at most, branch 0 not counted. outputs: rows with logits per batch, at most.

    >>> [b] = batches([(1, 2), (1, 2, 3), (1, 4)], (1, 9), size=8, branches=4, outputs=8)
    >>> b.tokens.tolist(), b.positions.tolist(), b.first.tolist(), b.count.tolist(), b.forks, b.outputs
    ([2, 3, 4], [1, 2, 1], [1, 1, 2], [1, 1, 1], [1, 1], [(0, 0), (1, 1), (2, 2)])
    """
    source = _chains(sequences, remembered)
    waiting: deque[_Chain] = deque()
    pending = 0  # tokens of the chains that wait
    while True:
        while pending < size and (chain := next(source, None)) is not None:
            waiting.append(chain)
            pending += len(chain.tokens) - chain.shared
        if not waiting:
            return
        batch, decoded = _next(waiting, size, branches, outputs)
        pending -= decoded
        yield batch


def _chains(sequences: Iterable[Tokens], remembered: Tokens) -> Iterator[_Chain]:
    chain: _Chain | None = None
    for place, tokens in enumerate(sequences):
        if chain is None:
            # The last token is decoded in any case, because its logits are wanted.
            chain = _Chain(tokens, min(shared_length(remembered, tokens), len(tokens) - 1))
        else:
            shared = shared_length(chain.tokens, tokens)
            if shared == len(chain.tokens):  # it goes on where the one before ends
                chain.tokens = tokens
            else:
                yield chain
                chain = _Chain(tokens, shared)
        chain.wanted.append((len(tokens), place))
    if chain is not None:
        yield chain


def _next(waiting: deque[_Chain], size: int, branches: int, outputs: int) -> tuple[Batch, int]:
    tokens: list[int] = []
    positions: list[int] = []
    first: list[int] = []
    last = np.zeros(size, dtype=np.int32)
    forks: list[int] = []
    found: list[tuple[int, int]] = []
    rows: list[int] = []  # of the current path from position `begin` on: the rows in this batch
    begin = waiting[0].shared
    path: Tokens = ()
    while waiting and len(tokens) < size and len(forks) < branches and len(found) < outputs:
        chain = waiting[0]
        at = chain.shared
        left = rows[max(0, at - begin) :]  # what the branches so far have and this one has not
        last[left] = len(forks)
        if at < begin:  # this branch leaves the remembered path earlier, so it shares no row
            begin, rows = at, []
        del rows[at - begin :]
        forks.append(begin)
        end = min(len(chain.tokens), at + size - len(tokens))
        if len(chain.wanted) > outputs - len(found):
            end = min(end, chain.wanted[outputs - len(found) - 1][0])
        rows += range(len(tokens), len(tokens) + end - at)
        tokens += chain.tokens[at:end]
        positions += range(at, end)
        first += [len(forks)] * (end - at)
        while chain.wanted and chain.wanted[0][0] <= end:
            depth, place = chain.wanted.pop(0)
            found.append((rows[depth - 1 - begin], place))
        path = chain.tokens[:end]
        if end < len(chain.tokens):
            chain.shared = end
            break
        waiting.popleft()
    last[rows] = len(forks)
    n = len(tokens)
    made = [np.array(column, dtype=np.int32) for column in (tokens, positions, first)]
    return Batch(made[0], made[1], made[2], last[:n] - made[2] + 1, forks, found, path), n


def decoding_order(prompts: Sequence[Tokens]) -> list[int]:
    """Places of the prompts in the order to decode them: neighbours share the longest beginnings.

    >>> decoding_order([(1, 2, 3), (1, 9), (1, 2, 4)])
    [0, 2, 1]
    """
    return sorted(range(len(prompts)), key=lambda i: prompts[i])


def shared_length(a: Sequence[int], b: Sequence[int]) -> int:
    """Number of tokens with which both begin.

    >>> shared_length((1, 2, 3), (1, 2, 4, 5))
    2
    """
    # Slices are compared in C; halving finds the place where they part.
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    if a[: high - 1] == b[: high - 1]:  # most often: siblings among the options of one prompt
        return high - 1
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low
