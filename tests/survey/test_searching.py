"""Questions found by words, also in a large file without reading a column of it."""

from __future__ import annotations

import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.survey.columns import Columns
from plural_nb.survey.from_labels import survey_of
from plural_nb.survey.labelled import Variable
from plural_nb.survey.searching import QuestionIndex, search

YES_NO = [{"code": 1, "label": "Yes"}, {"code": 2, "label": "No, néver"}]


@pytest.fixture(scope="module")
def survey() -> pnb.Survey:
    questions = {
        "q1": {"text": "Do you trust the courts?", "options": YES_NO},
        "trust": {"text": "Anything else?", "options": YES_NO},
        "q3": {"text": "Mistrust runs deep", "options": YES_NO},
        "q4": {"text": "Café or tea?", "options": [{"code": 1, "label": "Trustworthy tea"}, {"code": 2, "label": "x"}]},
    }
    frame = pl.DataFrame({key: [1, 2] for key in questions})
    return pnb.Survey.from_frame(frame, {"questions": questions}, name="s")


def test_keys_come_before_texts_before_middles_of_words_before_options(survey: pnb.Survey) -> None:
    assert [hit.key for hit in search(survey, "trust")] == ["trust", "q1", "q3", "q4"]
    assert [hit.where for hit in search(survey, "trust")] == ["key", "text", "text", "option"]
    assert search(survey, "trust")[-1].option == "Trustworthy tea"


def test_case_accents_and_order_of_words_do_not_matter(survey: pnb.Survey) -> None:
    assert [hit.key for hit in search(survey, "CAFE")] == ["q4"]
    assert [hit.key for hit in search(survey, "courts do")] == ["q1"]
    assert {hit.key for hit in search(survey, "never")} == {"q1", "trust", "q3"}
    assert search(survey, "courts café") == ()
    assert [hit.key for hit in search(survey, "  ")] == ["q1", "trust", "q3", "q4"]


def test_a_large_file_is_searched_by_its_labels_without_reading_it() -> None:
    def read(names: object) -> pl.DataFrame:
        raise AssertionError(f"read {names}")

    labels = {1: "Very much", 2: "Not at all"}
    variables = {f"v{i}": Variable(f"v{i}", f"Item {i} on cheese", labels) for i in range(300)}
    lazy = survey_of(Columns(names=list(variables), source=read), variables, name="x", title="x", source="x", rows=10)
    index = QuestionIndex(lazy)
    assert [hit.key for hit in index.search("item 17")] == [f"v{i}" for i in range(300) if "17" in str(i)]
    assert index.search("very much")[0].option == "Very much"
