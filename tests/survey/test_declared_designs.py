"""The lines that are written beside a survey declare its design in R's and Stata's words; R, where it is, agrees."""

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plural_nb.survey.declaring import r_lines, stata_lines
from plural_nb.survey.design import Design
from plural_nb.survey.replicates import Replicates, bootstrap, jackknife
from plural_nb.survey.survey import Survey
from plural_nb.survey.weighting import calibrate, post_stratify, rake, trim


@pytest.fixture(scope="module")
def survey(likert):
    options = [{"code": c, "label": f"level {c}"} for c in (1, 2, 3, 4)]
    book = {
        "design": {"weight": "weight", "stratum": "stratum", "psu": "psu"},
        "traits": {"region": {"options": [{"label": r} for r in ("East", "North", "South", "West")]}},
        "questions": {"q2": {"text": "?", "options": options}},
    }
    return Survey.from_frame(likert, book, name="likert")


@pytest.fixture(scope="module")
def surveys(survey, likert, oracle):
    """The survey under every design of the reference, and finite populations."""
    base = survey.design
    made = {"strata": base, "weights": Design(base.weight), "fraction": replace(base, fpc=np.full(likert.height, 0.3))}
    made["population"] = replace(base, fpc=likert["stratum"].str.slice(1).cast(pl.Float64).to_numpy() + 5)
    for kind in ("brr", "fay30", "jkn", "bootstrap"):
        factors = likert.select("psu").join(
            pl.read_csv(oracle / f"rep_likert_{kind}.csv"), on="psu", how="left", maintain_order="left"
        )
        weights = factors.drop("psu").to_numpy() * base.weight[:, None]
        made[kind] = replace(base, replicates={
            "brr": lambda w: Replicates.brr(w, centre="mean"), "fay30": lambda w: Replicates.fay(w, 0.3),
            "jkn": lambda w: Replicates.jkn(w, np.full(48, 0.5)), "bootstrap": Replicates.bootstrap,
        }[kind](weights))  # fmt: skip
    made |= {"made_jkn": jackknife(base), "made_bootstrap": bootstrap(base, 20, seed=1)}
    table = pl.read_csv(oracle / "likert_margins.csv")
    margins = {v: dict(table.filter(variable=v).select("level", "total").rows())
               for v in table["variable"].unique(maintain_order=True)}  # fmt: skip
    two = {name: margins[name] for name in ("region", "gender")}
    raked = rake(likert, margins, weight="weight")
    fits = {
        "poststratified": post_stratify(likert, "region", margins["region"], weight="weight"),
        "raked": raked, "raked2": rake(likert, two, weight="weight"),
        "greg": calibrate(likert, margins, weight="weight"),
        "bounded": calibrate(likert, margins, weight="weight", bounds=(0.5, 2.0)),
        "exponential": calibrate(likert, margins, weight="weight", distance="raking"),
        "trimmed": trim(raked, lower_medians=0.1, upper_medians=4),
    }  # fmt: skip
    made |= {name: fit.design(base) for name, fit in fits.items()}
    made["brr_raked"] = fits["raked2"].design(made["brr"])
    return {name: replace(survey, design=design) for name, design in made.items()}


def test_r_finds_the_same_shares_and_errors_by_the_lines_written(surveys, tmp_path):
    rscript = shutil.which("Rscript")
    if rscript is None or subprocess.run([rscript, "-e", "library(survey)"], capture_output=True).returncode:
        pytest.skip("R with its survey package is not on this machine")
    program = []
    for name, survey in surveys.items():
        survey.write(tmp_path / f"{name}.csv")
        program += [
            f'source("{name}.R")', "m <- svymean(~factor(q2), design, na.rm = TRUE)",
            f'cat("{name}", sprintf("%.17g", c(coef(m), SE(m))), "\\n")',
        ]  # fmt: skip
    (tmp_path / "all.R").write_text("\n".join(program), encoding="utf-8")
    done = subprocess.run([rscript, "all.R"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {line.split()[0]: np.array(line.split()[1:], dtype=float) for line in done.stdout.splitlines()}
    assert set(found) == set(surveys)
    for name, survey in surveys.items():
        shares = survey.answers("q2").shares()
        np.testing.assert_allclose(found[name][:4], shares.share[0], rtol=1e-9, err_msg=name)
        np.testing.assert_allclose(found[name][4:], shares.se[0], rtol=1e-8, err_msg=name)


def test_a_calibrated_design_starts_from_the_weights_before(surveys, tmp_path, likert):
    paths = surveys["poststratified"].write(tmp_path / "out.parquet")
    frame = pl.read_parquet(paths[0])
    np.testing.assert_array_equal(frame["base_weight"], likert["weight"])
    by_cell = frame.group_by("calib_1").agg(pl.col("weight").sum(), pl.col("calib_total").first())
    np.testing.assert_allclose(by_cell["weight"], by_cell["calib_total"])
    r, stata = paths[2].read_text(encoding="utf-8"), paths[3].read_text(encoding="utf-8")
    assert "weights = ~base_weight" in r
    assert "postStratify(design, ~calib_1, data.frame(calib_1 = 1:4, Freq = c(260000, 330000" in r
    assert (
        "[pweight = base_weight], strata(stratum) singleunit(missing) poststrata(calib_1) postweight(calib_total)"
        in (stata)
    )


def test_statas_words_for_populations_and_totals(surveys, tmp_path):
    def svyset(name):
        return [line for line in stata_lines(surveys[name], tmp_path / "x.dta").splitlines() if "svyset" in line][-1]

    assert svyset("population") == "svyset psu [pweight = weight], strata(stratum) fpc(fpc) singleunit(missing)"
    assert "fpc = ~fpc" in r_lines(surveys["population"], tmp_path / "x.csv")
    assert "rake(ibn.calib_1 ibn.calib_2, noconstant totals(1.calib_1=260000 2.calib_1=330000" in svyset("raked2")
    assert svyset("bounded").endswith("ll(0.5) ul(2))")
    assert "regress(calib_1 calib_2" in svyset("greg")
    assert svyset("brr_raked").startswith("svyset [pweight = base_weight], brrweight(repwt_1 repwt_2")
    # Stata has no trimming after a calibration, and is told the final weights.
    assert svyset("trimmed") == "svyset psu [pweight = weight], strata(stratum) singleunit(missing)"
    assert "its errors differ" in stata_lines(surveys["trimmed"], tmp_path / "x.dta")
