"""What a slot says for each person: the levels of a trait or question in words, or the values of a column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.personas.template import Form, Slot, Template, Words
from plural_nb.silicon.prompt import LETTERS
from plural_nb.survey.survey import Survey
from plural_nb.survey.trait import Trait

Codes = npt.NDArray[np.integer]
_SPACE = re.compile(r"[\s\x00-\x1f\x7f\u2028\u2029]+")
_YEARS = (1800, 2100)
# Letters at a word's beginning, but not sounds: "a university", "an hour", "an 18-year-old".
_CONSONANT = re.compile(r"(uni([^mn]|n?[aeiou])|use|usu|eu|one\b|once\b|u\b)", re.IGNORECASE)
_VOWEL = re.compile(r"([aeiou]|hour|honest|heir|honou?r|8|11\b|11,|18\b|18,)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """A trait, or a question told like one, in a template's words.

    label, question: what it is called and how it is asked for. labels, said, sentences: for each level; the sentence
    is empty where the level is not told. letters, options: for each level its letter, and all levels behind letters.
    codes: (n,) the place of each row's level, -1 where it is not known.
    """

    key: str
    label: str
    question: str
    labels: tuple[str, ...]
    said: tuple[str, ...]
    sentences: tuple[str, ...]
    codes: Codes

    @property
    def told(self) -> tuple[int, ...]:
        """Places of the levels that have a sentence."""
        return tuple(i for i, sentence in enumerate(self.sentences) if sentence)

    def each(self, slot: str, place: int) -> str:
        """What a slot of a template's `each` holds for one level."""
        if slot in ("options", "letter"):
            told = self.told
            if len(told) > len(LETTERS):
                raise SurveyError(
                    f"{self.key!r} has {len(told)} levels, and letters go from A to Z. Tell it otherwise."
                )
            if slot == "letter":
                return LETTERS[told.index(place)]
            return "\n".join(f"{LETTERS[i]}. {self.labels[p]}" for i, p in enumerate(told))
        words = {"sentence": self.sentences[place], "said": self.said[place], "level": self.labels[place]}
        return words.get(slot) or {"label": self.label, "question": self.question}[slot]

    def form(self, place: int, form: Form) -> str:
        """A level in the form that a slot asks for."""
        if form == "label":
            return self.labels[place]
        if form == "lower":
            return self.labels[place][:1].lower() + self.labels[place][1:]
        if form == "a":
            lower = self.labels[place]
            return f"{article(lower)} {lower}"
        return self.sentences[place] if form == "sentence" else self.said[place]


def levels_of(survey: Survey, key: str, template: Template) -> Levels | None:
    """Return the levels of a trait, or of a question; None for a column that is neither.

    Raises SurveyError for a key that is nothing in this survey, and for a trait that the template has no words for
    where it has only its own.
    """
    own = template.words.get(key)
    if own is None and template.own_words_only:
        known = [k for k in (*survey.traits, *survey.questions) if k in template.words]
        raise SurveyError(
            f"The template {template.name!r} ({template.language}) has no words for {key!r}. "
            f"{nearest(key, known)} Write them into a TOML file of your own as [words.{key}], or leave the trait out "
            "with traits=[…]."
        )
    own = own or Words()
    if key in survey.traits:
        trait = survey.traits[key]
        asked = own.question or trait.question or (survey.questions[key].text if key in survey.questions else "")
        if not any(trait.sentences):  # a codebook that only names levels
            phrase = f"{own.label or trait.label}: {{}}."
            trait = replace(trait, phrase=phrase, sentences=tuple(phrase.replace("{}", said) for said in trait.said))
        sentences = tuple(_sentence(trait, i, own, template) for i in range(len(trait.options)))
        said = tuple(own.said.get(label, words) for label, words in zip(trait.labels, trait.said, strict=True))
        label = own.label or trait.label
        codes: Codes = survey.trait_codes[key]
        return Levels(key, label, asked or f"{label}?", trait.labels, said, sentences, codes)
    if key in survey.questions:
        question = survey.questions[key]
        labels = tuple(clean(o.label) for o in question.options)
        said = tuple(own.said.get(label, label) for label in labels)
        phrase = own.phrase or f"{own.label or question.label}: {{}}."
        sentences = tuple(
            own.sentences.get(label, phrase.replace("{}", words)) if option.offered and option.substantive else ""
            for option, label, words in zip(question.options, labels, said, strict=True)
        )
        return Levels(key, own.label or question.label, own.question or question.text, labels, said, sentences,
                      survey.answer_codes[key])  # fmt: skip
    if key in survey.columns.names:
        return None
    known = [*survey.traits, *survey.questions, *survey.columns.names]
    raise SurveyError(
        f"The slot {{{key}}} names no trait, question or column of {survey.title!r}. {nearest(key, known)}"
    )


