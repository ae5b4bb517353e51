"""Tables of ready-made distributions, such as GlobalOpinionQA: a question, a group, and the share of each option."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from plural_nb.answers import Answers, Source
from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Design, Floats
from plural_nb.survey.guessing import says_nothing
from plural_nb.survey.question import Option, Question
from plural_nb.survey.scales import scale_of

# Published shares are rounded; a row whose sum is further from 1 than this has lost an option and is left out.
_ROUNDING = 0.03
_WIDE = ("question", "options", "selections")
_LONG = ("question", "group", "option", "share")


@dataclass(frozen=True, slots=True, eq=False)
class Distributions:
    """Published shares of options, by question and group, with nobody's answers behind them.

    questions: by key (q1, q2, … in the table's order). shares: for each (question key, group) the (K,) shares.
    sizes: how many people were asked, where the table says so. sources: the survey that asked each question.
    left_out: what could not be used, with the reason; never dropped in silence.
    """

    name: str
    questions: Mapping[str, Question] = field(repr=False)
    shares: Mapping[tuple[str, str], Floats] = field(repr=False)
    sizes: Mapping[tuple[str, str], int] = field(default_factory=dict, repr=False)
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)
    left_out: tuple[str, ...] = ()

    def groups(self, question: str | None = None) -> tuple[str, ...]:
        """The groups (countries) there are, of one question or of all, in order."""
        return tuple(sorted({group for key, group in self.shares if question in (None, key)}))

    def find(self, words: str) -> dict[str, str]:
        """Return the questions whose texts hold all of these words, key to text."""
        wanted = words.casefold().split()
        return {k: q.text for k, q in self.questions.items() if all(w in q.text.casefold() for w in wanted)}

    def answers(self, question: str, group: str) -> Answers:
        """Return a group's published shares as answers, to compare with a model's or another group's.

        Where the table says how many were asked, they stand as a simple random sample of that many people, each with
        one answer (so shares are rounded to whole people). Where it does not, a single row holds the shares, and its
        interval, which spans nearly everything, says that nothing is known of the sample.

        Raises SurveyError for an unknown question or group.
        """
        if question not in self.questions:
            raise SurveyError(f"{self.name} has no question {question!r}. {nearest(question, self.questions)}")
        if (question, group) not in self.shares:
            raise SurveyError(
                f"{self.name} has no answers of {group!r} to {question!r}. {nearest(group, self.groups(question))}"
            )
        asked, shares = self.questions[question], self.shares[question, group]
        source = Source("humans", group, f"published shares, {self.sources.get(question) or self.name}")
        n = self.sizes.get((question, group))
        if n:
            places = np.repeat(np.arange(shares.size), _whole(shares * n))
            design = Design(
                np.ones(places.size), note="standard errors assume a simple random sample of the size published"
            )
            return Answers.from_places(asked, places, design=design, source=source, about=group)
        design = Design(np.ones(1), note="published shares without a sample size: no standard error can be given")
        return Answers(asked, shares[None, :], design, np.ones(1, dtype=np.bool_), source, about=group)


def read_distributions(path: Path | str) -> Distributions:
    """Read a table of ready-made distributions from .csv, .tsv or .parquet.

    Either one row per question with the columns question, options (a list) and selections (shares by group, as in
    GlobalOpinionQA), or one row per question, group and option with a share. Columns n (people asked) and source are
    read where they are there. Shares are brought to a sum of 1 where rounding left it within 0.03; what cannot be
    used is listed in `left_out`.

    Raises SurveyError for a table of another form.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise SurveyError(f"There is no file {path}. Check the folder.")
    try:
        if path.suffix.lower() == ".parquet":
            frame = pl.read_parquet(path)
        else:
            frame = pl.read_csv(path, separator="\t" if path.suffix.lower() == ".tsv" else ",", infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, UnicodeError) as problem:
        raise SurveyError(f"{path.name} cannot be read: {str(problem).splitlines()[0]}.") from None
    if set(_WIDE) <= set(frame.columns):
        rows = _wide(frame, path)
    elif set(_LONG) <= set(frame.columns):
        rows = _long(frame)
    else:
        raise SurveyError(
            f"{path.name} has the columns {', '.join(frame.columns[:8])}. A table of distributions has question, "
            "options and selections, or question, group, option and share."
        )
    return _assembled(path.stem, rows)


@dataclass(slots=True)
class _Row:
    text: str
    options: list[str]
    groups: dict[str, Any]
    source: str = ""
    sizes: dict[str, int] = field(default_factory=dict)


def _wide(frame: pl.DataFrame, path: Path) -> list[_Row]:
    rows = []
    for i, row in enumerate(frame.iter_rows(named=True)):
        try:
            options, groups = _literal(row["options"]), _literal(row["selections"])
        except (ValueError, SyntaxError, TypeError):
            raise SurveyError(f"{path.name}, row {i + 1}: options or selections are not a list and a table.") from None
        if not isinstance(options, list) or not isinstance(groups, dict):
            raise SurveyError(f"{path.name}, row {i + 1}: options must be a list and selections a table by group.")
        rows.append(_Row(str(row["question"]), [str(o) for o in options], groups, str(row.get("source") or "")))
    return rows


def _long(frame: pl.DataFrame) -> list[_Row]:
    rows = []
    for (text,), part in frame.group_by(["question"], maintain_order=True):
        options = part["option"].unique(maintain_order=True).to_list()
        groups, sizes = {}, {}
        for (group,), block in part.group_by(["group"], maintain_order=True):
            found = dict(
                zip(block["option"].to_list(), block["share"].cast(pl.Float64, strict=False).to_list(), strict=True)
            )
            groups[str(group)] = [found.get(option) for option in options]
            size = block["n"].cast(pl.Float64, strict=False)[0] if "n" in block.columns else None
            if size:
                sizes[str(group)] = int(size)
        source = str(part["source"][0] or "") if "source" in part.columns else ""
        rows.append(_Row(str(text), [str(o) for o in options], groups, source, sizes))
    return rows


def _assembled(name: str, rows: list[_Row]) -> Distributions:
    questions: dict[str, Question] = {}
    shares: dict[tuple[str, str], Floats] = {}
    sizes: dict[tuple[str, str], int] = {}
    sources: dict[str, str] = {}
    left_out: list[str] = []
    for i, row in enumerate(rows):
        key = f"q{i + 1}"
        try:
            questions[key] = _question(key, row)
        except SurveyError as problem:
            left_out.append(f"{key} ({row.text[:60]!r}): {problem}")
            continue
        sources[key] = row.source
        for group, given in row.groups.items():
            values = np.array([np.nan if x is None else float(x) for x in given])
            total = values.sum()
            if values.size != len(row.options):
                left_out.append(f"{key}, {group}: {values.size} shares for {len(row.options)} options.")
            elif not np.isfinite(values).all() or (values < 0).any() or abs(total - 1) > _ROUNDING:
                left_out.append(f"{key}, {group}: the shares sum to {total:.3f}.")
            else:
                shares[key, group] = values / total
                if group in row.sizes:
                    sizes[key, group] = row.sizes[group]
    if not shares:
        raise SurveyError(f"{name} holds no distribution that sums to 1. {left_out[0] if left_out else 'It is empty.'}")
    return Distributions(name, questions, shares, sizes, sources, tuple(left_out))


def _question(key: str, row: _Row) -> Question:
    labels = [label if row.options.count(label) == 1 else f"{label} ({i + 1})" for i, label in enumerate(row.options)]
    spoken = [label for label in labels if not says_nothing(label)]
    kind = "ordinal" if scale_of(spoken)[1] else "nominal"
    options = tuple(Option(label, substantive=label in spoken, offered=label in spoken) for label in labels)
    return Question(
        key, row.text, options, kind="ordinal" if kind == "ordinal" else "nominal", label=row.text[:60], wording="exact"
    )


def _literal(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    # GlobalOpinionQA writes Python's words for its tables: defaultdict(<class 'list'>, {...}).
    inner = re.sub(r"^defaultdict\(<class '\w+'>, (.*)\)$", r"\1", text.strip(), flags=re.DOTALL)
    try:
        return ast.literal_eval(inner)
    except (ValueError, SyntaxError):
        return json.loads(inner)


def _whole(expected: Floats) -> Any:
    """Whole numbers of people with the same sum, by largest remainders."""
    found = np.floor(expected + 1e-9).astype(np.int64)
    short = round(float(expected.sum())) - int(found.sum())
    found[np.argsort(found - expected, kind="stable")[:short]] += 1
    return found
