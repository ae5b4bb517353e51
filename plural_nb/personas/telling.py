"""Telling: which rows of a survey are told by which template, in which order; the texts are string expressions."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.personas.template import Form, Slot, Template
from plural_nb.personas.values import Levels, column_of, levels_of
from plural_nb.survey.survey import Survey

Order = Literal["fixed", "shuffled", "coarse"]
Missing = Literal["leave out", "say"]
_COLUMN_FORMS = {"number", "exact"}


@dataclass(frozen=True, slots=True, eq=False)
class Telling:
    """How rows of a survey become texts.

    survey, template: the people and how they are told. traits: keys of traits, questions or columns, in this order;
    all that the template has slots for when None, and every trait of the survey where it has `each`.
    rows: (m,) places in the survey's rows, from 0; all when None.
    order: "fixed" as given; "shuffled" each row in an order of its own, which depends on `seed`, the row and the
        traits' names alone; "coarse" the traits with the fewest levels first, so that many prompts begin alike.
    missing: whether a sentence about what is not known is left out, or said to be not known.

    Raises SurveyError for a key that names nothing or is told twice, a row that is not there, or an unknown choice.

    >>> from plural_nb.survey.library import load_survey
    >>> Telling(load_survey("anes96"), Template.named("third_person"), ["age", "party"], np.array([0])).texts()
    ['They are between 25 and 44 years old. They are a strong Republican.']
    """

    survey: Survey
    template: Template
    traits: Sequence[str] | None = None
    rows: npt.NDArray[np.integer[Any]] | Sequence[int] | None = None
    order: Order = "fixed"
    seed: int = 0
    missing: Missing = "leave out"
    levels: dict[str, Levels | None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for what, value, valid in (
            ("order", self.order, get_args(Order)),
            ("missing", self.missing, get_args(Missing)),
        ):
            if value not in valid:
                raise SurveyError(f"{what} is {value!r}. {nearest(str(value), valid)}")
        if isinstance(self.traits, str):
            raise SurveyError(f"traits is a list of keys: [{self.traits!r}].")
        slots, template = self.template.keys, self.template
        traits = list(self.traits) if self.traits is not None else [*slots]
        if self.traits is None and template.each:
            traits += [key for key in self.survey.traits if key not in slots]
        if len(set(traits)) < len(traits):
            raise SurveyError(f"A trait is told once only; got {', '.join(traits)}.")
        unsaid = [key for key in traits if key not in slots] if not template.each else []
        if unsaid:
            raise SurveyError(
                f"The template {template.name!r} has no slot for {unsaid[0]!r}. {nearest(unsaid[0], slots)}"
            )
        levels = {key: levels_of(self.survey, key, template) for key in traits}
        if self.order == "coarse":
            traits.sort(key=lambda key: self._kinds(levels[key]))
        rows = self.places
        outside = (rows < 0) | (rows >= self.survey.n)
        if outside.any():
            raise SurveyError(
                f"{self.survey.title!r} has rows 0 to {self.survey.n - 1}, and none with number {rows[outside][0]}."
            )
        object.__setattr__(self, "traits", tuple(traits))
        object.__setattr__(self, "levels", levels)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of what is told, in order."""
        return tuple(self.traits or ())

    def texts(self, leave_out: Collection[str] = ()) -> list[str]:
        """Return the text of each row; sentences that tell a trait in `leave_out` are left out.

        A person of whom nothing is known has an empty text, without what stands around it.
        """
        made = self._sentences(leave_out)
        if not made or not self.m:
            return [""] * self.m
        if self.order == "shuffled":
            made = self._shuffled(made)
        frame = pl.DataFrame([one.text.alias(str(i)) for i, one in enumerate(made)])
        gaps = {one.gap for one in made[1:]}
        if len(gaps) <= 1:
            body = pl.concat_str(pl.all(), separator=next(iter(gaps), ""), ignore_nulls=True)
        else:
            parts = [pl.lit(one.gap if i else "") + pl.col(str(i)) for i, one in enumerate(made)]
            body = pl.concat_str(parts, ignore_nulls=True).str.strip_chars_start(" \n\t")
        if self.template.before or self.template.after:
            whole = pl.lit(self.template.before) + body + pl.lit(self.template.after)
            body = pl.when(body != "").then(whole).otherwise(pl.lit(""))
        return frame.select(body.alias("text"))["text"].to_list()

    @property
    def m(self) -> int:
        """How many people are told."""
        return len(self.places)

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """(m,) the rows that are told."""
        return np.arange(self.survey.n) if self.rows is None else np.asarray(self.rows, dtype=np.int64)

    def values(self) -> pl.DataFrame:
        """Return the level of each trait told as its label (columns: as they are), one row per person."""
        found = {}
        for key in self.keys:
            levels = self.levels[key]
            if levels is None:
                found[key] = self.survey.columns[key].gather(self.places)
            else:
                found[key] = _gather(levels.labels, levels.codes[self.places])
        return pl.DataFrame(found)

    def _sentences(self, leave_out: Collection[str]) -> list[_Sentence]:
        keys = [key for key in self.keys if key not in leave_out]
        found = []
        for piece in self.template.pieces:
            if all(key in keys for key in piece.keys):
                found.append(self._sentence(piece.before or self.template.between, piece.parts, piece.keys))
        for key in keys if self.template.each else ():
            if key not in self.template.keys:
                parts = tuple(
                    Slot(key, f"each:{part.key}") if isinstance(part, Slot) else part  # type: ignore[arg-type]
                    for part in self.template.each_parts
                )
                found.append(self._sentence(self.template.between, parts, (key,)))
        return found

    def _sentence(self, gap: str, parts: Sequence[str | Slot], keys: tuple[str, ...]) -> _Sentence:
        if not keys:
            return _Sentence(gap, pl.Series(["".join(map(str, parts))]).gather(np.zeros(self.m, dtype=np.uint32)), "")
        levels = self.levels[keys[0]]
        forms = {part.form for part in parts if isinstance(part, Slot)}
        if len(keys) == 1 and levels is not None and not forms & _COLUMN_FORMS:
            told: list[str | None] = [None] * len(levels.labels)
            for place in levels.told:
                told[place] = "".join(p if isinstance(p, str) else _level(levels, place, p.form) for p in parts)
            text = _gather(told, levels.codes[self.places])
        else:
            filled = {str(i): self._slot(part) for i, part in enumerate(parts) if isinstance(part, Slot)}
            order = [pl.col(str(i)) if str(i) in filled else pl.lit(part) for i, part in enumerate(parts)]
            text = pl.DataFrame(filled).select(pl.concat_str(order).alias("text"))["text"]
        if self.missing == "say":
            text = text.zip_with(text.is_not_null(), self._said(keys))
        return _Sentence(gap, text, "+".join(keys))

    def _slot(self, slot: Slot) -> pl.Series:
        """What one slot says for each row, null where it is not known."""
        levels, form = self.levels[slot.key], slot.form
        if levels is not None and form not in _COLUMN_FORMS:
            told = [_level(levels, i, form) if i in levels.told else None for i in range(len(levels.labels))]
            return _gather(told, levels.codes[self.places])
        if form in ("each:options", "each:letter"):
            raise SurveyError(f"Column {slot.key!r} has no levels to put behind letters. Make it a trait: with_trait.")
        label = _spoken(slot.key)
        if form in ("each:label", "each:question"):
            text = label if form == "each:label" else f"{label}?"
            return pl.Series([text]).gather(np.zeros(self.m, dtype=np.uint32))
        value = column_of(self.survey, slot, self.template).gather(self.places)
        return f"{label}: " + value + "." if form in ("sentence", "each:sentence") else value

    def _said(self, keys: Sequence[str]) -> pl.Series:
        """For each row what is known and what is not of a sentence that cannot be said whole."""
        found = []
        for key in keys:
            levels = self.levels[key]
            label = levels.label if levels else _spoken(key)
            unknown = pl.Series([self.template.not_known(label)]).gather(np.zeros(self.m, dtype=np.uint32))
            if len(keys) == 1:
                return unknown
            known = self._slot(Slot(key, "sentence"))
            found.append(known.zip_with(known.is_not_null(), unknown).alias(key))
        return pl.DataFrame(found).select(pl.concat_str(pl.all(), separator=" ").alias("text"))["text"]

    def _shuffled(self, made: Sequence[_Sentence]) -> list[_Sentence]:
        """The same with every row's sentences in an order of its own; those without slots keep their places."""
        moving = [i for i, one in enumerate(made) if one.key]
        n = self.m
        lots = _lots(self.places, [made[i].key for i in moving], self.seed)
        order = np.argsort(lots, axis=1, kind="stable").astype(np.uint32)
        stacked = pl.concat([made[i].text.alias("text") for i in moving])
        result = list(made)
        for j, i in enumerate(moving):
            drawn = stacked.gather(order[:, j] * np.uint32(n) + np.arange(n, dtype=np.uint32))
            result[i] = _Sentence(made[i].gap, drawn, made[i].key)
        return result

    def _kinds(self, levels: Levels | None) -> int:
        return self.survey.n if levels is None else len(levels.told)


