"""How quick comparisons are: one JSON object, no verdict.

Run `python tests/benchmarks/compare.py`. The data are made up: 5,000 weighted people in 250 PSUs of 25 strata, 1,000
questions of five options, 60 groups; against them an exact model row for every question and group.

table_s: all 60,000 pairs with every distance, noise floors and 500 bootstrap replicates (median of three).
baseline_s: the regression on demographics of one question of the teaching survey, cross-fitted, apart.
redraw_ms: one panel redraw with everything: another population, its distances, intervals, baselines and verdict.
vs_scipy: the time a loop over scipy's `jensenshannon` and `wasserstein_distance` takes for the same pairs, distances
    only, over that of the table's own distances.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

QUESTIONS, OPTIONS, GROUPS, PEOPLE, PSUS, STRATA = 1000, 5, 60, 5000, 250, 25
SCIPY_PAIRS = 6000


def main() -> None:
    """Measure and print."""
    survey, answers = made_up()
    from plural_nb.comparison.survey_distances import compare_survey

    found: dict[str, Any] = {"table_s": _seconds(lambda: compare_survey(survey, answers, by="group"), 3)}
    found["baseline_s"] = baseline()
    found["redraw_ms"] = redraw()
    found["vs_scipy"] = against_scipy(survey, answers)
    found["cores"] = os.cpu_count()
    found["load"] = [round(x, 1) for x in os.getloadavg()]
    print(json.dumps(found, indent=2))


def made_up() -> Any:
    """The survey and the model's rows."""
    import numpy as np
    import polars as pl

    from plural_nb.answers import Answers, Source
    from plural_nb.survey.design import Design
    from plural_nb.survey.survey import Survey

    r = np.random.default_rng(0)
    names = [f"q{i}" for i in range(QUESTIONS)]
    columns: dict[str, Any] = {name: r.integers(0, OPTIONS, PEOPLE).astype(np.int8) for name in names}
    psu = r.integers(0, PSUS, PEOPLE)
    columns |= {"group": r.integers(0, GROUPS, PEOPLE).astype(np.int8), "weight": r.uniform(0.3, 3.0, PEOPLE)}
    options = [{"code": k, "label": str(k)} for k in range(OPTIONS)]
    book = {
        "design": {"weight": "weight", "stratum": "stratum", "psu": "psu"},
        "traits": {"group": {"label": "G", "options": [{"code": k, "label": f"G{k}"} for k in range(GROUPS)]}},
        "questions": {name: {"text": "?", "options": options, "kind": "ordinal"} for name in names},
    }
    survey = Survey.from_frame(pl.DataFrame(columns | {"psu": psu, "stratum": psu % STRATA}), book)
    one, source = np.ones(1, dtype=bool), Source("model", "made up")
    answers = {
        key: {
            f"G{g}": Answers(question, row[None], Design(np.ones(1)), one, source)
            for g, row in enumerate(r.dirichlet(np.full(OPTIONS, 8.0), GROUPS))
        }
        for key, question in survey.questions.items()
    }
    return survey, answers


def redraw() -> float:
    """Milliseconds from another pick to everything a panel shows of it."""
    from plural_nb.comparison.baselines import uniform
    from plural_nb.comparison.comparison import compare
    from plural_nb.survey.library import load_survey
    from plural_nb.survey.survey import Population

    survey = load_survey("teaching")
    guess = uniform(survey.answers("nature"))
    ages = survey.trait("age").labels
    turns = iter(range(1000))

    def change() -> None:
        people = survey.answers("nature", Population({"wave": "2023", "age": ages[next(turns) % len(ages)]}))
        one = compare(people, guess)
        one.sentence(), one.distance_table(), one.verdict

    return round(1e3 * _seconds(change, 20), 1)


def baseline() -> float:
    """Seconds for one cross-fitted regression on demographics."""
    from plural_nb.comparison.demographics import demographic_baseline
    from plural_nb.survey.library import load_survey

    survey = load_survey("teaching")
    return _seconds(lambda: demographic_baseline(survey, "nature"), 3)


def against_scipy(survey: Any, answers: Any) -> float:
    """How many times longer scipy takes, one pair after another."""
    import numpy as np
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import wasserstein_distance

    from plural_nb.comparison.measuring import Scale, squared
    from plural_nb.survey.tabulation import tabulate

    shares = tabulate(survey, by="group")
    p = np.concatenate([shares[key].share for key in answers])
    q = np.stack([one.rows[0] for each in answers.values() for one in each.values()])
    scale = Scale.of(next(iter(survey.questions.values())))
    values = np.arange(OPTIONS)

    def loop() -> None:
        for i in range(SCIPY_PAIRS):
            jensenshannon(p[i], q[i], base=2)
            wasserstein_distance(values, values, p[i], q[i])

    ours = _seconds(lambda: squared(p.T, q.T, scale), 10)
    return round(_seconds(loop, 1) * len(p) / SCIPY_PAIRS / ours, 1)


def _seconds(work: Callable[[], Any], runs: int) -> float:
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return round(statistics.median(times[1:]), 4)


if __name__ == "__main__":
    main()
