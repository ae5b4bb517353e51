"""A pool of people from whom a jury is drawn, sorted into types that share all features."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.errors import PluralError, nearest

if TYPE_CHECKING:
    from plural_nb.survey.survey import Survey

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """People who may be seated, and the features that quotas speak of.

    ids: (n,) one name or number per person, no two alike.
    types: {feature: (T,) levels}, one entry per combination of levels that occurs.
    type_of: (n,) the place of each person's type. counts: (T,) people of each type.
    entry: (n,) probability with which each entered the pool, in (0, 1]; None where it is not known, and then what a
        jury says speaks for the pool only.

    >>> pool = Pool.of(pl.DataFrame({"name": ["Ann", "Bo", "Cy"], "age": ["old", "old", "young"]}), id="name")
    >>> pool.types, pool.counts.tolist()
    ({'age': ('old', 'young')}, [2, 1])
    """

    ids: tuple[str, ...]
    types: dict[str, tuple[str, ...]]
    type_of: Ints = field(repr=False)
    counts: Ints = field(repr=False)
    entry: Floats | None = field(default=None, repr=False)

    @property
    def n(self) -> int:
        """Number of people."""
        return len(self.ids)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(self.types)

    @classmethod
    def of(
        cls,
        frame: pl.DataFrame,
        *,
        features: Sequence[str] | None = None,
        id: str | None = None,  # noqa: A002
        entry: str | None = None,
    ) -> Pool:
        """Return the pool of a table with one row per person.

        features: columns that quotas speak of; all but `id` and `entry` when None. A missing level becomes the level
        "not known". id: the column that names people; row numbers from 1 when None. entry: the column with the
        probability of having entered the pool.

        Raises PluralError for an empty table, a column that is not there, two people with one id, or a probability
        outside (0, 1].
        """
        wanted = [c for c in (id, entry, *(features or ())) if c is not None]
        for column in wanted:
            if column not in frame.columns:
                raise PluralError(f"The pool has no column {column!r}. {nearest(column, frame.columns)}")
        if frame.is_empty():
            raise PluralError("The pool is empty: nobody can be seated.")
        names = list(features) if features is not None else [c for c in frame.columns if c not in (id, entry)]
        if not names:
            raise PluralError("The pool has no features; name the columns that quotas speak of.")
        ids = [str(i + 1) for i in range(frame.height)] if id is None else frame[id].cast(pl.String).to_list()
        _require_ids(ids)
        chosen = frame.select(pl.col(c).cast(pl.String).fill_null("not known") for c in names)
        types = chosen.unique(maintain_order=True)
        place = chosen.join(
            types.with_row_index("_type"), on=names, how="left", maintain_order="left", nulls_equal=True
        )["_type"]
        type_of = place.to_numpy().astype(np.int64)
        counts = np.bincount(type_of, minlength=types.height).astype(np.int64)
        probability = None if entry is None else _entry(frame[entry], ids)
        return cls(tuple(map(str, ids)), {c: tuple(types[c]) for c in names}, type_of, counts, probability)

    @classmethod
    def from_survey(cls, survey: Survey, traits: Sequence[str]) -> Pool:
        """Return a survey's respondents as a pool, with the named traits as features; ids are row numbers from 1.

        Raises SurveyError, naming the nearest, for a trait that the survey does not have.
        """
        columns = {}
        for name in traits:
            groups = survey.groups(name)
            columns[name] = [None if c < 0 else groups.names[c] for c in groups.codes]
        return cls.of(pl.DataFrame(columns, schema=dict.fromkeys(traits, pl.String)))

    def table(self) -> pl.DataFrame:
        """Return one row per type: its levels and how many people have it."""
        return pl.DataFrame({**{f: list(levels) for f, levels in self.types.items()}, "people": self.counts})

    def fingerprint(self) -> str:
        """Return the SHA-256 of ids and features, so that a record can say from which pool a jury was drawn."""
        rows = [
            [i, *(levels[t] for levels in self.types.values())] for i, t in zip(self.ids, self.type_of, strict=True)
        ]
        return hashlib.sha256(json.dumps([list(self.features), rows], ensure_ascii=False).encode()).hexdigest()


def _require_ids(ids: list[str | None]) -> None:
    seen: dict[str | None, int] = {}
    for i, name in enumerate(ids):
        if name is None:
            raise PluralError(f"Person {i + 1} of the pool has no id; everyone needs one.")
        if name in seen:
            raise PluralError(f"Two people of the pool have the id {name!r}: rows {seen[name] + 1} and {i + 1}.")
        seen[name] = i


def _entry(column: pl.Series, ids: list[str | None]) -> Floats:
    values = column.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    wrong = ~((values > 0) & (values <= 1))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise PluralError(
            f"The probability of entering the pool of person {ids[i]!r} is {column[i]!r}; it lies above 0 and at most "
            "1."
        )
    return values
