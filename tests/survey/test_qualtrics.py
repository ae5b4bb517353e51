"""A Qualtrics survey is read from its .qsf and responses, exported as numbers or as texts."""

import json

import polars as pl
import pytest

from plural_nb.errors import SurveyError
from plural_nb.survey.reading import read_survey


def choices(*labels):
    return {str(i): {"Display": label} for i, label in enumerate(labels, start=1)}


SCALE = ("Strongly agree", "Agree", "Disagree", "Strongly disagree")
QUESTIONS = [
    {
        "DataExportTag": "Q1",
        "QuestionText": "Do you drink <b>tea</b>&nbsp;often?<br>Be honest.",
        "QuestionType": "MC",
        "Selector": "SAVR",
        "Choices": choices("Yes", "No"),
        "ChoiceOrder": ["1", "2"],
        "RecodeValues": {"1": "1", "2": "0"},
    },
    {
        "DataExportTag": "Q2",
        "QuestionText": "Which do you drink?",
        "QuestionType": "MC",
        "Selector": "MAVR",
        "Choices": choices("Tea", "Coffee"),
        "ChoiceOrder": ["2", "1"],
    },
    {
        "DataExportTag": "Q3",
        "QuestionText": "Do you agree?",
        "QuestionType": "Matrix",
        "Selector": "Likert",
        "Choices": choices("Tea is good.", "Coffee is good."),
        "Answers": choices(*SCALE),
        "AnswerOrder": ["1", "2", "3", "4"],
    },
    {
        "DataExportTag": "Q4",
        "QuestionText": "How warm?",
        "QuestionType": "Slider",
        "Selector": "HSLIDER",
        "Choices": choices("Tea"),
    },
    {"DataExportTag": "Q5", "QuestionText": "Anything else?", "QuestionType": "TE", "Selector": "SL"},
]
COLUMNS = ["StartDate", "IPAddress", "RecipientEmail", "Q1", "Q2_1", "Q2_2", "Q3_1", "Q3_2", "Q4_1", "Q5", "weight"]
NUMBERS = [
    ["2024-01-01", "10.0.0.1", "a@b", "1", "1", "", "1", "4", "80", "fine", "1.5"],
    ["2024-01-01", "10.0.0.2", "a@c", "0", "", "1", "2", "-99", "35", "", "0.5"],
    ["2024-01-01", "10.0.0.3", "a@d", "", "1", "1", "4", "2", "", "so so", "1"],
]
TEXTS = [
    [*NUMBERS[0][:3], "Yes", "Tea", "", "Strongly agree", "Strongly disagree", "80", "fine", "1.5"],
    [*NUMBERS[1][:3], "No", "", "Coffee", "Agree", "", "35", "", "0.5"],
    [*NUMBERS[2][:3], "", "Tea", "Coffee", "Strongly disagree", "Agree", "", "so so", "1"],
]


@pytest.fixture
def export(tmp_path):
    survey = {
        "SurveyEntry": {"SurveyName": "Tea and coffee"},
        "SurveyElements": [{"Element": "BL", "Payload": []}] + [{"Element": "SQ", "Payload": q} for q in QUESTIONS],
    }
    qsf = tmp_path / "tea.qsf"
    qsf.write_text(json.dumps(survey), encoding="utf-8")

    def made(rows, labels=True):
        head = [dict.fromkeys(COLUMNS, "a label"), {c: json.dumps({"ImportId": c}) for c in COLUMNS}] if labels else []
        body = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        pl.DataFrame(head + body, schema=dict.fromkeys(COLUMNS, pl.String)).write_csv(tmp_path / "tea.csv")
        return tmp_path / "tea.csv", qsf

    return made


@pytest.mark.parametrize("rows", [NUMBERS, TEXTS], ids=["numbers", "texts"])
def test_numbers_and_texts_give_the_same_survey(export, rows):
    path, qsf = export(rows)
    survey = read_survey(path, codebook=qsf, weight="weight")
    assert (survey.title, survey.n, survey.wording) == ("Tea and coffee", 3, "exact")
    first = survey.questions["Q1"]
    assert first.text == "Do you drink tea often? Be honest."
    assert [o.label for o in first.options] == ["No", "Yes"]
    assert survey.answer_codes["Q1"].tolist() == [1, 0, -1]
    assert survey.design.weight.tolist() == [1.5, 0.5, 1.0]


def test_matrices_and_ticks_are_batteries(export):
    path, qsf = export(NUMBERS)
    survey = read_survey(path, codebook=qsf)
    kinds = {battery.name: (battery.kind, battery.stem, battery.items) for battery in survey.batteries}
    assert kinds["Q2"] == ("multi-select", "Which do you drink?", ("Tea", "Coffee"))
    assert kinds["Q3"] == ("grid", "Do you agree?", ("Tea is good.", "Coffee is good."))
    assert survey.answer_codes["Q2_1"].tolist() == [0, 1, 0]
    assert survey.questions["Q3_1"].kind == "ordinal"
    seen = survey.questions["Q3_2"].options[survey.answer_codes["Q3_2"][1]]
    assert (seen.code, seen.substantive) == (-99, False)


def test_columns_that_trace_people_stay_behind(export):
    path, qsf = export(NUMBERS, labels=False)
    survey = read_survey(path, codebook=qsf)
    assert survey.n == 3
    assert not {"StartDate", "IPAddress", "RecipientEmail"} & set(survey.people.columns)
    assert "weight='weight'" in survey.note


def test_files_that_are_something_else_are_named(export, tmp_path):
    path, qsf = export(NUMBERS)
    with pytest.raises(SurveyError, match=r"This is a codebook; give the data file"):
        read_survey(qsf)
    (tmp_path / "bad.qsf").write_text("<html>")
    with pytest.raises(SurveyError, match=r"bad.qsf is not a survey exported from Qualtrics"):
        read_survey(path, codebook=tmp_path / "bad.qsf")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SurveyError, match=r"other.csv has none of the columns of tea.qsf \(Q1, Q2_2"):
        read_survey(tmp_path / "other.csv", codebook=qsf)
