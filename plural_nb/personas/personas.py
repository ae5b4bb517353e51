"""Personas: whom a model speaks as, with their texts, and the weights and design by which they count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from plural_nb.answers import Bools
from plural_nb.errors import SurveyError, nearest
from plural_nb.personas.leaks import NEAR, Giveaway, Leak, giveaways, left_out
from plural_nb.personas.sources import Crowd, by_weight, grid, raked, respondents
from plural_nb.personas.telling import Missing, Order, Telling
from plural_nb.personas.template import Template
from plural_nb.silicon.posing import Where
from plural_nb.survey.design import Design, Floats
from plural_nb.survey.question import Question
from plural_nb.survey.survey import Population, Survey

Kind = Literal["respondents", "draw", "margins", "grid", "texts"]


@dataclass(frozen=True, slots=True, eq=False)
class Personas:
    """People for a model to speak as: `model.ask(question, people=personas)`.

    texts: (n,) what stands before the question, for each row. design: their weights and sampling design.
    domain: (n,) True for those spoken about; only they are asked.
    source: where they come from. about: who they are, in words. ids: (n,) a name for each, all different.
    tellings: how the texts are made from a survey; none for texts by hand. origin: the survey that they come from.
    leak: what happens where a backstory tells what is asked: see `plural_nb.personas.leaks.left_out`. near: Cramér's
    V above which a trait is a near-duplicate of a question.
    principles: a text about values or principles that follows everybody's.
    where: whether a text stands before the "question" or in the "system" turn of a chat.

    Made by `from_survey`, `drawn_from`, `from_margins`, `from_grid` or `from_texts`. All but the last take

    template: the name of one that comes along ("third_person"), or a `Template`. traits: what is told, in this order.
    answered: keys of other questions, whose answers by the same person follow (Kim and Lee's few-shot setting).
    order, seed, missing: see `plural_nb.personas.telling.Telling`. leak, near, principles, where: as above. ids: a
    column.

    Raises SurveyError for two people with one id, and for what the template or the survey does not have.
    """

    texts: tuple[str, ...] = field(repr=False)
    design: Design = field(repr=False)
    domain: Bools = field(repr=False)
    source: Kind
    about: str
    ids: tuple[str, ...] = field(default=(), repr=False)
    tellings: tuple[Telling, ...] = field(default=(), repr=False)
    origin: Survey | None = field(default=None, repr=False)
    leak: Leak = "error"
    near: float = NEAR
    where: Where = "question"
    principles: str = ""

    def __post_init__(self) -> None:
        for what, value, valid in (("leak", self.leak, get_args(Leak)), ("where", self.where, get_args(Where))):
            if value not in valid:
                raise SurveyError(f"{what} is {value!r}. {nearest(str(value), valid)}")
        if not len(self.texts) == self.design.n == self.domain.size:
            raise SurveyError(f"There are {len(self.texts)} texts for {self.design.n} rows of the design.")
        ids = self.ids or tuple(map(str, range(1, self.n + 1)))
        if len(ids) != self.n:
            raise SurveyError(f"There are {len(ids)} ids for {self.n} people.")
        if len(set(ids)) < self.n:
            seen: dict[str, int] = {}
            for row, one in enumerate(ids):
                if one in seen:
                    raise SurveyError(f"Two people have the id {one!r} (rows {seen[one] + 1} and {row + 1}).")
                seen[one] = row
        object.__setattr__(self, "ids", ids)

    @property
    def n(self) -> int:
        """How many rows there are, those outside the domain included."""
        return len(self.texts)

    @property
    def traits(self) -> pl.DataFrame:
        """The labels of what is told, one row per person; no column for texts by hand."""
        frames = [telling.values() for telling in self.tellings]
        columns = {series.name: series for frame in frames for series in frame}
        return pl.DataFrame(columns)

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the traits, questions and columns that are told."""
        return tuple(dict.fromkeys(key for telling in self.tellings for key in telling.keys))

    @property
    def distinct(self) -> int:
        """How many different texts there are; identical people are asked once."""
        return len({text for text, here in zip(self.texts, self.domain, strict=True) if here})

    @property
    def silent(self) -> int:
        """How many people have an empty text: with them the model speaks in its own voice."""
        return sum(not text for text, here in zip(self.texts, self.domain, strict=True) if here)

    def giveaways(self, question: Question) -> tuple[Giveaway, ...]:
        """What in the backstories gives away the answer to a question."""
        return giveaways(self.origin, self.keys, question, near=self.near) if self.origin else ()

    def told(self, question: Question) -> list[str]:
        """The text of everybody in the domain when this question is asked: what gives it away is left out.

        Raises SurveyError that names it where leak is "error".
        """
        out = left_out(self.giveaways(question), self.leak, question)
        texts = _texts(self.tellings, self.principles, out) if out else self.texts
        return [text for text, here in zip(texts, self.domain, strict=True) if here]

    def name(self, i: int) -> str:
        """What messages call the i-th person of the domain."""
        row = int(np.flatnonzero(self.domain)[i])
        return f"person {self.ids[row]!r} (row {row + 1} of {self.n})"

    def within(self, domain: Bools) -> Personas:
        """Return the same people spoken about only where `domain` (n,) holds too."""
        return replace(self, domain=self.domain & domain)

    @classmethod
    def from_survey(
        cls, survey: Survey, template: str | Template = "first_person", traits: Sequence[str] | None = None, *,
        population: Population | None = None, ids: str | None = None, **how: Any,
    ) -> Personas:  # fmt: skip
        """Return the survey's respondents with their weights and design: asking them is a re-run of the survey.

        population: who is asked; the others stay in the design, as the variance of a subgroup needs them.

        >>> from plural_nb.survey.library import load_survey
        >>> people = Personas.from_survey(load_survey("anes96"), "portrayal", ["age", "income"])
        >>> people.n, people.distinct
        (944, 20)
        """
        return cls._of(respondents(survey, population), template, traits, ids=ids, **how)

    @classmethod
    def drawn_from(
        cls, survey: Survey, n: int, template: str | Template = "first_person", traits: Sequence[str] | None = None, *,
        population: Population | None = None, draw_seed: int = 0, **how: Any,
    ) -> Personas:  # fmt: skip
        """Return n people drawn from a survey with replacement and probability proportional to weight.

        Each counts alike then, and standard errors are those of simple random sampling.
        """
        return cls._of(by_weight(survey, n, population, draw_seed), template, traits, **how)

    @classmethod
    def from_grid(
        cls, survey: Survey, traits: Sequence[str], template: str | Template = "first_person", *,
        totals: pl.DataFrame | None = None, **how: Any,
    ) -> Personas:  # fmt: skip
        """Return every cell of some traits once, weighted by how many of the population it holds: nobody is drawn.

        totals: the population's cells, a column of labels for each trait and a column "total"; the survey's own
        weighted counts when None, those with an unknown trait in cells of their own, so that the shares are the same
        as those of all respondents told by these traits.

        Raises SurveyError for more than 100,000 cells, and for totals that are not of this survey's levels.
        """
        return cls._of(grid(survey, traits, totals), template, traits, **how)

    @classmethod
    def from_margins(
        cls, margins: Mapping[str, Mapping[str, float]], template: str | Template = "first_person", *,
        survey: Survey | None = None, **how: Any,
    ) -> Personas:  # fmt: skip
        """Return made-up people whose traits have known margins and are independent of each other otherwise.

        margins: for each trait the total (or share) of each level, by label. survey: whose traits' sentences are
        used; without one a level is told as "Label: level.".

        >>> people = Personas.from_margins({"age": {"young": 30, "old": 70}, "home": {"town": 60, "village": 40}})
        >>> people.texts[0], people.design.weight.round(9).tolist()
        ('Age: young. Home: town.', [18.0, 12.0, 42.0, 28.0])
        """
        return cls._of(raked(margins, survey), template, list(margins), **how)

    @classmethod
    def from_texts(
        cls, texts: Sequence[str] | Mapping[str, str], *, weight: Floats | Sequence[float] | None = None,
        ids: Sequence[str] | None = None, about: str = "", where: Where = "question",
    ) -> Personas:  # fmt: skip
        """Return personas written by hand: backstories, values, principles, or "" for the model's own voice.

        texts: one for each; a mapping gives them ids. weight: of each, all 1 when None.

        >>> Personas.from_texts({"care": "I put care for others first.", "none": ""}).ids
        ('care', 'none')
        """
        if isinstance(texts, str):
            raise SurveyError("Personas are a list of texts: ['I am …'].")
        if isinstance(texts, Mapping):
            ids, texts = list(texts), list(texts.values())
        strange = [text for text in texts if not isinstance(text, str)]
        if strange or not texts:
            raise SurveyError(f"A persona is a text, not {strange[0]!r}." if strange else "There is no persona.")
        note = "texts written by hand: nobody was sampled, and errors as if by simple random sampling mean little"
        design = Design(np.ones(len(texts)) if weight is None else np.asarray(weight, dtype=np.float64), note=note)
        everyone = np.ones(len(texts), dtype=np.bool_)
        about = about or f"speaking as {len(texts)} persona{'s' * (len(texts) != 1)} written by hand"
        return cls(tuple(texts), design, everyone, "texts", about, tuple(map(str, ids or ())), where=where)

    @classmethod
    def _of(
        cls, crowd: Crowd, template: str | Template, traits: Sequence[str] | None, *, answered: Sequence[str] = (),
        order: Order = "fixed", seed: int = 0, missing: Missing = "leave out", leak: Leak = "error",
        near: float = NEAR, where: Where = "question", ids: str | None = None, principles: str = "",
    ) -> Personas:  # fmt: skip
        made = template if isinstance(template, Template) else Template.named(template)
        tellings = [Telling(crowd.survey, made, traits, crowd.rows, order, seed, missing)]
        if answered:
            shown = Template.named("question_answer")
            tellings.append(Telling(crowd.survey, shown, answered, crowd.rows, order, seed, missing))
        names: tuple[str, ...] = ()
        if ids is not None:
            if ids not in crowd.survey.columns.names:
                known = crowd.survey.columns.names
                raise SurveyError(f"{crowd.survey.title!r} has no column {ids!r}. {nearest(ids, known)}")
            names = tuple(map(str, crowd.survey.columns[ids].gather(tellings[0].places).to_list()))
        return cls(
            tuple(_texts(tellings, principles)), crowd.design, crowd.domain, crowd.kind, crowd.about, names,
            tuple(tellings), crowd.origin, leak, near, where, principles,
        )  # fmt: skip


def _texts(tellings: Sequence[Telling], principles: str, leave_out: Sequence[str] = ()) -> list[str]:
    first, *more = (telling.texts(leave_out) for telling in tellings)
    if principles:
        more.append([principles] * len(first))
    return ["\n\n".join(filter(None, parts)) for parts in zip(first, *more, strict=True)] if more else first
