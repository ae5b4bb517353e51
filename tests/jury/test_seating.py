"""Juries without a lottery programme: random, by weight, by quota."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from plural_nb.errors import PluralError
from plural_nb.jury.pool import Pool
from plural_nb.jury.quotas import Quotas
from plural_nb.jury.seating import seat_at_random, seat_by_quota, seat_by_weight


@pytest.fixture
def pool() -> Pool:
    return Pool.of(pl.DataFrame({"age": ["old"] * 12 + ["young"] * 8, "town": ["yes", "no"] * 10}))


def test_seats_by_weight_are_taken_as_often_as_the_weights_say(pool: Pool) -> None:
    weight = np.r_[np.full(19, 1.0), 30.0]  # the last has more than a fifth of all weight: a sure seat
    seats = np.zeros(20)
    for seed in range(4_000):
        jury = seat_by_weight(pool, 5, weight, seed=seed)
        assert len(set(jury.ids)) == 5
        seats[jury.seated] += 1
    expected = np.r_[np.full(19, 4 / 19), 1.0]
    assert jury.probability == pytest.approx(expected[jury.seated])
    assert seats / 4_000 == pytest.approx(expected, abs=4.5 * np.sqrt(0.25 / 4_000))


def test_a_random_jury_has_no_favourites(pool: Pool) -> None:
    jury = seat_at_random(pool, 5, seed=2)
    assert len(jury.ids) == 5
    assert jury.probability.tolist() == [0.25] * 5
    assert jury.weight.tolist() == [4.0] * 5
    assert jury.ids == seat_at_random(pool, 5, seed=2).ids


def test_quota_juries_keep_quotas_but_own_up_to_unknown_probabilities(pool: Pool) -> None:
    quotas = Quotas(6, {"age": {"young": 3, "old": 3}, "town": {"yes": (2, 3)}})
    for seed in range(100):
        jury = seat_by_quota(pool, quotas, seed=seed)
        assert quotas.allows(pool, np.bincount(pool.type_of[jury.seated], minlength=pool.counts.size))
    assert np.isnan(jury.probability).all()
    assert jury.table()["weight"].null_count() == 6


def test_bad_seatings_are_refused(pool: Pool) -> None:
    with pytest.raises(PluralError, match="20 people for 21 seats"):
        seat_at_random(pool, 21, seed=0)
    with pytest.raises(PluralError, match="Only 1 people"):
        seat_by_weight(pool, 2, np.r_[1.0, np.zeros(19)], seed=0)
    with pytest.raises(PluralError, match="0 or more"):
        seat_by_weight(pool, 2, np.full(20, -1.0), seed=0)
    with pytest.raises(PluralError, match="smallest change"):
        seat_by_quota(pool, Quotas(6, {"age": {"young": 6, "old": 1}}), seed=0)
