"""SPSS, Stata and SAS files are read with their labels, missing codes and texts; nothing is guessed in silence."""

import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pyreadstat
import pytest
from poll_file import AGREE, LABELS, TEXTS, N

from plural_nb.errors import SurveyError
from plural_nb.survey import labelled, reading
from plural_nb.survey.guessing import bins_of
from plural_nb.survey.labelled import LabelledFile
from plural_nb.survey.reading import read_survey
from plural_nb.survey.survey import Survey


def test_labels_become_options_and_texts_are_exact(sav, frame):
    survey = read_survey(sav)
    question = survey.questions["agree"]
    assert (survey.title, survey.n, question.text, question.wording) == ("A poll", N, TEXTS["agree"], "exact")
    assert [o.label for o in question.options] == list(AGREE.values())
    assert [o.substantive for o in question.options] == [True] * 5 + [False] * 2
    assert [o.offered for o in question.options] == [True] * 5 + [False] * 2
    table = frame["agree"].value_counts().sort("agree")
    assert np.bincount(survey.answer_codes["agree"]).tolist() == table["count"].to_list()
    assert not {"id", "wt", "stratum", "psu", "asked", "said"} & set(survey.questions)


def test_a_label_that_nobody_chose_stays_an_option_with_share_zero(sav):
    shares = read_survey(sav).answers("vote").shares()
    assert shares.options == ("Red", "Blue", "Green", "Grey")
    assert shares.share[0, 3] == 0
    assert shares.nonsubstantive[0] == 0  # "No answer" was volunteered, so it leaves both denominators
    assert shares.volunteered[0] > 0


def test_ordinality_is_guessed_from_labels_shown_and_corrected_with_one_call(sav):
    survey = read_survey(sav)
    shown = {row["question"]: (row["kind"], row["why"]) for row in survey.guesses().to_dicts()}
    assert shown["agree"] == ("ordinal", "labels in the order of a scale (for to against)")
    assert shown["vote"] == ("nominal", "labels without an order")
    assert shown["happy"] == ("ordinal", "a scale of numbers with named ends")
    corrected = survey.with_kind("vote", "ordinal", [1, 3, 2, 4])
    assert corrected.questions["vote"].values == (1, 3, 2, 4)
    assert corrected.guesses().filter(pl.col("question") == "vote")["why"].item() == "as you said"
    assert survey.questions["vote"].kind == "nominal"
    with pytest.raises(SurveyError, match="4 options that carry opinion, and 2 values"):
        survey.with_kind("vote", "ordinal", [1, 2])


def test_scales_of_numbers_and_thermometers_are_questions_with_exact_values(sav, frame):
    survey = read_survey(sav)
    happy = survey.questions["happy"]
    assert [o.label for o in happy.options] == ["Extremely unhappy", *map(str, range(1, 10)), "Extremely happy"]
    assert happy.values == tuple(range(11))
    therm = survey.questions["therm"]
    assert therm.kind == "numeric"
    assert [o.bounds for o in therm.options if o.substantive] == [(0, 20), (20, 40), (40, 60), (60, 80), (80, 100)]
    exact = frame["therm"].replace(998.0, None).to_numpy()
    np.testing.assert_array_equal(survey.values("therm"), exact)
    assert survey.answers("therm").shares().n[0] == np.isfinite(exact).sum()
    binned = survey.with_kind("happy", "numeric")
    np.testing.assert_array_equal(binned.values("happy"), frame["happy"].to_numpy())
    assert binned.answers("happy").shares().n[0] == N


def test_no_weight_is_taken_in_silence_and_candidates_are_named(sav, frame):
    survey = read_survey(sav)
    assert not survey.weighted
    assert survey.candidates == {"weight": ("wt",), "stratum": ("stratum",), "psu": ("psu",)}
    assert "No weight is used" in survey.note
    assert "weight='wt'" in survey.note
    assert "without weights" in survey.design.note
    asked = read_survey(sav, weight="wt", stratum="stratum", psu="psu")
    np.testing.assert_allclose(asked.design.weight, frame["wt"].to_numpy())
    assert len(np.unique(asked.design.stratum)) == 4
    assert len(np.unique(asked.design.psu)) == 16  # numbered 1 to 4 within each stratum
    assert asked.candidates == {}