def column_of(survey: Survey, slot: Slot, template: Template) -> pl.Series:
    """Return what a slot says for every row from the values of a column; null where it is not known.

    A number is rounded as people say it unless the form is "exact"; other values are people's own words: white space
    is made plain, and they stand in quotation marks.
    """
    name = survey.trait_columns.get(slot.key) or survey.question_columns.get(slot.key) or slot.key
    if name not in survey.columns.names:
        raise SurveyError(
            f"{survey.title!r} has no column behind {slot.key!r} for the slot {{{slot.key}:{slot.form}}}."
        )
    column = survey.columns[name]
    for codes in (survey.trait_codes, survey.answer_codes):
        if slot.key in codes:
            column = column.to_frame().select(pl.when(pl.Series(codes[slot.key] >= 0)).then(pl.col(name))).to_series()
    if column.dtype.is_numeric():
        return _numbers(column, template, exact=slot.form == "exact")
    if slot.form == "number":
        raise SurveyError(f"Column {name!r} holds no numbers, so {{{slot.key}:number}} cannot be said.")
    kinds = column.unique()
    opening, closing = template.quotes
    words = [None if one is None or not clean(str(one)) else opening + _inside(str(one), template) + closing
             for one in kinds.to_list()]  # fmt: skip
    return _through(column, kinds, words)


def clean(words: str) -> str:
    """Return a value on one line: runs of white space, line breaks and control characters become one space.

    >>> clean(" two\\nlines ")
    'two lines'
    """
    return _SPACE.sub(" ", words).strip()


def said_number(value: float, template: Template | None = None, *, year: bool = False) -> str:
    """Return a number as people say it: whole up to 999, then to two digits that matter, with "about" where rounded.

    >>> said_number(47.0), said_number(43217.0), said_number(40000.0), said_number(1234567.0)
    ('47', 'about 43,000', '40,000', 'about 1.2 million')
    >>> said_number(2.25), said_number(1996, year=True)
    ('2.2', '1996')
    """
    t = template or Template.named("first_person")
    size = abs(value)
    if year and value == int(value):
        return str(int(value))
    if size < 1000:
        text = f"{round(value, 1):g}" if size < 10 else f"{value:.0f}"
        if text not in ("1000", "-1000"):
            return text.replace(".", t.decimal)
    rounded = float(f"{value:.1e}")
    about = "" if rounded == value else t.about
    if abs(rounded) >= 1e6:
        millions = f"{rounded / 1e6:,.1f}".removesuffix(".0")
        return about + _marks(millions, t) + t.million
    return about + _marks(f"{rounded:,.0f}", t)


def article(words: str) -> str:
    """Return "a" or "an", as it sounds before these words.

    >>> [article(w) for w in ("independent", "university degree", "hour", "unmarried man", "18-year-old", "Democrat")]
    ['an', 'a', 'an', 'an', 'an', 'a']
    """
    return "an" if _VOWEL.match(words) and not _CONSONANT.match(words) else "a"


def reworded(sentence: str, table: Mapping[str, str]) -> str:
    """Return a sentence with whole words replaced, and a capital where a sentence begins.

    >>> reworded("In politics I am moderate. My home is here.", {"I am": "they are", "my": "their"})
    'In politics they are moderate. Their home is here.'
    """
    if not table:
        return sentence
    both = {**{key[:1].upper() + key[1:]: word for key, word in table.items()}, **table}
    pattern = "|".join(re.escape(key) for key in sorted(both, key=len, reverse=True))

    def put(match: re.Match[str]) -> str:
        word = both[match[0]]
        begins = not sentence[: match.start()].strip() or bool(re.search(r"[.!?]\s+$", sentence[: match.start()]))
        return word[:1].upper() + word[1:] if begins else word

    return re.sub(rf"\b(?:{pattern})\b", put, sentence)


def _sentence(trait: Trait, place: int, own: Words, template: Template) -> str:
    label, sentence = trait.labels[place], trait.sentences[place]
    if label in own.sentences:
        return own.sentences[label]
    if own.phrase:
        return own.phrase.replace("{}", own.said.get(label, trait.said[place])) if sentence else ""
    if own.said.get(label) and trait.phrase:
        return reworded(trait.phrase, template.reword).replace("{}", own.said[label])
    if trait.phrase and sentence == trait.phrase.replace("{}", trait.said[place]):
        # Only the codebook's own words change; what a file says of a level stays as it is.
        return clean(reworded(trait.phrase, template.reword).replace("{}", trait.said[place]))
    return clean(reworded(sentence, template.reword))


def _numbers(column: pl.Series, template: Template, *, exact: bool) -> pl.Series:
    kinds = column.unique()
    values = [v for v in kinds.to_list() if v is not None and np.isfinite(v)]
    years = bool(values) and all(v == int(v) and _YEARS[0] <= v <= _YEARS[1] for v in values)

    def say(value: float | None) -> str | None:
        if value is None or not np.isfinite(value):
            return None
        return f"{value:.15g}" if exact else said_number(float(value), template, year=years)

    return _through(column, kinds, [say(cast("float | None", v)) for v in kinds.to_list()])


def _through(column: pl.Series, kinds: pl.Series, words: list[str | None]) -> pl.Series:
    table = pl.DataFrame({"value": kinds, "words": pl.Series(words, dtype=pl.String)})
    joined = column.rename("value").to_frame().join(table, on="value", how="left", maintain_order="left")
    return joined["words"]


def _inside(words: str, template: Template) -> str:
    # A closing quotation mark in somebody's words must not end the quotation.
    return clean(words).replace(template.quotes[1], "’").replace(template.quotes[0], "‘")


def _marks(number: str, template: Template) -> str:
    swap = {",": template.thousands, ".": template.decimal}
    return "".join(swap.get(sign, sign) for sign in number)
