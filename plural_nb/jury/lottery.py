"""A lottery over juries, the draw from it, and the public record that lets anyone draw again and compare."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.errors import PluralError
from plural_nb.jury.pool import Pool
from plural_nb.jury.quotas import Quotas

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Juries drawn less often than this in a lottery are left out, and the others' probabilities sum to 1 again.
_NEVER = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Jury:
    """People drawn from a pool.

    seated: (k,) places in the pool, ascending. probability: (k,) of being seated, for those who are; NaN where it is
    not known. method: how they were drawn. seed: of the draw. note: what a reader must know.
    """

    pool: Pool
    seated: Ints
    probability: Floats = field(repr=False)
    method: str
    seed: int
    note: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """Who sits on the jury."""
        return tuple(self.pool.ids[i] for i in self.seated)

    @property
    def weight(self) -> Floats:
        """(k,) design weights: 1/probability of being seated, times 1/probability of entering the pool if known.

        Without the latter they speak for the pool, not for the population (definitions, section 6).
        """
        weight = 1 / self.probability
        return np.asarray(weight if self.pool.entry is None else weight / self.pool.entry[self.seated])

    def table(self) -> pl.DataFrame:
        """Return one row per juror: id, features, probability, weight."""
        kind = self.pool.type_of[self.seated]
        features = {f: [levels[t] for t in kind] for f, levels in self.pool.types.items()}
        return pl.DataFrame(
            {"id": list(self.ids), **features, "probability": self.probability, "weight": self.weight}
        ).with_columns(pl.col("probability", "weight").fill_nan(None))


@dataclass(frozen=True, slots=True, eq=False)
class Lottery:
    """Juries that keep the quotas, as counts of people of each type, and how likely each is.

    panels: (P, T) people of each type. chance: (P,) sums to 1. Within a type everyone is as likely as the other.
    rule: how the chances were chosen.
    """

    pool: Pool
    quotas: Quotas
    panels: Ints = field(repr=False)
    chance: Floats = field(repr=False)
    rule: str

    @classmethod
    def of(cls, pool: Pool, quotas: Quotas, panels: Ints, chance: Floats, rule: str) -> Lottery:
        """Return the lottery without the juries that never come up."""
        used = chance > _NEVER
        return cls(pool, quotas, panels[used], chance[used] / chance[used].sum(), rule)

    @property
    def probability(self) -> Floats:
        """(n,) each person's probability of being seated; they sum to the seats."""
        return np.asarray(self._of_type()[self.pool.type_of])

    def table(self) -> pl.DataFrame:
        """Return one row per type: its levels, people, probability of each, and the seats they can expect."""
        p = self._of_type()
        return self.pool.table().with_columns(
            pl.Series("probability", p), pl.Series("expected_seats", p * self.pool.counts)
        )

    def sentence(self) -> str:
        """Return the lottery in words: seats, juries in the mix, the smallest and largest probability, who has none."""
        p = self._of_type()
        never = int(self.pool.counts[p == 0].sum())
        said = (
            f"{self.quotas.size} seats among {self.pool.n:,} people, a {self.rule} lottery over "
            f"{len(self.chance):,} kinds of jury. Chances of a seat run from {p.min():.3f} to {p.max():.3f}; "
            f"with equal chances each would have {self.quotas.size / self.pool.n:.3f}."
        )
        return said + (f" The quotas leave {never:,} people no chance at all." if never else "")

    def draw(self, seed: int) -> Jury:
        """Return the jury that `seed` draws (NumPy's PCG64, one number for the kind of jury, then people by type)."""
        rng = np.random.default_rng(_seed(seed))
        counts = self.panels[rng.choice(len(self.chance), p=self.chance)]
        seated = self._people(counts, rng)
        note = "" if self.pool.entry is not None else "weights speak for the pool, whose own selection is not known"
        return Jury(self.pool, seated, self.probability[seated], self.rule, seed, note)

    def draws(self, times: int, seed: int) -> Bools:
        """Return (times, n): who sits in each of many independent juries, to see how often each person would."""
        rng = np.random.default_rng(_seed(seed))
        drawn = np.zeros((times, self.pool.n), dtype=bool)
        for row, panel in zip(drawn, rng.choice(len(self.chance), size=times, p=self.chance), strict=True):
            row[self._people(self.panels[panel], rng)] = True
        return drawn

    def record(self, seed: int) -> dict[str, Any]:
        """Return all that is needed to check a draw: pool's fingerprint, quotas, lottery, seed, generator, ids.

        Publish it before the seed is known (with `seed` thrown in public, say by dice) and again with the result.
        """
        return {
            "what": "a jury drawn by plural_nb",
            "pool": {"people": self.pool.n, "sha256": self.pool.fingerprint()},
            "seats": self.quotas.size,
            "quotas": [list(row) for row in self.quotas.rows()],
            "rule": self.rule,
            "types": [list(levels) for levels in zip(*self.pool.types.values(), strict=True)],
            "panels": self.panels.tolist(),
            "chance": self.chance.tolist(),
            "generator": f"numpy {np.__version__} PCG64",
            "seed": seed,
            "seated": list(self.draw(seed).ids),
        }

    def save_record(self, path: str | Path, seed: int) -> Path:
        """Write `record` as JSON and return its path."""
        target = Path(path)
        target.write_text(json.dumps(self.record(seed), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return target

    def _of_type(self) -> Floats:
        return np.asarray(np.clip(self.chance @ self.panels / self.pool.counts, 0.0, 1.0))

    def _people(self, counts: Ints, rng: np.random.Generator) -> Ints:
        # A random order of the pool, then the first so many of each type: each person of a type alike.
        order = rng.permutation(self.pool.n)
        order = order[np.argsort(self.pool.type_of[order], kind="stable")]
        first = np.r_[0, np.cumsum(self.pool.counts)[:-1]]
        taken = [order[a : a + k] for a, k in zip(first, counts, strict=True) if k]
        return np.sort(np.concatenate(taken))


def check_record(record: dict[str, Any] | str | Path, pool: Pool) -> Jury:
    """Draw again from a public record and return the jury.

    record: as `Lottery.record` returns it, or the file that `Lottery.save_record` wrote.

    Raises PluralError when it is no such record or was damaged, the pool is another than the record's, a jury in it
    breaks a quota, or the people drawn are not those that the record names. That the chances are the fairest is not
    checked: `sortition` with the same pool and quotas finds them again.

    >>> pool = Pool.of(pl.DataFrame({"age": ["old", "old", "young"]}))
    >>> lottery = Lottery(pool, Quotas(2, {"age": {"young": 1}}), np.array([[1, 1]]), np.array([1.0]), "leximin")
    >>> check_record(lottery.record(seed=3), pool).ids == lottery.draw(3).ids
    True
    """
    if not isinstance(record, dict):
        record = _read_record(Path(record))
    try:
        fingerprint, seats, quotas_kept = record["pool"]["sha256"], record["seats"], record["quotas"]
        rule, seed, seated = str(record["rule"]), record["seed"], list(record["seated"])
        bounds: dict[str, dict[str, tuple[int, int]]] = {}
        for feature, level, low, high in quotas_kept:
            bounds.setdefault(feature, {})[level] = (low, high)
        panels = np.array(record["panels"], dtype=np.int64)
        chance = np.array(record["chance"], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as problem:
        raise PluralError(f"This is no record of a draw, or it was damaged: {problem!r}.") from None
    if fingerprint != pool.fingerprint():
        raise PluralError("This is not the pool of the record: its people, their order or their features differ.")
    if panels.ndim != 2 or panels.shape != (chance.size, pool.counts.size):
        raise PluralError(f"The record has {chance.size} chances for juries of shape {panels.shape}; it was damaged.")
    if (chance < 0).any() or abs(float(chance.sum()) - 1) > 1e-9:
        raise PluralError(f"The chances in the record sum to {chance.sum():.9g}, not 1; it was changed.")
    quotas = Quotas(seats, bounds)
    for place, counts in enumerate(panels):
        if not quotas.allows(pool, counts):
            raise PluralError(f"Jury {place + 1} of the record breaks a quota.")
    jury = Lottery(pool, quotas, panels, chance, rule).draw(seed)
    if list(jury.ids) != seated:
        raise PluralError("The record's seed draws other people than those it names; was it made by another NumPy?")
    return jury


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise PluralError(f"The record {path.name} cannot be read: {problem.strerror or problem}.") from None
    except ValueError as problem:
        raise PluralError(f"{path.name} is no record of a draw (not JSON: {problem}).") from None
    if not isinstance(record, dict):
        raise PluralError(f"{path.name} is no record of a draw: it holds {type(record).__name__}, not fields.")
    return record


def _seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise PluralError(f"A seed is a whole number from 0 on, not {seed!r}.")
    return int(seed)
