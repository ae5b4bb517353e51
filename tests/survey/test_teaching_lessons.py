"""What notebook 03 tells a class about the teaching survey, held against its known truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb import resources
from plural_nb.survey.information import cross_table


@pytest.fixture(scope="module")
def survey() -> pnb.Survey:
    return pnb.load_survey("teaching")


def against_the_truth(survey: pnb.Survey, *, weighted: bool) -> pl.DataFrame:
    truth = pl.read_csv(resources.data("surveys", "teaching_truth.csv")).filter(pl.col("wave") == "all")
    found = pl.concat(shares.table() for shares in pnb.tabulate(survey, weighted=weighted).values())
    found = found.join(truth.select("question", "option", truth="share"), on=["question", "option"])
    return found.with_columns(
        error=(pl.col("share") - pl.col("truth")).abs(),
        inside=(pl.col("low") <= pl.col("truth")) & (pl.col("truth") <= pl.col("high")),
    )


def places(survey: pnb.Survey) -> list[str]:
    region, settlement = survey.trait_codes["region"], survey.trait_codes["settlement"]
    return [f"{r}, {s}" for r, s in zip(region, settlement, strict=True)]


def test_weights_repair_the_planted_bias_but_not_of_trust(survey: pnb.Survey) -> None:
    plain, weighted = (against_the_truth(survey, weighted=w) for w in (False, True))
    assert plain["inside"].mean() < 0.5
    assert weighted["inside"].mean() > 0.9
    assert weighted["error"].mean() < plain["error"].mean() / 3
    toll = pl.col("question") == "toll"
    assert plain.filter(toll)["error"].max() == pytest.approx(0.09, abs=0.005)
    assert weighted.filter(toll)["error"].max() < 0.01
    trust = pl.col("question") == "trust_parliament"
    assert weighted.filter(trust)["inside"].mean() < 0.5


def test_strata_and_psus_pull_the_design_effect_apart_from_kish(survey: pnb.Survey) -> None:
    answers = survey.answers("toll")

    def deff(**without: None) -> float:
        shares = dataclasses.replace(answers, design=dataclasses.replace(survey.design, **without)).shares()
        assert shares.deff_wr is not None
        return float(shares.deff_wr[0, 0])

    assert deff(stratum=None) / deff() == pytest.approx(14, abs=0.5)
    nature = survey.answers("nature")
    no_psus = dataclasses.replace(nature, design=dataclasses.replace(survey.design, psu=None)).shares()
    assert no_psus.deff_wr is not None
    whole = nature.shares()
    assert whole.deff_wr is not None
    assert no_psus.deff_wr[0, 0] < whole.deff_wr[0, 0] / 1.3
    kish = whole.n[0] / whole.n_eff_kish[0]
    assert whole.deff_wr.min() < kish < whole.deff_wr.max()


def test_noise_seems_to_tell_more_and_tells_less(survey: pnb.Survey) -> None:
    weak = cross_table(survey.answers("job"), places(survey))
    rng = np.random.default_rng(1)
    seems, gains = [], []
    for sd in (0.0, 0.01, 0.02, 0.05):
        draws = np.clip(weak.share + rng.normal(0, sd, (100, *weak.share.shape)), 0.001, None)
        noisy = [dataclasses.replace(weak, share=draw / draw.sum(axis=1, keepdims=True)) for draw in draws]
        seems.append(np.mean([t.bits for t in noisy]))
        gains.append(np.mean([weak.kept(t.share).bits for t in noisy]))
    assert (np.diff(seems) > 0).all()
    assert (np.diff(gains) < 0).all()
    assert gains[-1] < 0
    toll = cross_table(survey.answers("toll"), places(survey))
    assert toll.rounded(0.01).share > 0.99
    assert toll.noisy(0.02).share > 0.95 > toll.noisy(0.1).share > 0.5
