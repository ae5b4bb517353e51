"""A survey made from a file's own labels: questions, traits and the design, each named and none assumed in silence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.batteries import Battery, batteries_of
from plural_nb.survey.columns import Columns, Lazy
from plural_nb.survey.design import Design, Lonely
from plural_nb.survey.encoding import Places, encode, numbers
from plural_nb.survey.guessing import carries_opinion, is_trait, question_of, trait_of
from plural_nb.survey.labelled import Variable
from plural_nb.survey.question import Code, Option, Question, Wording
from plural_nb.survey.recipes import Match, find
from plural_nb.survey.replicates import Kind, Replicates
from plural_nb.survey.survey import Survey
from plural_nb.survey.trait import Trait

_ROLES = ("weight", "stratum", "psu")
_NAMED = {
    "replicates": re.compile(r"^(pw?gtp|wgtp|repwt|rep_?wt|brr|fay|jk|bsw|bootw|rw|finalwt_?r)\w*\d+$|_rep_?\d+$"),
    "weight": re.compile(
        r"^(w|wt|wgt|pw|wht|pond\w*|peso|gew\w*|ghv\w*)\d*$|weight|wtss|wgt|_wt\b|^wt_|pspw|dweight|wt$|llcpwt|perwt|pwgtp$"
    ),
    "stratum": re.compile(r"(^|_)v?strat(um|a|e|id)?(\d*|_\w+)$|^_?ststr$|^raestrat$"),
    "psu": re.compile(r"(^|_)v?psu(\d*|_\w+)$|^cluster(_?id|\d*)$|^secu$|sampling_?point|^raehsamp$"),
}
_SAID = {
    "weight": re.compile(r"\b(weight(s|ing)?|weighting factor)\b(?!.*\b(kg|kilo|pounds|lbs|height|lose|gain|body)\b)"),
    "stratum": re.compile(r"\bstrat(um|a)\b|\bstratification\b"),
    "psu": re.compile(r"\bpsu\b|primary sampling unit|\bcluster\b"),
    "replicates": re.compile(r"\breplicate weight"),
}
_ASKED_ABOUT = re.compile(r"\b(your|you|respondent'?s?|body|how much do)\b.*\bweigh", re.IGNORECASE)
_BLANK = "(blank)"
_KINDS: Mapping[str, Kind] = {
    "sdr": "successive differences", "brr": "BRR", "fay": "Fay", "jk1": "JK1", "jkn": "JKn", "bootstrap": "bootstrap",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for when reading: columns of the design and of traits, and which columns to keep."""

    weight: str = ""
    stratum: str = ""
    psu: str = ""
    traits: Sequence[str] | None = None
    lonely: Lonely = "fail"


def survey_of(
    columns: Columns,
    variables: Mapping[str, Variable],
    *,
    name: str,
    title: str,
    source: str,
    rows: int | None,
    match: Match | None = None,
    wanted: Wanted | None = None,
    sets: Mapping[str, Sequence[str]] | None = None,
    wording: Wording = "exact",
) -> Survey:
    """Return a survey made from columns and what a file says of them.

    match: the recipe to follow for weights, strata, PSUs, missing codes and traits. wanted: what the user asked for,
    which comes first. Where neither names a weight, none is used and the candidates are named in the note.
    """
    wanted = wanted or Wanted()
    absent = match.recipe.missing if match else ()
    roles, notes = _roles(columns, variables, match, wanted, source)
    candidates = {} if "weight" in roles else _candidates(variables)
    design, assumed = _design(columns, roles, match, wanted, source, rows)
    batteries = batteries_of(list(variables.values()), sets=sets)
    if design.n == 0:
        raise SurveyError(f"{source} has no rows.")
    taken = {*roles.values(), *_of_the_design(columns, variables), *(match.replicates if match else ())}
    taken |= {u.column for u in match.others} if match else set()
    ticked = _ticked(batteries, variables, absent)
    keys = list(_keys(columns, variables, taken, absent, ticked))
    if not keys:
        raise SurveyError(
            f"{source} has no column that could be a question: none has value labels or a few different values. Give "
            "a codebook."
        )
    grid = {c: b for b in batteries for c in b.columns}
    made: Lazy[tuple[Question, str]] = Lazy(
        keys, lambda key: _question(key, columns, variables, absent, grid, ticked, wording)
    )

    def places(key: str) -> Places:
        return _places(key, made[key][0], columns, ticked, source)

    traits, trait_codes, trait_columns = _traits(columns, variables, match, wanted, absent, source)
    note = " ".join(
        part
        for part in (match.sentence() if match else "", _advice(roles, candidates, source), *notes, *assumed)
        if part
    )
    return Survey(
        name=name,
        title=title,
        columns=columns,
        questions=Lazy(keys, lambda key: made[key][0]),
        traits=MappingProxyType(traits),
        design=design,
        trait_codes=MappingProxyType(trait_codes),
        answer_codes=Lazy(keys, places),
        citation=match.recipe.citation if match else "",
        note=note,
        wording=wording,
        question_columns={key: key for key in keys},
        trait_columns=trait_columns,
        roles=roles,
        reasons=Lazy(keys, lambda key: made[key][1]),
        candidates=candidates,
        recipe=match,
        batteries=tuple(b for b in batteries if sum(c in set(keys) for c in b.columns) > 1),
        variables=variables,
        source=source,
    )


