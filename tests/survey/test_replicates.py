"""Replicate weights give R's standard errors, and the ones made here give the Taylor variance."""

import csv

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plural_nb.answers import Answers
from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design
from plural_nb.survey.linearisation import Linearised, covariance
from plural_nb.survey.question import ask_for
from plural_nb.survey.replicates import Replicates, bootstrap, jackknife, replicate_covariance, replicate_estimates
from plural_nb.survey.shares import difference_covariance, estimate

RELATIVE = 1e-10
YES_NO = ask_for("?", ["Yes", "No"])


@pytest.fixture(scope="module")
def replicate_design(likert, oracle):
    """A design of R's replicate factors, read from their files, with PSUs known or not."""
    meta = {row["type"]: row for row in csv.DictReader((oracle / "rep_meta.csv").open())}
    weight = likert["weight"].to_numpy()

    def made(kind, mse, psus=True):
        row = meta[kind]
        factors = likert.select("psu").join(
            pl.read_csv(oracle / row["file"]), on="psu", how="left", maintain_order="left"
        )
        replicates = Replicates(
            factors.drop("psu").to_numpy() * weight[:, None],
            float(row["scale"]),
            [float(x) for x in row["rscales"].split()],
            "theta" if mse else "mean",
        )
        labels = (likert["stratum"].to_numpy(), likert["psu"].to_numpy()) if psus else (None, None)
        return Design.from_columns(weight, *labels, replicates=replicates)

    return made


@pytest.mark.parametrize("psus", [True, False])
def test_every_replicate_estimate_equals_r(likert, likert_answers, replicate_design, reference, psus):
    rows = reference("replicates.json")
    assert len(rows) == 500
    # The rank of the weights does not depend on the centre.
    rows = [row for row in rows if psus or not row["mse"]]
    made = {}
    for row in rows:
        key = (row["type"], row["mse"], row["var"], row["domain_var"])
        if key not in made:
            design = replicate_design(row["type"], row["mse"], psus)
            by = likert[row["domain_var"]] if row["domain_var"] else None
            made[key] = estimate(likert_answers(likert, row["var"], design), by=by)
        s = made[key]
        g, k = s.groups.index(row["domain"]) if row["domain"] else 0, s.options.index(row["level"])
        ours = (s.share[g, k], s.se[g, k], s.df[g], s.low[g, k], s.high[g, k])
        theirs = [row[name] for name in ("est", "se", "df", "xlogit_lo", "xlogit_hi")]
        assert ours == pytest.approx(theirs, rel=RELATIVE, abs=0), row


def test_each_method_has_its_scale():
    w = np.ones((6, 10))
    assert Replicates.brr(w).scale == pytest.approx(1 / 10)
    assert Replicates.fay(w, 0.3).scale == pytest.approx(1 / (10 * 0.49))
    assert Replicates.jk1(w).scale == pytest.approx(9 / 10)
    assert Replicates.bootstrap(w).scale == pytest.approx(1 / 10)
    assert Replicates.bootstrap(w, divisor="R-1").scale == pytest.approx(1 / 9)
    # The American Community Survey: 80 replicates, 4/80, around the estimate of the whole sample.
    acs = Replicates.successive_differences(np.ones((6, 80)))
    assert (acs.scale, acs.centre) == (pytest.approx(4 / 80), "theta")


def test_replicate_weights_may_be_negative_and_the_documented_df_holds_for_all_groups():
    r = np.random.default_rng(0)
    places, w = r.integers(0, 2, 40), np.full(40, 2.0)
    columns = w[:, None] * (1 + r.normal(0, 0.6, (40, 80)))
    assert (columns < 0).any()
    design = Design(w, replicates=Replicates.successive_differences(columns), df=79)
    shares = estimate(Answers.from_places(YES_NO, places, design=design), by=["a", "b"] * 20)
    for g in range(2):
        here = np.arange(40) % 2 == g
        thetas = columns[here & (places == 0)].sum(axis=0) / columns[here].sum(axis=0)
        assert shares.se[g, 0] == pytest.approx(np.sqrt(4 / 80 * np.square(thetas - shares.share[g, 0]).sum()))
    assert shares.df.tolist() == [79, 79]


