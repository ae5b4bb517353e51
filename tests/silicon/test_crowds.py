"""Many prompts with many forms: spellings that a model hardly uses are not followed, and never missed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from plural_nb.silicon.asking import Prepared, ask
from plural_nb.silicon.scoring import option_probabilities

SPACE, END, WORDS, ODD, SIZE = 10, 11, range(12, 29), 29, 30
NUMBERS = tuple(
    ((SPACE, *digits), digits) for digits in (tuple(map(int, str(n))) for n in range(101))
)  # the digits 0 to 9 are tokens 0 to 9
NEGLIGIBLE = 1e-5


class Spelling:
    """A model in closed form that puts a space in front of numbers, or hardly ever does where a prompt is odd."""

    bos_text = ""
    limit = 1000

    def __init__(self, rare: float) -> None:
        self.rare = rare
        self.evaluated: list[tuple[int, ...]] = []

    def row(self, sequence: tuple[int, ...]) -> np.ndarray:
        p = np.random.default_rng(sequence).dirichlet(np.full(SIZE, 0.3)) + 1e-3
        if sequence[-1] in WORDS:  # the prompt's end
            often, seldom = (slice(0, 10), [SPACE]) if ODD in sequence else ([SPACE], slice(0, 10))
            p[often] /= p[often].sum()
            p[seldom] *= self.rare / p[seldom].sum()
        elif sequence[-1] != SPACE:
            p[END] += 1
        return np.log(p / p.sum())

    def ends(self) -> np.ndarray:
        return np.array([END])

    def require_context(self, size: int) -> None:
        assert size <= self.limit

    def evaluate(self, sequences: Iterable[tuple[int, ...]]) -> Iterator[tuple[list[int], np.ndarray]]:
        for place, sequence in enumerate(sequences):
            self.evaluated.append(sequence)
            yield [place], self.row(sequence)[None].astype(np.float32)


def crowd(n: int, odd: Iterable[int] = ()) -> list[Prepared]:
    draw, odd = random.Random(n), set(odd)
    prompts = [
        (*([ODD] if i in odd else [draw.choice(WORDS)]), *(draw.choice(WORDS) for _ in range(12))) for i in range(n)
    ]
    return [Prepared("", prompt, NUMBERS, terminated=True, negligible=NEGLIGIBLE) for prompt in prompts]


def rows(model: Spelling, prepared: list[Prepared]) -> np.ndarray:
    found = {i: outcome.probabilities for batch in ask(model, prepared) for i, outcome in batch}  # type: ignore[arg-type]
    assert sorted(found) == list(range(len(prepared)))
    return np.array([found[i] for i in range(len(prepared))])


def one_by_one(model: Spelling, prepared: list[Prepared]) -> np.ndarray:
    truth = [option_probabilities(p.options, lambda b, p=p: model.row(p.tokens + b), model.ends()) for p in prepared]
    return np.array(truth)


@pytest.mark.parametrize("odd", [[], [3], [7, 12, 20, 23], range(24)])
def test_no_number_is_off_by_more_than_the_negligible_part_of_the_captured_mass(odd: Iterable[int]) -> None:
    """Also where some prompts turn the spellings round, which the probes may not have shown."""
    model, prepared = Spelling(rare=1e-9), crowd(24, odd)
    found, truth = rows(model, prepared), one_by_one(model, prepared)
    captured = truth.sum(axis=1, keepdims=True)
    assert (captured > 1e-3).all()
    assert (np.abs(found - truth) <= NEGLIGIBLE * captured + 1e-7 * truth).all()


def test_a_spelling_that_is_hardly_used_costs_next_to_nothing() -> None:
    model, prepared = Spelling(rare=1e-9), crowd(100)
    rows(model, prepared)
    one, both = 101 + 2, 2 * 101 + 2  # and the prompt's own end, and the space
    assert len(model.evaluated) == 4 * both + 96 * one


def test_both_spellings_are_followed_where_both_are_used() -> None:
    model, prepared = Spelling(rare=1e-3), crowd(30)
    found, truth = rows(model, prepared), one_by_one(model, prepared)
    assert found == pytest.approx(truth, rel=1e-6)
    assert len(model.evaluated) == 30 * (2 * 101 + 2)


def test_a_few_prompts_are_followed_whole() -> None:
    model, prepared = Spelling(rare=1e-9), crowd(15)
    assert rows(model, prepared) == pytest.approx(one_by_one(model, prepared), rel=1e-6)


def test_prompts_inside_other_prompts_and_alike_are_each_answered() -> None:
    model, prepared = Spelling(rare=1e-3), crowd(20)
    inside = [Prepared("", p.tokens[:n], NUMBERS, True, negligible=NEGLIGIBLE) for p in prepared[:4] for n in (5, 9)]
    answered = [Prepared("", (*p.tokens, SPACE, 5), (((1,),), ((2,),))) for p in prepared[:3]]
    everybody = [*prepared, *inside, *answered, *prepared[:3]]
    found = {i: o.probabilities for batch in ask(model, everybody) for i, o in batch}  # type: ignore[arg-type]
    for i, one in enumerate(everybody):
        ends = model.ends() if one.terminated else None
        truth = option_probabilities(one.options, lambda b, p=one: model.row(p.tokens + b), ends)
        assert found[i] == pytest.approx(truth, rel=1e-6)
    assert len(model.evaluated) == len(set(model.evaluated))  # nothing is read twice