def test_what_people_weigh_and_how_they_strategise_are_questions(tmp_path):
    rng = np.random.default_rng(3)
    frame = pl.DataFrame(
        {"WEIGHT2": rng.integers(40, 120, 90) * 1.0, "strategy": rng.choice([1.0, 2.0, 3.0], 90),
         "administration": rng.choice([1.0, 2.0, 3.0], 90), "pspwght": rng.uniform(0.2, 2, 90)}
    )  # fmt: skip
    pyreadstat.write_sav(frame, tmp_path / "body.sav", column_labels={"WEIGHT2": "How much do you weigh?"})
    survey = read_survey(tmp_path / "body.sav")
    assert list(survey.questions) == ["WEIGHT2", "strategy", "administration"]
    assert survey.candidates == {"weight": ("pspwght",)}


def test_the_kind_of_a_codebooks_question_can_be_corrected_too():
    options = [{"code": i, "label": str(i)} for i in range(5)] + [{"code": 9, "label": "?", "substantive": False}]
    book = {"survey": {"missing": [-1]}, "questions": {"q": {"text": "How many?", "options": options}}}
    survey = Survey.from_frame(pl.DataFrame({"q": [0, 4, 9, -1, 2, 3]}), book)
    assert survey.with_kind("q", "ordinal").questions["q"].values == (1, 2, 3, 4, 5)
    numeric = survey.with_kind("q", "numeric")
    np.testing.assert_array_equal(numeric.values("q"), [0, 4, np.nan, np.nan, 2, 3])
    assert numeric.answer_codes["q"][3] == -1
    with pytest.raises(SurveyError, match="is nominal: its options have no values"):
        survey.values("q")


def test_traits_are_found_by_name_and_an_age_in_years_is_grouped(sav, frame):
    survey = read_survey(sav)
    assert survey.traits["sex"].labels == ("Male", "Female")
    assert survey.traits["age"].labels == ("18 to 29", "30 to 44", "45 to 64", "65 to 94")
    young = (frame["age"] < 30).sum()
    assert (survey.trait_codes["age"] == 0).sum() == young
    more = read_survey(sav, traits=["vote"]).with_trait("happy", phrase="My happiness is {}.")
    assert list(more.traits) == ["vote", "happy"]
    assert (more.trait_codes["vote"] == -1).sum() == (frame["vote"] == -9).sum()
    with pytest.raises(SurveyError, match="no few levels"):
        read_survey(sav, traits=["said"])


def test_the_labels_of_a_portable_file_become_options(tmp_path):
    path = tmp_path / "tea.por"
    frame = pl.DataFrame({"TEA": [1.0, 2.0, 5.0, 8.0], "W": [1.0, 2.0, 0.5, 1.0]})
    pyreadstat.write_por(frame, path, column_labels={"TEA": "Do you drink tea?"})
    _add_portable_labels(path, "TEA", {1: "Yes", 2: "No", 5: "Now and then", 8: "Don't know"})
    survey = read_survey(path, weight="W")
    question = survey.questions["TEA"]
    assert question.text == "Do you drink tea?"
    assert [(o.label, o.substantive) for o in question.options] == [
        ("Yes", True), ("No", True), ("Now and then", True), ("Don't know", False),
    ]  # fmt: skip
    assert survey.answers("TEA").shares().share[0].tolist() == pytest.approx([1 / 3.5, 2 / 3.5, 0.5 / 3.5])


@pytest.mark.parametrize("suffix", [".zsav", ".por", ".dta", ".xpt"])
def test_every_format_gives_the_same_answers(frame, sav, tmp_path, suffix):
    path = tmp_path / f"poll{suffix}"
    numbers = frame.select("sex", "agree", "happy", "wt")
    if suffix == ".zsav":
        pyreadstat.write_sav(numbers, path, compress=True, variable_value_labels=LABELS, column_labels=TEXTS)
    elif suffix == ".dta":
        labels = {k: {int(c): t for c, t in v.items()} for k, v in LABELS.items() if k in numbers.columns}
        pyreadstat.write_dta(numbers, path, variable_value_labels=labels, column_labels=TEXTS)
    elif suffix == ".por":
        pyreadstat.write_por(numbers.rename(str.upper), path)
    else:
        pyreadstat.write_xport(numbers.rename(str.upper), path)
    survey = read_survey(path, weight="WT" if suffix in (".por", ".xpt") else "wt")
    key = "AGREE" if suffix in (".por", ".xpt") else "agree"
    codes = np.array([o.code for o in survey.questions[key].options])
    np.testing.assert_array_equal(codes[survey.answer_codes[key]], frame["agree"].to_numpy())
    np.testing.assert_allclose(survey.design.weight, frame["wt"].to_numpy(), rtol=1e-5)


