"""Templates: how a person is told, as text with named slots that are filled from a survey's columns."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from plural_nb.errors import SurveyError, nearest
from plural_nb.resources import data

Form = Literal["said", "label", "lower", "a", "sentence", "number", "exact"]
EACH = ("sentence", "said", "label", "level", "question", "options", "letter")
_SLOT = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
# A sentence ends at . ! or ? with white space behind it, or at a line break.
_ENDS = re.compile(r"(?<=[.!?])(?P<a>[”\"’')]?)(?P<space>\s+)|(?P<line>\s*\n\s*)")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a template that is filled from one column: its key, and the form in which the value is said."""

    key: str
    form: Form = "said"


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence of a template: white space before it, then words and slots in turn."""

    before: str
    parts: tuple[str | Slot, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its slots, each once."""
        return tuple(dict.fromkeys(part.key for part in self.parts if isinstance(part, Slot)))


@dataclass(frozen=True, slots=True)
class Words:
    """What a template calls one trait, where the survey's own words will not do (another language, say).

    label, question: of the trait. phrase: a sentence with {} for the level. said: for a level's label, the words that
    stand there. sentences: for a level's label, its whole sentence.
    """

    label: str = ""
    question: str = ""
    phrase: str = ""
    said: Mapping[str, str] = field(default_factory=dict)
    sentences: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Template:
    """How a person is told. All of it is data: one written in a TOML file (`from_toml`) does all that ours do.

    text: sentences with slots. {age} is the level of the trait `age` as its codebook says it, or the value of a column;
        {age:label} the level's label, {age:lower} the same with a small first letter, {age:a} with "a" or "an" before
        it, {age:sentence} the codebook's whole sentence, {age:number} the number in the trait's column, rounded as
        people say numbers, {age:exact} the same as it stands. Two braces stand for one.
    each: what is said of every other trait told, with the slots {sentence}, {said}, {label} (of the trait), {level},
        {question}, {options} (lettered) and {letter}. With "" only the slots of `text` are told.
    between: what stands between the pieces of `each`. before, after: what stands around all of it.
    reword: whole words of the codebook's first-person sentences and what takes their place ("I am" = "they are").
    words: own words for traits, by key. own_words_only: whether a trait without own words cannot be told.
    unsaid: what is said of a trait that is not known, where it is said, with a slot {label}.
    about, thousands, decimal, million: how a rounded number is said. quotes: what stands around people's own words.
    name, language, description: of the template itself.

    Values are never read as templates: a value that holds "{age}" stays as it is.

    Raises SurveyError for a text without any slot, a slot that is malformed, or an unknown form.

    >>> Template("I am {age:number} years old. I live in {region}.").keys
    ('age', 'region')
    """

    text: str = ""
    _: KW_ONLY
    name: str = "own"
    language: str = "en"
    description: str = ""
    each: str = ""
    between: str = " "
    before: str = ""
    after: str = ""
    reword: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Words] = field(default_factory=dict)
    own_words_only: bool = False
    unsaid: str = "{label}: not known."
    about: str = "about "
    thousands: str = ","
    decimal: str = "."
    million: str = " million"
    quotes: tuple[str, str] = ("“", "”")

    def __post_init__(self) -> None:
        words = {key: one if isinstance(one, Words) else _words(one, key) for key, one in self.words.items()}
        object.__setattr__(self, "words", words)
        object.__setattr__(self, "quotes", tuple(self.quotes))
        for what, text, allowed in (("each", self.each, EACH), ("unsaid", self.unsaid, ("label",))):
            for slot in _slots(text):
                if slot.key not in allowed or slot.form != "said":
                    raise SurveyError(
                        f"Template {self.name!r}: {what!r} has no slot {{{slot.key}}}. {nearest(slot.key, allowed)}"
                    )
        if self.each and not _slots(self.each):
            raise SurveyError(f"Template {self.name!r}: 'each' has no slot. It can have: {', '.join(EACH)}.")
        if not self.each and not self.keys:
            raise SurveyError(
                f"Template {self.name!r} has no slot, so everybody would be told alike. Put a trait's name in braces "
                "({age}), or give the text as system=…, or as a persona of its own: Personas.from_texts([…])."
            )

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The sentences of `text`."""
        return _pieces(self.text)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the slots of `text`, in order, each once."""
        return tuple(dict.fromkeys(slot.key for slot in _slots(self.text)))

    @property
    def each_parts(self) -> tuple[str | Slot, ...]:
        """The words and slots of `each`."""
        return _parts(self.each)

    def not_known(self, label: str) -> str:
        """What is said of a trait that is not known."""
        return "".join(label if isinstance(part, Slot) else part for part in _parts(self.unsaid))

    @classmethod
    def named(cls, name: str) -> Template:
        """Return a template that comes with plural_nb (see `templates`); SurveyError names the nearest right one.

        >>> Template.named("third_person").reword["my"]
        'their'
        """
        if name not in templates():
            raise SurveyError(
                f"There is no template {name!r}. {nearest(name, templates())} Your own: Template('I am {{age}}.'), or "
                "Template.from_toml(path)."
            )
        return cls.from_toml(data("templates", f"{name}.toml"))

    @classmethod
    def from_toml(cls, path: Path | str) -> Template:
        """Read a template from a TOML file whose keys are this class's fields; SurveyError says what is wrong."""
        path = Path(path)
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as problem:
            raise SurveyError(f"The template {path} cannot be read: {problem}.") from None
        except tomllib.TOMLDecodeError as problem:
            raise SurveyError(f"{path.name} is not valid TOML: {problem}.") from None
        known = [one.name for one in fields(cls) if one.name != "_"]
        for key in content:
            if key not in known:
                raise SurveyError(f"{path.name} has a key {key!r}. {nearest(key, known)}")
        try:
            return cls(content.pop("text", ""), **{"name": path.stem, **content})
        except (TypeError, AttributeError) as problem:
            raise SurveyError(f"{path.name}: {problem}.") from None


