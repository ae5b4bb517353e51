"""Entropy of both sides of a comparison: how much each spreads over the options."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from scipy import special

from plural_nb.comparison.distances import Floats
from plural_nb.comparison.intervals import t_reach
from plural_nb.comparison.pair_distances import PairDistances


def entropy_table(distances: PairDistances) -> pl.DataFrame:
    """Return one row per group and side: entropy_nats, entropy_bits, entropy_normalised, debiased_nats, low, high.

    A sample's entropy is too low by ½ Σ Var(p_k)/p_k nats to first order (Miller and Madow's (K − 1)/2n for a simple
    random sample); `debiased_nats` has it added. low and high are of nats: the debiased value ∓ t times the standard
    deviation over replicates, kept from 0 to ln K.
    """
    pairs, rows = distances.pairs, []
    for which, side, drawn in zip("ab", (pairs.a, pairs.b), distances.drawn, strict=True):
        p = side.shares.share[pairs.usable]
        nats = special.entr(p).sum(axis=1)
        debiased = nats + entropy_bias(side.shares.covariance, side.shares.share)[pairs.usable]
        sd = special.entr(drawn).sum(axis=0).std(axis=1)
        df = side.shares.df[pairs.usable]
        some = sd > 1e-12  # an exact row varies by rounding alone
        reach = np.where(some, t_reach(df, distances.level) * np.where(some, sd, 1.0), 0.0)
        most = math.log(p.shape[1])
        low, high = np.clip(debiased - reach, 0, most), np.clip(debiased + reach, 0, most)
        at = {int(g): c for c, g in enumerate(pairs.usable)}
        for g, group in enumerate(pairs.groups):
            c = at.get(g)
            values = [math.nan] * 6 if c is None else [
                nats[c], nats[c] / math.log(2), nats[c] / most, debiased[c], low[c], high[c]]  # fmt: skip
            names = ("entropy_nats", "entropy_bits", "entropy_normalised", "debiased_nats", "low", "high")
            about = {"group": group, "side": which, "source": side.shares.source.name}
            rows.append(about | dict(zip(names, map(float, values), strict=True)))
    return pl.DataFrame(rows)


def entropy_bias(covariance: Floats | None, share: Floats) -> Floats:
    """Return (G,) nats that the entropy of estimated shares (G, K) falls short by: ½ Σ Var(p_k)/p_k."""
    if covariance is None:
        return np.zeros(share.shape[0])
    variance = np.maximum(np.einsum("gkk->gk", covariance), 0.0)
    return np.asarray(np.where(share > 0, variance / np.where(share > 0, share, 1.0), 0.0).sum(axis=1) / 2)
