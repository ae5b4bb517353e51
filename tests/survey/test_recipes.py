"""Known surveys are recognised by their columns, aloud; their designs follow, with how far each recipe was checked."""

import numpy as np
import polars as pl
import pyreadstat
import pytest

from plural_nb.errors import SurveyError
from plural_nb.survey.reading import read_survey
from plural_nb.survey.recipes import apply, matching, recipe, recipes

PROMISED = {
    "gss", "anes_cumulative", "anes_2020", "anes_2024", "pew_atp", "ess", "wvs_evs", "issp", "eurobarometer", "gles",
    "allbus", "ces", "afrobarometer", "latinobarometro", "hrs", "share", "psid", "acs_pums", "brfss", "ctis",
}  # fmt: skip


def columns_of(known):
    """The least columns by which a file of this survey is recognised, patterns filled in."""
    names = [choice[0] for choice in known.match_all] + list(known.match_any[:1])
    return [name.replace("*", "1").replace("#", "1") for name in names]


def test_every_promised_survey_has_a_recipe():
    assert {known.name for known in recipes()} >= PROMISED


@pytest.mark.parametrize("name", [known.name for known in recipes()])
def test_a_recipe_cites_says_how_it_was_checked_and_what_its_weights_are_for(name):
    known = recipe(name)
    assert known.citation
    assert known.documentation
    assert known.verified in ("documentation", "memory")  # none was checked against a file of its survey yet
    assert known.weights or "name" in known.note
    assert all(use.use for use in known.weights)
    said = apply(known, columns_of(known)).sentence()
    assert ("written from memory" in said) == (known.verified == "memory")


@pytest.mark.parametrize("name", [known.name for known in recipes()])
def test_a_file_is_matched_by_its_columns_whatever_their_case(name):
    names = columns_of(recipe(name))
    assert [known.name for known in matching([n.lower() for n in names])] == [name]
    assert matching([*names[:-1], "something_else"]) == () or len(names) == 1 or recipe(name).match_any == ()


def test_columns_of_a_private_file_match_nothing():
    assert matching(["id", "age", "sex", "weight", "wt", "country", "year", "q1", "q2"]) == ()


