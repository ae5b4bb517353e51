"""Steering: distances to every group with and without, towards whom, how far, and stereotypes."""

from __future__ import annotations

import numpy as np
import pytest

import plural_nb as pnb
from plural_nb.answers import Answers, Source
from plural_nb.comparison.distances import js_distance
from plural_nb.demo.corpus import Respondents
from plural_nb.errors import PluralError
from plural_nb.personas.personas import Personas
from plural_nb.personas.steering import OWN_VOICE, steering
from plural_nb.survey.design import Design
from plural_nb.survey.question import ask_for

QUESTION = ask_for("Toll?", ["Abolish", "Keep", "Unsure"], key="toll")
PEOPLE = {"north": [0.7, 0.2, 0.1], "south": [0.2, 0.7, 0.1]}


def people(n: int = 4000, seed: int = 0) -> tuple[Answers, list[str]]:
    rng = np.random.default_rng(seed)
    by = ["north"] * n + ["south"] * n
    places = np.concatenate([rng.choice(3, n, p=PEOPLE[name]) for name in ("north", "south")])
    return Answers.from_places(QUESTION, places), by


def model(rows: list[list[float]]) -> Answers:
    n = len(rows)
    return Answers(QUESTION, np.array(rows), Design(np.ones(n)), np.ones(n, dtype=bool), Source("personas", "m"))


def own_voice(row: list[float]) -> Answers:
    return Answers(QUESTION, np.array([row]), Design(np.ones(1)), np.ones(1, dtype=bool), Source("model", "m"))


def steered(north: list[float], south: list[float], voice: list[float], n: int = 4000):
    humans, by = people(n)
    return steering(
        {"toll": humans}, {"toll": model([north, south])}, by=by, silicon_by=["north", "south"],
        default={"toll": own_voice(voice)},
    )  # fmt: skip


def test_every_cell_is_the_distance_between_shares_and_its_interval_holds_the_truth() -> None:
    found = steered([0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.4, 0.4, 0.2])
    humans, by = people()
    shares = {name: humans.within(np.array(by) == name).shares().share[0] for name in PEOPLE}
    rows = {"north": [0.6, 0.3, 0.1], "south": [0.3, 0.6, 0.1], OWN_VOICE: [0.4, 0.4, 0.2]}
    for cell in found.matrix.iter_rows(named=True):
        expected = float(js_distance(shares[cell["target"]], rows[cell["steered"]]))
        assert cell["js_distance"] == pytest.approx(expected, rel=1e-9)
        truth = float(js_distance(PEOPLE[cell["target"]], rows[cell["steered"]]))
        assert cell["low"] <= truth <= cell["high"]
        # What the full comparison says of this cell.
        assert found.pair(cell["target"], cell["steered"], "toll").distances["js_distance"] == pytest.approx(expected)


def test_a_model_that_arrives_reaches_one_and_half_way_is_under_steering() -> None:
    voice = [0.4, 0.4, 0.2]
    way = {name: [v + 0.5 * (p - v) for p, v in zip(share, voice, strict=True)] for name, share in PEOPLE.items()}
    for north, south, reach in (
        (PEOPLE["north"], PEOPLE["south"], 1.0),
        (way["north"], way["south"], 0.5),
        (voice, voice, 0.0),
    ):
        moves = steered(north, south, voice).moves
        assert moves["reach"].to_list() == pytest.approx([reach, reach], abs=0.06)
    assert (moves["low"] <= 0).all()  # the unmoved: no gain that excludes zero
    assert (moves["high"] >= 0).all()


def test_moving_everybody_alike_is_a_gain_but_not_towards_the_group() -> None:
    found = steered([0.45, 0.45, 0.1], [0.45, 0.45, 0.1], [0.2, 0.2, 0.6])
    assert (found.moves["low"] > 0).all()
    assert (found.moves["towards_low"] < 0).all()
    assert "no move towards them" in found.sentence()
    assert steered(PEOPLE["north"], PEOPLE["south"], [0.2, 0.2, 0.6]).sentence().startswith("Over 1 question, speaking")


def test_exaggerated_differences_between_groups_are_stereotyping() -> None:
    middle = [0.45, 0.45, 0.1]
    exaggerated = {
        name: [m + 1.4 * (p - m) for p, m in zip(share, middle, strict=True)] for name, share in PEOPLE.items()
    }
    row = steered(exaggerated["north"], exaggerated["south"], middle).stereotyping().row(0, named=True)
    assert row["ratio"] == pytest.approx(1.96, rel=0.1)
    assert 1 < row["low"] < 1.96 < row["high"]
    assert row["humans"] == pytest.approx(0.125, rel=0.1)
    fair = steered(PEOPLE["north"], PEOPLE["south"], middle).stereotyping().row(0, named=True)
    assert fair["low"] < 1 < fair["high"]


def test_bad_steering_is_refused_in_words() -> None:
    humans, by = people(50)
    two = model([PEOPLE["north"], PEOPLE["south"]])
    with pytest.raises(PluralError, match="silicon_by"):
        steering({"toll": humans}, {"toll": two}, by=by)
    with pytest.raises(PluralError, match="no answers to 'toll'"):
        steering({"toll": humans}, {"tolll": two}, by=by, silicon_by=["north", "south"])
    with pytest.raises(PluralError, match="nominal"):
        steering(
            {"toll": humans}, {"toll": two}, by=by, silicon_by=["north", "south"], measure="wasserstein_normalised"
        )
    with pytest.raises(PluralError, match="js_distance"):
        steering({"toll": humans}, {"toll": two}, by=by, silicon_by=["north", "south"], measure="js")
    without = steering({"toll": humans}, {"toll": two}, by=by, silicon_by=["north", "south"])
    with pytest.raises(PluralError, match="own voice was not asked"):
        _ = without.moves


def test_the_demo_model_is_steered_towards_parties_of_people_it_never_saw() -> None:
    """Leaners count with the party they lean to; Independents are too few to tell, and are not asserted."""
    survey = pnb.load_survey("anes96")
    held_out = Respondents.of("anes96").held_out
    codes = survey.groups("party").codes
    side = ("Democrats",) * 3 + ("Independents",) + ("Republicans",) * 3
    by = [None if c < 0 else side[c] for c in codes]
    personas = Personas.from_survey(survey, "first_person", ["party"], leak="keep").within(held_out)
    humans = survey.answers("vote").within(held_out)
    with pnb.open_model("plural-demo-base") as demo:
        silicon = demo.ask(survey.questions["vote"], people=personas)
        voice = demo.ask(survey.questions["vote"])
    moves = steering({"vote": humans}, {"vote": silicon}, by=by, default={"vote": voice}).moves
    rows = {row["group"]: row for row in moves.iter_rows(named=True)}
    for group in ("Democrats", "Republicans"):
        assert rows[group]["steered"] < rows[group]["own_voice"]
        assert rows[group]["low"] > 0
        assert rows[group]["towards_low"] > 0
