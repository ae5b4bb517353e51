"""Answers are probability rows, and nothing else gets in."""

import numpy as np
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.errors import PluralError
from plural_nb.survey.design import Design
from plural_nb.survey.question import ask_for

TEA = ask_for("Tea?", ["Yes", "No"])


def answers(rows, **rest):
    rows = np.array(rows, dtype=float)
    n = len(rows)
    return Answers(TEA, rows, Design(np.ones(n)), np.ones(n, dtype=bool), Source("personas", "x"), **rest)


def test_places_become_one_hot_rows_and_missing_ones_zeros():
    made = Answers.from_places(TEA, np.array([0, 1, -1], dtype=np.int16))
    assert made.rows.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert made.answered.tolist() == [True, True, False]
    assert not made.exact


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0.5, 0.4]], r"row 1 is \[0.5, 0.4\]"),
        ([[1, 0], [1.5, -0.5]], "row 2"),
        ([[float("nan"), 1.0]], "row 1"),
        ([[1.0]], "expected 1 rows of 2 options"),
    ],
)
def test_rows_that_are_not_probabilities_are_refused(rows, message):
    with pytest.raises(PluralError, match=message):
        answers(rows)


def test_places_masses_and_spreads_must_fit():
    with pytest.raises(PluralError, match="no option at place 2 of 'question'"):
        Answers.from_places(TEA, [0, 2])
    with pytest.raises(PluralError, match="captured mass has 2 entries for 1 rows"):
        answers([[1, 0]], captured_mass=np.ones(2))
    with pytest.raises(PluralError, match=r"spread has shape \(2,\)"):
        answers([[1, 0]], spread=np.ones(2))


def test_a_domain_of_another_length_is_refused():
    with pytest.raises(PluralError, match="domain has 3 entries for 1 rows"):
        Answers(TEA, np.eye(2)[:1], Design(np.ones(1)), np.ones(3, dtype=bool), Source("humans", "x"))


def test_domains_add_up_and_weights_can_go():
    made = answers([[1, 0], [0, 1], [1, 0]]).within(np.array([True, True, False])).within(np.array([False, True, True]))
    assert made.domain.tolist() == [False, True, False]
    weighted = Answers.from_places(TEA, [0, 1], design=Design(np.array([3.0, 1.0])))
    assert weighted.shares().share[0, 0] == 0.75
    assert weighted.unweighted().shares().share[0, 0] == 0.5


def test_only_a_single_model_row_is_exact():
    one = Answers(TEA, np.eye(2)[:1], Design(np.ones(1)), np.ones(1, dtype=bool), Source("model", "m"))
    assert one.exact
    assert one.shares().se is None
