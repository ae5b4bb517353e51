"""A majority can leave a group with nothing, and a few fanatics can turn a decision round: both are shown."""

from itertools import combinations
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest

from plural_nb import Design, PluralError
from plural_nb.jury.decision import decide
from plural_nb.jury.fanatics import fanatics
from plural_nb.jury.groups import group_switches, groups_at
from plural_nb.jury.scaling import scaled, winners_by_scaling
from plural_nb.jury.sweep import sweep, winners
from plural_nb.jury.switches import switches
from plural_nb.jury.utilities import Utilities
from plural_nb.jury.welfare import welfare

TOWNS = pl.DataFrame({"town": ["North"] * 6 + ["South"] * 3 + ["East"]})


@pytest.fixture
def jury():
    ratings = {"Bold": [9.0] * 6 + [1.0] * 3 + [5.0], "Mild": [5.0] * 10, "South's": [2.0] * 6 + [9.0] * 3 + [1.0]}
    return Utilities.of(ratings, traits=TOWNS)


def test_the_majority_wins_until_alpha_listens_to_the_worst_off(jury):
    rows = groups_at(jury, "town", [0, np.inf]).rows(named=True)
    utilitarian, rawlsian = rows[:3], rows[3:]
    assert {row["winner"] for row in utilitarian} == {"Bold"}
    assert {row["winner"] for row in rawlsian} == {"Mild"}
    south = next(row for row in utilitarian if row["group"] == "South")
    assert (south["worst_off"], south["welfare"], south["own_winner"], south["own_welfare"]) == (True, 1, "South's", 9)
    assert (south["first"], south["last"]) == (0, 1)
    assert [row["group"] for row in utilitarian if row["worst_off"]] == ["South"]


def test_a_group_without_weight_has_nulls_and_the_others_stand(jury):
    rows = groups_at(jury.weighted([1.0] * 6 + [0.0] * 3 + [1.0]), "town", [0, 1]).rows(named=True)
    south = [row for row in rows if row["group"] == "South"]
    assert [(row["n"], row["welfare"], row["own_winner"]) for row in south] == [(0, None, None)] * 2
    assert sum(bool(row["worst_off"]) for row in rows) == 2
    assert set(group_switches(jury.weighted([1.0] * 6 + [0.0] * 3 + [1.0]), "town")) == {"North", "East"}


def test_groups_have_winners_of_their_own(jury):
    found = group_switches(jury, "town")
    assert {name: s.first for name, s in found.items()} == {
        "East": ("Bold", "Mild"), "North": ("Bold",), "South": ("South's",)
    }  # fmt: skip


def flipped_by_hand(u, w, alpha, low, high):
    """The smallest number of jurors who, changed to the extremes for some rival, put it above the winner."""
    C = u.shape[1]
    before = welfare(u, alpha, weight=w)
    c = int(np.argmax(before))
    for size in range(1, len(u) + 1):
        for who in combinations(range(len(u)), size):
            for d in set(range(C)) - {c}:
                v = u.copy()
                v[list(who), c], v[list(who), d] = low, high
                after = welfare(v, alpha, weight=w)
                if after[d] > after[c] * (1 + 1e-12):
                    return size
    return None


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0, 20.0])
def test_fanatics_equal_the_smallest_set_by_brute_force(alpha):
    for seed in range(6):
        random = np.random.default_rng(seed)
        u, w = random.uniform(1, 10, (6, 3)), random.uniform(0.5, 2, 6)
        row = fanatics(Utilities.of(u, w), alpha, scale=(0.5, 11)).row(0, named=True)
        assert row["jurors"] == flipped_by_hand(u, w, alpha, 0.5, 11)