def _keys(
    columns: Columns, variables: Mapping[str, Variable], taken: set[str], absent: Sequence[Code],
    ticked: Mapping[str, Battery],
) -> Iterable[str]:  # fmt: skip
    """Columns that are questions. Of a large file only those whose labels alone show it, so that it is not read."""
    for name, variable in variables.items():
        if name in taken or variable.storage == "date":
            continue
        labels = sum(carries_opinion(variable, code, absent) for code in variable.labels)
        sure = name in ticked or (labels >= 2 and variable.storage == "number")
        if sure or (columns.in_memory and question_of(variable, columns[name], missing=absent)[0] is not None):
            yield name


def _question(
    key: str, columns: Columns, variables: Mapping[str, Variable], absent: Sequence[Code],
    grid: Mapping[str, Battery], ticked: Mapping[str, Battery], wording: Wording,
) -> tuple[Question, str]:  # fmt: skip
    variable, battery = variables[key], grid.get(key)
    text = variable.label or key
    if key in ticked:
        code = next(c for c in variable.labels if carries_opinion(variable, c, absent))
        label = variable.labels[code]
        options = (Option(label if label.lower() not in text.lower() else "Selected", code=code),
                   Option("Not selected", code=_BLANK))  # fmt: skip
        question = Question(key, text, options, label=_item(key, battery) or text, wording=wording)
        why = "one item of a multi-select: blank means not selected where another item of it was"
    else:
        found, why = question_of(variable, columns[key], missing=absent, wording=wording)
        if found is None:
            raise SurveyError(f"Column {key!r} is no question: {why}.")
        question = found
    return (replace(question, battery=battery.stem or battery.name), why) if battery else (question, why)


def _places(key: str, question: Question, columns: Columns, ticked: Mapping[str, Battery], source: str) -> Places:
    where = f"{source}, column {key!r}"
    if key not in ticked:
        return encode(columns[key], question.options, where=where)
    together = columns.read(ticked[key].columns)
    places = encode(together[key], question.options, where=where).copy()
    any_ticked = together.select(pl.any_horizontal(pl.all().is_not_null())).to_series().to_numpy()
    places[(places < 0) & any_ticked & together[key].is_null().to_numpy()] = 1
    return places


def _ticked(
    batteries: Sequence[Battery], variables: Mapping[str, Variable], absent: Sequence[Code]
) -> dict[str, Battery]:
    """Columns of multi-selects that hold one code where ticked and nothing where not."""
    return {
        name: battery
        for battery in batteries
        if battery.kind == "multi-select"
        for name in battery.columns
        if sum(carries_opinion(variables[name], c, absent) for c in variables[name].labels) == 1
    }


def _item(key: str, battery: Battery | None) -> str:
    return battery.items[battery.columns.index(key)] if battery else ""


