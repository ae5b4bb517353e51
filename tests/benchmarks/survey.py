"""How quick the survey core is: one JSON object, medians, no verdict.

Run `python tests/benchmarks/survey.py [--svy PYTHON]`. The data are made up: 100 questions of five options, 60 groups,
1,000 PSUs in 50 strata.

50k, 1M: for so many people
    weights_only_s, design_s: 100 questions × 60 groups with standard errors and intervals, with weights alone and
        with strata and PSUs.
    vs_svy: the time svy takes for the same shares under strata and PSUs, over ours (a few questions, scaled up).
    peak_mb: resident memory of the process at its highest, the data included.
read_ratio: `read_survey` of a 50,000 × 500 .sav, all columns in memory and ready to be asked, over the time of
    pyreadstat's read_sav into polars; a question's rows are encoded when it is asked.
population_ms: another population in a panel: who is in it, and the shares of one question, 50,000 people.

svy is measured in this Python where it is installed, else in the one given by --svy. A figure that cannot be measured
here is null, and `reasons` says why.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

QUESTIONS, OPTIONS, GROUPS, PSUS, STRATA = 100, 5, 60, 1000, 50
SIZES = {"50k": 50_000, "1M": 1_000_000}
SVY_QUESTIONS = {"50k": 5, "1M": 2}

SVY = """
import json, sys, time
import polars as pl, svy
path, names = sys.argv[1], sys.argv[2].split(",")
frame = pl.read_parquet(path)
sample = svy.Sample(frame, svy.Design(stratum="stratum", psu="psu", wgt="weight"))
sample.estimation.prop(names[0], by="group")
start = time.perf_counter()
sample.estimation.prop(names, by="group")
print(json.dumps((time.perf_counter() - start) / len(names)))
"""


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser()
    options.add_argument("--svy", metavar="PYTHON", help="a Python that has svy")
    options.add_argument("--measure", metavar="SIZE", choices=SIZES, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.measure:
        print(json.dumps(measure(SIZES[chosen.measure])))
        return
    reasons: dict[str, str] = {}
    result: dict[str, Any] = {}
    for size, n in SIZES.items():
        # Each size has a process of its own, so that the peak of memory is its own.
        command = [sys.executable, __file__, "--measure", size]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        result[size] = {key: found[key] for key in ("weights_only_s", "design_s")}
        result[size]["vs_svy"] = _or_reason(reasons, f"{size} vs_svy", partial(against_svy, chosen.svy, size, n, found))
        if size == "1M":
            result[size]["peak_mb"] = found["peak_mb"]
        else:
            result["population_ms"] = found["population_ms"]
    result["read_ratio"] = _or_reason(reasons, "read_ratio", read_ratio)
    order = ("50k", "1M", "read_ratio", "population_ms")
    print(json.dumps({key: result[key] for key in order} | {"reasons": reasons}, indent=2))


def measure(n: int) -> dict[str, float]:
    """Seconds and megabytes for n people."""
    from plural_nb.survey.design import Design
    from plural_nb.survey.survey import Population, Survey
    from plural_nb.survey.tabulation import tabulate

    options = [{"code": k, "label": str(k)} for k in range(OPTIONS)]
    book = {
        "design": {"weight": "weight", "stratum": "stratum", "psu": "psu"},
        "traits": {"group": {"label": "G", "options": [{"code": k, "label": f"G{k}"} for k in range(GROUPS)]}},
        "questions": {name: {"text": "?", "options": options} for name in _names()},
    }
    survey = Survey.from_frame(made_up(n), book)
    plain = dataclasses.replace(survey, design=Design(survey.design.weight))

    def change(picks: dict[str, list[str]]) -> None:
        population = Population(picks)
        survey.count(population)
        survey.answers("q1", population).shares()

    runs = 5 if n < 100_000 else 3
    result = {
        "weights_only_s": _seconds(lambda: tabulate(plain, by="group"), runs),
        "design_s": _seconds(lambda: tabulate(survey, by="group"), runs),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, 1),
    }
    turns = iter(range(1000))
    result["population_ms"] = 1e3 * _seconds(lambda: change({"group": [f"G{next(turns) % GROUPS}", "G7"]}), 20)
    return result


def against_svy(python: str | None, size: str, n: int, ours: dict[str, float]) -> float:
    """How many times longer svy takes."""
    if python is None and importlib.util.find_spec("svy") is None:
        raise RuntimeError("svy is not installed here; name a Python that has it with --svy")
    names = _names()[: SVY_QUESTIONS[size]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.parquet"
        made_up(n).select(*names, "group", "weight", "stratum", "psu").write_parquet(path)
        command = [python or sys.executable, "-c", SVY, str(path), ",".join(names)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode:
        raise RuntimeError(f"svy failed: {(done.stderr.strip() or 'without a word').splitlines()[-1]}")
    return round(json.loads(done.stdout) * QUESTIONS / ours["design_s"], 1)


def read_ratio() -> float:
    """How many times longer `read_survey` takes than the reader it uses."""
    import numpy as np
    import polars as pl
    import pyreadstat

    from plural_nb.survey.reading import read_survey

    r = np.random.default_rng(0)
    frame = pl.DataFrame({f"q{i}": r.integers(1, 6, 50_000).astype(float) for i in range(500)})
    labels = {name: {float(k): f"Answer {k}" for k in range(1, 6)} for name in frame.columns}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wide.sav"
        pyreadstat.write_sav(frame, str(path), variable_value_labels=labels)
        # One after the other, so that what else the machine does falls on both.
        own: list[float] = []
        ours: list[float] = []
        for _ in range(5):
            own.append(_seconds(lambda: pyreadstat.read_sav(str(path), output_format="polars"), 1, warm=0))
            ours.append(_seconds(lambda: read_survey(path), 1, warm=0))
        return round(statistics.median(ours[1:]) / statistics.median(own[1:]), 2)


def made_up(n: int) -> Any:
    """The data as a polars frame."""
    import numpy as np
    import polars as pl

    r = np.random.default_rng(0)
    columns: dict[str, Any] = {name: r.integers(0, OPTIONS, n).astype(np.int8) for name in _names()}
    psu = r.integers(0, PSUS, n)
    columns |= {"group": r.integers(0, GROUPS, n).astype(np.int8), "weight": r.uniform(0.3, 3.0, n)}
    return pl.DataFrame(columns | {"psu": psu, "stratum": psu % STRATA})


def _names() -> list[str]:
    return [f"q{i}" for i in range(QUESTIONS)]


def _seconds(work: Callable[[], Any], runs: int, *, warm: int = 1) -> float:
    times = []
    for _ in range(runs + warm):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return round(statistics.median(times[warm:]), 4)


def _or_reason(reasons: dict[str, str], name: str, work: Callable[[], float]) -> float | None:
    try:
        return work()
    except Exception as error:
        reasons[name] = f"{type(error).__name__}: {error}".splitlines()[0]
        return None


if __name__ == "__main__":
    main()
