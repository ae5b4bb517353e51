"""Words that a group is described by: how often people and personas use each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from plural_nb.charts.chart import Chart, Key
from plural_nb.charts.points import placed, point, points_spec, shape_of
from plural_nb.charts.theme import percent
from plural_nb.errors import PluralError, nearest

if TYPE_CHECKING:
    from plural_nb.personas.words import Words

_MARKS = ("humans", "model")
_COLUMNS = (("row_text", "Word"), ("name", "Said by"), ("label", "Share of words"), ("range", "From – to"))


def words_chart(words: Mapping[str, Words], group: str, *, top: int = 12, title: str = "") -> Chart:
    """Draw the most frequent words of a group of speakers, in one or two lists ("people", "personas").

    words: {name: list}, the first with circles, a second with diamonds. group: of the speakers ("left"). top: words,
    the most frequent of all lists together. Whiskers are 95% intervals with speakers as clusters.

    Argyle et al. 2023, Figure 2, draws such words by ideology: make one chart per group. Raises PluralError for more
    than two lists, or a group of which nobody said a word.

    >>> from plural_nb.personas.words import count_words
    >>> people = count_words(["kind, loud", "kind"], ["left", "left"])
    >>> [(row["row"], row["label"]) for row in words_chart({"people": people}, "left").rows]
    [('kind', '67%'), ('loud', '33%')]
    """
    if not 1 <= len(words) <= len(_MARKS):
        raise PluralError(f"A chart of words holds one or two lists, not {len(words)}.")
    tables = {name: one.table().filter(pl.col("group") == group) for name, one in words.items()}
    if not any(table.height for table in tables.values()):
        known = sorted({g for one in words.values() for g in one.rows["group"].drop_nulls().unique()})
        raise PluralError(f"Nobody of {group!r} said a word. {nearest(group, known)}")
    together = pl.concat(tables.values()).group_by("word").agg(pl.col("share").sum())
    chosen = together.sort("share", "word", descending=[True, False]).head(top)["word"].to_list()
    rows: list[dict[str, Any]] = []
    for word in chosen:
        for mark, (name, table) in zip(_MARKS, tables.items(), strict=False):
            found = table.filter(pl.col("word") == word)
            nobody: dict[str, Any] = {"share": 0.0, "low": None, "high": None}
            one = found.row(0, named=True) if found.height else nobody
            ranged = one["low"] is not None
            rows.append(point(
                word, mark, one["share"], low=one["low"], high=one["high"], label=percent(one["share"]), name=name,
                range=f"{percent(one['low'])} – {percent(one['high'])}" if ranged else "",
            ))  # fmt: skip
    placed(rows, bottom=0.0)
    marks = _MARKS[: len(words)]
    asked = title or f"Which words do speakers of {group!r} use?"
    whisker = "whisker: 95% interval, speakers as clusters"
    told = "; ".join(f"{row['row_text']} {row['label']} ({row['name']})" for row in rows[: 2 * len(words)])
    return Chart(
        spec=points_spec(rows, marks, axis="share of the words said", percents=True, margin=60),
        rows=tuple(rows),
        shape=shape_of("words", rows, marks),
        title=asked,
        subtitle=" · ".join(
            f"{name}: {one.rows.filter(pl.col('group') == group)['speaker'].n_unique():,} speakers"
            for name, one in words.items()
        ),
        keys=tuple(Key(mark, name.capitalize(), whisker) for mark, name in zip(marks, words, strict=True)),
        columns=_COLUMNS,
        summary=f"{asked} Most frequent: {told}.",
        frame=pl.concat([table.with_columns(pl.lit(name).alias("list")) for name, table in tables.items()]),
        notes=("A word that one list lacks stands at 0 there, without an interval.",) if len(words) > 1 else (),
    )
