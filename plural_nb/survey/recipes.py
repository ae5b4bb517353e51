"""Recipes: what is known of the files of well-known surveys, as data; a file is matched by its columns."""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

from plural_nb.errors import SurveyError, nearest
from plural_nb.resources import data
from plural_nb.survey.question import Code

Verified = Literal["file", "documentation", "memory"]
Method = Literal["sdr", "brr", "fay", "jk1", "jkn", "bootstrap"]

_TOP = ("recipe", "match", "weights", "design", "replicates", "missing", "columns", "traits")
_RECIPE = ("name", "title", "citation", "documentation", "verified", "note", "address")
_MATCH = ("all", "any", "none")
_WEIGHT = ("column", "use")
_DESIGN = ("stratum", "psu", "note")
_REPLICATES = ("weight", "columns", "count", "method", "scale", "centre", "rho", "note")
_MISSING = ("codes", "note")
_COLUMNS = ("country", "year", "respondent")
_TRAIT = ("column", "label", "phrase")


@dataclass(frozen=True, slots=True)
class WeightUse:
    """One weight of a file and what it is for, in words. The column may be a pattern ("WEIGHT_W*")."""

    column: str
    use: str


@dataclass(frozen=True, slots=True)
class ReplicateUse:
    """Replicate weights: columns as a pattern, how many, and how they become a variance.

    weight: the full-sample weight they belong to. Var = scale · Σ_r (θ_r − centre)²; centre is "theta" or "mean".
    rho: Fay's factor, 0 elsewhere.
    """

    columns: str
    count: int
    method: Method
    scale: float
    weight: str = ""
    centre: Literal["theta", "mean"] = "theta"
    rho: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is known of one survey's files.

    verified: how it was checked: against a "file", in its "documentation", or not at all (from "memory").
    weights: in the order of preference; the first one that a file has is taken, and named.
    strata, psu: columns to try, in order. missing: codes that carry no opinion in every column.
    traits: trait key to {column, label, phrase}; the column may be a list to try in order.
    """

    name: str
    title: str
    citation: str
    documentation: str
    verified: Verified
    note: str
    address: str
    match_all: tuple[tuple[str, ...], ...]
    match_any: tuple[str, ...]
    match_none: tuple[str, ...]
    weights: tuple[WeightUse, ...]
    strata: tuple[str, ...]
    psu: tuple[str, ...]
    design_note: str
    replicates: ReplicateUse | None
    missing: tuple[Code, ...]
    missing_note: str
    columns: Mapping[str, str]
    traits: Mapping[str, Mapping[str, Any]]

    def fits(self, names: Sequence[str]) -> tuple[str, ...]:
        """The columns by which a file is taken for this survey; empty where it is not. Case does not count."""
        found: list[str] = []
        for choice in self.match_all:
            here = next((c for wanted in choice if (c := find(wanted, names))), "")
            if not here:
                return ()
            found.append(here)
        if self.match_any:
            here = next((c for wanted in self.match_any if (c := find(wanted, names))), "")
            if not here:
                return ()
            found.append(here)
        if any(find(wanted, names) for wanted in self.match_none):
            return ()
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Match:
    """A recipe applied to a file: by which columns it was recognised, and which design columns it names there.

    others: the further weights of the file that the recipe knows, with what each is for.
    """

    recipe: Recipe
    by: tuple[str, ...]
    weight: str = ""
    weight_use: str = ""
    stratum: str = ""
    psu: str = ""
    replicates: tuple[str, ...] = field(default=(), repr=False)
    others: tuple[WeightUse, ...] = ()
    asked: bool = False

    def sentence(self) -> str:
        """What was recognised, by what, with which design, and how far the recipe was checked."""
        how = {
            "file": "checked against a file of this survey",
            "documentation": "written from the survey's documentation, not checked against a file",
            "memory": "written from memory: check it against the documentation before you publish",
        }[self.recipe.verified]
        found = f"Recognised by {', '.join(self.by)} as" if self.by and not self.asked else "Read as"
        parts = [
            f"weight {self.weight} ({self.weight_use})" if self.weight else "no weight",
            f"strata {self.stratum}" if self.stratum else "",
            f"PSUs {self.psu}" if self.psu else "",
            f"{len(self.replicates)} replicate weights" if self.replicates else "",
        ]
        other = "; other weights: " + ", ".join(f"{w.column} ({w.use})" for w in self.others) if self.others else ""
        note = f" {self.recipe.note}" if self.recipe.note else ""
        return f"{found} {self.recipe.title}: {', '.join(p for p in parts if p)}{other}. The recipe was {how}.{note}"


def recipes() -> tuple[Recipe, ...]:
    """Return every recipe that comes with plural_nb.

    >>> "gss" in [recipe.name for recipe in recipes()]
    True
    """
    return _shipped()


def recipe(name: str | Path) -> Recipe:
    """Return a recipe by name, or read one from a TOML file of your own; SurveyError names the nearest."""
    for known in _shipped():
        if known.name == str(name):
            return known
    if str(name).endswith(".toml"):
        return _read(Path(name).expanduser())
    raise SurveyError(f"There is no recipe {str(name)!r}. {nearest(str(name), [r.name for r in _shipped()])}")


def matching(names: Sequence[str]) -> tuple[Recipe, ...]:
    """Return the recipes whose columns these are, the one that names most columns first."""
    fitting = [(r, r.fits(names)) for r in _shipped()]
    return tuple(r for r, by in sorted(fitting, key=lambda pair: -len(pair[1])) if by)


def apply(chosen: Recipe, names: Sequence[str], *, asked: bool = False) -> Match:
    """Return what a recipe says of a file with these columns.

    A weight's pattern that fits several columns names none: which of them is meant is for the user to say.
    """
    present: list[WeightUse] = []
    for use in chosen.weights:
        fitting = _fitting(use.column, names)
        present += [WeightUse(column, use.use) for column in fitting]
    first = next((u for u in chosen.weights if _fitting(u.column, names)), None)
    fitting = _fitting(first.column, names) if first else []
    weight = fitting[0] if first and len(fitting) == 1 else ""
    replicates = tuple(_fitting(chosen.replicates.columns, names)) if chosen.replicates else ()
    if chosen.replicates and weight.lower() != (chosen.replicates.weight or weight).lower():
        replicates = ()
    return Match(
        chosen,
        chosen.fits(names),
        weight=weight,
        weight_use=first.use if first and weight else "",
        stratum=next((c for wanted in chosen.strata if (c := find(wanted, names))), ""),
        psu=next((c for wanted in chosen.psu if (c := find(wanted, names))), ""),
        replicates=replicates,
        others=tuple(u for u in present if u.column != weight),
        asked=asked,
    )


def find(wanted: str, names: Sequence[str]) -> str:
    """The first column that a name or pattern means, whatever its case; empty where there is none."""
    return next(iter(_fitting(wanted, names)), "")


def _fitting(wanted: str, names: Sequence[str]) -> list[str]:
    low = wanted.lower()
    if not any(mark in low for mark in "*?#["):
        return [name for name in names if name.lower() == low][:1]
    if "#" in low:
        head, _, tail = low.partition("#")
        middle = [(n, n.lower()[len(head) : len(n) - len(tail) or None]) for n in names
                  if n.lower().startswith(head) and n.lower().endswith(tail)]  # fmt: skip
        return [n for n, number in sorted((p for p in middle if p[1].isdigit()), key=lambda p: int(p[1]))]
    return [name for name in names if fnmatch.fnmatchcase(name.lower(), low)]


@cache
def _shipped() -> tuple[Recipe, ...]:
    return tuple(_read(path) for path in sorted(data("surveys", "recipes").glob("*.toml")))


def _read(path: Path) -> Recipe:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SurveyError(f"There is no recipe at {path}.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise SurveyError(f"The recipe {path.name} cannot be read: {problem}.") from None
    _known(content, _TOP, path.name)
    about = _part(content, "recipe", _RECIPE, path)
    match = _part(content, "match", _MATCH, path)
    design = _part(content, "design", _DESIGN, path)
    missing = _part(content, "missing", _MISSING, path)
    columns = _part(content, "columns", _COLUMNS, path)
    verified = about.get("verified")
    if verified not in get_args(Verified):
        raise SurveyError(f"{path.name}: verified is {verified!r}. {nearest(str(verified), get_args(Verified))}")
    for item in content.get("weights", []):
        _known(item, _WEIGHT, f"{path.name}, [[weights]]")
    for key, item in content.get("traits", {}).items():
        _known(item, _TRAIT, f"{path.name}, [traits.{key}]")
    replicates = _part(content, "replicates", _REPLICATES, path)
    try:
        return Recipe(
            name=about.get("name", path.stem),
            title=about["title"],
            citation=about["citation"],
            documentation=about["documentation"],
            verified=cast(Verified, verified),
            note=about.get("note", ""),
            address=about.get("address", ""),
            match_all=tuple(_several(choice) for choice in match.get("all", [])),
            match_any=_several(match.get("any", [])),
            match_none=_several(match.get("none", [])),
            weights=tuple(WeightUse(w["column"], w["use"]) for w in content.get("weights", [])),
            strata=_several(design.get("stratum", [])),
            psu=_several(design.get("psu", [])),
            design_note=design.get("note", ""),
            replicates=ReplicateUse(**replicates) if replicates else None,
            missing=tuple(missing.get("codes", [])),
            missing_note=missing.get("note", ""),
            columns=columns,
            traits=content.get("traits", {}),
        )
    except KeyError as lacking:
        raise SurveyError(f"{path.name} says nothing of {lacking}; every recipe must.") from None


def _several(found: Any) -> tuple[str, ...]:
    return (found,) if isinstance(found, str) else tuple(found)


def _part(content: Mapping[str, Any], key: str, valid: Sequence[str], path: Path) -> dict[str, Any]:
    part = content.get(key, {})
    _known(part, valid, f"{path.name}, [{key}]")
    return dict(part)


def _known(table: Mapping[str, Any], valid: Sequence[str], where: str) -> None:
    for key in table:
        if key not in valid:
            raise SurveyError(f"{where}: unknown key {key!r}. {nearest(key, valid)}")
