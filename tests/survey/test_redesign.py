"""A file's own columns become its design by one call, with R's standard errors."""

from dataclasses import replace

import numpy as np
import polars as pl
import pyreadstat
import pytest

from plural_nb.errors import SurveyError
from plural_nb.survey.columns import Columns
from plural_nb.survey.reading import read_survey
from plural_nb.survey.replicates import Replicates

RELATIVE = 1e-10


@pytest.fixture(scope="module")
def labelled(likert, oracle, tmp_path_factory):
    """The reference's survey as an SPSS file with whole replicate weights of three kinds."""
    frame = likert.select("psu", "stratum", "region", "weight", q1=pl.col("q1").cast(pl.Float64))
    for kind in ("brr", "fay30", "jkn"):
        factors = pl.read_csv(oracle / f"rep_likert_{kind}.csv")
        joined = frame.select("psu").join(factors, on="psu", how="left", maintain_order="left").drop("psu")
        frame = frame.with_columns((joined[c] * frame["weight"]).alias(f"{kind}_{c}") for c in joined.columns)
    path = tmp_path_factory.mktemp("labelled") / "likert.sav"
    pyreadstat.write_sav(frame, path, variable_value_labels={"q1": {float(k): f"level {k}" for k in range(1, 6)}})
    return read_survey(path)


@pytest.mark.parametrize(
    ("type_", "columns", "said"),
    [
        ("BRR", "brr_*", {"kind": "BRR"}),
        ("Fay", "fay30_*", {"kind": "Fay", "rho": 0.3}),
        ("JKn", "jkn_*", {"kind": "JKn", "rscales": [0.5] * 48}),
        ("JKn", "jkn_*", {"scale": 0.5}),
    ],
)
def test_replicate_weights_of_a_labelled_file_give_rs_numbers(labelled, reference, type_, columns, said):
    survey = labelled.with_design(
        weight="weight", stratum="stratum", psu="psu", replicates=columns, centre="mean", **said
    )
    shares = survey.answers("q1").shares()
    rows = [r for r in reference("replicates.json") if (r["type"], r["mse"], r["var"], r["domain"])
            == (type_, False, "q1", "")]  # fmt: skip
    assert len(rows) == 5
    for row in rows:
        k = int(row["level"]) - 1
        ours = (shares.share[0, k], shares.se[0, k], shares.df[0])
        assert ours == pytest.approx((row["est"], row["se"], row["df"]), rel=RELATIVE)
    assert "replicate weights" in survey.design.note


def test_strata_and_psus_named_later_are_those_named_at_first(labelled, reference):
    survey = labelled.with_design(weight="weight", stratum="stratum", psu="psu")
    expected = [r["se"] for r in reference("props.json") if r["design"] == "likert" and r["var"] == "q1"
                and not r["domain"]]  # fmt: skip
    assert survey.answers("q1").shares().se[0] == pytest.approx(expected, rel=RELATIVE)
    assert survey.roles == {"weight": "weight", "stratum": "stratum", "psu": "psu"}
    # What is not named again is kept; "" takes it away.
    assert survey.with_design(lonely="centre").roles == survey.roles
    plain = survey.with_design(stratum="", psu="")
    assert (plain.design.stratum, plain.design.psu, plain.roles) == (None, None, {"weight": "weight"})


def test_a_fraction_drawn_lowers_the_errors(labelled):
    people = labelled.people.with_columns(pl.lit(0.36).alias("drawn"))
    fraction = labelled.with_design(weight="weight", stratum="stratum", psu="psu")
    drawn = replace(fraction, columns=Columns(people)).with_design(fpc="drawn")
    np.testing.assert_allclose(drawn.answers("q1").shares().se, fraction.answers("q1").shares().se * 0.8)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"weight": "wieght"}, "no column 'wieght' to be the weight. Did you mean 'weight'"),
        ({"replicates": "brr_*"}, "need their kind"),
        ({"replicates": "brr_*", "kind": "Fay"}, "need their coefficient rho"),
        ({"replicates": "jkn_*", "kind": "JKn"}, "needs rscales"),
        ({"replicates": "brr_*", "kind": "brr"}, "Unknown kind of replicates 'brr'"),
        ({"replicates": "nothing*", "kind": "BRR"}, "0 columns of likert.sav match"),
        ({"replicates": ["brr_rep1", "brr_rep99"], "kind": "BRR"}, "no replicate weight 'brr_rep99'"),
        ({"weight": "region"}, "region"),
    ],
)
def test_a_design_that_cannot_be_is_an_error(labelled, said, message):
    with pytest.raises(SurveyError, match=message):
        labelled.with_design(**said)


def test_an_unknown_word_names_the_nearest(labelled):
    with pytest.raises(TypeError, match=r"no 'wieght'\. Did you mean 'weight'"):
        labelled.with_design(wieght="weight")


def test_replicates_made_elsewhere_are_taken_as_they_are(labelled):
    made = Replicates.brr(labelled.people.select(pl.col("^brr_.*$")).to_numpy(), centre="mean")
    a = labelled.with_design(weight="weight", replicates=made)
    b = labelled.with_design(weight="weight", replicates="brr_*", kind="BRR", centre="mean")
    np.testing.assert_array_equal(a.answers("q1").shares().se, b.answers("q1").shares().se)
