"""A codebook says what columns mean, and a wrong one says what is wrong with it."""

from copy import deepcopy

import polars as pl
import pytest

from plural_nb.errors import SurveyError
from plural_nb.survey.codebook import Codebook
from plural_nb.survey.survey import Survey

GOOD = {
    "survey": {"name": "tea", "title": "Tea survey", "missing": [-1], "wording": "exact"},
    "design": {"weight": "w"},
    "traits": {
        "region": {"phrase": "I live in the {}.", "options": [{"code": 1, "label": "North", "said": "north"}]},
        "age": {
            "options": [
                {"label": "young", "low": 0, "high": 30, "sentence": "I am young."},
                {"label": "old", "low": 30},
            ]
        },
    },
    "questions": {
        "tea": {
            "text": "Tea?",
            "wordings": ["Do you drink tea?"],
            "column": "q1",
            "options": [
                {"code": 1, "label": "Yes"},
                {"code": 2, "label": "No"},
                {"code": 9, "label": "Refused", "substantive": False, "offered": False, "pinned": True},
            ],
        },
        "heat": {
            "text": "How hot?",
            "kind": "numeric",
            "options": [{"label": "cool", "low": 0, "high": 50}, {"label": "hot", "low": 50, "high": 100}],
        },
    },
}


def changed(*path, value=None):
    book = deepcopy(GOOD)
    table = book
    for key in path[:-1]:
        table = table[key]
    if value is None:
        del table[path[-1]]
    else:
        table[path[-1]] = value
    return book


def test_a_codebook_becomes_traits_and_questions():
    book = Codebook.of(GOOD)
    assert book.columns == ("w", "region", "age", "q1", "heat")
    assert book.traits["region"].sentences == ("I live in the north.",)
    assert book.traits["age"].sentences == ("I am young.", "")
    tea = book.questions["tea"]
    assert (tea.wording, tea.wordings, tea.substantive, tea.offered) == (
        "exact",
        ("Do you drink tea?",),
        (0, 1),
        (0, 1),
    )
    assert book.questions["heat"].values == (25.0, 75.0)


@pytest.mark.parametrize(
    ("book", "message"),
    [
        (changed("serveys", value={}), "unknown key 'serveys'. .*Did you mean 'survey'"),
        (changed("survey", "titel", value="x"), r"\[survey\]: unknown key 'titel'. Did you mean 'title'"),
        (changed("design", "wieght", value="w"), r"\[design\]: unknown key 'wieght'. Did you mean 'weight'"),
        (
            changed("traits", "region", "lable", value="x"),
            r"\[traits.region\]: unknown key 'lable'. Did you mean 'label'",
        ),
        (changed("questions", "tea", "txt", value="x"), r"\[questions.tea\]: unknown key 'txt'. Did you mean 'text'"),
        (
            changed("questions", "tea", "options", 0, "substantial", value=True),
            r"\[questions.tea\], option 1: unknown key 'substantial'. Did you mean 'substantive'",
        ),
        (
            changed("traits", "region", "options", 0, "sayd", value="x"),
            r"\[traits.region\], option 1: unknown key 'sayd'. Did you mean 'said'",
        ),
        (changed("questions", "tea", "options", 1, "code", value=1), "'Yes' and 'No' have the same code 1"),
        (changed("questions", "tea", "options", 1, "code", value="1.0"), "'Yes' and 'No' have the same code '1.0'"),
        (changed("questions", "tea", "options", 1, "label", value="Yes"), "two options have the label 'Yes'"),
        (changed("questions", "tea", "options", 1, "label"), "option 2 has no label"),
        (changed("questions", "tea", "options", 1, "code", value=-1), "-1 is an option here .* and also in .* missing"),
        (changed("questions", "tea", "options", 0, "low", value=1), "both a code and bounds"),
        (changed("questions", "tea", "kind", value="ordnal"), "kind: unknown value 'ordnal'. Did you mean 'ordinal'"),
        (changed("questions", "tea", "text"), r"\[questions.tea\] has no text"),
        (changed("questions", "tea", "options", value=[{"code": 1, "label": "Yes"}]), "at least two options"),
        (changed("questions", "tea", "options", value=[]), "lists no options"),
        (changed("questions", "tea", "wordings", value="Tea?"), "wordings must be a list"),
        (changed("questions", "heat", "options", 1, "low", value=40), "'cool' and 'hot' overlap"),
        (changed("questions", "heat", "options", 1, "high"), "must be a finite number"),
        (changed("questions", "heat", "options", 1, "high", value="100"), "high must be a number, not '100'"),
        (changed("questions", "tea", "options", 0, "offered", value="yes"), "offered is true or false"),
        (changed("traits", "region", "phrase", value="I live here."), r"needs \{\} once"),
        (changed("survey", "wording", value="exakt"), "wording: unknown value 'exakt'. Did you mean 'exact'"),
        (changed("design", "lonely", value="center"), "lonely: unknown value 'center'. Did you mean 'centre'"),
        (changed("questions", "tea", "options", 0, "code", value=float("nan")), "nan cannot be a code"),
        (changed("survey", "missing", value=-1), "must be a list of codes"),
        (changed("survey", "title", value=3), "title must be text in quotes, not 3"),
        (changed("traits", "region", value="North"), "must be a table"),
        (changed("questions", value={}), "describes no question"),
    ],
)
def test_a_wrong_codebook_says_where_and_what_is_right(book, message):
    with pytest.raises(SurveyError, match=message):
        Codebook.of(book, source="tea.toml")


