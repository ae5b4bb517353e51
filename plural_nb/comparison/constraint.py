"""Correlations between the items of a battery, of people and of a model: what Converse called constraint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.comparison.answering import places_of
from plural_nb.comparison.distances import Floats
from plural_nb.comparison.question_sample import require_level
from plural_nb.comparison.redrawing import REPLICATES, Redrawing, bounds, redrawings
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.design import Design


@dataclass(frozen=True, slots=True, eq=False)
class Constraint:
    """How strongly the items of a battery hang together, among people and among personas.

    names: of people and model. rows: a row per pair of items, see `table`. human, silicon, silicon_between: mean
    absolute correlation. ratio: silicon over human, with low and high (None where they are not defined).
    """

    names: tuple[str, str]
    rows: pl.DataFrame = field(repr=False)
    human: float
    silicon: float
    silicon_between: float
    ratio: float
    low: float | None
    high: float | None
    level: float

    def table(self) -> pl.DataFrame:
        """Return one row per pair: item_a, item_b; human, silicon and silicon_between, each with _low and _high.

        silicon: of answers drawn from the personas' rows, item by item. silicon_between: of the rows' means, that is
        with the chance in each answer taken off. Null where a correlation is not defined.
        """
        return self.rows

    def sentence(self) -> str:
        """The mean correlations in plain words."""
        humans, silicon = self.names
        known = self.low is not None and self.high is not None
        about = f" ({self.level:.0%} interval {self.low:.2f} to {self.high:.2f})" if known else ""
        return (
            f"Over {self.rows.height} pairs of items the mean absolute correlation is {self.human:.2f} among {humans} "
            f"and {self.silicon:.2f} in the answers of {silicon}: {self.ratio:.2f} times as much{about}. Between the "
            f"personas' mean answers it is {self.silicon_between:.2f}."
        )


def constraint(
    humans: Mapping[str, Answers],
    silicon: Mapping[str, Answers],
    *,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Constraint:
    """Compare the correlations between items among people with those among a model's personas.

    humans, silicon: answers by item, ordinal or numeric, of the same people (personas) in the same rows; items on one
        side alone are an error. A pair is of the people who answered both. A persona's answers to two items are
        independent draws from its rows, so they correlate by their means alone.
    level, replicates, seed: of the bootstrap of PSUs.

    Raises PluralError for fewer than two items, items on one side alone, or sides of other sizes; SurveyError for a
    nominal item, which has no correlation.

    >>> from plural_nb.survey.question import ask_for
    >>> def item(key, places):
    ...     return Answers.from_places(ask_for(key, ["no", "so-so", "yes"], kind="ordinal", key=key), places)
    >>> people = {"a": item("a", [0, 1, 2] * 40), "b": item("b", [0, 1, 2] * 40)}
    >>> found = constraint(people, {"a": item("a", [0, 2] * 60), "b": item("b", [0, 2, 2, 0] * 30)})
    >>> found.human, abs(round(found.silicon, 6))
    (1.0, 0.0)
    """
    require_level(level)
    if not (isinstance(humans, Mapping) and isinstance(silicon, Mapping)):
        raise PluralError('Items are given by name on both sides: {"trust_press": answers, …}.')
    for key in {*humans, *silicon}:
        if key not in humans or key not in silicon:
            other = humans if key in silicon else silicon
            raise PluralError(f"Item {key!r} is on one side alone. {nearest(key, other)}")
    if len(humans) < 2:
        raise PluralError(f"A correlation needs two items or more; there is {', '.join(humans) or 'none'}.")
    redrawn = redrawings(_design(humans), _design(silicon), replicates, seed)
    pairs = list(combinations(humans, 2))
    found = [_pair(humans[a], humans[b], redrawn[0], humans[a], humans[b]) for a, b in pairs]
    theirs = [_pair(silicon[a], silicon[b], redrawn[1], humans[a], humans[b]) for a, b in pairs]
    rows = []
    for (a, b), h, s in zip(pairs, found, theirs, strict=True):
        told = [x for r in (h[0], s[0], s[1]) for x in _fisher(r, level)]
        rows.append((a, b, *told))
    schema = ["item_a", "item_b"] + [
        side + end for side in ("human", "silicon", "silicon_between") for end in ("", "_low", "_high")
    ]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(schema[:2], pl.String) | dict.fromkeys(schema[2:], pl.Float64),
                         orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))  # fmt: skip
    means = [np.nanmean(np.abs([p[i] for p in side]), axis=0) for side, i in ((found, 0), (theirs, 0), (theirs, 1))]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = means[1] / means[0]
    _, low, high = (float(x) for x in bounds(ratio[0], ratio[1:], level, log=True))
    names = tuple(next(iter(side.values())).source.name for side in (humans, silicon))
    human, drawn, between = (float(m[0]) for m in means)
    return Constraint(
        names=(names[0], names[1]),
        rows=frame,
        human=human,
        silicon=drawn,
        silicon_between=between,
        ratio=float(ratio[0]),
        low=low if np.isfinite(low) else None,
        high=high if np.isfinite(high) else None,
        level=level,
    )


def _design(items: Mapping[str, Answers]) -> Design:
    first, *rest = items.values()
    for other in rest:
        if other.design.n != first.design.n:
            raise PluralError(
                f"{first.question.key!r} has {first.design.n} rows and {other.question.key!r} {other.design.n}; "
                "the items of a battery are answered by the same people."
            )
    return first.design


def _pair(a: Answers, b: Answers, redrawing: Redrawing, like_a: Answers, like_b: Answers) -> tuple[Floats, Floats]:
    """(1 + R,) correlation of drawn answers, and of the rows' means, over those who answered both."""
    (s, x, x2), (t, y, y2) = (_scaled(side, like) for side, like in ((a, like_a), (b, like_b)))
    both = a.domain & b.domain & (s > 0) & (t > 0)
    w = np.where(both, s * t, 0.0)
    columns = np.column_stack([w, w * x, w * y, w * x * y, w * x2, w * y2, w * x * x, w * y * y])
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = redrawing.sums(columns)[:, 0]
        _, mx, my, mxy, mx2, my2, mxx, myy = (sums / sums[:, :1]).T
        product = mxy - mx * my
        drawn = product / np.sqrt((mx2 - mx**2) * (my2 - my**2))
        between = product / np.sqrt((mxx - mx**2) * (myy - my**2))
    return np.asarray(_within(drawn)), np.asarray(_within(between))


def _scaled(answers: Answers, like: Answers) -> tuple[Floats, Floats, Floats]:
    """(n,) part with an answer, its mean scale value and mean square, on the humans' scale."""
    theirs = [answers.question.options[i].label for i in answers.question.substantive]
    order = places_of(like.question, theirs, answers.source.name)
    y = answers.rows[:, [answers.question.substantive[i] for i in order]]
    values = np.array(like.question.values)
    s = y.sum(axis=1)
    safe = np.where(s > 0, s, 1.0)
    return s, y @ values / safe, y @ np.square(values) / safe


def _within(r: Floats) -> Floats:
    """Correlations, rounding beyond ∓1 taken off; NaN where one item does not vary."""
    return np.where(np.isfinite(r) & (np.abs(r) < 1 + 1e-9), np.clip(r, -1, 1), np.nan)


def _fisher(r: Floats, level: float) -> tuple[float, float, float]:
    with np.errstate(divide="ignore"):
        _, low, high = bounds(np.arctanh(r[0]), np.arctanh(r[1:]), level)
    return float(r[0]), float(np.tanh(low)), float(np.tanh(high))