def _traits(
    columns: Columns, variables: Mapping[str, Variable], match: Match | None, wanted: Wanted, absent: Sequence[Code],
    source: str,
) -> tuple[dict[str, Trait], dict[str, Places], dict[str, str]]:  # fmt: skip
    asked: dict[str, tuple[str, str, str]] = {}
    if wanted.traits is not None:
        for column in wanted.traits:
            if column not in variables:
                raise SurveyError(f"{source} has no column {column!r} for a trait. {nearest(column, variables)}")
            asked[column] = (column, "", "")
    elif match and match.recipe.traits:
        for key, entry in match.recipe.traits.items():
            wishes = [entry["column"]] if isinstance(entry["column"], str) else entry["column"]
            column = next((c for wish in wishes if (c := find(wish, list(variables)))), "")
            if column:
                asked[key] = (column, entry.get("label", ""), entry.get("phrase", ""))
    else:
        for name, variable in variables.items():
            kind = is_trait(variable)
            if kind and kind not in {is_trait(variables[c]) for c, _, _ in asked.values()}:
                asked[name] = (name, "", "")
    columns.read([column for column, _, _ in asked.values()]) if asked else None
    traits: dict[str, Trait] = {}
    codes: dict[str, Places] = {}
    where: dict[str, str] = {}
    for key, (column, label, phrase) in asked.items():
        series = columns[column]
        found = trait_of(variables[column], series, key=key, label=label, phrase=phrase, missing=absent)
        if found is None:
            if wanted.traits is not None:
                raise SurveyError(
                    f"{source}, column {column!r} has no few levels to pick people by. Give it groups in a codebook."
                )
            continue
        traits[key], unknown = found
        codes[key] = encode(series, found[0].options, where=f"{source}, column {column!r} (trait {key!r})",
                            missing=unknown, every="levels")  # fmt: skip
        where[key] = column
    return traits, codes, where


def _roles(
    columns: Columns, variables: Mapping[str, Variable], match: Match | None, wanted: Wanted, source: str
) -> tuple[dict[str, str], list[str]]:
    roles: dict[str, str] = {}
    for role in _ROLES:
        column = getattr(wanted, role)
        if column:
            if column not in variables:
                raise SurveyError(f"{source} has no column {column!r} to be the {role}. {nearest(column, variables)}")
            labels = [v for c, v in variables[column].labels.items() if carries_opinion(variables[column], c)]
            if role == "weight" and len(labels) > 1:
                raise SurveyError(
                    f"{source}: {column!r} cannot be the weight; it has value labels ({', '.join(labels[:3])}). "
                    + _named("weight", _candidates(variables).get("weight", ()))
                )
            roles[role] = column
        elif match and getattr(match, role):
            roles[role] = getattr(match, role)
    notes = [f"The {role} is {roles[role]!r}, as you said." for role in _ROLES if getattr(wanted, role) and match]
    return roles, notes


def _design(
    columns: Columns, roles: Mapping[str, str], match: Match | None, wanted: Wanted, source: str, rows: int | None
) -> tuple[Design, list[str]]:
    assumed: list[str] = []
    parts: dict[str, Any] = {"weight": None, "stratum": None, "psu": None}
    frame = columns.read(list(dict.fromkeys(roles.values()))) if roles else None
    n = frame.height if frame is not None else rows if rows is not None else columns.frame().height
    if frame is not None and "weight" in roles:
        column = frame[roles["weight"]]
        weight = numbers(column, where=f"{source}, the weight column {roles['weight']!r}").copy()
        lost = np.isnan(weight)
        if lost.any() and not wanted.weight:
            weight[lost] = 0.0
            assumed.append(f"{int(lost.sum())} of {n} rows have no {roles['weight']} and are kept out (weight 0).")
        parts["weight"] = weight
    for role in ("stratum", "psu"):
        if frame is None or role not in roles:
            continue
        labels = _labels_of(frame[roles[role]])
        empty = np.array([label is None for label in labels])
        if empty.any():
            asked = getattr(wanted, role)
            if asked or (parts["weight"] is None):
                raise SurveyError(
                    f"{source}, column {roles[role]!r}: {int(empty.sum())} rows have no {role}. Every respondent "
                    "needs one."
                )
            assumed.append(
                f"{int(empty.sum())} rows have no {roles[role]}: "
                + ("they form a stratum of their own." if role == "stratum" else "each is taken as a PSU of its own.")
            )
            labels = [f"(none){i if role == 'psu' else ''}" if x is None else x for i, x in enumerate(labels)]
        parts[role] = np.array(labels)
    replicates = _replicates(columns, match, roles)
    said = [what for what, role in (("strata", "stratum"), ("PSUs", "psu")) if role in roles]
    sampling = "the sample's " + " and ".join(said) if said else "simple random sampling"
    if replicates is not None:
        sampling = f"{replicates.size} replicate weights ({replicates.kind})"
    fixed = f" and fixed weights ({roles['weight']})" if "weight" in roles else ", without weights"
    by = (
        f"; by the recipe {match.recipe.name}, verified from {match.recipe.verified}"
        if match and not wanted.weight
        else ""
    )
    design = Design.from_columns(
        parts["weight"],
        parts["stratum"],
        parts["psu"],
        n=n,
        note=f"standard errors assume {sampling}{fixed}{by}",
        weight_name=f"{source}, column {roles['weight']!r}" if "weight" in roles else "",
        lonely=wanted.lonely,
        replicates=replicates,
    )
    return design, assumed