def templates() -> tuple[str, ...]:
    """Return the names of the templates that come with plural_nb.

    >>> "first_person" in templates()
    True
    """
    return tuple(sorted(path.stem for path in data("templates").glob("*.toml")))


def _words(content: Mapping[str, Any], key: str) -> Words:
    known = [one.name for one in fields(Words)]
    for name in content:
        if name not in known:
            raise SurveyError(f"Words for the trait {key!r} have no {name!r}. {nearest(name, known)}")
    made = Words(**content)
    if made.phrase and made.phrase.count("{}") != 1:
        raise SurveyError(f"Words for the trait {key!r}: the phrase {made.phrase!r} needs {{}} once, for the level.")
    return made


def _slots(text: str) -> list[Slot]:
    return [part for part in _parts(text) if isinstance(part, Slot)]


def _parts(text: str) -> tuple[str | Slot, ...]:
    """Words and slots in turn; braces that are neither doubled nor a slot are an error."""
    found: list[str | Slot] = []
    end = 0
    for match in _SLOT.finditer(text):
        found += [_plain(text[end : match.start()], text)]
        found.append(match[0][0] if match[1] is None else _slot(match[1], text))
        end = match.end()
    found.append(_plain(text[end:], text))
    return tuple(part for part in found if part != "")


def _plain(words: str, text: str) -> str:
    if "{" in words or "}" in words:
        raise SurveyError(f"The template {text!r} has a single brace. A slot is {{name}}; two braces stand for one.")
    return words


def _slot(inside: str, text: str) -> Slot:
    key, colon, form = (part.strip() for part in inside.partition(":"))
    if not key:
        raise SurveyError(f"The template {text!r} has an empty slot {{{inside}}}. Name a trait in it.")
    if colon and form not in get_args(Form):
        raise SurveyError(f"The slot {{{inside}}} asks for the form {form!r}. {nearest(form, get_args(Form))}")
    return Slot(key, form if colon else "said")  # type: ignore[arg-type]


def _pieces(text: str) -> tuple[Piece, ...]:
    found: list[Piece] = []
    before, begin = "", 0
    for match in _ENDS.finditer(text):
        end = match.start() + len(match["a"] or "")
        if _parts_or_none(text[begin:end]) is None:  # a full stop inside a slot ends nothing
            continue
        found.append(Piece(before, _parts(text[begin:end])))
        before, begin = match["space"] or match["line"], match.end()
    found.append(Piece(before, _parts(text[begin:])))
    return tuple(piece for piece in found if piece.parts)


def _parts_or_none(text: str) -> tuple[str | Slot, ...] | None:
    try:
        return _parts(text)
    except SurveyError:
        return None
