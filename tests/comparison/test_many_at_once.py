"""What is measured for many pairs at once is what each distance is alone, and what a linear programme says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from plural_nb.comparison.distances import hellinger, js_distance, kl, total_variation, wasserstein
from plural_nb.comparison.measuring import Scale, shown, squared, squared_noise
from plural_nb.comparison.noise import js_noise_floor, noise_floors
from plural_nb.comparison.simulation import simulate_pairs
from plural_nb.survey.question import Option, Question


def rows(k):
    numbers = st.lists(st.floats(0, 1), min_size=k, max_size=k).filter(lambda x: sum(x) > 1e-3)
    return numbers.map(lambda x: np.array(x) / sum(x))


PAIRS = st.integers(2, 7).flatmap(lambda k: st.tuples(rows(k), rows(k), st.permutations(range(k))))


def scale_of(values):
    return Question("q", "?", tuple(Option(str(i), value=v) for i, v in enumerate(values)), kind="ordinal")


@given(PAIRS)
def test_all_at_once_equals_each_alone(pair):
    p, q, places = pair
    question = scale_of([float(v) for v in places])
    found = {name: shown(name, v[0]) for name, v in squared(p[:, None], q[:, None], Scale.of(question)).items()}
    assert found["js_distance"] == pytest.approx(js_distance(p, q), abs=2e-8)
    assert found["total_variation"] == pytest.approx(total_variation(p, q), abs=1e-12)
    assert found["hellinger"] == pytest.approx(hellinger(p, q), abs=1e-8)
    assert found["wasserstein_normalised"] == pytest.approx(wasserstein(p, q, question, normalised=True), abs=1e-12)
    for name, (one, other) in {"kl": (p, q), "kl_reversed": (q, p)}.items():
        alone = float(kl(one, other))
        if math.isinf(alone):
            assert math.isinf(found[name])
        elif alone < 20:  # beyond, an option's share is at the edge of what doubles hold
            assert found[name] == pytest.approx(alone, rel=1e-6, abs=1e-9)


@given(PAIRS)
def test_single_precision_is_enough_for_replicates(pair):
    p, q, places = pair
    scale = Scale.of(scale_of([float(v) for v in places]))
    fine = squared(p[:, None], q[:, None], scale, divergences=False)
    rough = squared(p[:, None].astype(np.float32), q[:, None].astype(np.float32), scale, divergences=False)
    for name in fine:
        assert np.sqrt(rough[name][0]) == pytest.approx(np.sqrt(fine[name][0]), abs=5e-4)


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_wasserstein_is_the_least_work_of_a_linear_programme(pair):
    p, q, places = pair
    v, K = np.array(places, dtype=float) * 1.5, len(p)
    move = np.kron(np.eye(K), np.ones(K)), np.kron(np.ones(K), np.eye(K))
    cost = np.abs(v[:, None] - v[None, :]).ravel()
    least = optimize.linprog(cost, A_eq=np.vstack(move), b_eq=np.concatenate([p, q]), bounds=(0, None), method="highs")
    # The programme meets its constraints to 1e-7 each, so a share of 1e-7 may stay where it is.
    assert wasserstein(p, q, v) == pytest.approx(least.fun, abs=1e-7 * 2 * K * max(v))


@given(PAIRS)
def test_the_order_of_options_does_not_matter(pair):
    p, q, places = pair
    order = list(places)
    v = np.arange(len(p), dtype=float)
    for distance in (js_distance, total_variation, hellinger, kl):
        assert distance(p[order], q[order]) == pytest.approx(distance(p, q), rel=1e-9, abs=1e-9)
    assert wasserstein(p[order], q[order], v[order]) == pytest.approx(wasserstein(p, q, v), abs=1e-12)


def test_noise_is_the_second_order_of_the_distance():
    r = np.random.default_rng(0)
    m = r.dirichlet(np.ones(5) * 5, 50).T
    e = 1e-4 * r.normal(size=m.shape) * np.sqrt(m)
    e -= m * e.sum(axis=0)
    scale = Scale.of(scale_of(range(5)))
    found, exact = squared_noise(e, m, scale), squared(m + e / 2, m - e / 2, scale)
    for name, value in exact.items():
        assert found[name] == pytest.approx(value, rel=2e-3), name


def test_the_closed_form_is_that_of_the_definitions():
    """(K − 1)(1/n₁ + 1/n₂)/8 nats for simple random samples, and the mean of a chi variable."""
    K, sizes = 5, (400, 900)
    p = np.full(K, 0.2)
    V = (np.diag(p) - np.outer(p, p)) * (1 / sizes[0] + 1 / sizes[1])
    floors = noise_floors(p[:, None], p[:, None], V[None], tuple(np.array([float(n)]) for n in sizes), np.array([1e6]))
    jsd = (K - 1) * (1 / sizes[0] + 1 / sizes[1]) / 8 / math.log(2)
    assert floors.square["js_distance"][0] == pytest.approx(jsd)
    expected = math.sqrt(jsd) * math.sqrt(2 / (K - 1)) * math.gamma(K / 2) / math.gamma((K - 1) / 2)
    assert floors.mean["js_distance"][0] == pytest.approx(expected)
    assert floors.mean["total_variation"][0] == pytest.approx(math.sqrt(2 / math.pi) * np.sqrt(np.diag(V)).sum() / 2)
    assert floors.p95["js_distance"][0] == pytest.approx(math.sqrt(jsd * 9.487729 / 4), rel=1e-3)


def test_floors_know_design_effects_that_differ():
    """A floor that took all design effects for equal would be 17% off here."""
    m = np.full(5, 0.2)
    r = np.random.default_rng(0)
    A = np.eye(5) - 0.2
    V = A @ np.diag([8.0, 1, 1, 0.5, 0.5]) @ A.T * 1e-4
    e = r.multivariate_normal(np.zeros(5), V, 200_000)
    shown_ = np.sqrt((e**2 / m).sum(axis=1) / 8 / math.log(2))
    size = (1 - 0.2) / np.trace(V)
    found = js_noise_floor(m, m, V, (size, None))
    assert found.method == "closed form"
    assert found.mean == pytest.approx(shown_.mean(), rel=0.01)
    assert found.p95 == pytest.approx(np.quantile(shown_, 0.95), rel=0.02)


def test_an_exact_row_is_the_truth_and_samples_are_pooled_by_size():
    p, q = np.array([[0.8], [0.2]]), np.array([[0.5], [0.5]])
    n, exact = np.array([30.0]), np.array([np.inf])
    assert simulate_pairs(p, q, (n, exact), 50, 0).truth == pytest.approx(q)
    assert simulate_pairs(p, q, (exact, n), 50, 0).truth == pytest.approx(p)
    assert simulate_pairs(p, q, (n, n * 2), 50, 0).truth[0, 0] == pytest.approx(0.6)


@pytest.mark.parametrize("pairs", [1, 200])
def test_simulated_samples_are_multinomial(pairs):
    truth = np.tile(np.array([[0.7], [0.2], [0.07], [0.03]]), pairs)
    sizes = np.full(pairs, 40.0), np.full(pairs, np.inf)
    made = simulate_pairs(truth, truth, sizes, 4000, 0)
    one, exact = made.sides
    assert (exact == truth[:, :, None].astype(np.float32)).all()
    n = 40 * np.mean(made.stretch) ** -2
    assert one.mean(axis=2)[:, 0] == pytest.approx(truth[:, 0], abs=0.005)
    covariance = np.cov(one[:, 0])
    assert covariance == pytest.approx((np.diag(truth[:, 0]) - np.outer(truth[:, 0], truth[:, 0])) / n, abs=3.5e-4)
