"""A whole survey compared at once: every question in every group against a model, with noise floors and intervals."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy import sparse

from plural_nb.answers import Answers
from plural_nb.comparison.aligning import align_options
from plural_nb.comparison.comparison import Comparison, compare, require_bootstrap
from plural_nb.comparison.distances import Floats
from plural_nb.comparison.freedom import Freedom
from plural_nb.comparison.intervals import distance_interval
from plural_nb.comparison.measuring import DIVERGENCES, Numbers, Scale, shown, squared, squared_noise
from plural_nb.comparison.noise import noise_floors
from plural_nb.comparison.resampling import Factors, can_rescale, rescaling_factors
from plural_nb.comparison.unseen import INFINITE, unseen_options
from plural_nb.comparison.verdict import SIGNIFICANCE, benjamini_hochberg
from plural_nb.errors import PluralError, SurveyError, nearest
from plural_nb.survey.design import Ints
from plural_nb.survey.question import Question
from plural_nb.survey.shares import Groups, Shares, group_codes
from plural_nb.survey.tabulation import tabulate

if TYPE_CHECKING:
    from plural_nb.survey.survey import Population, Survey

# Numbers of a batch's replicates (options × cells × replicates) that are held at once, so that they stay in the cache.
_TOGETHER = 1_000_000
_COLUMNS = ("value", "low", "high", "debiased", "debiased_square", "noise_mean", "noise_p95")


@dataclass(frozen=True, eq=False)
class SurveyDistances:
    """Distances between people and a model for Q questions in G groups.

    distances: by name, columns (Q, G): value, low, high, debiased, debiased_square, noise_mean, noise_p95 (as in
        `Comparison.distance`); NaN where a cell failed, or the distance is not defined for the question.
    people, model: shares of both sides by question.
    p, p_adjusted: (Q, G) probability of the js_distance under one truth, and after Benjamini and Hochberg over all.
    n: (Q, G) people with an opinion. simulated: (Q, G) whether the noise floor was simulated.
    failed: reasons by (question, group); of a whole question with group "".
    """

    questions: tuple[Question, ...]
    groups: tuple[str, ...]
    distances: Mapping[str, Mapping[str, Floats]]
    people: Mapping[str, Shares] = field(repr=False)
    model: Mapping[str, Floats] = field(repr=False)
    p: Floats = field(repr=False)
    p_adjusted: Floats = field(repr=False)
    n: Ints = field(repr=False)
    simulated: np.ndarray[tuple[int, int], np.dtype[np.bool_]] = field(repr=False)
    failed: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def table(self, name: str | None = None) -> pl.DataFrame:
        """Return one row per question, group and distance (one distance alone if named).

        Columns: question, group, n, distance, value, low, high, debiased, debiased_square, noise_mean, noise_p95,
        noise_method, p, p_adjusted, beyond_noise, note (why a divergence is infinite; its interval is then [low, ∞)),
        failed. Numbers are null where a cell failed or is not defined.
        Raises PluralError for an unknown distance.
        """
        if name is not None and name not in self.distances:
            raise PluralError(f"There is no distance {name!r}. {nearest(name, list(self.distances))}")
        Q, G = self.p.shape
        keys = [q.key for q in self.questions]
        whole = [self.failed.get((key, ""), "") for key in keys]
        reasons = [
            self.failed.get((k, group), why) for k, why in zip(keys, whole, strict=True) for group in self.groups
        ]
        about = {
            "question": np.repeat(keys, G), "group": np.tile(self.groups, Q), "n": self.n.ravel(),
            "noise_method": np.where(self.simulated.ravel(), "simulated", "closed form"), "p": self.p.ravel(),
            "p_adjusted": self.p_adjusted.ravel(), "beyond_noise": (self.p_adjusted < SIGNIFICANCE).ravel(),
            "failed": reasons,
        }  # fmt: skip
        frames = [
            pl.DataFrame(
                about | {"distance": [one] * (Q * G)} | {c: self.distances[one][c].ravel() for c in _COLUMNS}
            ).with_columns(_note().alias("note"))
            for one in ([name] if name else self.distances)
        ]
        numbers = pl.col(pl.Float64)
        frame = pl.concat(frames).select(
            "question", "group", "n", "distance", *_COLUMNS, "noise_method", "p", "p_adjusted", "beyond_noise",
            "note", "failed",
        )  # fmt: skip
        return frame.with_columns(pl.when(numbers.is_not_nan()).then(numbers).otherwise(None))


def compare_survey(
    survey: Survey,
    answers: Mapping[str, Answers | Mapping[str, Answers]],
    *,
    by: str | Groups | None = None,
    population: Population | None = None,
    replicates: int = 500,
    seed: int = 0,
    level: float = 0.95,
    threads: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> SurveyDistances:
    """Compare people and a model on many questions in every group, with every distance, floors and intervals.

    answers: the model's, by the survey's question; one answer that stands for every group, or by group's name.
    by: a trait's key, or groups; everybody when None. threads: None takes up to two.
    on_progress: called with (questions done, questions in all) before each question that is compared alone and behind
        each batch of the others; what it raises ends the work.

    It returns what `compare(people, answers, by=…)` does, in a fraction of the time where the model's answers are
    exact rows and the design's PSUs can be drawn; other questions are compared one by one. A question or group that
    cannot be compared is marked with its reason, the rest comes.

    Raises PluralError when no question can be compared, for a level that is none, and for under 50 replicates.

    >>> from plural_nb.comparison.baselines import uniform
    >>> from plural_nb.survey.library import load_survey
    >>> anes = load_survey("anes96")
    >>> found = compare_survey(anes, {"vote": uniform(anes.answers("vote"))}, by="age")
    >>> found.distances["js_distance"]["value"].shape == (1, len(anes.trait("age").labels))
    True
    """
    if not isinstance(answers, Mapping) or isinstance(survey, Mapping):
        raise PluralError('The survey comes first, then answers by question: compare_survey(survey, {"key": answers}).')
    require_bootstrap(level, replicates)
    everyone = Groups((survey.describe(population),), np.zeros(survey.n, dtype=np.int64))
    groups = survey.groups(by) if isinstance(by, str) else by or everyone
    names, codes = group_codes(survey.n, groups)
    if population is not None and population.picks:
        codes = np.where(population.mask(survey), codes, -1)
        groups = Groups(names, codes)
    work = _Work(survey, names, codes, replicates, seed, level)
    fast: dict[str, Floats] = {}
    slow: dict[str, Comparison] = {}
    report = on_progress or (lambda done, total: None)
    for key, given in answers.items():
        question = survey.question(key)
        try:
            rows = _exact_rows(question, survey, given, names, work.failed)
            if rows is not None and work.rescaled:
                fast[key] = rows
            else:
                report(len(slow), len(answers))
                people = survey.answers(key).within(codes >= 0)
                slow[key] = compare(
                    people, given, by=groups, replicates=replicates, seed=seed, level=level
                )  # fmt: skip
        except (PluralError, SurveyError) as error:
            work.failed[key, ""] = str(error)
    if not fast and not slow:
        raise PluralError(f"No question can be compared: {next(iter(work.failed.values()), 'none was given')}.")
    found = work.results([survey.question(key) for key in answers])
    shares = tabulate(survey, list(fast), by=groups, level=level)
    batches = work.batches(fast, shares)
    with ThreadPoolExecutor(threads or min(2, os.cpu_count() or 1)) as pool:
        jobs = [pool.submit(work.measure, batch, fast, shares, found) for batch in batches]
        done = len(answers) - len(fast)
        try:
            for job, batch in zip(jobs, batches, strict=True):
                report(done, len(answers))
                job.result()
                done += len(batch)
            report(done, len(answers))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for key, one in slow.items():
        work.take(key, one, found)
        shares[key], fast[key] = one.a, one.b.share
    if not np.isfinite(found.columns["js_distance"]["value"]).any():
        raise PluralError(f"No question can be compared in any group: {next(iter(work.failed.values()))}.")
    return SurveyDistances(
        found.questions, names, found.columns, shares, fast, found.p, benjamini_hochberg(found.p), found.n,
        found.simulated, work.failed,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Results:
    """Columns (Q, G) that are filled batch by batch."""

    questions: tuple[Question, ...]
    columns: dict[str, dict[str, Floats]]
    p: Floats
    n: Ints
    simulated: np.ndarray[tuple[int, int], np.dtype[np.bool_]]

    def place(self, key: str) -> int:
        return [q.key for q in self.questions].index(key)


class _Work:
    """What all batches share: who is in which group and PSU, and the factors of the bootstrap."""

    def __init__(
        self, survey: Survey, names: tuple[str, ...], codes: Ints, replicates: int, seed: int, level: float
    ) -> None:
        self.survey, self.names, self.codes = survey, names, codes
        self.replicates, self.seed, self.level = replicates, seed, level
        self.failed: dict[tuple[str, str], str] = {}
        design = survey.design
        self.rescaled = can_rescale(design)
        self.member = np.flatnonzero((codes >= 0) & (design.weight != 0))
        unit = np.arange(design.n) if design.psu is None else design.psu
        self.unit = unit[self.member]
        self.freedom = Freedom(design, codes, len(names))
        self.factors: Factors | None = rescaling_factors(design, replicates, seed) if self.rescaled else None

    def results(self, questions: Sequence[Question]) -> _Results:
        shape = len(questions), len(self.names)
        names = ["js_distance", "total_variation", "hellinger"]
        if any(Scale.of(question) for question in questions):
            names += ["wasserstein_normalised", "wasserstein"]
        names += ["kl", "kl_reversed"]
        columns = {name: {column: np.full(shape, np.nan) for column in _COLUMNS} for name in names}
        return _Results(
            tuple(questions), columns, np.full(shape, np.nan), np.zeros(shape, dtype=np.int64),
            np.zeros(shape, dtype=np.bool_),
        )  # fmt: skip

    def batches(self, rows: Mapping[str, Floats], shares: Mapping[str, Shares]) -> list[list[str]]:
        """Questions with as many options and the same values, a few at a time."""
        alike: dict[tuple[object, ...], list[str]] = {}
        for key in rows:
            question = self.survey.question(key)
            values = () if question.kind == "nominal" else question.values
            alike.setdefault((len(question.substantive), values), []).append(key)
        found = []
        for (options, _), keys in alike.items():
            step = max(1, _TOGETHER // (int(str(options)) * len(self.names) * self.replicates))
            found += [keys[i : i + step] for i in range(0, len(keys), step)]
        return found

    def measure(
        self, keys: list[str], rows: Mapping[str, Floats], shares: Mapping[str, Shares], found: _Results
    ) -> None:
        """Fill the columns of some questions alike."""
        G, K = len(self.names), rows[keys[0]].shape[1]
        some = [shares[key] for key in keys]
        p, V = np.concatenate([s.share for s in some]), np.concatenate([np.asarray(s.covariance) for s in some])
        q = np.concatenate([rows[key] for key in keys])
        n = np.concatenate([s.n for s in some])
        df = np.concatenate([np.fmin(shares[key].df, self.freedom.of(self._places(key) >= 0)) for key in keys])
        usable = np.isfinite(p).all(axis=1) & np.isfinite(q).all(axis=1) & (n > 1)
        for c in np.flatnonzero(~usable):
            reason = "one person alone tells nothing of how much a sample would vary" if n[c] == 1 else (
                "nobody of any weight gave an answer with an opinion")  # fmt: skip
            self.failed.setdefault((keys[c // G], self.names[c % G]), reason)
        places = [found.place(key) for key in keys]
        found.n[places] = n.reshape(-1, G)
        at = np.flatnonzero(usable)
        if not at.size:
            return
        drawn = self._replicates(keys, K)[:, at]
        p, q, V, n, df = p[at].T, q[at].T, V[at], n[at], df[at]
        scale = Scale.of(self.survey.question(keys[0]))
        cells = measured_cells((p, q), V, n, df, scale, drawn, level=self.level, seed=self.seed)
        where = np.array(places)[at // G], at % G
        for name, columns in cells.columns.items():
            for column, values in columns.items():
                found.columns[name][column][where] = values
        found.p[where], found.simulated[where] = cells.p, cells.simulated

    def _replicates(self, keys: list[str], K: int) -> Numbers:
        """(K, Q·G, R) shares of people in each replicate."""
        assert self.factors is not None
        G, Q = len(self.names), len(keys)
        member, weight = self.member, self.survey.design.weight[self.member]
        place = np.stack([self._places(key) for key in keys])[:, member]
        which, person = np.nonzero(place >= 0)
        cell = (place[which, person] * Q + which) * G + self.codes[member][person]
        shape = (K * Q * G, self.factors.shape[0])
        sums = sparse.coo_array((weight[person].astype(np.float32), (cell, self.unit[person])), shape=shape).tocsr()
        drawn = np.asarray(sums @ self.factors).reshape(K, Q * G, self.replicates)
        with np.errstate(invalid="ignore", divide="ignore"):
            total = drawn.sum(axis=0)
            drawn /= total
        # A replicate without anybody of a group says nothing; the group's own shares stand in for it.
        empty = np.flatnonzero((total <= 0).any(axis=1))
        for c in empty:
            mean = np.nanmean(drawn[:, c], axis=1) if (total[c] > 0).any() else np.full(K, np.nan)
            drawn[:, c] = np.where(total[c] > 0, drawn[:, c], mean[:, None])
        return drawn

    def _places(self, key: str) -> Ints:
        """Each row's place among the substantive options, −1 for none."""
        question = self.survey.question(key)
        table = np.full(len(question.options) + 1, -1)
        table[list(question.substantive)] = np.arange(len(question.substantive))
        return table[self.survey.answer_codes[key]]

    def take(self, key: str, one: Comparison, found: _Results) -> None:
        """Fill the columns of a question that was compared alone."""
        q = found.place(key)
        for name in one.measured.names:
            each = one.distance(name)
            for column in _COLUMNS:
                found.columns[name][column][q] = getattr(each, column)
        at = one.measured.pairs.usable
        found.p[q, at], found.simulated[q, at] = one.measured.floors.p, one.measured.floors.simulated
        found.n[q] = one.a.n
        for group, reason in one.failed.items():
            self.failed[key, group] = reason


