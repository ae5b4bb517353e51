"""What a jury decides under a voting rule or an idea of the good, with its ties, its interval and how surely."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import polars as pl

from plural_nb.errors import PluralError, nearest
from plural_nb.jury.criteria import concerned, regret, shortfalls, weighted_means
from plural_nb.jury.distribution import Floats, distributions
from plural_nb.jury.pairwise import (
    Bools,
    borda_points,
    condorcet_winners,
    extreme_lotteries,
    margins,
    maximal_lotteries,
    smith_sets,
)
from plural_nb.jury.ranking import leximin_ranks
from plural_nb.jury.resampling import WHOLE_JURY, percentiles, replicate_weights, share_won
from plural_nb.jury.runoff import instant_runoff, plurality_shares
from plural_nb.jury.utilities import Utilities, nonnegative, require_ratings

Rule = Literal[
    "approval", "sufficientarian", "prioritarian", "leximin", "minimax_regret",
    "condorcet", "smith", "borda", "plurality", "instant_runoff", "maximal_lottery",
]  # fmt: skip

# What each rule's score means. Ordinal rules look at each juror's order only, so no scale need be shared.
SCORES: dict[str, str] = {
    "approval": "share of the jury above τ",
    "sufficientarian": "minus the mean shortfall from enough",
    "prioritarian": "mean of a concave function of utility",
    "leximin": "lowest utility",
    "minimax_regret": "largest regret of a juror (less is better)",
    "condorcet": "smallest majority margin over another candidate",
    "smith": "1 in the Smith set",
    "borda": "mean points: candidates ranked below, ties a half",
    "plurality": "share of first choices",
    "instant_runoff": "last round reached",
    "maximal_lottery": "probability in the maximal lottery",
}
_JURORS_ONLY = ("leximin", "minimax_regret")
_SAME = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What a jury decides under one rule.

    score: (C,) what the rule compares (`SCORES`); NaN where nobody rated. winners: none (no Condorcet winner), one, or
        several that are level; for "maximal_lottery" those with a chance.
    low, high: (C,) bounds of the score, percentiles of Rao–Wu replicates; NaN for a whole jury and rules that look at
        single jurors. probability: (C,) share of replicates won, a tie being equal parts of a win.
    notes: ties and how they were treated, and what else a reader must know.
    """

    rule: str
    candidates: tuple[str, ...]
    winners: tuple[str, ...]
    score: Floats
    low: Floats
    high: Floats
    probability: Floats
    notes: tuple[str, ...]

    def table(self) -> pl.DataFrame:
        """Return one row per candidate: rule, candidate, score, low, high, wins, probability."""
        frame = pl.DataFrame(
            {
                "rule": [self.rule] * len(self.candidates),
                "candidate": self.candidates,
                "score": self.score,
                "low": self.low,
                "high": self.high,
                "wins": [name in self.winners for name in self.candidates],
                "probability": self.probability,
            }
        )
        return frame.with_columns(pl.col("score", "low", "high", "probability").fill_nan(None))

    def sentence(self) -> str:
        """Return who wins, how surely, and what a reader must know, in plain text."""
        rule = self.rule.replace("_", " ")
        if not self.winners:
            said = f"Nobody wins under {rule}"
        elif self.rule == "maximal_lottery" and len(self.winners) > 1:
            parts = [f"{name} {self.score[self.candidates.index(name)]:.0%}" for name in self.winners]
            said = f"The maximal lottery gives {', '.join(parts)}"
        else:
            said = f"{' and '.join(self.winners)} {'wins' if len(self.winners) == 1 else 'are level'} under {rule}"
        sure = [self.probability[self.candidates.index(name)] for name in self.winners]
        if len(sure) == 1 and np.isfinite(sure[0]):
            said += f" ({sure[0]:.0%} of resampled juries agree)"
        return " ".join([f"{said}.", *(f"{note[:1].upper()}{note[1:]}." for note in self.notes)])


