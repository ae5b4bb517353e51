"""Qualtrics: a .qsf file says what the columns of a responses .csv mean."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from plural_nb.errors import SurveyError
from plural_nb.survey.encoding import natural
from plural_nb.survey.labelled import Variable
from plural_nb.survey.question import Code

# Columns about the interview that identify or trace people; they stay in the file and never come in.
_TRACES = frozenset(
    {
        "StartDate", "EndDate", "Status", "IPAddress", "Progress", "Duration (in seconds)", "Finished", "RecordedDate",
        "ResponseId", "RecipientLastName", "RecipientFirstName", "RecipientEmail", "ExternalReference",
        "LocationLatitude", "LocationLongitude", "DistributionChannel", "UserLanguage",
    }
)  # fmt: skip
_UNANSWERED = -99


def read_responses(path: Path, qsf: Path) -> tuple[pl.DataFrame, dict[str, Variable], str]:
    """Return the answers of a responses .csv, what the .qsf says of its columns, and the survey's title.

    Both forms of export are read, with choices as numbers and as texts; the texts are put back to their numbers. The
    rows of labels under the header are recognised and left out. Columns that trace people (addresses, names, places)
    are left behind. -99, "seen and not answered", is missing.

    Raises SurveyError for a .qsf that is not one, and for a .csv that answers none of its questions.
    """
    title, said = variables_of(qsf)
    try:
        frame = pl.read_csv(path, separator="\t" if path.suffix.lower() == ".tsv" else ",", infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, UnicodeError) as problem:
        raise SurveyError(f"{path.name} cannot be read: {str(problem).splitlines()[0]}.") from None
    frame = frame.slice(_label_rows(frame)).select(c for c in frame.columns if c not in _TRACES)
    known = [name for name in frame.columns if name in said]
    if not known:
        raise SurveyError(
            f"{path.name} has none of the columns of {qsf.name} ({', '.join(list(said)[:4])}). Is it another survey's?"
        )
    if frame.is_empty():
        raise SurveyError(f"{path.name} has no answers under its header.")
    columns = [_numbered(frame[name], said[name]) if name in said else natural(frame[name]) for name in frame.columns]
    variables = {name: said.get(name, Variable(name, storage="text" if c.dtype == pl.String else "number"))
                 for name, c in zip(frame.columns, columns, strict=True)}  # fmt: skip
    return pl.DataFrame(columns), variables, title


def variables_of(qsf: Path) -> tuple[str, dict[str, Variable]]:
    """Return a .qsf's title and, for every column that its questions export, its words and choices."""
    try:
        content = json.loads(qsf.read_text(encoding="utf-8-sig"))
        elements = content["SurveyElements"]
        title = str(content["SurveyEntry"].get("SurveyName") or qsf.stem)
    except FileNotFoundError:
        raise SurveyError(f"There is no file {qsf}.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise SurveyError(f"{qsf.name} is not a survey exported from Qualtrics (.qsf). Export it again.") from None
    found: dict[str, Variable] = {}
    for element in elements:
        payload = element.get("Payload") if isinstance(element, Mapping) and element.get("Element") == "SQ" else None
        if isinstance(payload, Mapping):
            found |= {variable.name: variable for variable in _columns(payload)}
    if not found:
        raise SurveyError(f"{qsf.name} holds no question whose answers are choices or numbers.")
    return title, found


def _columns(payload: Mapping[str, Any]) -> list[Variable]:
    tag, text = str(payload.get("DataExportTag") or payload.get("QuestionID")), _plain(payload.get("QuestionText", ""))
    kind, selector = payload.get("QuestionType"), str(payload.get("Selector") or "")
    choices, answers = _entries(payload, "Choices", "ChoiceOrder"), _entries(payload, "Answers", "AnswerOrder")
    recoded = payload.get("RecodeValues") or {}
    gone = ((float(_UNANSWERED), float(_UNANSWERED)),)
    if kind == "MC" and selector.startswith("MA"):
        return [Variable(f"{tag}_{recoded.get(i, i)}", f"{text} - {words}", {1: words}, gone) for i, words in choices]
    if kind == "MC" and selector == "NPS":
        return [Variable(tag, text, {}, gone)]
    if kind == "MC":
        return [Variable(tag, text, {_number(recoded.get(i, i)): words for i, words in choices}, gone)]
    if kind == "Matrix" and answers and not selector.startswith("TE"):
        labels = {_number(recoded.get(i, i)): words for i, words in answers}
        tags = payload.get("ChoiceDataExportTags") or {}
        named = tags if isinstance(tags, Mapping) else {}
        return [Variable(str(named.get(i) or f"{tag}_{i}"), f"{text} - {words}", labels, gone) for i, words in choices]
    if kind in ("Slider", "RO", "CS"):
        return [Variable(f"{tag}_{i}", f"{text} - {words}", {}, gone) for i, words in choices]
    return []


def _entries(payload: Mapping[str, Any], what: str, order: str) -> list[tuple[str, str]]:
    found = payload.get(what) or {}
    entries = dict(enumerate(found, start=1)) if isinstance(found, list) else found
    listed = payload.get(order) or list(entries)
    keys = [str(k) for k in listed] if isinstance(listed, list) else [str(k) for k in entries]
    by_key = {str(k): v for k, v in entries.items()}
    return [(k, _plain(by_key[k].get("Display", ""))) for k in keys if k in by_key]


def _numbered(column: pl.Series, variable: Variable) -> pl.Series:
    """Choices exported as texts, as the numbers they stand for; a text that is no choice stays and is told later."""
    values = {v for v in column.drop_nulls().unique().to_list() if v != ""}
    column = column.replace("", None)
    codes = {str(code) for code in variable.labels} | {str(_UNANSWERED)}
    by_text = {label: str(code) for code, label in variable.labels.items()}
    if values <= codes or not variable.labels or not values & set(by_text):
        return natural(column)
    return natural(column.replace(by_text))


def _label_rows(frame: pl.DataFrame) -> int:
    """How many rows under the header are labels: the questions' words, and the import ids in JSON."""
    for i in range(min(2, frame.height)):
        if any(isinstance(cell, str) and cell.startswith('{"ImportId"') for cell in frame.row(i)):
            return i + 1
    return 0


def _plain(text: Any) -> str:
    """The words of a text that may hold HTML."""
    words = re.sub(r"<(br|/p|/div)\s*/?>", " ", str(text), flags=re.IGNORECASE)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", words)).split())


def _number(code: Any) -> Code:
    text = str(code)
    return int(text) if re.fullmatch(r"-?\d+", text) else text
