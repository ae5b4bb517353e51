"""The teaching survey: a sample of Vellamar, drawn and weighted as surveys are, with the truth beside it.

`python -m plural_nb.demo.teaching` writes `data/surveys/teaching.parquet`, `teaching_replicates.parquet` and
`teaching_truth.csv`; the words of questions and options are in `teaching.toml`, which it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from plural_nb.demo.country import PEOPLE, STRATA, WAVES, Floats, Ints, People
from plural_nb.demo.opinions import NOT_ASKED, REFUSED, opinions
from plural_nb.resources import data
from plural_nb.survey.codebook import Codebook
from plural_nb.survey.weighting import rake

# The polars version whose Parquet writer made the shipped bytes; another one may pack the same values differently.
MADE_WITH_POLARS = "2.1.0"
PSUS_PER_WAVE = 90
ASKED_PER_PSU = 51
REPLICATES = 80
_SEED = 20_240_229


def main(folder: Path | None = None) -> None:
    """Write the three files into a folder, the shipped `data/surveys` when None."""
    folder = folder or data("surveys")
    sample, truth = teaching_survey()
    replicates = replicate_factors(sample)
    for name, frame in (("teaching", sample), ("teaching_replicates", replicates)):
        frame.write_parquet(folder / f"{name}.parquet", compression="zstd", compression_level=19, statistics=False)
    truth.write_csv(folder / "teaching_truth.csv", float_precision=6)


def teaching_survey() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the sample (one row per respondent) and the truth (wave, question, option, share).

    The sample's columns: respondent, wave, stratum, psu, base_weight, weight, a column per trait and per question.
    Codes are the codebook's; null where a question was not asked (skipped, or not among those to rate), or a trait
    was refused. Weights add up to 3,000 in each wave. Truth has the waves and "all" of them together, in shares of
    the substantive options among everyone who would be asked; and, for a question that has numbers, their mean as
    option "(mean)".
    """
    book = Codebook.read(data("surveys", "teaching.toml"))
    samples, everyone = [], []
    for wave in WAVES:
        people = People(wave)
        answers = opinions(people)
        everyone.append(answers)
        samples.append(_sample(people, answers, wave))
    sample = pl.concat(samples)
    sample = sample.with_columns(respondent=pl.int_range(1, sample.height + 1, dtype=pl.Int16))
    columns = ["respondent", "base_weight", *book.columns]
    truth = pl.DataFrame(list(_truth(book, everyone)), schema=["wave", "question", "option", "share"], orient="row")
    return sample.select(columns), truth


def replicate_factors(sample: pl.DataFrame) -> pl.DataFrame:
    """Return Rao–Wu bootstrap factors: one row per PSU, columns psu, stratum, rep_1 to rep_80.

    A respondent's r-th replicate weight is weight × the factor rep_r of the own PSU. In each stratum n_h − 1 of its
    n_h PSUs are drawn with replacement; a PSU drawn m times gets m·n_h/(n_h − 1). The variance is the mean squared
    difference from the full-sample estimate (c_r = 1/80). Rao, Wu and Yue (1992).
    """
    draw = np.random.RandomState(_SEED + 1)
    psus = sample.select("stratum", "psu").unique().sort("psu")
    stratum = psus["stratum"].to_numpy()
    factors = np.zeros((psus.height, REPLICATES))
    for h in np.unique(stratum):
        members = np.flatnonzero(stratum == h)
        n = members.size
        for r in range(REPLICATES):
            drawn = np.floor(draw.random_sample(n - 1) * n).astype(np.int64)
            factors[members, r] = np.bincount(drawn, minlength=n) * n / (n - 1)
    names = [f"rep_{r + 1}" for r in range(REPLICATES)]
    return psus.select("psu", "stratum").hstack(pl.DataFrame(factors, schema=names))


