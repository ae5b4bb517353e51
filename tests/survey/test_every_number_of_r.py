"""Every number in the reference files is reproduced, or named here with the reason why it is not truth."""

import csv
import fnmatch
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.special import stdtrit

from plural_nb.answers import Answers
from plural_nb.survey.association import chi2, cramers_v, digby, phi, polychoric, tetrachoric
from plural_nb.survey.contrasts import difference
from plural_nb.survey.design import Design
from plural_nb.survey.independence import independence
from plural_nb.survey.intervals import bounds
from plural_nb.survey.means import mean, total
from plural_nb.survey.measure import Measure
from plural_nb.survey.quantiles import quantile
from plural_nb.survey.question import Option, Question
from plural_nb.survey.regression import regress
from plural_nb.survey.replicates import Replicates
from plural_nb.survey.shares import Shares, estimate, joint_shares_covariance
from plural_nb.survey.weighting import calibrate, post_stratify, rake, trim

ORACLE = Path(__file__).parent / "oracle"
PEOPLE = pl.read_csv(ORACLE / "likert.csv")
WEIGHT = PEOPLE["weight"].to_numpy()
SAMPLE = Design.from_columns(WEIGHT, PEOPLE["stratum"].to_numpy(), PEOPLE["psu"].to_numpy())
INTERVALS = {"mean": "wald", "xlogit": "logit", "beta": "korn-graubard", "asin": "arcsine", "wilson_t": "wilson"}
LONELY = {"adjust": "centre", "average": "scale", "certainty": "skip", "remove": "skip"}
RULES = {"hf1": "math", "hf2": "school", "shahvaish": "shahvaish-r4.1", "old_discrete": "hf4", "old_rounded": "rounded"}

# Numbers that say which estimate a row is of, not estimates.
LABELS = {"level", "p", "table_id", "digits"}

# What the README of the reference calls not truth, and numbers that R's own other numbers contradict.
NOT_TRUTH = {
    "contrasts.json/ranktest_*": "svyranktest: its tie handling depends on the order of rows",
    "glm.json/4/*": "svyolr stops early; test_regression holds ours against the likelihood",
    "assoc.json/1/polychor_2step": "polycor's two steps stop at 0.9999 for table b, where 0.98575 is right",
    "assoc.json/3/psych_correct_0": "with an empty cell the likelihood rises to the limit; psych stops on the way",
}


# Relative, unless a pattern says more: the first that fits a number's path.
def tolerance(path: str) -> dict[str, float]:
    for pattern, found in {
        "props.json/*/logit_glm_*": {"rel": 3e-8},  # svyglm iterates to 1e-8; the closed form (xlogit) is the same
        "chisq.json/*/saddlepoint/p": {"rel": 1e-6},  # R searches the saddlepoint to 1e-8 only
        "chisq.json/*Wald/*": {"rel": 1e-9},  # a matrix inverse of condition 1e5
        "glm.json/*/p/*": {"rel": 1e-7},  # an error of 1e-8 in t is larger in the tail
        "glm.json/*/vcov/*": {"rel": 1e-8, "abs": 1e-11},
        "glm.json/*": {"rel": 1e-8, "abs": 1e-8},
        "weights_likert.csv/*": {"rel": 1e-9},
        "weighting*": {"rel": 1e-9},
        "assoc.json/[0-6]/psych_tau*": {"abs": 1e-10},
        "assoc.json/1/polychor_ml_se": {"rel": 1e-2},  # R's step of 1e-3 is coarse where rho is 0.98575
        "assoc.json/*_se": {"rel": 1e-3},
        "assoc.json/[7-9]/polychor*": {"abs": 3e-4},  # R's is less likely than ours: test_association
        "assoc.json/*/polychor*": {"abs": 3e-5},
        "assoc.json/*/psych_*": {"abs": 3e-5},
        "assoc.json/*/p": {"rel": 1e-9, "abs": 1e-300},
    }.items():
        if fnmatch.fnmatchcase(path, pattern):
            return {"abs": 0.0, **found}
    return {"rel": 1e-10, "abs": 1e-16}


