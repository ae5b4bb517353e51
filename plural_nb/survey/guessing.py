"""Questions and traits guessed from a file's own labels: what was guessed, why, and from which column."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from plural_nb.errors import SurveyError
from plural_nb.survey.encoding import same
from plural_nb.survey.labelled import Variable
from plural_nb.survey.question import Code, Kind, Option, Question, Wording
from plural_nb.survey.scales import scale_of
from plural_nb.survey.trait import Trait

# Above this many unlabelled values a column is a quantity and is shown in bins; up to it each value is an option.
MOST_POINTS = 11
_MOST_TEXTS = 24
_MOST_LEVELS = 24

_NO_OPINION = re.compile(
    r"^\W*(-?\d+\W+)?(do ?n[o']?t know|dont know|dk\b|d\.?k\.?$|can'?t (say|choose|decide)|cannot (say|choose)|"
    r"no opinion|refus\w*|declin\w*|prefer not|rather not|no answer|not answered|not asked|na$|n/?a$|"
    r"not applicable|inap\w*|does not apply|skip\w*|missing\w*|not ascertained|not available|no response|"
    r"unknown$|web blank|legitimate skip|error\b|no data|interview (breakoff|not)|no (pre|post)[- ]election)",
    re.IGNORECASE,
)
_TRAITS = (
    ("sex", re.compile(r"^(sex|gender|ppgender|male|female)\w{0,4}$"), re.compile(r"\b(sex|gender)\b")),
    ("age", re.compile(r"^(r?age|ppage|agea)(r|_?\w{0,6})$"), re.compile(r"\bage\b( group| in years| of respondent)?")),
    ("race", re.compile(r"^(race|raceth\w*|ethnic\w*|hisp\w*)$"), re.compile(r"\b(race|ethnicity|ethnic group)\b")),
    ("education", re.compile(r"^(educ\w*|degree|isced\w*|schooling)$"), re.compile(r"\beducation(al)?\b|\bdegree\b")),
    ("region", re.compile(r"^(region|state|division|bundesland|land)$"), re.compile(r"\bregion\b|\bcensus division\b")),
    ("income", re.compile(r"^(income\w*|hhinc\w*|rincome)$"), re.compile(r"\b(household|family) income\b")),
    ("party", re.compile(r"^(partyid|party|pid\w*)$"), re.compile(r"\bparty identification\b|\bparty id\b")),
    ("marital", re.compile(r"^(marital\w*|marstat)$"), re.compile(r"\bmarital status\b")),
    ("religion", re.compile(r"^(relig|religion|denom)$"), re.compile(r"^religio\w+( preference| denomination)?$")),
    ("urbanity", re.compile(r"^(urban\w*|rural|metro)$"), re.compile(r"\b(urban|rural)\b")),
    ("country", re.compile(r"^(cntry|country|b_country\w*|s003|isocntry)$"), re.compile(r"^country\b")),
)
_THERMOMETER = re.compile(r"thermometer|feeling.{0,20}(0|zero).{0,12}100|\b0 ?(-|to) ?100\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Guess:
    """What a column was taken for. kind: of the question; "trait" or "none" for columns that are no question.

    why: the reason, for a reader to agree or not. column: in the file.
    """

    key: str
    column: str
    kind: str
    why: str


def question_of(
    variable: Variable,
    column: pl.Series,
    *,
    force: Kind | None = None,
    missing: Collection[Code] = (),
    wording: Wording = "exact",
) -> tuple[Question | None, str]:
    """Return the question that a column of a labelled file asks, or None, and the reason.

    column: its codes, user-missing ones included. force: the kind, where the user has said it.
    missing: codes that carry no opinion whatever the file says, from a recipe.

    Labelled codes are options in the order of their codes, those declared missing or labelled "don't know", "refused"
    and the like non-substantive and not offered. A substantive label that nobody chose stays an option; a
    non-substantive one is listed only where it occurs. A code without a label is an option named by its number.
    """
    if variable.storage == "date":
        return None, "a date"
    counts = _counts(column)
    absent = {same(code) for code in missing}
    codes = list(dict.fromkeys([*variable.labels, *counts]))
    silent = [c for c in codes if _silent(variable, c, absent)]
    spoken = [c for c in codes if c not in silent]
    without = [Option(variable.labels.get(c) or f"Missing ({c})", code=c, substantive=False, offered=False)
               for c in sorted(silent, key=_order) if counts.get(c)]  # fmt: skip
    unlabelled = sorted((c for c in spoken if c not in variable.labels), key=_order)
    labelled = [c for c in spoken if c in variable.labels]
    if variable.storage == "text" or any(isinstance(c, str) for c in spoken):
        kind, options, why = _from_text(variable, labelled, unlabelled, column, counts)
    elif force == "numeric" or (force is None and _is_quantity(variable, labelled, unlabelled)):
        kind, options, why = _from_quantity(variable, [c for c in spoken if counts.get(c)], column, bare=not labelled)
    else:
        kind, options, why = _from_points(variable, labelled, unlabelled)
    if len(options) < 2:
        return None, why or ("only one value" if spoken else "no value carries opinion")
    if force in ("nominal", "ordinal") and kind != force:
        kind, why = force, "as you said"
    text = variable.label or variable.name
    return (
        Question(
            variable.name, text, (*_distinct(options), *_distinct(without, taken=options)), kind=kind or "nominal",
            label=_short(variable), wording=wording,
        ),
        why,
    )  # fmt: skip


def trait_of(
    variable: Variable, column: pl.Series, *, key: str = "", label: str = "", phrase: str = "",
    missing: Collection[Code] = (),
) -> tuple[Trait, tuple[Code, ...]] | None:  # fmt: skip
    """Return a trait made from a column, with the codes that leave a person's level unknown; None where it cannot be.

    phrase: a sentence with {} for the level ("I live in {}."); where empty, "Label: level." with the trait's label.
    A number of years becomes five age groups; a text or a labelled code its own level.
    """
    found, _ = question_of(variable, column, missing=missing)
    if found is None or len(found.substantive) > _MOST_LEVELS:
        return None
    levels = [found.options[i] for i in found.substantive]
    if found.kind == "numeric":
        if not is_trait(variable) or is_trait(variable) != "age":
            return None
        years = [float(c) for c in _counts(column) if not isinstance(c, str) and carries_opinion(variable, c, missing)]
        low, high = min(years), max(years)
        levels = _bins([low, *(e for e in (30, 45, 65) if low < e < high), high], whole=True)
    label = label or (variable.label if 0 < len(variable.label) <= 40 else _spoken(variable.name))
    phrase = phrase or (f"{label}: {{}}.")
    sentences = tuple(phrase.replace("{}", level.label) for level in levels)
    unknown = [o.code for o in found.options if not o.substantive and o.code is not None]
    bare = tuple(replace(level, value=None) for level in levels)
    return Trait(key or variable.name, label, bare, sentences, phrase), tuple(unknown)


def is_trait(variable: Variable) -> str:
    """The kind of trait ("sex", "age", "region") that a column's name or short label speaks of; empty for none.

    >>> is_trait(Variable("agegrp", "Age group")), is_trait(Variable("q7", "Should schools teach about sex?"))
    ('age', '')
    """
    name, label = variable.name.lower(), variable.label.lower()
    for kind, by_name, by_label in _TRAITS:
        if by_name.match(name) or (0 < len(label) <= 40 and not label.endswith("?") and by_label.search(label)):
            return kind
    return ""


def carries_opinion(variable: Variable, code: Code, missing: Collection[Code] = ()) -> bool:
    """Whether a code is neither declared missing nor labelled "don't know", "refused", "not applicable" or the like."""
    return not _silent(variable, code, {same(c) for c in missing})


def says_nothing(label: str) -> bool:
    """Whether a label's words say that there is no opinion: "don't know", "refused", "not applicable".

    >>> says_nothing("Don't know"), says_nothing("No trust at all"), says_nothing("Not applicable")
    (True, False, True)
    """
    return bool(_NO_OPINION.search(label))


def rekind(question: Question, kind: Kind, values: Sequence[float] | None = None) -> Question:
    """Return a question with its options taken as nominal or ordinal; `values` are the substantive options' places.

    >>> from plural_nb.survey.question import ask_for
    >>> rekind(ask_for("Which?", ["Agree", "Disagree", "Neither"]), "ordinal", [1, 3, 2]).values
    (1.0, 3.0, 2.0)
    """
    places = question.substantive
    if values is not None and kind == "nominal":
        raise SurveyError(f"Question {question.key!r}: nominal options have no values. Call it ordinal, or give none.")
    if values is not None and len(values) != len(places):
        raise SurveyError(
            f"Question {question.key!r} has {len(places)} options that carry opinion, and {len(values)} values are "
            f"given. Give one for each of: {', '.join(question.options[i].label for i in places)}."
        )
    given = dict(zip(places, values, strict=True)) if values is not None else {}
    options = tuple(replace(o, value=float(given[i]) if i in given else None) for i, o in enumerate(question.options))
    return replace(question, options=options, kind=kind)


def bins_of(values: np.ndarray[Any, Any], *, thermometer: bool = False) -> list[Option]:
    """Return intervals for a chart of exact values: five of twenty for a thermometer, else about six of equal width.

    Where the values are skewed (their range is over ten times the middle half) the intervals hold about equal
    numbers of rows instead. The last one includes its upper bound.

    >>> [option.label for option in bins_of(np.array([0, 15, 50, 85, 100]), thermometer=True)]
    ['0 to 19', '20 to 39', '40 to 59', '60 to 79', '80 to 100']
    """
    low, high = float(values.min()), float(values.max())
    whole = bool((values == np.round(values)).all())
    if thermometer or (low == 0 and high == 100):
        return _bins([0, 20, 40, 60, 80, 100], whole)
    quarter = np.quantile(values, [0.25, 0.75])
    if high - low > 10 * max(quarter[1] - quarter[0], 1e-12):
        cuts = [_rounded(float(q)) for q in np.quantile(values, [0.2, 0.4, 0.6, 0.8])]
        inner = sorted({c for c in cuts if low < c < high})
        if inner:
            return _bins([low, *inner, high], whole)
    step = _nice((high - low) / 6)
    if whole:
        step = max(1.0, round(step))
    first = math.floor(low / step) * step
    edges = [first + i * step for i in range(math.ceil((high - first) / step + 1e-9) + 1)]
    while len(edges) > 2 and edges[-2] >= high:
        edges.pop()
    if len(edges) < 3:
        edges = [first, first + step, first + 2 * step]
    return _bins(edges, whole)


def _from_text(
    variable: Variable, labelled: list[Code], unlabelled: list[Code], column: pl.Series, counts: dict[Code, int]
) -> tuple[Kind | None, list[Option], str]:
    rows = max(sum(counts.values()), 1)
    if len(unlabelled) > _MOST_TEXTS or (not labelled and len(unlabelled) * 2 > rows and rows > 10):
        return None, [], "free text"
    options = [Option(variable.labels.get(c) or str(c), code=c) for c in [*labelled, *unlabelled]]
    return "nominal", options, "labelled texts" if labelled else "a few different texts"


def _from_quantity(
    variable: Variable, codes: list[Code], column: pl.Series, *, bare: bool
) -> tuple[Kind | None, list[Option], str]:
    values = np.array([float(c) for c in codes if not isinstance(c, str)])
    if values.size < 2:
        return None, [], "only one value"
    whole = bool((values == np.round(values)).all())
    if bare and whole and values.size > 0.9 * column.len() and values.size > 50 and not is_trait(variable):
        return None, [], "a different whole number in almost every row: an identifier"
    hot = bool(_THERMOMETER.search(variable.label)) and values.min() >= 0 and values.max() <= 100
    inside = column.cast(pl.Float64, strict=False).drop_nulls().to_numpy()
    kept = inside[np.isin(inside, values)]
    why = "a thermometer from 0 to 100" if hot else f"{values.size} different numbers"
    return "numeric", bins_of(kept if kept.size else values, thermometer=hot), f"{why}, in bins for charts"


def _from_points(
    variable: Variable, labelled: list[Code], unlabelled: list[Code]
) -> tuple[Kind | None, list[Option], str]:
    codes = sorted([*labelled, *unlabelled], key=_order)
    options = [Option(variable.labels.get(c) or _plain(c), code=c) for c in codes]
    if not labelled:
        if len(codes) < 3:
            return "nominal", options, "two numbers without labels"
        return "ordinal", [replace(o, value=float(o.code or 0)) for o in options], "whole numbers without labels"
    ends = {codes[0], codes[-1]} <= set(labelled)
    if unlabelled and ends and len(codes) > 3:
        return "ordinal", [replace(o, value=float(o.code or 0)) for o in options], "a scale of numbers with named ends"
    name, in_order = scale_of([variable.labels[c] for c in sorted(labelled, key=_order)])
    stray = f"; {len(unlabelled)} codes have no label" if unlabelled else ""
    if name and in_order and not unlabelled:
        said = ", and the file says ordinal" if variable.measure == "ordinal" else ""
        return "ordinal", options, f"labels in the order of a scale ({name}){said}"
    if name and not in_order:
        return "nominal", options, f"labels of a scale ({name}) that are not in its order{stray}"
    if variable.measure == "ordinal" and len(codes) > 2:
        return "nominal", options, f"the file says ordinal, the labels do not show it{stray}"
    return "nominal", options, ("two options" if len(codes) == 2 else "labels without an order") + stray


def _is_quantity(variable: Variable, labelled: list[Code], unlabelled: list[Code]) -> bool:
    if _THERMOMETER.search(variable.label) and len(unlabelled) > 3:
        return True
    return len(unlabelled) > MOST_POINTS or any(isinstance(c, float) for c in unlabelled)


def _silent(variable: Variable, code: Code, absent: set[Any]) -> bool:
    label = variable.labels.get(code, "")
    return variable.is_missing(code) or same(code) in absent or bool(label and _NO_OPINION.search(label))


def _counts(column: pl.Series) -> dict[Code, int]:
    filled = column.drop_nulls()
    if filled.dtype.is_float():
        filled = filled.drop_nans()
    table = filled.rename("value").value_counts(name="rows")
    return {_natural(v): n for v, n in zip(table["value"].to_list(), table["rows"].to_list(), strict=True) if v != ""}


def _natural(value: Any) -> Code:
    found = same(value)
    if isinstance(found, float):
        return int(found) if found.is_integer() else found
    return found if isinstance(found, int | str) else str(value)


def _order(code: Code) -> tuple[bool, float, str]:
    return (True, 0.0, code) if isinstance(code, str) else (False, float(code), "")


def _distinct(options: Iterable[Option], taken: Sequence[Option] = ()) -> list[Option]:
    """Labels that two codes share are told apart by their codes."""
    found = list(options)
    labels = [o.label.strip() for o in [*taken, *found]]
    return [replace(o, label=f"{o.label} ({o.code})") if labels.count(o.label.strip()) > 1 else o for o in found]


def _short(variable: Variable) -> str:
    if not variable.label:
        return variable.name
    return variable.label if len(variable.label) <= 70 else f"{variable.name}: {variable.label[:55].rstrip()}…"


def _spoken(key: str) -> str:
    return (key[:1].upper() + key[1:]).replace("_", " ")


def _plain(code: Code) -> str:
    return f"{code:g}" if isinstance(code, float) else str(code)


def _bins(edges: Sequence[float], whole: bool) -> list[Option]:
    found = []
    for i, (low, high) in enumerate(itertools.pairwise(edges)):
        last = i == len(edges) - 2
        if whole:
            top = high if last else high - 1
            label = f"{low:,.0f}" if top <= low else f"{low:,.0f} to {top:,.0f}"
        else:
            label = f"{low:g} to {high:g}" if last else f"{low:g} to under {high:g}"
        found.append(Option(label, bounds=(float(low), float(high))))
    return found


def _nice(width: float) -> float:
    power = 10 ** math.floor(math.log10(width)) if width > 0 else 1.0
    return next(m * power for m in (1, 2, 5, 10) if m * power >= width - 1e-12)


def _rounded(value: float) -> float:
    if value == 0:
        return 0.0
    digits = 1 - math.floor(math.log10(abs(value)))
    return round(value, digits)
