"""Pairs of samples from known truths, for tests of noise floors, verdicts, debiasing and intervals.

Run as a program (`python tests/comparison_simulation.py`) it prints the whole study as a table: 20,000 null pairs and
more, K in {2, 5, 11}, n from 50 to 5,000, one-hot and fractional rows, simple and clustered weighted samples.
"""

import dataclasses
import math
import sys
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from plural_nb.comparison.intervals import distance_interval
from plural_nb.comparison.measuring import Scale, squared, squared_noise
from plural_nb.comparison.noise import noise_floors
from plural_nb.comparison.resampling import rescaling_factors
from plural_nb.survey.library import load_survey
from plural_nb.survey.question import Option, Question
from plural_nb.survey.survey import Population
from plural_nb.survey.tabulation import tabulate


@dataclass
class Drawn:
    """C pairs: truths and shares (K, C), covariance (C, K, K), sizes, df; replicates (K, C, R) where asked for."""

    truth: tuple[np.ndarray, np.ndarray]
    rows: tuple[np.ndarray, np.ndarray]
    V: np.ndarray
    sizes: tuple[np.ndarray, np.ndarray]
    df: np.ndarray
    counts: np.ndarray
    replicates: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def scale(self):
        K = self.rows[0].shape[0]
        return Scale.of(Question("q", "?", tuple(Option(str(k)) for k in range(K)), kind="ordinal"))

    def floors(self, draws=1000):
        return noise_floors(*self.rows, self.V, self.sizes, self.df, self.scale, draws=draws)

    def observed(self):
        return squared(*self.rows, self.scale)

    def take(self, here):
        pick = lambda two: tuple(x[..., here] for x in two)  # noqa: E731
        replicates = None if self.replicates is None else tuple(x[:, here] for x in self.replicates)
        return Drawn(
            pick(self.truth), pick(self.rows), self.V[here], pick(self.sizes), self.df[here], self.counts[here],
            replicates,
        )  # fmt: skip

    def intervals(self, name, level=0.95):
        p, q = self.rows
        one, other = self.replicates
        noise = (one - p[:, :, None]) - (other - q[:, :, None])
        return distance_interval(
            name, self.observed()[name], squared(one, other, self.scale)[name],
            squared_noise(noise, ((p + q) / 2)[:, :, None], self.scale)[name], df=self.df, options=p.shape[0],
            level=level,
        )  # fmt: skip


def truths(K, C, r, *, floors=0.0, size=math.inf):
    """Two truths (K, C): the same, or so far apart that js_distance is so many floors of samples of a size."""
    middle = r.dirichlet(np.full(K, 4.0), C).T
    if not floors:
        return middle, middle
    # The direction is of the noise's own shape, so that no option is moved much more than noise would.
    step = r.normal(size=(K, C)) * np.sqrt(middle)
    step -= middle * step.sum(axis=0)
    noise = math.sqrt((K - 1) / size / 8 / math.log(2))
    noise *= math.sqrt(2 / (K - 1)) * math.gamma(K / 2) / math.gamma((K - 1) / 2)
    length = np.full(C, 0.01)
    for _ in range(80):
        ends = [np.clip(middle + sign * length * step / 2, 1e-4, None) for sign in (1, -1)]
        p, q = (end / end.sum(axis=0) for end in ends)
        apart = np.sqrt(squared(p, q, None, divergences=False)["js_distance"])
        length *= np.clip(floors * noise / apart, 0.5, 2)
    return p, q


def effective(p, V):
    spread, variance = 1 - np.square(p).sum(axis=0), np.einsum("ckk->c", V)
    return np.where(variance > 0, spread / np.where(variance > 0, variance, 1), np.nan)


def simple(K, n, C, *, m=None, fractional=False, floors=0.0, replicates=0, seed=0):
    """Simple random samples of n and m people (m = inf for an exact row), of one truth or of two."""
    r = np.random.default_rng((seed, K, n))
    m = n if m is None else m
    size = 1 / (1 / n + 1 / m) * (1 + 3 * fractional)
    truth = truths(K, C, r, floors=floors, size=size)
    rows, covariances, drawn = [], [], []
    for t, people in zip(truth, (n, m), strict=True):
        if math.isinf(people):
            rows.append(t), covariances.append(np.zeros((C, K, K)))
            drawn.append(np.repeat(t[:, :, None], replicates, axis=2))
            continue
        p, V, each = (_fractional if fractional else _one_hot)(t, people, r, replicates)
        rows.append(p), covariances.append(V), drawn.append(each)
    sizes = [np.full(C, np.inf) if math.isinf(x) else np.where(np.isfinite(s := effective(p, V)), s, x)
             for p, V, x in zip(rows, covariances, (n, m), strict=True)]  # fmt: skip
    counts = min(n, m) * np.minimum(*(t.min(axis=0) for t in truth))
    df = np.full(C, float(n - 1 if math.isinf(m) else n + m - 2))
    return Drawn(truth, tuple(rows), sum(covariances), tuple(sizes), df, counts, tuple(drawn) if replicates else None)