def answers(variable: str, design: Design = SAMPLE, people: pl.DataFrame = PEOPLE, kind: str = "nominal") -> Answers:
    levels = sorted(people[variable].drop_nulls().unique().to_list())
    question = Question(variable, variable, tuple(Option(str(level), code=level) for level in levels), kind=kind)
    places = [-1 if x is None else levels.index(x) for x in people[variable].to_list()]
    return Answers.from_places(question, np.array(places), design=design)


@cache
def design(name: str, mse: bool = False) -> Design:
    if name in ("likert", "likert_wonly"):
        return SAMPLE if name == "likert" else Design(WEIGHT)
    kind = name.removeprefix("likert_")
    meta = next(
        r
        for r in csv.DictReader((ORACLE / "rep_meta.csv").open(encoding="utf-8"))
        if r["file"] == f"rep_likert_{kind}.csv"
    )
    factors = PEOPLE.select("psu").join(pl.read_csv(ORACLE / meta["file"]), on="psu", how="left", maintain_order="left")
    whole = factors.drop("psu").to_numpy() * WEIGHT[:, None]
    rscales = [float(x) for x in meta["rscales"].split()]
    return replace(SAMPLE, replicates=Replicates(whole, float(meta["scale"]), rscales, "theta" if mse else "mean"))


@cache
def shares(name: str, variable: str, domain: str, interval: str = "logit", mse: bool = False, df: Any = None) -> Shares:
    asked = answers(variable, replace(design(name, mse), df=df))
    return estimate(asked, interval=interval, by=PEOPLE[domain] if domain else None, cap=False)


def props(row: dict[str, Any], name: str) -> dict[str, Any]:
    cell = row["design"], row["var"], row["domain_var"]
    s = shares(*cell)
    g, k = s.groups.index(row["domain"]) if row["domain"] else 0, s.options.index(row["level"])
    of = (PEOPLE[row["var"]].cast(pl.String) == row["level"]).fill_null(False)
    here = PEOPLE[row["domain_var"]] == row["domain"] if row["domain"] else pl.Series([True]).new_from_index(0, 1575)
    ours = {
        "est": s.share[g, k], "se": s.se[g, k], "n": s.n[g], "n_cell": int((of & here).sum()),
        "sum_w": s.weight_sum[g], "df": s.df[g], "n_eff_kish": s.n_eff_kish[g], "deff_wr": s.deff_wr[g, k],
        "deff_wor": s.deff_wor[g, k], "df_full": shares(row["design"], "region", "").df[0],
    }  # fmt: skip
    for theirs, kind in INTERVALS.items():
        made = shares(*cell, kind)
        ours |= {f"{theirs}_lo": made.low[g, k], f"{theirs}_hi": made.high[g, k]}
    if 0 < ours["est"] < 1:
        # Ours stops at 0 and 1; R's sine folds back into the interval where the arc leaves the quarter circle.
        arc = math.asin(math.sqrt(ours["est"]))
        reach = stdtrit(s.df[g], 0.975) * ours["se"] / (2 * math.sqrt(ours["est"] * (1 - ours["est"])))
        for side, end, limit in (("lo", arc - reach, 0.0), ("hi", arc + reach, 1.0)):
            if not 0 <= end <= math.pi / 2:
                assert ours[f"asin_{side}"] == limit
                ours[f"asin_{side}"] = math.sin(end) ** 2
    ours |= {"logit_glm_lo": ours["xlogit_lo"], "logit_glm_hi": ours["xlogit_hi"]}
    full = shares(*cell, df=row["df_full"])
    ours |= {"xlogit_dffull_lo": full.low[g, k], "xlogit_dffull_hi": full.high[g, k]}
    one = (s.share[[g]][:, [k]], s.se[[g]][:, [k]], np.array([np.inf]), s.n[[g]].astype(float))
    low, high = bounds(*one, interval="wilson")
    return ours | {"wilson_z_lo": low[0, 0], "wilson_z_hi": high[0, 0]}


def props_vcov(row: dict[str, Any], name: str) -> dict[str, Any]:
    s = shares(row["design"], row["var"], "")
    return {"est": s.share[0], "vcov": s.covariance[0]}