def decide(
    utilities: Utilities,
    rule: Rule,
    *,
    threshold: float | None = None,
    concern: str = "sqrt",
    replicates: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> Decision:
    """Return what the jury decides under a rule.

    rule: "approval" (most weight above `threshold`, τ), "sufficientarian" (least shortfall from `threshold`),
        "prioritarian" (see `plural_nb.jury.criteria.priority` for `concern`), "leximin", "minimax_regret"; and by each
        juror's order alone: "condorcet", "smith", "borda", "plurality", "instant_runoff", "maximal_lottery".
    replicates, level, seed: of the interval, where the jury is a sample.

    Missing ratings: pairs are judged by those who rated both, first choices are among what a juror rated, the other
    rules judge a candidate by those who rated it. Raises PluralError for an unknown rule or a missing threshold.

    >>> Jury = Utilities.of({"Park": [3, 1, 2], "Road": [2, 3, 1], "Pool": [1, 2, 3]})
    >>> decide(Jury, "condorcet").winners, decide(Jury, "smith").winners
    ((), ('Park', 'Road', 'Pool'))
    """
    if rule not in get_args(Rule):
        raise PluralError(f"Unknown rule {rule!r}. {nearest(str(rule), get_args(Rule))}")
    if threshold is None and rule in ("approval", "sufficientarian"):
        raise PluralError(f"The rule {rule!r} needs a threshold: the utility that is enough.")
    require_ratings(utilities)
    count = _Count(utilities, rule, threshold, concern)
    score, won, notes = count.main()
    C = len(utilities.candidates)
    low, high, probability = (np.full(C, np.nan) for _ in range(3))
    drawn = replicate_weights(utilities, replicates, seed=seed)
    said = [*utilities.about(), *notes]
    if rule in _JURORS_ONLY:
        said.append("these jurors only: no interval")
    elif drawn.weight is None:
        said.append("" if drawn.note == WHOLE_JURY else drawn.note)
    else:
        scores, wins = count.scores(drawn.weight)
        low, high = percentiles(scores, level)
        probability = scores.mean(axis=0) if rule == "maximal_lottery" else share_won(wins)
        if rule == "smith":
            probability = wins.mean(axis=0)
        said.append(drawn.note)
    names = tuple(name for name, w in zip(utilities.candidates, won, strict=True) if w)
    return Decision(rule, utilities.candidates, names, score, low, high, probability, tuple(filter(None, said)))


def decisions(
    utilities: Utilities, rules: Iterable[Rule] | None = None, *, threshold: float | None = None, replicates: int = 200
) -> pl.DataFrame:
    """Return one row per rule: rule, winners, probability, score, notes; a rule that cannot decide says why.

    rules: all when None; those that need a threshold only where one is given.

    >>> jury = Utilities.of({"Park": [9, 9, 1], "Road": [5, 5, 8], "Pool": [4, 6, 9]})
    >>> decisions(jury, ["plurality", "leximin"]).select("rule", "winners").rows()
    [('plurality', 'Park'), ('leximin', 'Road')]
    """
    thresholds = ("approval", "sufficientarian")
    chosen = get_args(Rule) if rules is None else tuple(rules)
    rows: list[tuple[str, str | None, float | None, str, str]] = []
    for rule in chosen:
        if rules is None and threshold is None and rule in thresholds:
            continue
        try:
            found = decide(utilities, rule, threshold=threshold, replicates=replicates)
        except PluralError as problem:
            rows.append((rule, None, None, SCORES.get(rule, ""), str(problem)))
            continue
        at = [utilities.candidates.index(name) for name in found.winners]
        p = float(found.probability[at].sum()) if at and rule != "smith" else np.nan
        said = [note for note in found.notes if note not in utilities.about()]
        rows.append(
            (rule, " = ".join(found.winners), None if np.isnan(p) else min(p, 1.0), SCORES[rule], "; ".join(said))
        )
    schema = {
        "rule": pl.String,
        "winners": pl.String,
        "probability": pl.Float64,
        "score": pl.String,
        "notes": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


class _Count:
    """One rule, made ready to count under any weights of the jurors."""

    def __init__(self, utilities: Utilities, rule: str, threshold: float | None, concern: str) -> None:
        self.utilities, self.rule = utilities, rule
        u = utilities.values
        self._each: Floats | None = None
        if rule == "approval" and threshold is not None:
            if np.isnan(threshold):
                raise PluralError("The threshold is missing (NaN).")
            self._each = np.where(np.isnan(u), np.nan, (u > threshold).astype(np.float64))
        elif rule == "sufficientarian" and threshold is not None:
            self._each = shortfalls(u, threshold)
        elif rule == "prioritarian":
            self._each = concerned(utilities, concern)

    def main(self) -> tuple[Floats, Bools, list[str]]:
        """The score and the winners of the jury itself, and what to say of ties."""
        u, weight = self.utilities.values, self.utilities.weight[None, :]
        notes: list[str] = []
        if self.rule == "leximin":
            nonnegative(self.utilities)
            spread = distributions(u, self.utilities.weight)
            low = np.where(np.isnan(u) | (self.utilities.weight == 0)[:, None], np.inf, u).min(axis=0)
            score, won = np.where(np.isinf(low), np.nan, low), leximin_ranks(spread) == 1
        elif self.rule == "minimax_regret":
            score = regret(self.utilities)
            won = _top(-score[None, :])[0]
        elif self.rule == "instant_runoff":
            possible, last, tied, complete = instant_runoff(u, weight)
            score, won = last[0], possible[0]
            if tied:
                notes.append(
                    "ties for the fewest first choices: every order of dropping them was followed"
                    if complete
                    else "too many ties for the fewest first choices to follow all: broken in the order listed"
                )
        else:
            scores, wins = self.scores(weight)
            score, won = scores[0], wins[0]
        if self.rule == "maximal_lottery":
            extremes = extreme_lotteries(margins(u, weight)[0])
            low, high = extremes.min(axis=0), extremes.max(axis=0)
            if (high - low > 1e-6).any():
                score = extremes.mean(axis=0)
                won = score > 0
                notes.append(
                    "several lotteries are maximal, their mean is shown: "
                    + ", ".join(
                        f"{name} {a:.0%} to {b:.0%}"
                        for name, a, b in zip(self.utilities.candidates, low, high, strict=True)
                        if b - a > 1e-6
                    )
                )
        elif self.rule == "condorcet" and not won.any():
            notes.append("no candidate beats every other by majority")
        elif won.sum() > 1 and self.rule != "smith":
            notes.append("a tie between " + " and ".join(np.array(self.utilities.candidates)[won].tolist()))
        return np.asarray(score, dtype=np.float64), won, notes

    def scores(self, weight: Floats) -> tuple[Floats, Bools]:
        """(R, C) scores and winners under (R, n) weights."""
        u = self.utilities.values
        if self._each is not None:
            score = weighted_means(self._each, weight)
            return score, _top(score)
        if self.rule == "plurality":
            score = plurality_shares(u, weight)
            return score, _top(score)
        if self.rule == "instant_runoff":
            won, last, _, _ = instant_runoff(u, weight)
            return last, won
        m = margins(u, weight)
        if self.rule == "borda":
            score = borda_points(m)
            return score, _top(score)
        if self.rule == "maximal_lottery":
            score = maximal_lotteries(m)
            return score, score > 0
        if self.rule == "smith":
            inside = smith_sets(m)
            return inside.astype(np.float64), inside
        C = m.shape[1]
        others = m + np.where(np.eye(C, dtype=np.bool_), np.inf, 0.0)
        return np.where(C > 1, others.min(axis=2), 0.0), condorcet_winners(m)


def _top(score: Floats) -> Bools:
    """(R, C): who has the highest score, to rounding."""
    known = np.where(np.isnan(score), -np.inf, score)
    top = known.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        level = (known == top) | (known >= top - _SAME * np.maximum(1.0, np.abs(top)))
    return np.asarray(level & ~np.isnan(score))
