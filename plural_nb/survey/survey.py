"""Surveys: people, the questions they answered, the traits they are picked by, and the populations one picks."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plural_nb.answers import Answers, Bools, Source
from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.batteries import Battery
from plural_nb.survey.codebook import Codebook
from plural_nb.survey.columns import Columns, Lazy
from plural_nb.survey.design import Design, Floats
from plural_nb.survey.encoding import Places, encode
from plural_nb.survey.guessing import question_of, rekind, trait_of
from plural_nb.survey.labelled import Variable
from plural_nb.survey.population import Count as Count
from plural_nb.survey.population import Population as Population
from plural_nb.survey.population import in_words
from plural_nb.survey.question import Code, Kind, Question, Wording
from plural_nb.survey.recipes import Match
from plural_nb.survey.shares import Groups
from plural_nb.survey.trait import Trait

if TYPE_CHECKING:
    from plural_nb.survey.lint import Finding
    from plural_nb.widgets.browser import SurveyBrowser


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """People's answers with the meaning of every column.

    columns: the columns of the file, one row per respondent; those of a large file are read when they are asked for.
    questions, traits: by key, in the codebook's order.
    design: weights, strata and PSUs of all rows.
    trait_codes: for each trait the place of each row's level, int16 (n,), -1 where it is missing.
    answer_codes: for each question the place of each row's option, int16 (n,), -1 where it is missing.
    wording: whether the question texts are the survey's exact words or paraphrased.
    question_columns, trait_columns: the column behind each question and trait.
    roles: the columns of the design: "weight", "stratum", "psu", and "note" where something was assumed of them.
    reasons: for questions guessed from a file's labels, why each is of its kind (see `guesses`).
    candidates: columns that may hold a weight, strata, PSUs or replicate weights, where none was named.
    recipe: the recipe that was applied and how the file was recognised; None where there was none.
    batteries: the multi-select and grid questions that were recognised.
    variables: what a labelled file says of every column, questions or not.

    Made by `read_survey`, `load_survey` or `Survey.from_frame`.
    """

    name: str
    title: str
    columns: Columns = field(repr=False)
    questions: Mapping[str, Question] = field(repr=False)
    traits: Mapping[str, Trait] = field(repr=False)
    design: Design = field(repr=False)
    trait_codes: Mapping[str, Places] = field(repr=False)
    answer_codes: Mapping[str, Places] = field(repr=False)
    citation: str = ""
    licence: str = ""
    note: str = ""
    fieldwork: str = ""
    wording: Wording = "paraphrased"
    question_columns: Mapping[str, str] = field(default_factory=dict, repr=False)
    trait_columns: Mapping[str, str] = field(default_factory=dict, repr=False)
    roles: Mapping[str, str] = field(default_factory=dict, repr=False)
    reasons: Mapping[str, str] = field(default_factory=dict, repr=False)
    candidates: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    recipe: Match | None = field(default=None, repr=False)
    batteries: tuple[Battery, ...] = field(default=(), repr=False)
    variables: Mapping[str, Variable] = field(default_factory=dict, repr=False)
    source: str = ""

    @property
    def people(self) -> pl.DataFrame:
        """One row per respondent, with the columns the codebook names, or all columns of a labelled file."""
        return self.columns.frame()

    @property
    def n(self) -> int:
        """Number of respondents."""
        return self.design.n

    @property
    def weighted(self) -> bool:
        """Whether the survey has weights that differ."""
        return bool(np.ptp(self.design.weight) > 0)

    def question(self, key: str) -> Question:
        """The question with this key; SurveyError names the nearest right one."""
        if key not in self.questions:
            raise SurveyError(f"{self.title!r} has no question {key!r}. {nearest(key, self.questions)}")
        return self.questions[key]

    def trait(self, key: str) -> Trait:
        """The trait with this key; SurveyError names the nearest right one."""
        if key not in self.traits:
            raise SurveyError(f"{self.title!r} has no trait {key!r}. {nearest(key, self.traits)}")
        return self.traits[key]

    def describe(self, population: Population | None = None) -> str:
        """The population in words, with the traits' labels ("Age: 18 to 29; Region: North or South")."""
        picks = population.picks if population else ()
        return in_words((self.trait(key).label, levels) for key, levels in picks)

    def count(self, population: Population | None = None, *, weighted: bool = True) -> Count:
        """Return how many people are in a population, and Kish's effective number.

        Rows of weight zero are not counted: nobody is spoken for by them.
        """
        inside = self._mask(population)
        weight = self.design.weight if inside is None else self.design.weight[inside]
        n = int(np.count_nonzero(weight))
        if not weighted:
            return Count(int(weight.size), float(weight.size))
        total = float(weight.sum())
        return Count(n, total * total / float(weight @ weight) if total > 0 else 0.0)

    def groups(self, trait: str) -> Groups:
        """Return the levels of a trait as groups, to estimate each: `estimate(answers, by=survey.groups("age"))`."""
        return Groups(self.trait(trait).labels, self.trait_codes[trait])

    def answers(
        self, question: str | Question, population: Population | None = None, *, weighted: bool = True
    ) -> Answers:
        """Return what a population answered to a question, as one-hot rows of the whole survey.

        question: its key, or a question with the same key and options in other words.
        population: who is spoken about; everyone when None. Other rows stay, outside the domain.
        weighted: False gives every weight 1.

        Raises SurveyError for an unknown question, trait or level, an empty population, or one of which nobody has
        answered.
        """
        asked = self.question(question if isinstance(question, str) else question.key)
        if isinstance(question, Question):
            if [o.label for o in question.options] != [o.label for o in asked.options]:
                raise SurveyError(
                    f"The options of {question.key!r} differ from those the people of {self.title!r} were given: "
                    f"{', '.join(o.label for o in asked.options)}."
                )
            asked = question
        inside = self._mask(population)
        codes = self.answer_codes[asked.key]
        about = self.describe(population)
        domain = np.ones(self.n, dtype=np.bool_) if inside is None else inside
        if not domain.any():
            raise SurveyError(
                f"Nobody in {self.title!r} is in this population ({about}). Pick fewer traits or more levels."
            )
        if not (domain & (codes >= 0)).any():
            raise SurveyError(
                f"None of the {int(domain.sum())} people in this population ({about}) has an answer to {asked.label!r}"
                + (f", which was asked of {asked.asked_of}." if asked.asked_of else ".")
            )
        design = self.design if weighted else self.design.unweighted()
        told = (("Survey file", self.source), ("Fieldwork", self.fieldwork), ("Citation", self.citation),
                ("Licence", self.licence), ("Note", self.note))  # fmt: skip
        known = tuple((name, text.strip().rstrip(".")) for name, text in told if text.strip())
        source = Source("humans", self.title, "weighted" if weighted and self.weighted else "unweighted", known)
        return Answers.from_places(asked, codes, design=design, domain=domain, source=source, about=about)

    def values(self, question: str) -> Floats:
        """Return (n,) exact values of a numeric or ordinal question, NaN where none was given.

        The values of a numeric question are those of the file, not of its bins; those of an ordinal one are its
        options' places on the scale. Raises SurveyError for a nominal question.
        """
        asked = self.question(question)
        places = self.answer_codes[question]
        if asked.kind != "numeric":
            scale = dict(zip(asked.substantive, asked.values, strict=True))
            table = np.array([scale.get(i, np.nan) for i in range(len(asked.options))] + [np.nan])
            return np.asarray(table[places])
        column = self.columns[self.question_columns[question]]
        exact = np.array(column.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy(), dtype=np.float64)
        exact[~np.isin(places, asked.substantive)] = np.nan
        return exact

    def guesses(self) -> pl.DataFrame:
        """Return what each question was taken for and why, one row per question; empty for a codebook's survey.

        Correct one with `with_kind`. Asking for the reasons reads every column of a large file.
        """
        rows = [
            (key, self.question_columns[key], self.questions[key].kind, self.reasons[key], self.questions[key].battery)
            for key in self.reasons
        ]
        return pl.DataFrame(rows, schema=["question", "column", "kind", "why", "battery"], orient="row")

    def with_kind(self, question: str, kind: Kind, values: Sequence[float] | None = None) -> Survey:
        """Return the same survey with a question taken as nominal, ordinal or numeric.

        values: for an ordinal question, the place of each substantive option on the scale; 1..K when None.

        Raises SurveyError for a kind that the column's values cannot be.
        """
        asked = self.question(question)
        codes = self.answer_codes
        if (kind == "numeric") == (asked.kind == "numeric"):
            made = rekind(asked, kind, values)
        else:
            column = self.question_columns[question]
            variable = self.variables.get(column) or Variable(
                column,
                asked.text,
                labels={o.code: o.label for o in asked.options if o.code is not None},
                missing_codes=tuple(o.code for o in asked.options if not o.substantive and isinstance(o.code, str)),
                missing=tuple((float(o.code), float(o.code)) for o in asked.options
                              if not o.substantive and isinstance(o.code, int | float)),
            )  # fmt: skip
            # What counted as missing stays missing, whatever it would be as a number.
            gone = pl.Series(self.answer_codes[question] < 0)
            series = (
                self.columns[column].to_frame().select(pl.when(~gone).then(pl.col(column))).to_series().rename(column)
            )
            found, why = question_of(variable, series, force=kind, missing=self._absent)
            if found is None or found.kind != kind:
                raise SurveyError(
                    f"Question {question!r} cannot be {kind}: {why}. Its column {column!r} holds "
                    f"{', '.join(o.label for o in asked.options[:6])}."
                )
            made = replace(
                found, key=question, text=asked.text, label=asked.label, wording=asked.wording, battery=asked.battery
            )
            made = rekind(made, kind, values) if values is not None else made
            codes = _with(codes, question, encode(series, made.options, where=f"{self.source}, column {column!r}"))
        return replace(
            self,
            questions=_with(self.questions, question, made),
            answer_codes=codes,
            reasons=_with(self.reasons, question, "as you said"),
        )

    def with_design(self, **design: Any) -> Survey:
        """Return the same survey with other columns as weight, strata, PSUs, population sizes or replicate weights.

        survey.with_design(weight="pwgtp", replicates="pwgtp*", kind="successive differences"): see
        `plural_nb.survey.redesign.with_design`.
        """
        from plural_nb.survey.redesign import with_design

        known = [name for name in inspect.signature(with_design).parameters if name != "survey"]
        for name in design:
            if name not in known:
                raise TypeError(f"with_design has no {name!r}. {nearest(name, known)}")
        return with_design(self, **design)

    def with_trait(self, column: str, *, key: str = "", label: str = "", phrase: str = "") -> Survey:
        """Return the same survey with one more trait, made from a column (for an age in years, five groups).

        phrase: what a backstory says, with {} for the level: "I live in {}.".
        """
        if column not in self.columns.names:
            raise SurveyError(
                f"{self.source or self.title} has no column {column!r}. {nearest(column, self.columns.names)}"
            )
        variable = self.variables.get(column, Variable(column))
        series = self.columns[column]
        found = trait_of(variable, series, key=key, label=label, phrase=phrase, missing=self._absent)
        if found is None:
            raise SurveyError(
                f"Column {column!r} has no few levels to pick people by. Give it groups in a codebook's "
                f"[traits.{column}]."
            )
        trait, unknown = found
        places = encode(
            series, trait.options, where=f"{self.source}, column {column!r}", missing=unknown, every="levels"
        )
        return replace(
            self,
            traits=MappingProxyType({**self.traits, trait.key: trait}),
            trait_codes=MappingProxyType({**self.trait_codes, trait.key: places}),
            trait_columns=MappingProxyType({**self.trait_columns, trait.key: column}),
        )

    def check(self) -> tuple[Finding, ...]:
        """Return what in this survey would mislead (see `plural_nb.survey.lint`), the gravest first."""
        from plural_nb.survey.lint import check

        return check(self)

    def browse(self, **choices: Any) -> SurveyBrowser:
        """Return the panel that shows this survey, question by question, in a notebook.

        choices: what to begin with: question, by, population, weighted, over; see `plural_nb.SurveyBrowser`.
        """
        from plural_nb.widgets.browser import SurveyBrowser

        return SurveyBrowser(self, **choices)

    def write(self, path: Path | str, answers: Mapping[str, Answers] | None = None) -> tuple[Path, ...]:
        """Write this survey to .sav, .dta, .csv or .parquet, with its codebook and its design for R and Stata.

        See `plural_nb.survey.writing.write`.
        """
        from plural_nb.survey.writing import write

        return write(self, path, answers)

    @property
    def _absent(self) -> tuple[Code, ...]:
        return self.recipe.recipe.missing if self.recipe else ()

    @classmethod
    def from_frame(
        cls, frame: pl.DataFrame, codebook: Codebook | Mapping[str, Any] | Path | str, *, name: str = ""
    ) -> Survey:
        """Return a survey from a polars frame and a codebook (a TOML file, or the same content as a dict).

        Raises SurveyError for columns that are not there, values the codebook does not list, and weights that cannot
        be; what is wrong with several columns is told at once.

        >>> frame = pl.DataFrame({"tea": [1, 2, 1, None], "w": [1.0, 2.0, 1.0, 1.0]})
        >>> options = [{"code": 1, "label": "Yes"}, {"code": 2, "label": "No"}]
        >>> book = {"design": {"weight": "w"}, "questions": {"tea": {"text": "Do you drink tea?", "options": options}}}
        >>> Survey.from_frame(frame, book).answers("tea").shares().share.tolist()
        [[0.5, 0.5]]
        """
        if not isinstance(frame, pl.DataFrame):
            kind = f"{type(frame).__module__.partition('.')[0]} {type(frame).__name__}"
            raise SurveyError(
                f"A survey is made from a polars DataFrame, not from a {kind}. Convert it first: "
                "polars.from_pandas(frame) for pandas, frame.collect() for a lazy frame."
            )
        if isinstance(codebook, Mapping):
            book = Codebook.of(codebook, name=name or "survey")
        else:
            book = codebook if isinstance(codebook, Codebook) else Codebook.read(codebook)
        from plural_nb.survey.from_codebook import survey_of_frame

        return survey_of_frame(cls, frame, book, name or "the frame")

    def _mask(self, population: Population | None) -> Bools | None:
        return population.mask(self) if population is not None and population.picks else None


def _with(mapping: Mapping[str, Any], key: str, value: Any) -> Mapping[str, Any]:
    if isinstance(mapping, Lazy):
        return mapping.with_value(key, value)
    return MappingProxyType({**mapping, key: value})
