"""Codebooks: the TOML file that says what the columns and codes of a survey's file mean."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast, get_args

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Lonely
from plural_nb.survey.encoding import Code, same
from plural_nb.survey.mistakes import Mistakes
from plural_nb.survey.question import Kind, Option, Question, Wording
from plural_nb.survey.trait import Trait

_TOP = ("survey", "design", "traits", "questions")
_SURVEY = ("name", "title", "citation", "licence", "wording", "fieldwork", "note", "missing")
_DESIGN = ("weight", "stratum", "psu", "note", "lonely")
_TRAIT = ("label", "column", "phrase", "question", "missing", "options")
_LEVEL = ("code", "label", "said", "sentence", "low", "high")
_QUESTION = ("text", "wordings", "label", "kind", "wording", "column", "battery", "asked_of", "missing",
             "options")  # fmt: skip
_OPTION = ("code", "label", "value", "substantive", "offered", "pinned", "low", "high")


@dataclass(frozen=True, slots=True)
class Codebook:
    """What a codebook says: the survey's name and citation, its design, traits and questions, and where each one is.

    missing: codes that mean "no answer recorded" in every column.
    trait_missing, question_missing: those that do so in the column of one trait or question, besides.
    weight, stratum, psu: columns of the design, empty where there is none.
    lonely: what to do with strata of a single PSU (see `plural_nb.survey.design.Design`).
    trait_columns, question_columns: the column behind each trait and question.
    source: the codebook's file name, for messages.

    An option without a `code` has its label as code; one with `low` or `high` gathers low <= x < high (the last one
    in order includes its upper bound). Unknown keys, repeated codes or labels and overlapping bounds raise
    SurveyError, which lists the mistakes of all traits and questions.

    >>> book = Codebook.of({"questions": {"tea": {"text": "Tea?", "options": [{"label": "Yes"}, {"label": "No"}]}}})
    >>> book.columns, book.questions["tea"].options[0].code
    (('tea',), 'Yes')
    """

    name: str
    title: str
    citation: str
    licence: str
    wording: Wording
    fieldwork: str
    note: str
    missing: tuple[Code, ...]
    weight: str
    stratum: str
    psu: str
    design_note: str
    lonely: Lonely
    traits: Mapping[str, Trait]
    questions: Mapping[str, Question]
    trait_columns: Mapping[str, str]
    question_columns: Mapping[str, str]
    source: str
    trait_missing: Mapping[str, tuple[Code, ...]] = field(default_factory=dict)
    question_missing: Mapping[str, tuple[Code, ...]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column the codebook needs, once each, the design's first."""
        design = [c for c in (self.weight, self.stratum, self.psu) if c]
        return tuple(dict.fromkeys([*design, *self.trait_columns.values(), *self.question_columns.values()]))

    @classmethod
    def read(cls, path: Path | str) -> Codebook:
        """Read a codebook from a TOML file; SurveyError says what is wrong with it and where."""
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise SurveyError(
                f"There is no codebook at {path}. A codebook is a TOML file that names the columns."
            ) from None
        except (OSError, UnicodeDecodeError) as problem:
            raise SurveyError(
                f"The codebook {path} cannot be read: {problem}. It must be a text file in UTF-8."
            ) from None
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as problem:
            raise SurveyError(f"{path.name} is not valid TOML: {problem}.") from None
        return cls.of(content, source=path.name, name=path.stem)

    @classmethod
    def of(cls, content: Mapping[str, Any], *, source: str = "the codebook", name: str = "survey") -> Codebook:
        """Return the codebook with this content (the tables of its TOML file); `name` is the default name."""
        mistakes = Mistakes()
        about: Mapping[str, Any] = {}
        design: Mapping[str, Any] = {}
        missing: tuple[Code, ...] = ()
        wording, lonely = "paraphrased", "fail"
        where, in_design = f"{source}, [survey]", f"{source}, [design]"
        with mistakes.gathered():
            _known(content, _TOP, source, "")
        with mistakes.gathered():
            about = _table(content, "survey", source)
            _known(about, _SURVEY, source, "survey")
            wording = _choice(about.get("wording", wording), get_args(Wording), f"{where}: wording")
            missing = tuple(_codes(about.get("missing", []), f"{where}: missing"))
        with mistakes.gathered():
            design = _table(content, "design", source)
            _known(design, _DESIGN, source, "design")
            lonely = _choice(design.get("lonely", lonely), get_args(Lonely), f"{in_design}: lonely")
        traits: dict[str, Trait] = {}
        questions: dict[str, Question] = {}
        trait_columns: dict[str, str] = {}
        question_columns: dict[str, str] = {}
        trait_missing: dict[str, tuple[Code, ...]] = {}
        question_missing: dict[str, tuple[Code, ...]] = {}
        for key, entry in _entries(content, "traits", source, mistakes):
            here = f"{source}, [traits.{key}]"
            with mistakes.gathered():
                _known(_as_table(entry, here), _TRAIT, source, f"traits.{key}")
                trait_missing[key] = tuple(_codes(entry.get("missing", []), f"{here}: missing"))
                traits[key] = _trait(key, entry, here, (*missing, *trait_missing[key]))
                trait_columns[key] = _text(entry, "column", here, key)
        for key, entry in _entries(content, "questions", source, mistakes):
            here = f"{source}, [questions.{key}]"
            with mistakes.gathered():
                _known(_as_table(entry, here), _QUESTION, source, f"questions.{key}")
                question_missing[key] = tuple(_codes(entry.get("missing", []), f"{here}: missing"))
                questions[key] = _question(key, entry, here, (*missing, *question_missing[key]), cast(Wording, wording))
                question_columns[key] = _text(entry, "column", here, key)
        if not content.get("questions"):
            mistakes.add(f"{source} describes no question. Add one as [questions.KEY] with a text and options.")
        for texts, place in ((("name", "title", "citation", "licence", "fieldwork", "note"), (about, where)),
                             (("weight", "stratum", "psu", "note"), (design, in_design))):  # fmt: skip
            for text in texts:
                with mistakes.gathered():
                    _text(place[0], text, place[1])
        mistakes.tell(source)
        name = _text(about, "name", where, name)
        return cls(
            name=name,
            title=_text(about, "title", where, name),
            citation=_text(about, "citation", where),
            licence=_text(about, "licence", where),
            wording=cast(Wording, wording),
            fieldwork=_text(about, "fieldwork", where),
            note=_text(about, "note", where),
            missing=missing,
            weight=_text(design, "weight", in_design),
            stratum=_text(design, "stratum", in_design),
            psu=_text(design, "psu", in_design),
            design_note=_text(design, "note", in_design),
            lonely=cast(Lonely, lonely),
            traits=MappingProxyType(traits),
            questions=MappingProxyType(questions),
            trait_columns=MappingProxyType(trait_columns),
            question_columns=MappingProxyType(question_columns),
            source=source,
            trait_missing=MappingProxyType(trait_missing),
            question_missing=MappingProxyType(question_missing),
        )


