"""The methods text of a comparison, ready for a paper's appendix, and its files."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.comparison.measuring import DISTANCE_NAMES
from plural_nb.comparison.noise import FEW_EXPECTED
from plural_nb.comparison.prompting import prompting
from plural_nb.comparison.verdict import SIGNIFICANCE
from plural_nb.errors import PluralError

if TYPE_CHECKING:
    from plural_nb.comparison.comparison import Comparison
    from plural_nb.survey.design import Design
    from plural_nb.survey.shares import Shares

_MOST_PROMPT = 1500
_MOST_PROMPTS = 1000
_MOST_ROWS = 120
_CHECKED = {
    "not": "No person answered on either side, so nothing here was checked against people.",
    "partly": "The second side was checked against people's answers to this question only.",
    "benchmarked": "The second side was also checked against benchmarks, as the user states.",
}


def report(comparison: Comparison) -> str:
    """Return what was compared, how, and what came of it, as Markdown."""
    parts = [
        _what(comparison), _sources(comparison), _methods(comparison), _numbers(comparison), _limits(comparison),
        f"## Versions\n\n{versions()}",
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def save(comparison: Comparison, path: Path) -> tuple[Path, ...]:
    """Write report.md and shares, differences, distances, verdicts and entropies as CSV into a folder, made if need be.

    Where a model was asked, prompts.txt has its prompts as they were sent, 1,000 at most.

    Raises PluralError where `path` is a file, or cannot be written.
    """
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
        prompts = _prompts(comparison)
        if prompts:
            written.append(path / "prompts.txt")
            written[-1].write_text(prompts, encoding="utf-8")
    except OSError as error:
        raise PluralError(f"{path}: the comparison cannot be written ({error.strerror}).") from None
    return tuple(written)


def _prompts(comparison: Comparison) -> str:
    sides = (comparison.measured.pairs.a, comparison.measured.pairs.b)
    texts = dict.fromkeys(reply.text for side in sides for one in side.answers if one for reply in one.replies)
    kept = list(texts)[:_MOST_PROMPTS]
    heads = [f"----- prompt {i + 1} of {len(texts):,} -----" for i in range(len(kept))]
    return "\n\n".join(f"{head}\n{text}" for head, text in zip(heads, kept, strict=True))


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
            sizes = "; ".join(map(_size, shares.groups, shares.n, shares.n_eff_kish, shares.df))
            about += f". Answers with an opinion: {sizes}. Design: {shares.note or 'simple random sampling'}"
            about += _design(answers.design)
        lines.append(about + ".")
        if shares.captured_mass is not None:
            lines.append(
                f"Captured mass (probability on any listed option before normalising): mean {shares.captured_mass:.3f}"
                f", least {shares.captured_mass_min or 0:.3f}."
            )
        lines += _model(answers)
    return "\n\n".join(lines)


def _size(name: str, n: int, n_eff: float, df: float) -> str:
    """How many people a group's shares rest on, with Kish's effective number and the degrees of freedom."""
    told = [f"effective (Kish) {n_eff:,.0f}"] * bool(np.isfinite(n_eff) and round(n_eff) != n)
    told += [f"{df:,.0f} degrees of freedom"] * bool(np.isfinite(df) and n)
    return f"{name} n = {int(n):,}{' (' + ', '.join(told) + ')' if told else ''}"


def _design(design: Design) -> str:
    parts = []
    if design.stratum is not None:
        parts.append(f"{np.unique(design.stratum).size:,} strata")
    if design.psu is not None:
        parts.append(f"{np.unique(design.psu).size:,} PSUs")
    if design.replicates is not None:
        parts.append("variances from the file's replicate weights")
    if np.ptp(design.weight) > 0:
        parts.append(f"weighted{' by ' + design.weight_name if design.weight_name else ''}")
    return "".join(f"; {part}" for part in parts)


def _model(answers: Answers) -> list[str]:
    lines = []
    asked = prompting(answers)
    if asked is not None:
        lines.append(asked.sentence())
        others = [text for text in asked.wordings if text != answers.question.text]
        lines += [f"Other wordings: {'; '.join(f'“{text}”' for text in others)}."] if others else []
    elif answers.spread is not None:
        lines.append("Its shares carry the range over the orders, wordings or in-context variants asked.")
    lines += [f"{name}: {value}." for name, value in answers.source.provenance]
    if answers.replies:
        text = answers.replies[0].text
        long = len(text) > _MOST_PROMPT
        cut = text[:_MOST_PROMPT] + " […]" if long else text
        fence = "~" * max(3, 1 + max((len(run) for run in text.split() if set(run) == {"~"}), default=0))
        many = f"the first of {len(answers.replies):,}" if len(answers.replies) > 1 else "the only one"
        whole = "its beginning; `save` writes it whole" if long else "exactly as sent"
        lines.append(f"Prompt ({many}), {whole}:\n\n{fence}text\n{cut}\n{fence}")
    return lines


def _methods(comparison: Comparison) -> str:
    measured = comparison.measured
    designs = [one.design for side in (measured.pairs.a, measured.pairs.b) for one in side.answers if one is not None]
    replicated = any(design.replicates is not None for design in designs)
    drawn = "normal draws with the covariance of the replicate weights" if replicated else (
        "the Rao–Wu bootstrap (n_h − 1 PSUs per stratum; people, where there are no PSUs)")  # fmt: skip
    cells = f"{len(measured.pairs.usable)} cell{'s' if len(measured.pairs.usable) != 1 else ''}"
    names = "; ".join(f"{name}: {DISTANCE_NAMES[name]}" for name in measured.names)
    return "\n\n".join([
        "## Methods",
        "Shares are of the answers that hold an opinion; missing answers, “don't know” and refusals are set aside on "
        "both sides and reported apart.",
        f"Distances: {names}. An option without probability adds 0.",
        f"Intervals ({measured.level:.0%}) of shares are {comparison.a.interval}, Taylor-linearised or from replicate "
        f"weights; those of distances come from {measured.replicates} replicates (seed {measured.seed}), {drawn}, by "
        "inverting the test of each length of the difference, because a distance is biased upwards.",
        "The noise floor is what two samples of these sizes from one truth would show, as mean and 95th percentile: in "
        f"closed form, or simulated where an expected count is under {FEW_EXPECTED}. Debiased: the squared distance "
        "(a divergence itself) less its mean under one truth, unclipped; the root of what is above 0 is shown.",
        f"Verdicts go by Rao and Scott's F of the Jensen–Shannon divergence (simulation where counts are few) at "
        f"{SIGNIFICANCE:.0%}, after Benjamini and Hochberg over {cells}; baselines "
        "are compared by the interval of the paired difference.",
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
    return "\n".join([*lines, *_tables(comparison)])


def _tables(comparison: Comparison) -> list[str]:
    """Shares with their differences, the other distances, and what gave no opinion, as Markdown tables."""
    differences = comparison.differences().filter(pl.col("failed") == "")
    if differences.height > _MOST_ROWS:
        return [f"\nShares and distances ({differences.height} shares) are in the tables that `save` writes."]
    places = [g for g, name in enumerate(comparison.groups) if name not in comparison.failed]
    heads = ("Group", "Option", "First side", "Second side", "Difference (interval)", "First, interval",
             "Second, interval")  # fmt: skip
    lines = [f"\n| {' | '.join(heads)} |", "|---|---|---:|---:|---:|---:|---:|"]
    K = len(comparison.a.options)
    for i, (group, option, a, b, gap, _, low, high, _) in enumerate(differences.iter_rows()):
        said = f"{gap:+.3f}" if low is None else f"{gap:+.3f} ({low:+.3f} to {high:+.3f})"
        own = [_interval(side, places[i // K], i % K) for side in (comparison.a, comparison.b)]
        lines.append(f"| {_cell(group)} | {_cell(option)} | {a:.3f} | {b:.3f} | {said} | {' | '.join(own)} |")
    lines += _ranges(comparison)
    lines += ["\n| Group | Distance | Value (interval) | Debiased | Noise, mean and 95th percentile |",
              "|---|---|---:|---:|---:|"]  # fmt: skip
    distances = comparison.distance_table().filter(pl.col("failed") == "")
    for row in distances.iter_rows(named=True):
        value, low, high, debiased, mean, p95 = (
            _number(row[key]) for key in ("value", "low", "high", "debiased", "noise_mean", "noise_p95")
        )
        ends = f"({low} to {high})"
        if row["note"]:
            ends = "(for sure)" if low == high else f"({low} or more)"
        lines.append(f"| {_cell(row['group'])} | {row['distance']} | {value} {ends} | {debiased} | {mean}, {p95} |")
    lines += [f"\n{note[0].upper()}{note[1:]}." for note in distances["note"].unique().sort() if note]
    entropies = comparison.entropies().drop_nulls("debiased_nats")
    for which, of in (("first", "a"), ("second", "b")):
        told = "; ".join(
            f"{row['group']} {row['debiased_nats']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
            for row in entropies.filter(side=of).iter_rows(named=True)
        )
        lines.append(f"\nEntropy of the {which} side (nats, debiased, with interval): {told}.")
    for which, shares in (("first", comparison.a), ("second", comparison.b)):
        apart = {"no opinion": shares.nonsubstantive, "volunteered": shares.volunteered, "no answer": shares.missing}
        told = "; ".join(
            f"{what}: {', '.join(f'{g} {_number(v)}' for g, v in zip(comparison.groups, by, strict=True))}"
            for what, by in apart.items()
        )
        lines.append(f"\nSet aside on the {which} side, as shares: {told}.")
    return lines


def _interval(shares: Shares, g: int, k: int) -> str:
    if shares.exact:
        return "exact"
    return f"{_number(shares.low[g, k])} to {_number(shares.high[g, k])}"


def _ranges(comparison: Comparison) -> list[str]:
    """The range of every share over the ways in which a model was asked, as a Markdown table."""
    table = comparison.table().filter(pl.col("spread_low").is_not_null() & (pl.col("kind") != "humans"))
    if table.is_empty():
        return []
    lines = ["\nRange of a model's shares over each wording in each order; over the orders (means over wordings); over "
             "the wordings (means over orders). It says nothing of sampling.",
             "\n| Group | Option | Share | Over both | Over orders | Over wordings |",
             "|---|---|---:|---:|---:|---:|"]  # fmt: skip
    for row in table.iter_rows(named=True):
        ends = [
            "–" if row[f"{over}_low"] is None else f"{row[f'{over}_low']:.3f} to {row[f'{over}_high']:.3f}"
            for over in ("spread", "orders", "wordings")
        ]
        lines.append(f"| {_cell(row['group'])} | {_cell(row['option'])} | {row['share']:.3f} | {' | '.join(ends)} |")
    return lines


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _number(value: float | None) -> str:
    if value is None or value != value:
        return "–"
    return "infinite" if np.isinf(value) else f"{value:.3f}"


def _limits(comparison: Comparison) -> str:
    lines = ["## How far it was checked", _CHECKED[comparison.checked]]
    if comparison.captured_warning:
        lines.append(comparison.captured_warning)
    lines.append(
        "Intervals cover who was asked, not the draw of an answer, the wording or a model's error; a single model row "
        "is exact for its prompt and has none."
    )
    return "\n\n".join(lines)


def versions() -> str:
    """Return the versions of Python and of the libraries that made the numbers, as one line."""
    found = [f"Python {platform.python_version()}"]
    for name in ("plural-nb", "numpy", "scipy", "polars", "llama-cpp-python"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found) + "."
