"""Has the model read it? Fieldwork beside its cutoff, and whether it completes wordings and toplines verbatim."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from plural_nb.comparison.answering import Answering, name_of, questions_of, row_of
from plural_nb.comparison.continuations import Continuation, Scorer, log_probabilities
from plural_nb.comparison.dates import Dates, dates
from plural_nb.comparison.question_sample import REPLICATES, QuestionSample, clusters_of
from plural_nb.errors import PluralError, nearest
from plural_nb.silicon.prompt import Prompt
from plural_nb.survey.question import Question
from plural_nb.survey.survey import Survey

# Whole per cents to each side of a published one; eleven in a row hold every last digit.
_NEIGHBOURS = 5
_SHUFFLES = 5
_FEWEST_WORDS = 6
PARAPHRASE, WORD_ORDER, NUMBER = "other wordings", "its words shuffled", "neighbouring numbers"
_TARGETS = {PARAPHRASE: "wording", WORD_ORDER: "wording", NUMBER: "topline"}
_SIGNS = {
    PARAPHRASE: "it knows these words better than others that say the same",
    WORD_ORDER: "it prefers the words in order, so that it can be probed",
    NUMBER: "it knows these numbers better than their neighbours",
}


@dataclass(frozen=True, slots=True, eq=False)
class Contamination:
    """Whether a model may have read a survey.

    name: of the model. dates: fieldwork and cutoff. rows: what was scored, see `scores`. summary: see `table`.
    left_out: what could not be probed, and why. level: of the intervals. note: what to mind.
    """

    name: str
    dates: Dates
    rows: pl.DataFrame = field(repr=False)
    summary: pl.DataFrame = field(repr=False)
    level: float
    left_out: tuple[str, ...] = ()
    note: str = ""

    def table(self) -> pl.DataFrame:
        """Return one row per target and control: n, advantage, low, high, first, expected_first, p_value, verdict.

        target: "wording" (the second half of a question's text behind its first; nats per token) or "topline" (a
        published per cent behind its option; nats). advantage: mean log-probability of the true one less that of its
        controls. first: how many of n come before all their controls; expected_first: by chance; p_value: of so many
        or more, were true and controls exchangeable.
        """
        return self.summary

    def scores(self) -> pl.DataFrame:
        """Return one row per thing scored: question, option, target, control, controls, true, control_mean, rank.

        control_mean: of a topline the smooth curve at its number.
        """
        return self.rows

    def sentence(self) -> str:
        """Dates and verdicts in plain words."""
        parts = [self.dates.sentence()]
        for row in self.summary.iter_rows(named=True):
            about = "" if row["low"] is None else f", {self.level:.0%} interval {row['low']:+.2f} to {row['high']:+.2f}"
            parts.append(
                f"{row['target'].capitalize()} against {row['control']}: {row['advantage']:+.2f} nats{about}; first in "
                f"{row['first']} of {row['n']} ({row['expected_first']:.1f} by chance): {row['verdict']}."
            )
        return " ".join([*parts, self.note]).strip()


def contamination(
    model: Scorer,
    questions: Survey | Sequence[Question] | Question,
    *,
    paraphrases: Mapping[str, Sequence[str]] | None = None,
    toplines: Answering = None,
    fieldwork: str = "",
    cutoff: str = "",
    topics: Mapping[str, str] | None = None,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Contamination:
    """Probe whether a model has read a survey: its questions' exact words, and its published toplines.

    model: an open model. questions: a survey's, some, or one. paraphrases: for question keys, other wordings of
        the same; the questions' own `wordings` where not told. toplines: who was published: answers by
        question key or a table, as for `before_and_after`; a survey's own weighted shares where questions are a survey.
    fieldwork, cutoff: in words; a survey's own fieldwork and what the model's file states where empty.
    topics, level, replicates, seed: of the bootstrap over questions, batteries drawn whole.

    A wording is cut in the middle and its second half scored behind its first, and so are the other wordings: a model
    that learned the text finds it likelier than texts that say the same. Its words shuffled are a control of the probe
    itself: a model that does not prefer the right order cannot be probed. Per cents, rounded to whole ones, are scored
    against a smooth curve (a parabola of log-probabilities) through their neighbours up to 5 away, above which a
    number stands that is known verbatim, not roughly; a question's last option follows from the others and is not
    scored.

    No sign is no proof that the model has not read it. Raises PluralError where nothing can be probed.

    >>> from plural_nb.silicon.model import open_model
    >>> from plural_nb.survey.library import load_survey
    >>> with open_model("plural-demo-base") as model:  # doctest: +SKIP
    ...     print(contamination(model, load_survey("anes96"), cutoff="December 2023").sentence())
    """
    survey = questions if isinstance(questions, Survey) else None
    asked = questions_of(questions)
    if survey is not None:
        toplines, fieldwork = survey if toplines is None else toplines, fieldwork or survey.fieldwork
    keys = [q.key for q in asked]
    for key in paraphrases or {}:
        if key not in keys:
            raise PluralError(
                f"A paraphrase is told of {key!r}, which is not among the questions. {nearest(key, keys)}"
            )
    told = dates(fieldwork, getattr(model, "file", None), cutoff=cutoff)
    others = {q.key: tuple((paraphrases or {}).get(q.key, q.wordings)) for q in asked}
    rows, left_out = _wordings(model, asked, others, seed)
    if toplines is not None:
        numbers, reasons = _toplines(model, asked, toplines)
        rows, left_out = rows + numbers, left_out + reasons
    if not rows:
        raise PluralError(f"Nothing can be probed. {' '.join(left_out[:3])}".strip())
    names = ("question", "option", "target", "control", "controls", "true", "control_mean", "rank")
    frame = pl.DataFrame(rows, schema=list(names), orient="row", infer_schema_length=None)
    clusters = dict(zip(keys, clusters_of(asked, topics), strict=True))
    loose = sum(q.wording == "paraphrased" for q in asked)
    note = (
        f"The texts of {loose} questions are paraphrases of the survey's: having read it need not show."
        if loose
        else ""
    )
    return Contamination(
        name_of(model, "the model"), told, frame, _summary(frame, clusters, level, replicates, seed), level,
        tuple(left_out), note,
    )  # fmt: skip


def _wordings(
    model: Scorer, questions: Sequence[Question], others: Mapping[str, Sequence[str]], seed: int
) -> tuple[list[tuple[Any, ...]], list[str]]:
    left_out, plan = [], []
    texts: list[Continuation] = []
    for question in questions:
        if len(question.text.split()) < _FEWEST_WORDS:
            left_out.append(f"{question.key}: its text has fewer than {_FEWEST_WORDS} words.")
            continue
        if not others[question.key]:
            left_out.append(f"{question.key}: no other wordings are known; give some as paraphrases.")
        own = Continuation.halves(question.text)
        draw = random.Random(f"{seed}:{question.key}")
        controls = {
            PARAPHRASE: [Continuation.halves(t) for t in others[question.key] if len(t.split()) >= _FEWEST_WORDS],
            WORD_ORDER: [own.shuffled(draw) for _ in range(_SHUFFLES)],
        }
        plan.append((question.key, len(texts), {name: len(some) for name, some in controls.items()}))
        texts += [own, *controls[PARAPHRASE], *controls[WORD_ORDER]]
    scores = np.array(log_probabilities(model, texts)) if texts else np.zeros(0)
    rows = []
    for key, at, sizes in plan:
        true, start = float(scores[at]), at + 1
        for name, size in sizes.items():
            if size:
                rows.append(_row(key, name, true, scores[start : start + size]))
            start += size
    return rows, left_out


def _toplines(
    model: Scorer, questions: Sequence[Question], toplines: Answering
) -> tuple[list[tuple[Any, ...]], list[str]]:
    left_out: list[str] = []
    prompts: list[Prompt] = []
    plan: list[tuple[str, str, list[int], int]] = []
    for question in questions:
        try:
            row = row_of(toplines, question, name="the toplines")
        except PluralError as problem:
            left_out.append(f"{question.key}: {problem}")
            continue
        if row is None:
            left_out.append(f"{question.key}: no topline is known.")
            continue
        text = question.text
        for place, share in list(zip(question.substantive, row.share, strict=True))[:-1]:
            label, per_cent = question.options[place].label, round(100 * float(share))
            near = [n for n in range(per_cent - _NEIGHBOURS, per_cent + _NEIGHBOURS + 1) if 0 <= n <= 100]
            forms = tuple((f" {n}%",) for n in near)
            prompts.append(Prompt(f"{text}\n{label}:", (), forms, tuple(range(len(near)))))
            plan.append((question.key, label, near, per_cent))
            text = f"{text}\n{label}: {per_cent}%"
    rows = []
    for (key, label, near, per_cent), reply in zip(plan, model.replies(prompts) if prompts else [], strict=True):
        with np.errstate(divide="ignore"):
            log_p = np.log(np.array(reply.probabilities))
        if not np.isfinite(log_p).all():
            left_out.append(f"{key}, {label}: some numbers have no probability at all.")
            continue
        x = np.array(near) - per_cent
        curve = np.polyfit(x[x != 0], log_p[x != 0], 2)[-1]
        above = log_p - np.polyval(np.polyfit(x, log_p, 2), x)
        rank = 1 + int((above[x != 0] >= above[x == 0]).sum())
        rows.append((key, label, "topline", NUMBER, x.size - 1, float(log_p[x == 0][0]), float(curve), rank))
    return rows, left_out


def _row(key: str, control: str, true: float, controls: Any) -> tuple[Any, ...]:
    rank = 1 + int((controls >= true).sum())
    return key, "", _TARGETS[control], control, len(controls), true, float(np.mean(controls)), rank


def _summary(
    frame: pl.DataFrame, clusters: Mapping[str, str], level: float, replicates: int, seed: int
) -> pl.DataFrame:
    rows: list[tuple[Any, ...]] = []
    for control, target in _TARGETS.items():
        of = frame.filter(pl.col("control") == control)
        if of.is_empty():
            continue
        gap = of["true"].to_numpy() - of["control_mean"].to_numpy()
        keys = of["question"].to_list()
        sample = QuestionSample.of(keys, [clusters[k] for k in keys], replicates=replicates, seed=seed, level=level)
        usable = np.where(np.isfinite(gap), gap, np.nan)
        value = float(np.nanmean(usable)) if np.isfinite(usable).any() else np.nan
        low, high = sample.interval(value, sample.means(usable), sample.clusters_in(usable))
        chance = 1 / (1 + of["controls"].to_numpy())
        first = int((of["rank"] == 1).sum())
        rows.append((target, control, of.height, value, low, high, first, float(chance.sum()), _p_value(first, chance)))
    blind = not any(row[1] == WORD_ORDER and row[4] > 0 for row in rows)
    told = [(*row, _verdict(row[1], row[4], blind)) for row in rows]
    names = ["target", "control", "n", "advantage", "low", "high", "first", "expected_first", "p_value", "verdict"]
    return pl.DataFrame(told, schema=names, orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))


def _verdict(control: str, low: float, blind: bool) -> str:
    if not np.isfinite(low):
        return "no interval can be given from one battery or topic"
    if blind and control != NUMBER:
        return "cannot tell: it does not even prefer these words in their order"
    return _SIGNS[control] if low > 0 else "no sign"


def _p_value(first: int, chance: Any) -> float:
    """Probability of so many successes or more, of independent ones with these chances (Poisson binomial)."""
    counts = np.ones(1)
    for p in chance:
        counts = np.convolve(counts, [1 - p, p])
    return float(min(counts[first:].sum(), 1.0))