@pytest.mark.parametrize("alpha", [1.0, 2.0, np.inf])
@pytest.mark.parametrize("low", [0, 1])
def test_fanatics_who_only_draw_level_at_the_bottom_may_be_enough(alpha, low):
    for seed in range(40):
        u = np.random.default_rng(seed).integers(low, 5, (5, 3)).astype(float)
        row = fanatics(Utilities.of(u), alpha, scale=(low, 5)).row(0, named=True)
        before = winners(Utilities.of(u), [alpha])[0]
        c = "ABC".index(before[0])
        rivals = [d for d in range(3) if "ABC"[d] not in before]

        def flips(who, d, u=u, c=c):
            v = u.copy()
            v[list(who), c], v[list(who), d] = low, 5
            return winners(Utilities.of(v[:, [c, d]]), [alpha])[0] == ("B",)

        sizes = [k for k in range(1, 6) for who in combinations(range(5), k) for d in rivals if flips(who, d)]
        assert row["jurors"] == min(sizes, default=None)


def test_a_zero_on_the_scale_is_a_veto():
    many = Utilities.of({"Park": [9.0] * 99 + [8.0], "Road": [5.0] * 100})
    table = fanatics(many, [0, 1, np.inf], scale=(0, 10))
    assert table["jurors"].to_list() == [29, 1, 1]
    assert table["share"][1] == pytest.approx(0.01)


def test_fanatics_say_what_is_wrong():
    with pytest.raises(PluralError, match="no scale"):
        fanatics(Utilities.of([[3.0, 3.0]]))
    with pytest.raises(PluralError, match="beyond the scale"):
        fanatics(Utilities.of([[3.0, 4.0]]), scale=(1, 3.5))


def test_range_and_rank_go_from_epsilon_to_one_and_z_has_mean_0_and_sd_1():
    u = np.random.default_rng(1).integers(0, 50, (20, 5)).astype(float)
    u[0, 1] = np.nan
    jury = Utilities.of(u)
    for scaling in ("range", "rank"):
        v = scaled(jury, scaling, epsilon=0.05).values
        assert np.nanmin(v, axis=1) == pytest.approx([0.05] * 20)
        assert np.nanmax(v, axis=1) == pytest.approx([1.0] * 20)
    z = scaled(jury, "z").values
    assert np.nanmean(z, axis=1) == pytest.approx([0] * 20, abs=1e-12)
    assert np.nanstd(z, axis=1) == pytest.approx([1] * 20)
    assert scaled(Utilities.of([[5.0, 5.0, 9.0, 1.0]]), "rank", epsilon=0).values.tolist() == [[0.5, 0.5, 1.0, 0.0]]


def test_a_juror_who_rates_all_alike_stands_in_the_middle_and_is_counted():
    jury = scaled(Utilities.of([[5.0, 5.0], [1.0, 2.0]]), "range", epsilon=0.1)
    assert jury.values[0].tolist() == [0.55, 0.55]
    assert any("1 juror rated everything alike" in note for note in jury.about())


def test_the_winner_against_scaling_and_epsilon_is_one_table():
    table = winners_by_scaling(Utilities.of({"A": [9.0, 1, 2], "B": [3.0, 2, 3]}), [0, 1])
    assert table.height == 2 + 3 * 3 * 2
    assert set(table["winner"]) >= {"A", "B"}


def test_missing_ratings_can_be_estimated_by_group_and_it_is_said():
    jury = Utilities.of({"A": [4.0, None, 9.0, None]}, [1, 1, 2, 1], traits=pl.DataFrame({"g": ["x", "x", "y", "z"]}))
    filled = jury.completed("g")
    assert filled.values[:3, 0].tolist() == [4, 4, 9]
    assert np.isnan(filled.values[3, 0])
    assert filled.about()[0] == "1 missing rating was estimated by the mean of their group (g)"