def _one_hot(truth, n, r, replicates):
    p = r.multinomial(n, truth.T).T / n
    V = (np.einsum("kc,kl->ckl", p, np.eye(p.shape[0])) - np.einsum("kc,lc->ckl", p, p)) / (n - 1)
    each = None
    if replicates:
        # Rao–Wu: n − 1 of the n people with replacement.
        each = np.moveaxis(r.multinomial(n - 1, (p / p.sum(axis=0)).T, (replicates, p.shape[1])), 0, 2) / (n - 1)
        each = np.moveaxis(each, 1, 0)
    return p, V, each


def _fractional(truth, n, r, replicates):
    """Rows around the truth as personas' rows are: Dirichlet, with a quarter of the variance of one-hot rows."""
    K, C = truth.shape
    p, V, each = np.empty((K, C)), np.empty((C, K, K)), np.empty((K, C, replicates)) if replicates else None
    for c in range(C):
        y = r.standard_gamma(3 * truth[:, c], (n, K))
        y /= y.sum(axis=1, keepdims=True)
        p[:, c], V[c] = y.mean(axis=0), np.cov(y.T) / n
        if replicates:
            counts = r.multinomial(n - 1, np.full(n, 1 / n), replicates) / (n - 1)
            each[:, c] = (counts @ y).T
    return p, V, each


def clustered(K, C, *, population=None, floors=0.0, within=30.0, exact=False, replicates=0, seed=0):
    """Samples with the teaching survey's weights, strata and PSUs; PSUs differ as Dirichlet(within × truth) does."""
    survey = load_survey("teaching")
    population = Population(population or {"wave": "2023"})
    inside = population.mask(survey)
    design = survey.design
    r = np.random.default_rng((seed, K, 7))
    n = design.n_eff_kish(inside)
    members = np.bincount(design.psu[inside]).astype(float)
    deff = 1 + ((members**2).sum() / members.sum() - 1) / (within + 1)
    size = n / deff if exact else n / deff / 2
    truth = truths(K, C, r, floors=floors, size=size)
    found = [_sample_clusters(survey, inside, t, within, r) for t in (truth[:1] if exact else truth)]
    rows, covariances, drawn, dfs = [], [], [], []
    question = Question("q", "?", tuple(Option(str(k)) for k in range(K)))
    for which, codes in enumerate(found):
        keys = [f"q{c}" for c in range(C)]
        asked = dataclasses.replace(
            survey, questions=MappingProxyType({key: dataclasses.replace(question, key=key) for key in keys}),
            answer_codes=MappingProxyType({key: codes[:, c] for c, key in enumerate(keys)}),
        )  # fmt: skip
        shares = tabulate(asked, keys, population=population)
        rows.append(np.concatenate([shares[key].share for key in keys]).T)
        covariances.append(np.concatenate([shares[key].covariance for key in keys]))
        dfs.append(np.concatenate([shares[key].df for key in keys]))
        drawn.append(_replicates(design, codes, K, replicates, seed + 1000 * which) if replicates else None)
    sizes = [effective(p, V) for p, V in zip(rows, covariances, strict=True)]
    if exact:
        rows.append(truth[1]), covariances.append(np.zeros_like(covariances[0])), sizes.append(np.full(C, np.inf))
        drawn.append(np.repeat(truth[1][:, :, None], max(replicates, 1), axis=2))
    trace = [np.einsum("ckk->c", V) for V in covariances]
    df = np.square(sum(trace)) / sum(np.square(t) / d for t, d in zip(trace, dfs, strict=False))
    counts = np.minimum(*sizes) * np.minimum(*(t.min(axis=0) for t in truth))
    return Drawn(truth, tuple(rows), sum(covariances), tuple(sizes), df, counts, tuple(drawn) if replicates else None)


