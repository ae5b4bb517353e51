"""Batteries: neighbouring columns that are one multi-select or one grid question."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from plural_nb.survey.labelled import Variable
from plural_nb.survey.question import Code

_CHOSEN = {"yes", "selected", "mentioned", "chosen", "checked", "ticked", "named", "marked", "1"}
_UNCHOSEN = {"no", "not selected", "not mentioned", "not chosen", "unchecked", "not checked", "not named", "not marked",
             "no to", "0", "quoted no"}  # fmt: skip
_NUMBERED = re.compile(r"^(.*[a-z0-9])(?:[_.-]+r?(?:\d{1,3}|[a-z])|(?<=\d)[a-z])$", re.IGNORECASE)
_COUNTED = re.compile(r"^(.*?[a-z_])\d{1,3}$", re.IGNORECASE)
_SEAM = re.compile(r"\s*[:–—-]\s+|\?\s+|\.\.\.\s*|…\s*")


@dataclass(frozen=True, slots=True)
class Battery:
    """Columns that form one question: tick all that apply ("multi-select"), or one scale for many items ("grid").

    name: what the columns share in their names. stem: what their labels share, the question's own words.
    items: what differs in their labels, in the columns' order.
    """

    name: str
    kind: Literal["multi-select", "grid"]
    columns: tuple[str, ...]
    stem: str
    items: tuple[str, ...]


def batteries_of(
    variables: Sequence[Variable], *, sets: Mapping[str, Sequence[str]] | None = None
) -> tuple[Battery, ...]:
    """Return the batteries among a file's columns, in the file's order.

    Neighbours form one where their names share a stem and differ in a number or letter at the end, and they have the
    same substantive value labels; where a label is the item itself ("1 = Facebook", blank otherwise), one label each.
    sets: those that the file itself declares (SPSS multiple-response sets), which count whatever the names.

    >>> scale = {1: "A lot", 2: "Some", 3: "None"}
    >>> grid = [Variable(f"q3_{i}", f"Trust: {x}", scale) for i, x in [(1, "Courts"), (2, "Press")]]
    >>> [(b.name, b.kind, b.stem, b.items) for b in batteries_of(grid)]
    [('q3', 'grid', 'Trust', ('Courts', 'Press'))]
    """
    known = {v.name: v for v in variables}
    found: list[Battery] = []
    taken: set[str] = set()
    for name, columns in (sets or {}).items():
        here = [known[c] for c in columns if c in known]
        if len(here) > 1:
            found.append(_battery(name, "multi-select", here))
            taken |= {v.name for v in here}
    run: list[Variable] = []
    for variable in [*variables, None]:
        if run and variable is not None and variable.name not in taken and _alike(run[-1], variable):
            run.append(variable)
            continue
        if len(run) > 1 and (_NUMBERED.match(run[0].name) or _split([v.label for v in run])[0]):
            # q1, q2, q3 may be neighbours by chance; only a stem that their labels share makes them one question.
            kind: Literal["multi-select", "grid"] = "multi-select" if _ticked(run) else "grid"
            found.append(_battery(_stem(run[0].name), kind, run))
        run = [variable] if variable is not None and variable.name not in taken and _labels(variable) else []
    order = {v.name: i for i, v in enumerate(variables)}
    return tuple(sorted(found, key=lambda b: order[b.columns[0]]))


def _battery(name: str, kind: Literal["multi-select", "grid"], run: Sequence[Variable]) -> Battery:
    texts = [v.label or v.name for v in run]
    stem, items = _split(texts)
    if kind == "multi-select" and all(len(_labels(v)) == 1 for v in run) and len({*_texts(run)}) > 1:
        # Blank where it was not ticked: the one label is the item.
        items = _texts(run)
        stem = stem or texts[0]
    return Battery(name, kind, tuple(v.name for v in run), stem, tuple(items))


def _texts(run: Sequence[Variable]) -> list[str]:
    return [next(iter(_labels(v).values())) for v in run]


def _alike(one: Variable, other: Variable) -> bool:
    if _stem(one.name) != _stem(other.name) or not _stem(one.name) or one.storage != other.storage:
        return False
    a, b = _labels(one), _labels(other)
    if len(a) == 1 and len(b) == 1:
        return True
    return bool(a) and {k: v.lower() for k, v in a.items()} == {k: v.lower() for k, v in b.items()}


def _ticked(run: Sequence[Variable]) -> bool:
    labels = [{text.lower().strip() for text in _labels(v).values()} for v in run]
    if all(len(found) == 1 for found in labels):
        return True
    return all(len(found) == 2 and found & _UNCHOSEN and found & _CHOSEN for found in labels)


def _labels(variable: Variable) -> dict[Code, str]:
    from plural_nb.survey.guessing import carries_opinion

    return {code: label for code, label in variable.labels.items() if carries_opinion(variable, code)}


def _stem(name: str) -> str:
    match = _NUMBERED.match(name) or _COUNTED.match(name)
    return match.group(1).rstrip("_.-") if match else ""


def _split(texts: Sequence[str]) -> tuple[str, list[str]]:
    """What the labels share at a seam (a colon, a dash, the end of a sentence), and what is left of each."""
    first = texts[0]
    for match in reversed(list(_SEAM.finditer(first))):
        head = first[: match.end()]
        if all(text.startswith(head) and len(text) > len(head) for text in texts):
            return head.strip(" :–—-.…"), [text[len(head) :].strip() for text in texts]
    for match in _SEAM.finditer(first):
        tail = first[match.start() :]
        if len(tail) > len(match.group()) and all(text.endswith(tail) and len(text) > len(tail) for text in texts):
            return tail[len(match.group()) :].strip(), [text[: -len(tail)].strip() for text in texts]
    return "", list(texts)