def test_rank_gives_the_degrees_of_freedom_with_a_note_and_never_the_number_of_bootstraps():
    answers = Answers.from_places(YES_NO, [0, 1] * 30)
    made = bootstrap(Design(np.ones(60), psu=np.arange(60) // 10), 200).replicates
    whole = np.stack([made.weight(r, np.ones(60)) for r in range(made.size)], axis=1)
    known = Design(np.ones(60), replicates=Replicates.bootstrap(whole))
    shares = estimate(Answers.from_places(YES_NO, [0, 1] * 30, design=known))
    assert shares.df[0] == 5  # six PSUs less one stratum
    assert "rank of the replicate weights" in shares.note
    few = Design(np.ones(60), replicates=Replicates.bootstrap(whole[:, :4]))
    with pytest.raises(SurveyError, match="4 bootstrap weights without PSUs do not tell the degrees of freedom"):
        estimate(Answers(answers.question, answers.rows, few, answers.domain, answers.source))


@st.composite
def samples(draw):
    r = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(12, 50))
    stratum = np.arange(size) % 2
    psu = stratum * 4 + np.arange(size) // 2 % draw(st.integers(2, 4))
    fpc = np.where(stratum == 0, 9.0, 30.0) if draw(st.booleans()) else None
    return Design.from_columns(r.uniform(0.5, 4, size), stratum, psu, fpc=fpc), r.normal(size=size)


@given(samples())
@settings(max_examples=60, deadline=None)
def test_the_jackknife_of_a_total_is_its_taylor_variance(sample):
    design, y = sample
    rows = np.arange(design.n)
    taylor = covariance(Linearised((design.weight * y)[:, None], np.zeros_like(rows), rows), 1, design)
    made = jackknife(design)
    thetas = replicate_estimates(made, lambda w: np.array([[w @ y]]))
    ours = replicate_covariance(made, thetas, np.array([[design.weight @ y]]))
    np.testing.assert_allclose(ours, taylor, rtol=1e-10)


@pytest.mark.parametrize("fpc", [None, 12.0])
def test_the_bootstrap_of_a_total_has_the_taylor_variance_on_average(fpc):
    r = np.random.default_rng(3)
    fpc = None if fpc is None else np.full(60, fpc)
    design = Design.from_columns(r.uniform(1, 3, 60), np.arange(60) % 3, np.arange(60) // 3 % 5, fpc=fpc)
    y, rows = r.normal(size=60), np.arange(60)
    taylor = covariance(Linearised((design.weight * y)[:, None], np.zeros_like(rows), rows), 1, design)[0, 0, 0]
    made = bootstrap(design, 20_000, seed=1)
    thetas = replicate_estimates(made, lambda w: np.array([[w @ y]]))
    ours = replicate_covariance(made, thetas, np.array([[design.weight @ y]]))[0, 0, 0]
    # The relative error of a variance from 20,000 draws is near sqrt(2/20,000) = 1%.
    assert ours == pytest.approx(taylor, rel=0.04)


@given(samples(), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_fractional_answers_are_replicated_like_observed_ones(sample, seed):
    design, _ = sample
    r = np.random.default_rng(seed)
    rows = r.dirichlet([1, 1], design.n)
    rows[r.uniform(size=design.n) < 0.1] = 0
    rows[0] = [0.4, 0.6]
    made = bootstrap(design, 12, seed=seed % 1000)
    people = Answers.from_places(YES_NO, [0] * design.n)
    shares = estimate(Answers(YES_NO, rows, made, people.domain, people.source))
    weights = [made.replicates.weight(k, design.weight) for k in range(12)]
    thetas = np.array([w @ rows[:, 0] / (w @ rows.sum(axis=1)) for w in weights])
    assert shares.se[0, 0] == pytest.approx(np.sqrt(np.square(thetas - shares.share[0, 0]).mean()), rel=1e-9)


def test_replicates_made_of_people_know_their_degrees_of_freedom():
    places = np.arange(300) % 2
    for made in (bootstrap(Design(np.ones(300)), 50), jackknife(Design(np.ones(300)))):
        shares = estimate(Answers.from_places(YES_NO, places, design=made))
        assert shares.df[0] == 299
        assert shares.se[0, 0] == pytest.approx(0.5 / np.sqrt(299), rel=0.3)


def test_a_bootstrap_is_the_same_for_the_same_seed():
    design = Design(np.ones(20))
    a, b, c = bootstrap(design, 5, seed=1), bootstrap(design, 5, seed=1), bootstrap(design, 5, seed=2)
    np.testing.assert_array_equal(a.replicates.weights, b.replicates.weights)
    assert not np.array_equal(a.replicates.weights, c.replicates.weights)


def test_the_difference_of_two_groups_uses_the_same_replicates():
    r = np.random.default_rng(4)
    design = jackknife(Design(r.uniform(1, 2, 80), psu=np.arange(80) // 8))
    answers = Answers.from_places(YES_NO, r.integers(0, 2, 80), design=design)
    a, b = answers.within(np.arange(80) % 2 == 0), answers.within(np.arange(80) % 2 == 1)
    pa, pb = (replicate_estimates(design, lambda w, s=s: _share(s, w)) for s in (a, b))
    gap = pa - pb - (_share(a, design.weight) - _share(b, design.weight))
    assert difference_covariance(a, b)[0, 0] == pytest.approx(0.9 * np.square(gap).sum())


def _share(answers, w):
    inside = w * answers.domain
    return np.array([inside @ answers.rows[:, 0] / inside.sum()])


def test_a_replicate_without_anybody_of_a_group_is_left_out_and_noted():
    w = np.array([[2.0, 0.0, 1.0], [2.0, 0.0, 1.0], [0.0, 2.0, 1.0], [0.0, 2.0, 1.0]])
    design = Design(np.ones(4), psu=np.array([0, 0, 1, 1]), replicates=Replicates(w, 0.5, centre="theta"))
    shares = estimate(Answers.from_places(YES_NO, [0, 1, 0, 1], design=design), by=["a", "a", "b", "b"])
    assert np.isfinite(shares.se).all()
    assert "up to 1 replicates hold nobody of a group" in shares.note


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Replicates(np.ones((3, 1)), 1.0), "two columns or more"),
        (lambda: Replicates(np.array([[1.0, np.nan]]), 1.0), "Replicate 2 has no weight in row 1"),
        (lambda: Replicates(np.ones((3, 2)), 1.0, [1.0]), "2 replicates but 1 rscales"),
        (lambda: Replicates(np.ones((3, 2)), 1.0, [1.0, -1.0]), "0 or more"),
        (lambda: Replicates(np.ones((3, 2)), 0.0), "scale of the replicates must be a positive"),
        (lambda: Replicates(np.ones((3, 2)), 1.0, centre="thet"), "Did you mean 'theta'"),
        (lambda: Replicates.fay(np.ones((3, 2)), 1.0), "rho lies from 0 to below 1"),
        (lambda: Design(np.ones(4), replicates=Replicates.brr(np.ones((3, 2)))), "replicate weights have 3 rows"),
        (lambda: jackknife(Design(np.ones(3), np.array([0, 0, 1]))), "1 strata have a single PSU"),
        (lambda: jackknife(Design(np.ones(10_001))), "Make a bootstrap instead"),
        (lambda: replicate_estimates(Design(np.ones(3)), lambda w: w), "no replicate weights"),
    ],
)
def test_replicates_that_cannot_be_are_an_error(made, message):
    with pytest.raises(SurveyError, match=message):
        made()