def _trait(key: str, entry: Mapping[str, Any], where: str, missing: tuple[Code, ...]) -> Trait:
    phrase = _text(entry, "phrase", where)
    if phrase and phrase.count("{}") != 1:
        raise SurveyError(
            f'{where}: the phrase {phrase!r} needs {{}} once, where the level goes ("I live in the {{}}.").'
        )
    levels, sentences, said = [], [], []
    for i, item in enumerate(_list(entry, "options", where)):
        here = f"{where}, option {i + 1}"
        _known(_as_table(item, here), _LEVEL, here, "")
        option = _option(item, here)
        said.append(_text(item, "said", here, option.label))
        levels.append(option)
        sentences.append(_text(item, "sentence", here, phrase.replace("{}", said[-1])))
    _check_options(levels, missing, where)
    try:
        label = _text(entry, "label", where, _spoken(key))
        return Trait(key, label, tuple(levels), tuple(sentences), phrase, tuple(said), _text(entry, "question", where))
    except SurveyError as problem:
        raise SurveyError(f"{where}: {problem}") from None


def _question(key: str, entry: Mapping[str, Any], where: str, missing: tuple[Code, ...], wording: Wording) -> Question:
    kind = _choice(entry.get("kind", "nominal"), get_args(Kind), f"{where}: kind")
    options = []
    for i, item in enumerate(_list(entry, "options", where)):
        here = f"{where}, option {i + 1}"
        _known(_as_table(item, here), _OPTION, here, "")
        options.append(_option(item, here))
    _check_options(options, missing, where)
    wordings = _list(entry, "wordings", where) if "wordings" in entry else []
    if not all(isinstance(w, str) and w.strip() for w in wordings):
        raise SurveyError(f"{where}: wordings is a list of texts, each one another way to ask.")
    if "text" not in entry:
        raise SurveyError(f"{where} has no text: the question's words.")
    try:
        return Question(
            key,
            _text(entry, "text", where),
            tuple(options),
            kind=cast(Kind, kind),
            label=_text(entry, "label", where, _spoken(key)),
            wording=cast(Wording, _choice(entry.get("wording", wording), get_args(Wording), f"{where}: wording")),
            wordings=tuple(wordings),
            battery=_text(entry, "battery", where),
            asked_of=_text(entry, "asked_of", where),
        )
    except SurveyError as problem:
        raise SurveyError(f"{where}: {problem}") from None


