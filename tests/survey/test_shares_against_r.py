"""Shares, standard errors and intervals equal R's survey package to 1e-10."""

import math
from dataclasses import replace

import numpy as np
import pytest

from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design
from plural_nb.survey.shares import estimate

RELATIVE = 1e-10
INTERVALS = {"logit": "xlogit", "wald": "mean", "korn-graubard": "beta"}
LONELY = {"adjust": "centre", "average": "scale", "certainty": "skip", "remove": "skip"}


@pytest.fixture(scope="module")
def estimates(likert, likert_answers, designs, reference):
    """Every design, variable and domain variable of the reference, estimated once per interval."""
    rows = reference("props.json")
    made = {}
    for key in {(r["design"], r["var"], r["domain_var"]) for r in rows}:
        answers = likert_answers(likert, key[1], designs[key[0]])
        by = likert[key[2]] if key[2] else None
        made[key] = {kind: estimate(answers, interval=kind, by=by, cap=False) for kind in INTERVALS}
    return rows, made


def _cell(made, row):
    by_interval = made[row["design"], row["var"], row["domain_var"]]
    shares = by_interval["logit"]
    g = shares.groups.index(row["domain"]) if row["domain"] else 0
    return by_interval, g, shares.options.index(row["level"])


@pytest.mark.parametrize("number", ["est", "se", "n", "df", "deff_wr", "n_eff_kish"])
def test_every_estimate_equals_r(estimates, number):
    rows, made = estimates
    assert len(rows) == 280
    for row in rows:
        by_interval, g, k = _cell(made, row)
        s = by_interval["logit"]
        ours = {"est": s.share[g, k], "se": s.se[g, k], "n": s.n[g], "df": s.df[g], "deff_wr": s.deff_wr[g, k]}
        ours["n_eff_kish"] = s.n_eff_kish[g]
        if row[number] is None:
            assert not math.isfinite(ours[number]), row
        else:
            assert ours[number] == pytest.approx(row[number], rel=RELATIVE, abs=0), row


@pytest.mark.parametrize("kind", INTERVALS)
def test_every_interval_equals_r(estimates, kind):
    rows, made = estimates
    compared = 0
    for row in rows:
        by_interval, g, k = _cell(made, row)
        if row[f"{INTERVALS[kind]}_lo"] is None:
            continue
        assert by_interval[kind].low[g, k] == pytest.approx(row[f"{INTERVALS[kind]}_lo"], rel=RELATIVE, abs=0)
        assert by_interval[kind].high[g, k] == pytest.approx(row[f"{INTERVALS[kind]}_hi"], rel=RELATIVE, abs=0)
        compared += 1
    assert compared > 270


def test_stated_degrees_of_freedom_hold_for_every_domain(estimates, likert, likert_answers, designs):
    rows = [r for r in estimates[0] if r["design"] == "likert" and r["domain_var"] == "region" and r["var"] == "q1"]
    stated = replace(designs["likert"], df=24)
    shares = estimate(likert_answers(likert, "q1", stated), by=likert["region"])
    assert len(rows) == 20
    for row in rows:
        assert row["df_full"] == 24
        g, k = shares.groups.index(row["domain"]), shares.options.index(row["level"])
        theirs = (row["xlogit_dffull_lo"], row["xlogit_dffull_hi"])
        assert (shares.low[g, k], shares.high[g, k]) == pytest.approx(theirs, rel=RELATIVE)


def test_every_covariance_equals_r(likert, likert_answers, designs, reference):
    for row in reference("props_vcov.json"):
        V = estimate(likert_answers(likert, row["var"], designs[row["design"]])).covariance[0]
        np.testing.assert_allclose(V, np.array(row["vcov"]), rtol=RELATIVE, atol=0)


def test_strata_with_one_psu_follow_r(likert, likert_answers, reference):
    for row in reference("lonely.json"):
        frame = likert.filter(~likert["psu"].is_in(row["dropped_psus"]))
        columns = (frame[name].to_numpy() for name in ("weight", "stratum", "psu"))
        answers = likert_answers(frame, row["var"], Design.from_columns(*columns, lonely=LONELY[row["option"]]))
        shares = estimate(answers)
        values = np.array([float(label) for label in shares.options])
        assert shares.share[0] @ values == pytest.approx(row["est"], rel=RELATIVE)
        assert math.sqrt(values @ shares.covariance[0] @ values) == pytest.approx(row["se"], rel=RELATIVE)
        assert shares.df[0] == row["df"]


def test_a_stratum_with_one_psu_fails_by_default_and_says_what_to_choose(likert, likert_answers):
    frame = likert.filter(likert["psu"] != "h01p2")
    columns = (frame[name].to_numpy() for name in ("weight", "stratum", "psu"))
    with pytest.raises(SurveyError, match=r"1 of 24 strata have a single PSU.*'centre', 'scale' or 'skip'"):
        estimate(likert_answers(frame, "q1", Design.from_columns(*columns)))


def test_a_domain_is_not_a_filtered_file(likert, likert_answers, designs):
    # Deleting everybody else's rows loses the PSUs without members, and with them part of the variance.
    rare = (likert["gender"] == "other").to_numpy()
    as_domain = estimate(likert_answers(likert, "q1", designs["likert"]).within(rare))
    frame = likert.filter(rare)
    columns = (frame[name].to_numpy() for name in ("weight", "stratum", "psu"))
    filtered = estimate(likert_answers(frame, "q1", Design.from_columns(*columns, lonely="skip")))
    np.testing.assert_allclose(as_domain.share, filtered.share)
    assert as_domain.n[0] == filtered.n[0]
    assert (as_domain.se[0] > 1.05 * filtered.se[0]).any()
