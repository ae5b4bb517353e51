"""The methods text of a comparison, ready for a paper's appendix, and its files."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plural_nb.answers import Answers
from plural_nb.comparison.measuring import DISTANCE_NAMES
from plural_nb.comparison.noise import FEW_EXPECTED
from plural_nb.comparison.verdict import SIGNIFICANCE
from plural_nb.errors import PluralError

if TYPE_CHECKING:
    from plural_nb.comparison.comparison import Comparison

_MOST_PROMPT = 1500
_CHECKED = {
    "not": "No person answered on either side, so nothing here was checked against people.",
    "partly": "The second side was checked against people's answers to this question only.",
    "benchmarked": "The second side was also checked against benchmarks, as the user states.",
}


def report(comparison: Comparison) -> str:
    """Return what was compared, how, and what came of it, as Markdown."""
    parts = [
        _what(comparison), _sources(comparison), _methods(comparison), _numbers(comparison), _limits(comparison),
        _versions(),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def save(comparison: Comparison, path: Path) -> tuple[Path, ...]:
    """Write report.md, shares.csv, differences.csv, distances.csv and verdicts.csv into a folder, made if need be.

    Raises PluralError where `path` is a file, or cannot be written.
    """
    import polars as pl

    if path.is_file():
        raise PluralError(f"{path} is a file; give a folder for the tables and the report.")
    verdicts = pl.DataFrame(
        [{name: getattr(v, name) for name in v.__slots__} | {"sentence": v.sentence()} for v in comparison.verdicts],
        infer_schema_length=None,
    )
    tables = {"shares": comparison.table(), "differences": comparison.differences(), "verdicts": verdicts,
              "distances": comparison.distance_table(), "entropies": comparison.entropies()}  # fmt: skip
    try:
        path.mkdir(parents=True, exist_ok=True)
        written = [path / "report.md"]
        written[0].write_text(report(comparison), encoding="utf-8")
        for name, table in tables.items():
            written.append(path / f"{name}.csv")
            table.write_csv(written[-1])
    except OSError as error:
        raise PluralError(f"{path}: the comparison cannot be written ({error.strerror}).") from None
    return tuple(written)


def _what(comparison: Comparison) -> str:
    question = comparison.question
    options = "; ".join(comparison.a.options)
    lines = [
        f"# Comparison: {question.label}",
        f"Question ({question.kind}, wording {question.wording}): “{question.text}” Options compared: {options}.",
    ]
    if question.kind != "nominal":
        lines.append(f"Values on the scale: {', '.join(f'{v:g}' for v in question.values)}.")
    if comparison.unaligned:
        lines.append("Options left out: " + "; ".join(comparison.unaligned) + ".")
    return "\n\n".join(lines)


def _sources(comparison: Comparison) -> str:
    lines = ["## Sources"]
    sides = (comparison.measured.pairs.a, comparison.measured.pairs.b)
    for which, side in zip(("First", "Second"), sides, strict=True):
        answers = next(one for one in side.answers if one is not None)
        shares, source = side.shares, answers.source
        told = {"humans": "people", "model": "a model", "personas": "a model speaking as personas"}[source.kind]
        about = f"{which} side: {source.name} ({told}{', ' + source.detail if source.detail else ''})"
        if source.kind == "humans" or source.kind == "personas":
            sizes = ", ".join(f"{name} n = {int(n):,}" for name, n in zip(shares.groups, shares.n, strict=True))
            about += f"; {sizes}. Design: {shares.note or 'simple random sampling'}"
            if np.ptp(answers.design.weight) > 0:
                about += f"; weighted{' by ' + answers.design.weight_name if answers.design.weight_name else ''}"
        lines.append(about + ".")
        if shares.captured_mass is not None:
            lines.append(
                f"Captured mass (probability on any listed option before normalising): mean {shares.captured_mass:.3f}"
                f", least {shares.captured_mass_min or 0:.3f}."
            )
        lines += _model(answers)
    return "\n\n".join(lines)


def _model(answers: Answers) -> list[str]:
    lines = []
    if answers.spread is not None:
        many = f"{len(answers.replies):,} prompts over " if answers.exact and answers.replies else ""
        lines.append(f"Its shares carry the range over {many}the orders, wordings or in-context variants asked.")
    lines += [f"{name}: {value}." for name, value in answers.source.provenance]
    if answers.replies:
        text = answers.replies[0].text
        cut = text if len(text) <= _MOST_PROMPT else text[:_MOST_PROMPT] + " […]"
        fence = "~" * max(3, 1 + max((len(run) for run in text.split() if set(run) == {"~"}), default=0))
        many = f"the first of {len(answers.replies):,}" if len(answers.replies) > 1 else "the only one"
        lines.append(f"Prompt ({many}), exactly as sent:\n\n{fence}text\n{cut}\n{fence}")
    return lines


def _methods(comparison: Comparison) -> str:
    measured = comparison.measured
    designs = [one.design for side in (measured.pairs.a, measured.pairs.b) for one in side.answers if one is not None]
    replicated = any(design.replicates is not None for design in designs)
    drawn = "normal draws with the covariance of the replicate weights" if replicated else (
        "the Rao–Wu bootstrap (n_h − 1 PSUs per stratum; people, where there are no PSUs)")  # fmt: skip
    names = "; ".join(f"{name}: {DISTANCE_NAMES[name]}" for name in measured.names)
    return "\n\n".join([
        "## Methods",
        f"Distances: {names}. An option without probability adds 0.",
        f"Intervals ({measured.level:.0%}) of shares are {comparison.a.interval}, Taylor-linearised or from replicate "
        f"weights; those of distances come from {measured.replicates} replicates (seed {measured.seed}), {drawn}, by "
        "inverting the test of each length of the difference, because a distance is biased upwards.",
        "The noise floor is what two samples of these sizes from one truth would show, as mean and 95th percentile: in "
        f"closed form, or simulated where an expected count is under {FEW_EXPECTED}. Debiased: the squared distance "
        "(a divergence itself) less its mean under one truth, unclipped; the root of what is above 0 is shown.",
        f"Verdicts go by Rao and Scott's F of the Jensen–Shannon divergence (simulation where counts are few) at "
        f"{SIGNIFICANCE:.0%}, after Benjamini and Hochberg over {len(measured.pairs.usable)} cells; baselines are "
        "compared by the interval of the paired difference.",
    ])  # fmt: skip


def _numbers(comparison: Comparison) -> str:
    lines = ["## Results"]
    one = comparison.distance("js_distance")
    for g, verdict in enumerate(comparison.verdicts):
        if verdict.word == "cannot compare":
            lines.append(f"- {verdict.group}: {verdict.sentence()}")
            continue
        lines.append(
            f"- {verdict.group}: js_distance {one.value[g]:.3f} ({one.low[g]:.3f} to {one.high[g]:.3f}), debiased "
            f"{one.debiased[g]:.3f}, noise {one.noise_mean[g]:.3f} (95th percentile {one.noise_p95[g]:.3f}). "
            f"{verdict.sentence()}"
        )
    found = [
        f"{name} {', '.join('–' if not np.isfinite(v) else f'{v:.3f}' for v in each.distances.value('js_distance'))}"
        for name, each in comparison.baselines.items()
    ]
    if found:
        lines.append("\nBaselines (js_distance, by group): " + "; ".join(found) + ".")
    return "\n".join(lines)


def _limits(comparison: Comparison) -> str:
    lines = ["## How far it was checked", _CHECKED[comparison.checked]]
    if comparison.captured_warning:
        lines.append(comparison.captured_warning)
    lines.append(
        "Intervals cover who was asked, not the draw of an answer, the wording or a model's error; a single model row "
        "is exact for its prompt and has none."
    )
    return "\n\n".join(lines)


def _versions() -> str:
    found = []
    for name in ("plural-nb", "numpy", "scipy", "polars", "llama-cpp-python"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return "## Versions\n\n" + ", ".join(found) + "."