def _option(item: Mapping[str, Any], where: str) -> Option:
    label = _text(item, "label", where)
    if not label.strip():
        raise SurveyError(f"{where} has no label.")
    bounds = None
    if "low" in item or "high" in item:
        if "code" in item:
            raise SurveyError(f"{where} ({label!r}) has both a code and bounds; give one of them.")
        bounds = (_number(item, "low", where, -math.inf), _number(item, "high", where, math.inf))
    code = item.get("code", None if bounds else label)
    if bounds is None:
        _codes([code], where)
    flags = {
        flag: item.get(flag, default) for flag, default in (("substantive", True), ("offered", True), ("pinned", False))
    }
    for flag, value in flags.items():
        if not isinstance(value, bool):
            raise SurveyError(f"{where}: {flag} is true or false, not {value!r}.")
    value = _number(item, "value", where, math.nan) if "value" in item else None
    return Option(label, code=code, value=value, bounds=bounds, **flags)


def _check_options(options: list[Option], missing: tuple[Code, ...], where: str) -> None:
    if not options:
        raise SurveyError(f"{where} lists no options.")
    labels = [o.label.strip() for o in options]
    for label in labels:
        if labels.count(label) > 1:
            raise SurveyError(f"{where}: two options have the label {label!r}; each needs its own.")
    seen: dict[object, Option] = {}
    for option in options:
        if option.bounds is not None:
            continue
        key = same(option.code)
        if key in seen:
            raise SurveyError(
                f"{where}: {seen[key].label!r} and {option.label!r} have the same code {option.code!r}; each needs its "
                "own."
            )
        seen[key] = option
    for code in missing:
        if same(code) in seen:
            raise SurveyError(
                f"{where}: {code!r} is an option here ({seen[same(code)].label!r}) and also in a list of missing "
                "codes. Take it out of one of them."
            )
    binned = sorted((o for o in options if o.bounds is not None), key=lambda o: o.bounds or (0.0, 0.0))
    for a, b in itertools.pairwise(binned):
        if a.bounds and b.bounds and a.bounds[1] > b.bounds[0]:
            raise SurveyError(f"{where}: {a.label!r} and {b.label!r} overlap ({a.bounds} and {b.bounds}).")


def _known(table: Mapping[str, Any], valid: Iterable[str], where: str, section: str) -> None:
    strange = [f"unknown key {key!r}. {nearest(key, valid)}" for key in table if key not in valid]
    if strange:
        raise SurveyError(f"{f'{where}, [{section}]' if section else where}: {' '.join(strange)}")


def _entries(content: Mapping[str, Any], key: str, source: str, mistakes: Mistakes) -> list[tuple[str, Any]]:
    with mistakes.gathered():
        return list(_table(content, key, source).items())
    return []


def _table(content: Mapping[str, Any], key: str, source: str) -> Mapping[str, Any]:
    return _as_table(content.get(key, {}), f"{source}, [{key}]")


def _as_table(entry: object, where: str) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise SurveyError(f"{where} must be a table of keys and values, not {entry!r}.")
    return entry


def _list(entry: Mapping[str, Any], key: str, where: str) -> list[Any]:
    found = entry.get(key, [])
    if not isinstance(found, list | tuple):
        raise SurveyError(f"{where}: {key} must be a list, not {found!r}.")
    return list(found)


def _text(entry: Mapping[str, Any], key: str, where: str, default: str = "") -> str:
    found = entry.get(key, default)
    if not isinstance(found, str):
        raise SurveyError(f"{where}: {key} must be text in quotes, not {found!r}.")
    return found


def _number(entry: Mapping[str, Any], key: str, where: str, default: float) -> float:
    found = entry.get(key, default)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise SurveyError(f"{where}: {key} must be a number, not {found!r}.")
    return float(found)


def _codes(found: Any, where: str) -> list[Code]:
    if not isinstance(found, list | tuple):
        raise SurveyError(f"{where} must be a list of codes, not {found!r}.")
    for code in found:
        if not isinstance(code, int | float | str | bool) or isinstance(code, dt.date):
            raise SurveyError(f"{where}: a code is a number, a text, true or false, not {code!r}.")
        if isinstance(code, float) and not math.isfinite(code):
            raise SurveyError(f"{where}: {code!r} cannot be a code; an empty cell is missing by itself.")
    return list(found)


def _choice(found: object, valid: Iterable[str], where: str) -> str:
    if found not in tuple(valid):
        raise SurveyError(f"{where}: unknown value {found!r}. {nearest(str(found), valid)}")
    return str(found)


def _spoken(key: str) -> str:
    return (key[:1].upper() + key[1:]).replace("_", " ")