@pytest.mark.parametrize("suffix", [".xpt", ".sav"])
def test_infinity_which_these_formats_do_not_have_is_no_answer(tmp_path, suffix):
    path = tmp_path / f"poll{suffix}"
    hole = np.nan if suffix == ".xpt" else np.inf  # the writer of .xpt turns a NaN into infinity itself
    frame = pl.DataFrame({"A": [1.0, 2.0, hole, 2.0], "B": [float(v) for v in range(3)] + [hole]})
    {".xpt": pyreadstat.write_xport, ".sav": pyreadstat.write_sav}[suffix](frame, path)
    survey = read_survey(path)
    assert survey.answers("A").shares().share.tolist() == [[1 / 3, 2 / 3]]
    assert survey.answers("B").shares().n.tolist() == [3]
    with pytest.raises(SurveyError, match="1 of 4 base weights are missing"):
        read_survey(path, weight="B")


def test_tagged_missing_values_of_stata_carry_no_opinion(tmp_path):
    cells = pl.Series("q", [1.0, "a", "b", 2.0, 1.0, None], dtype=pl.Object)
    pyreadstat.write_dta(
        pl.DataFrame([cells]), tmp_path / "tags.dta", missing_user_values={"q": ["a", "b"]},
        variable_value_labels={"q": {1: "Yes", 2: "No", "a": "Don't know"}},
    )  # fmt: skip
    survey = read_survey(tmp_path / "tags.dta")
    assert [(o.code, o.label, o.substantive) for o in survey.questions["q"].options] == [
        (1, "Yes", True), (2, "No", True), (".a", "Don't know", False), (".b", "Missing (.b)", False),
    ]  # fmt: skip
    assert survey.answer_codes["q"].tolist() == [0, 2, 3, 1, 0, -1]


@pytest.mark.parametrize("version", [8, 10, 12, 14, 15])
def test_texts_of_old_stata_files_keep_their_accents(tmp_path, version):
    frame = pl.DataFrame({"q": [1.0, 2.0, 1.0], "ville": ["Orléans", "Nîmes", "Orléans"]})
    path = tmp_path / "v.dta"
    pyreadstat.write_dta(
        frame, path, version=version, variable_value_labels={"q": {1: "Né ici", 2: "Ailleurs"}},
        column_labels={"q": "Où êtes-vous né ?"},
    )  # fmt: skip
    question = read_survey(path).questions["q"]
    assert (question.text, question.options[0].label) == ("Où êtes-vous né ?", "Né ici")
    assert read_survey(path).questions["ville"].options[1].label in ("Nîmes", "Orléans")
    if version <= 12:  # the same texts as Windows wrote them, a byte each
        raw = path.read_bytes()
        for text in ("Né ici", "Où êtes-vous né ?", "Orléans", "Nîmes"):
            eight = text.encode("cp1252")
            raw = raw.replace(text.encode(), eight + b"\0" * (len(text.encode()) - len(eight)))
        path.write_bytes(raw)
        question = read_survey(path).questions["q"]
        assert (question.text, question.options[0].label) == ("Où êtes-vous né ?", "Né ici")


def test_ten_thousand_columns_are_read(tmp_path):
    wide = pl.DataFrame({f"v{i}": [1.0, 2.0, 1.0, 2.0] for i in range(10_000)})
    pyreadstat.write_sav(wide, tmp_path / "wide.sav", variable_value_labels={"v9999": {1.0: "Yes", 2.0: "No"}})
    survey = read_survey(tmp_path / "wide.sav")
    assert len(survey.questions) == 10_000
    assert survey.answers("v9999").shares().share.tolist() == [[0.5, 0.5]]


def test_columns_of_a_large_file_are_read_when_they_are_asked_for(sav, frame, monkeypatch):
    whole = read_survey(sav, weight="wt")
    monkeypatch.setattr(reading, "_WHOLE", 1000)
    passes = []
    original = reading.LabelledFile.read

    def counted(self, columns=None):
        passes.append(list(self.variables if columns is None else columns))
        return original(self, columns)

    monkeypatch.setattr(reading.LabelledFile, "read", counted)
    large = read_survey(sav, weight="wt", traits=["sex"])
    assert passes == [["wt"], ["sex"]]
    assert large.n == N
    assert list(large.questions) == ["sex", "agree", "vote", "happy"]  # those whose labels alone show them
    np.testing.assert_array_equal(large.answer_codes["agree"], whole.answer_codes["agree"])
    assert passes[2:] == [["agree"]]
    assert large.answers("agree").shares().share.tolist() == whole.answers("agree").shares().share.tolist()
    assert passes[3:] == []
    assert large.questions["happy"] == whole.questions["happy"]


