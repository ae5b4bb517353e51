"""What is handed over comes back the same, and R and Stata are told the design that was used here."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyreadstat
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.errors import SurveyError
from plural_nb.survey.declaring import r_lines, stata_lines
from plural_nb.survey.design import Design
from plural_nb.survey.library import load_survey
from plural_nb.survey.reading import read_survey
from plural_nb.survey.replicates import Replicates
from plural_nb.survey.survey import Survey
from plural_nb.survey.writing import WRITTEN


@pytest.mark.parametrize("suffix", WRITTEN)
@pytest.mark.parametrize("name", ["anes96", "teaching"])
def test_a_survey_comes_back_from_every_format(name, suffix, tmp_path):
    survey = load_survey(name)
    written = survey.write(tmp_path / f"out{suffix}")
    assert [p.name for p in written] == [f"out{suffix}", "out.toml", "out.R", "out.do"]
    back = read_survey(written[0])
    assert dict(back.questions) == dict(survey.questions)
    assert dict(back.traits) == dict(survey.traits)
    for key in survey.questions:
        np.testing.assert_array_equal(back.answer_codes[key], survey.answer_codes[key])
    for key in survey.traits:
        np.testing.assert_array_equal(back.trait_codes[key], survey.trait_codes[key])
    np.testing.assert_allclose(back.design.weight, survey.design.weight, rtol=1e-14)
    question = next(iter(survey.questions))
    np.testing.assert_allclose(back.answers(question).shares().se, survey.answers(question).shares().se, rtol=1e-12)
    assert (back.title, back.citation, back.wording) == (survey.title, survey.citation, survey.wording)


@pytest.mark.parametrize("suffix", [".sav", ".dta"])
def test_others_see_the_labels_without_the_codebook(suffix, tmp_path):
    survey = load_survey("teaching")
    survey.write(tmp_path / f"out{suffix}")
    read = pyreadstat.read_sav if suffix == ".sav" else pyreadstat.read_dta
    _, about = read(tmp_path / f"out{suffix}", metadataonly=True, user_missing=True)
    question = survey.questions["trust_courts"]
    assert about.variable_value_labels["trust_courts"] == {o.code: o.label for o in question.options}
    kept = about.column_names_to_labels["trust_courts"]
    assert question.text.startswith(kept.rstrip("…"))
    assert len(kept) <= 256
    if suffix == ".sav":
        assert about.missing_ranges["trust_courts"] == [{"lo": -9, "hi": -9}, {"lo": -8, "hi": -8}]


def test_labels_and_missing_codes_of_a_labelled_file_survive(tmp_path):
    frame = pl.DataFrame(
        {"q": [1.0, 2.0, 8.0, None, 9.0], "m_1": [1.0, None, None, None, 1.0], "m_2": [None, 1.0, None, 1.0, None]}
    )
    labels = {"q": {1.0: "Ja", 2.0: "Nein", 8.0: "Don't know", 9.0: "Refused"}, "m_1": {1.0: "TV"}, "m_2": {1.0: "Web"}}
    pyreadstat.write_sav(frame, tmp_path / "in.sav", variable_value_labels=labels, missing_ranges={"q": [8, 9]})
    survey = read_survey(tmp_path / "in.sav")
    for suffix in WRITTEN:
        folder = tmp_path / suffix[1:]
        folder.mkdir()
        back = read_survey(survey.write(folder / f"out{suffix}")[0])
        assert back.questions["q"] == survey.questions["q"]
        assert back.answer_codes["q"].tolist() == [0, 1, 2, -1, 3]
        assert [o.label for o in back.questions["m_1"].options] == ["TV", "Not selected"]
        assert back.answer_codes["m_1"].tolist() == survey.answer_codes["m_1"].tolist() == [0, 1, -1, 1, 0]


def test_a_models_answers_become_variables(tmp_path):
    survey = load_survey("anes96")
    question = survey.questions["vote"]
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(len(question.options)), survey.n)
    rows[3] = 0
    personas = Answers(
        question, rows, Design(np.ones(survey.n)), np.ones(survey.n, bool), Source("personas", "demo"),
        captured_mass=np.full(survey.n, 0.9),
    )  # fmt: skip
    itself = Answers(question, rows[:1], Design(np.ones(1)), np.ones(1, bool), Source("model", "demo"))
    survey.write(tmp_path / "out.sav", {"persona": personas, "model": itself})
    frame, about = pyreadstat.read_sav(tmp_path / "out.sav", output_format="polars")
    np.testing.assert_allclose(frame["persona_1"].to_numpy()[:3], rows[:3, 0])
    assert frame["persona_1"][3] is None
    assert frame["model_2"].unique().to_list() == [rows[0, 1]]
    assert frame["persona_mass"].unique().to_list() == [0.9]
    assert about.column_names_to_labels["persona_1"] == f"P({question.options[0].label}) by demo: {question.label}"
    with pytest.raises(SurveyError, match="cannot begin the name of a variable"):
        survey.write(tmp_path / "other.sav", {"1st": itself})
    few = Answers(question, rows[:2], Design(np.ones(2)), np.ones(2, bool), Source("personas", "demo"))
    with pytest.raises(SurveyError, match="have 2 rows; the survey has 944"):
        survey.write(tmp_path / "other.sav", {"few": few})


@pytest.fixture
def oracle(likert):
    labels = [{"code": c, "label": f"level {c}"} for c in sorted(likert["q2"].drop_nulls().unique())]
    book = {
        "design": {"weight": "weight", "stratum": "stratum", "psu": "psu"},
        "questions": {"q2": {"text": "?", "options": labels}},
    }
    return Survey.from_frame(likert, book, name="likert")


def lines(survey, path="likert.sav"):
    r, stata = r_lines(survey, Path(path)).splitlines(), stata_lines(survey, Path(path)).splitlines()
    return [x for x in r if x.startswith(("design <-", "  scale"))], [x for x in stata if x.startswith("svyset")]


def test_the_oracles_designs_are_declared_in_rs_and_statas_words(oracle):
    r, stata = lines(oracle)
    assert r == ["design <- svydesign(ids = ~psu, strata = ~stratum, weights = ~weight, data = people, nest = TRUE)"]
    assert stata == ["svyset psu [pweight = weight], strata(stratum) singleunit(missing)"]
    weights_only = replace(oracle, design=Design(oracle.design.weight), roles={"weight": "weight"})
    assert lines(weights_only) == (
        ["design <- svydesign(ids = ~1, weights = ~weight, data = people)"],
        ["svyset _n [pweight = weight]"],
    )
    centred = replace(oracle, design=replace(oracle.design, lonely="centre"))
    assert 'options(survey.lonely.psu = "adjust")' in r_lines(centred, Path("likert.csv"))
    assert lines(centred)[1] == ["svyset psu [pweight = weight], strata(stratum) singleunit(centered)"]


def test_replicate_weights_are_declared_with_their_scales(oracle):
    weight = oracle.design.weight
    rng = np.random.default_rng(1)
    weights = weight[:, None] * rng.choice([0.3, 1.7], (weight.size, 4))
    fay = replace(oracle, design=replace(oracle.design, replicates=Replicates.fay(weights, 0.3)))
    r, stata = lines(fay)
    assert r == [
        'design <- svrepdesign(weights = ~weight, repweights = "^repwt_[0-9]+$", data = people, type = "other",',
        f"  scale = {1 / (4 * 0.7**2):.17g}, rscales = rep(1, 4), combined.weights = TRUE, mse = TRUE)",
    ]
    assert stata == ["svyset [pweight = weight], brrweight(repwt_1 repwt_2 repwt_3 repwt_4) fay(0.3) vce(brr) mse"]
    jkn = Replicates(weights, 1.0, np.array([0.5, 0.5, 0.5, 0.5]), "mean", "JKn")
    r, stata = lines(replace(oracle, design=replace(oracle.design, replicates=jkn)))
    assert r[1] == "  scale = 1, rscales = c(0.5, 0.5, 0.5, 0.5), combined.weights = TRUE, mse = FALSE)"
    assert stata[0].startswith("svyset [pweight = weight], jkrweight(repwt_1, multiplier(0.5)) jkrweight(repwt_2")
    assert stata[0].endswith("vce(jackknife)")


def test_replicate_weights_are_written(oracle, tmp_path):
    weight = oracle.design.weight
    weights = np.stack([weight * 0.5, weight * 1.5], axis=1)
    replicated = replace(oracle, design=replace(oracle.design, replicates=Replicates.brr(weights)))
    replicated.write(tmp_path / "out.parquet")
    frame = pl.read_parquet(tmp_path / "out.parquet")
    np.testing.assert_array_equal(frame.select("repwt_1", "repwt_2").to_numpy(), weights)


def test_names_that_spss_or_stata_cannot_have_are_changed_and_said(tmp_path):
    frame = pl.DataFrame({"_STATE": [1, 2, 1], "2nd choice": [1, 2, 2], "by": [1, 1, 2], "a" * 40: [2, 1, 1]})
    yes = [{"code": 1, "label": "Yes"}, {"code": 2, "label": "No"}]
    book = {"questions": {f"k{i}": {"text": "?", "column": c, "options": yes} for i, c in enumerate(frame.columns)}}
    survey = Survey.from_frame(frame, book)
    paths = survey.write(tmp_path / "names.dta")
    assert pyreadstat.read_dta(paths[0], metadataonly=True)[1].column_names == [
        "v_STATE",
        "v_2nd_choice",
        "v_by",
        "a" * 28,
    ]
    assert "* _STATE is here v_STATE" in paths[3].read_text()
    assert read_survey(paths[0]).answer_codes["k1"].tolist() == [0, 1, 1]
    assert r_lines(survey, Path("x.csv")).endswith("# svymean(~factor(`_STATE`), design, na.rm = TRUE)\n")


def test_files_of_others_are_not_overwritten(tmp_path):
    survey = load_survey("anes96")
    (tmp_path / "mine.sav").write_bytes(b"precious")
    with pytest.raises(SurveyError, match=r"mine.sav is there already and was not written by plural_nb"):
        survey.write(tmp_path / "mine.sav")
    (tmp_path / "data.R").write_text("library(mine)\n")
    with pytest.raises(SurveyError, match=r"data.R is there already"):
        survey.write(tmp_path / "data.sav")
    assert not (tmp_path / "data.sav").exists()
    survey.write(tmp_path / "own.sav")
    survey.write(tmp_path / "own.sav")
    with pytest.raises(SurveyError, match=r"ends in '.ods'; a survey is written to .sav"):
        survey.write(tmp_path / "own.ods")
    with pytest.raises(SurveyError, match="no folder"):
        survey.write(tmp_path / "nowhere" / "own.sav")


def test_texts_with_quotes_and_lines_survive(tmp_path):
    options = [{"code": 1, "label": 'He said "no" \\ twice'}, {"code": 2, "label": "Ünïcode – ’quotes’\ttab"}]
    book = {"survey": {"title": "A\nB"}, "questions": {"q": {"text": 'What?\n"Now"', "options": options}}}
    survey = Survey.from_frame(pl.DataFrame({"q": [1, 2]}), book)
    paths = survey.write(tmp_path / "out.csv")
    assert read_survey(paths[0]).questions["q"] == survey.questions["q"]
    assert paths[2].read_text().splitlines()[0] == "# Written by plural_nb: A B"
    assert json.dumps("out.csv") in paths[2].read_text()


def test_what_a_backstory_leaves_out_stays_left_out(tmp_path):
    levels = [{"code": 1, "label": "North", "said": "the north"}, {"code": 2, "label": "Abroad", "sentence": ""}]
    trait = {"phrase": "I live in {}.", "question": "Where do you live?", "options": levels}
    yes = [{"code": 1, "label": "Yes"}, {"code": 2, "label": "No"}]
    book = {"traits": {"place": trait}, "questions": {"q": {"text": "?", "options": yes}}}
    survey = Survey.from_frame(pl.DataFrame({"place": [1, 2], "q": [1, 2]}), book)
    assert survey.traits["place"].sentences == ("I live in the north.", "")
    assert dict(read_survey(survey.write(tmp_path / "out.csv")[0]).traits) == dict(survey.traits)
