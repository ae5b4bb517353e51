"""Algorithmic fidelity: whether personas answer as the very people they stand for, and hang together as people do.

Argyle et al. 2023 ("Out of one, many", Political Analysis 31): proportion agreement and tetrachoric correlation of each
person's answer with that of their persona, and the pattern of associations (Cramér's V) among silicon answers beside
that among people's.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.comparison.aligning import align_options
from plural_nb.errors import PluralError, SurveyError
from plural_nb.survey.association import cramers_v, tetrachoric
from plural_nb.survey.design import Design, Floats
from plural_nb.survey.means import mean
from plural_nb.survey.measure import Measure
from plural_nb.survey.shares import Groups, group_codes

By = Groups | Sequence[str | None] | pl.Series


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """How often a persona gives the answer of the person it stands for, on one question.

    expected: weighted mean probability of the person's own answer. modal: weighted share whose likeliest answer is the
    person's. commonest: share correct if everyone were given the commonest answer. low, high: of each, by design.
    tetrachoric: correlation of the answers of person and persona where there are two options, else None. n: people
    with both. groups: the same by group, one row each, where asked for.
    """

    question: str
    n: int
    expected: tuple[float, float, float]
    modal: tuple[float, float, float]
    commonest: float
    tetrachoric: float | None
    groups: pl.DataFrame = field(default_factory=pl.DataFrame, repr=False)

    def sentence(self) -> str:
        """Return the agreement in words."""
        value, low, high = self.modal
        better = "more often than" if low > self.commonest else "no more often, as far as one can tell, than"
        said = (
            f"{self.n:,} personas' likeliest answer to {self.question!r} is their person's own for {value:.0%} "
            f"({low:.0%} to {high:.0%}), {better} by naming the commonest answer ({self.commonest:.0%}); the mean "
            f"probability of the own answer is {self.expected[0]:.2f}."
        )
        return said + (
            f" The tetrachoric correlation is {self.tetrachoric:.2f}." if self.tetrachoric is not None else ""
        )


def agreement(humans: Answers, silicon: Answers, *, by: By | None = None, level: float = 0.95) -> Agreement:
    """Return how well personas agree with the people they stand for.

    humans: one-hot answers. silicon: personas of the same people, row by row. by: groups to tell apart as well.

    Raises PluralError for answers of other rows, fractional answers of people, or nobody with both.

    >>> from plural_nb.survey.question import ask_for
    >>> tea = ask_for("Tea?", ["Yes", "No"])
    >>> people, personas = Answers.from_places(tea, [0, 0, 1, 1]), Answers.from_places(tea, [0, 1, 1, 1])
    >>> agreement(people, personas).modal[0]
    0.75
    """
    own, theirs, both = _paired(humans, silicon)
    design = humans.design
    p = theirs[np.arange(len(own)), np.maximum(own, 0)]
    top = theirs.argmax(axis=1)
    right = (top == own).astype(np.float64)
    known = np.where(both, design.weight, 0.0)
    counts = np.bincount(own[both], known[both], minlength=theirs.shape[1])
    label = humans.question.label

    def told(values: Floats, inside: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[float, float, float]:
        found = mean(Measure.of(np.where(both, values, np.nan), design=design, domain=inside, name=label), level=level)
        return float(found.estimate[0]), float(found.low[0]), float(found.high[0])

    table = np.zeros((2, 2))
    if theirs.shape[1] == 2:
        np.add.at(table, (own[both], top[both]), known[both] * both.sum() / known.sum())
    rho = tetrachoric(table).rho if theirs.shape[1] == 2 and (table.sum(axis=0) > 0).all() else None
    rows = []
    if by is not None:
        names, codes = group_codes(design.n, by)
        for g, name in enumerate(names):
            inside = both & (codes == g)
            if inside.any() and known[inside].any():
                rows.append((name, int(inside.sum()), *told(right, codes == g), *told(p, codes == g)))
    columns = ["group", "n", "modal", "low", "high", "expected", "expected_low", "expected_high"]
    everyone = np.ones(design.n, dtype=np.bool_)
    return Agreement(
        label, int(both.sum()), told(p, everyone), told(right, everyone), float(counts.max() / counts.sum()), rho,
        pl.DataFrame(rows, schema=columns, orient="row") if rows else pl.DataFrame(),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """Associations between pairs of questions, among people and among their personas.

    rows: one per pair: a, b, humans, silicon, difference (Cramér's V), n.
    """

    rows: pl.DataFrame = field(repr=False)

    def table(self) -> pl.DataFrame:
        """Return one row per pair: a, b, n, humans, silicon, difference."""
        return self.rows

    @property
    def mean_absolute_difference(self) -> float:
        """Mean over pairs of |V among personas − V among people|."""
        return float(np.abs(self.rows["difference"].to_numpy()).mean())

    def sentence(self) -> str:
        """Return in words how far the pattern corresponds."""
        off = self.rows.sort(pl.col("difference").abs(), descending=True).row(0, named=True)
        return (
            f"Over {self.rows.height} pairs, Cramér's V among personas differs from that among people by "
            f"{self.mean_absolute_difference:.2f} on average; most for {off['a']} and {off['b']} "
            f"({off['humans']:.2f} among people, {off['silicon']:.2f} among personas)."
        )


def pattern(
    humans: Mapping[str, Answers],
    silicon: Mapping[str, Answers],
    *,
    traits: Mapping[str, Answers | By] | None = None,
    corrected: bool = True,
) -> Pattern:
    """Return Cramér's V of every pair of questions, and of every question with every trait, on both sides.

    humans, silicon: {question key: answers}, row by row of the same people. traits: {name: groups, as
    `survey.groups("age")`, or answers}, known of people and told to personas. corrected: with Bergsma's correction.

    A persona's table is the expected one: the products of its rows, given its traits its answers are independent, as
    prompts asked one at a time are. That independence is part of what is measured. Pairs that nobody answered, or with
    one option left, are left out.

    Raises PluralError for fewer than two questions and traits in all, or rows that differ.
    """
    if len(humans) + len(traits or {}) < 2:
        raise PluralError("A pattern needs two questions or more, or one question and a trait.")
    sides: dict[str, tuple[Floats, Floats]] = {}
    design = next(iter(humans.values())).design
    for key, answers in humans.items():
        if key not in silicon:
            raise PluralError(f"The personas have no answers to {key!r}.")
        own, theirs, both = _paired(answers, silicon[key])
        one_hot = np.where(both[:, None], np.eye(theirs.shape[1])[np.maximum(own, 0)], 0.0)
        sides[key] = one_hot, np.where(both[:, None], theirs, 0.0)
    told = set()
    for name, given in (traits or {}).items():
        names, codes = (
            (tuple(o.label for o in given.question.options), np.where(given.answered, given.rows.argmax(axis=1), -1))
            if isinstance(given, Answers) else group_codes(design.n, given)
        )  # fmt: skip
        levels = np.where((codes >= 0)[:, None], np.eye(len(names))[np.maximum(codes, 0)], 0.0)
        sides[name] = levels, levels
        told.add(name)
    rows = []
    for a, b in itertools.combinations(sides, 2):
        if a in told and b in told:
            continue  # the same on both sides
        here = np.logical_and.reduce([part.sum(axis=1) > 0 for part in (*sides[a], *sides[b])]) & (design.weight != 0)
        try:
            v = [_v(sides[a][i][here], sides[b][i][here], design, here, corrected) for i in (0, 1)]
        except SurveyError:
            continue
        rows.append((a, b, int(here.sum()), v[0], v[1], v[1] - v[0]))
    if not rows:
        raise PluralError("No pair of questions was answered by anybody on both sides.")
    return Pattern(pl.DataFrame(rows, schema=["a", "b", "n", "humans", "silicon", "difference"], orient="row"))


def _v(
    a: Floats, b: Floats, design: Design, here: np.ndarray[tuple[int], np.dtype[np.bool_]], corrected: bool
) -> float:
    w = design.weight[here]
    table = (a * w[:, None]).T @ b * (len(w) / w.sum())
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    return cramers_v(table, corrected=corrected)


def _paired(
    humans: Answers, silicon: Answers
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """(n,) each person's own option, (n, K) their persona's row over options with opinion, (n,) who has both."""
    if humans.design.n != silicon.design.n:
        raise PluralError(
            f"There are {humans.design.n} people and {silicon.design.n} personas; each persona must stand for the "
            "person in the same row (Personas.from_survey)."
        )
    silicon = align_options(humans, silicon, "all").b
    places = list(humans.question.substantive)
    y, q = humans.rows[:, places], silicon.rows[:, places]
    if ((y > 0) & (y < 1)).any():
        raise PluralError("The people's answers are fractional; each person gives one answer.")
    total = q.sum(axis=1)
    both = humans.domain & silicon.domain & (y.sum(axis=1) > 0) & (total > 0) & (humans.design.weight != 0)
    if not both.any():
        raise PluralError(f"Nobody has both an answer and a persona's answer to {humans.question.label!r}.")
    q = q / np.where(total > 0, total, 1.0)[:, None]
    return np.where(both, y.argmax(axis=1), -1), np.asarray(q), np.asarray(both)
