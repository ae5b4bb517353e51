"""What in a survey would mislead: weights, strata, labels and skips to look at before anything is estimated."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from plural_nb.survey.guessing import says_nothing
from plural_nb.survey.question import Question
from plural_nb.survey.scales import scale_heights

if TYPE_CHECKING:
    from plural_nb.survey.survey import Survey

# A weight of more than so many times the median speaks for a group of its own; trimming starts to be discussed there.
_EXTREME = 20.0
# A skip is seen where at least this share was not asked and one earlier answer tells them apart this sharply.
_SKIPPED = 0.05
_SHARP = 0.01
_LOOK_BACK = 12
# Below this agreement with its own words, a scale's order is doubted; words alone are no better witness.
_MOSTLY = 0.75
# Names of one country that are told apart by no spelling rule.
_ONE_COUNTRY = (
    {"usa", "us", "united states", "united states of america"}, {"uk", "united kingdom", "great britain"},
    {"czechia", "czech republic"}, {"turkey", "turkiye"}, {"russia", "russian federation"},
    {"korea", "south korea", "republic of korea", "korea south"}, {"iran", "iran islamic republic of"},
    {"vietnam", "viet nam"}, {"macedonia", "north macedonia", "fyr macedonia"}, {"ivory coast", "cote d ivoire"},
    {"netherlands", "the netherlands", "holland"}, {"hong kong", "hong kong sar"},
    {"bolivia", "bolivia plurinational state of"},
)  # fmt: skip
_COUNTRY = re.compile(r"\b(country|nation|cntry)\b|country", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. kind: which check; level: "misleads" or "note"; where: the question, trait or column."""

    kind: str
    level: Literal["misleads", "note"]
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def check(survey: Survey) -> tuple[Finding, ...]:
    """Return what in a survey would mislead, the gravest first; every column of a large file is read for it.

    >>> from plural_nb.survey.library import load_survey
    >>> [finding.kind for finding in check(load_survey("anes96"))]
    ['weights sum to n']
    """
    found = [*_weights(survey), *_strata(survey), *_questions(survey), *_countries(survey), *_skips(survey)]
    return tuple(sorted(found, key=lambda finding: finding.level != "misleads"))


def _weights(survey: Survey) -> Iterator[Finding]:
    weight, where = survey.design.weight, survey.roles.get("weight", "the weight")
    if not survey.weighted:
        if survey.candidates.get("weight"):
            names = ", ".join(survey.candidates["weight"][:6])
            yield Finding(
                "no weight", "misleads", "the design", f"no weight is used, and the file may hold one: {names}."
            )
        return
    n, total = weight.size, float(weight.sum())
    if abs(total / n - 1) < 0.005:
        message = f"the weights sum to the number of people ({total:.0f} of {n}), so totals are not the population's."
        yield Finding("weights sum to n", "note", where, message)
    zero = int((weight == 0).sum())
    if zero:
        yield Finding("zero weights", "note", where, f"{zero} of {n} people have weight 0: they count for nobody.")
    positive = weight[weight > 0]
    ratio = float(positive.max() / np.median(positive))
    if ratio > _EXTREME:
        share = float(positive.max() / total)
        message = f"the largest weight is {ratio:.0f} times the median; one person is {share:.1%} of the total."
        yield Finding("extreme weights", "misleads", where, message)
    if np.unique(weight).size == n and n > 50 and (weight == np.round(weight)).all():
        message = "every row has a different whole number: this looks like an identifier, not a weight."
        yield Finding("weight like an identifier", "misleads", where, message)


def _strata(survey: Survey) -> Iterator[Finding]:
    design = survey.design
    if design.stratum is not None:
        units = design.psu if design.psu is not None else np.arange(design.n)
        pairs = np.unique(np.stack([design.stratum, units]), axis=1)
        alone = int((np.bincount(pairs[0]) == 1).sum())
        if alone:
            message = (
                f"{alone} strata have a single PSU, which has no variance of its own; say lonely='centre', 'scale' or "
                "'skip', or join strata."
            )
            yield Finding("singleton strata", "misleads", survey.roles.get("stratum", "the strata"), message)
    columns = [survey.roles.get(role, "") for role in ("stratum", "psu")]
    if all(columns) and columns[0] != columns[1]:
        frame = survey.columns.read(columns).drop_nulls()
        strata = frame.group_by(columns[1]).agg(pl.col(columns[0]).n_unique().alias("strata"))["strata"]
        crossing = int((strata > 1).sum())
        if crossing and crossing < 0.5 * strata.len():
            message = (
                f"{crossing} of {strata.len()} PSUs lie in more than one stratum. They are taken as different PSUs in "
                "each; if the numbers are meant to be unique, some rows are in the wrong stratum."
            )
            yield Finding("PSUs across strata", "misleads", columns[1], message)


def _questions(survey: Survey) -> Iterator[Finding]:
    for key, question in survey.questions.items():
        yield from _labels(key, question)
        codes = survey.answer_codes[key]
        counts = np.bincount(codes[codes >= 0], minlength=len(question.options))
        never = [
            question.options[i].label for i in question.substantive if not counts[i] and question.kind != "numeric"
        ]
        if never and len(never) < len(question.substantive):
            shown = ", ".join(never[:3]) + (f" and {len(never) - 3} more" if len(never) > 3 else "")
            yield Finding(
                "options never chosen", "note", key, f"nobody chose {shown}; a label may be wrong, or few were asked."
            )


