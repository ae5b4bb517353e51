"""In which order prompts are decoded, and how much of each the model remembers from the one before.

Plans only: nothing here talks to llama.cpp. The careful loop stands: one sequence, prompts sorted so that shared
beginnings meet, each decoded from where it leaves its neighbour. A prefix tree that forks sequences fits in here.
"""

from __future__ import annotations

from collections.abc import Sequence

Tokens = tuple[int, ...]


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
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))
