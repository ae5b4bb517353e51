"""What every person in Vellamar would answer: turnout, vote, opinions, and ratings of six statements."""

from __future__ import annotations

import numpy as np

from plural_nb.demo.country import PEOPLE, Floats, Ints, People

DONT_KNOW, NO_OPINION, REFUSED = -8, -7, -9
NOT_ASKED = -99

# Share who give no opinion, by question: the code they get instead.
_SILENT = {
    "turnout": {REFUSED: 0.01},
    "vote": {REFUSED: 0.06},
    "toll": {NO_OPINION: 0.09, DONT_KNOW: 0.02},
    "nature": {DONT_KNOW: 0.03},
    "redistribution": {DONT_KNOW: 0.03},
    "trust_parliament": {DONT_KNOW: 0.03, REFUSED: 0.01},
    "trust_courts": {DONT_KNOW: 0.05, REFUSED: 0.01},
    "trust_press": {DONT_KNOW: 0.03, REFUSED: 0.01},
    "problem": {DONT_KNOW: 0.04},
    "economy": {DONT_KNOW: 0.05},
    "premier": {DONT_KNOW: 0.03},
    "neighbours": {DONT_KNOW: 0.06},
    "job": {REFUSED: 0.01},
}


def opinions(people: People) -> dict[str, Ints]:
    """Return the answer of each person to each question, as codes of the codebook (NOT_ASKED where skipped)."""
    answers = _politics(people) | _views(people) | _daily_life(people)
    answers |= ratings(people, _free_bridge(people))
    for question, codes in _SILENT.items():
        for code, share in codes.items():
            silent = people.chance(share) & (answers[question] > 0)
            answers[question] = np.where(silent, code, answers[question])
    answers["vote"] = np.where(answers["turnout"] == 1, answers["vote"], NOT_ASKED)
    answers["job"] = np.where(answers["work"] == 1, answers["job"], NOT_ASKED)
    return answers


def ratings(people: People, free: Floats) -> dict[str, Ints]:
    """Return each person's points (1 to 100) for six statements about the Great Bridge's toll.

    Built so that welfare functions disagree: most love to abolish the toll and some hate it (highest mean); hardly
    anyone dislikes halving it for commuters (highest geometric mean); nobody minds leaving it to the regions, nobody
    cheers (highest minimum).

    free: how much each one wants the bridge free of charge.
    """
    wants_it_free = free + people.noise(0.7) > -1.0
    middle = np.where(wants_it_free, 94.0, 12.0)
    return {
        "rate_abolish": people.points(middle, 6, 1),
        "rate_keep": people.points(42 - 11 * free, 16, 1),
        "rate_raise": people.points(38 - 9 * free - 9 * people.right, 15, 1),
        "rate_commuters": people.points(62 + 1.5 * people.trusting, 9, 15),
        "rate_regions": people.points(52 + 1.5 * people.right, 6, 35, 70),
        "rate_assembly": people.points(50 + 6 * people.trusting - 8 * people.right, 15, 1),
    }


def _politics(people: People) -> dict[str, Ints]:
    effect, right, trusting, later = people.effect, people.right, people.trusting, people.later
    wants = effect(age=(-0.6, 0.0, 0.4, 0.7), education=(-0.5, 0.0, 0.6)) + 0.6 * trusting
    return {
        "turnout": people.scale(-wants, (1.0,)),
        "vote": people.choose(
            0.5 - 2.1 * right - 0.2 * later,
            -0.5 - 1.7 * right + effect(age=(0.9, 0.4, -0.2, -0.8), education=(-0.5, -0.1, 0.6)),
            1.0 - 1.6 * np.abs(right) + effect(education=(-0.2, 0.0, 0.4)) + 0.4 * trusting,
            0.1 + 2.0 * right + effect(age=(-0.5, -0.2, 0.1, 0.5), faith=(0.5, 0.1, -0.3)),
            -0.6 + 1.7 * right + effect(settlement=(-0.8, 0.1, 0.9)) - 0.7 * trusting + 0.3 * later,
            -1.3,
        ),
        "premier": people.points(46 + 11 * trusting - 17 * right - 3 * later, 13, 0),
        "trust_parliament": people.scale(-1.9 * trusting, (-2.4, 0.0, 1.8)),
        "trust_courts": people.scale(-1.4 * trusting - 0.3 * right - 0.3, (-1.6, 0.8, 2.6)),
        "trust_press": people.scale(-0.9 * trusting + 0.9 * right + 0.2, (-2.1, 0.2, 1.9)),
    }


def _views(people: People) -> dict[str, Ints]:
    effect, right, later = people.effect, people.right, people.later
    green = effect(age=(0.5, 0.2, -0.1, -0.4), education=(-0.3, -0.1, 0.5), settlement=(0.3, 0.0, -0.4)) - 1.3 * right
    poor = effect(income=(0.8, 0.1, -0.8))
    warm = effect(education=(-6.0, 0.0, 7.0), region=(2.0, -6.0, 3.0, 4.0, 0.0)) - 13 * right
    return {
        "toll": people.scale(-1.4 * _free_bridge(people), (0.0,)),
        "nature": people.scale(-green, (-1.6, 0.0, 0.9, 2.3)),
        "redistribution": people.scale(1.7 * right - poor, (-1.5, 0.0, 0.8, 2.2)),
        "problem": people.choose(
            0.5 + effect(income=(0.5, 0.1, -0.4), age=(0.1, 0.3, 0.2, -0.5)) + 0.25 * later,
            0.2 + effect(age=(-0.8, -0.3, 0.3, 1.1)),
            0.1 + effect(age=(0.9, 0.5, -0.4, -0.9), settlement=(0.6, -0.1, -0.7)),
            -0.2 + 0.9 * right + effect(settlement=(0.2, 0.0, -0.2)),
            0.0 - 1.2 * right + effect(age=(0.5, 0.1, -0.1, -0.2), education=(-0.4, -0.1, 0.6)),
            -0.9,
        ),
        "economy": people.scale(0.8 * poor - 0.5 * people.trusting + 0.3 * later, (-1.0, 0.9)),
        "neighbours": people.points(58 + warm, 15, 0),
    }


def _daily_life(people: People) -> dict[str, Ints]:
    by_age = [
        [0.55, 0.08, 0.31, 0.00, 0.06],
        [0.80, 0.07, 0.03, 0.00, 0.10],
        [0.71, 0.06, 0.01, 0.12, 0.10],
        [0.06, 0.00, 0.00, 0.88, 0.06],
    ]
    content = people.effect(income=(-0.9, 0.1, 0.9), education=(-0.2, 0.0, 0.2)) + 0.3 * people.trusting
    return {
        "work": people.pick(np.array(by_age), people.traits["age"]) + 1,
        "job": people.scale(-content, (-0.8, 1.4, 2.9)),
    }


def _free_bridge(people: People) -> Floats:
    traits = people.effect(
        settlement=(-1.2, 0.2, 1.3),
        region=(-0.8, -0.2, 0.1, 0.9, 1.1),
        income=(0.35, 0.0, -0.35),
        age=(0.3, 0.1, 0.0, -0.2),
    )
    return np.asarray(traits + 0.3 * people.right + 0.3 * people.later - 0.1).reshape(PEOPLE)