def replicates(row: dict[str, Any], name: str) -> dict[str, Any]:
    s = shares(row["design"], row["var"], row["domain_var"], mse=row["mse"])
    g, k = s.groups.index(row["domain"]) if row["domain"] else 0, s.options.index(row["level"])
    return {
        "est": s.share[g, k], "se": s.se[g, k], "df": s.df[g], "xlogit_lo": s.low[g, k], "xlogit_hi": s.high[g, k],
    }  # fmt: skip


def means(row: dict[str, Any], name: str) -> dict[str, Any]:
    measure = Measure.of(PEOPLE[row["var"]], design(row["design"]))
    m, t = mean(measure), total(measure)
    return {
        "mean": m.estimate[0], "se": m.se[0], "deff_wor": m.deff_wor[0], "lo": m.low[0], "hi": m.high[0],
        "total": t.estimate[0], "se_total": t.se[0], "df": m.df[0],
    }  # fmt: skip


def quantiles(row: dict[str, Any], name: str) -> dict[str, Any]:
    rule, old = RULES.get(row["qrule"], row["qrule"]), row["interval"] == "Wald"
    found = quantile(
        Measure.of(PEOPLE[row["var"]], design(row["design"])), row["p"], rule=rule,
        interval="wald" if old else INTERVALS[row["interval"]], around="probability" if old else "estimate",
    )  # fmt: skip
    return {"q": found.estimate[0], "lo": found.low[0], "hi": found.high[0], "se": found.se[0]}


def contrasts(rows: dict[str, Any], name: str) -> dict[str, Any]:
    asked = answers("q1")
    groups, V = estimate(asked, by=PEOPLE["gender"]).groups, joint_shares_covariance(asked, PEOPLE["gender"])
    found = []
    for row in rows["contrasts"]:
        gap, k = difference(asked, str(row["level"]), "woman", "man", by=PEOPLE["gender"]), row["level"] - 1
        place = [groups.index(x) for x in row["order"]]
        found.append({"est": gap.estimate, "se": gap.se, "vcov": V[np.ix_(place, [k], place, [k])][:, 0, :, 0]})
    two = PEOPLE.with_columns(pl.when(pl.col("gender") != "other").then("gender").alias("gender"))
    r = regress(Measure.of(PEOPLE["q3"], SAMPLE), two, ["gender"])
    return {"contrasts": found, "ttest": {"diff": r.coefficient[1], "t": r.t[1], "df": r.df_residual, "p": r.p[1]}}


def chisq(row: dict[str, Any], name: str) -> dict[str, Any]:
    test = independence(answers(row["row"], design(row["design"])), PEOPLE[row["col"]].cast(pl.String))
    q = (len(test.rows) - 1) * (len(test.columns) - 1)
    order = [test.columns.index(x) for x in row.get("cols", [])]
    return {
        "n": test.n, "table": test.table[:, order],
        "F": {"statistic": test.f, "parameter": [test.ndf, test.ddf], "p": test.p},
        "Chisq": {"statistic": test.chi2, "parameter": q, "p": test.p_first_order},
        "Wald": {"statistic": test.wald, "parameter": [q, test.df], "p": test.wald_p},
        "adjWald": {"statistic": test.wald_adjusted, "parameter": [q, test.df - q + 1], "p": test.wald_adjusted_p},
        "saddlepoint": {"statistic": test.chi2, "p": test.p_saddlepoint},
    }  # fmt: skip


