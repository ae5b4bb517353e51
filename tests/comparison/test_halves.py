"""The empirical floor: halves of the same people against the closed form and against fresh samples."""

from __future__ import annotations

import numpy as np
import pytest

import plural_nb as pnb
from plural_nb.answers import Answers, Source
from plural_nb.comparison.distances import js_distance
from plural_nb.comparison.halves import split_halves
from plural_nb.errors import PluralError
from plural_nb.survey.design import Design
from plural_nb.survey.question import ask_for

QUESTION = ask_for("Which?", ["a", "b", "c"], key="which")


def test_halves_show_what_two_samples_of_half_the_size_show() -> None:
    rng = np.random.default_rng(0)
    p = np.array([0.5, 0.3, 0.2])
    own = rng.choice(3, 2000, p=p)
    found = split_halves(Answers.from_places(QUESTION, own), splits=2000, seed=1)
    fresh = js_distance(rng.multinomial(1000, p, 20_000) / 1000, rng.multinomial(1000, p, 20_000) / 1000)
    assert found.mean() == pytest.approx(fresh.mean(), rel=0.05)
    assert found.p95() == pytest.approx(np.quantile(fresh, 0.95), rel=0.05)
    assert found.mean(full=True) == pytest.approx(found.mean() / np.sqrt(2))


def test_the_closed_form_floor_agrees_with_halves_of_a_clustered_weighted_survey() -> None:
    survey = pnb.load_survey("teaching")
    answers = survey.answers("nature")
    halves = split_halves(answers, splits=1000, seed=2)
    naive = split_halves(Answers.from_places(answers.question, survey.answer_codes["nature"]), splits=1000, seed=2)
    assert halves.mean() > 1.1 * naive.mean()  # clusters and weights cost
    one_sided = answers.shares()
    expected = np.sqrt((4 * np.einsum("kk->k", one_sided.covariance[0]) / one_sided.share[0]).sum() / 8 / np.log(2))
    assert halves.mean() == pytest.approx(expected * 0.94, rel=0.08)  # E[chi_4]/2 = .94 for K = 5


def test_psus_stay_whole() -> None:
    """Everyone in a PSU answers alike, so halves differ by whole PSUs; people apart would hide it."""
    own = np.repeat(np.arange(40) % 2, 50)
    design = Design(np.ones(2000), psu=np.repeat(np.arange(40), 50))
    clustered = split_halves(Answers.from_places(QUESTION, own, design=design), splits=400)
    apart = split_halves(Answers.from_places(QUESTION, own), splits=400)
    assert clustered.mean() == pytest.approx(np.sqrt(50) * apart.mean(), rel=0.15)


def test_what_has_no_halves_says_so() -> None:
    row = Answers(
        QUESTION, np.array([[0.2, 0.3, 0.5]]), Design(np.ones(1)), np.ones(1, dtype=bool), Source("model", "m")
    )
    with pytest.raises(PluralError, match="no halves"):
        split_halves(row)
    with pytest.raises(PluralError, match="20 splits"):
        split_halves(Answers.from_places(QUESTION, [0, 1]), splits=5)
    with pytest.raises(PluralError, match="two PSUs"):
        split_halves(Answers.from_places(QUESTION, [0, None, None]))
    with pytest.raises(PluralError, match="js_distance"):
        split_halves(Answers.from_places(QUESTION, [0, 1] * 50)).mean("js")
