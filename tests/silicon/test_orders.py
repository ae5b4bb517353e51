from __future__ import annotations

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pytest

from plural_nb.errors import ModelError, SurveyError
from plural_nb.silicon.model import Model
from plural_nb.silicon.orders import orders
from plural_nb.survey.design import Design
from plural_nb.survey.question import Option, Question, ask_for

QUESTION = ask_for("Tea or coffee?", ["Tea", "Coffee", "Neither"])


@pytest.mark.parametrize("k", range(2, 12))
def test_a_balanced_set_has_each_option_in_each_place_and_each_pair_of_neighbours_equally_often(k: int) -> None:
    found = orders(ask_for("Which?", [f"o{i}" for i in range(k)]), "balanced")
    assert len(found) == (2 * k if k % 2 and k > 1 else k)
    places = Counter((place, option) for row in found for place, option in enumerate(row))
    neighbours = Counter(pair for row in found for pair in pairwise(row))
    assert set(places) == {(i, j) for i in range(k) for j in range(k)}
    assert len(set(places.values())) == 1
    assert set(neighbours) == set(permutations(range(k), 2))
    assert len(set(neighbours.values())) == 1


def test_cyclic_is_every_rotation_once() -> None:
    found = orders(ask_for("Which?", list("abcd")), "cyclic")
    assert found == ((0, 1, 2, 3), (1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2))


@pytest.mark.parametrize("order", ["reversed", "cyclic", "balanced"])
def test_pinned_options_stay_last_and_hidden_ones_hidden(order: str) -> None:
    options = (Option("a"), Option("none", pinned=True), Option("b"), Option("?", substantive=False, offered=False))
    found = orders(Question("q", "Which?", options), order)
    assert all(row[-1] == 1 and sorted(row) == [0, 1, 2] for row in found)


@pytest.mark.parametrize("order", ["cyclic", "balanced"])
def test_a_scale_is_shown_as_asked_and_reversed_only_unless_asked(order: str) -> None:
    scale = ask_for("How much?", ["little", "some", "much", "all"], kind="ordinal")
    assert orders(scale, order) == ((0, 1, 2, 3), (3, 2, 1, 0))
    assert len(orders(scale, order, scramble_scales=True)) == 4


def test_an_unknown_order_names_the_nearest() -> None:
    with pytest.raises(ModelError, match="Did you mean 'balanced'"):
        orders(QUESTION, "ballanced")


def test_each_order_is_normalised_then_averaged_and_its_spread_is_the_position_bias(tiny: Model) -> None:
    answers = tiny.ask(QUESTION, examples=0, order="cyclic")
    told = np.zeros((3, 3))
    for i, reply in enumerate(answers.replies):
        told[i, list(reply.shown)] = reply.probabilities
    each = told / told.sum(axis=1, keepdims=True)
    assert [r.shown for r in answers.replies] == [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
    assert answers.replies[1].text.endswith("A. Coffee\nB. Neither\nC. Tea\nAnswer:")
    assert answers.rows[0] == pytest.approx(each.mean(axis=0))
    assert answers.spread == pytest.approx(np.stack([each.min(axis=0), each.max(axis=0)]))
    assert answers.captured_mass == pytest.approx([told.sum(axis=1).mean()])
    assert answers.captured_mass_min == pytest.approx([told.sum(axis=1).min()])


def test_variants_are_averaged_within_an_order_before_the_spread_is_taken(tiny: Model) -> None:
    answers = tiny.ask(QUESTION, examples=1, variants=2, order="reversed", wordings=False)
    assert answers.spread is not None  # one order: the spread over its variants
    both = tiny.ask(QUESTION, examples=1, variants=2, order="cyclic")
    told = np.zeros((3, 2, 3))
    for i, reply in enumerate(both.replies):
        told[i // 2, i % 2, list(reply.shown)] = reply.probabilities
    each = (told / told.sum(axis=2, keepdims=True)).mean(axis=1)
    assert both.rows[0] == pytest.approx(each.mean(axis=0))
    assert both.spread == pytest.approx(np.stack([each.min(axis=0), each.max(axis=0)]))


def test_personas_carry_the_spread_of_their_weighted_mean_over_orders(tiny: Model) -> None:
    design = Design(np.array([1.0, 3.0]))
    answers = tiny.ask(QUESTION, persona=["I am old.", "I am young."], examples=0, order="reversed", design=design)
    assert answers.spread is None  # one order only
    answers = tiny.ask(QUESTION, persona=["I am old.", "I am young."], examples=0, order="balanced", design=design)
    told = np.zeros((2, 6, 3))
    for i, reply in enumerate(answers.replies):
        told[i // 6, i % 6, list(reply.shown)] = reply.probabilities
    mean = np.average(told / told.sum(axis=2, keepdims=True), axis=0, weights=design.weight)
    assert answers.spread == pytest.approx(np.stack([mean.min(axis=0), mean.max(axis=0)]))


def test_other_wordings_are_averaged_with_equal_weight(tiny: Model) -> None:
    question = Question("tea", "Tea or coffee?", ("Tea", "Coffee"), wordings=("Which do you drink, tea or coffee?",))
    both = tiny.ask(question, examples=0, wordings=True)
    alone = [tiny.ask(q, examples=0).rows[0] for q in (question, question.reworded(question.wordings[0]))]
    assert both.rows[0] == pytest.approx(np.mean(alone, axis=0))
    assert both.spread[0] == pytest.approx(np.min(alone, axis=0))


def test_a_question_made_on_the_spot_can_pin_an_option_and_have_other_wordings() -> None:
    question = ask_for(
        "Tea or coffee?", ["Tea", "Coffee", "Neither"], pinned=["Neither"], wordings=["What do you drink?"]
    )
    assert all(places[-1] == 2 for places in orders(question, "cyclic"))
    assert question.wordings == ("What do you drink?",)
    with pytest.raises(SurveyError, match="Neither"):
        ask_for("Tea or coffee?", ["Tea", "Neither"], pinned=["Niether"])