@dataclass(frozen=True, eq=False)
class Cells:
    """Columns (C,) of every distance, the probability under one truth, and whether the floor was simulated."""

    columns: dict[str, dict[str, Floats]]
    p: Floats
    simulated: np.ndarray[tuple[int], np.dtype[np.bool_]]


def measured_cells(
    rows: tuple[Floats, Floats],
    V: Floats,
    n: Ints,
    df: Floats,
    scale: Scale | None,
    drawn: Numbers,
    *,
    level: float,
    seed: int,
) -> Cells:
    """Return every distance of C cells between shares p (K, C) of samples and exact rows q (K, C).

    rows: p and q. V: (C, K, K) covariance of p. n: (C,) people. df: (C,). drawn: (K, C, R) replicates of p, in single
    precision.
    """
    p, q = rows
    variance = np.einsum("ckk->c", V)
    spread = 1 - np.square(p).sum(axis=0)
    known = (variance > 0) & (spread > 1e-12)
    size = np.where(known, spread / np.where(known, variance, 1.0) + 1, n)
    other = q.astype(drawn.dtype)[:, :, None]
    noise = drawn - p.astype(drawn.dtype)[:, :, None]
    middle = ((p + q) / 2).astype(drawn.dtype)[:, :, None]
    floors = noise_floors(
        p, q, V, (size, np.full(size.size, np.inf)), df, scale, noise=noise, draws=drawn.shape[2], seed=seed
    )
    value, replicated, alone = squared(p, q, scale), squared(drawn, other, scale), squared_noise(noise, middle, scale)
    columns, unseen = {}, unseen_options((p, q), (drawn, other), (size, np.full(size.size, np.inf)), scale, seed)
    for name, square in value.items():
        low, high = distance_interval(
            name, square, replicated[name], alone[name], df=df, options=p.shape[0], level=level, unseen=unseen
        )
        if name not in DIVERGENCES:
            high = np.maximum(high, floors.mean[name])
        left = square - floors.square[name]
        columns[name] = dict(
            zip(
                _COLUMNS,
                (shown(name, square), low, high, shown(name, left), left, floors.mean[name], floors.p95[name]),
                strict=True,
            )
        )
    if scale is not None:
        columns["wasserstein"] = {
            column: values * (scale.span**2 if column == "debiased_square" else scale.span)
            for column, values in columns["wasserstein_normalised"].items()
        }
    return Cells(columns, floors.p, floors.simulated)


