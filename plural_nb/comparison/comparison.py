"""Two sets of answers to one question side by side: shares, differences, distances, and what sampling would show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.answers import Answers
from plural_nb.comparison.aligning import Align, align_options
from plural_nb.comparison.baselines import OUTSIDE, UNIFORM, Baseline, baseline, everyone_else, guesses_of, uniform
from plural_nb.comparison.measuring import DISTANCE_NAMES as DISTANCE_NAMES
from plural_nb.comparison.noise import NoiseFloor
from plural_nb.comparison.pair_distances import PairDistances
from plural_nb.comparison.pairs import pair, side
from plural_nb.comparison.telling import CAPTURED_THRESHOLD, captured_warning, sentence
from plural_nb.comparison.unseen import infinite_note
from plural_nb.comparison.verdict import Verdict, verdicts
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.design import Ints
from plural_nb.survey.question import Question
from plural_nb.survey.shares import Groups, Interval, Shares, group_codes

if TYPE_CHECKING:
    from plural_nb.charts.chart import Chart

Checked = Literal["not", "partly", "benchmarked"]
By = Groups | Sequence[str | None] | npt.NDArray[Any] | pl.Series


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two answers to one question over the same options, in one group or in many.

    a, b: the shares of both sides (G groups), options in a's order.
    measured: every distance with its noise floor, interval and debiased value (`comparison.distance(name)`).
    unaligned: options that stand on one side only and were left out.
    checked: how far the second side was checked against people: "not" (no people on either side), "partly" (against
        this question's people), "benchmarked" (as you said: against benchmarks too).

    What is costly (replicates, baselines, verdicts) is made when first asked for, and kept.
    """

    a: Shares
    b: Shares
    measured: PairDistances = field(repr=False)
    codes: Ints | None = field(default=None, repr=False)
    guesses: Mapping[str, Answers] = field(default_factory=dict, repr=False)
    unaligned: tuple[str, ...] = ()
    checked: Checked = "partly"

    @property
    def question(self) -> Question:
        """The question compared, in a's words."""
        return self.a.question

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups."""
        return self.a.groups

    @property
    def failed(self) -> Mapping[str, str]:
        """Groups that could not be compared, each with the reason."""
        return self.measured.pairs.failed

    @property
    def distances(self) -> Mapping[str, float]:
        """Distances of the only group, by names with the convention in them; `DISTANCE_NAMES` has the full ones.

        Raises PluralError where there are several groups: `distance(name)` has one for each.
        """
        self._require_one_group("distances")
        return MappingProxyType({name: float(self.measured.value(name)[0]) for name in self.measured.names})

    @property
    def floor(self) -> NoiseFloor:
        """What sampling alone would show as js_distance, in the only group."""
        self._require_one_group("floor")
        return self.measured.floors.one("js_distance", 0)

    @property
    def noise_floor(self) -> float:
        """Mean js_distance (base 2) that samples of these sizes from one truth would show; 0 for two exact rows."""
        return self.floor.mean

    @property
    def captured_warning(self) -> str:
        """A sentence where less than half of a model's probability fell on the options; else empty."""
        low = [g for g, mass in self.captured_mass.items() if mass is not None and mass < CAPTURED_THRESHOLD]
        if len(self.groups) == 1 or not low:
            return captured_warning(self.a, self.b)
        named = ", ".join(low[:4]) + (", …" if len(low) > 4 else "")
        return (
            f"In {len(low)} of {len(self.groups)} groups ({named}) less than "
            "half of the model's probability fell on the options: don't lean on its shares there."
        )

    @cached_property
    def captured_mass(self) -> Mapping[str, float | None]:
        """Probability that a model put on any option, by group, the lesser of two models'; None between people."""
        pairs, found = self.measured.pairs, {}
        for g, name in enumerate(self.groups):
            masses = [mass for side_ in (pairs.a, pairs.b) if (mass := side_.captured(g)) is not None]
            found[name] = min(masses) if masses else None
        return MappingProxyType(found)

    def sentence(self) -> str:
        """Return the comparison in plain text: the leading option on both sides, the distance, the noise, the rest."""
        self._require_one_group("sentence()")
        return sentence(self.a, self.b, self.distances["js_distance"], self.floor)

    def table(self) -> pl.DataFrame:
        """Return one row per side, group and option.

        Columns: source, kind, group, option, n, share, se, low, high, exact, spread_low, spread_high, orders_low,
        orders_high, wordings_low, wordings_high. `se` and `n` are null for an exact model row, whose low and high are
        its range over orders and wordings. spread_low and spread_high are that range for any model, personas too, each
        wording in each order by itself: a second whisker, which says nothing of sampling. orders_… is the range of the
        means over wordings, the position bias; wordings_… that of the means over orders. They are null for people,
        where one prompt alone was asked, and for groups of personas. Every wording in two orders or more:
        `model.ask(question, wordings=True, order="balanced")`.
        """
        frames = []
        for which in (self.measured.pairs.a, self.measured.pairs.b):
            shares = which.shares
            n = pl.lit(None, dtype=pl.Int64) if shares.exact else pl.col("n")
            about = pl.lit(shares.source.name).alias("source"), pl.lit(shares.source.kind).alias("kind")
            frames.append(
                shares.table().select(
                    *about, "group", "option", n.alias("n"), "share", "se", "low", "high",
                    pl.lit(shares.exact).alias("exact"),
                    *which.spread(), *which.spread("orders"), *which.spread("wordings"),
                )
            )  # fmt: skip
        return _nulls(pl.concat(frames))

    def differences(self) -> pl.DataFrame:
        """Return one row per group and option: both shares and their difference a − b, with se, low and high.

        The variance is that of the difference, in which people, PSUs and strata that both sides share are counted
        once; bounds are the difference ∓ t·se, or, where nobody or everybody of a sample chose an option (whose se is
        0), made of both shares' own bounds (Newcombe 1998, method 10). A group that failed has nulls and its reason.
        """
        pairs = self.measured.pairs
        G, K = self.a.share.shape
        gap = self.a.share - self.b.share
        se, low, high = pairs.differences(self.measured.level)
        columns = {"a_share": self.a.share, "b_share": self.b.share, "difference": gap, "se": se,
                   "low": low, "high": high}  # fmt: skip
        failed = np.array([name in self.failed for name in self.groups])
        frame = pl.DataFrame(
            {"group": [name for name in self.groups for _ in range(K)], "option": list(self.a.options) * G}
            | {name: np.where(failed[:, None], np.nan, values).ravel() for name, values in columns.items()}
            | {"failed": [self.failed.get(name, "") for name in self.groups for _ in range(K)]}
        )
        return _nulls(frame)

    def distance(self, name: str = "js_distance") -> Any:
        """Return one distance in every group: value, low, high, debiased, noise_mean, noise_p95, each (G,).

        Raises SurveyError for a Wasserstein distance of a nominal question, PluralError for an unknown name.
        """
        return self.measured[name]

    def distance_table(self) -> pl.DataFrame:
        """Return one row per group and distance, with noise floor, interval, debiased value and every baseline's.

        Columns: group, n_a, n_b, distance, value, low, high, debiased, debiased_square, noise_mean, noise_p95,
        noise_method, one per baseline with its value, captured_mass (of a model), note (why a divergence is infinite;
        its interval is then [low, ∞)), and failed (the reason, or empty).
        """
        pairs, rows = self.measured.pairs, []
        simulated = np.zeros(len(self.groups), dtype=np.bool_)
        simulated[pairs.usable] = self.measured.floors.simulated
        for name in self.measured.names:
            found = self.measured[name]
            guessed = {one.name: one.distances.value(name) for one in self.baselines.values()}
            for g, group in enumerate(self.groups):
                rows.append({
                    "group": group, "n_a": pairs.a.size(g), "n_b": pairs.b.size(g), "distance": name,
                    **{key: float(getattr(found, key)[g]) for key in (
                        "value", "low", "high", "debiased", "debiased_square", "noise_mean", "noise_p95")},
                    "noise_method": "simulated" if simulated[g] else "closed form",
                    **{key: float(value[g]) for key, value in guessed.items()},
                    "captured_mass": self.captured_mass[group],
                    "note": infinite_note(found.value[g], found.low[g]),
                    "failed": self.failed.get(group, ""),
                })  # fmt: skip
        return _nulls(pl.DataFrame(rows, infer_schema_length=None))

    @cached_property
    def baselines(self) -> Mapping[str, Baseline]:
        """What guessing would give, by name: "uniform", "everyone else" where there is anyone, and those given."""
        every: dict[str, Answers | Mapping[str, Answers]] = {}
        whole = next((one for one in self.measured.pairs.a.answers if one is not None), None)
        if whole is not None:
            every[UNIFORM] = uniform(whole)
        others = everyone_else(self.measured.pairs.a, self.groups)
        if others:
            every[OUTSIDE] = others
        made = {
            name: baseline(name, guess, self.measured, self.codes) for name, guess in {**every, **self.guesses}.items()
        }
        return MappingProxyType({name: one for name, one in made.items() if one is not None})

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What can be said of each group, by the js_distance; over many groups after Benjamini and Hochberg."""
        return verdicts(self.measured, list(self.baselines.values()))

    @property
    def verdict(self) -> Verdict:
        """What can be said of the only group."""
        self._require_one_group("verdict")
        return self.verdicts[0]

    def entropies(self) -> pl.DataFrame:
        """Return one row per group and side: entropy in nats, bits and normalised, debiased, with an interval."""
        from plural_nb.comparison.entropies import entropy_table

        return _nulls(entropy_table(self.measured))

    def chart(self, **options: Any) -> Chart:
        """Draw the shares of both sides: bars, or a dumbbell for each of several groups.

        Options are those of `plural_nb.charts.humans_and_model`, or of `dumbbell_by_group` (option="Agree").
        """
        from plural_nb.charts.dumbbell import dumbbell_by_group
        from plural_nb.charts.shares import humans_and_model

        return (humans_and_model if len(self.groups) == 1 else dumbbell_by_group)(self, **options)

    def report(self) -> str:
        """Return the methods text, with numbers and conventions, ready for a paper's appendix."""
        from plural_nb.comparison.report import report

        return report(self)

    def save(self, path: Path | str) -> tuple[Path, ...]:
        """Write tables as CSV and the report as Markdown beside each other; returns the files written."""
        from plural_nb.comparison.report import save

        return save(self, Path(path))

    def _require_one_group(self, what: str) -> None:
        if len(self.groups) != 1:
            raise PluralError(
                f"`{what}` is of one group; this comparison has {len(self.groups)} ({', '.join(self.groups[:4])}…). "
                "Use distance(name), distance_table() and verdicts."
            )


