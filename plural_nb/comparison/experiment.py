"""The paper's experiment: a model before and after alignment against populations, with its shuffled control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any, get_args

import numpy as np
import polars as pl
from scipy.spatial import distance as scipy_distance

from plural_nb.comparison.answering import Answering, Row, name_of, questions_of, row_of
from plural_nb.comparison.before_after import BeforeAndAfter, Convention, Measure
from plural_nb.comparison.distances import Floats, entropy, js_distance
from plural_nb.comparison.noise import noise_floors
from plural_nb.comparison.question_sample import REPLICATES, QuestionSample, clusters_of
from plural_nb.errors import ModelCrashed, PluralError
from plural_nb.survey.question import Question
from plural_nb.survey.survey import Survey

# Up to 6 options every permutation is taken; of more, as many as 6 have.
_MOST_PERMUTED, _PERMUTATIONS = 6, 720
_SCHEMA = {
    "measure": pl.String, "convention": pl.String, "population": pl.String, "side": pl.String, "kind": pl.String,
    "mean": pl.Float64, "low": pl.Float64, "high": pl.Float64, "questions": pl.Int64, "clusters": pl.Int64,
}  # fmt: skip


def before_and_after(
    pre: Answering,
    post: Answering,
    questions: Sequence[Question] | Question | Survey,
    populations: Mapping[str, Answering],
    *,
    names: tuple[str, str] = ("", ""),
    topics: Mapping[str, str] | None = None,
    manner: Mapping[str, Any] | None = None,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> BeforeAndAfter:
    """Run the experiment of Sorensen et al. 2024 (§5.2, App. A and B) on any pair of models.

    pre, post: an open model, answers by question key, a function from a question to answers, or a table with the
        columns question, option, share. questions: what is asked; all of a survey's. populations: by name, each a
        survey, or as `pre`; one that was not asked a question has no part in it.
    topics: the topic of each question key; questions of one topic (else of one battery) are drawn together.
    manner: how open models are asked, as in `Model.ask`; plain text on both sides, with the in-context examples that
        their cards want (three in five variants where a card wants nothing), when None. {"in_context":
        "sorensen2024"} is the paper's own way whatever the card says.
    level, replicates, seed: of the bootstrap over questions, pre and post drawn together.

    An interval says how means would vary over other questions like these; the people's sampling error is part of what
    varies. Questions that a side cannot answer are in `left_out`; nothing is filled in.

    Raises PluralError where no question is answered by both models and some population.

    >>> from plural_nb.survey.question import ask_for
    >>> asked = [ask_for(f"Question {i}?", ["Yes", "No"], key=f"q{i}") for i in range(3)]
    >>> def table(*yes):
    ...     return pl.DataFrame([(f"q{i}", o, s) for i, p in enumerate(yes) for o, s in (("Yes", p), ("No", 1 - p))],
    ...                         schema=["question", "option", "share"], orient="row")
    >>> found = before_and_after(table(.6, .4, .5), table(.99, .02, .95), asked, {"people": table(.6, .5, .5)})
    >>> found.change("js_distance", "people").low > 0 > found.change("entropy_nats").high
    True
    """
    asked = questions_of(questions)
    if not isinstance(populations, Mapping):
        raise PluralError('Populations are given by name: populations={"my country": survey}.')
    repeated = {q.key for q in asked if sum(p.key == q.key for p in asked) > 1}
    if repeated or not asked:
        raise PluralError(f"Each question needs a key of its own; {sorted(repeated)} stand twice." if asked else _NONE)
    called = tuple(given or name_of(side, word) for given, side, word in zip(names, (pre, post), _SIDES, strict=True))
    manner = {"mode": "completion"} if manner is None else dict(manner)
    table, left_out = _ask(asked, {"pre": pre, "post": post}, populations, manner)
    kept = [q for q in asked if q.key in table]
    spoken = tuple(name for name in populations if any(name in row for row in table.values()))
    if not spoken:
        raise PluralError(f"{_NONE} {' '.join(left_out[:3])}".strip())
    left_out += [f"{name}: it answered none of the questions." for name in populations if name not in spoken]
    clusters = clusters_of(asked, topics)
    place = {q.key: c for q, c in zip(asked, clusters, strict=True)}
    sample = QuestionSample.of(
        [q.key for q in kept], [place[q.key] for q in kept], replicates=replicates, seed=seed, level=level
    )
    values = _values(kept, table, spoken, seed)
    return BeforeAndAfter(
        (called[0], called[1]),
        spoken,
        _summary(values, sample),
        _long(values, sample),
        tuple(left_out),
        "Open models were asked with " + ", ".join(f"{k} = {v!r}" for k, v in manner.items()) + "." if manner else "",
        f"Intervals ({level:.0%}) are from {replicates:,} bootstrap replicates over {len(kept)} questions in "
        f"{len(set(sample.clusters))} batteries or topics, drawn whole; pre and post are drawn together (seed {seed}).",
        level,
        tuple(f"{side}: {told}" for side in _SIDES if (told := _provenance(table[kept[0].key][side]))),
    )


_SIDES = ("pre", "post")
_NONE = "There is no question that both models and some population answer."
_Key = tuple[Measure, Convention, str | None, str, str]


def _provenance(row: Row) -> str:
    """The model file, its hash and how it was asked, as far as they are known."""
    told = row.answers.source.provenance if row.answers is not None else ()
    return "; ".join(f"{name}: {value}" for name, value in told)


def _ask(
    questions: Sequence[Question], models: Mapping[str, Answering], populations: Mapping[str, Answering],
    manner: Mapping[str, Any],
) -> tuple[dict[str, dict[str, Row]], list[str]]:  # fmt: skip
    """By question, the rows of those who answer it; without a row of each model the question is left out."""
    for name in populations:
        if name in (*_SIDES, "uniform", "noise floor", "humans", "post − pre"):
            raise PluralError(f"A population cannot be called {name!r}, which names something else here.")
    table, left_out = {}, []
    for question in questions:
        rows: dict[str, Row] = {}
        for name, who in (*models.items(), *populations.items()):
            try:
                row = row_of(who, question, manner=manner, name=name)
            except ModelCrashed:
                raise
            except PluralError as problem:
                left_out.append(f"{question.key} ({name}): {problem}")
                continue
            if row is not None:
                rows[name] = row
            elif name in models:
                left_out.append(f"{question.key} ({name}): nothing was given.")
        if all(side in rows for side in models):
            table[question.key] = rows
    return table, left_out


def _values(
    questions: Sequence[Question], table: Mapping[str, Mapping[str, Row]], populations: tuple[str, ...], seed: int
) -> dict[_Key, Floats]:
    """(Q,) numbers of each measure, convention, population, side and kind; NaN where there is none."""
    found: dict[_Key, Floats] = {}
    draw = np.random.default_rng(seed)
    noise = _noise(table, populations)

    def put(q: int, value: float, *key: Any) -> None:
        found.setdefault(key, np.full(len(questions), np.nan))[q] = value

    for q, question in enumerate(questions):
        rows = {name: row.share for name, row in table[question.key].items()}
        there = [p for p in populations if p in rows]
        K = len(question.substantive)
        for side in _SIDES:
            put(q, float(entropy(rows[side])), "entropy_nats", "ours", None, side, "model")
            put(q, _entropy_as_released(rows[side]), "entropy_nats", "compatible", None, side, "model")
            shuffled, one = _shuffled(rows[side], draw)
            for p in there:
                distance = float(js_distance(rows[side], rows[p]))
                put(q, distance, "js_distance", "ours", p, side, "model")
                if (question.key, p) in noise:
                    put(q, distance**2 - noise[question.key, p][1], "js_divergence_debiased", "ours", p, side, "model")
                put(q, _as_released(rows[side], rows[p]), "js_distance", "compatible", p, side, "model")
                mean = float(js_distance(shuffled, rows[p]).mean())
                put(q, mean, "js_distance_shuffled", "ours", p, side, "model")
                put(q, _as_released(one, rows[p]), "js_distance_shuffled", "compatible", p, side, "model")
        for p in there:
            put(q, float(entropy(rows[p])), "entropy_nats", "ours", p, "humans", "baseline")
            put(q, _entropy_as_released(rows[p]), "entropy_nats", "compatible", p, "humans", "baseline")
            put(q, float(js_distance(np.full(K, 1 / K), rows[p])), "js_distance", "ours", p, "uniform", "baseline")
            if (question.key, p) in noise:
                put(q, noise[question.key, p][0], "js_distance", "ours", p, "noise floor", "baseline")
            for other in there:
                if other != p:
                    put(q, float(js_distance(rows[other], rows[p])), "js_distance", "ours", p, other, "baseline")
    return found


def _summary(values: Mapping[_Key, Floats], sample: QuestionSample) -> pl.DataFrame:
    means = {key: (float(np.nanmean(v)) if np.isfinite(v).any() else np.nan) for key, v in values.items()}
    replicates = {key: sample.means(v) for key, v in values.items()}
    clusters = {key: sample.clusters_in(v) for key, v in values.items()}
    rows = []
    for key, v in values.items():
        bounds = sample.interval(means[key], replicates[key], clusters[key])
        rows.append((*key, means[key], *bounds, int(np.isfinite(v).sum()), clusters[key]))
        if key[3] == "post":
            pre = (*key[:3], "pre", "model")
            both = min(clusters[key], clusters[pre])
            change = means[key] - means[pre]
            bounds = sample.interval(change, replicates[key] - replicates[pre], both)
            n = int((np.isfinite(v) & np.isfinite(values[pre])).sum())
            rows.append((*key[:3], "post − pre", "difference", change, *bounds, n, both))
    order = {name: i for i, name in enumerate((*get_args(Measure), *get_args(Convention)))}
    rows.sort(key=lambda r: (order[r[0]], order[r[1]], str(r[2] or "")))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))


def _long(values: Mapping[_Key, Floats], sample: QuestionSample) -> pl.DataFrame:
    names = ("measure", "convention", "population", "side", "kind")
    rows = [
        (*key, question, cluster, float(value))
        for key, column in values.items()
        for question, cluster, value in zip(sample.keys, sample.clusters, column, strict=True)
        if np.isfinite(value)
    ]
    schema = {**dict.fromkeys(names, pl.String), "question": pl.String, "cluster": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _shuffled(row: Floats, draw: np.random.Generator) -> tuple[Floats, Floats]:
    """The row under all permutations (or 720 drawn ones), and under one drawn."""
    one = draw.permutation(row)
    if row.size <= _MOST_PERMUTED:
        return row[np.array(list(permutations(range(row.size))))], one
    return draw.permuted(np.tile(row, (_PERMUTATIONS, 1)), axis=1), one


def _noise(
    table: Mapping[str, Mapping[str, Row]], populations: Sequence[str]
) -> dict[tuple[str, str], tuple[float, float]]:
    """By question and population, the mean distance and JSD that such a sample shows from its own truth."""
    by_size: dict[int, list[tuple[str, str]]] = {}
    for key, rows in table.items():
        for name in populations:
            if name in rows and rows[name].covariance is not None:
                by_size.setdefault(rows[name].share.size, []).append((key, name))
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for cells in by_size.values():
        people = [table[key][name] for key, name in cells]
        p = np.stack([row.share for row in people], axis=1)
        n = np.array([row.n_eff for row in people], dtype=np.float64)
        exact = np.full(n.size, np.inf)
        floors = noise_floors(p, p, np.array([row.covariance for row in people]), (n, exact), exact)
        told = floors.mean["js_distance"], floors.square["js_distance"]
        found |= {cell: (float(told[0][c]), float(told[1][c])) for c, cell in enumerate(cells)}
    return found


def _as_released(p: Floats, q: Floats) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(scipy_distance.jensenshannon(p, q, 2.0))


def _entropy_as_released(row: Floats) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(-(row * np.log(row)).sum())
