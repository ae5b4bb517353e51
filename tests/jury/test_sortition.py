"""Sortition: fairest lotteries against exhaustive programmes, quotas kept, draws that can be checked."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import optimize

from plural_nb.errors import PluralError
from plural_nb.jury.lottery import check_record
from plural_nb.jury.pool import Pool
from plural_nb.jury.quotas import Quotas
from plural_nb.jury.sortition import smallest_relaxation, sortition


def made_pool(n: int, levels: tuple[int, ...], seed: int) -> Pool:
    rng = np.random.default_rng(seed)
    columns = {}
    for j, count in enumerate(levels):
        shares = rng.dirichlet(np.full(count, 2.0))
        columns[f"f{j}"] = [f"l{v}" for v in rng.choice(count, size=n, p=shares)]
    return Pool.of(pl.DataFrame(columns))


def made_quotas(pool: Pool, size: int, seed: int) -> Quotas:
    rng = np.random.default_rng(seed)
    shares = {}
    for feature, levels in pool.types.items():
        found = sorted(set(levels))
        shares[feature] = dict(zip(found, rng.dirichlet(np.full(len(found), 4.0)), strict=True))
    return smallest_relaxation(pool, Quotas.proportional(size, shares, leeway=1))


def all_juries(pool: Pool, quotas: Quotas) -> np.ndarray:
    """Every composition that keeps the quotas, by plain enumeration."""
    ranges = [range(min(c, quotas.size) + 1) for c in pool.counts]
    sized = (np.array(x) for x in itertools.product(*ranges) if sum(x) == quotas.size)
    return np.array([x for x in sized if quotas.allows(pool, x)])


def exact_maximin(pool: Pool, juries: np.ndarray, floor: np.ndarray | None = None) -> float:
    """The largest smallest probability over all lotteries of `juries`, as one complete linear programme."""
    shares = juries.T / pool.counts[:, None]
    T, P = shares.shape
    free = np.ones(T, dtype=bool) if floor is None else np.isnan(floor)
    found = optimize.linprog(
        np.r_[np.zeros(P), -1.0], A_ub=np.hstack([-shares, free[:, None].astype(float)]),
        b_ub=np.zeros(T) if floor is None else np.where(free, 0.0, -np.nan_to_num(floor) + 1e-9),
        A_eq=np.r_[np.ones(P), 0.0][None, :], b_eq=[1.0], bounds=[(0, None)] * P + [(None, None)],
    )  # fmt: skip
    return float(found.x[-1])


def small_case(seed: int) -> tuple[Pool, Quotas]:
    pool = made_pool(14, (2, 2, 2), seed)
    return pool, made_quotas(pool, 5, seed + 100)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("rule", ["maximin", "leximin"])
def test_smallest_probability_is_the_optimum_over_all_juries(seed: int, rule: str) -> None:
    pool, quotas = small_case(seed)
    best = exact_maximin(pool, all_juries(pool, quotas))
    lottery = sortition(pool, quotas, rule=rule)
    assert lottery.probability.min() == pytest.approx(best, abs=1e-7)
    assert lottery.probability.sum() == pytest.approx(quotas.size, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_leximin_equals_raising_one_type_after_the_other_over_all_juries(seed: int) -> None:
    pool, quotas = small_case(seed)
    juries = all_juries(pool, quotas)
    shares = juries.T / pool.counts[:, None]
    T, P = shares.shape
    floor = np.full(T, np.nan)
    while np.isnan(floor).any():
        value = exact_maximin(pool, juries, floor)
        # A type is held if it cannot rise above the value while the others keep theirs: one programme per type.
        lower = np.where(np.isnan(floor), value, floor) - 1e-8
        for t in np.flatnonzero(np.isnan(floor)):
            top = optimize.linprog(-shares[t], A_ub=-shares, b_ub=-lower, A_eq=np.ones((1, P)), b_eq=[1.0])
            if -top.fun <= value + 1e-6:
                floor[t] = value
    lottery = sortition(pool, quotas)
    assert np.sort(lottery.probability) == pytest.approx(np.sort(floor[pool.type_of]), abs=1e-5)


def some_jury(pool: Pool, quotas: Quotas, rng: np.random.Generator) -> np.ndarray:
    """Counts of types of a jury that keeps the quotas, the best one by random likings."""
    low, high = np.array([row[2:] for row in quotas.rows()], dtype=float).T
    rows = np.vstack([quotas.matrix(pool), np.ones(pool.counts.size)])
    limits = optimize.LinearConstraint(rows, np.r_[low, quotas.size], np.r_[high, quotas.size])
    found = optimize.milp(
        rng.normal(size=pool.counts.size), constraints=limits, integrality=np.ones(pool.counts.size),
        bounds=optimize.Bounds(0, pool.counts),
    )  # fmt: skip
    return np.rint(found.x).astype(np.int64)


def test_leximin_of_a_larger_pool_beats_maximin_and_random_lotteries() -> None:
    pool = made_pool(200, (2, 3, 4, 3), 5)
    quotas = made_quotas(pool, 20, 6)
    maximin = sortition(pool, quotas, rule="maximin").probability
    lottery = sortition(pool, quotas)
    leximin = np.sort(lottery.probability)
    assert leximin[0] >= maximin.min() - 1e-7
    # No mix is lexicographically better, neither of the juries found nor of them with others that keep the quotas:
    # compared where they differ by more than the gap.
    rng = np.random.default_rng(0)
    sharp = rng.dirichlet(np.full(len(lottery.chance), 0.2), size=5_000)
    near = 0.9 * lottery.chance + 0.1 * rng.dirichlet(np.ones(len(lottery.chance)), size=5_000)
    strange = np.array([some_jury(pool, quotas, rng) for _ in range(100)])
    assert all(quotas.allows(pool, counts) for counts in strange)
    lotteries = [chance @ lottery.panels for chance in np.vstack([sharp, near])]
    mixed = rng.dirichlet(np.full(100, 0.2), size=5_000) @ strange
    lotteries += [(1 - t) * lottery.chance @ lottery.panels + t * other for t in (0.02, 0.3) for other in mixed]
    for counts in lotteries:
        other = np.sort((counts / pool.counts)[pool.type_of])
        apart = np.flatnonzero(np.abs(other - leximin) > 1e-6)
        assert apart.size == 0 or other[apart[0]] < leximin[apart[0]]


def test_every_jury_of_a_lottery_keeps_the_quotas_and_draws_match_the_probabilities() -> None:
    pool = made_pool(60, (2, 3, 2), 3)
    quotas = made_quotas(pool, 12, 4)
    lottery = sortition(pool, quotas)
    assert all(quotas.allows(pool, counts) for counts in lottery.panels)
    drawn = lottery.draws(20_000, seed=1)
    assert (drawn.sum(axis=1) == 12).all()
    p = lottery.probability
    error = np.sqrt(np.maximum(p * (1 - p), 1e-12) / 20_000)
    # 60 people: the largest of so many normal deviations stays below 4.5.
    assert (np.abs(drawn.mean(axis=0) - p) / error < 4.5).all()
    for row in drawn[:50]:
        counts = np.bincount(pool.type_of[row], minlength=pool.counts.size)
        assert quotas.allows(pool, counts)


def test_a_public_record_draws_the_same_jury_again_and_a_changed_one_is_caught() -> None:
    pool = made_pool(40, (2, 3), 8)
    lottery = sortition(pool, made_quotas(pool, 8, 9))
    record = json.loads(json.dumps(lottery.record(20261121)))
    assert check_record(record, pool).ids == lottery.draw(20261121).ids
    swapped = {**record, "seated": [*record["seated"][:-1], next(i for i in pool.ids if i not in record["seated"])]}
    with pytest.raises(PluralError, match="other people"):
        check_record(swapped, pool)
    with pytest.raises(PluralError, match="not the pool"):
        check_record(record, made_pool(40, (2, 3), 10))
    broken = [[0] * len(pool.counts), *record["panels"][1:]]
    with pytest.raises(PluralError, match="breaks a quota"):
        check_record({**record, "panels": broken}, pool)


def test_a_published_file_is_checked_and_a_damaged_one_refused_in_words(tmp_path: Path) -> None:
    pool = made_pool(40, (2, 3), 8)
    lottery = sortition(pool, made_quotas(pool, 8, 9))
    path = lottery.save_record(tmp_path / "draw.json", 5)
    assert check_record(path, pool).ids == check_record(str(path), pool).ids == lottery.draw(5).ids
    record = json.loads(path.read_text(encoding="utf-8"))
    for changed, said in (
        ({**record, "chance": [p * 0.9 for p in record["chance"]]}, "sum to 0.9"),
        ({**record, "panels": [row[:-1] for row in record["panels"]]}, "damaged"),
        ({name: value for name, value in record.items() if name != "seed"}, "damaged: KeyError"),
        ({**record, "quotas": [["age"]]}, "damaged"),
    ):
        with pytest.raises(PluralError, match=said):
            check_record(changed, pool)
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(PluralError, match="holds list"):
        check_record(path, pool)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(PluralError, match="not JSON"):
        check_record(path, pool)
    with pytest.raises(PluralError, match="cannot be read"):
        check_record(tmp_path / "none.json", pool)


def test_contradicting_quotas_are_explained_by_the_smallest_change() -> None:
    pool = Pool.of(pl.DataFrame({"age": ["old"] * 8 + ["young"] * 2, "town": ["yes"] * 5 + ["no"] * 5}))
    quotas = Quotas(6, {"age": {"young": (3, 4)}, "town": {"yes": (3, 3)}})
    with pytest.raises(PluralError, match="age = young: 3 to 4 seats becomes 2 to 4 seats"):
        sortition(pool, quotas)
    relaxed = smallest_relaxation(pool, quotas)
    moved = sum(
        abs(a - c) + abs(b - d) for (_, _, a, b), (_, _, c, d) in zip(quotas.rows(), relaxed.rows(), strict=True)
    )
    assert moved == 1
    sortition(pool, relaxed)


def test_people_whom_no_jury_can_seat_have_probability_zero_and_the_sentence_says_so() -> None:
    pool = Pool.of(pl.DataFrame({"age": ["old"] * 5 + ["young"] * 5}))
    lottery = sortition(pool, Quotas(3, {"age": {"young": 0}}))
    assert lottery.probability.tolist() == pytest.approx([0.6] * 5 + [0.0] * 5)
    assert "leave 5 people no chance" in lottery.sentence()


def test_design_weights_are_inverse_probabilities_times_entry_where_known() -> None:
    frame = pl.DataFrame({"age": ["old"] * 6 + ["young"] * 3, "asked": [0.5] * 6 + [0.25] * 3})
    jury = sortition(Pool.of(frame, entry="asked"), Quotas(4, {"age": {"young": 2}})).draw(3)
    table = jury.table()
    expected = {"old": (1 / 3, 6.0), "young": (2 / 3, 6.0)}
    for age, probability, weight in table.select("age", "probability", "weight").iter_rows():
        assert (probability, weight) == pytest.approx(expected[age])
    unknown = sortition(Pool.of(frame.drop("asked")), Quotas(4, {"age": {"young": 2}})).draw(3)
    assert "pool" in unknown.note
    assert jury.note == ""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Pool.of(pl.DataFrame({"id": ["a", "a"], "age": ["x", "y"]}), id="id"), "have the id 'a'"),
        (lambda: Pool.of(pl.DataFrame({"age": []}, schema={"age": pl.String})), "empty"),
        (lambda: Pool.of(pl.DataFrame({"age": ["x"]}), id="agee"), "'agee'.*age"),
        (lambda: Pool.of(pl.DataFrame({"a": ["x"], "p": [1.5]}), entry="p"), "above 0 and at most 1"),
        (lambda: Quotas(0, {}), "1 seat or more"),
        (lambda: Quotas(3, {"age": {"x": (2, 1)}}), "not above the second"),
        (lambda: Quotas.proportional(3, {"age": {"x": 0.4, "y": 0.4}}), "sum to 0.8"),
    ],
)
def test_bad_pools_and_quotas_are_refused_in_words(make, message: str) -> None:
    with pytest.raises(PluralError, match=message):
        make()


def test_unknown_features_levels_and_rules_name_the_nearest() -> None:
    pool = Pool.of(pl.DataFrame({"gender": ["woman", "man"] * 5}))
    with pytest.raises(PluralError, match="gender"):
        sortition(pool, Quotas(2, {"gendre": {"woman": 1}}))
    with pytest.raises(PluralError, match="woman"):
        sortition(pool, Quotas(2, {"gender": {"women": 1}}))
    with pytest.raises(PluralError, match="leximin"):
        sortition(pool, Quotas(2, {}), rule="leximim")
    with pytest.raises(PluralError, match="10 people for 11 seats"):
        sortition(pool, Quotas(11, {}))
