"""Where JuryBuilder's people come from, what quotas would mirror them, and what a jury of them decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from plural_nb.errors import PluralError, nearest
from plural_nb.jury.lottery import Jury, Lottery
from plural_nb.jury.pool import Pool
from plural_nb.jury.quotas import Quotas
from plural_nb.jury.sweep import winners
from plural_nb.jury.utilities import Utilities
from plural_nb.survey.design import Floats
from plural_nb.survey.survey import Survey

_ALPHAS = {"0 (utilitarian)": 0.0, "1 (Nash)": 1.0, "∞ (Rawlsian)": np.inf}
_DRAWS = 200
_FEATURES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A pool with what else is known of its people.

    weight: (n,) of the people, or None. utilities: of the same people in the same order, or None. about: in words.
    code: lines of Python that make `pool` (and `weight`).
    """

    pool: Pool
    weight: Floats | None = field(repr=False)
    utilities: Utilities | None
    about: str
    code: tuple[str, ...]

    def shares(self) -> dict[str, dict[str, float]]:
        """Return {feature: {level: share}}, weighted where there are weights."""
        weight = np.ones(self.pool.n) if self.weight is None else self.weight
        by_type = np.bincount(self.pool.type_of, weights=weight, minlength=self.pool.counts.size)
        found: dict[str, dict[str, float]] = {}
        for feature, levels in self.pool.types.items():
            sums: dict[str, float] = dict.fromkeys(sorted(set(levels)), 0.0)
            for level, part in zip(levels, by_type, strict=True):
                sums[level] += float(part)
            total = sum(sums.values())
            found[feature] = {level: part / total for level, part in sums.items()}
        return found

    def levels(self) -> list[dict[str, Any]]:
        """Return the features with their levels, people and share of each, for the page."""
        shares = self.shares()
        return [
            {
                "name": feature,
                "levels": [
                    {
                        "level": level,
                        "people": int(sum(n for at, n in zip(kinds, self.pool.counts, strict=True) if at == level)),
                        "share": round(share, 4),
                    }
                    for level, share in shares[feature].items()
                ],
            }
            for feature, kinds in self.pool.types.items()
        ]


def source_of(given: Pool | Survey | Utilities | pl.DataFrame, features: Sequence[str] | None) -> Source:
    """Return the source that a pool, a table, a survey or a jury's utilities make.

    Raises PluralError for anything else, and where there are no features.
    """
    if isinstance(given, Pool):
        if features is not None:
            raise PluralError("A Pool has its features already; leave `features` out, or give the table.")
        return Source(
            given, None, None, f"{given.n:,} people in the pool", ("# pool: the Pool that you gave the panel",)
        )
    if isinstance(given, pl.DataFrame):
        pool = Pool.of(given, features=features)
        made = f"pool = pnb.Pool.of(people, features={list(pool.features)!r})"
        return Source(
            pool, None, None, f"{pool.n:,} people in the table", ("# people: the table that you gave the panel", made)
        )
    if isinstance(given, Survey):
        names = _first(features, list(given.traits), "survey")
        pool = Pool.from_survey(given, names)
        code = (
            "# survey: the Survey that you gave the panel",
            f"pool = pnb.Pool.from_survey(survey, {names!r})",
            "weight = survey.design.weight",
        )
        return Source(pool, given.design.weight, None, f"{pool.n:,} respondents of {given.title}", code)
    if isinstance(given, Utilities):
        return _of_jurors(given, _first(features, given.traits.columns, "jury"))
    raise PluralError(
        f"JuryBuilder takes a Pool, a table, a Survey or Utilities, not {type(given).__name__}. "
        "`pnb.Pool.of(table)` makes a pool."
    )


def quotas_like(source: Source, seats: int) -> Quotas:
    """Return quotas that mirror the source: its seats rounded down and up, and one more either way."""
    return Quotas.proportional(seats, source.shares(), leeway=1)


def effects(source: Source, jury: Jury, lottery: Lottery | None) -> list[dict[str, str]]:
    """Return who wins in this jury, among everyone, and in 200 juries drawn alike; nothing without utilities."""
    if source.utilities is None:
        return []
    rated = replace(source.utilities, design=None)
    everyone = winners(rated, list(_ALPHAS.values()))
    here = _won(rated, jury.seated)
    often: list[Counter[str]] = [Counter() for _ in _ALPHAS]
    if lottery is not None:
        for row in lottery.draws(_DRAWS, jury.seed):
            for counter, names in zip(often, _won(rated, np.flatnonzero(row)), strict=True):
                counter[" = ".join(names)] += 1
    found = []
    for i, name in enumerate(_ALPHAS):
        others = ", ".join(f"{who} {times / _DRAWS:.0%}" for who, times in often[i].most_common(3))
        drawn = f" Of {_DRAWS} juries drawn in this way: {others}." if others else ""
        same = "the same as among everyone" if here[i] == everyone[i] else f"among everyone: {_joined(everyone[i])}"
        found.append({"name": f"Winner at α = {name}", "value": "", "more": f"{_joined(here[i])}; {same}.{drawn}"})
    return found


def _won(rated: Utilities, seated: Any) -> list[tuple[str, ...]]:
    """The winners among those seated. There a seat is a voice: weights were for speaking of the population."""
    part = rated.values[seated]
    if np.isnan(part).all():
        return [("nobody rated",)] * len(_ALPHAS)
    return winners(Utilities(part, rated.candidates), list(_ALPHAS.values()))


def _of_jurors(given: Utilities, names: list[str]) -> Source:
    inside = np.flatnonzero(given.weight > 0)
    traits = given.traits[inside].select(names)
    seated = Utilities(
        given.values[inside], given.candidates, given.weight[inside], tuple(given.jurors[i] for i in inside), traits,
        scale=given.scale, scaling=given.scaling, notes=given.notes,
    )  # fmt: skip
    pool = Pool.of(traits.with_columns(pl.Series("_id", seated.jurors)), id="_id")
    code = (
        "# jury: the Utilities that you gave the panel",
        "inside = jury.weight > 0",
        f'pool = pnb.Pool.of(jury.table().filter(inside).select(["juror", *{names!r}]), id="juror")',
        "weight = jury.weight[inside]",
    )
    return Source(pool, seated.weight, seated, f"{pool.n:,} jurors who may be seated", code)


def _first(wanted: Sequence[str] | None, known: Sequence[str], what: str) -> list[str]:
    if wanted is None:
        if not known:
            raise PluralError(f"The {what} has no traits that quotas could speak of.")
        return list(known[:_FEATURES])
    for name in wanted:
        if name not in known:
            raise PluralError(f"The {what} has no trait {name!r}. {nearest(name, known)}")
    return list(wanted)


def _joined(names: Sequence[str]) -> str:
    return " and ".join(names) + (" are level" if len(names) > 1 else "")
