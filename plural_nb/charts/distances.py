"""Distances as points: each with its interval, the band of noise, and the nearest guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plural_nb.charts.chart import Chart, Key
from plural_nb.charts.points import BASELINE, NOISE, placed, point, points_spec, shape_of
from plural_nb.comparison.measuring import DISTANCE_NAMES, DIVERGENCES
from plural_nb.comparison.unseen import infinite_note
from plural_nb.errors import PluralError, nearest

if TYPE_CHECKING:
    from plural_nb.comparison.comparison import Comparison
    from plural_nb.comparison.survey_distances import SurveyDistances
    from plural_nb.survey.shares import Shares

MOST_LINES = 40
_COLUMNS = (
    ("row_text", "{}"), ("label", "Distance"), ("range", "From – to"), ("noise", "Noise: mean, 95th percentile"),
    ("guess", "Nearest guess"), ("note", "Note"),
)  # fmt: skip
_MARGIN = 136


def distances_and_noise(comparison: Comparison, distance: str | None = None, *, by: str = "", title: str = "") -> Chart:
    """Draw how far apart two sides are in every group: one distance, or, of one group, every one that is bounded.

    distance: a name of `DISTANCE_NAMES`; the js_distance of many groups, and all of one group, when None.
    by: what the groups are levels of ("Region"). title: the question's text where empty.

    The whisker is the interval of the distance between the two truths; the grey band is what sampling alone would
    show; the cross is the nearest baseline's distance. The verdict in words goes by the js_distance.

    Raises SurveyError for a Wasserstein distance of a nominal question, PluralError for an unknown distance.

    >>> from plural_nb.answers import Answers
    >>> from plural_nb.comparison.comparison import compare
    >>> from plural_nb.survey.question import ask_for
    >>> tea = ask_for("Tea?", ["Yes", "No"])
    >>> both = compare(Answers.from_places(tea, [0] * 60 + [1] * 40), Answers.from_places(tea, [0] * 50 + [1] * 50))
    >>> distances_and_noise(both, "js_distance").rows[0]["label"]
    '0.09, cannot tell'
    """
    alone = len(comparison.groups) == 1
    every = [n for n in comparison.measured.names if n not in DIVERGENCES and n != "wasserstein"]
    names = every if distance is None and alone else [distance or "js_distance"]
    rows: list[dict[str, Any]] = []
    mark = _mark(comparison.b)
    for name in names:
        found = comparison.distance(name)
        guesses = {one.name: one.distances.value(name) for one in comparison.baselines.values()}
        for g, group in enumerate(comparison.groups):
            verdict = comparison.verdicts[g]
            near = {key: float(v[g]) for key, v in guesses.items() if np.isfinite(v[g])}
            guess = min(near, key=lambda key: near[key], default="")
            rows.append(_row(
                DISTANCE_NAMES[name] if len(names) > 1 else group, mark, {c: float(getattr(found, c)[g]) for c in (
                    "value", "low", "high", "noise_mean", "noise_p95")},
                said=verdict.word if name == "js_distance" else "", guess=guess, best=near.get(guess),
                failed=comparison.failed.get(group, ""),
            ))  # fmt: skip
    placed(rows, bottom=0.0)
    asked = title or comparison.question.text
    word = "distance" if len(names) > 1 else DISTANCE_NAMES[names[0]]
    told = "; ".join(f"{row['row_text']} {row['label']}" for row in rows)
    keys = [Key(mark, f"{_name(comparison.b)} to {_name(comparison.a).lower()}", _whisker(rows, comparison))]
    return _chart(
        rows, mark, keys, title=asked, axis=word, first="Distance" if len(names) > 1 else by or "Group",
        subtitle=" · ".join(part for part in (
            _sides(comparison), comparison.groups[0] if alone else "", f"by {by.lower()}" if by else "") if part),
        summary=f"{asked} {word}, {_sides(comparison)}: {told}.",
        frame=comparison.distance_table().filter(pl.col("distance").is_in(names)), notes=_notes(rows),
    )  # fmt: skip


def distances_by_question(
    found: SurveyDistances, group: str | None = None, *, distance: str = "js_distance", name: str = "the model",
    title: str = "",
) -> Chart:  # fmt: skip
    """Draw the distance of every question in one group, the largest first, each with its interval and noise.

    group: of the survey's comparison; the first when None. name: of the model. title: of the chart.

    At most 40 questions are drawn, and a note says so. Raises PluralError for an unknown group or distance, or where
    no question of the group has one.
    """
    group = found.groups[0] if group is None else group
    if group not in found.groups:
        raise PluralError(f"There is no population {group!r}. {nearest(group, found.groups)}")
    if distance not in found.distances:
        raise PluralError(f"There is no distance {distance!r} here. {nearest(distance, found.distances)}")
    g, columns = found.groups.index(group), found.distances[distance]
    order = sorted(np.flatnonzero(~np.isnan(columns["value"][:, g])), key=lambda q: -columns["value"][q, g])
    if not order:
        raise PluralError(f"No question has {DISTANCE_NAMES[distance]} among {group}.")
    rows = []
    for q in order[:MOST_LINES]:
        p = found.p_adjusted[q, g]
        said = "" if not np.isfinite(p) else "beyond noise" if p < 0.05 else "not beyond noise"
        numbers = {c: float(columns[c][q, g]) for c in ("value", "low", "high", "noise_mean", "noise_p95")}
        question = found.questions[q]
        rows.append(_row(question.label, "model", numbers, said=said) | {"question": question.key})
    placed(rows, bottom=0.0)
    asked = title or f"How far is {name} from people?"
    notes = [f"The {MOST_LINES} largest of {len(order)} are drawn; the file saved as CSV holds all."]
    told = "; ".join(f"{row['row_text']} {row['label']}" for row in rows)
    keys = [Key("model", name, "whisker: 95% interval")]
    return _chart(
        rows, "model", keys, title=asked, axis=DISTANCE_NAMES[distance], first="Question", subtitle=group,
        summary=f"{asked} {DISTANCE_NAMES[distance]} among {group}: {told}.",
        frame=found.table(distance).filter(pl.col("group") == group),
        notes=[*(notes if len(order) > MOST_LINES else []), *_notes(rows)],
    )  # fmt: skip


def _row(
    line: str, mark: str, numbers: dict[str, float], *, said: str = "", guess: str = "", best: float | None = None,
    failed: str = "",
) -> dict[str, Any]:  # fmt: skip
    value, low, high = numbers["value"], numbers["low"], numbers["high"]
    here, sampled, endless = np.isfinite(value), numbers["noise_p95"] > 0, np.isinf(value)
    ranged = here and bool(np.isfinite(low) and np.isfinite(high)) and high - low > 1e-12
    return point(
        line, mark, value, low=low if ranged else None, high=high if ranged else None, best=best,
        noise_mean=numbers["noise_mean"] if sampled else None, noise_p95=numbers["noise_p95"] if sampled else None,
        label=", ".join(part for part in (f"{value:.2f}", said) if part) if here else (
            "infinite" if endless else "cannot be compared"),
        range=f"{low:.3f} – {high:.3f}" if ranged else f"{low:.3f} or more" if endless and np.isfinite(low) else "",
        noise=f"{numbers['noise_mean']:.3f}, {numbers['noise_p95']:.3f}" if sampled else "",
        guess=f"{guess} {best:.3f}" if best is not None else "", note=failed or infinite_note(value, low),
    )  # fmt: skip


def _chart(
    rows: list[dict[str, Any]], mark: str, keys: list[Key], *, axis: str, first: str, frame: pl.DataFrame,
    notes: Sequence[str], **words: Any,
) -> Chart:  # fmt: skip
    keys += [NOISE] * any(row["noise_p95"] is not None for row in rows)
    keys += [BASELINE] * any(row["best"] is not None for row in rows)
    columns = tuple((name, heading.format(first)) for name, heading in _COLUMNS)
    return Chart(
        spec=points_spec(rows, [mark], axis=axis, margin=_MARGIN),
        rows=tuple(rows),
        shape=shape_of(f"distances {axis}", rows, [mark]),
        keys=tuple(keys),
        columns=tuple(column for column in columns if any(row[column[0]] for row in rows)),
        frame=frame,
        notes=tuple(notes),
        **words,
    )


def _notes(rows: Sequence[dict[str, Any]]) -> list[str]:
    failed = [f"{row['row_text']}: {row['note']}." for row in rows if row["note"]]
    guesses = dict.fromkeys(row["guess"].rpartition(" ")[0] for row in rows if row["guess"])
    return [*failed, *([f"The nearest guess is {' or '.join(guesses)}."] if guesses else [])]


def _whisker(rows: Sequence[dict[str, Any]], comparison: Comparison) -> str:
    return f"whisker: {comparison.measured.level:.0%} interval" if any(row["low"] is not None for row in rows) else ""


def _mark(shares: Shares) -> str:
    return "sample" if shares.source.kind == "humans" else "model"


def _name(shares: Shares) -> str:
    return "People" if shares.source.kind == "humans" else shares.source.name


def _sides(comparison: Comparison) -> str:
    return f"{comparison.a.source.name} against {comparison.b.source.name}"