def test_messages_start_with_the_file(tmp_path):
    path = tmp_path / "tea.toml"
    path.write_text('[survey]\ntitle = "Tea"\n[questions.tea\n')
    with pytest.raises(SurveyError, match=r"^tea.toml is not valid TOML: .*line 3"):
        Codebook.read(path)
    with pytest.raises(SurveyError, match="There is no codebook at"):
        Codebook.read(tmp_path / "none.toml")
    path.write_bytes('[survey]\ntitle = "Té"'.encode("latin-1"))
    with pytest.raises(SurveyError, match="UTF-8"):
        Codebook.read(path)


def test_the_mistakes_of_a_codebook_are_told_at_once():
    book = changed("questions", "tea", "txt", value="x")
    book = {**book, "sruvey": {}, "design": {"wieght": "w", "strata": "s"}}
    book["traits"] = {**book["traits"], "town": {"options": []}}
    with pytest.raises(SurveyError) as told:
        Codebook.of(book, source="tea.toml")
    lines = str(told.value).splitlines()
    assert lines[0] == "tea.toml has 4 mistakes:"
    assert "- tea.toml: unknown key 'sruvey'. Did you mean 'survey'?" in lines
    assert any("'wieght'" in line and "'strata'" in line for line in lines)
    assert any("[traits.town] lists no options" in line for line in lines)
    assert any("[questions.tea]: unknown key 'txt'" in line for line in lines)


def test_what_a_codebook_says_wrongly_of_the_data_is_told_at_once():
    yes = [{"code": 1, "label": "Yes"}, {"code": 2, "label": "No"}]
    book = {
        "design": {"weight": "w"},
        "questions": {"a": {"text": "?", "options": yes}, "b": {"text": "?", "options": yes}},
    }
    frame = pl.DataFrame({"a": [1, 3], "b": [2, 7], "w": ["1,5", "1"]})
    with pytest.raises(SurveyError) as told:
        Survey.from_frame(frame, book)
    message = str(told.value)
    assert message.startswith("the frame has 3 mistakes:")
    assert "does not list 3 (1 row)" in message
    assert "does not list 7 (1 row)" in message
    assert "write 1.5" in message
    with pytest.raises(SurveyError, match=r"has 2 mistakes:\n.*'a' that is not in(.|\n)*'b' that is not in"):
        Survey.from_frame(frame.select("w"), book)
