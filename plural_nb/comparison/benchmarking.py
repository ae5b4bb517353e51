"""Benchmarking samples, human or silicon, against known shares: bias, spread, and a ranking with its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.comparison.benchmarks import EVERYONE, Benchmarks
from plural_nb.comparison.distances import Floats
from plural_nb.comparison.question_sample import require_level
from plural_nb.comparison.redrawing import REPLICATES, Redrawing, bounds
from plural_nb.comparison.sample import Sample, labels_of, sample_of
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.design import Design
from plural_nb.survey.shares import group_codes
from plural_nb.survey.survey import Survey


@dataclass(frozen=True, slots=True, eq=False)
class Benchmarked:
    """Samples against benchmarks.

    rows: a row per sample and group, see `table`. cell_rows: per sample, group, question and option, see `cells`.
    rank_rows: see `ranking`. pair_rows: see `pairs`. left_out: what could not be used, and why. level: of the
    intervals. note: what they cover.
    """

    rows: pl.DataFrame = field(repr=False)
    cell_rows: pl.DataFrame = field(repr=False)
    rank_rows: pl.DataFrame = field(repr=False)
    pair_rows: pl.DataFrame = field(repr=False)
    level: float
    left_out: tuple[str, ...] = ()
    note: str = ""

    def table(self) -> pl.DataFrame:
        """Return one row per sample and group (trait and level null: everybody).

        average_absolute_bias: mean over questions of the mean over options of |estimate − benchmark|, with low and
        high; noise_floor: what an unbiased sample of this design would show. rmse: root of the mean squared bias,
        over options and then questions; rmse_debiased: without the sampling variance (0 where that is the larger).
        questions: how many.
        """
        return self.rows

    def cells(self) -> pl.DataFrame:
        """Return one row per sample, group, question and option: benchmark, estimate, se, bias."""
        return self.cell_rows

    def spread(self) -> pl.DataFrame:
        """Return how far samples differ from each other: SD across samples by question and option, and their mean.

        Null with one sample. Of everybody, without subgroups.
        """
        everybody = self.cell_rows.filter(pl.col("trait").is_null())
        by = everybody.group_by("question", "option", maintain_order=True).agg(
            pl.col("estimate").std(ddof=1).alias("sd_across_samples"), pl.len().alias("samples")
        )
        return by.with_columns(pl.col("sd_across_samples").mean().over("question").alias("sd_of_question"))

    def ranking(self) -> pl.DataFrame:
        """Return the samples by average absolute bias, least first: rank, rank_low, rank_high, share_best.

        rank_low and rank_high bound the rank over redrawings of the people; share_best is how often it came first.
        """
        return self.rank_rows

    def pairs(self) -> pl.DataFrame:
        """Return one row per pair: a, b, difference of their average absolute bias (a − b), low, high, real.

        real: whether the interval excludes 0. People of one design are redrawn together in all samples.
        """
        return self.pair_rows

    def sentence(self) -> str:
        """The ranking in plain words."""
        first, *others = self.rank_rows.iter_rows(named=True)
        rows = {row["sample"]: row for row in self.rows.filter(pl.col("trait").is_null()).iter_rows(named=True)}

        def said(row: Mapping[str, object]) -> str:
            found = rows[str(row["sample"])]
            return (
                f"{row['sample']} is off by {100 * found['average_absolute_bias']:.1f} percentage points on average "
                f"(an unbiased sample of its size would be by {100 * found['noise_floor']:.1f})"
            )

        if not others:
            return f"{said(first)}."
        clear = self.pair_rows.filter(
            pl.col("real") & ((pl.col("a") == first["sample"]) | (pl.col("b") == first["sample"]))
        )
        sure = (
            f"clearly nearer than {clear.height} of {len(others)}" if clear.height else "but no other is clearly worse"
        )
        return f"{said(first)}, {sure}. " + "; ".join(said(row) for row in others) + "."


def benchmark(
    samples: Mapping[str, Sample | Survey | Mapping[str, Answers]],
    benchmarks: Benchmarks | pl.DataFrame | Mapping[str, Mapping[str, float]],
    *,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Benchmarked:
    """Compare samples with benchmarks, as Pew Research Center's "Evaluating Online Nonprobability Surveys" (2016).

    samples: by name, each a Sample, a survey, or answers by question key. benchmarks: `Benchmarks`, a table for
        `Benchmarks.read`, or shares by question and option. Options are matched by label.
    level, replicates, seed: of the bootstrap of PSUs.

    Biases are averaged over a question's options and then over questions, as Pew does (its "For Weighting Online
    Opt-In Samples, What Matters Most?", 2018, says so). Every sample is judged on the same questions: one that some
    sample lacks is left out for all, and named.

    Raises PluralError where no question (with the same options) is in all samples.

    >>> from plural_nb.survey.question import ask_for
    >>> smokes = ask_for("Do you smoke?", ["Yes", "No"], key="smokes")
    >>> panel = {"smokes": Answers.from_places(smokes, [0] * 30 + [1] * 70)}
    >>> found = benchmark({"panel": panel}, {"smokes": {"Yes": 0.2, "No": 0.8}})
    >>> round(found.table()["average_absolute_bias"].item(), 3)
    0.1
    """
    require_level(level)
    if not samples:
        raise PluralError("There is no sample to benchmark.")
    if isinstance(benchmarks, Benchmarks):
        known = benchmarks
    else:
        known = Benchmarks.read(benchmarks) if isinstance(benchmarks, pl.DataFrame) else Benchmarks.of(benchmarks)
    questions = sorted({key for by in known.shares.values() for key in by})
    taken = {name: sample_of(name, sample, questions) for name, sample in samples.items()}
    cells, left_out = _cells(taken, known, replicates, seed)
    if not any(group == EVERYONE for group, _ in cells):
        raise PluralError(f"No question with a benchmark is in all samples. {' '.join(left_out[:4])}".strip())
    averages = _averages(cells, list(taken))
    return Benchmarked(
        _rows(cells, averages, list(taken), level),
        _cell_rows(cells, known, list(taken)),
        _ranks(averages[EVERYONE], list(taken), level),
        _pairs(averages[EVERYONE], list(taken), level),
        level,
        (*known.problems, *left_out),
        f"Intervals ({level:.0%}) and ranks are from {replicates} bootstrap replicates of each sample's PSUs; the "
        "benchmarks are taken as exact and the questions as given.",
    )


Group = tuple[str, str]
# By group and question: (1 + R, S, K) shares of the samples, the sample found first, and (K,) the benchmark.
_Cells = dict[tuple[Group, str], tuple[Floats, Floats]]


def _cells(samples: Mapping[str, Sample], known: Benchmarks, replicates: int, seed: int) -> tuple[_Cells, list[str]]:
    redrawn: dict[int, tuple[Design, Redrawing]] = {}
    cells: _Cells = {}
    left_out = []
    for group in known.groups:
        for key, shares in known.shares[group].items():
            found = []
            for name, sample in samples.items():
                try:
                    answers = _answers(sample, key, shares)
                    design = answers.design
                    if id(design) not in redrawn:
                        # One seed for all: samples of the same people, weighted in two ways, are redrawn together.
                        redrawn[id(design)] = (design, Redrawing.of(design, replicates, seed))
                    found.append(_shares(sample, answers, group, list(shares), redrawn[id(design)][1]))
                except PluralError as problem:
                    of = f" ({group[0]}: {group[1]})" if group != EVERYONE else ""
                    left_out.append(f"{key}{of}, {name}: {problem}")
            if len(found) == len(samples):
                cells[group, key] = (np.stack(found, axis=1), np.array(list(shares.values())))
    return cells, left_out


def _answers(sample: Sample, key: str, shares: Mapping[str, float]) -> Answers:
    if key not in sample.answers:
        raise PluralError(f"it was not asked. {nearest(key, sample.answers)}")
    answers = sample.answers[key]
    ours = labels_of(answers)
    for label, pool, whose in [(x, ours, "the sample's") for x in shares] + [(x, list(shares), "the benchmark's")
                                                                              for x in ours]:  # fmt: skip
        if label not in pool:
            raise PluralError(f"{label!r} is not among {whose} options. {nearest(label, pool)}")
    return answers


def _shares(sample: Sample, answers: Answers, group: Group, options: list[str], redrawing: Redrawing) -> Floats:
    """(1 + R, K) shares of a group in the benchmark's order of options."""
    labels = labels_of(answers)
    y = answers.rows[:, [answers.question.substantive[labels.index(o)] for o in options]]
    here = answers.domain & (y.sum(axis=1) > 0)
    trait, level = group
    if group != EVERYONE:
        if trait not in sample.groups:
            raise PluralError(f"its people have no trait {trait!r}. {nearest(trait, sample.groups)}")
        names, codes = group_codes(answers.design.n, sample.groups[trait])
        if level not in names:
            raise PluralError(f"trait {trait!r} has no level {level!r}. {nearest(level, names)}")
        here &= codes == names.index(level)
    if not (here & (answers.design.weight > 0)).any():
        raise PluralError("nobody there gave an answer.")
    sums = redrawing.sums(y, np.where(here, 0, -1))[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / sums.sum(axis=1, keepdims=True))