def _note() -> pl.Expr:
    """Why a divergence is infinite, as `unseen.infinite_note` says."""
    seen = pl.when(pl.col("low").is_infinite()).then(pl.lit(INFINITE[0])).otherwise(pl.lit(INFINITE[1]))
    return pl.when(pl.col("value").is_infinite()).then(seen).otherwise(pl.lit(""))


def _exact_rows(
    question: Question,
    survey: Survey,
    given: Answers | Mapping[str, Answers],
    groups: tuple[str, ...],
    failed: dict[tuple[str, str], str],
) -> Floats | None:
    """(G, K) rows of the substantive options; None where some side is not a single exact row."""
    people = Answers.from_places(question, survey.answer_codes[question.key], design=survey.design)
    each = given if isinstance(given, Mapping) else dict.fromkeys(groups, align_options(people, given).b)
    if not all(one.exact for one in each.values()):
        return None
    rows = np.full((len(groups), len(question.substantive)), np.nan)
    known: dict[int, Floats] = {}
    for g, group in enumerate(groups):
        one = each.get(group)
        if one is None:
            failed[question.key, group] = "no answers were given for it"
            continue
        if id(one) not in known:
            aligned = align_options(people, one).b
            row = aligned.rows[0, list(aligned.question.substantive)]
            known[id(one)] = row / row.sum() if row.sum() > 0 else np.full(row.size, np.nan)
        rows[g] = known[id(one)]
        if not np.isfinite(rows[g]).all():
            failed[question.key, group] = "the model put no probability on any option"
    return rows
