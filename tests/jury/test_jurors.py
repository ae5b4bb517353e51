"""Personas as jurors: strengths from choices, ratings from numbers, agreement with one's own words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import plural_nb as pnb
from plural_nb.errors import PluralError
from plural_nb.jury.jurors import bradley_terry, candidates_from, choose, entail, rate
from plural_nb.personas.personas import Personas

IDEAS = {"Abolish": "Abolish the toll.", "Keep": "Keep the toll.", "Raise": "Raise the toll."}


@settings(max_examples=40, deadline=None)
@given(arrays.arrays(np.float64, (3, 4), elements=st.floats(0.05, 5.0)))
def test_strengths_are_recovered_from_the_choices_they_make(made: np.ndarray) -> None:
    wins = made[:, :, None] / (made[:, :, None] + made[:, None, :])
    found, clipped = bradley_terry(wins)
    assert clipped == 0
    assert found == pytest.approx(made / made.sum(axis=1, keepdims=True), rel=1e-6)


def test_a_certain_choice_is_counted_and_an_unjudged_pair_gives_no_strengths() -> None:
    wins = np.array([[[0.5, 1.0], [0.0, 0.5]], [[0.5, np.nan], [np.nan, 0.5]]])
    found, clipped = bradley_terry(wins)
    assert clipped == 1
    assert found[0] == pytest.approx([0.9999, 0.0001])
    assert np.isnan(found[1]).all()


@pytest.fixture(scope="module")
def model():
    with pnb.open_model("plural-demo-base") as opened:
        yield opened


@pytest.fixture(scope="module")
def people() -> Personas:
    return Personas.from_grid(pnb.load_survey("teaching"), traits=["age", "leaning"])


def test_ratings_are_the_expected_number_of_every_persona(model, people: Personas) -> None:
    jury = rate(model, people, IDEAS, low=0, high=10)
    assert jury.candidates == tuple(IDEAS)
    assert jury.values.shape == (people.n, 3)
    assert ((jury.values > 0) & (jury.values < 10)).all()
    # One cell by hand, through the single question.
    options = tuple(pnb.Option(str(k), value=float(k)) for k in range(11))
    text = "How good is this idea, from 0 (very bad) to 10 (very good): Keep the toll."
    asked = model.ask(pnb.Question("k", text, options, "ordinal"), persona=people.texts[0], method="number")
    assert jury.values[0, 1] == pytest.approx(float(asked.rows[0] @ np.arange(11)), abs=2e-3)
    assert jury.weight == pytest.approx(people.design.weight)
    assert "not people" in jury.notes[0]


def test_choices_in_both_orders_become_strengths(model, people: Personas) -> None:
    jury = choose(model, people, IDEAS)
    assert jury.values.sum(axis=1) == pytest.approx(np.ones(people.n))
    pair = pnb.Question("p", "Which of these two ideas is better?", tuple(map(pnb.Option, list(IDEAS.values())[:2])))
    two = choose(model, people, {k: IDEAS[k] for k in ("Abolish", "Keep")})
    asked = model.ask(pair, persona=people.texts[0], order="balanced")
    assert two.values[0] == pytest.approx(asked.rows[0], abs=2e-3)


def test_entailment_is_the_probability_of_yes(model) -> None:
    people = Personas.from_texts(["The toll is unfair to commuters.", "Nature matters most to me."])
    jury = entail(model, people, IDEAS)
    assert jury.values.shape == (2, 3)
    assert ((jury.values >= 0) & (jury.values <= 1)).all()
    assert len({round(v, 6) for v in jury.values[:, 0]}) == 2  # each by their own words


def test_bad_candidates_are_refused_in_words(model, people: Personas) -> None:
    with pytest.raises(PluralError, match="list of texts"):
        rate(model, people, "Keep the toll.")
    with pytest.raises(PluralError, match="has no text"):
        rate(model, people, {"Keep": " "})
    with pytest.raises(PluralError, match="slot"):
        rate(model, people, IDEAS, wording="How good?")
    with pytest.raises(PluralError, match="higher one"):
        rate(model, people, IDEAS, low=5, high=5)
    with pytest.raises(PluralError, match="two candidates"):
        choose(model, people, ["Keep the toll."])


def test_a_model_writes_different_candidates_and_the_same_seed_writes_the_same(model) -> None:
    people = Personas.from_texts(["The toll is unfair.", "Nature matters."])
    # The demo model writes what it was taught to: the words of an option.
    question = "What should become of the toll?\n- Keep the toll\n- Abolish the toll\n- Halve the toll"
    found = candidates_from(model, question, 3, people=people, longest=8)
    assert 2 <= len(found) <= 3
    assert len({text.casefold() for text in found}) == len(found)
    assert not any("\n" in text for text in found)
    assert found == candidates_from(model, question, 3, people=people, longest=8)