def _averages(cells: _Cells, names: list[str]) -> dict[Group, Floats]:
    """By group, (1 + R, S) average absolute bias."""
    found: dict[Group, list[Floats]] = {}
    for (group, _), (shares, truth) in cells.items():
        found.setdefault(group, []).append(np.abs(shares - truth).mean(axis=2))
    return {group: np.mean(values, axis=0) for group, values in found.items()}


def _rows(cells: _Cells, averages: Mapping[Group, Floats], names: list[str], level: float) -> pl.DataFrame:
    rows = []
    for group, average in averages.items():
        parts = [cell for (other, _), cell in cells.items() if other == group]
        variance = [np.nanvar(shares[1:], axis=0) for shares, _ in parts]
        floor = np.mean([np.sqrt(2 / np.pi * v).mean(axis=1) for v in variance], axis=0)
        squares = np.mean([np.square(shares[0] - truth).mean(axis=1) for shares, truth in parts], axis=0)
        without = squares - np.mean([v.mean(axis=1) for v in variance], axis=0)
        _, low, high = bounds(average[0], average[1:], level, debias=False)
        for s, name in enumerate(names):
            rows.append(
                (name, group[0] or None, group[1] or None, average[0, s], low[s], high[s], floor[s],
                 squares[s] ** 0.5, max(without[s], 0.0) ** 0.5, len(parts))
            )  # fmt: skip
    numbers = ("average_absolute_bias", "low", "high", "noise_floor", "rmse", "rmse_debiased")
    schema = dict.fromkeys(("sample", "trait", "level"), pl.String) | dict.fromkeys(numbers, pl.Float64)
    return pl.DataFrame(rows, schema=schema | {"questions": pl.Int64}, orient="row").with_columns(
        pl.col(pl.Float64).fill_nan(None)
    )


