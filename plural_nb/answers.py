"""Answers: rows of option probabilities, each with a weight and a place in a sampling design.

A person's row is one-hot, a model's is fractional, a missing answer is a row of zeros; so one estimator serves
people, personas and models alike (definitions, section 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from plural_nb.errors import PluralError
from plural_nb.survey.design import Design, Floats
from plural_nb.survey.question import Question

if TYPE_CHECKING:
    from plural_nb.silicon.prompt import Reply
    from plural_nb.survey.shares import Interval, Shares

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Source:
    """Who answered: humans, one model speaking for itself, or a model speaking as personas.

    name: what the legend calls it. detail: one line for captions (survey and wave, or file and quantisation).
    provenance: what methods text needs, as pairs of name and value: of a model its file, hash, and how it was asked; of
        people the survey's file, fieldwork, citation and licence.
    """

    kind: Literal["humans", "model", "personas"]
    name: str
    detail: str = ""
    provenance: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers of n rows to one question with K options.

    question: what was asked.
    rows: (n, K) probabilities over *all* options in the question's order, substantive or not; each row sums to 1,
        or to 0 where the answer is missing.
    design: the sampling design of all n rows of the survey. Rows outside the domain stay, because the variance of
        a subgroup needs the PSUs that have no member of it.
    domain: (n,) True for the rows spoken about (a population, a subgroup).
    source: who answered.
    captured_mass: (n,) probability the model put on any listed option before its row was normalised; None for people.
    spread: (2, K) lowest and highest probability over orders, wordings or in-context variants; None where only
        one was asked.
    by_wording_and_order: (W, O, K) a model's row (the weighted mean row of personas) in each of W wordings, the
        question's own first, and O orders of its options; None where only one of each was asked, and for people.
    captured_mass_min: (n,) the least captured mass over a row's prompts; None for people.
    replies: what the model was sent and said, one per prompt; empty for people.
    about: the population spoken about, in words ("Age: 18 to 29"); "speaking as: I am a woman." for a
        model with a backstory; empty for a model that speaks for itself.

    Raises PluralError for shapes that do not fit, negative or NaN entries, or rows that sum to neither 0 nor 1.

    >>> from plural_nb.survey.question import ask_for
    >>> a = Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0, 0, 1, None])
    >>> a.rows.tolist(), int(a.answered.sum())
    ([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], 3)
    """

    question: Question
    rows: Floats
    design: Design
    domain: Bools
    source: Source
    captured_mass: Floats | None = None
    spread: Floats | None = None
    replies: tuple[Reply, ...] = field(default=(), repr=False)
    about: str = ""
    captured_mass_min: Floats | None = None
    by_wording_and_order: Floats | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        rows = np.asarray(self.rows, dtype=np.float64)
        n, k = self.design.n, len(self.question.options)
        where = f"Answers to {self.question.key!r}"
        if rows.shape != (n, k):
            raise PluralError(f"{where}: expected {n} rows of {k} options, got an array of shape {rows.shape}.")
        if self.domain.shape != (n,):
            raise PluralError(f"{where}: the domain has {self.domain.size} entries for {n} rows.")
        sums = rows.sum(axis=1)
        wrong = ~((np.abs(sums - 1) < 1e-6) | (sums == 0)) | (rows < 0).any(axis=1)
        if wrong.any():
            i = int(np.argmax(wrong))
            raise PluralError(
                f"{where}: row {i + 1} is {rows[i].tolist()}; a row is probabilities that sum to 1, or all 0."
            )
        if self.captured_mass is not None and self.captured_mass.shape != (n,):
            raise PluralError(f"{where}: the captured mass has {self.captured_mass.size} entries for {n} rows.")
        if self.captured_mass_min is not None and self.captured_mass_min.shape != (n,):
            raise PluralError(f"{where}: the least captured mass has {self.captured_mass_min.size} entries, not {n}.")
        if self.spread is not None and self.spread.shape != (2, k):
            raise PluralError(f"{where}: the spread has shape {self.spread.shape}, not (2, {k}).")
        ways = self.by_wording_and_order
        if ways is not None and (ways.ndim != 3 or not ways.size or ways.shape[2] != k):
            raise PluralError(f"{where}: rows by wording and order have shape {ways.shape}, not (…, …, {k}).")
        object.__setattr__(self, "rows", rows)

    @property
    def answered(self) -> Bools:
        """(n,) True where a row holds an answer."""
        return np.asarray(self.rows.sum(axis=1) > 0)

    @property
    def exact(self) -> bool:
        """Whether these are a model's rows without any sampling: one row for its prompt, or every cell of a grid."""
        if self.source.kind == "model":
            return self.design.n == 1
        whole = self.design.fpc is not None and bool((self.design.fpc == 1).all())
        return self.source.kind == "personas" and whole

    def within(self, domain: Bools) -> Answers:
        """Return the same answers spoken about only where `domain` (n,) holds too."""
        return replace(self, domain=self.domain & domain)

    def unweighted(self) -> Answers:
        """Return the same answers with every weight 1."""
        return replace(self, design=self.design.unweighted())

    def shares(self, *, interval: Interval = "logit", level: float = 0.95) -> Shares:
        """Estimate the share of each option, with design-based intervals; see `plural_nb.survey.shares.estimate`."""
        from plural_nb.survey.shares import estimate

        return estimate(self, interval=interval, level=level)

    @classmethod
    def from_places(
        cls,
        question: Question,
        places: Sequence[int | None] | npt.NDArray[np.integer[Any]],
        *,
        design: Design | None = None,
        domain: Bools | None = None,
        source: Source | None = None,
        about: str = "",
    ) -> Answers:
        """Return one-hot answers from each respondent's option place (None or -1 where missing)."""
        if not isinstance(places, np.ndarray):
            places = np.array([-1 if p is None else p for p in places], dtype=np.int64)
        K = len(question.options)
        if places.size and int(places.max()) >= K:
            raise PluralError(
                f"There is no option at place {int(places.max())} of {question.key!r}; they go to {K - 1}."
            )
        rows = np.zeros((places.size, K))
        here = np.flatnonzero(places >= 0)
        rows[here, places[here]] = 1.0
        design = design or Design(np.ones(places.size))
        everyone = np.ones(places.size, dtype=bool) if domain is None else domain
        return cls(question, rows, design, everyone, source or Source("humans", "people"), about=about)
