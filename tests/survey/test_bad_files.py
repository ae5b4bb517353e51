"""Files that are damaged, old, locked or say the wrong thing give a clear error or a correct survey."""

import struct

import numpy as np
import polars as pl
import pyreadstat
import pytest

from plural_nb.errors import SurveyError
from plural_nb.survey import apart
from plural_nb.survey.reading import read_survey


def test_wrong_weight_columns_are_clear_errors(sav):
    with pytest.raises(SurveyError, match=r"no column 'wgt' to be the weight. Did you mean 'wt'"):
        read_survey(sav, weight="wgt")
    with pytest.raises(SurveyError, match=r"'sex' cannot be the weight; it has value labels \(Male, Female\).*wt"):
        read_survey(sav, weight="sex")
    with pytest.raises(SurveyError, match="weight column 'said' holds text"):
        read_survey(sav, weight="said")


def test_damaged_encrypted_and_foreign_files_say_what_they_are(sav, tmp_path):
    good = sav.read_bytes()
    for name, content, message in (
        ("cut", good[: len(good) // 2], "ends before its last row"),
        ("short", good[:200], "ends too early"),
        ("empty", b"", r"is empty \(0 bytes\)"),
        ("other", b"hello world" * 100, "cannot be read as .sav"),
        ("locked", b"\x1c\0\0\0\0\0\0\0ENCRYPTEDSAV\x15\0\0\0" + bytes(500), "encrypted with a password"),
        ("zipped", b"PK\x03\x04" + bytes(100), "is a zip archive"),
    ):
        path = tmp_path / f"{name}.sav"
        path.write_bytes(content)
        with pytest.raises(SurveyError, match=message):
            read_survey(path)


def test_a_file_of_stata_5_is_read_with_its_labels(tmp_path):
    path = tmp_path / "old.dta"
    path.write_bytes(_stata_5())
    survey = read_survey(path, weight="w")
    question = survey.questions["q"]
    assert question.text == "Do you drink tea?"
    assert [(o.code, o.label) for o in question.options] == [(1, "Yes"), (2, "No")]
    assert survey.answer_codes["q"].tolist() == [0, 1, 0]
    assert survey.design.weight.tolist() == [1.5, 0.5, 1.0]
    path.write_bytes(b"\x66" + _stata_5()[1:])  # release 102, older than what the reader knows
    with pytest.raises(SurveyError, match=r"old.dta cannot be read as .dta: This version .* is not supported"):
        read_survey(path)


def test_bytes_changed_at_random_never_raise_anything_but_a_survey_error(sav, tmp_path):
    good, rng = sav.read_bytes(), np.random.default_rng(7)
    path = tmp_path / "changed.sav"
    outcomes = set()
    for _ in range(8):
        bad = bytearray(good)
        for place in rng.integers(0, min(len(bad), 6000), 8):
            bad[place] = rng.integers(0, 256)
        path.write_bytes(bytes(bad))
        try:
            read_survey(path)
            outcomes.add("read")
        except SurveyError:
            outcomes.add("refused")
    assert "refused" in outcomes


def test_a_reader_that_crashes_does_not_take_us_along(sav, monkeypatch):
    monkeypatch.setattr(apart, "_COMMAND", "import os; os.abort()")
    with pytest.raises(SurveyError, match=r"poll.sav cannot be read: it made the reader crash \(signal 6\)"):
        read_survey(sav)
    monkeypatch.setattr(apart, "_COMMAND", "raise MemoryError")
    with pytest.raises(SurveyError, match="asks for more memory than this machine has"):
        read_survey(sav)


def test_weights_with_decimal_commas_are_an_error_that_shows_the_point(tmp_path):
    (tmp_path / "tea.csv").write_text('tea,w\n1,"1,5"\n2,"0,5"\n')
    book = {
        "design": {"weight": "w"},
        "questions": {"tea": {"text": "?", "options": [{"code": 1, "label": "a"}, {"code": 2, "label": "b"}]}},
    }
    with pytest.raises(SurveyError, match=r"'1,5' for one. Decimal commas are not read as numbers; write 1.5"):
        read_survey(tmp_path / "tea.csv", codebook=book)
    text = pl.DataFrame({"q": [1.0, 2.0], "w": ["1,5", "0,5"]})
    pyreadstat.write_sav(text, tmp_path / "w.sav", variable_value_labels={"q": {1.0: "a", 2.0: "b"}})
    with pytest.raises(SurveyError, match="Decimal commas"):
        read_survey(tmp_path / "w.sav", weight="w")


def _stata_5():
    """A file of release 105, byte by byte: two variables, three rows, one table of value labels."""
    header = struct.pack("<BBBBhi", 105, 2, 1, 0, 2, 3) + b"Tea".ljust(32, b"\0") + b"1 Jan 1997 10:00".ljust(18, b"\0")
    names = b"".join(name.ljust(9, b"\0") for name in (b"q", b"w"))
    formats = b"%8.0g".ljust(12, b"\0") * 2
    tables = b"ql".ljust(9, b"\0") + b"".ljust(9, b"\0")
    texts = b"Do you drink tea?".ljust(32, b"\0") + b"Weight".ljust(32, b"\0")
    rows = b"".join(struct.pack("<bd", q, w) for q, w in [(1, 1.5), (2, 0.5), (1, 1.0)])
    labels = (
        struct.pack("<h", 2)
        + b"ql".ljust(10, b"\0")
        + struct.pack("<2h", 1, 2)
        + b"Yes".ljust(8, b"\0")
        + b"No".ljust(8, b"\0")
    )
    return header + b"bd" + names + struct.pack("<3h", 0, 0, 0) + formats + tables + texts + b"\0\0\0" + rows + labels


def test_psus_numbered_anew_in_each_stratum_are_told_apart(sav, frame):
    # 4 strata of 4 PSUs each, all numbered 1 to 4: 16 PSUs, not 4.
    survey = read_survey(sav, weight="wt", stratum="stratum", psu="psu")
    assert frame["psu"].n_unique() == 4
    assert survey.answers("agree").shares().df.tolist() == [12.0]
