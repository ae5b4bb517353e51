from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from plural_nb.errors import ModelError
from plural_nb.silicon.planning import decoding_order, shared_length
from plural_nb.silicon.scoring import disjoint_forms, log_softmax, option_probabilities


def test_forms_are_summed_as_probabilities_not_as_logits() -> None:
    """The worked example of the definitions: .63/.37 by sums, .92/.08 by a product."""
    p = np.array([0.35, 0.28, 0.12, 0.25])
    a, b = option_probabilities([[(0,), (1,)], [(2,), (3,)]], lambda _: np.log(p))
    assert a / (a + b) == pytest.approx(0.63)


def test_log_softmax_is_exact_for_large_and_far_apart_logits() -> None:
    logits = np.array([30_000.0, 29_999.0, -30_000.0], dtype=np.float32)
    e = np.exp(-1.0)
    assert np.exp(log_softmax(logits)) == pytest.approx([1 / (1 + e), e / (1 + e), 0.0], abs=1e-15)


def test_logits_that_are_no_numbers_are_an_error() -> None:
    with pytest.raises(ModelError, match="damaged"):
        log_softmax(np.array([np.nan, 1.0]))


def test_probabilities_over_all_two_token_answers_sum_to_one() -> None:
    """Every answer of two tokens over a vocabulary of five is an option: together they are certain."""
    draw = np.random.default_rng(0)
    tables = {first: np.log(draw.dirichlet(np.ones(5))) for first in [(), *((t,) for t in range(5))]}
    options = [[(a, b)] for a, b in product(range(5), range(5))]
    found = option_probabilities(options, tables.__getitem__)
    assert sum(found) == pytest.approx(1.0)
    assert found[7] == pytest.approx(np.exp(tables[()][1] + tables[(1,)][2]))


def test_each_beginning_is_asked_for_once() -> None:
    asked = []

    def log_p(beginning: tuple[int, ...]) -> np.ndarray:
        asked.append(beginning)
        return np.log(np.full(9, 1 / 9))

    option_probabilities([[(1, 2), (1, 3), (4,)], [(1, 5, 6)]], log_p)
    assert asked == [(), (1,), (1, 5)]


def test_a_form_told_twice_counts_once() -> None:
    assert disjoint_forms([[(1,), (1,)], [(2,)]], "AB") == (((1,),), ((2,),))


def test_a_form_inside_another_of_its_option_is_not_counted_again() -> None:
    assert disjoint_forms([[(1, 2), (1,)], [(2,)]], "AB")[0] == ((1,),)


@pytest.mark.parametrize("options", [[[(1,)], [(1,)]], [[(1,)], [(1, 0)]], [[(1, 0), (3,)], [(2,), (1,)]]])
def test_options_that_overlap_are_an_error_that_names_both(options: list) -> None:
    with pytest.raises(ModelError, match=r"'(1|10)' and '(1|10)'"):
        disjoint_forms(options, ["1", "10"])


def test_the_decoding_order_shares_as_much_as_any_order() -> None:
    from itertools import permutations

    prompts = [(1, 2, 3), (4,), (1, 2, 9), (4, 5), (1, 7), (1, 2, 3, 4)]

    def shared(order: tuple[int, ...] | list[int]) -> int:
        return sum(shared_length(prompts[a], prompts[b]) for a, b in pairwise(order))

    assert shared(decoding_order(prompts)) == max(map(shared, permutations(range(len(prompts)))))