def _labels(key: str, question: Question) -> Iterator[Finding]:
    groups = defaultdict(list)
    for option in question.options:
        groups[" ".join(option.label.casefold().split())].append(option.label)
    for labels in groups.values():
        if len(labels) > 1:
            message = f"{' and '.join(map(repr, labels))} differ only in case or spaces: one answer counted as two."
            yield Finding("labels alike", "misleads", key, message)
    spoken = [question.options[i] for i in question.substantive]
    silent = [o.label for o in spoken if says_nothing(o.label)]
    if silent and question.kind != "nominal":
        values = [o.value for o in spoken if o.label in silent]
        message = f"{silent[0]!r} has the place {values[0]:g} on the scale, yet it carries no opinion."
        yield Finding("no opinion on the scale", "misleads", key, message)
    elif silent:
        yield Finding("no opinion counted", "note", key, f"{silent[0]!r} is counted as an opinion.")
    if question.kind == "ordinal":
        rest = [o.label for o in sorted(spoken, key=lambda o: o.value or 0.0) if o.label not in silent]
        if len(rest) < 3 or any(re.search(r"\d", label) for label in rest):
            return
        scale, heights = scale_heights(rest)
        shown = ", ".join(rest[:4])
        if not scale:
            yield Finding("nominal as ordinal", "note", key, f"treated as ordinal; its labels show no scale: {shown}.")
        elif _order(heights) < _MOSTLY:
            message = f"treated as ordinal, but its labels name a scale ({scale}) in another order: {shown}."
            yield Finding("nominal as ordinal", "misleads", key, message)


def _order(heights: list[float]) -> float:
    """How far numbers rise or fall throughout: Goodman and Kruskal's gamma with their places, without its sign."""
    steps = [np.sign(b - a) for a, b in itertools.combinations(heights, 2) if a != b]
    return abs(float(np.mean(steps))) if steps else 1.0


def _countries(survey: Survey) -> Iterator[Finding]:
    named = {key: trait.labels for key, trait in survey.traits.items() if _COUNTRY.search(f"{key} {trait.label}")}
    named |= {
        key: tuple(o.label for o in question.options)
        for key, question in survey.questions.items()
        if key not in named and _COUNTRY.search(key) and len(question.options) > 1
    }
    for key, labels in named.items():
        for one in _same_country(labels):
            message = f"{' and '.join(map(repr, one))} seem to be one country in two spellings."
            yield Finding("country spelt twice", "misleads", key, message)


def _same_country(labels: tuple[str, ...]) -> Iterator[list[str]]:
    groups = defaultdict(list)
    for label in labels:
        plain = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().casefold()
        plain = " ".join(re.sub(r"[^a-z ]+", " ", plain).split())
        known = next((i for i, names in enumerate(_ONE_COUNTRY) if plain in names), None)
        groups[plain if known is None else f"#{known}"].append(label)
    yield from (found for found in groups.values() if len(found) > 1)


def _skips(survey: Survey) -> Iterator[Finding]:
    """Questions that were not asked of those who gave one answer before."""
    keys = list(survey.questions)
    for i, key in enumerate(keys):
        question = survey.questions[key]
        missing = survey.answer_codes[key] < 0
        if question.asked_of or not _SKIPPED < missing.mean() < 1 - _SKIPPED:
            continue
        for before in reversed(keys[max(0, i - _LOOK_BACK) : i]):
            asked = _asked_of(survey.answer_codes[before], missing, len(survey.questions[before].options))
            if asked:
                options = survey.questions[before].options
                answers = " or ".join(repr(options[place].label) for place in asked[:3])
                message = (
                    f"{missing.mean():.0%} have no answer: only those who said {answers} to {before!r} were asked. "
                    "Its shares speak of them alone; say so in asked_of."
                )
                yield Finding("skip pattern", "note", key, message)
                break


def _asked_of(codes: np.ndarray, missing: np.ndarray, size: int) -> list[int]:
    """Places of the answers after which the question was asked, where they tell asked and skipped apart; else none."""
    here = codes >= 0
    if here.mean() < 0.5:
        return []
    total = np.bincount(codes[here], minlength=size)
    lost = np.bincount(codes[here & missing], minlength=size)
    used = total >= 5
    share = np.divide(lost, total, out=np.zeros(size), where=total > 0)[used]
    if not used.any() or not ((share <= _SHARP * 10) | (share >= 1 - _SHARP)).all() or not (share >= 1 - _SHARP).any():
        return []
    return [int(place) for place in np.flatnonzero(used)[share <= _SHARP * 10]]


def summary(findings: tuple[Finding, ...]) -> str:
    """How many findings there are, in one sentence."""
    if not findings:
        return "Nothing found that would mislead."
    counts = Counter(finding.level for finding in findings)
    return f"{counts['misleads']} findings that would mislead and {counts['note']} to note."
