"""Files become surveys; codes match robustly; whatever is wrong is said with column, value and count."""

import os

import numpy as np
import pandas
import polars as pl
import pytest

from plural_nb.errors import SurveyError
from plural_nb.survey.reading import read_survey
from plural_nb.survey.survey import Survey

BOOK = """
[survey]
title = "Tea"
missing = [-1, "NA"]
[design]
weight = "w"
stratum = "h"
psu = "c"
[traits.region]
options = [{code = 1, label = "North"}, {code = 2, label = "South"}]
[traits.age]
options = [{label = "young", low = 18, high = 40}, {label = "old", low = 40, high = 90}]
[questions.tea]
text = "Do you drink tea?"
options = [{code = 1, label = "Yes"}, {code = 2, label = "No"}]
"""
FRAME = pl.DataFrame(
    {
        "id": [1, 2, 3, 4, 5, 6],
        "tea": [1, 2, 1, None, -1, 2],
        "region": [1, 1, 1, 2, 2, 2],
        "age": [18.0, 39.9, 40.0, 90.0, None, 55.0],
        "w": [1.0, 1.5, 1.0, 2.0, 1.0, 0.0],
        "h": ["a", "a", "a", "b", "b", "b"],
        "c": [1, 2, 2, 1, 2, 2],
    }
)


BOOK_AS_DICT = {"questions": {"tea": {"text": "?", "options": [{"code": 1, "label": "a"}, {"code": 2, "label": "b"}]}}}


def written(folder, frame=FRAME, suffix=".csv", book=BOOK):
    path = folder / f"tea{suffix}"
    if suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if suffix == ".tsv" else ",")
    (folder / "tea.toml").write_text(book)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_every_kind_of_file_gives_the_same_survey(tmp_path, suffix):
    survey = read_survey(written(tmp_path, suffix=suffix))
    assert survey.answer_codes["tea"].tolist() == [0, 1, 0, -1, -1, 1]
    assert survey.trait_codes["region"].tolist() == [0, 0, 0, 1, 1, 1]
    assert survey.trait_codes["age"].tolist() == [0, 0, 1, 1, -1, 1]
    assert survey.design.weight.tolist() == FRAME["w"].to_list()
    assert survey.design.psu.tolist() == [0, 1, 1, 2, 3, 3]
    assert survey.people.columns == ["w", "h", "c", "region", "age", "tea"]
    assert survey.people["region"].dtype == pl.Int64
    assert "strata and PSUs" in survey.design.note


def test_a_frame_needs_no_file():
    book = {
        "questions": {"tea": {"text": "Tea?", "options": [{"code": 1, "label": "Yes"}, {"code": 2, "label": "No"}]}}
    }
    survey = Survey.from_frame(FRAME.select(pl.col("tea").replace(-1, None)), book)
    assert survey.answers("tea").shares().share.tolist() == [[0.5, 0.5]]
    assert survey.design.note == "standard errors assume simple random sampling"


@pytest.mark.parametrize(
    ("column", "codes"),
    [
        ([1, 2, None], [1, 2]),
        ([1.0, 2.0, float("nan")], [1, 2]),
        (["1", "2", None], [1, 2]),
        ([1, 2, None], ["1", "2"]),
        (["1.0", "2", ""], [1, 2.0]),
        (["01", "1", None], ["01", "1"]),
        ([True, False, None], [True, False]),
        ([True, False, None], ["true", "false"]),
        (["Yes", "No", None], ["Yes", "No"]),
    ],
)
def test_codes_match_numbers_as_numbers_and_texts_as_texts(column, codes):
    options = [{"code": codes[0], "label": "a"}, {"code": codes[1], "label": "b"}]
    survey = Survey.from_frame(pl.DataFrame({"q": column}), {"questions": {"q": {"text": "?", "options": options}}})
    assert survey.answer_codes["q"].tolist() == [0, 1, -1]


@pytest.mark.parametrize(("column", "shown"), [(["01", "2"], "'01'"), ([" 1", "2"], "' 1'"), (["1,0", "2"], "'1,0'")])
def test_a_text_that_only_looks_like_a_code_is_not_taken_for_it(column, shown):
    options = [{"code": 1, "label": "a"}, {"code": 2, "label": "b"}]
    with pytest.raises(SurveyError, match=rf"column 'q' .* does not list {shown} \(1 row\)"):
        Survey.from_frame(pl.DataFrame({"q": column}), {"questions": {"q": {"text": "?", "options": options}}})


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="a superuser can read every file")
def test_an_unreadable_file_is_a_clear_error(tmp_path):
    path = written(tmp_path)
    path.chmod(0)
    with pytest.raises(SurveyError, match="cannot be read"):
        read_survey(path)


@pytest.mark.parametrize(
    "kind", [pl.Categorical, pl.Enum(["1", "2"]), pl.Decimal(10, 2), pl.Int8, pl.UInt64, pl.Float32]
)
def test_the_type_of_a_column_does_not_matter(kind):
    column = pl.Series("tea", ["1", "2", None]).cast(kind)
    assert Survey.from_frame(column.to_frame(), BOOK_AS_DICT).answer_codes["tea"].tolist() == [0, 1, -1]


def test_other_frames_say_how_to_convert_them():
    with pytest.raises(SurveyError, match=r"not from a polars LazyFrame. .*frame.collect\(\)"):
        Survey.from_frame(FRAME.lazy(), BOOK_AS_DICT)
    with pytest.raises(SurveyError, match=r"not from a pandas DataFrame. .*from_pandas"):
        Survey.from_frame(pandas.DataFrame({"tea": [1, 2]}), BOOK_AS_DICT)


