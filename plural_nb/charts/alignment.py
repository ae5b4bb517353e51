"""Before and after alignment: a pair of models against populations, beside what a paper printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from plural_nb.charts.chart import Chart, Key
from plural_nb.charts.points import NOISE, placed, point, points_spec, shape_of

if TYPE_CHECKING:
    from plural_nb.comparison.before_after import BeforeAndAfter, Measure

_MARKS = {"pre": "before", "post": "after"}
_TITLES: Mapping[str, tuple[str, str]] = {
    "js_distance": ("How far from each population, before and after?", "mean Jensen–Shannon distance (base 2)"),
    "entropy_nats": ("How spread out are the answers, before and after?", "mean entropy (nats)"),
    "js_distance_shuffled": (
        "And with the options shuffled?", "mean Jensen–Shannon distance (base 2) of shuffled answers"),
    "js_divergence_debiased": (
        "How far, without what sampling adds?", "mean Jensen–Shannon divergence (bits), debiased"),
}  # fmt: skip
_COLUMNS = (
    ("row_text", "Population"), ("name", "Model"), ("label", "Mean"), ("range", "From – to"),
    ("noise", "Noise floor"), ("guess", "Baseline"), ("note", "Note"),
)  # fmt: skip


def before_and_after_chart(
    found: BeforeAndAfter, measure: Measure = "js_distance", *, beside: bool = False, title: str = ""
) -> Chart:
    """Draw a measure before and after, population by population, each with its interval over questions.

    measure: "js_distance", "entropy_nats", "js_distance_shuffled" or "js_divergence_debiased". beside: add lines with
    the paper's printed figures, which carry no interval. title: of the chart.

    A grey band is what a sample of these people shows from its own truth; a cross is the uniform answer's distance
    (of the entropy: people's own). Raises PluralError for an unknown measure.
    """
    table = found.table(measure)
    rows: list[dict[str, Any]] = []
    for population in [None] if measure == "entropy_nats" else found.populations:
        here = table.filter(pl.col("population").eq_missing(population))
        by_side = {row["side"]: row for row in here.iter_rows(named=True)}
        people = table.filter(pl.col("side") == "humans")["mean"] if measure == "entropy_nats" else None
        best = people.mean() if people is not None and people.len() else by_side.get("uniform", {}).get("mean")
        guess = "people" if people is not None else "uniform"
        noise = by_side.get("noise floor", {}).get("mean")
        for side, mark in _MARKS.items():
            if side in by_side:
                name = found.names[side == "post"]
                rows.append(_row(population or "the model itself", mark, by_side[side], name, noise, guess, best))
    if beside:
        rows += _printed(found.table(measure, convention="compatible", beside=True))
    placed(rows, bottom=None if measure == "js_divergence_debiased" else 0.0)
    asked, axis = _TITLES[measure]
    asked = title or asked
    told = "; ".join(f"{row['row_text']}, {row['name']}: {row['label']}" for row in rows)
    keys = [
        Key("before", found.names[0], f"whisker: {found.level:.0%} interval over other questions like these"),
        Key("after", found.names[1], "after alignment"),
        *([Key(NOISE.mark, NOISE.name, "grey: what a sample of these people shows from its own truth")]
          if any(row["noise_mean"] is not None for row in rows) else []),
        *([Key("baseline", "Baseline", f"cross: {guess}")] if any(row["best"] is not None for row in rows) else []),
    ]  # fmt: skip
    printed = (
        "Lines marked “printed” are from Sorensen et al. 2024, Tables 1, 4 and 5. Not drawn, but in the table: models "
        "with two tuned versions, and the MPI questions, whose people the paper's code got wrong.",
    ) * beside
    return Chart(
        spec=points_spec(rows, tuple(_MARKS.values()), axis=axis, margin=64),
        rows=tuple(rows),
        shape=shape_of(f"alignment {measure}", rows, tuple(_MARKS.values())),
        title=asked,
        subtitle=f"{found.per_question['question'].n_unique()} questions",
        keys=tuple(keys),
        columns=tuple(column for column in _COLUMNS if any(row[column[0]] for row in rows)),
        summary=f"{asked} {axis}: {told}.",
        frame=found.table(measure, convention=None, beside=beside),
        notes=(*printed, *(f"Left out: {reason}" for reason in found.left_out[:3])),
    )


def _row(
    line: str, mark: str, row: Mapping[str, Any], name: str, noise: float | None, guess: str, best: Any
) -> dict[str, Any]:
    low, high = row.get("low"), row.get("high")
    return point(
        line, mark, row["mean"], low=low, high=high, noise_mean=noise, best=best, label=f"{row['mean']:.2f}",
        name=name, range="" if low is None or high is None else f"{low:.2f} – {high:.2f}",
        noise="" if noise is None else f"{noise:.3f}", guess="" if best is None else f"{guess} {best:.2f}", note="",
    )  # fmt: skip


def _printed(table: pl.DataFrame) -> list[dict[str, Any]]:
    """The paper's rows of models that were printed both before and after."""
    printed = table.filter(
        pl.col("kind") == "published", pl.col("side").is_in(list(_MARKS)), pl.col("remark").is_null()
    )
    rows = []
    for (population, source), pair in printed.group_by(["population", "source"], maintain_order=True):
        by_side = {row["side"]: row for row in pair.iter_rows(named=True)}
        _, *rest = str(source).split("; ")
        rows += [
            _row(f"{population or 'the model itself'} · {', '.join(rest)} (printed)", mark, by_side[side],
                 f"{rest[-1] if rest else ''} ({mark})".strip(), None, "", None) | {"note": "printed; no interval"}
            for side, mark in _MARKS.items() if set(_MARKS) <= set(by_side)
        ]  # fmt: skip
    return rows