def _sample_clusters(survey, inside, truth, within, r):
    K, C = truth.shape
    psu = survey.design.psu
    effects = r.standard_gamma(within * truth[None], (int(psu.max()) + 1, K, C))
    reach = np.cumsum(effects / effects.sum(axis=1, keepdims=True), axis=1)
    codes = np.full((survey.n, C), -1, dtype=np.int16)
    rows = np.flatnonzero(inside)
    u = r.random((rows.size, C))
    codes[rows] = np.minimum((u[:, None, :] > reach[psu[rows]]).sum(axis=1), K - 1)
    return codes


def _replicates(design, codes, K, replicates, seed):
    factors = rescaling_factors(design, replicates, seed)
    C = codes.shape[1]
    sums = np.zeros((K, C, factors.shape[0]), dtype=np.float32)
    for k in range(K):
        for c in range(C):
            here = codes[:, c] == k
            sums[k, c] = np.bincount(design.psu[here], weights=design.weight[here], minlength=factors.shape[0])
    drawn = sums @ factors
    return drawn / drawn.sum(axis=0)


def study(scale=1):
    """Print floors, rates and biases of null pairs, then coverage of intervals; `scale` multiplies the pairs."""
    print("null pairs: floor/observed mean, p95/observed, beyond noise, bias of debiased over bias of plug-in JSD")
    print("kind K n counts pairs  js  tv  hell  W1 | js95 tv95 W95 | beyond | debiased/plug-in")
    for K in (2, 5, 11):
        for n in (50, 200, 1000, 5000):
            for kind, options in (
                ("one-hot", {}), ("against exact", {"m": math.inf}), ("fractional", {"fractional": True})
            ):  # fmt: skip
                pairs = 2000 if kind != "fractional" else max(40, 200_000 // n // 4)
                _report(kind, K, n, simple(K, n, pairs * scale, **options))
        for name, population in (("wave", None), ("age", {"wave": "2023", "age": "18 to 29"})):
            for exact in (False, True):
                drawn = clustered(K, 1000 * scale, population=population, exact=exact)
                _report(f"clustered {name}{' exact' if exact else ''}", K, int(np.median(drawn.sizes[0])), drawn)
    print("coverage of 95% intervals (true distance in floors); truth below, truth above")
    for K in (2, 5, 11):
        for floors in (2, 4, 8):
            for kind, n, options in (
                ("one-hot", 500, {}), ("one-hot", 2000, {}), ("against exact", 500, {"m": math.inf}),
                ("fractional", 500, {"fractional": True}),
            ):  # fmt: skip
                pairs = 2000 * scale if kind != "fractional" else 400
                _coverage(kind, K, n, floors, simple(K, n, pairs, floors=floors, replicates=500, **options))
            for exact in (False, True):
                drawn = clustered(K, 600 * scale, floors=floors, exact=exact, replicates=500)
                _coverage(f"clustered{' exact' if exact else ''}", K, int(np.median(drawn.sizes[0])), floors, drawn)


def _report(kind, K, n, drawn):
    for low, high, label in ((20, np.inf, ">=20"), (5, 20, "5-20"), (0, 5, "<5")):
        here = np.flatnonzero((drawn.counts >= low) & (drawn.counts < high))
        if here.size < 60:
            continue
        part = drawn.take(here)
        floors, seen = part.floors(), part.observed()
        names = ("js_distance", "total_variation", "hellinger", "wasserstein_normalised")
        mean = [floors.mean[x].mean() / np.sqrt(seen[x]).mean() for x in names]
        above = [(np.sqrt(seen[x]) > floors.p95[x]).mean() for x in (names[0], names[1], names[3])]
        left = (seen["js_distance"] - floors.square["js_distance"]).mean() / seen["js_distance"].mean()
        print(f"{kind:20} {K:2} {n:5} {label:5} {here.size:5} ", *(f"{x:.3f}" for x in mean), "|",
              *(f"{x:.3f}" for x in above), "|", f"{(floors.p < 0.05).mean():.3f}", "|", f"{left:+.3f}")  # fmt: skip
    sys.stdout.flush()


def _coverage(kind, K, n, floors, drawn):
    said = []
    for name in ("js_distance", "total_variation", "hellinger", "wasserstein_normalised", "kl"):
        low, high = drawn.intervals(name)
        true = squared(*drawn.truth, drawn.scale)[name]
        true = true if name == "kl" else np.sqrt(true)
        below, above = (true < low).mean(), (true > high).mean()
        said.append(f"{name[:5]} {1 - below - above - np.isnan(low).mean():.3f} ({below:.3f}, {above:.3f})")
    print(f"{kind:16} {K:2} {n:5} {floors} ", *said)
    sys.stdout.flush()


if __name__ == "__main__":
    study(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
