"""Columns of a survey's file: in memory, or read from the file when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

import polars as pl

T = TypeVar("T")

# Columns of a large file that stay in memory once read.
_KEPT = 64


class Columns:
    """The columns of a file by name; `read` goes to the file for those that are not in memory.

    names: every column there is. Either `frame` holds them all, or `source` reads the ones it is given.

    >>> Columns(pl.DataFrame({"q": [1, 2]})).read(["q"]).height
    2
    """

    def __init__(
        self,
        frame: pl.DataFrame | None = None,
        *,
        names: Sequence[str] = (),
        source: Callable[[Sequence[str]], pl.DataFrame] | None = None,
    ) -> None:
        self.names = tuple(names) if frame is None else tuple(frame.columns)
        self._frame = frame
        self._source = source
        self._kept: dict[str, pl.Series] = {}

    @property
    def in_memory(self) -> bool:
        """Whether all columns are held already."""
        return self._frame is not None

    def read(self, names: Sequence[str]) -> pl.DataFrame:
        """Return these columns; one pass through the file reads all that are not in memory."""
        if self._frame is not None:
            return self._frame.select(names)
        wanted = list(dict.fromkeys(names))
        new = [name for name in wanted if name not in self._kept]
        found = {name: self._kept[name] for name in wanted if name in self._kept}
        if new and self._source is not None:
            found |= {series.name: series for series in self._source(new)}
            self._kept |= found
            for name in list(self._kept)[:-_KEPT]:
                del self._kept[name]
        return pl.DataFrame([found[name] for name in wanted])

    def __getitem__(self, name: str) -> pl.Series:
        # Selecting from ten thousand columns takes longer than looking at one.
        return self.read([name])[name] if self._frame is None else self._frame.get_column(name)

    def frame(self) -> pl.DataFrame:
        """Return every column; of a large file this takes as much memory as it holds."""
        return self.read(self.names) if self._frame is None else self._frame


class Lazy(Mapping[str, T], Generic[T]):
    """A mapping whose keys are known and whose values are made when they are first asked for.

    >>> made = Lazy(["a", "b"], str.upper)
    >>> list(made), made["b"]
    (['a', 'b'], 'B')
    """

    def __init__(self, keys: Iterable[str], make: Callable[[str], T], known: Mapping[str, T] | None = None) -> None:
        self._keys = dict.fromkeys(keys)
        self._make = make
        self._known = dict(known or {})

    def __getitem__(self, key: str) -> T:
        if key not in self._known:
            if key not in self._keys:
                raise KeyError(key)
            self._known[key] = self._make(key)
        return self._known[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def with_value(self, key: str, value: T) -> Lazy[T]:
        """Return the same mapping with another value for one key."""
        return Lazy(self._keys, self._make, {**self._known, key: value})