def backstories(
    survey: Survey,
    rows: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
    traits: Sequence[str] | None = None,
    *,
    template: str | Template = "first_person",
    **how: Any,
) -> list[str]:
    """Return the texts of respondents, without weights and design; arguments and errors as in `Telling`.

    >>> from plural_nb.survey.library import load_survey
    >>> backstories(load_survey("anes96"), [0, 1], ["party"])
    ['I am a strong Republican.', 'I am a weak Democrat.']
    """
    made = template if isinstance(template, Template) else Template.named(template)
    return Telling(survey, made, traits, rows, **how).texts()


@dataclass(frozen=True, slots=True, eq=False)
class _Sentence:
    """A sentence for each row, null where it is left out; what stands before it, and the key of its trait."""

    gap: str
    text: pl.Series
    key: str


def _level(levels: Levels, place: int, form: str) -> str:
    kind, _, slot = form.partition(":")
    return levels.each(slot, place) if kind == "each" else levels.form(place, cast("Form", form))


def _gather(values: Sequence[str | None], codes: npt.NDArray[np.integer[Any]]) -> pl.Series:
    """For each code its value; null for -1."""
    places = np.where(codes < 0, len(values), codes).astype(np.uint32)
    return pl.Series([*values, None], dtype=pl.String).gather(places)


def _spoken(key: str) -> str:
    words = key.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _lots(rows: npt.NDArray[np.integer[Any]], keys: Sequence[str], seed: int) -> npt.NDArray[np.uint64]:
    """Numbers (rows, traits) that look random and depend on seed, row and the trait's name alone (SplitMix64)."""
    names = np.array([zlib.crc32(key.encode()) for key in keys], dtype=np.uint64)
    x = (rows.astype(np.uint64)[:, None] << np.uint64(32)) ^ names[None, :]
    for salt in (seed % 2**64, 0):
        x = (x ^ np.uint64(salt)) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return x