def test_columns_read_by_several_processes_stand_in_their_order(sav, frame, monkeypatch):
    file = LabelledFile.open(sav)
    apart_file = replace(file, whole=None)
    monkeypatch.setattr(labelled, "_BATCH", 2 * N)
    read = apart_file.read()
    assert read.columns == frame.columns
    assert read.equals(file.read())


def test_a_labelled_file_can_have_a_codebook_too(sav):
    options = [{"code": 1, "label": "Man"}, {"code": 2, "label": "Woman"}]
    survey = read_survey(sav, codebook={"questions": {"sex": {"text": "Who?", "options": options}}})
    assert list(survey.questions) == ["sex"]
    with pytest.raises(SurveyError, match="leave out weight"):
        read_survey(sav, codebook={"questions": {"sex": {"text": "?", "options": options}}}, weight="wt")


@pytest.mark.parametrize("suffix", [".xlsx", ".feather", ".arrow"])
def test_tables_of_other_kinds_are_read_with_a_codebook(tmp_path, suffix):
    frame = pl.DataFrame({"tea": [1, 2, None, 1], "w": [1.5, 1.0, 0.5, 2.0], "zip": ["01", "2", "01", "2"]})
    path = tmp_path / f"tea{suffix}"
    if suffix == ".xlsx":
        _workbook(path, frame)
    else:
        frame.write_ipc(path)
    book = {
        "design": {"weight": "w"},
        "traits": {"zip": {"options": [{"code": "01", "label": "one"}, {"code": 2, "label": "two"}]}},
        "questions": {"tea": {"text": "Tea?", "options": [{"code": 1, "label": "Yes"}, {"code": 2, "label": "No"}]}},
    }
    survey = read_survey(path, codebook=book)
    assert survey.answer_codes["tea"].tolist() == [0, 1, -1, 0]
    assert survey.trait_codes["zip"].tolist() == [0, 1, 0, 1]
    assert survey.design.weight.tolist() == [1.5, 1.0, 0.5, 2.0]
    path.write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(SurveyError, match=f"tea{suffix} cannot be read as {suffix}"):
        read_survey(path, codebook=book)


def test_bins_cover_every_value():
    rng = np.random.default_rng(0)
    for values in (
        rng.lognormal(10, 1, 500),
        rng.integers(18, 95, 500) * 1.0,
        np.array([0.0, 1.0]),
        rng.normal(size=50),
    ):
        bounds = [option.bounds for option in bins_of(values)]
        assert bounds[0][0] <= values.min()
        assert bounds[-1][1] >= values.max()
        assert all(a[1] == b[0] for a, b in itertools.pairwise(bounds))


def _workbook(path, frame):
    """The least that an .xlsx file is: a zip of a few XML files, texts written in place."""
    import zipfile

    def cell(value):
        if value is None:
            return "<c/>"
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    rows = [frame.columns, *frame.rows()]
    sheet = "".join(f"<row>{''.join(cell(v) for v in row)}</row>" for row in rows)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="'
            'application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
            f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        )
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
            '<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/worksheet" '
            'Target="worksheets/sheet1.xml"/></Relationships>',
        )
        book.writestr(
            "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>'
        )


def _add_portable_labels(path, name, labels):
    """Put value labels before the data: pyreadstat does not write them. Lines have 80 bytes, lengths base 30."""

    def text(words):
        digits = "0123456789ABCDEFGHIJKLMNOPQRST"
        size = len(words)
        return f"{digits[size // 30] if size >= 30 else ''}{digits[size % 30]}/{words}"

    whole = path.read_bytes().replace(b"\r\n", b"")
    record = f"D1/{text(name)}{len(labels)}/" + "".join(f"{code}/{text(label)}" for code, label in labels.items())
    data = whole.index(b"/2/F") + 3
    whole = (whole[:data] + record.encode() + whole[data:]).rstrip(b"Z") + b"Z"
    whole += b"Z" * (-len(whole) % 80)
    path.write_bytes(b"".join(whole[i : i + 80] + b"\r\n" for i in range(0, len(whole), 80)))
