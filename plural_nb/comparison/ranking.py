"""Ranks with uncertainty: which of several means differ, when all are taken over the same drawn questions."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import polars as pl
from scipy import special

from plural_nb.comparison.distances import Floats
from plural_nb.comparison.verdict import SIGNIFICANCE, benjamini_hochberg


@dataclass(frozen=True, eq=False)
class Ranking:
    """Values of several models (or populations) with replicates that are paired across them.

    measure, label: what is ranked, and its full name. names: (M,). values: (M,). replicates: (M, R), each column over
    the same draw of questions. clusters: batteries or topics drawn. more_is_better: how to read the values.

    >>> r = np.random.default_rng(0)
    >>> shared = r.normal(size=500)
    >>> ranks = Ranking("mean_js", "JS", ("a", "b"), np.array([0.1, 0.3]),
    ...                 np.stack([0.1 + shared, 0.3 + shared + 0.01 * r.normal(size=500)]), 40)
    >>> ranks.table().select("name", "rank", "best").rows(), ranks.differences()["real"].to_list()
    ([('a', 1, 1.0), ('b', 2, 0.0)], [True])
    """

    measure: str
    label: str
    names: tuple[str, ...]
    values: Floats
    replicates: Floats = field(repr=False)
    clusters: int
    more_is_better: bool = False
    level: float = 0.95

    def table(self) -> pl.DataFrame:
        """Return one row per name, the best first: rank, value, rank_low, rank_high, best (share of draws it leads in).

        rank_low and rank_high count those that are really nearer and really farther (`differences`): ranks it may have.
        """
        order = np.argsort(-self.values if self.more_is_better else self.values, kind="stable")
        signed = -self.replicates if self.more_is_better else self.replicates
        # A draw without any question that can be scored has no leader.
        drawn = signed[:, np.isfinite(signed).any(axis=0)]
        first = drawn == np.nanmin(drawn, axis=0, initial=np.inf)
        lead = first / first.sum(axis=0) if drawn.size else np.full((len(self.names), 1), np.nan)
        nearer, farther = np.zeros(len(self.names), dtype=int), np.zeros(len(self.names), dtype=int)
        place = {name: i for i, name in enumerate(self.names)}
        for row in self.differences().filter("real").iter_rows(named=True):
            one, other = place[row["name"]], place[row["other"]]
            ahead = row["difference"] > 0 if self.more_is_better else row["difference"] < 0
            farther[one if ahead else other] += 1
            nearer[other if ahead else one] += 1
        M = len(self.names)
        return pl.DataFrame({
            "name": [self.names[i] for i in order], "rank": np.arange(1, M + 1), "value": self.values[order],
            "rank_low": 1 + nearer[order], "rank_high": M - farther[order], "best": lead.mean(axis=1)[order],
        })  # fmt: skip

    def differences(self) -> pl.DataFrame:
        """Return one row per pair: name, other, difference (name − other), low, high, p, p_adjusted, real.

        Bounds are the difference ∓ t_{m−1}·sqrt(m/(m − 1))·sd over paired replicates, m clusters; p is two-sided, and
        adjusted by Benjamini and Hochberg over all pairs, which `real` goes by.
        """
        m = self.clusters
        t = float(special.stdtrit(m - 1, (1 + self.level) / 2)) if m > 1 else np.inf
        rows, p = [], []
        for i, j in combinations(range(len(self.names)), 2):
            gap = float(self.values[i] - self.values[j])
            drawn = self.replicates[i] - self.replicates[j]
            drawn = drawn[np.isfinite(drawn)]
            sd = float(np.sqrt(m / (m - 1)) * drawn.std()) if m > 1 and drawn.size > 1 else np.inf
            reach = t * sd if sd > 0 else 0.0
            # One battery or topic says nothing of how others would differ.
            p.append(1.0 if m < 2 else float(2 * special.stdtr(m - 1, -abs(gap) / sd)) if sd > 0 else float(gap == 0))
            rows.append((self.names[i], self.names[j], gap, gap - reach, gap + reach))
        columns = ["name", "other", "difference", "low", "high"]
        frame = pl.DataFrame(
            rows, schema=dict(zip(columns, [pl.String] * 2 + [pl.Float64] * 3, strict=True)), orient="row"
        )
        adjusted = benjamini_hochberg(np.array(p))
        return frame.with_columns(
            p=pl.Series(p, dtype=pl.Float64), p_adjusted=pl.Series(adjusted, dtype=pl.Float64),
            real=pl.Series(adjusted < SIGNIFICANCE, dtype=pl.Boolean),
        )  # fmt: skip

    def sentence(self) -> str:
        """Which lead, and which differences are real, in plain text."""
        table, real = self.table(), self.differences().filter("real").height
        pairs = len(self.names) * (len(self.names) - 1) // 2
        first, value = table["name"][0], table["value"][0]
        if not np.isfinite(value):
            return f"By {self.label} nothing can be ranked: no question could be scored by it."
        if not pairs:
            return f"By {self.label}, {first} has {value:.3g}; there is no other to rank it against."
        if self.clusters < 2:
            return (
                f"By {self.label}, {first} comes first ({value:.3g}); all questions are of one battery or topic, so "
                "whether a difference is real cannot be told."
            )
        return (
            f"By {self.label}, {first} comes first ({value:.3g}; in {table['best'][0]:.0%} of draws of "
            f"questions); {real} of {pairs} differences are real."
        )
