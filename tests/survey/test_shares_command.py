"""`plural-nb shares` gives R's numbers from a bare file, and says in one line what is wrong."""

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pyreadstat
import pytest

from plural_nb.cli import main
from plural_nb.survey.bare import Roles, answers_from_table
from plural_nb.survey.reading import read_survey
from plural_nb.survey.shares import estimate

COLUMNS = [
    "question", "group", "option", "n", "share", "se", "low", "high", "df", "n_eff_kish", "n_eff", "deff_wr",
]  # fmt: skip
DESIGN = ["--weight", "weight", "--strata", "stratum", "--psu", "psu"]
RELATIVE = 1e-10


@pytest.fixture
def shares(capsys):
    def run(*arguments):
        status = main(["shares", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert status == 0, err
        return out

    return run


@pytest.fixture
def wrong(capsys):
    def run(*arguments):
        try:
            status = main(["shares", *map(str, arguments)])
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        assert (status, out) == (2, "")
        assert err.count("\n") == 1
        assert "Traceback" not in err
        return err

    return run


@pytest.mark.parametrize("interval", ["logit", "wald"])
def test_json_equals_r(shares, oracle, reference, interval):
    names = {"logit": "xlogit", "wald": "mean"}
    rows = json.loads(
        shares(oracle / "likert.csv", "--question", "q1", "--by", "region", *DESIGN, "--interval", interval, "--json")
    )
    assert list(rows[0]) == COLUMNS
    theirs = {
        (r["domain"], r["level"]): r
        for r in reference("props.json")
        if (r["design"], r["var"], r["domain_var"]) == ("likert", "q1", "region")
    }
    assert len(rows) == len(theirs) == 20
    for row in rows:
        r = theirs[row["group"], row["option"]]
        ours = [row[k] for k in ("n", "share", "se", "low", "high", "df", "n_eff_kish", "deff_wr", "n_eff")]
        kind = names[interval]
        r_numbers = [r[k] for k in ("n", "est", "se", f"{kind}_lo", f"{kind}_hi", "df", "n_eff_kish", "deff_wr")]
        assert ours == pytest.approx([*r_numbers, r["n"] / r["deff_wr"]], rel=RELATIVE)


def test_csv_and_json_hold_the_same_rows(shares, oracle):
    arguments = (oracle / "likert.csv", "--question", "q2", *DESIGN)
    table = list(csv.DictReader(io.StringIO(shares(*arguments))))
    rows = json.loads(shares(*arguments, "--json"))
    assert list(table[0]) == COLUMNS
    assert [(r["option"], float(r["share"]), float(r["se"])) for r in table] == [
        (r["option"], r["share"], r["se"]) for r in rows
    ]


def test_where_is_a_domain_and_not_a_filter(shares, oracle):
    arguments = (oracle / "likert.csv", "--question", "q1", *DESIGN, "--json")
    by = json.loads(shares(*arguments, "--by", "gender"))
    where = json.loads(shares(*arguments, "--where", "gender = 'other' AND age >= 18"))
    for a, b in zip([r for r in by if r["group"] == "other"], where, strict=True):
        assert [a[k] for k in COLUMNS[2:]] == [b[k] for k in COLUMNS[2:]]


@pytest.mark.parametrize(("kind", "mse"), [("JKn", False), ("Fay", True), ("bootstrap", False)])
def test_replicate_weights_of_a_file_give_rs_numbers(shares, oracle, likert, reference, tmp_path, kind, mse):
    meta = {row["type"]: row for row in csv.DictReader((oracle / "rep_meta.csv").open())}[kind]
    factors = pl.read_csv(oracle / meta["file"])
    names = factors.columns[1:]
    frame = likert.join(factors, on="psu", how="left", maintain_order="left").with_columns(
        pl.col(names) * pl.col("weight")
    )
    frame.drop("stratum", "psu").rename({"weight": "rep0"}).write_csv(tmp_path / "file.csv")
    (tmp_path / "rscales.txt").write_text("\n".join(meta["rscales"].split()))
    found = json.loads(
        shares(
            tmp_path / "file.csv", "--question", "q1", "--by", "region", "--weight", "rep0", "--replicates", "rep*",
            "--scale", meta["scale"], "--rscales", tmp_path / "rscales.txt", "--centre", "theta" if mse else "mean",
            "--json",
        )
    )  # fmt: skip
    theirs = {
        (r["domain"], r["level"]): r
        for r in reference("replicates.json")
        if (r["type"], r["mse"], r["var"], r["domain_var"]) == (kind, mse, "q1", "region")
    }
    assert len(theirs) == len(found) == 20
    for row in found:
        r = theirs[row["group"], row["option"]]
        ours = [row[k] for k in ("share", "se", "df", "low", "high")]
        assert ours == pytest.approx([r[k] for k in ("est", "se", "df", "xlogit_lo", "xlogit_hi")], rel=RELATIVE)


def test_df_fpc_and_missing_texts_are_taken(shares, tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("q,w,N,g\n" + "yes,1,40,a\nno,1,40,b\nyes,2,40,a\n-9,1,40,\nNA,1,40,a\n,1,40,b\nno,1,40,NA\n")
    plain = json.loads(shares(path, "--question", "q", "--weight", "w", "--missing", "-9", "--missing", "NA", "--json"))
    assert [(r["option"], r["n"], r["share"]) for r in plain] == [("no", 4, 0.4), ("yes", 4, 0.6)]
    kept = json.loads(shares(path, "--question", "q", "--weight", "w", "--json"))
    assert [r["option"] for r in kept] == ["-9", "no", "yes"]
    small = json.loads(
        shares(path, "--question", "q", "--weight", "w", "--missing", "-9", "--missing", "NA", "--fpc", "N", "--df", 5,
               "--json")
    )  # fmt: skip
    assert small[0]["df"] == 5
    assert small[0]["se"] == pytest.approx(plain[0]["se"] * np.sqrt(1 - 7 / 40))
    grouped = json.loads(shares(path, "--question", "q", "--by", "g", "--json"))
    assert list(dict.fromkeys(r["group"] for r in grouped)) == ["a", "b"]


def test_psus_are_nested_in_strata(shares, likert, oracle, tmp_path):
    likert.with_columns(pl.col("psu").str.slice(3)).write_csv(tmp_path / "nested.csv")
    a = shares(oracle / "likert.csv", "--question", "q1", *DESIGN)
    assert a == shares(tmp_path / "nested.csv", "--question", "q1", *DESIGN)


def test_parquet_and_tsv_and_codes_with_zeros(shares, tmp_path):
    frame = pl.DataFrame({"q": [1.0, 2.0, 1.0, None], "code": ["01", "1", "01", "2"]})
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_csv(tmp_path / "a.tsv", separator="\t")
    for name in ("a.parquet", "a.tsv"):
        assert [r["option"] for r in json.loads(shares(tmp_path / name, "--question", "q", "--json"))] == ["1", "2"]
        found = json.loads(shares(tmp_path / name, "--question", "code", "--json"))
        assert [(r["option"], r["share"]) for r in found] == [("01", 0.5), ("1", 0.25), ("2", 0.25)]


@pytest.mark.parametrize("kind", ["sav", "dta"])
def test_labelled_files_give_labels_and_leave_out_declared_missings(shares, likert, oracle, tmp_path, kind):
    frame = likert.select("q1", "weight", "stratum", "psu", "region").with_columns(pl.col("q1").fill_null(9.0))
    path = tmp_path / f"file.{kind}"
    labels = {"q1": {1: "None", 2: "Little", 3: "Some", 4: "Much", 5: "All"}}
    if kind == "sav":
        pyreadstat.write_sav(frame, str(path), variable_value_labels=labels, missing_ranges={"q1": [9]})
    else:
        pyreadstat.write_dta(frame.with_columns(q1=likert["q1"]), str(path), variable_value_labels=labels)
    ours = json.loads(shares(path, "--question", "q1", "--by", "region", *DESIGN, "--json"))
    bare = json.loads(shares(oracle / "likert.csv", "--question", "q1", "--by", "region", *DESIGN, "--json"))
    assert [row["option"] for row in ours[:5]] == ["None", "Little", "Some", "Much", "All"]
    assert [row["se"] for row in ours] == pytest.approx([row["se"] for row in bare], rel=1e-12)


@pytest.mark.parametrize("declared", [True, False])
def test_dont_know_is_treated_as_read_survey_does(shares, likert, tmp_path, capsys, declared):
    frame = likert.select("weight", "stratum", "psu", "region", q1=pl.col("q1").fill_null(8.0).cast(pl.Float64))
    path = tmp_path / "file.sav"
    labels = {"q1": {1: "None", 2: "Little", 3: "Some", 4: "Much", 5: "All", 8: "Don't know"}}
    pyreadstat.write_sav(frame, str(path), variable_value_labels=labels, missing_ranges={"q1": [8]} if declared else {})
    survey = read_survey(path, weight="weight", stratum="stratum", psu="psu")
    theirs = survey.answers("q1").shares()
    ours = json.loads(shares(path, "--question", "q1", *DESIGN, "--json"))
    assert [row["option"] for row in ours] == list(theirs.options)
    assert [row["share"] for row in ours] == pytest.approx(theirs.share[0].tolist(), rel=1e-14)
    assert [row["se"] for row in ours] == pytest.approx(theirs.se[0].tolist(), rel=1e-12)
    main(["shares", str(path), "--question", "q1"])
    said = "Don't know carries no opinion by its label and is no option" in capsys.readouterr().err
    assert said is not declared
    by = json.loads(shares(path, "--question", "region", "--by", "q1", "--json"))
    assert {row["group"] for row in by} == {"None", "Little", "Some", "Much", "All"}


def test_a_codebook_beside_the_file_gives_labels_and_missing_codes(shares, tmp_path, capsys):
    path = tmp_path / "tea.csv"
    path.write_text("q,g,w\n1,1,2\n2,1,1\n9,2,1\n-1,2,1\n1,2,1\n")
    (tmp_path / "tea.toml").write_text(
        '[survey]\nmissing = [-1]\n[design]\nweight = "w"\n[traits.side]\ncolumn = "g"\n'
        'options = [{code = 1, label = "left"}, {code = 2, label = "right"}]\n[questions.tea]\ntext = "Tea?"\n'
        'column = "q"\noptions = [{code = 2, label = "No"}, {code = 1, label = "Yes"}, '
        '{code = 9, label = "Refused", substantive = false}]\n'
    )
    found = json.loads(shares(path, "--question", "q", "--by", "g", "--weight", "w", "--json"))
    cells = [(row["group"], row["option"], row["n"], row["share"]) for row in found]
    assert cells == [
        ("left", "No", 2, pytest.approx(1 / 3)), ("left", "Yes", 2, pytest.approx(2 / 3)),
        ("right", "No", 1, 0.0), ("right", "Yes", 1, 1.0),
    ]  # fmt: skip
    main(["shares", str(path), "--question", "q"])
    said = capsys.readouterr().err
    assert "labels and missing codes are those of tea.toml" in said
    assert "--weight w" in said
    (tmp_path / "tea.toml").write_text("[tool]\nx = 1\n")
    assert [row["option"] for row in json.loads(shares(path, "--question", "q", "--json"))] == ["-1", "1", "2", "9"]
    main(["shares", str(path), "--question", "q"])
    assert "tea.toml is not used as a codebook" in capsys.readouterr().err


def test_a_code_that_means_no_answer_is_still_the_name_of_a_psu_or_a_weight(shares, tmp_path):
    frame = pl.DataFrame({"q": [1, 2, 9, 1, 2, 1], "s": [9, 9, 9, 1, 1, 1], "p": [1, 2, 9, 1, 9, 9], "w": [9.0] * 6})
    frame.write_csv(tmp_path / "a.csv")
    design = ("--strata", "s", "--psu", "p", "--weight", "w", "--missing", "9", "--json")
    found = json.loads(shares(tmp_path / "a.csv", "--question", "q", *design))
    blank = frame.with_columns(pl.col("q").replace(9, None), pl.col("s", "p") + 100)
    blank.write_csv(tmp_path / "b.csv")
    assert found == json.loads(shares(tmp_path / "b.csv", "--question", "q", *design[:-3], "--json"))
    assert [row["n"] for row in found] == [5, 5]
    light = json.loads(shares(tmp_path / "a.csv", "--question", "q", *design, "--where", "w > 8 AND q = 1"))
    assert [row["n"] for row in light] == [3, 3]


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical, pl.Enum(["Yes", "NA", "No"])])
def test_na_is_no_answer_in_texts_of_any_type(shares, tmp_path, kind):
    frame = pl.DataFrame({"q": pl.Series(["Yes", "No", "NA", None, "No"], dtype=kind)})
    for name, write in (("a.parquet", frame.write_parquet), ("a.feather", frame.write_ipc)):
        write(tmp_path / name)
        found = json.loads(shares(tmp_path / name, "--question", "q", "--json"))
        assert {row["option"]: row["n"] for row in found} == {"Yes": 3, "No": 3}


def test_replicates_without_a_weight_are_said(tmp_path, capsys):
    pl.DataFrame({"q": [1, 2], "r1": [2.0, 0.0], "r2": [0.0, 2.0]}).write_csv(tmp_path / "a.csv")
    assert main(["shares", str(tmp_path / "a.csv"), "--question", "q", "--replicates", "r*", "--scale", "1"]) == 0
    assert "no weight was named" in capsys.readouterr().err


def test_a_column_of_lists_is_no_question(wrong, tmp_path):
    pl.DataFrame({"q": [[1], [2]]}).write_parquet(tmp_path / "a.parquet")
    assert "not one value per row" in wrong(tmp_path / "a.parquet", "--question", "q")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--question", "q11"], "no column 'q11'. Did you mean 'q1'"),
        (["--question", "q1", "--weight", "region"], "weight column 'region' holds text in 1575 rows"),
        (["--question", "id"], "1575 different values"),
        (["--question", "q1", "--where", "age"], "not true or false for each row"),
        (["--question", "q1", "--where", "age >"], "no condition"),
        (["--question", "q1", "--where", 'region = "North"'], "Texts go in single quotes"),
        (["--question", "q1", "--where", "age > 900"], "No row of likert.csv meets"),
        (["--question", "q1", "--where", "region > 3"], "cannot be worked out"),
        (["--question", "q1", "--where", "__import__('os').system('true')"], "no condition"),
        (["--question", "q1", "--replicates", "rep*"], "0 columns of likert.csv match"),
        (["--question", "q1", "--replicates", "q*"], "need their scale"),
        (["--question", "q1", "--scale", "1"], "belongs to replicate weights"),
        (["--question", "q1", "--replicates", "q[12]", "--scale", "1"], "has no weight in row"),
        (["--question", "q1", "--fpc", "age"], "differs within a stratum"),
        (["--question", "q1", "--df", "0"], "degrees of freedom must be a positive"),
        (["--question", "q1", "--psu", "q4"], "rows have no PSU"),
        (["--question", "q1", "--interval", "exact"], "invalid choice"),
        ([], "--question"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_plain_line(wrong, oracle, arguments, message):
    assert message in wrong(oracle / "likert.csv", *arguments)


def test_files_that_cannot_be_read_are_one_plain_line(wrong, tmp_path):
    assert "There is no file" in wrong(tmp_path / "none.csv", "--question", "q")
    assert "ends in '.doc'" in wrong(tmp_path / "file.doc", "--question", "q")
    assert "is a folder" in wrong(tmp_path, "--question", "q")
    (tmp_path / "empty.csv").write_text("")
    assert "cannot be read" in wrong(tmp_path / "empty.csv", "--question", "q")
    (tmp_path / "head.csv").write_text("q,w\n")
    assert "has no rows" in wrong(tmp_path / "head.csv", "--question", "q")
    (tmp_path / "semi.csv").write_text("q;w\n1;2\n")
    assert "separated by semicolons" in wrong(tmp_path / "semi.csv", "--question", "q")
    (tmp_path / "latin.csv").write_bytes("q\ncaf\xe9\nthé\n".encode("latin-1"))
    assert "UTF-8" in wrong(tmp_path / "latin.csv", "--question", "q")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    assert "cannot be read" in wrong(tmp_path / "bad.parquet", "--question", "q")
    (tmp_path / "comma.csv").write_text('q,w\n1,"1,5"\n2,2\n')
    assert "write 1.5" in wrong(tmp_path / "comma.csv", "--question", "q", "--weight", "w")
    (tmp_path / "twice.csv").write_text("q,q\n1,2\n2,1\n")
    assert "two columns 'q'" in wrong(tmp_path / "twice.csv", "--question", "q")
    (tmp_path / "ragged.csv").write_text("q,w\n1,2\n2,1,5\n")
    assert "more fields" in wrong(tmp_path / "ragged.csv", "--question", "q")
    (tmp_path / "minus.csv").write_text("q,w\n1,-1\n2,2\n")
    assert "negative" in wrong(tmp_path / "minus.csv", "--question", "q", "--weight", "w")
    (tmp_path / "rscales.txt").write_text("1\nx\n")
    (tmp_path / "reps.csv").write_text("q,r1,r2\n1,1,2\n2,2,1\n")
    reps = ("--question", "q", "--replicates", "r*")
    assert "'x' is not a number" in wrong(tmp_path / "reps.csv", *reps, "--rscales", tmp_path / "rscales.txt")
    assert "cannot be read" in wrong(tmp_path / "reps.csv", *reps, "--rscales", tmp_path / "none.txt")


def test_the_replicates_leave_the_weight_out_of_a_pattern_it_matches(tmp_path):
    pl.DataFrame({"q": [1, 2], "P": [1.0, 1.0], "P1": [2.0, 0.0], "P2": [0.0, 2.0]}).write_csv(tmp_path / "a.csv")
    answers, _ = answers_from_table(tmp_path / "a.csv", Roles("q", weight="P", replicates="P*", scale=1.0, df=1))
    assert answers.design.replicates.size == 2
    assert estimate(answers).se[0, 0] == pytest.approx(np.sqrt(0.5))


def test_the_command_runs_from_a_shell(oracle):
    done = subprocess.run(
        [sys.executable, "-m", "plural_nb.cli", "shares", str(oracle / "likert.csv"), "--question", "q3", "--json"],
        capture_output=True, text=True, timeout=120, check=True, env={**os.environ, "PYTHONWARNINGS": "error"},
    )  # fmt: skip
    assert [row["option"] for row in json.loads(done.stdout)] == ["0", "1"]