def _replicates(columns: Columns, match: Match | None, roles: Mapping[str, str]) -> Replicates | None:
    """The replicate weights of a recipe, where the weight they belong to is the one that is used."""
    if match is None or not match.replicates or roles.get("weight") != match.weight:
        return None
    use = match.recipe.replicates
    if use is None:
        return None
    if len(match.replicates) != use.count:
        raise SurveyError(
            f"{match.recipe.title} has {use.count} replicate weights ({use.columns}); this file has "
            f"{len(match.replicates)}. Read it with recipe=False, or with the whole file."
        )
    weights = columns.read(match.replicates).cast(pl.Float64).to_numpy()
    return Replicates(weights, use.scale, None, use.centre, _KINDS[use.method])


def _labels_of(column: pl.Series) -> list[str | None]:
    if column.dtype.is_float():
        column = column.fill_nan(None)
        if bool((column.drop_nulls() == column.drop_nulls().round()).all()):
            column = column.cast(pl.Int64)
    return [None if v in (None, "") else str(v) for v in column.to_list()]


def _candidates(variables: Mapping[str, Variable]) -> dict[str, tuple[str, ...]]:
    """Columns whose names or labels speak of a weight, a stratum, a PSU or replicate weights."""
    found: dict[str, list[str]] = {}
    for name, variable in variables.items():
        label = variable.label.lower()
        for role, pattern in _NAMED.items():
            said = bool(label) and bool(_SAID[role].search(label)) and not _ASKED_ABOUT.search(label)
            if variable.storage != "date" and (pattern.search(name.lower()) or said):
                if role == "weight" and (
                    variable.storage != "number" or sum(not variable.is_missing(c) for c in variable.labels) > 1
                ):
                    continue
                if role == "weight" and label and _ASKED_ABOUT.search(label):
                    continue
                found.setdefault(role, []).append(name)
                break
    return {role: tuple(names) for role, names in found.items()}


def _of_the_design(columns: Columns, variables: Mapping[str, Variable]) -> set[str]:
    """Columns that speak of the sample rather than of people, whether used or not; they are no questions.

    A column of whole numbers that is called a weight may be what people weigh, so it stays a question.
    """
    found = _candidates(variables)
    said = {name for names in found.values() for name in names}
    said -= {name for name in found.get("weight", ()) if columns.in_memory and _is_whole(columns[name])}
    return {name for name in said if sum(carries_opinion(variables[name], c) for c in variables[name].labels) < 2}


def _is_whole(column: pl.Series) -> bool:
    filled = column.drop_nulls()
    return filled.dtype.is_integer() or (filled.dtype.is_float() and bool((filled == filled.round()).all()))


def _advice(roles: Mapping[str, str], candidates: Mapping[str, tuple[str, ...]], source: str) -> str:
    if "weight" in roles or not candidates:
        return "" if "weight" in roles else "No weight is used."
    named = "; ".join(f"{role}: {', '.join(names[:6])}" for role, names in candidates.items())
    first = next((f"{role}={names[0]!r}" for role, names in candidates.items() if role != "replicates"), "")
    return f"No weight is used. {source} may hold a design ({named}); to use it: read_survey(..., {first})."


def _named(role: str, names: Sequence[str]) -> str:
    return f"Columns that may hold the {role}: {', '.join(names[:6])}." if names else f"No column looks like a {role}."
