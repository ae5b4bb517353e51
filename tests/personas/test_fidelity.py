"""Algorithmic fidelity: agreement person by person, and the pattern of associations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plural_nb as pnb
from plural_nb.answers import Answers, Source
from plural_nb.errors import PluralError
from plural_nb.personas.fidelity import agreement, pattern
from plural_nb.survey.association import cramers_v, tetrachoric
from plural_nb.survey.design import Design
from plural_nb.survey.question import ask_for

TEA = ask_for("Tea?", ["Yes", "No"], key="tea")
CAKE = ask_for("Cake?", ["Yes", "No", "Maybe"], key="cake")


def personas(question, rows: np.ndarray, design: Design) -> Answers:
    return Answers(question, rows, design, np.ones(len(rows), dtype=bool), Source("personas", "m"))


def test_agreement_is_the_weighted_share_and_its_tetrachoric_that_of_the_weighted_table() -> None:
    rng = np.random.default_rng(0)
    n = 500
    own = rng.integers(0, 2, n)
    p = np.where(own == 0, 0.7, 0.35) + rng.uniform(-0.3, 0.3, n)
    rows = np.column_stack([p, 1 - p])
    weight = rng.uniform(0.5, 2, n)
    design = Design(weight)
    found = agreement(Answers.from_places(TEA, own, design=design), personas(TEA, rows, design))
    assert found.expected[0] == pytest.approx(np.average(rows[np.arange(n), own], weights=weight))
    modal = rows.argmax(axis=1)
    assert found.modal[0] == pytest.approx(np.average(modal == own, weights=weight))
    assert found.modal[1] < found.modal[0] < found.modal[2]
    table = np.zeros((2, 2))
    np.add.at(table, (own, modal), weight * n / weight.sum())
    assert found.tetrachoric == pytest.approx(tetrachoric(table).rho)
    assert found.commonest == pytest.approx(max(weight[own == 0].sum(), weight[own == 1].sum()) / weight.sum())


def test_agreement_by_group_adds_up_to_that_of_everyone() -> None:
    rng = np.random.default_rng(1)
    own, guess = rng.integers(0, 3, (2, 300))
    design = Design(rng.uniform(0.5, 2, 300))
    group = ["a" if i % 3 else "b" for i in range(300)]
    found = agreement(
        Answers.from_places(CAKE, own, design=design), Answers.from_places(CAKE, guess, design=design), by=group
    )
    share = [design.weight[np.array(group) == g].sum() / design.weight.sum() for g in found.groups["group"]]
    assert found.modal[0] == pytest.approx(float(np.dot(share, found.groups["modal"])))
    assert found.tetrachoric is None  # three options


def test_personas_that_know_only_the_marginal_are_no_better_than_the_commonest_answer() -> None:
    own = np.repeat([0, 1], [60, 40])
    rows = np.tile([0.6, 0.4], (100, 1))
    found = agreement(Answers.from_places(TEA, own), personas(TEA, rows, Design(np.ones(100))))
    assert found.modal[0] == found.commonest == 0.6
    assert found.expected[0] == pytest.approx(0.52)
    assert "no more often" in found.sentence()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 500))
def test_one_hot_personas_have_the_cramers_v_of_their_table(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 2, 120), rng.integers(0, 3, 120)
    humans = {"tea": Answers.from_places(TEA, a), "cake": Answers.from_places(CAKE, b)}
    found = pattern(humans, humans, corrected=False)
    table = np.zeros((2, 3))
    np.add.at(table, (a, b), 1)
    assert found.rows["humans"][0] == pytest.approx(cramers_v(table, corrected=False))
    assert found.mean_absolute_difference == pytest.approx(0, abs=1e-12)


def test_flattened_personas_have_weaker_associations_and_the_sentence_names_the_pair() -> None:
    n = 400
    group = np.repeat([0, 1], n // 2)
    rng = np.random.default_rng(2)
    own = np.where(rng.random(n) < np.where(group == 0, 0.9, 0.1), 0, 1)
    p = np.where(group == 0, 0.6, 0.4)
    silicon = personas(TEA, np.column_stack([p, 1 - p]), Design(np.ones(n)))
    found = pattern(
        {"tea": Answers.from_places(TEA, own)}, {"tea": silicon}, traits={"home": ["x" if g else "y" for g in group]}
    )
    row = found.table().row(0, named=True)
    assert row["humans"] == pytest.approx(0.8, abs=0.08)
    assert row["silicon"] == pytest.approx(0.2, abs=0.05)
    assert "tea and home" in found.sentence()


def test_the_demo_model_agrees_with_held_out_people_beyond_the_commonest_answer() -> None:
    from plural_nb.demo.corpus import Respondents
    from plural_nb.personas.personas import Personas

    survey = pnb.load_survey("anes96")
    held_out = Respondents.of("anes96").held_out
    people = Personas.from_survey(survey, traits=["party", "age"], leak="keep").within(held_out)
    with pnb.open_model("plural-demo-base") as model:
        silicon = model.ask(survey.questions["vote"], people=people)
    found = agreement(survey.answers("vote").within(held_out), silicon)
    assert found.modal[1] > 0.8 > found.commonest
    assert found.tetrachoric is not None
    assert found.tetrachoric > 0.8


def test_people_and_personas_must_be_the_same_rows() -> None:
    with pytest.raises(PluralError, match="same row"):
        agreement(Answers.from_places(TEA, [0, 1]), Answers.from_places(TEA, [0, 1, 1]))
    with pytest.raises(PluralError, match="fractional"):
        agreement(personas(TEA, np.array([[0.5, 0.5]]), Design(np.ones(1))), Answers.from_places(TEA, [0]))
    with pytest.raises(PluralError, match="two questions"):
        pattern({"tea": Answers.from_places(TEA, [0, 1])}, {"tea": Answers.from_places(TEA, [0, 1])})
