"""`plural-nb welfare` decides for a bare file of ratings, and says in one line what is wrong."""

import json

import numpy as np
import polars as pl
import pytest

from plural_nb.cli import main
from plural_nb.jury.reading import from_frame, read_utilities
from plural_nb.jury.welfare import welfare

RATINGS = "who,town,Park,Road,w\nAnn,North,4,2,1\nBo,South,1,2.5,2\nCy,South,1e-9,,1\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(RATINGS)
    return path


@pytest.fixture
def run(capsys):
    def command(*arguments):
        try:
            status = main(["welfare", *map(str, arguments)])
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return command


def test_json_is_one_array_of_alpha_candidate_welfare_and_rank(run, file):
    status, out, err = run(file, "--weight", "w", "--alpha", "0", "--alpha", "1", "--alpha", "inf", "--json")
    assert status == 0
    assert "missing" in err
    rows = json.loads(out)
    assert [list(row) for row in rows] == [["alpha", "candidate", "welfare", "rank"]] * 6
    assert [(row["alpha"], row["candidate"]) for row in rows] == [
        (alpha, name) for alpha in (0.0, 1.0, "inf") for name in ("Park", "Road")
    ]
    park, road = welfare([4, 1, 1e-9], [0, 1, np.inf], weight=[1, 2, 1]), [7 / 3, 2 ** (1 / 3) * 2.5 ** (2 / 3), 2]
    assert [row["welfare"] for row in rows[::2]] == pytest.approx(list(park), rel=1e-14)
    assert [row["welfare"] for row in rows[1::2]] == pytest.approx(road, rel=1e-12)
    assert [row["rank"] for row in rows] == [2, 1, 2, 1, 2, 1]


def test_a_readable_table_otherwise(run, file):
    status, out, _ = run(file, "--alpha", "0", "--weight", "w")
    assert status == 0
    assert [line.split() for line in out.splitlines()] == [
        ["alpha", "candidate", "welfare", "rank"],
        ["0", "Park", "1.5", "2"],
        ["0", "Road", "2.33333", "1"],
    ]


def test_order_of_alphas_and_repeats_are_kept(run, file):
    _, out, _ = run(file, "--alpha", "inf", "--alpha", "0", "--json")
    assert [row["alpha"] for row in json.loads(out)] == ["inf"] * 3 + [0.0] * 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--weight", "weight"], "no column 'weight'"),
        (["--weight", "town"], "holds text"),
        (["--alpha", "-1"], "from 0"),
        (["--alpha", "half"], "half"),
        (["--scaling", "ranges"], "Did you mean 'range'"),
        (["--scaling", "z"], "--shift"),
        (["--epsilon", "2", "--scaling", "range"], "epsilon"),
        (["--bogus"], "--bogus"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_2(run, file, arguments, said):
    status, out, err = run(file, *arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A,B\n1,-2\n3,4\n", "negative"),
        ("A,B\n1,inf\n3,4\n", "infinite"),
        ("A,B\nx,y\nz,u\n", "no candidate"),
        ("A,B\n1,2\n3,n/a\n5,6\n", "'n/a' in row 2"),
        ("A;B\n1;2\n", "semicolons"),
        ('A,B\n"1,5",2\n"2,5",3\n', "point"),
        ("A,A\n1,2\n", "two columns"),
        ("A,w\n1,0\n2,0\n", "zero"),
        ("A,w\n1,-1\n2,1\n", "negative"),
        ("A,B\n", "no rows"),
        ("", "empty"),
    ],
)
def test_a_bad_file_is_said_plainly(run, tmp_path, text, said):
    (tmp_path / "bad.csv").write_text(text)
    status, out, err = run(tmp_path / "bad.csv", *(["--weight", "w"] if ",w" in text else []))
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_the_shift_that_an_error_offers_is_enough(run, tmp_path):
    (tmp_path / "bad.csv").write_text("A,B\n1,-1.23456789\n2,3\n")
    _, _, err = run(tmp_path / "bad.csv")
    shift = err.split("--shift ")[1].split("`")[0]
    status, _, err = run(tmp_path / "bad.csv", "--shift", shift)
    assert status == 0
    assert f"{shift} was added" in err


def test_every_kind_of_file_reads_alike(file, tmp_path):
    frame = pl.read_csv(file)
    frame.write_parquet(tmp_path / "r.parquet")
    frame.write_csv(tmp_path / "r.tsv", separator="\t")
    frame.write_ipc(tmp_path / "r.feather")
    expected = read_utilities(file, weight="w")
    for name in ("r.parquet", "r.tsv", "r.feather"):
        found = read_utilities(tmp_path / name, weight="w")
        assert np.array_equal(found.values, expected.values, equal_nan=True)
        assert (found.jurors, found.traits.columns) == (("Ann", "Bo", "Cy"), ["town"])


def test_codes_are_text_and_numbered_jurors_are_noticed():
    jury = from_frame(pl.DataFrame({"area": ["01", "02"], "id": ["1", "2"], "A": ["3", "4"]}))
    assert jury.candidates == ("id", "A")
    assert "leave it out" in jury.notes[0]
    assert jury.jurors == ("01", "02")