def glm(row: dict[str, Any], name: str) -> dict[str, Any]:
    if row["family"] == "svyolr_logistic":
        return {}
    people = PEOPLE.with_columns(y5=(pl.col("q1") >= 4).cast(pl.Float64))
    outcome, _, predictors = row["formula"].partition(" ~ ")
    measure = Measure.of(people[outcome], design(row["design"]), name=outcome)
    family = {"quasibinomial": "logistic", "gaussian": "linear"}[row["family"]]
    r = regress(measure, people, predictors.split(" + "), family=family)
    place = [r.names.index(_term(term)) for term in row["terms"]]
    full = replace(r, df_residual=r.df)
    ours = {
        "coef": r.coefficient, "se": r.se, "t": r.t, "p": r.p, "ci_lo_resid": r.bounds[0], "ci_hi_resid": r.bounds[1],
        "ci_lo_degf": full.bounds[0], "ci_hi_degf": full.bounds[1],
    }  # fmt: skip
    ours = {key: values[place] for key, values in ours.items()}
    ours |= {"df_resid": r.df_residual, "degf": r.df, "vcov": r.covariance[np.ix_(place, place)]}
    if "term_test" in row:
        ours["term_test"] = dict(zip(("F", "df", "ddf", "p"), r.test(row["term_test"]["term"]), strict=True))
    return ours


def _term(term: str) -> str:
    for column in ("gender", "region"):
        if term.startswith(column) and term != column:
            return f"{column}: {term[len(column) :]}"
    return {"(Intercept)": "(intercept)"}.get(term, term)


def lonely(row: dict[str, Any], name: str) -> dict[str, Any]:
    people = PEOPLE.filter(~pl.col("psu").is_in(row["dropped_psus"]))
    columns = (people[c].to_numpy() for c in ("weight", "stratum", "psu"))
    m = mean(answers(row["var"], Design.from_columns(*columns, lonely=LONELY[row["option"]]), people, "ordinal"))
    first = 1 - people[row["var"]].min()  # an ordinal scale starts at 1, and q3 at 0
    return {"est": m.estimate[0] - first, "se": m.se[0], "df": m.df[0]}


@cache
def fitted() -> dict[str, Any]:
    table = pl.read_csv(ORACLE / "likert_margins.csv")
    margins = {
        v: dict(table.filter(variable=v).select("level", "total").rows())
        for v in table["variable"].unique(maintain_order=True)
    }
    cells = PEOPLE.with_columns(pl.Series("w", pl.read_csv(ORACLE / "weights_likert.csv")["poststrat_region_age"]))
    totals = {(a, b): w for a, b, w in cells.group_by("region", "age_group").agg(pl.col("w").sum()).rows()}
    raked = rake(PEOPLE, margins, weight="weight")
    return {
        "poststrat_region": post_stratify(PEOPLE, "region", margins["region"], weight="weight"),
        "poststrat_region_age": post_stratify(PEOPLE, ["region", "age_group"], totals, weight="weight"),
        "rake_region_gender": rake(PEOPLE, {v: margins[v] for v in ("region", "gender")}, weight="weight"),
        "rake3": raked,
        "greg3": calibrate(PEOPLE, margins, weight="weight"),
        "greg3_bounds_05_2": calibrate(PEOPLE, margins, weight="weight", bounds=(0.5, 2.0)),
        "calraking3": calibrate(PEOPLE, margins, weight="weight", distance="raking"),
        "rake3_trim_4med": trim(raked, lower_medians=0.1, upper_medians=4),
    }


@cache
def reweighted(name: str, variable: str, residuals: bool) -> Shares:
    base = SAMPLE if name == "base" else fitted()[name].design(SAMPLE, residuals=residuals)
    return estimate(answers(variable, base))


def weighting(row: dict[str, Any], name: str) -> dict[str, Any]:
    s, naive = (reweighted(row["weighting"], row["var"], kind) for kind in (True, False))
    k, w = s.options.index(str(row["level"])), WEIGHT
    ours = {"est": s.share[0, k], "se_calibrated": s.se[0, k], "se_naive_fixed_weights": naive.se[0, k]}
    if row["weighting"] != "base":
        fit = fitted()[row["weighting"]]
        n_eff, w, ratio = fit.n_eff_kish_after, fit.weight, fit.largest / fit.smallest
    else:
        n_eff, ratio = estimate(Answers.from_places(answers("region").question, [0] * 1575, design=SAMPLE)), None
        n_eff, ratio = n_eff.n_eff_kish[0], w.max() / w.min()
    return ours | {"n_eff_kish": n_eff, "deff_kish": 1575 / n_eff, "sum_w": w.sum(), "max_over_min": ratio}


