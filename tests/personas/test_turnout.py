"""Vote with turnout: people and personas get one answer of parties and staying at home."""

from __future__ import annotations

import numpy as np
import pytest

import plural_nb as pnb
from plural_nb.answers import Answers, Source
from plural_nb.errors import PluralError
from plural_nb.personas.turnout import with_turnout
from plural_nb.survey.design import Design
from plural_nb.survey.question import ask_for

VOTE, TURNOUT = ask_for("For whom?", ["Left", "Right"], key="vote"), ask_for("Voted?", ["Yes", "No"])


def personas(question: pnb.Question, rows: list[list[float]]) -> Answers:
    n = len(rows)
    return Answers(question, np.array(rows), Design(np.ones(n)), np.ones(n, bool), Source("personas", "toy"))


def test_a_persona_votes_with_the_product_of_its_probabilities() -> None:
    both = with_turnout(
        personas(VOTE, [[0.25, 0.75], [1, 0]]), personas(TURNOUT, [[0.8, 0.2], [0.5, 0.5]]), voted="Yes"
    )
    np.testing.assert_allclose(both.rows, [[0.2, 0.6, 0.2], [0.5, 0, 0.5]])
    assert [o.label for o in both.question.options] == ["Left", "Right", "Did not vote"]


def test_peoples_shares_are_turnout_times_vote_share() -> None:
    survey = pnb.load_survey("teaching")
    both = with_turnout(survey.answers("vote"), survey.answers("turnout"), voted="I voted")
    w = survey.design.weight
    turnout, vote = survey.answer_codes["turnout"], survey.answer_codes["vote"]
    known = (turnout == 1) | ((turnout == 0) & np.isin(vote, survey.questions["vote"].substantive))
    assert both.answered.tolist() == known.tolist()
    home = w[known & (turnout == 1)].sum() / w[known].sum()
    first = w[known & (turnout == 0) & (vote == 0)].sum() / w[known].sum()
    share = both.shares().share[0]
    assert (share[-1], share[0]) == pytest.approx((home, first), rel=1e-12)


def test_who_voted_and_named_nobody_is_missing() -> None:
    vote, turnout = Answers.from_places(VOTE, [0, None, None]), Answers.from_places(TURNOUT, [0, 0, None])
    assert with_turnout(vote, turnout, voted="Yes").answered.tolist() == [True, False, False]


def test_other_rows_and_unknown_answers_are_refused() -> None:
    vote, turnout = Answers.from_places(VOTE, [0, 1]), Answers.from_places(TURNOUT, [0])
    with pytest.raises(PluralError, match="same people"):
        with_turnout(vote, turnout, voted="Yes")
    with pytest.raises(PluralError, match="Turnout has no answer 'Yess'"):
        with_turnout(vote, Answers.from_places(TURNOUT, [0, 1]), voted="Yess")
