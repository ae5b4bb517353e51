"""Rankings with their uncertainty: models by a measure over questions, samples by their bias against benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from plural_nb.charts.chart import Chart, Key
from plural_nb.charts.points import NOISE, placed, point, points_spec, shape_of
from plural_nb.errors import PluralError, nearest

if TYPE_CHECKING:
    from plural_nb.comparison.benchmarking import Benchmarked
    from plural_nb.comparison.ranking import Ranking

_COLUMNS = (
    ("place_said", "Rank"), ("row_text", "{}"), ("label", "{}"), ("range", "From – to"), ("ranks", "Ranks it may have"),
    ("leads", "Comes first in"), ("noise", "Noise"),
)  # fmt: skip


def ranking_chart(found: Ranking, *, title: str = "", about: str = "") -> Chart:
    """Draw models (or populations) by a measure, the best first, each with its interval over questions.

    title: of the chart. about: the population, in words.

    Models are compared on the same draws of questions, so two may really differ although their whiskers overlap: the
    ranks beside each say which differences are real. One that could not be scored is named in a note.

    Raises PluralError where nothing can be ranked.

    >>> from plural_nb.comparison.ranking import Ranking
    >>> r = np.random.default_rng(0).normal(0, 0.01, 500)
    >>> ranks = Ranking("mean_js", "mean JS", ("a", "b"), np.array([0.3, 0.1]), np.stack([r + 0.3, r + 0.1]), 9)
    >>> [row["label"] for row in ranking_chart(ranks).rows]
    ['0.100, rank 1', '0.300, rank 2']
    """
    m = found.clusters
    t = float(special.stdtrit(m - 1, (1 + found.level) / 2)) if m > 1 else np.nan
    rows: list[dict[str, Any]] = []
    for one in found.table().iter_rows(named=True):
        if not np.isfinite(one["value"]):
            continue
        drawn = found.replicates[found.names.index(one["name"])]
        drawn = drawn[np.isfinite(drawn)]
        reach = t * float(np.sqrt(m / (m - 1)) * drawn.std()) if m > 1 and drawn.size > 1 else np.nan
        low, high = one["value"] - reach, one["value"] + reach
        ranks = _ranks(one["rank_low"], one["rank_high"])
        rows.append(point(
            one["name"], "model", one["value"], low=low, high=high, label=f"{_figures(one['value'])}, rank {ranks}",
            range=f"{_figures(low)} – {_figures(high)}" if np.isfinite(reach) else "no interval", ranks=ranks,
            leads=f"{one['best']:.0%} of draws", place_said=str(one["rank"]), noise="",
        ))  # fmt: skip
    if not rows:
        raise PluralError(found.sentence())
    left = [name for name, value in zip(found.names, found.values, strict=True) if not np.isfinite(value)]
    asked = title or "Which model is nearest to people?"
    whisker = f"whisker: {found.level:.0%} interval over other questions like these"
    return _chart(
        rows, "model", (Key("model", "Model", whisker),), title=asked, axis=found.label, first="Model",
        subtitle=about, summary=f"{asked} {found.sentence()}", frame=found.table(),
        notes=("The ranks are those that real differences leave open (paired over questions).",
               *([f"Not scored: {', '.join(left)}."] if left else [])),
    )  # fmt: skip


def benchmark_chart(
    found: Benchmarked, *, trait: str | None = None, level: str | None = None, title: str = ""
) -> Chart:
    """Draw samples by their average absolute bias against benchmarks, the nearest first, as Pew 2016.

    trait, level: a subgroup with benchmarks of its own; everybody when None. title: of the chart.

    The whisker is the interval of the bias over other samples of this design; the grey band is what an unbiased
    sample of it would show. Raises PluralError for a subgroup without benchmarks.
    """
    import polars as pl

    table = found.table().filter(pl.col("trait").eq_missing(trait), pl.col("level").eq_missing(level))
    if not table.height:
        known = [f"{a}: {b}" for a, b in found.table().select("trait", "level").drop_nulls().unique().rows()]
        raise PluralError(f"No benchmarks are known for {trait}: {level}. {nearest(f'{trait}: {level}', known)}")
    ranks = {row["sample"]: row for row in found.ranking().iter_rows(named=True)} if trait is None else {}
    rows: list[dict[str, Any]] = []
    for i, one in enumerate(table.sort("average_absolute_bias").iter_rows(named=True)):
        value, low, high = one["average_absolute_bias"], one["low"], one["high"]
        rank = ranks.get(one["sample"])
        may = _ranks(rank["rank_low"], rank["rank_high"]) if rank else ""
        ranged = low is not None and high is not None and high - low > 1e-12
        rows.append(point(
            one["sample"], "sample", value, low=low if ranged else None, high=high if ranged else None,
            noise_mean=one["noise_floor"] or None, label=f"{_points(value)}{f', rank {may}' if may else ''}",
            range=f"{_points(low)} – {_points(high)}" if ranged else "", ranks=may, place_said=str(i + 1),
            leads=f"{rank['share_best']:.0%} of draws" if rank else "", noise=_points(one["noise_floor"]),
        ))  # fmt: skip
    asked = title or "Which sample is nearest to what is known?"
    keys = (
        Key("sample", "Sample", f"whisker: {found.level:.0%} interval over other samples of this design"),
        Key(NOISE.mark, NOISE.name, "grey: what an unbiased sample of this design would show on average"),
    )
    of = "everybody" if trait is None else f"{trait}: {level}"
    told = "; ".join(f"{row['row_text']} {row['label']}" for row in rows)
    return _chart(
        rows, "sample", keys, title=asked, axis="average absolute bias", first="Sample", percents=True,
        subtitle=f"{table['questions'][0]} questions with benchmarks · {of}",
        summary=f"{asked} Average absolute bias: {told}.", frame=table, notes=found.left_out[:4],
    )  # fmt: skip


def _chart(
    rows: list[dict[str, Any]], mark: str, keys: tuple[Key, ...], *, axis: str, first: str, percents: bool = False,
    **words: Any,
) -> Chart:  # fmt: skip
    bottoms = [row["value"] for row in rows] + [row["low"] for row in rows if row["low"] is not None]
    placed(rows, bottom=0.0 if (min(bottoms) >= 0 and min(bottoms) < 0.5 * max(bottoms)) or percents else None)
    heads = dict(_COLUMNS) | {"row_text": first, "label": "Value"}
    return Chart(
        spec=points_spec(rows, [mark], axis=axis, percents=percents, margin=116),
        rows=tuple(rows),
        shape=shape_of(f"ranks {axis}", rows, [mark]),
        keys=keys,
        columns=tuple((name, heading) for name, heading in heads.items() if any(row[name] for row in rows)),
        **words,
    )


def _ranks(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}"


def _figures(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
