"""Benchmarks: shares of a population that are known, of everybody or by group, to hold samples against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import polars as pl

from plural_nb.errors import PluralError, nearest

EVERYONE = ("", "")
_COLUMNS = ("question", "option", "share")
_KNOWN = (*_COLUMNS, "trait", "level")


@dataclass(frozen=True, slots=True, eq=False)
class Benchmarks:
    """Known shares by group, question and option.

    shares: for each (trait, level), ("", "") being everybody, and each question key, the share of each option's label.
    problems: what could not be used, with the reason (shares that do not sum to 1, say); never mended in silence.

    Raises PluralError where nothing can be used.

    >>> known = Benchmarks.of({"smokes": {"Yes": 0.17, "No": 0.83}, "votes": {"Yes": 0.6, "No": 0.5}})
    >>> list(known.shares[EVERYONE]), known.problems
    (['smokes'], ('votes: its shares sum to 1.1, not 1 (rounding aside).',))
    """

    shares: Mapping[tuple[str, str], Mapping[str, Mapping[str, float]]] = field(repr=False)
    problems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not any(self.shares.values()):
            raise PluralError(f"No benchmark can be used. {' '.join(self.problems)}".strip())

    @property
    def groups(self) -> tuple[tuple[str, str], ...]:
        """The (trait, level) there are, everybody first."""
        return tuple(sorted(self.shares, key=lambda group: group != EVERYONE))

    @classmethod
    def of(cls, shares: Mapping[str, Mapping[str, float]]) -> Benchmarks:
        """Return benchmarks of everybody from shares by question key and option label."""
        rows = [(question, option, share) for question, by in shares.items() for option, share in by.items()]
        return cls.read(pl.DataFrame(rows, schema=dict(zip(_COLUMNS, (pl.String, pl.String, pl.Float64), strict=True)),
                                     orient="row"))  # fmt: skip

    @classmethod
    def read(cls, table: pl.DataFrame | Path | str) -> Benchmarks:
        """Return benchmarks from a table or a .csv: question, option, share, and for groups trait and level.

        trait, level: of the people whose share it is (as the survey's codebook names them), empty for everybody.
        Shares of one question and group sum to 1, within half a per cent per option; one that does not is left out and
        named. Raises PluralError for missing columns, repeated options or shares that are not numbers.
        """
        frame = table if isinstance(table, pl.DataFrame) else _csv(Path(table).expanduser())
        for column in _COLUMNS:
            if column not in frame.columns:
                raise PluralError(f"The benchmarks have no column {column!r}. {nearest(column, frame.columns)}")
        for column in ("trait", "level"):
            if column not in frame.columns:
                frame = frame.with_columns(pl.lit("").alias(column))
        frame = frame.with_columns(pl.col("trait", "level", "question", "option").cast(pl.String).fill_null(""))
        found: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
        for row in frame.iter_rows(named=True):
            try:
                share = float(row["share"])
            except (TypeError, ValueError):
                raise PluralError(f"Benchmark {_where(row)}: {row['share']!r} is not a number.") from None
            by = found.setdefault((row["trait"], row["level"]), {}).setdefault(row["question"], {})
            if row["option"] in by:
                others = [name for name in frame.columns if name not in _KNOWN]
                said = (
                    f" (Is it told apart by {', '.join(map(repr, others))}? Keep one of its values.)" if others else ""
                )
                raise PluralError(
                    f"Benchmark {_where(row)} stands twice. Give each option of a question one share.{said}"
                )
            by[row["option"]] = share
        problems = []
        for group, questions in found.items():
            for key in list(questions):
                why = _wrong(np.array(list(questions[key].values())))
                if why:
                    problems.append(f"{key}{_of(group)}: {why}")
                    del questions[key]
        kept = {group: MappingProxyType(questions) for group, questions in found.items() if questions}
        return cls(MappingProxyType(kept), tuple(problems))


def _wrong(shares: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    if not np.isfinite(shares).all() or (shares < 0).any() or (shares > 1).any():
        return "a share lies outside 0 to 1."
    if shares.size < 2:
        return "it has a single option; give the shares of all of them."
    if abs(shares.sum() - 1) > 0.005 * shares.size:
        return f"its shares sum to {shares.sum():.4g}, not 1 (rounding aside)."
    return ""


def _csv(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise PluralError(f"There is no file {path}. Check the folder.")
    try:
        return pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, UnicodeError) as problem:
        raise PluralError(f"{path.name} cannot be read: {str(problem).splitlines()[0]}.") from None


def _where(row: Mapping[str, object]) -> str:
    return f"{row['question']}, {row['option']}{_of((str(row['trait']), str(row['level'])))}"


def _of(group: tuple[str, str]) -> str:
    return f" ({group[0]}: {group[1]})" if group != EVERYONE else ""
