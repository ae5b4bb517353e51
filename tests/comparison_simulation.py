"""Pairs of samples from known truths, for tests of noise floors, verdicts, debiasing and intervals.

Run as a program it prints the whole study as a table: K in {2, 5, 11}, n from 50 to 5,000, one-hot and fractional
rows, simple and clustered weighted samples, 20,000 null pairs in a cell and 4,000 pairs for each coverage. That takes
hours; cells are chosen by `python tests/comparison_simulation.py null --kind one-hot --options 5 --n 50 200` or
`… cover --kind clustered --floors 2 --pairs 1000`.
"""

import argparse
import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np

from plural_nb.comparison.freedom import Freedom
from plural_nb.comparison.intervals import distance_interval
from plural_nb.comparison.measuring import Scale, squared, squared_noise
from plural_nb.comparison.noise import noise_floors
from plural_nb.comparison.resampling import rescaling_factors
from plural_nb.comparison.unseen import unseen_options
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
            level=level, unseen=self.unseen,
        )  # fmt: skip

    @cached_property
    def unseen(self):
        return unseen_options(self.rows, self.replicates, self.sizes, self.scale)


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
    return np.where(variance > 0, spread / np.where(variance > 0, variance, 1) + 1, np.nan)


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
        y = r.standard_gamma(np.float32(3 * truth[:, c]), (n, K), dtype=np.float32).astype(np.float64)
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
        dfs.append(np.full(C, Freedom(design, np.where(inside, 0, -1), 1).of(inside)[0]))
        drawn.append(_replicates(design, codes, K, replicates, seed + 1000 * which) if replicates else None)
    sizes = [effective(p, V) for p, V in zip(rows, covariances, strict=True)]
    if exact:
        rows.append(truth[1]), covariances.append(np.zeros_like(covariances[0])), sizes.append(np.full(C, np.inf))
        drawn.append(np.repeat(truth[1][:, :, None], max(replicates, 1), axis=2))
    trace = [np.einsum("ckk->c", V) for V in covariances]
    df = np.square(sum(trace)) / sum(np.square(t) / d for t, d in zip(trace, dfs, strict=False))
    # By the size that the design leaves; by its estimate, cells whose variance came out large would be told apart.
    counts = n / deff * np.minimum(*(t.min(axis=0) for t in truth))
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


# Pairs that are made at once: some hundred megabytes.
_CHUNK = 500
_SIZES = {"null": (50, 200, 1000, 5000), "cover": (500, 2000)}
_KINDS = {
    "one-hot": {}, "unlike": {"m": 4}, "exact": {"m": math.inf}, "fractional": {"fractional": True},
    "clustered": {}, "clustered exact": {"exact": True}, "age": {}, "age exact": {"exact": True},
}  # fmt: skip
_YOUNG = {"wave": "2023", "age": "18 to 29"}
NAMES = ("js_distance", "total_variation", "hellinger", "wasserstein_normalised")


def made(kind, K, n, C, seed, **options):
    """C pairs of one kind; unlike samples are n people and four times as many."""
    options |= _KINDS[kind]
    if kind.startswith(("clustered", "age")):
        return clustered(K, C, population=_YOUNG if kind.startswith("age") else None, seed=seed, **options)
    return simple(K, n, C, seed=seed, **options | ({"m": 4 * n} if kind == "unlike" else {}))


@dataclass
class NullCell:
    """What null pairs showed, by name of the distance.

    ratio: mean of the floors over the mean distance. above: share of pairs above the 95th percentile. bias: mean
    debiased square over that of the square as it is. beyond: share of *beyond noise*.
    """

    pairs: int
    ratio: dict[str, float]
    above: dict[str, float]
    bias: dict[str, float]
    beyond: float


