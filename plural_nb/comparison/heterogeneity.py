"""Does the model flatten people? Variances within and between groups, SD and entropy ratios, spread over personas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import polars as pl
from scipy import special

from plural_nb.answers import Answers
from plural_nb.comparison.answering import places_of
from plural_nb.comparison.distances import Floats
from plural_nb.comparison.question_sample import require_level
from plural_nb.comparison.redrawing import REPLICATES, Redrawing, bounds, redrawings
from plural_nb.errors import PluralError
from plural_nb.survey.design import Ints
from plural_nb.survey.question import Question
from plural_nb.survey.shares import Groups, group_codes

RATIOS: Mapping[str, str] = MappingProxyType(
    {
        "variance_total": "Variance of everyone's answers",
        "variance_within": "Variance within groups",
        "variance_between": "Variance between groups",
        "sd": "Standard deviation",
        "entropy": "Entropy of everyone's answers (nats)",
        "entropy_within": "Entropy within groups (nats, mean over groups)",
    }
)
SHARES: Mapping[str, str] = MappingProxyType(
    {
        "share_between_groups": "Share of the variance that lies between groups",
        "share_between_personas": "Share of the variance that lies between personas",
    }
)
By = Groups | Sequence[str | None] | pl.Series | None


@dataclass(frozen=True, slots=True, eq=False)
class Heterogeneity:
    """How far a model's answers vary as people's do, on one question.

    names: of people and model. rows: a row per statistic, see `table`. group_rows: a row per group and side, see
    `groups`. level: of the intervals. note: what was left out, and what the intervals cover.
    """

    question: str
    names: tuple[str, str]
    rows: pl.DataFrame = field(repr=False)
    group_rows: pl.DataFrame = field(repr=False)
    level: float
    note: str = ""

    def table(self) -> pl.DataFrame:
        """Return one row per statistic: human, silicon, ratio, ratio_debiased, low, high.

        The ratio is silicon over human: below 1 the model is flatter. ratio_debiased has the bias of small samples
        taken off and is what low and high surround. `share_…` rows have shares on each side and, as "ratio", none;
        low and high are then of the silicon side. Null where a number is not defined, or nothing varies.
        """
        return self.rows

    def groups(self) -> pl.DataFrame:
        """Return one row per group and side: n, mean, mean_low, mean_high, sd, sd_ratio, low, high (of the ratio).

        The means and standard deviations by group of Bisbee et al. 2024, Figure 2. Null for nominal questions.
        """
        return self.group_rows

    def ratio(self, statistic: str) -> tuple[float | None, float | None, float | None]:
        """Return a debiased ratio and its bounds. Raises PluralError for a statistic without one."""
        if statistic not in RATIOS:
            raise PluralError(f"No ratio is called {statistic!r}. It can be: {', '.join(RATIOS)}.")
        row = self.rows.row(by_predicate=pl.col("statistic") == statistic, named=True)
        return row["ratio_debiased"], row["low"], row["high"]

    def sentence(self) -> str:
        """What the ratios say, in plain words."""
        humans, silicon = self.names
        grouped = self.group_rows["group"].n_unique() > 1
        words = {"variance_within": "within groups", "variance_between": "between groups"} if grouped else {}
        said = []
        for key, word in {**words, "sd": "in standard deviation", "entropy": "in entropy"}.items():
            value, low, high = self.ratio(key)
            if value is None:
                continue
            known = low is not None and high is not None
            about = f"{low:.2f} to {high:.2f}: {_verdict(low, high)}" if known else "no interval"
            said.append(f"{word} {value:.2f} times ({about})")
        between = self.rows.row(by_predicate=pl.col("statistic") == "share_between_personas", named=True)["silicon"]
        last = "" if between is None else f" {between:.0%} of its variance lies between personas, the rest in answers."
        return f"On {self.question!r}, the spread of {silicon} beside that of {humans}: {', '.join(said)}.{last}"


def heterogeneity(
    humans: Answers,
    silicon: Answers,
    *,
    by: By = None,
    by_silicon: By = None,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Heterogeneity:
    """Compare how people's answers vary with how a model's do: flattening, and the reverse.

    humans, silicon: answers to one question; options are matched by label. by: groups of the humans
        (`survey.groups("party")`), by_silicon: of the personas; as `by` when None and there are as many rows.
        Scale values are those of the humans' question.
    level, replicates, seed: of the bootstrap of PSUs (Rao–Wu), redrawn together where both sides have one design.

    An answer is a draw from its row: the variance of a persona's answer has a part within its row and, over personas,
    a part between them. On a nominal question variance is 1 − Σ p² (Light and Margolin 1971), which splits likewise.
    The SD ratio is Bisbee et al. 2024's. Groups in which one side has nobody are left out of both, and named.

    Raises PluralError for other options, or no group in common; SurveyError for a stratum with one PSU.

    >>> from plural_nb.survey.question import ask_for
    >>> scale = ask_for("How warm?", ["cold", "mild", "warm"], kind="ordinal")
    >>> people = Answers.from_places(scale, [0, 1, 2] * 50)
    >>> from plural_nb.answers import Source
    >>> flat = Answers.from_places(scale, [1] * 75 + [0, 2] * 38, source=Source("personas", "a model"))
    >>> round(heterogeneity(people, flat).rows["ratio"][0], 2)
    0.75
    """
    require_level(level)
    if by_silicon is None and by is not None:
        if silicon.design.n != humans.design.n:
            raise PluralError(
                f"by has a group for each of {humans.design.n} humans, and there are {silicon.design.n} personas. "
                "Give their groups as by_silicon."
            )
        by_silicon = by
    names, codes, lost = _groups(humans, silicon, by, by_silicon)
    redrawn = redrawings(humans.design, silicon.design, replicates, seed)
    order = places_of(humans.question, [silicon.question.options[i].label for i in silicon.question.substantive],
                      silicon.source.name)  # fmt: skip
    own = list(range(len(humans.question.substantive)))
    sides = [
        _Moments.of(a, o, humans.question, c, len(names), r)
        for a, o, c, r in zip((humans, silicon), (own, order), codes, redrawn, strict=True)
    ]
    notes = [f"left out, because one side has nobody there: {', '.join(lost)}"] if lost else []
    varied = " and ".join(s.source.name for s in (humans, silicon) if s.design.n > 1)
    notes.append(f"intervals ({level:.0%}) from {replicates} bootstrap replicates of the PSUs of {varied}")
    return Heterogeneity(
        humans.question.label,
        (humans.source.name, silicon.source.name),
        _rows(*sides, personas=silicon.source.kind == "personas", level=level),
        _group_rows(names, *sides, level=level),
        level,
        "; ".join(notes),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """One side's moments: (1 + R, G, ...), the whole sample first, then each redrawing.

    part: (.., G) weight with an answer. first: (.., G, D) sums of features, a scale value or one indicator per option.
    second: (.., G) of their squares. own: (.., G) of the squares of each row's mean. options: (.., G, K) by option.
    n: (G,) rows with an answer.
    """

    part: Floats
    first: Floats
    second: Floats
    own: Floats
    options: Floats
    n: Ints
    scale: bool

    @classmethod
    def of(
        cls, answers: Answers, order: list[int], like: Question, codes: Ints, G: int, redrawing: Redrawing
    ) -> _Moments:
        y = answers.rows[:, [answers.question.substantive[i] for i in order]]
        scale = like.kind != "nominal"
        s = y.sum(axis=1)
        here = answers.domain & (codes >= 0) & (s > 0)
        if scale:
            values = np.array(like.values)
            x1, x2 = (y @ values)[:, None], y @ np.square(values)
        else:
            x1, x2 = y, s
        with np.errstate(invalid="ignore", divide="ignore"):
            own = np.where(s > 0, np.square(x1).sum(axis=1) / s, 0.0)
        D, K = x1.shape[1], y.shape[1]
        columns = np.column_stack([s, x1, x2, own, y])
        both = redrawing.sums(columns, np.where(here, codes, -1), G)
        n = np.bincount(codes[here & (answers.design.weight > 0)], minlength=G)
        return cls(both[..., 0], both[..., 1 : 1 + D], both[..., 1 + D], both[..., 2 + D], both[..., 3 + D : 3 + D + K],
                   n, scale)  # fmt: skip

    def statistics(self) -> dict[str, Floats]:
        """(1 + R,) of each statistic."""
        with np.errstate(invalid="ignore", divide="ignore"):
            W = self.part.sum(axis=1)
            mean = self.first.sum(axis=1) / W[:, None]
            total = self.second.sum(axis=1) / W - np.square(mean).sum(axis=1)
            within = np.nansum(self.part * self.variances(), axis=1) / W
            personas = self.own.sum(axis=1) / W - np.square(mean).sum(axis=1)
            p_g = self.options / self.part[..., None]
            shares = self.options.sum(axis=1) / W[:, None]
            return {
                "variance_total": total,
                "variance_within": within,
                "variance_between": np.maximum(total - within, 0.0),
                "sd": np.sqrt(np.maximum(total, 0.0)),
                "entropy": special.entr(shares).sum(axis=1),
                "entropy_within": np.nansum(self.part * special.entr(p_g).sum(axis=2), axis=1) / W,
                "share_between_groups": np.maximum(total - within, 0.0) / total,
                "share_between_personas": np.maximum(personas, 0.0) / total,
            }

    def means(self) -> Floats:
        """(1 + R, G) mean scale value of each group."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.first[..., 0] / self.part)

    def variances(self) -> Floats:
        """(1 + R, G) variance within each group."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.first / self.part[..., None]
            return np.asarray(np.maximum(self.second / self.part - np.square(mean).sum(axis=2), 0.0))


def _groups(humans: Answers, silicon: Answers, by: By, by_silicon: By) -> tuple[tuple[str, ...], list[Ints], list[str]]:
    """Names of the groups with people on both sides, each side's codes among them, and the names of the others."""
    if by is None:
        return ("Everyone",), [np.zeros(a.design.n, dtype=np.int64) for a in (humans, silicon)], []
    found = []
    for answers, groups in ((humans, by), (silicon, by_silicon)):
        names, codes = group_codes(answers.design.n, groups)
        s = answers.rows[:, list(answers.question.substantive)].sum(axis=1)
        here = answers.domain & (s > 0) & (answers.design.weight > 0) & (codes >= 0)
        present = [name for i, name in enumerate(names) if (codes[here] == i).any()]
        found.append((names, codes, present))
    kept = tuple(name for name in found[0][2] if name in found[1][2])
    if not kept:
        raise PluralError(
            f"No group has answers on both sides: the humans have {', '.join(found[0][2]) or 'none'}, the personas "
            f"{', '.join(found[1][2]) or 'none'}."
        )
    placed: list[Ints] = []
    for names, old, _ in found:
        new = np.array([kept.index(name) if name in kept else -1 for name in names] + [-1])
        placed.append(new[old])
    return kept, placed, sorted({*found[0][2], *found[1][2]} - set(kept))