def test_leading_zeros_survive_a_csv_file(tmp_path):
    (tmp_path / "zip.csv").write_text("zip\n01\n02\n01\n")
    options = [{"code": "01", "label": "East"}, {"code": "02", "label": "West"}]
    survey = read_survey(tmp_path / "zip.csv", codebook={"questions": {"zip": {"text": "Where?", "options": options}}})
    assert survey.answer_codes["zip"].tolist() == [0, 1, 0]


def with_column(name, values):
    return FRAME.with_columns(pl.Series(name, values))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (with_column("tea", [1, 2, 7, 7, 8, 1]), r"column 'tea' .*does not list 7 \(2 rows\), 8 \(1 row\)"),
        (with_column("region", ["1", "2", "1", "2", "1", "Soth"]), r"'region'\): .* does not list 'Soth' \(1 row\)"),
        (with_column("age", [17, 18, 95, 95, 50, 50]), r"no interval of the codebook holds 95 \(2 rows\), 17"),
        (with_column("age", [17, 18, 91, 17, 50, 50]), r"holds 17 \(2 rows\), 91 \(1 row\).*18 to 40; 40 to 90"),
        (FRAME.rename({"tea": "tee"}), r"names a column 'tea' that is not in tea.csv. Did you mean 'tee'"),
        (FRAME.rename({"w": "weight"}), "names a column 'w' that is not in"),
        (with_column("w", [1.0, -1.0, 1.0, 1.0, -2.0, 1.0]), "column 'w': 2 base weights are negative .*row 2: -1"),
        (with_column("w", [1.0, None, 1.0, 1.0, 1.0, 1.0]), "column 'w': 1 of 6 base weights are missing"),
        (with_column("w", [0.0] * 6), "column 'w': all 6 base weights are zero"),
        (with_column("w", ["1,5"] * 6), "weight column 'w' holds text in 6 rows, '1,5' .* Decimal commas .*write 1.5"),
        (with_column("w", ["heavy"] * 6), "'heavy' for one. Write plain numbers"),
        (with_column("h", [None, "a", "a", "b", "b", "b"]), "column 'h': 1 rows have no stratum"),
        (FRAME.head(0), "has no rows"),
    ],
)
def test_wrong_data_is_said_with_column_value_and_count(tmp_path, frame, message):
    with pytest.raises(SurveyError, match=message):
        read_survey(written(tmp_path, frame))
    if frame.height:
        with pytest.raises(SurveyError, match=message.replace("tea.csv", "tea.parquet")):
            read_survey(written(tmp_path, frame, ".parquet"))


def test_wrong_files_are_clear_errors(tmp_path):
    written(tmp_path)
    with pytest.raises(SurveyError, match=r"There is no file .*Did you mean 'tea.csv'"):
        read_survey(tmp_path / "tee.csv")
    with pytest.raises(SurveyError, match="is a folder"):
        read_survey(tmp_path)
    with pytest.raises(SurveyError, match=r"ends in '.docx'. plural_nb reads .csv, .tsv, .parquet"):
        read_survey(tmp_path / "tea.docx")
    with pytest.raises(SurveyError, match="This is a codebook"):
        read_survey(tmp_path / "tea.toml")
    (tmp_path / "semi.csv").write_text("tea;w\n1;1,5\n")
    with pytest.raises(SurveyError, match="seems to be separated by semicolons"):
        read_survey(tmp_path / "semi.csv", codebook=BOOK_AS_DICT)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not a parquet file")
    with pytest.raises(SurveyError, match=r"bad.parquet cannot be read as .parquet"):
        read_survey(tmp_path / "bad.parquet", codebook=BOOK_AS_DICT)
    (tmp_path / "bad.csv").write_bytes(b"tea\n\xff\xfe\xe9\n")
    with pytest.raises(SurveyError, match=r"bad.csv"):
        read_survey(tmp_path / "bad.csv", codebook=BOOK_AS_DICT)
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(SurveyError, match=r"empty.csv cannot be read"):
        read_survey(tmp_path / "empty.csv", codebook=BOOK_AS_DICT)
    (tmp_path / "alone.csv").write_text("tea\n1\n")
    with pytest.raises(SurveyError, match=r"needs a codebook .* no alone.toml beside it"):
        read_survey(tmp_path / "alone.csv")


def test_columns_the_codebook_does_not_name_are_left_behind(tmp_path):
    (tmp_path / "tea.csv").write_text('tea,notes\n1,"fine, thanks"\n2,ok\n')
    survey = read_survey(tmp_path / "tea.csv", codebook=BOOK_AS_DICT)
    assert survey.people.columns == ["tea"]


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path):
    (tmp_path / "tea.csv").write_bytes(b"\xef\xbb\xbftea\n1\n2\n")
    assert read_survey(tmp_path / "tea.csv", codebook=BOOK_AS_DICT).n == 2


def test_answers_are_one_hot_rows_with_the_survey_behind_them(tmp_path):
    answers = read_survey(written(tmp_path)).answers("tea")
    np.testing.assert_array_equal(answers.rows[:3], [[1, 0], [0, 1], [1, 0]])
    assert answers.rows[3:5].sum() == 0
    assert answers.answered.tolist() == [True, True, True, False, False, True]
