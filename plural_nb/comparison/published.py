"""Figures that papers printed, to stand beside one's own; copied into `data/published/` with their source."""

from __future__ import annotations

import polars as pl

from plural_nb import resources
from plural_nb.errors import PluralError, nearest

SOURCES = {"sorensen2024": "Sorensen et al. 2024, A Roadmap to Pluralistic Alignment, Tables 1, 4 and 5"}
_MEASURES = {
    "js_distance_base2": "js_distance",
    "entropy_nats": "entropy_nats",
    "js_distance_base2_shuffled": "js_distance_shuffled",
}
_WRONG_HUMANS = "the paper's code drops the modal answer of its MPI humans: not a target"


def published(name: str = "sorensen2024", *, measure: str | None = None) -> pl.DataFrame:
    """Return a paper's printed figures, one row per figure.

    name: of a file in `data/published/`. measure: "js_distance" (base 2), "entropy_nats" or "js_distance_shuffled";
    all when None.

    Columns: measure, dataset, population, model, side ("pre", "post", "humans"), variant, value, remark, source.
    Raises PluralError, naming the nearest right word, for an unknown paper or measure.

    >>> rows = published(measure="js_distance").filter(pl.col("model") == "LLaMA2 7B", pl.col("population") == "Japan")
    >>> rows.select("side", "value").rows()
    [('pre', 0.47), ('post', 0.57)]
    """
    if name not in SOURCES:
        raise PluralError(f"No figures of {name!r} come with plural_nb. {nearest(name, SOURCES)}")
    if measure is not None and measure not in _MEASURES.values():
        raise PluralError(f"No measure is called {measure!r}. {nearest(measure, _MEASURES.values())}")
    frame = pl.read_csv(resources.data("published", f"{name}.csv"))
    wrong = pl.col("dataset") == "MPI"
    found = frame.select(
        pl.col("measure").replace_strict(_MEASURES),
        "dataset",
        "population",
        "model",
        pl.when(pl.col("model") == "humans").then(pl.lit("humans")).otherwise(pl.col("alignment")).alias("side"),
        "variant",
        pl.col("value").cast(pl.Float64),
        pl.when(wrong).then(pl.lit(_WRONG_HUMANS)).alias("remark"),
        pl.lit(SOURCES[name]).alias("source"),
    )
    return found if measure is None else found.filter(pl.col("measure") == measure)