def compare(
    a: Answers,
    b: Answers | Mapping[str, Answers],
    *,
    by: By | None = None,
    interval: Interval = "logit",
    level: float = 0.95,
    replicates: int = 500,
    seed: int = 0,
    baselines: Mapping[str, Answers] | None = None,
    align: Align = "all",
    checked: Checked | None = None,
) -> Comparison:
    """Compare two answers to one question: people and a model, two populations, two models, two years.

    by: groups to compare side by side, as in `estimate`: `survey.groups("age")`, or a label for each of a's rows.
    b: answers with a row for each of a's rows are grouped alike; others stand for every group; or by group's name
        (a model asked with each group's backstory).
    interval, level: see `plural_nb.survey.shares.estimate`. replicates, seed: of the bootstrap behind intervals of
        distances (a file's own replicate weights take its place).
    baselines: further guesses by name, such as another group's answers or `demographic_baseline(...)`; uniform and
        everyone outside the group are always there.
    align: options are matched by label. "all" raises where a substantive option stands on one side only, "common"
        compares the others and says which were left out.
    checked: how far the second side was checked; see `Comparison`.

    Raises PluralError when options or values of scales differ. A group that cannot be compared (nobody, one person, no
    probability on the options) is marked with its reason in `failed`; the others come.

    >>> from plural_nb.survey.question import ask_for
    >>> tea = ask_for("Tea or coffee?", ["Tea", "Coffee"])
    >>> one, other = Answers.from_places(tea, [0] * 60 + [1] * 40), Answers.from_places(tea, [0] * 50 + [1] * 50)
    >>> compare(one, other).distances["total_variation"]
    0.09999999999999998
    >>> compare(one, other).verdict.word
    'cannot tell'
    """
    require_bootstrap(level, replicates)
    if checked is not None and checked not in get_args(Checked):
        raise PluralError(f"Unknown word for how far it was checked {checked!r}. {nearest(checked, get_args(Checked))}")
    left_out: tuple[str, ...] = ()
    if isinstance(by, str):
        raise PluralError(f"by={by!r} names no groups by itself: give survey.groups({by!r}), or a label for each row.")
    other: Answers | Mapping[str, Answers]
    if not isinstance(b, Mapping):
        found = align_options(a, b, align)
        a, other, left_out = found.a, found.b, found.unaligned
        everyone: tuple[str, ...] = ()
    else:
        if not b:
            raise PluralError("The second side has no answers: give some, by group's name.")
        if align != "all":
            raise PluralError("Answers by group are aligned whole (align='all'); align them one by one first.")
        other = {str(name): align_options(a, one).b for name, one in b.items()}
        everyone = tuple(other)
    codes: Ints | None = None
    if by is None:
        names = everyone or (a.about or ("Everyone" if a.source.kind == "humans" else a.source.name),)
        if len(names) > 1:
            raise PluralError("Answers by group need the groups of the first side: by=survey.groups(…).")
    else:
        names, codes = group_codes(a.design.n, by if isinstance(by, Groups | pl.Series) else list(by))
    one = side(a, names, codes, interval=interval, level=level)
    two = side(other, names, codes, interval=interval, level=level)
    pairs = pair(one, two)
    if not pairs.usable.size:
        raise PluralError(f"No group of {a.question.label!r} can be compared: {next(iter(pairs.failed.values()))}.")
    kinds = {shares.source.kind for shares in (one.shares, two.shares)}
    return Comparison(
        one.shares, two.shares, PairDistances(pairs, replicates, seed, level), codes,
        guesses_of(baselines or {}, a), left_out, checked or ("partly" if "humans" in kinds else "not"),
    )  # fmt: skip


def require_bootstrap(level: float, replicates: int) -> None:
    """Raise PluralError where no interval of this level can come of so many replicates."""
    if not 0 < level < 1:
        raise PluralError(f"The level must lie between 0 and 1 (0.95 for 95%), not {level!r}.")
    if replicates < 50:
        raise PluralError(f"A bootstrap interval needs 50 replicates or more, not {replicates}.")


def _nulls(frame: pl.DataFrame) -> pl.DataFrame:
    numbers = pl.col(pl.Float64)
    return frame.with_columns(pl.when(numbers.is_not_nan()).then(numbers).otherwise(None))
