"""What the paper's experiment finds: a pair of models against populations, measure by measure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import polars as pl

from plural_nb.comparison.published import published
from plural_nb.comparison.report import versions
from plural_nb.errors import PluralError, nearest

Convention = Literal["ours", "compatible"]
Measure = Literal["js_distance", "entropy_nats", "js_distance_shuffled", "js_divergence_debiased"]


@dataclass(frozen=True, slots=True, eq=False)
class BeforeAndAfter:
    """A pair of models against populations: JS distance (base 2), entropy (nats), JS distance of shuffled rows.

    names: of the model before and after. populations: their names. rows: one per measure, convention, population and
    side, see `table`. per_question: the numbers that are averaged, one row per question. left_out: what could not be
    used, with the reason. manner: how the models were asked. note, level: of the intervals.
    sources: each model's file, hash and way of being asked, where known.
    """

    names: tuple[str, str]
    populations: tuple[str, ...]
    rows: pl.DataFrame = field(repr=False)
    per_question: pl.DataFrame = field(repr=False)
    left_out: tuple[str, ...] = ()
    manner: str = ""
    note: str = ""
    level: float = 0.95
    sources: tuple[str, ...] = ()

    def table(
        self, measure: Measure | None = None, *, convention: Convention | None = "ours", beside: bool = False
    ) -> pl.DataFrame:
        """Return one row per measure, population and side: mean over questions, low, high, questions, clusters.

        side: "pre", "post", "post − pre"; baselines to hold these against are "uniform" (equal shares for every
        option), "noise floor" (what a sample of these people shows from its own truth), another population's name,
        and "humans" (their entropy). "js_divergence_debiased" is the distance's square (in bits) without what
        sampling the people adds to it, unclipped, so that its mean has no bias; populations whose sample is unknown
        have none. low, high: null where no interval
        can be given. convention: "ours"; "compatible" as the paper's code has it; both when None. beside: add the
        figures that the paper printed (`source` says whose they are; they carry no interval).
        """
        if convention is not None and convention not in get_args(Convention):
            raise PluralError(f"No convention is called {convention!r}. {nearest(convention, get_args(Convention))}")
        if measure is not None and measure not in get_args(Measure):
            raise PluralError(f"No measure is called {measure!r}. {nearest(measure, get_args(Measure))}")
        found = self.rows if convention is None else self.rows.filter(pl.col("convention") == convention)
        found = found if measure is None else found.filter(pl.col("measure") == measure)
        if not beside:
            return found
        printed = (
            published()
            .filter(True if measure is None else pl.col("measure") == measure)
            .select(
                "measure",
                pl.lit("compatible").alias("convention"),
                "population",
                "side",
                pl.lit("published").alias("kind"),
                pl.col("value").alias("mean"),
                pl.concat_str(
                    [pl.col("source"), "dataset", "model", "variant"], separator="; ", ignore_nulls=True
                ).alias("source"),
                "remark",
            )
        )
        return pl.concat([found.with_columns(pl.lit("this run").alias("source")), printed], how="diagonal")

    def change(self, measure: Measure, population: str | None = None, *, convention: Convention = "ours") -> Change:
        """Return post − pre of one measure (for a population, where it is a distance), with its interval.

        Raises PluralError for an unknown population.
        """
        rows = self.table(measure, convention=convention)
        if measure == "entropy_nats":
            population = None
        elif population not in self.populations:
            raise PluralError(f"No population is called {population!r}. {nearest(str(population), self.populations)}")
        rows = rows.filter(pl.col("population").eq_missing(population))
        by_side = {row["side"]: row for row in rows.iter_rows(named=True)}
        if "post − pre" not in by_side:
            raise PluralError(f"There is no {measure} to {population}: nothing is known of the sample of its people.")
        row = by_side["post − pre"]
        return Change(by_side["pre"]["mean"], by_side["post"]["mean"], row["mean"], row["low"], row["high"], self.level)

    def sentence(self) -> str:
        """What changed, in plain words: distance to each population, entropy, and the shuffled control."""
        pre, post = self.names
        parts = []
        for population in self.populations:
            found = self.change("js_distance", population)
            parts.append(
                f"{post} is {_way(found.difference, 'farther from', 'closer to', 'as far from')} {population} "
                f"{'as' if abs(found.difference) < 5e-3 else 'than'} {pre}: mean JS distance {found.pre:.2f} before "
                f"and {found.post:.2f} after ({found.said()}){self._noise(population)}."
            )
        bits = self.change("entropy_nats")
        parts.append(
            f"Entropy {_way(bits.difference, 'rises', 'falls', 'stays')}: {bits.pre:.2f} nats before, {bits.post:.2f} "
            f"after ({bits.said()})."
        )
        for population in self.populations:
            control = self.change("js_distance_shuffled", population)
            parts.append(
                f"With options shuffled (same entropy, no meaning) the distance to {population} is {control.pre:.2f} "
                f"before and {control.post:.2f} after."
            )
        return " ".join(parts)

    def _noise(self, population: str) -> str:
        here = (pl.col("side") == "noise floor") & (pl.col("population") == population)
        floor = self.rows.filter(here)["mean"]
        return f"; a sample of these people shows {floor[0]:.2f} from its own truth" if floor.len() else ""

    def report(self) -> str:
        """Return methods text with the numbers, for an appendix."""
        rows = self.rows.filter(pl.col("convention") == "ours")
        lines = [
            f"{self.names[0]} (before) and {self.names[1]} (after) were compared with {', '.join(self.populations)}, "
            "after Sorensen et al. (2024), §5.2 and appendices A and B. Distances are Jensen–Shannon distances (base "
            "2); entropies are in nats; a zero share adds nothing. The shuffled control is the mean over permutations "
            "of a model's options. The compatible convention follows the paper's code: scipy's distance, one "
            "permutation per question, questions left out of a mean where it or p·log p is NaN.",
            self.manner,
            *self.sources,
            self.note,
            self.sentence(),
        ]
        lines += [f"Left out: {reason}" for reason in self.left_out]
        lines += [
            f"{r['measure']} · {r['population'] or 'model'} · {r['side']}: {r['mean']:.3f}"
            + (f" ({r['low']:.3f} to {r['high']:.3f})" if r["low"] is not None else "")
            for r in rows.iter_rows(named=True)
            if r["mean"] is not None
        ]
        return "\n".join(filter(None, [*lines, f"Versions: {versions()}"]))


@dataclass(frozen=True, slots=True)
class Change:
    """A mean before and after, their difference, and its interval (None where there is none)."""

    pre: float
    post: float
    difference: float
    low: float | None
    high: float | None
    level: float = 0.95

    def said(self) -> str:
        """The difference with its interval, in words."""
        if self.low is None or self.high is None:
            return f"{self.difference:+.2f}; all questions are of one battery or topic, so no interval can be given"
        return f"{self.difference:+.2f}, {self.level:.0%} interval {self.low:+.2f} to {self.high:+.2f}"


def _way(change: float, up: str, down: str, same: str) -> str:
    return same if abs(change) < 5e-3 else up if change > 0 else down
