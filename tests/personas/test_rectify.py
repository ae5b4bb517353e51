"""Rectifying: right on average whatever the model says, tighter where it knows something, idle where it does not."""

from __future__ import annotations

import numpy as np
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.errors import SurveyError
from plural_nb.personas.rectify import rectify
from plural_nb.survey.design import Design
from plural_nb.survey.question import ask_for

Q = ask_for("Which?", ["a", "b", "c"])
MODEL = Source("personas", "planted")
PEOPLE = 20_000


def planted(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """People's conditional shares, and the answers drawn from them: (people, 3), (people,)."""
    chance = np.random.default_rng(seed)
    shares = chance.dirichlet([2, 1.5, 1], PEOPLE)
    return shares, (chance.gumbel(size=(PEOPLE, 3)) + np.log(shares)).argmax(axis=1)


SHARES, ANSWERS = planted()
TRUTH = np.bincount(ANSWERS, minlength=3) / PEOPLE
KINDS = {
    "good": 0.85 * np.eye(3)[ANSWERS] + 0.05,
    "fair": SHARES,
    "flat": 0.1 * SHARES + 0.3,
    "noise": np.random.default_rng(2).dirichlet([1, 1, 1], PEOPLE),
    "constant": np.tile([0.7, 0.2, 0.1], (PEOPLE, 1)),
    "wrong": 0.8 * np.roll(np.eye(3)[ANSWERS], 1, axis=1) + 0.2 / 3,
}


def run(kind: str, chance: np.random.Generator, *, n: int = 200, all_rows: int = 1200, clustered: bool = False):
    rows = chance.integers(0, PEOPLE, all_rows)
    design = Design(np.ones(all_rows))
    if clustered:  # neighbours alike: PSUs of ten from the people sorted by what they are like
        order = np.argsort(SHARES[:, 0], kind="stable")
        psu = np.repeat(np.arange(all_rows // 10), 10)
        start = chance.integers(0, PEOPLE - 400, all_rows // 10)
        rows = order[np.repeat(start, 10) + chance.integers(0, 400, all_rows)]
        design = Design(np.ones(all_rows), psu=psu)
    places = ANSWERS[rows].copy()
    places[n:] = -1
    humans = Answers.from_places(Q, places, design=design)
    silicon = Answers(Q, KINDS[kind][rows], design, np.ones(all_rows, dtype=bool), MODEL)
    return rectify(humans, silicon)


@pytest.mark.parametrize("kind", KINDS)
def test_intervals_cover_the_truth_whatever_the_model(kind: str) -> None:
    chance = np.random.default_rng(5)
    found = [run(kind, chance) for _ in range(700)]
    covered = np.mean([(f.low <= TRUTH) & (f.high >= TRUTH) for f in found])
    # 700 runs of three options, two of them free: the Monte Carlo error of 95% is 0.6 points.
    assert 0.93 <= covered <= 0.97
    error = np.mean([f.share for f in found], axis=0) - TRUTH
    assert np.abs(error).max() < 4 * np.std([f.share for f in found], axis=0).max() / np.sqrt(700)
    gained = np.mean([f.interviews_gained for f in found])
    if kind in ("noise", "constant", "wrong"):
        assert gained < 1
        assert np.mean([f.se / f.humans_se for f in found]) < 1.01  # and nothing is lost
    else:
        assert gained > 20


def test_the_stated_errors_are_those_seen_and_clusters_count() -> None:
    chance = np.random.default_rng(6)
    found = [run("fair", chance, clustered=True) for _ in range(400)]
    seen = np.std([f.share for f in found], axis=0)
    stated = np.sqrt(np.mean([f.se**2 for f in found], axis=0))
    assert stated == pytest.approx(seen, rel=0.15)
    truth = np.mean([f.humans for f in found], axis=0)
    covered = np.mean([(f.low <= truth) & (f.high >= truth) for f in found])
    assert 0.92 <= covered <= 0.98


def test_a_model_that_knows_every_answer_makes_the_sample_as_large_as_the_whole() -> None:
    design = Design(np.random.default_rng(3).uniform(0.5, 2, 1000))
    places = ANSWERS[:1000].copy()
    everybody = Answers.from_places(Q, places, design=design)
    places[100:] = -1
    found = rectify(Answers.from_places(Q, places, design=design), everybody, power=1.0)
    whole = everybody.shares()
    assert found.share == pytest.approx(whole.share[0], abs=1e-12)
    assert found.covariance == pytest.approx(whole.covariance[0], abs=1e-12)


def test_without_power_it_is_the_interviews_alone() -> None:
    found = run("noise", np.random.default_rng(0))
    alone = rectify_alone(0)
    assert alone.share == pytest.approx(alone.humans)
    assert alone.se == pytest.approx(alone.humans_se)
    assert alone.interviews_gained == 0
    assert found.humans == pytest.approx(alone.humans)


def rectify_alone(seed: int):
    chance = np.random.default_rng(seed)
    rows = chance.integers(0, PEOPLE, 1200)
    places = ANSWERS[rows].copy()
    places[200:] = -1
    humans = Answers.from_places(Q, places)
    silicon = Answers(Q, KINDS["noise"][rows], humans.design, np.ones(1200, dtype=bool), MODEL)
    return rectify(humans, silicon, power=0.0)


def test_the_estimate_is_the_printed_formula_by_hand() -> None:
    chance = np.random.default_rng(9)
    w, y, f = chance.uniform(1, 3, 60), ANSWERS[:60], KINDS["fair"][:60]
    design = Design(w)
    places = y.copy()
    places[25:] = -1
    humans = Answers.from_places(Q, places, design=design)
    found = rectify(humans, Answers(Q, f, design, np.ones(60, dtype=bool), MODEL), power=0.6)
    first = np.average(f, axis=0, weights=w)
    second = np.average(np.eye(3)[y[:25]] - 0.6 * f[:25], axis=0, weights=w[:25])
    assert found.share == pytest.approx(0.6 * first + second, abs=1e-14)
    assert found.share.sum() == pytest.approx(1)


def test_other_people_can_stand_for_everyone_and_their_draw_counts() -> None:
    chance = np.random.default_rng(11)

    def once():
        own, others = chance.integers(0, PEOPLE, 200), chance.integers(0, PEOPLE, 800)
        humans = Answers.from_places(Q, ANSWERS[own])
        silicon = Answers(Q, KINDS["good"][own], humans.design, np.ones(200, dtype=bool), MODEL)
        design = Design(np.ones(800))
        return rectify(humans, silicon, Answers(Q, KINDS["good"][others], design, np.ones(800, dtype=bool), MODEL))

    found = [once() for _ in range(500)]
    assert np.sqrt(np.mean([f.se**2 for f in found], axis=0)) == pytest.approx(
        np.std([f.share for f in found], axis=0), rel=0.12
    )
    covered = np.mean([(f.low <= TRUTH) & (f.high >= TRUTH) for f in found])
    assert 0.93 <= covered <= 0.97


def test_what_cannot_be_rectified_is_said() -> None:
    humans = Answers.from_places(Q, [0, 1, 2, -1])
    with pytest.raises(SurveyError, match="same people"):
        rectify(humans, Answers.from_places(Q, [0, 1]))
    with pytest.raises(SurveyError, match=r"1 people answered.*row 2"):
        rectify(humans, Answers.from_places(Q, [0, -1, 2, 2]))
    with pytest.raises(SurveyError, match="other options"):
        rectify(humans, Answers.from_places(ask_for("Which?", ["a", "b"]), [0, 1, 1, 1]))
    with pytest.raises(SurveyError, match="Nobody was interviewed"):
        rectify(Answers.from_places(Q, [-1, -1]), Answers.from_places(Q, [0, 1]))