@pytest.fixture
def gss(tmp_path):
    rng = np.random.default_rng(2)
    n = 240
    frame = pl.DataFrame(
        {
            "year": [2021.0] * 120 + [2022.0] * 120,
            "id": np.arange(n) + 1.0,
            "sex": rng.integers(1, 3, n) * 1.0,
            "happy": rng.choice([1.0, 2.0, 3.0], n),
            "wtssps": [None, None, *rng.uniform(0.2, 3, n - 2)],
            "wtssall": rng.uniform(0.2, 3, n),
            "vstrat": [None] * 10 + [float(i // 40) for i in range(n - 10)],
            "vpsu": [None] * 10 + [float(i % 2 + 1) for i in range(n - 10)],
        }
    )
    path = tmp_path / "gss.sav"
    labels = {
        "sex": {1.0: "male", 2.0: "female"},
        "happy": {1.0: "very happy", 2.0: "pretty happy", 3.0: "not too happy"},
    }
    pyreadstat.write_sav(frame, path, variable_value_labels=labels)
    return path, frame


def test_the_match_and_the_weights_are_shown(gss):
    path, frame = gss
    survey = read_survey(path)
    assert survey.recipe.recipe.name == "gss"
    assert survey.note.startswith("Recognised by year, vstrat, wtssps as General Social Survey")
    assert "from memory" in survey.note
    assert "wtssall (adults, all years to 2018)" in survey.note
    assert "verified from memory" in survey.design.note
    assert survey.roles == {"weight": "wtssps", "stratum": "vstrat", "psu": "vpsu"}
    assert list(survey.traits) == ["sex", "year"]
    assert survey.citation.startswith("Davern")
    assert not {"wtssps", "wtssall", "vstrat", "vpsu"} & set(survey.questions)
    np.testing.assert_allclose(survey.design.weight[2:], frame["wtssps"].to_numpy()[2:])


def test_rows_without_a_weight_or_stratum_are_kept_out_or_apart_and_counted(gss):
    survey = read_survey(gss[0])
    assert survey.design.weight[:2].tolist() == [0, 0]
    assert "2 of 240 rows have no wtssps and are kept out (weight 0)" in survey.note
    assert "10 rows have no vstrat: they form a stratum of their own" in survey.note
    assert len(np.unique(survey.design.psu[:10])) == 10
    with pytest.raises(SurveyError, match="10 rows have no stratum"):
        read_survey(gss[0], recipe=False, stratum="vstrat", weight="wtssall")


def test_what_the_user_says_comes_before_the_recipe(gss):
    assert read_survey(gss[0], weight="wtssall").roles["weight"] == "wtssall"
    assert read_survey(gss[0], recipe=False).recipe is None
    assert not read_survey(gss[0], recipe=False).weighted
    with pytest.raises(SurveyError, match=r"gss.sav is no file of European Social Survey: such a file has cntry"):
        read_survey(gss[0], recipe="ess")
    with pytest.raises(SurveyError, match=r"no recipe 'gsss'. Did you mean 'gss'"):
        read_survey(gss[0], recipe="gsss")


@pytest.fixture
def pums(tmp_path):
    rng = np.random.default_rng(3)
    n = 300
    weight = rng.integers(5, 60, n)
    columns = {
        "SERIALNO": [f"2022GQ{i:07d}" for i in range(n)],
        "AGEP": rng.integers(0, 95, n),
        "SEX": rng.integers(1, 3, n),
    }
    columns["PWGTP"] = weight
    for r in range(1, 81):
        columns[f"PWGTP{r}"] = weight + rng.integers(-70, 71, n)  # some negative, as in the real file
    path = tmp_path / "psam_p01.csv"
    pl.DataFrame(columns).write_csv(path)
    return path, columns


def test_acs_standard_errors_are_those_of_successive_differences(pums):
    path, columns = pums
    with pytest.raises(SurveyError, match=r"Its columns are those of American Community Survey.*recipe='acs_pums'"):
        read_survey(path)
    survey = read_survey(path, recipe="acs_pums")
    shares = survey.answers("SEX").shares()
    men = np.asarray(columns["SEX"]) == 1

    def share(weight):
        return weight[men].sum() / weight.sum()

    theta = share(columns["PWGTP"])
    squares = [(share(columns[f"PWGTP{r}"]) - theta) ** 2 for r in range(1, 81)]
    assert shares.share[0, 0] == pytest.approx(theta, rel=1e-12)
    assert shares.se[0, 0] == pytest.approx(np.sqrt(4 / 80 * sum(squares)), rel=1e-10)
    assert "80 replicate weights (successive differences)" in survey.design.note
    assert not any(key.startswith("PWGTP") for key in survey.questions)


def test_a_file_that_lost_replicate_weights_is_refused(pums, tmp_path):
    frame = pl.read_csv(pums[0]).drop("PWGTP7")
    frame.write_csv(tmp_path / "less.csv")
    with pytest.raises(SurveyError, match=r"has 80 replicate weights .*this file has 79"):
        read_survey(tmp_path / "less.csv", recipe="acs_pums")


def test_a_pattern_that_fits_several_weights_takes_none(tmp_path):
    frame = pl.DataFrame(
        {"QKEY": [1.0, 2.0, 3.0], "WEIGHT_W1": [1.0, 2.0, 1.0], "WEIGHT_W2": [2.0, 1.0, 1.0], "q": [1.0, 2.0, 1.0]}
    )
    pyreadstat.write_sav(frame, tmp_path / "atp.sav", variable_value_labels={"q": {1.0: "Yes", 2.0: "No"}})
    survey = read_survey(tmp_path / "atp.sav")
    assert not survey.weighted
    assert "WEIGHT_W1" in survey.note
    assert "WEIGHT_W2" in survey.note
    assert read_survey(tmp_path / "atp.sav", weight="WEIGHT_W2").design.weight.tolist() == [2, 1, 1]


def test_recipes_of_ones_own_are_checked(tmp_path, gss):
    own = tmp_path / "own.toml"
    own.write_text(
        '[recipe]\ntitle = "T"\ncitation = "C"\ndocumentation = "D"\nverified = "file"\n[match]\nall = ["happy"]\n'
    )
    assert "checked against a file" in read_survey(gss[0], recipe=own).note
    own.write_text('[recipe]\ntitel = "T"\n')
    with pytest.raises(SurveyError, match=r"unknown key 'titel'. Did you mean 'title'"):
        recipe(own)
    own.write_text('[recipe]\ntitle = "T"\nverified = "hope"\n')
    with pytest.raises(SurveyError, match="verified is 'hope'"):
        recipe(own)