def weighting_extra(row: dict[str, Any], name: str) -> dict[str, Any]:
    base = design("likert_brr")
    s = estimate(answers("q3", fitted()["rake_region_gender"].design(base)))
    return {"q3_brr_raked": {"est": s.share[0, 1], "se": s.se[0, 1]}}


def assoc(row: dict[str, Any], name: str) -> dict[str, Any]:
    table = np.array(row["table"])
    x2, df, p = chi2(table)
    joint, margins = polychoric(table), polychoric(table, thresholds="margins")
    ours = {
        "table": table, "n": table.sum(), "chisq": x2, "df": df, "p": p,
        "cramers_v": cramers_v(table, corrected=False), "cramers_v_bergsma": cramers_v(table),
        "polychor_ml": joint.rho, "polychor_ml_se": joint.se,
        "polychor_2step": margins.rho, "polychor_2step_se": margins.se,
    }  # fmt: skip
    if table.shape == (2, 2):
        ours |= {"phi": phi(table), "digby_q": digby(table, power=0.5), "digby_tetra": digby(table)}
        for correct in ("0", "0.5"):
            found = tetrachoric(table, correct=float(correct))
            taus = [*found.row_thresholds, *found.column_thresholds]
            ours |= {f"psych_correct_{correct}": found.rho, f"psych_tau_correct_{correct}": taus}
        ours["psych_weighted"] = joint.rho
    return ours


def weights_likert(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {"id": PEOPLE["id"], "base": WEIGHT, **{key: fit.weight for key, fit in fitted().items()}}


def versions(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {}


REPRODUCED = {
    f"{made.__name__}.{'csv' if made is weights_likert else 'json'}": made
    for made in (assoc, chisq, contrasts, glm, lonely, means, props, props_vcov, quantiles, replicates, versions,
                 weighting, weighting_extra, weights_likert)
}  # fmt: skip


def leaves(theirs: Any, ours: Any, path: str) -> Iterator[tuple[str, float, Any]]:
    """Every number of the reference with its path, and ours at the same place (None where there is none)."""
    if isinstance(theirs, dict):
        for key, value in theirs.items():
            if key not in LABELS or isinstance(value, dict) or (key == "p" and not isinstance(value, list)):
                yield from leaves(value, ours.get(key) if isinstance(ours, dict) else None, f"{path}/{key}")
    elif isinstance(theirs, list):
        for i, value in enumerate(theirs):
            inside = ours is not None and len(ours) > i
            yield from leaves(value, ours[i] if inside else None, f"{path}/{i}")
    elif isinstance(theirs, int | float) and not isinstance(theirs, bool):
        yield path, theirs, ours


@pytest.mark.parametrize("name", REPRODUCED)
def test_every_number_of_the_file_is_reproduced_or_known_not_to_be_truth(name):
    reproduce = REPRODUCED[name]
    if name.endswith(".csv"):
        theirs: Any = pl.read_csv(ORACLE / name).to_dict(as_series=False)
    else:
        theirs = json.loads((ORACLE / name).read_text(encoding="utf-8"))
    ours = [reproduce(row, name) for row in theirs] if isinstance(theirs, list) else reproduce(theirs, name)
    wrong, compared = [], 0
    for path, value, found in leaves(theirs, ours, name):
        if any(fnmatch.fnmatchcase(path, pattern) for pattern in NOT_TRUTH):
            continue
        compared += 1
        scalar = None if found is None or np.ndim(found) else float(found)
        if scalar is None or math.isnan(scalar) or scalar != pytest.approx(value, **tolerance(path)):
            wrong.append((path, value, found))
    assert not wrong, f"{len(wrong)} of {compared} numbers differ; the first: {wrong[:8]}"
    assert compared or name == "versions.json"


def test_no_file_and_no_exception_is_forgotten():
    kinds = {p.name for p in ORACLE.iterdir()} - {"README.md"}
    data = {"likert.csv", "likert_margins.csv", "rep_meta.csv"} | {k for k in kinds if k.startswith("rep_likert_")}
    assert kinds - data == set(REPRODUCED)
    assert all(pattern.split("/")[0] in REPRODUCED for pattern in NOT_TRUTH)
