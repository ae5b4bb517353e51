"""Vellamar, a country that does not exist: its municipalities and its people, with their traits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WAVES = (2019, 2021, 2023)
PEOPLE = 150_000
STRATA = 15

# Share of the people in each region, and of each region's people in cities, towns and villages.
_REGION = np.array([0.34, 0.18, 0.22, 0.18, 0.08])
_SETTLEMENT = np.array(
    [[0.70, 0.22, 0.08], [0.25, 0.40, 0.35], [0.30, 0.40, 0.30], [0.35, 0.35, 0.30], [0.12, 0.33, 0.55]]
)
_AGE = np.array([[0.24, 0.28, 0.31, 0.17], [0.18, 0.25, 0.34, 0.23], [0.14, 0.22, 0.36, 0.28]])
_EDUCATION = np.array(
    [
        [[0.12, 0.44, 0.44], [0.12, 0.42, 0.46], [0.20, 0.48, 0.32], [0.34, 0.46, 0.20]],
        [[0.18, 0.52, 0.30], [0.18, 0.52, 0.30], [0.28, 0.52, 0.20], [0.44, 0.44, 0.12]],
        [[0.24, 0.56, 0.20], [0.24, 0.56, 0.20], [0.36, 0.50, 0.14], [0.54, 0.38, 0.08]],
    ]
)
_FAITH = np.array([[0.12, 0.34, 0.54], [0.15, 0.38, 0.47], [0.22, 0.42, 0.36], [0.36, 0.40, 0.24]])
_INCOME = np.array([[0.52, 0.32, 0.16], [0.32, 0.38, 0.30], [0.16, 0.30, 0.54]])
_SEED = 19_961_105


@dataclass(frozen=True, slots=True, eq=False)
class Municipalities:
    """The municipalities that a sample is clustered in: stratum (region by settlement, 0..14) and character.

    share: of the country's people. mood: how far its people lean to the right beyond what their traits explain.
    """

    stratum: Ints
    share: Floats
    mood: Floats


class People:
    """Everyone in Vellamar in one wave; traits as places 0..K-1, and the two attitudes that answers come from.

    stratum, municipality: where each one lives. adults: grown-ups in the household, of whom a survey asks one.
    right: left to right. trusting: in institutions. later: waves since the first one.

    Numbers come from numpy's legacy generator, whose stream is frozen, so every version of numpy makes the same
    country.
    """

    def __init__(self, wave: int) -> None:
        self.draw = np.random.RandomState(_SEED + wave)
        self.later = WAVES.index(wave)
        place = municipalities()
        self.municipality = self.pick(place.share)
        self.stratum = place.stratum[self.municipality]
        settlement = self.stratum % 3
        age = self.pick(_AGE, settlement)
        education = self.pick(_EDUCATION, settlement, age)
        self.adults = 1 + self.pick(np.array([0.34, 0.50, 0.16]))
        self.traits = {
            "age": age,
            "gender": self.pick(np.array([0.515, 0.485])),
            "education": education,
            "region": self.stratum // 3,
            "settlement": settlement,
            "faith": self.pick(_FAITH, age),
            "income": self.pick(_INCOME, education),
        }
        self.right = self.effect(
            region=(-0.3, 0.1, 0.2, -0.1, 0.4),
            settlement=(-0.35, 0.0, 0.4),
            age=(-0.4, -0.1, 0.1, 0.4),
            education=(0.1, 0.2, -0.35),
            faith=(0.7, 0.1, -0.45),
            income=(-0.35, 0.0, 0.4),
            gender=(-0.1, 0.1),
        )
        self.right += place.mood[self.municipality] + self.noise(0.9)
        self.trusting = self.effect(
            age=(-0.2, -0.1, 0.1, 0.3),
            education=(-0.5, 0.0, 0.5),
            income=(-0.4, 0.0, 0.4),
            settlement=(0.25, 0.0, -0.3),
            region=(0.3, 0.0, 0.0, -0.2, -0.4),
        )
        self.trusting += self.noise(0.8) - 0.3 * self.later
        self.traits["leaning"] = np.digitize(self.right + self.noise(0.4), [-0.55, 0.5])

    def effect(self, **by_level: tuple[float, ...]) -> Floats:
        """Return the sum of the effects of each one's levels, trait by trait."""
        total = np.zeros(PEOPLE)
        for trait, levels in by_level.items():
            total += np.array(levels)[self.traits[trait]]
        return total

    def noise(self, spread: float) -> Floats:
        """Return normal noise with this standard deviation."""
        return spread * self.draw.standard_normal(PEOPLE)

    def chance(self, share: float) -> npt.NDArray[np.bool_]:
        """Return True for a random share of the people."""
        return self.draw.random_sample(PEOPLE) < share

    def pick(self, table: Floats, *by: Ints) -> Ints:
        """Draw a place 0..K-1 for each, with the odds that `table` (…, K) holds for their levels in `by`."""
        odds = table[by] if by else table[None, :]
        upto = np.cumsum(odds, axis=1)
        thrown = self.draw.random_sample(PEOPLE)[:, None] * upto[:, -1:]
        if len(upto) == 1:
            return np.searchsorted(upto[0], thrown[:, 0], side="right").astype(np.int64)
        return np.asarray((thrown >= upto).sum(axis=1), dtype=np.int64)

    def scale(self, lean: Floats, cuts: tuple[float, ...]) -> Ints:
        """Draw a code 1..K of an ordinal scale: `lean` with logistic noise, cut at K-1 points (ordered logit)."""
        return np.asarray(np.digitize(lean + self.draw.logistic(size=PEOPLE), np.array(cuts)) + 1, dtype=np.int64)

    def choose(self, *utilities: Floats | float) -> Ints:
        """Draw a code 1..K with odds exp(utility) (multinomial logit)."""
        odds = np.exp(np.stack([np.broadcast_to(np.asarray(u, dtype=np.float64), PEOPLE) for u in utilities], axis=1))
        return self.pick(odds, np.arange(PEOPLE)) + 1

    def points(self, middle: Floats | float, spread: float, low: int, high: int = 100) -> Ints:
        """Draw whole numbers around `middle`, moved to the nearer end where they fall outside low..high."""
        return np.asarray(np.clip(np.round(middle + self.noise(spread)), low, high), dtype=np.int64)


def municipalities() -> Municipalities:
    """Return the municipalities, the same in every wave: at least 10 in each of the 15 strata."""
    draw = np.random.RandomState(_SEED)
    stratum_share = (_REGION[:, None] * _SETTLEMENT).ravel()
    counts = np.maximum(10, np.round(stratum_share * 300)).astype(np.int64)
    stratum = np.repeat(np.arange(STRATA), counts)
    size = 0.5 + draw.random_sample(stratum.size)
    share = size * (stratum_share / np.bincount(stratum, weights=size))[stratum]
    return Municipalities(stratum, share, 0.25 * draw.standard_normal(stratum.size))
