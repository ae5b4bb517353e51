"""What a table carries and what publishing it costs: against closed forms, brute force and the data-processing rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plural_nb as pnb
from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design
from plural_nb.survey.information import CrossTable, as_table, cross_table

SHAPES = st.tuples(st.integers(2, 5), st.integers(2, 5), st.integers(0, 10_000))


def table(shape: tuple[int, int, int]) -> CrossTable:
    groups, options, seed = shape
    rng = np.random.default_rng(seed)
    return CrossTable(
        tuple(f"g{i}" for i in range(groups)),
        tuple(f"o{i}" for i in range(options)),
        rng.dirichlet(np.ones(groups)),
        rng.dirichlet(np.ones(options), groups),
    )


def mutual_information_bits(joint: np.ndarray) -> float:
    """H(rows) + H(columns) − H(both), each by its definition."""

    def entropy(p: np.ndarray) -> float:
        return float(-sum(x * np.log2(x) for x in p.ravel() if x > 0))

    return entropy(joint.sum(axis=1)) + entropy(joint.sum(axis=0)) - entropy(joint)


def test_a_channel_that_errs_in_one_of_ten_carries_one_bit_less_its_entropy() -> None:
    found = CrossTable(("a", "b"), ("Yes", "No"), np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.1, 0.9]]))
    assert found.bits == pytest.approx(1 + 0.9 * np.log2(0.9) + 0.1 * np.log2(0.1), abs=1e-14)
    assert found.entropy_bits == pytest.approx(1)


@given(SHAPES)
@settings(max_examples=60, deadline=None)
def test_the_bits_are_the_entropies_less_the_joint_one(shape: tuple[int, int, int]) -> None:
    found = table(shape)
    joint = found.size[:, None] * found.share
    assert found.bits == pytest.approx(mutual_information_bits(joint), abs=1e-12)
    # A share of few bits has their rounding in it, many times over.
    assert found.kept(found.share).share == pytest.approx(1, abs=1e-14 / found.bits + 1e-12)
    assert found.kept(np.tile(found.marginal, (len(found.groups), 1))).bits == pytest.approx(0, abs=1e-12)


@given(SHAPES)
@settings(max_examples=60, deadline=None)
def test_merging_keeps_the_merged_tables_own_mutual_information(shape: tuple[int, int, int]) -> None:
    """A reader who spreads merged options as they are spread among everybody loses what merging loses, no more."""
    found = table(shape)
    joint = found.size[:, None] * found.share
    groups, options = list(found.groups[:2]), list(found.options[-2:])
    rows = np.vstack([joint[0] + joint[1], joint[2:]])
    both = np.hstack([rows[:, :-2], rows[:, -2:].sum(axis=1, keepdims=True)])
    assert found.merge(groups=[groups]).bits == pytest.approx(mutual_information_bits(rows), abs=1e-12)
    kept = found.merge(groups=[groups], options=[options])
    assert kept.bits == pytest.approx(mutual_information_bits(both), abs=1e-12)
    # The data-processing inequality (Cover and Thomas, theorem 2.8.1).
    assert -1e-12 <= kept.bits <= found.merge(groups=[groups]).bits + 1e-12 <= found.bits + 2e-12


@given(SHAPES, st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_no_other_table_of_the_same_cells_tells_more(shape: tuple[int, int, int], seed: int) -> None:
    found = table(shape)
    other = np.random.default_rng(seed).dirichlet(np.ones(len(found.options)), len(found.groups))
    kept = found.kept(other)
    assert kept.bits <= found.bits + 1e-12
    direct = sum(
        found.size[g] * found.share[g, k] * np.log2(other[g, k] / found.marginal[k])
        for g in range(len(found.groups))
        for k in range(len(found.options))
    )
    assert kept.bits == pytest.approx(direct, abs=1e-10)


def test_coarser_rounding_costs_more_and_a_published_zero_is_read_as_a_quarter_step() -> None:
    found = table((4, 4, 3))
    kept = [found.rounded(step).share for step in (0.001, 0.01, 0.1, 0.3)]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] == pytest.approx(1, abs=1e-4)
    rare = CrossTable(("a", "b"), ("Yes", "No"), np.array([0.5, 0.5]), np.array([[0.003, 0.997], [0.4, 0.6]]))
    one = rare.rounded(0.01)
    assert one.raised == 1
    q = np.array([[0.0025, 1.0], [0.4, 0.6]])
    q /= q.sum(axis=1, keepdims=True)
    assert one.bits == pytest.approx(rare.kept(q).bits, abs=1e-14)
    assert rare.kept(np.round(rare.share, 2)).bits == -np.inf


def test_noise_costs_about_its_variance_over_twice_the_share() -> None:
    """For little noise, E[KL] = Σ π_g Σ_k (Var of the noise after the rows sum to 1) / 2 p_gk nats."""
    found = CrossTable(("a", "b"), ("Yes", "No"), np.array([0.5, 0.5]), np.array([[0.7, 0.3], [0.4, 0.6]]))
    sd = 0.005
    kept = found.noisy(sd, draws=20_000, seed=1)
    expected = 0.0
    for size, row in zip(found.size, found.share, strict=True):
        # q = (p + e) / (1 + Σe), to first order p + e − p Σe.
        for p in row:
            expected += size * sd**2 * ((1 - p) ** 2 + p**2) / (2 * p) / np.log(2)
    assert found.bits - kept.bits == pytest.approx(expected, rel=0.03)
    assert found.noisy(0.3, seed=2).bits < 0


def test_the_same_seed_gives_the_same_noise() -> None:
    found = table((3, 3, 1))
    assert found.noisy(0.02, seed=5) == found.noisy(0.02, seed=5) != found.noisy(0.02, seed=6)


def test_the_floor_is_what_equal_groups_show_by_chance() -> None:
    """Miller (1955): (G − 1)(K − 1)/2n nats in a simple random sample whose groups answer alike."""
    rng = np.random.default_rng(7)
    n, groups = 3000, 4
    asked = pnb.ask_for("Q", ["a", "b", "c"])
    floors, found = [], []
    for _ in range(200):
        by = [f"g{i}" for i in rng.integers(0, groups, n)]
        answers = pnb.Answers.from_places(asked, rng.choice(3, n, p=[0.5, 0.3, 0.2]))
        one = cross_table(answers, by)
        floors.append(one.floor_bits)
        found.append(one.bits)
    miller = (groups - 1) * (3 - 1) / (2 * n) / np.log(2)
    assert np.mean(floors) == pytest.approx(miller, rel=0.02)
    assert np.mean(found) == pytest.approx(miller, rel=0.15)


def test_the_floor_grows_with_the_design() -> None:
    """Ten identical people in each PSU are worth one: the floor is ten times that of as many independent ones."""
    rng = np.random.default_rng(8)
    psus = 600
    place, group = rng.integers(0, 2, psus), rng.integers(0, 3, psus)
    ten = np.repeat(np.arange(psus), 10)
    asked = pnb.ask_for("Q", ["a", "b"])
    clustered = pnb.Answers.from_places(asked, place[ten], design=Design(np.ones(6000), psu=ten))
    naive = pnb.Answers.from_places(asked, place[ten])
    names = [f"g{i}" for i in group[ten]]
    assert cross_table(clustered, names).floor_bits / cross_table(naive, names).floor_bits == pytest.approx(
        10, rel=0.01
    )


def test_weights_and_domains_make_the_table_of_the_survey() -> None:
    survey = pnb.load_survey("teaching")
    young = pnb.Population({"age": ["18 to 29"]})
    found = cross_table(survey.answers("toll", young), survey.groups("income"))
    code, income, age = survey.answer_codes["toll"], survey.trait_codes["income"], survey.trait_codes["age"]
    joint = np.zeros((3, 2))
    for g in range(3):
        for k in range(2):
            joint[g, k] = survey.design.weight[(code == k) & (income == g) & (age == 0)].sum()
    joint /= joint.sum()
    np.testing.assert_allclose(found.size[:, None] * found.share, joint, atol=1e-12)
    assert found.bits == pytest.approx(mutual_information_bits(joint), abs=1e-12)


def test_what_cannot_be_a_table_or_a_merge_is_said() -> None:
    found = table((3, 3, 1))
    with pytest.raises(SurveyError, match="sum to 1"):
        CrossTable(("a",), ("x", "y"), np.array([1.0]), np.array([[0.5, 0.6]]))
    with pytest.raises(SurveyError, match="0 or more"):
        CrossTable(("a",), ("x", "y"), np.array([1.0]), np.array([[-0.5, 1.5]]))
    with pytest.raises(SurveyError, match="no group 'g9'"):
        found.merge(groups=[["g0", "g9"]])
    with pytest.raises(SurveyError, match="merged twice"):
        found.merge(options=[["o0", "o1"], ["o1", "o2"]])
    with pytest.raises(SurveyError, match="lists of labels"):
        found.merge(groups=["g0"])  # type: ignore[list-item]
    with pytest.raises(SurveyError, match="shape"):
        found.kept([[0.5, 0.5]])
    with pytest.raises(SurveyError, match="step between 0 and 1"):
        found.rounded(5)
    with pytest.raises(SurveyError, match="above 0"):
        found.noisy(0)
    assert as_table([found.rounded(0.01)]).columns == ["how", "bits", "of_bits", "share_kept", "spread_bits"]
