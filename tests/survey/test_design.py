"""A design holds together, or says why not."""

import numpy as np
import pytest

from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design

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
    ],
)
def test_a_design_that_cannot_be_is_an_error(made, message):
    with pytest.raises(SurveyError, match=message):
        made()


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