def test_notes_count_those_who_sit_on_the_jury_not_the_rest_of_the_sample():
    given = Utilities.of({"A": [4.0, None, None, 2.0], "B": [1.0, 2.0, None, 3.0]}, design=Design(np.ones(4)))
    jury = given.within([True, True, False, True])
    assert jury.about() == (
        "1 of 6 ratings is missing: each candidate is judged by those who rated it",
        "1 of 4 people in the sample does not sit on the jury (weight 0)",
    )
    filled = jury.completed()
    assert filled.values[:, 0].tolist()[:2] == [4, 3]
    assert np.isnan(filled.values[2]).all()
    assert filled.notes == (
        "1 missing rating was estimated by the mean of everyone; intervals take them as given and are too narrow",
    )


def test_ratings_of_people_without_weight_alone_decide_nothing():
    jury = Utilities.of({"A": [9.0, None], "B": [1.0, None]}, [0, 1], traits=pl.DataFrame({"g": ["x", "y"]}))
    for ask in (fanatics, switches, lambda u: groups_at(u, "g"), lambda u: decide(u, "borda")):
        with pytest.raises(PluralError, match="Nobody of any weight"):
            ask(jury)
    assert "nobody wins" in sweep(jury, [0, 1]).sentence()


def test_groups_of_a_sample_have_intervals_and_a_whole_jury_has_none(jury):
    random = np.random.default_rng(4)
    town = np.repeat(["North", "South"], [150, 50])
    u = random.normal([[6, 5]], 1.5, (200, 2)) + np.where(town == "South", -1.0, 0.0)[:, None] * [1, 0]
    sample = Utilities.of(
        {"Bold": u[:, 0] + 5, "Mild": u[:, 1] + 5}, traits=pl.DataFrame({"town": town}), design=Design(np.ones(200))
    )
    rows = groups_at(sample, "town", [0, np.inf], replicates=400, seed=1).rows(named=True)
    for row, inside in zip(rows[:2], (town == "North", town == "South"), strict=True):
        bold, mild = u[inside].T + 5
        se = bold.std(ddof=1) / np.sqrt(inside.sum())
        assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * se, rel=0.15)
        z = (bold - mild).mean() / ((bold - mild).std(ddof=1) / np.sqrt(inside.sum()))
        chance = NormalDist().cdf(abs(z))
        assert row["own_probability"] == pytest.approx(chance, abs=0.06)
    assert [row["worst_off_probability"] for row in rows[:2]] == pytest.approx([0, 1], abs=0.01)
    for row in (*rows[2:], *groups_at(jury, "town", [0], replicates=50).rows(named=True)):
        assert row["low"] is row["high"] is row["own_probability"] is row["worst_off_probability"] is None


def test_a_sampled_jury_has_intervals_and_a_whole_one_has_none():
    random = np.random.default_rng(2)
    u, w = np.exp(random.normal(0, 0.5, (400, 3))), random.uniform(0.5, 2, 400)
    whole = sweep(Utilities.of(u, w), [0, 1, np.inf])
    assert np.isnan(whole.low).all()
    assert "no interval" in whole.sentence()
    sample = sweep(Utilities(u, ("A", "B", "C"), design=Design(w)), [0, 1, 3, np.inf], replicates=600)
    assert np.isnan(sample.low[3]).all()
    assert "these jurors only" in sample.sentence()
    assert np.isfinite(sample.low[:3]).all()
    assert sample.probability[:3].sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-12)
    # At α = 0 and 1 welfare is a mean (of u, of log u): its linearised error is known.
    share = w / w.sum()
    for a, v in ((0, u), (1, np.log(u))):
        mean = share @ v
        se = np.sqrt((np.square(share[:, None] * (v - mean)) * 400 / 399).sum(axis=0))
        width = (sample.high - sample.low)[0] if a == 0 else np.log(sample.high[1] / sample.low[1])
        assert width == pytest.approx(2 * 1.96 * se, rel=0.12)


