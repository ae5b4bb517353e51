"""What a classifier learns from each condition's labels, and what it gets wrong by everyone else's.

Labels made under one instrument, order or group of annotators train a classifier whose errors look like noise only to
those who made them (Kern et al. 2023, "Annotation sensitivity: training data collection methods affect model
performance").
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.comparison.demographics import fit_multinomial
from plural_nb.errors import PluralError
from plural_nb.jury.annotations import Annotations
from plural_nb.survey.design import Floats

_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class ClassifiedLabels:
    """Classifiers by the condition whose labels they learned, judged by each condition's labels.

    rows: see `table`. disagreements: see `where_they_differ`.
    """

    of: str
    rows: pl.DataFrame = field(repr=False)
    disagreements: pl.DataFrame = field(repr=False)

    def table(self) -> pl.DataFrame:
        """Return one row per trained and judging condition: items, accuracy, expected_agreement.

        accuracy: share of held-out items whose predicted label is the judging condition's modal one.
        expected_agreement: mean share of that condition's labels that equal the prediction, which counts minorities.
        """
        return self.rows

    def where_they_differ(self) -> pl.DataFrame:
        """Return the items for which classifiers predict different labels: item, and a prediction per condition."""
        return self.disagreements

    def sentence(self) -> str:
        """Return in words what is lost by judging a classifier by other labels than it learned."""
        own = self.rows.filter(pl.col("trained_on") == pl.col("judged_by"))["accuracy"].mean()
        other = self.rows.filter(pl.col("trained_on") != pl.col("judged_by"))["accuracy"].mean()
        return (
            f"Judged by the condition of {self.of!r} they learned from, the classifiers get {_share(own)} of held-out "
            f"items right; judged by another condition's labels, {_share(other)}. They predict different labels for "
            f"{self.disagreements.height:,} items."
        )


def classify_labels(
    annotations: Annotations, of: str, features: npt.ArrayLike, *, ridge: float = 1.0, seed: int = 0
) -> ClassifiedLabels:
    """Train a classifier on each condition's labels and judge it by every condition's, on items not trained on.

    of: a condition or trait of the annotations. features: (items, P) numbers that describe the items, in the order of
    `annotations.items`; put on one scale here. The classifier is a multinomial logit with the given ridge, fitted to
    the weighted label shares of each item. Items labelled under every condition are used, in 5 folds drawn by seed.

    Raises PluralError for features that do not fit, a single condition, or fewer than 10 items in all conditions.
    """
    X = np.asarray(features, dtype=np.float64)
    if X.ndim != 2 or X.shape[0] != len(annotations.items) or not np.isfinite(X).all():
        raise PluralError(f"The features must be finite numbers, one row for each of {len(annotations.items)} items.")
    levels = annotations.levels(of)
    if len(levels) < 2:
        raise PluralError(f"{of!r} has one level only, so there is nothing to compare.")
    counts = {level: annotations.within(of, level).counts() for level in levels}
    common = np.flatnonzero(np.logical_and.reduce([c.sum(axis=1) > 0 for c in counts.values()]))
    if common.size < 10:
        raise PluralError(f"Only {common.size} items were labelled under every level of {of!r}; 10 are needed.")
    spread = X[common].std(axis=0)
    X = (X[common] - X[common].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    X = np.column_stack([np.ones(common.size), X])
    shares = {level: c[common] / c[common].sum(axis=1, keepdims=True) for level, c in counts.items()}
    fold = np.random.default_rng(seed).permutation(common.size) % _FOLDS
    predicted = {level: _predictions(X, y, fold, ridge) for level, y in shares.items()}
    rows = []
    for trained, guess in predicted.items():
        for judge, y in shares.items():
            right = y[np.arange(common.size), guess]
            best = np.isclose(right, y.max(axis=1), rtol=1e-12)
            rows.append((trained, judge, common.size, float(best.mean()), float(right.mean())))
    names = ["trained_on", "judged_by", "items", "accuracy", "expected_agreement"]
    table = np.column_stack(list(predicted.values()))
    differ = (table != table[:, :1]).any(axis=1)
    disagreements = pl.DataFrame(
        {"item": [annotations.items[i] for i in common[differ]]}
        | {level: [annotations.labels[k] for k in guess[differ]] for level, guess in predicted.items()}
    )
    return ClassifiedLabels(of, pl.DataFrame(rows, schema=names, orient="row"), disagreements)


def _predictions(X: Floats, y: Floats, fold: npt.NDArray[np.integer], ridge: float) -> npt.NDArray[np.int64]:
    """(items,) the likeliest label of each, by a fit to the other folds."""
    guess = np.zeros(len(X), dtype=np.int64)
    for f in range(_FOLDS):
        out = fold == f
        B = fit_multinomial(X[~out], y[~out], np.ones(int((~out).sum())), ridge)
        guess[out] = (X[out] @ B).argmax(axis=1)
    return guess


def _share(value: object) -> str:
    return "none" if not isinstance(value, float) else f"{value:.0%}"