def null_cells(kind, K, n, pairs, draws=500):
    """Null pairs of one kind, by the smallest expected count: "20 and more", "5 to 20", "under 5"."""
    sums = {}
    for seed in range(-(-pairs // _CHUNK)):
        drawn = made(kind, K, n, _CHUNK, seed)
        floors, seen = drawn.floors(draws), drawn.observed()
        parts = [np.ones(_CHUNK), floors.p < 0.05]
        for x in NAMES:
            root = np.sqrt(seen[x])
            parts += [floors.mean[x], root, root > floors.p95[x], floors.square[x], seen[x]]
        columns = np.stack(parts)
        for low, high, label in ((20, np.inf, "20 and more"), (5, 20, "5 to 20"), (0, 5, "under 5")):
            here = (drawn.counts >= low) & (drawn.counts < high)
            sums[label] = sums.get(label, 0) + columns[:, here].sum(axis=1)
    found = {}
    for label, total in sums.items():
        if total[0] >= 200:
            by_name = dict(zip(NAMES, total[2:].reshape(len(NAMES), 5), strict=True))
            found[label] = NullCell(
                int(total[0]), {x: t[0] / t[1] for x, t in by_name.items()},
                {x: t[2] / total[0] for x, t in by_name.items()}, {x: 1 - t[3] / t[4] for x, t in by_name.items()},
                total[1] / total[0],
            )  # fmt: skip
    return found


@dataclass
class CoverageCell:
    """How often intervals missed a true distance, by name.

    below, above: share of pairs whose truth lay below and above the interval. infinite: share whose distance was
    infinite. one_sided: share of intervals [low, ∞) with a finite low.
    """

    pairs: int
    below: dict[str, float]
    above: dict[str, float]
    infinite: dict[str, float]
    one_sided: dict[str, float]

    def covered(self, name):
        return 1 - self.below[name] - self.above[name]


def coverage_cell(kind, K, n, floors, pairs, replicates=400):
    """Pairs of two truths so many floors apart, and what their 95% intervals cover."""
    names, counts, chunks = (*NAMES, "kl", "kl_reversed"), 0, -(-pairs // _CHUNK)
    for seed in range(chunks):
        drawn = made(kind, K, n, _CHUNK, seed, floors=floors, replicates=replicates)
        truth, seen, found = squared(*drawn.truth, drawn.scale), drawn.observed(), []
        for x in names:
            low, high = drawn.intervals(x)
            true = truth[x] if x.startswith("kl") else np.sqrt(truth[x])
            found.append([~(low <= true), true > high, np.isinf(seen[x]), np.isfinite(low) & np.isinf(high)])
        counts = counts + np.array(found).sum(axis=2)
    shares = counts / (chunks * _CHUNK)
    return CoverageCell(chunks * _CHUNK, *(dict(zip(names, column, strict=True)) for column in shares.T))


def show_null(kind, K, n, pairs, draws):
    for label, cell in null_cells(kind, K, n, pairs, draws).items():
        print(
            f"{kind:16} {K:2} {n:5} {label:11} {cell.pairs:6} |", *(f"{x:.3f}" for x in cell.ratio.values()), "|",
            *(f"{x:.4f}" for x in cell.above.values()), "|", f"{cell.beyond:.4f}", "|",
            *(f"{x:+.3f}" for x in cell.bias.values()), flush=True,
        )  # fmt: skip


def show_coverage(kind, K, n, floors, pairs, draws):
    cell = coverage_cell(kind, K, n, floors, pairs, draws)
    said = [f"{x[:5]} {cell.covered(x):.3f} ({cell.below[x]:.3f}, {cell.above[x]:.3f})" for x in cell.below]
    infinite = [f"{cell.infinite[x]:.3f}" for x in ("kl", "kl_reversed")]
    print(f"{kind:16} {K:2} {n:5} {floors:g} {cell.pairs:6} |", *said, "| infinite", *infinite, flush=True)


def study():
    """Print the cells that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("null", "cover", "all"), default="all")
    parser.add_argument("--kind", nargs="+", choices=_KINDS, default=list(_KINDS))
    parser.add_argument("--options", nargs="+", type=int, default=[2, 5, 11], metavar="K")
    parser.add_argument("--n", nargs="+", type=int, help="people on the first side, of samples that are not clustered")
    parser.add_argument("--floors", nargs="+", type=float, default=[2, 4, 8], help="true distances for the coverage")
    parser.add_argument("--pairs", type=int, help="pairs in each cell")
    parser.add_argument("--draws", type=int, default=500, help="draws of noise, or replicates of a sample")
    asked = parser.parse_args()
    for what, title in (
        ("null", "floor / seen mean: js tv hell W1 | above p95: the same | beyond noise | bias left of the square"),
        ("cover", "coverage of 95% intervals (truth below, truth above) by the true distance in floors"),
    ):
        if asked.what not in (what, "all"):
            continue
        print(title)
        for K in asked.options:
            for kind in asked.kind:
                simple_ = not kind.startswith(("clustered", "age"))
                for n in (asked.n or _SIZES[what]) if simple_ else (0,):
                    if what == "null":
                        show_null(kind, K, n, asked.pairs or 20_000, asked.draws)
                        continue
                    for floors in asked.floors:
                        show_coverage(kind, K, n, floors, asked.pairs or 4_000, asked.draws)


if __name__ == "__main__":
    study()
