"""Means and standard deviations of people and of a model by group: whether the model is flatter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plural_nb.charts.breakdown import number
from plural_nb.charts.chart import Chart, Key
from plural_nb.charts.points import placed, point, points_spec, shape_of
from plural_nb.errors import PluralError

if TYPE_CHECKING:
    from plural_nb.comparison.heterogeneity import Heterogeneity

_MARKS = {"humans": "humans", "silicon": "model"}
_COLUMNS = (
    ("row_text", "{}"), ("name", "Who"), ("label", "Mean"), ("range", "From – to"), ("deviation", "SD"),
    ("ratio", "SD ratio (from – to)"), ("people", "Rows"),
)  # fmt: skip


def means_and_spread(found: Heterogeneity, *, by: str = "", title: str = "") -> Chart:
    """Draw mean ± standard deviation of people and of a model in every group, as Bisbee et al. 2024, Figure 2.

    by: what the groups are levels of ("Party"). title: the question where empty.

    The broad line is one standard deviation either way; the whisker is the interval of the mean. Raises PluralError
    for a nominal question, which has neither.
    """
    rows: list[dict[str, Any]] = []
    for one in sorted(found.groups().iter_rows(named=True), key=lambda r: r["side"]):
        if one["mean"] is None:
            raise PluralError(f"{found.question!r} has no scale, so it has no means. Draw its entropies or shares.")
        mean, sd, low, high = one["mean"], one["sd"], one["mean_low"], one["mean_high"]
        ratio = "" if one["sd_ratio"] is None else f"{one['sd_ratio']:.2f}"
        if ratio and one["low"] is not None and one["high"] is not None:
            ratio += f" ({one['low']:.2f} – {one['high']:.2f})"
        rows.append(point(
            one["group"], _MARKS[one["side"]], mean, low=low, high=high,
            sd_low=None if sd is None else mean - sd, sd_high=None if sd is None else mean + sd,
            label=f"{number(mean)} ± {number(sd or 0.0)}", name=found.names[one["side"] == "silicon"],
            range="" if low is None or high is None else f"{number(low)} – {number(high)}",
            deviation="" if sd is None else f"{sd:.2f}", ratio=ratio, people=f"{one['n']:,}",
        ))  # fmt: skip
    groups = list(dict.fromkeys(found.groups()["group"]))
    rows.sort(key=lambda row: (groups.index(row["row_text"]), row["who"]))
    placed(rows)
    asked = title or found.question
    told = "; ".join(f"{row['row_text']}, {row['name']}: {row['label']}" for row in rows)
    keys = (
        Key("humans", found.names[0], "broad line: mean ± one standard deviation"),
        Key("model", found.names[1], f"whisker: {found.level:.0%} interval of the mean"),
    )
    return Chart(
        spec=points_spec(rows, tuple(_MARKS.values()), axis="mean ± standard deviation", margin=100),
        rows=tuple(rows),
        shape=shape_of("spread", rows, tuple(_MARKS.values())),
        title=asked,
        subtitle=f"Mean ± standard deviation{f' by {by.lower()}' if by else ''}",
        keys=keys,
        columns=tuple((field, heading.format(by or "Group")) for field, heading in _COLUMNS),
        summary=f"{asked} Mean ± standard deviation: {told}.",
        frame=found.groups(),
        notes=tuple(f"{part[:1].upper()}{part[1:]}." for part in found.note.split("; ") if part),
    )
