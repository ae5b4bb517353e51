"""Dumbbells: the share of one answer on both sides of a comparison, group by group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from plural_nb.charts.chart import Chart, Key
from plural_nb.charts.points import placed, point, points_spec, shape_of
from plural_nb.charts.theme import percent
from plural_nb.comparison.prompting import ways_asked
from plural_nb.errors import PluralError, nearest

if TYPE_CHECKING:
    from plural_nb.comparison.comparison import Comparison
    from plural_nb.comparison.pairs import Side
    from plural_nb.survey.shares import Shares

_COLUMNS = (("row_text", "{}"), ("name", "Who"), ("label", "Share"), ("range", "From – to"), ("note", "Note"))
_MARKS = ("humans", "model")


def dumbbell_by_group(comparison: Comparison, *, option: str | None = None, by: str = "", title: str = "") -> Chart:
    """Draw the share of one answer on both sides in every group, the two joined by a line.

    option: label of the answer; the first when None. by: what the groups are levels of. title: the question's text
    where empty.

    People have circles, the second side diamonds; whiskers are intervals. An exact answer of a model has none; its
    range over orders and wordings is dotted, with diamonds at its ends.
    Raises PluralError for an unknown answer.

    >>> from plural_nb.answers import Answers
    >>> from plural_nb.comparison.comparison import compare
    >>> from plural_nb.survey.question import ask_for
    >>> tea = ask_for("Tea?", ["Yes", "No"])
    >>> people = Answers.from_places(tea, [0] * 60 + [1] * 40)
    >>> drawn = dumbbell_by_group(compare(people, people, by=["a"] * 80 + ["b"] * 20))
    >>> [(row["row"], row["label"]) for row in drawn.rows][:2]
    [('a', '75%'), ('a', '75%')]
    """
    options = comparison.a.options
    if option is not None and option not in options:
        raise PluralError(f"There is no answer {option!r} to show. {nearest(option, options)}")
    k = options.index(option) if option is not None else 0
    rows: list[dict[str, Any]] = []
    pairs = comparison.measured.pairs
    spreads = pairs.a.spread(), pairs.b.spread()
    for g, group in enumerate(comparison.groups):
        for mark, side, other, ends in zip(
            _MARKS, (pairs.a, pairs.b), (comparison.b, comparison.a), spreads, strict=True
        ):
            spread = float(ends[0][g * len(options) + k]), float(ends[1][g * len(options) + k])
            rows.append(_row(group, mark, side.shares, g, k, other, spread, comparison.failed.get(group, "")))
    placed(rows, bottom=0.0)
    top = max(row["end"] for row in rows)
    for row in rows:
        row["top"] = next((t for t in (0.25, 0.5, 0.75) if top <= t), 1.0)
    asked = title or comparison.question.text
    told = "; ".join(
        f"{group}: {' against '.join(row['label'] for row in rows if row['row_text'] == group)}"
        for group in comparison.groups
    )
    names = [_name(s) for s in (comparison.a, comparison.b)]
    keys = [
        Key(mark, name, _whisker(side, any(row["who"] == mark and row["spread_low"] is not None for row in rows)))
        for mark, name, side in zip(_MARKS, names, (pairs.a, pairs.b), strict=True)
    ]
    return Chart(
        spec=points_spec(rows, _MARKS, axis=f"share who say “{_short(options[k])}”", percents=True, margin=60),
        rows=tuple(rows),
        shape=shape_of(f"dumbbell {options[k]}", rows, _MARKS),
        title=asked,
        subtitle=" · ".join([comparison.a.source.name, *([f"by {by.lower()}"] if by else []), f"“{options[k]}”"]),
        keys=tuple(keys),
        columns=tuple((field, heading.format(by or "Group")) for field, heading in _COLUMNS),
        summary=f"{asked} Share who say “{options[k]}”, {names[0]} against {names[1]}: {told}.",
        frame=comparison.differences().filter(pl.col("option") == options[k]),
        notes=tuple(f"{group}: {reason}." for group, reason in comparison.failed.items()),
    )


def _row(
    group: str, mark: str, shares: Shares, g: int, k: int, other: Shares, spread: tuple[float, float], failed: str
) -> dict[str, Any]:
    share, low, high = (float(a[g, k]) for a in (shares.share, shares.low, shares.high))
    known = share == share
    ranged = known and high - low > 1e-12
    sampled = ranged and not shares.exact  # a range over prompts is no interval
    least, most = spread if spread[1] - spread[0] > 1e-12 else (None, None)
    return point(
        group, mark, share, low=low if sampled else None, high=high if sampled else None, spread_low=least,
        spread_high=most,
        other=float(other.share[g, k]) if mark == _MARKS[0] else None, label=percent(share) if known else "no answer",
        name=_name(shares), range=f"{percent(low)} – {percent(high)}" if ranged else "",
        note=failed or ("exact for this prompt" if shares.exact else ""),
    )  # fmt: skip


def _name(shares: Shares) -> str:
    return "People" if shares.source.kind == "humans" else shares.source.name


def _whisker(side: Side, ranged: bool) -> str:
    one = next((answers for answers in side.answers if answers is not None), None)
    said = "exact for this prompt" if side.exact else f"whisker: {side.shares.level:.0%} interval"
    return said + (f"; dotted: range over {ways_asked(one)}" if ranged else "")


def _short(text: str, most: int = 48) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
