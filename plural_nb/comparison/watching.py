"""Watching: answers by question that say how far those who take them are, and by which they can be stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class Watched(Mapping[str, Any]):
    """Answers by question; before the answers to one are taken, `taking` is called with how many were.

    What it raises (`Cancelled`) ends whatever was to be done with them.

    >>> said = []
    >>> dict(Watched({"tea": 1, "milk": 2}, said.append)), said
    ({'tea': 1, 'milk': 2}, [0, 1])
    """

    def __init__(self, answers: Mapping[str, Any], taking: Callable[[int], None]) -> None:
        self._answers = answers
        self._taking = taking
        self._taken: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self._taking(len(self._taken))
        self._taken.add(key)
        return self._answers[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers)

    def __len__(self) -> int:
        return len(self._answers)