def _cell_rows(cells: _Cells, known: Benchmarks, names: list[str]) -> pl.DataFrame:
    rows = [
        (name, group[0] or None, group[1] or None, key, option, truth[k], shares[0, s, k],
         float(np.nanstd(shares[1:, s, k])), shares[0, s, k] - truth[k])
        for (group, key), (shares, truth) in cells.items()
        for s, name in enumerate(names)
        for k, option in enumerate(known.shares[group][key])
    ]  # fmt: skip
    words = dict.fromkeys(("sample", "trait", "level", "question", "option"), pl.String)
    return pl.DataFrame(rows, schema=words | dict.fromkeys(("benchmark", "estimate", "se", "bias"), pl.Float64),
                        orient="row")  # fmt: skip


def _ranks(average: Floats, names: list[str], level: float) -> pl.DataFrame:
    # Redrawn biases are larger by sampling error once more, in small samples most: they are moved back to what was
    # found before they are ranked.
    redrawn = average[1:] - average[1:].mean(axis=0) + average[0]
    ranks = np.concatenate([average[:1], redrawn]).argsort(axis=1).argsort(axis=1) + 1
    low, high = np.quantile(ranks[1:], [(1 - level) / 2, (1 + level) / 2], axis=0, method="nearest")
    rows = [
        (name, int(ranks[0, s]), int(low[s]), int(high[s]), float((ranks[1:, s] == 1).mean()), float(average[0, s]))
        for s, name in enumerate(names)
    ]
    schema = ["sample", "rank", "rank_low", "rank_high", "share_best", "average_absolute_bias"]
    return pl.DataFrame(rows, schema=schema, orient="row").sort("rank")


def _pairs(average: Floats, names: list[str], level: float) -> pl.DataFrame:
    rows = []
    for a in range(len(names)):
        for b in range(a + 1, len(names)):
            gap = average[:, a] - average[:, b]
            value, low, high = (float(x) for x in bounds(gap[0], gap[1:], level, debias=False))
            rows.append((names[a], names[b], value, low, high, low > 0 or high < 0))
    schema = {"a": pl.String, "b": pl.String, "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    return pl.DataFrame(rows, schema=schema | {"real": pl.Boolean}, orient="row").with_columns(
        pl.col(pl.Float64).fill_nan(None)
    )
