"""A .sas7bdat is read with its texts, accents and missing values; value labels stand elsewhere, so codes do."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import pyreadstat._readstat_writer as readstat
import pytest

from plural_nb.survey.reading import read_survey

NUMBER, TEXT = 5, 0
ROWS = [(1.0, 1.5, "Zürich"), (2.0, 0.5, "Bern"), (".A", 1.0, "Bern"), (None, 2.0, ""), (1.0, 1.0, "Bern")]


@pytest.fixture
def sas(tmp_path: Path) -> Path:
    """A file written on the spot by the library under pyreadstat, which itself offers no writer of this format."""
    try:
        library = ctypes.CDLL(readstat.__file__)
        library.readstat_begin_writing_sas7bdat  # noqa: B018
    except (OSError, AttributeError):
        pytest.skip("the library under pyreadstat cannot be called here")
    path = tmp_path / "poll.sas7bdat"
    columns = [(b"q", NUMBER, 8, b"Do you drink tea?"), (b"wt", NUMBER, 8, b""), (b"town", TEXT, 10, b"Town")]
    path.write_bytes(sas7bdat(library, columns, ROWS))
    return path


def sas7bdat(library: ctypes.CDLL, columns: Sequence[tuple[bytes, int, int, bytes]], rows: Sequence[tuple]) -> bytes:
    pointer, written = ctypes.c_void_p, bytearray()
    library.readstat_writer_init.restype = library.readstat_add_variable.restype = pointer

    @ctypes.CFUNCTYPE(ctypes.c_ssize_t, pointer, ctypes.c_size_t, pointer)
    def take(data, size, _):
        written.extend(ctypes.string_at(data, size))
        return size

    writer = pointer(library.readstat_writer_init())
    library.readstat_set_data_writer(writer, take)
    variables = []
    for name, kind, width, label in columns:
        variables.append(pointer(library.readstat_add_variable(writer, name, kind, ctypes.c_size_t(width))))
        library.readstat_variable_set_label(variables[-1], label)
    assert library.readstat_begin_writing_sas7bdat(writer, None, ctypes.c_long(len(rows))) == 0
    for row in rows:
        library.readstat_begin_row(writer)
        for (_, kind, _, _), variable, cell in zip(columns, variables, row, strict=True):
            if cell is None:
                code = library.readstat_insert_missing_value(writer, variable)
            elif kind == TEXT:
                code = library.readstat_insert_string_value(writer, variable, cell.encode())
            elif isinstance(cell, str):
                code = library.readstat_insert_tagged_missing_value(writer, variable, ctypes.c_char(cell[1:].encode()))
            else:
                code = library.readstat_insert_double_value(writer, variable, ctypes.c_double(cell))
            assert code == 0
        library.readstat_end_row(writer)
    assert library.readstat_end_writing(writer) == 0
    library.readstat_writer_free(writer)
    return bytes(written)


def test_codes_texts_and_missing_values_are_those_of_the_file(sas):
    survey = read_survey(sas, weight="wt")
    assert survey.questions["q"].text == "Do you drink tea?"
    shares = survey.answers("q").shares()
    assert (shares.options, shares.share.tolist(), shares.n.tolist()) == (("1", "2"), [[2.5 / 3, 0.5 / 3]], [3])
    assert survey.design.weight.tolist() == [1.5, 0.5, 1.0, 2.0, 1.0]
    assert survey.answers("town").shares().share.tolist() == [[2.5 / 4, 1.5 / 4]]
    assert [option.label for option in survey.questions["town"].options] == ["Bern", "Zürich"]


def test_a_codebook_gives_the_labels_and_the_tagged_missing_value(sas):
    options = [{"code": 1, "label": "Yes"}, {"code": 2, "label": "No"},
               {"code": ".a", "label": "Refused", "substantive": False}]  # fmt: skip
    book = {"design": {"weight": "wt"}, "questions": {"q": {"text": "Tea?", "options": options}}}
    shares = read_survey(sas, codebook=book).answers("q").shares()
    assert shares.options == ("Yes", "No")
    assert shares.nonsubstantive[0] + shares.volunteered[0] == pytest.approx(1 / 4)