def test_replicates_are_each_the_welfare_of_their_jury():
    """Also where a replicate leaves out the juror at the minimum and α is large."""
    from plural_nb.jury.resampling import replicate_weights, replicated_logs

    random = np.random.default_rng(3)
    u = np.exp(random.normal(0, 3, (12, 2)))
    u[3, 0], u[4, 1] = 0, np.nan
    jury = Utilities(u, ("A", "B"), design=Design(random.uniform(0.5, 2, 12)))
    weight = replicate_weights(jury, 40, seed=1).weight
    alphas = np.array([0, 0.5, 1, 1 + 1e-9, 2, 1e4])
    logs, zeros = replicated_logs(jury, weight, alphas)
    for r in range(40):
        for c in range(2):
            rest = np.nan_to_num(u[:, c]) > 0
            truth = welfare(u[rest, c], alphas, weight=weight[r][rest])
            assert np.exp(logs[r, :, c]) == pytest.approx(truth, rel=1e-11)
            rated = ~np.isnan(u[:, c])
            total = weight[r][rated].sum()
            assert zeros[r, c] == pytest.approx(weight[r][rated & ~rest].sum() / total, abs=1e-14)


def test_the_probability_of_winning_is_the_share_of_resampled_juries_that_agree():
    from plural_nb.jury.resampling import replicate_weights

    random = np.random.default_rng(5)
    u = random.integers(0, 4, (25, 3)).astype(float)
    jury = Utilities(u, ("A", "B", "C"), design=Design(random.uniform(0.5, 2, 25)))
    alphas = [0.0, 0.9, 1.0, 4.0]
    found = sweep(jury, alphas, replicates=60, seed=3)
    won = np.zeros((4, 3))
    for weight in replicate_weights(jury, 60, seed=3).weight:
        for a, names in enumerate(winners(Utilities.of(u, weight), alphas)):
            for name in names:
                won[a, "ABC".index(name)] += 1 / len(names) / 60
    assert found.probability == pytest.approx(won, abs=1e-12)
    assert (won.max(axis=1) < 1).all()


def test_a_sweep_is_made_again_by_its_code():
    jury = Utilities(np.random.default_rng(6).uniform(1, 5, (40, 2)), ("A", "B"), design=Design(np.ones(40)))
    found = sweep(jury, [0, 0.1, 3, np.inf], replicates=50, level=0.9, seed=8)
    again = eval(found.code("jury"), {"sweep": sweep, "jury": jury})
    assert again.table().equals(found.table())


def test_a_group_of_a_sample_stays_a_domain():
    random = np.random.default_rng(4)
    inside = np.arange(60) % 3 == 0
    ratings = random.uniform(1, 5, (60, 2)) + np.where(inside, 0, 100)[:, None]
    jury = Utilities(ratings, ("A", "B"), design=Design(np.ones(60), psu=np.repeat(range(20), 3)))
    found = sweep(jury.within(inside), [0.0], replicates=100)
    assert found.welfare[0] == pytest.approx(jury.values[inside].mean(axis=0))
    assert found.utilities.n == 60
    assert ((found.low < found.welfare) & (found.welfare < found.high)).all()


def test_a_design_that_cannot_be_resampled_leaves_the_rest_standing():
    lonely = Design(np.ones(3), stratum=np.array([0, 0, 1]))
    found = sweep(Utilities.of({"A": [1.0, 2, 3]}, design=lonely), [0.0])
    assert found.welfare[0, 0] == 2
    assert "single PSU" in found.sentence()


def test_ratings_of_the_teaching_survey_choose_differently_as_alpha_grows():
    from plural_nb import load_survey

    survey = load_survey("teaching")
    keys = [key for key in survey.questions if key.startswith("rate_")]
    codes = np.column_stack([survey.answer_codes[key] for key in keys]).astype(int)
    scale = [np.array([option.value or np.nan for option in survey.questions[key].options]) for key in keys]
    ratings = np.column_stack([np.where(c < 0, np.nan, s[c]) for c, s in zip(codes.T, scale, strict=True)])
    won = winners(Utilities(ratings, tuple(keys), weight=survey.design.weight), [0, 1, np.inf])
    assert len(set(won)) > 1
