"""Who sits on the jury: amplified groups, and the nearest jury that decides otherwise."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plural_nb.errors import PluralError
from plural_nb.jury.composition import amplify, reversing
from plural_nb.jury.sweep import winners
from plural_nb.jury.utilities import Utilities


def made_jury(seed: int, n: int = 60, C: int = 4, G: int = 3) -> Utilities:
    rng = np.random.default_rng(seed)
    group = rng.integers(0, G, n)
    taste = rng.uniform(1, 9, (G, C))
    values = np.clip(taste[group] + rng.normal(0, 1, (n, C)), 0.5, 10)
    traits = pl.DataFrame({"region": [f"r{g}" for g in group]})
    names = tuple("ABCDEFG"[:C])
    return Utilities(values, names, rng.uniform(0.5, 2, n), traits=traits)


def winner_at(jury: Utilities, shares: np.ndarray, alpha: float) -> tuple[str, ...]:
    """By plain formula: weights set so that each group has its share, then the power mean."""
    groups = jury.groups("region")
    w = jury.weight.copy()
    for g, share in enumerate(shares):
        inside = groups.codes == g
        w[inside] *= share / w[inside].sum()
    kept = w > 0
    u, w = jury.values[kept], w[kept] / w[kept].sum()
    if np.isinf(alpha):
        value = u.min(axis=0)
    elif alpha == 1:
        value = np.exp(w @ np.log(u))
    else:
        value = (w @ u ** (1 - alpha)) ** (1 / (1 - alpha))
    return tuple(np.array(jury.candidates)[np.isclose(value, value.max(), rtol=1e-12)])


@pytest.mark.parametrize("alpha", [0, 0.5, 1, 3, np.inf])
@pytest.mark.parametrize("seed", range(4))
def test_no_jury_of_whole_seats_is_nearer_than_the_one_found(seed: int, alpha: float) -> None:
    jury, seats = made_jury(seed), 9
    before = np.array([jury.weight[jury.groups("region").codes == g].sum() for g in range(3)])
    before /= before.sum()
    nearest: dict[str, float] = {}
    for counts in itertools.product(range(seats + 1), repeat=3):
        if sum(counts) != seats:
            continue
        shares = np.array(counts) / seats
        won = winner_at(jury, shares, alpha)
        if len(won) == 1:
            changed = np.abs(shares - before).sum() / 2
            nearest[won[0]] = min(nearest.get(won[0], 9.0), changed)
    for name, found in reversing(jury, "region", alpha=alpha, seats=seats).items():
        if found is None:
            assert name not in nearest
        else:
            assert found.winner_after == (name,)
            assert winner_at(jury, found.after, alpha) == (name,)
            assert np.rint(found.after * seats).sum() == seats
            assert found.changed == pytest.approx(nearest[name])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.7, 1.0, 2.5]))
def test_nearest_shares_reverse_and_slightly_smaller_moves_do_not(seed: int, alpha: float) -> None:
    jury = made_jury(seed)
    for name, found in reversing(jury, "region", alpha=alpha).items():
        if found is None:
            continue
        assert winner_at(jury, found.after, alpha)[0] == name or name in winners(found.utilities, [alpha])[0]
        short = found.before + 0.99 * (found.after - found.before)
        assert winner_at(jury, short, alpha) != (name,)


def test_amplified_groups_hold_their_share_and_the_rest_keep_their_proportions() -> None:
    jury = made_jury(1)
    found = amplify(jury, "region", {"r0": 0.5}, alpha=1)
    assert found.after[0] == pytest.approx(0.5)
    assert found.after[1] / found.after[2] == pytest.approx(found.before[1] / found.before[2])
    assert found.winner_after == winner_at(jury, found.after, 1)
    weight = found.utilities.share
    codes = jury.groups("region").codes
    assert [weight[codes == g].sum() for g in range(3)] == pytest.approx(found.after.tolist())


def test_a_candidate_that_everyone_likes_less_never_wins() -> None:
    jury = Utilities.of({"A": [5, 6], "B": [4, 5]}, traits=pl.DataFrame({"age": ["old", "young"]}))
    for alpha in (0, 1, 4, np.inf):
        assert reversing(jury, "age", alpha=alpha) == {"B": None}


def test_a_tie_is_no_reversal() -> None:
    traits = pl.DataFrame({"age": ["old", "old", "young"]})
    jury = Utilities.of({"A": [2, 2, 1], "B": [1, 1, 2]}, traits=traits)
    found = reversing(jury, "age", seats=4)["B"]
    assert found.winner_after == ("B",)
    assert (found.after * 4).tolist() == [1, 3]


def test_people_off_the_jury_need_no_ratings_and_the_undecided_do_not_crash() -> None:
    traits = pl.DataFrame({"age": ["old", "young", "young"]})
    jury = Utilities.of({"A": [5, 1, None], "B": [4, 7, None]}, [1, 1, 0], traits=traits)
    assert reversing(jury, "age")["A"].winner_after == ("A",)
    silent = Utilities.of({"A": [5, None], "B": [4, None]}, [0, 1], traits=traits[:2])
    assert "nobody wins" in amplify(silent, "age", {"young": 1.0}).sentence()
    zeros = Utilities.of({"A": [0, 0], "B": [0, 1]}, traits=traits[:2])
    assert reversing(zeros, "age", alpha=0.5) == {"A": None}


def test_bad_compositions_are_refused_in_words() -> None:
    traits = pl.DataFrame({"age": ["old", "young", None]})
    jury = Utilities.of({"A": [5, 6, 1], "B": [4, 7, 0]}, traits=traits)
    with pytest.raises(PluralError, match="young"):
        amplify(jury, "age", {"yuong": 0.5})
    with pytest.raises(PluralError, match=r"sum to 1\.2"):
        amplify(jury, "age", {"young": 0.7, "old": 0.5})
    with pytest.raises(PluralError, match="between 0 and 1"):
        amplify(jury, "age", {"young": 1.5})
    with pytest.raises(PluralError, match="one α"):
        reversing(jury, "age", alpha=[0, 1])
    with pytest.raises(PluralError, match="whole number of seats"):
        reversing(jury, "age", seats=2.5)
    with pytest.raises(PluralError, match="completed"):
        reversing(Utilities.of({"A": [1, None]}, traits=traits[:2]), "age")
    with pytest.raises(PluralError, match="scale first"):
        reversing(Utilities.of({"A": [1, 0], "B": [2, 1]}, traits=traits[:2]), "age", alpha=1)
    assert any(
        "1 juror without 'age' is left out" in note for note in amplify(jury, "age", {"old": 0.4}).utilities.notes
    )