def _rows(humans: _Moments, silicon: _Moments, *, personas: bool, level: float) -> pl.DataFrame:
    a, b = humans.statistics(), silicon.statistics()
    rows: list[tuple[str, str, float, float, float, float, float, float]] = []
    for key, words in RATIOS.items():
        grouped = key in ("variance_between",) and humans.part.shape[1] == 1
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = b[key] / a[key] if not grouped else np.full_like(b[key], np.nan)
        value = (float(x) for x in bounds(ratio[0], ratio[1:], level, log=True))
        rows.append((key, words, float(a[key][0]), float(b[key][0]), float(ratio[0]), *value))  # type: ignore[arg-type]
    for key, words in SHARES.items():
        # A human gives one answer, so nothing can be said of what varies within a person.
        left = float("nan") if key == "share_between_personas" else float(a[key][0])
        right = b[key] if personas or key == "share_between_groups" else np.full_like(b[key], np.nan)
        _, low, high = (float(x) for x in bounds(right[0], right[1:], level))
        rows.append((key, words, left, float(right[0]), float("nan"), float("nan"), low, high))
    schema = ["statistic", "words", "human", "silicon", "ratio", "ratio_debiased", "low", "high"]
    return _nulls(pl.DataFrame(rows, schema=schema, orient="row"))