def _sample(people: People, answers: dict[str, Ints], wave: int) -> pl.DataFrame:
    """Draw municipalities by size, people in them, and who responds; then weight them."""
    draw = np.random.RandomState(_SEED + wave)
    in_stratum = np.bincount(people.stratum, minlength=STRATA)
    psus = _psus_per_stratum(in_stratum)
    chosen: list[Ints] = []
    psu: list[Ints] = []
    base: list[Floats] = []
    for h in range(STRATA):
        for municipality in _by_size(draw, people.municipality[people.stratum == h], int(psus[h])):
            here = np.flatnonzero(people.municipality == municipality)
            # One grown-up of each household: someone who shares it with two others is drawn a third as often.
            keys = -np.log(1 - draw.random_sample(here.size)) * people.adults[here]
            chosen.append(here[np.argsort(keys, kind="stable")[:ASKED_PER_PSU]])
            psu.append(np.full(chosen[-1].size, len(psu) + 1))
            base.append(people.adults[chosen[-1]] * in_stratum[h] / psus[h])
    rows, cluster, weight = np.concatenate(chosen), np.concatenate(psu), np.concatenate(base)
    responds = draw.random_sample(rows.size) < _response(people, answers)[rows]
    rows, cluster, weight = rows[responds], cluster[responds], weight[responds]
    columns = {name: codes[rows] + 1 for name, codes in people.traits.items()}
    raked = _rake(people, rows, weight)
    columns |= {name: codes[rows] for name, codes in answers.items()}
    unasked = draw.random_sample(rows.size) < 1 / 3
    for name in columns:
        if name.startswith("rate_"):
            # A third is not asked to rate, and some of the others leave one out.
            columns[name] = np.where(unasked | (draw.random_sample(rows.size) < 0.02), NOT_ASKED, columns[name])
    for name, refused in (("income", 0.08), ("faith", 0.02)):
        columns[name] = np.where(draw.random_sample(rows.size) < refused, NOT_ASKED, columns[name])
    number = WAVES.index(wave) + 1
    frame = pl.DataFrame(columns).with_columns(pl.all().cast(pl.Int8).replace(NOT_ASKED, None))
    return frame.with_columns(
        wave=pl.lit(wave, dtype=pl.Int16),
        stratum=pl.Series(number * 100 + people.stratum[rows] + 1, dtype=pl.Int16),
        psu=pl.Series(number * 100 + cluster, dtype=pl.Int16),
        base_weight=pl.Series(np.round(weight / weight.mean(), 3)),
        weight=pl.Series(np.round(raked, 4)),
    )


def _psus_per_stratum(in_stratum: Ints) -> Ints:
    # Between equal and proportional: small regions and villages get enough people for estimates of their own.
    wanted = (in_stratum / in_stratum.sum()) ** 0.35
    return np.asarray(np.maximum(4, np.round(PSUS_PER_WAVE * wanted / wanted.sum())), dtype=np.int64)


def _by_size(draw: np.random.RandomState, homes: Ints, n: int) -> Ints:
    """Draw n municipalities with probability proportional to size, systematically from a random order."""
    names, sizes = np.unique(homes, return_counts=True)
    order = np.argsort(draw.random_sample(names.size), kind="stable")
    upto = np.cumsum(sizes[order])
    picks = (np.arange(n) + draw.random_sample()) * upto[-1] / n
    return np.asarray(names[order][np.searchsorted(upto, picks, side="right")], dtype=np.int64)


def _response(people: People, answers: dict[str, Ints]) -> Floats:
    traits = people.effect(
        age=(-0.8, -0.2, 0.2, 0.5), education=(-0.6, 0.0, 0.5), settlement=(-0.2, 0.0, 0.3), gender=(0.1, -0.1)
    )
    trust = answers["trust_parliament"]
    opinion = np.select([trust == 1, trust == 3, trust == 4, trust == REFUSED], [0.3, -0.1, -0.5, -0.5], 0.1)
    return np.asarray(1 / (1 + np.exp(-(0.85 + traits + opinion))))


def _rake(people: People, rows: Ints, weight: Floats) -> Floats:
    """Rake to the whole population's age by gender, education by age group, and strata; 3,000 in each wave."""
    cells = {
        "age_gender": people.traits["age"] * 2 + people.traits["gender"],
        "education_age": people.traits["education"] * 2 + (people.traits["age"] >= 2),
        "stratum": people.stratum,
    }
    margins = {
        name: {int(k): float(n) * 3000 / PEOPLE for k, n in enumerate(np.bincount(cell)) if n}
        for name, cell in cells.items()
    }
    frame = pl.DataFrame({name: cell[rows] for name, cell in cells.items()})
    return rake(frame, margins, weight=weight).weight


def _truth(book: Codebook, everyone: list[dict[str, Ints]]) -> Iterator[tuple[str, str, str, float]]:
    for label, waves in [("all", [0, 1, 2]), *((str(w), [i]) for i, w in enumerate(WAVES))]:
        for key, question in book.questions.items():
            answer = np.concatenate([everyone[i][key] for i in waves])
            options = [question.options[i] for i in question.substantive]
            top = max((o.bounds[1] for o in options if o.bounds), default=0.0)
            counts = []
            for option in options:
                low, high = option.bounds or (option.code, None)
                # The highest interval includes its upper bound.
                chose = answer == low if high is None else (answer >= low) & ((answer < high) | (high == top))
                counts.append(int(np.count_nonzero(chose)))
            for option, count in zip(options, counts, strict=True):
                yield label, key, option.label, count / sum(counts)
            if question.kind == "numeric":
                yield label, key, "(mean)", float(answer[answer >= 0].mean())


if __name__ == "__main__":
    main()
