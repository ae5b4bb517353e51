"""A design holds together, or says why not."""

import numpy as np
import pytest

from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design
from plural_nb.survey.linearisation import Linearised, covariance

ONES = np.ones(4)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Design(ONES, np.array([0, 0, 1])), "4 weights but 3 stratum codes"),
        (lambda: Design(ONES, np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])), "A PSU lies in two strata"),
        (lambda: Design(ONES, psu=np.array([0, 1, -1, 2])), "psu of row 3 is -1"),
        (lambda: Design(ONES, lonely="center"), "Did you mean 'centre'"),
        (lambda: Design(np.array([1.0, np.inf])), "1 of 2 base weights are missing or infinite .*row 2"),
        (lambda: Design(np.array([])), "at least one respondent"),
        (lambda: Design.from_columns(), "at least one respondent"),
        (lambda: Design.from_columns(ONES, ["a", "b"]), "stratum column has 2 rows where the first has 4"),
        (lambda: Design.from_columns(["1,5", "2"]), "weights are not all numbers"),
        (lambda: Design(ONES, fpc=np.array([9, 9, 9, 8])), "fpc differs within a stratum"),
        (lambda: Design(ONES, fpc=np.full(4, 3)), "population has 3 PSUs in a stratum of which 4 were drawn"),
        (lambda: Design(ONES, fpc=np.array([9, 9, 9, np.nan])), "fpc of row 4 is nan"),
        (lambda: Design(ONES, fpc=np.array([9, 9])), "4 weights but 2 values of the fpc"),
        (lambda: Design(ONES, df=0), "degrees of freedom must be a positive number"),
    ],
)
def test_a_design_that_cannot_be_is_an_error(made, message):
    with pytest.raises(SurveyError, match=message):
        made()


def variance_of_a_total(design, y):
    rows = np.arange(design.n)
    return covariance(Linearised((design.weight * y)[:, None], np.zeros_like(rows), rows), 1, design)[0, 0, 0]


def test_a_finite_population_lowers_the_variance_by_the_fraction_drawn():
    y = np.array([1.0, 4.0, 2.0, 7.0])
    whole = variance_of_a_total(Design(ONES), y)
    assert variance_of_a_total(Design(ONES, fpc=np.full(4, 10)), y) == pytest.approx(0.6 * whole)
    assert variance_of_a_total(Design(ONES, fpc=np.full(4, 0.4)), y) == pytest.approx(0.6 * whole)
    assert variance_of_a_total(Design(ONES, fpc=ONES), y) == 0
    # Cochran's textbook variance of a total under simple random sampling without replacement.
    assert variance_of_a_total(Design(2.5 * ONES, fpc=np.full(4, 10)), y) == pytest.approx(
        10**2 * (1 - 0.4) * y.var(ddof=1) / 4
    )


def test_a_stratum_of_which_every_psu_was_drawn_may_have_a_single_one():
    y = np.array([1.0, 4.0, 2.0, 7.0])
    design = Design(ONES, np.array([0, 0, 0, 1]), fpc=np.array([6, 6, 6, 1]))
    assert variance_of_a_total(design, y) == pytest.approx(0.5 * 3 * y[:3].var(ddof=1))


def test_a_lonely_psu_is_set_against_the_mean_of_all():
    y = np.array([1.0, 4.0, 2.0, 7.0])
    strata = np.array([0, 0, 0, 1])
    ours = variance_of_a_total(Design(ONES, strata, lonely="centre"), y)
    assert ours == pytest.approx(3 * y[:3].var(ddof=1) + (7 - 3.5) ** 2)


def test_psus_are_numbered_within_strata():
    design = Design.from_columns(ONES, ["a", "a", "b", "b"], [1, 2, 1, 1])
    assert design.psu.tolist() == [0, 1, 2, 2]


def test_without_weights_everybody_counts_the_same():
    design = Design.from_columns(n=5)
    assert design.n_eff_kish() == design.n == 5
    heavy = Design(np.array([1.0, 3.0]), psu=np.array([0, 1]), lonely="skip")
    assert heavy.n_eff_kish() == pytest.approx(1.6)
    assert heavy.n_eff_kish(np.array([False, False])) == 0
    bare = heavy.unweighted()
    assert (bare.weight.tolist(), bare.lonely) == ([1, 1], "skip")
    assert bare.psu is not None