def _group_rows(names: tuple[str, ...], humans: _Moments, silicon: _Moments, *, level: float) -> pl.DataFrame:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.sqrt(silicon.variances() / humans.variances())
    _, low, high = bounds(ratio[0], ratio[1:], level, log=True)
    rows = []
    for side, moments in (("humans", humans), ("silicon", silicon)):
        empty = np.full(len(names), np.nan)
        means = moments.means() if moments.scale else np.full((2, len(names)), np.nan)
        _, m_low, m_high = bounds(means[0], means[1:], level)
        sd = np.sqrt(moments.variances()[0]) if moments.scale else empty
        for g, name in enumerate(names):
            about = (ratio[0, g], low[g], high[g]) if side == "silicon" else (np.nan,) * 3
            rows.append((name, side, int(moments.n[g]), means[0, g], m_low[g], m_high[g], sd[g], *about))
    schema = ["group", "side", "n", "mean", "mean_low", "mean_high", "sd", "sd_ratio", "low", "high"]
    return _nulls(pl.DataFrame(rows, schema=schema, orient="row"))


def _nulls(frame: pl.DataFrame) -> pl.DataFrame:
    numbers = pl.col(pl.Float64)
    return frame.with_columns(pl.when(numbers.is_finite()).then(numbers).otherwise(None))


def _verdict(low: float | None, high: float | None) -> str:
    if high is not None and high < 1:
        return "flatter"
    return "wider" if low is not None and low > 1 else "no clear difference"
