"""How quick a jury decides: one JSON object, medians, no verdict.

Run `python tests/benchmarks/jury.py`. The ratings are made up.

sweep_s: 100,000 jurors × 50 candidates × 200 values of α: welfare, ranks and winners of a whole jury.
sweep_mb: resident memory of that process at its highest, the ratings included.
bootstrap_s: the same of a sample of 2,000 × 20 × 200 with 500 Rao–Wu replicates: intervals and the probability of
    winning.
switches_s: every switch of 2,000 jurors × 20 candidates over α/(1+α) in [0, 1], to 1e-9; the longest of three kinds of
    ratings (continuous, 1 to 100, skewed).
leximin_s: leximin selection probabilities of a panel of 100 from 1,500 people with quotas on 4 features.
slider_ms: from a key press on the slider of α to the changed pixels, median of 30.

A figure that cannot be measured here is null, and `reasons` says why. "raw" has the single runs.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

RUNS = 3
KEYS = 30


def main() -> None:
    """Measure and print."""
    if "--sweep" in sys.argv:
        print(json.dumps(big_sweep()))
        return
    result: dict[str, Any] = {}
    raw: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    # The large sweep has processes of its own, so that the peak of memory is its own.
    runs = [json.loads(subprocess.check_output([sys.executable, __file__, "--sweep"], text=True)) for _ in range(RUNS)]
    raw["sweep_s"] = [run["seconds"] for run in runs]
    result["sweep_s"] = statistics.median(raw["sweep_s"])
    result["sweep_mb"] = max(run["mb"] for run in runs)
    measures: dict[str, Callable[[], list[float]]] = {
        "bootstrap_s": bootstrap, "switches_s": all_switches, "leximin_s": leximin, "slider_ms": slider,
    }  # fmt: skip
    for name, measure in measures.items():
        try:
            raw[name] = measure()
            result[name] = statistics.median(raw[name])
        except Exception as problem:
            result[name] = None
            reasons[name] = f"{type(problem).__name__}: {problem}".splitlines()[0]
    print(json.dumps(result | {"reasons": reasons, "raw": raw}, indent=2))


def big_sweep() -> dict[str, float]:
    """Seconds and megabytes of the large sweep."""
    from plural_nb.jury.sweep import sweep
    from plural_nb.jury.utilities import Utilities
    from plural_nb.jury.welfare import alpha_at

    draw = np.random.default_rng(0)
    names = tuple(f"candidate {c}" for c in range(50))
    jury = Utilities(draw.uniform(0.01, 1, (100_000, 50)), names, draw.uniform(0.5, 2, 100_000))
    alphas = alpha_at(np.linspace(0, 1, 200))
    start = time.perf_counter()
    sweep(jury, alphas)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "mb": peak / 1024 if sys.platform != "darwin" else peak / 1024**2}


def bootstrap() -> list[float]:
    """Seconds of a sweep with intervals."""
    from plural_nb.jury.sweep import sweep
    from plural_nb.jury.utilities import Utilities
    from plural_nb.jury.welfare import alpha_at
    from plural_nb.survey.design import Design

    draw = np.random.default_rng(1)
    names = tuple(f"candidate {c}" for c in range(20))
    psu = np.arange(2000) // 10
    design = Design(draw.uniform(0.5, 2, 2000), stratum=psu // 20, psu=psu)
    jury = Utilities(draw.uniform(0.01, 1, (2000, 20)), names, design=design)
    return timed(lambda: sweep(jury, alpha_at(np.linspace(0, 1, 200)), replicates=500))


def all_switches() -> list[float]:
    """Seconds to find all switches: each run the longest of three kinds of ratings."""
    from plural_nb.jury.switches import switches
    from plural_nb.jury.utilities import Utilities

    draw = np.random.default_rng(2)
    names = tuple(f"candidate {c}" for c in range(20))
    weight = draw.uniform(0.5, 2, 2000)
    kinds = [
        draw.uniform(0.01, 1, (2000, 20)),
        draw.integers(1, 101, (2000, 20)).astype(float),
        np.exp(draw.normal(0, 1, (2000, 20)) * np.linspace(0.2, 1.5, 20)),
    ]
    juries = [Utilities(u, names, weight) for u in kinds]
    switches(juries[1])
    return [max(found) for found in zip(*(timed(lambda j=j: switches(j)) for j in juries), strict=True)]


def leximin() -> list[float]:
    """Seconds to the leximin lottery over panels."""
    import polars as pl

    from plural_nb.jury.pool import Pool
    from plural_nb.jury.quotas import Quotas
    from plural_nb.jury.sortition import sortition

    draw = np.random.default_rng(3)
    levels = {"age": 4, "gender": 2, "region": 5, "education": 3}
    people = pl.DataFrame(
        {name: [f"{name} {k}" for k in draw.choice(n, 1500, p=_uneven(n))] for name, n in levels.items()}
    )
    quotas = Quotas(
        100,
        {
            name: {f"{name} {k}": (int(90 / n), int(110 / n) + 1) for k in range(n)}  # near equal seats, uneven pool
            for name, n in levels.items()
        },
    )
    start = time.perf_counter()
    sortition(Pool.of(people), quotas)
    return [time.perf_counter() - start]


def slider() -> list[float]:
    """Milliseconds from key to pixels: 30 presses on the slider of a saved page, from the key's own time stamp to after
    the frame in which what is written beside the slider has changed."""
    import tempfile
    from pathlib import Path

    import plural_nb as pnb

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from lab_session import chromium

    survey = pnb.load_survey("teaching")
    rated = [key for key in survey.questions if key.startswith("rate_")]
    panel = pnb.AlphaSweep(pnb.Utilities.from_survey(survey, rated), by="region")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 1400})
        page.goto(panel.save(Path(folder) / "sweep.html").as_uri())
        page.evaluate(_WATCH)
        page.get_by_role("slider").focus()
        for _ in range(KEYS + 5):
            page.keyboard.press("ArrowRight")
            page.wait_for_timeout(120)
        found: list[float] = page.evaluate("window.took")
    if len(found) != KEYS + 5:
        raise RuntimeError(f"{len(found)} of {KEYS + 5} keys changed what is shown")
    # The first few wake the page up.
    return found[5:]


# A frame is on its way to the screen when the first task after its animation callbacks runs.
_WATCH = """() => {
    window.took = [];
    const said = document.querySelector('.pnb-at');
    addEventListener('keydown', (key) => {
        const before = said.textContent;
        requestAnimationFrame(() => {
            const channel = new MessageChannel();
            channel.port1.onmessage = () => {
                if (said.textContent !== before) window.took.push(performance.now() - key.timeStamp);
            };
            channel.port2.postMessage(null);
        });
    }, true);
}"""


def timed(work: Callable[[], object]) -> list[float]:
    """Seconds of several runs."""
    found = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return found


def _uneven(n: int) -> np.ndarray:
    share = np.arange(1, n + 1, dtype=float)
    return share / share.sum()


if __name__ == "__main__":
    main()
