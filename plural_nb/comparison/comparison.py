"""Two sets of answers to one question side by side: shares, distances, and what sampling alone would show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.comparison.distances import Floats, hellinger, js_distance, total_variation, wasserstein
from plural_nb.comparison.noise import NoiseFloor, js_noise_floor
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.question import Question
from plural_nb.survey.shares import Interval, Shares, difference_covariance, estimate

# Below this captured mass a model's row says little of what it would answer (definitions, section 1).
CAPTURED_THRESHOLD = 0.5

DISTANCE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "js_distance": "Jensen–Shannon distance (base 2)",
        "total_variation": "Total variation",
        "hellinger": "Hellinger distance",
        "wasserstein_normalised": "Wasserstein distance (share of the scale)",
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two answers to one question over the same options.

    a, b: the shares, options in a's order.
    distances: by name, with the convention in it: "js_distance" (base 2), "total_variation", "hellinger", and
        "wasserstein_normalised" where the question is ordinal or numeric. `DISTANCE_NAMES` has their full names.
    floor: what sampling alone would show as js_distance.
    """

    a: Shares
    b: Shares
    distances: Mapping[str, float]
    floor: NoiseFloor

    @property
    def question(self) -> Question:
        """The question compared, in a's words."""
        return self.a.question

    @property
    def noise_floor(self) -> float:
        """Mean js_distance (base 2) that samples of these sizes from one truth would show; 0 for two exact rows."""
        return self.floor.mean

    @property
    def captured_warning(self) -> str:
        """A sentence where less than half of a model's probability fell on the options; else empty."""
        for shares in (self.a, self.b):
            if shares.captured_mass is not None and shares.captured_mass < CAPTURED_THRESHOLD:
                return (
                    f"Only {_percent(shares.captured_mass)} of the probability of {shares.source.name} fell on the "
                    "options: its bars are what is left after most of its answer was set aside, so don't lean on them."
                )
        return ""

    def table(self) -> pl.DataFrame:
        """Return one row per side and option: source, kind, option, n, share, se, low, high, exact.

        `se` and `n` are null for an exact model row, whose low and high are its range over orders and wordings.
        """
        frames = []
        for shares in (self.a, self.b):
            n = pl.lit(None, dtype=pl.Int64) if shares.exact else pl.col("n")
            about = pl.lit(shares.source.name).alias("source"), pl.lit(shares.source.kind).alias("kind")
            frames.append(
                shares.table().select(
                    *about, "group", "option", n.alias("n"), "share", "se", "low", "high",
                    pl.lit(shares.exact).alias("exact"),
                )
            )  # fmt: skip
        return pl.concat(frames)

    def sentence(self) -> str:
        """Return the comparison in plain text: the leading option on both sides, the distance, the noise, the rest."""
        k = int(np.argmax(self.a.share[0]))
        option = self.a.options[k]
        parts = [f"{_said(self.a, k, option)}; {_said(self.b, k)}."]
        parts.append(f"The Jensen–Shannon distance (base 2) is {self.distances['js_distance']:.2f}{self._noise()}.")
        for shares in (self.a, self.b):
            if float(shares.nonsubstantive[0]) >= 0.005:
                parts.append(_capital(f"{_percent(shares.nonsubstantive[0])} of {_whose(shares)} gave no opinion."))
            mass = shares.captured_mass
            if mass is not None and mass >= CAPTURED_THRESHOLD and 1 - mass >= 0.005:
                parts.append(_capital(f"{_percent(1 - mass)} of {_whose(shares)} fell outside the options."))
        return " ".join([*parts, self.captured_warning]).strip()

    def _noise(self) -> str:
        if self.floor.method == "none":
            return "; both are exact for their prompts"
        about = f"about {self.noise_floor:.2f}" if self.noise_floor >= 0.005 else "less than 0.01"
        if self.a.exact or self.b.exact:
            return f"; a sample of this size would show {about} even if the two agreed"
        same = int(self.a.n[0]) == int(self.b.n[0])
        return f"; two samples of {'this size' if same else 'these sizes'} from one truth would show {about}"


def compare(a: Answers, b: Answers, *, interval: Interval = "logit", level: float = 0.95) -> Comparison:
    """Compare two answers to one question: people and a model, two populations, two models.

    Options are matched by label and may come in another order; shares are over the substantive ones. interval, level:
    see `plural_nb.survey.shares.estimate`.

    Raises PluralError when the substantive options differ, or their values do.

    >>> from plural_nb.survey.question import ask_for
    >>> tea = ask_for("Tea or coffee?", ["Tea", "Coffee"])
    >>> one, other = Answers.from_places(tea, [0] * 60 + [1] * 40), Answers.from_places(tea, [0] * 50 + [1] * 50)
    >>> compare(one, other).distances["total_variation"]
    0.09999999999999998
    """
    b = _in_order_of(a.question, b)
    shares_a, shares_b = (estimate(side, interval=interval, level=level) for side in (a, b))
    p, q = shares_a.share[0], shares_b.share[0]
    distances = {
        "js_distance": float(js_distance(p, q)),
        "total_variation": float(total_variation(p, q)),
        "hellinger": float(hellinger(p, q)),
    }
    if a.question.kind != "nominal":
        distances["wasserstein_normalised"] = float(wasserstein(p, q, a.question, normalised=True))
    V = difference_covariance(a, b)
    alone = [None if s.covariance is None else s.covariance[0] for s in (shares_a, shares_b)]
    apart = sum(float(np.trace(v)) for v in alone if v is not None)
    # People who are on both sides make the two shares move together: the sizes that count grow with it.
    together = float(np.trace(V)) / apart if apart > 0 else 1.0
    sizes = tuple(_effective_size(s, v, together) for s, v in zip((shares_a, shares_b), alone, strict=True))
    floor = js_noise_floor(p, q, V, (sizes[0], sizes[1]))
    return Comparison(shares_a, shares_b, MappingProxyType(distances), floor)


def _in_order_of(question: Question, answers: Answers) -> Answers:
    """The answers with options in the question's order; other words, same substantive labels."""
    theirs = answers.question
    ours = [question.options[i].label for i in question.substantive]
    labels = {o.label: i for i, o in enumerate(theirs.options)}
    found = [theirs.options[i].label for i in theirs.substantive]
    for label, pool, who in [(x, found, theirs) for x in ours] + [(x, ours, question) for x in found]:
        if label not in pool:
            raise PluralError(
                f"These answers are not to the same question: {who.key!r} has no option {label!r}. "
                f"{nearest(label, pool)}"
            )
    if question.kind != "nominal" and theirs.kind != "nominal":
        values = dict(zip(found, theirs.values, strict=True))
        if any(values[label] != v for label, v in zip(ours, question.values, strict=True)):
            raise PluralError(
                f"The options of {question.key!r} have other values on the two sides: {question.values} and "
                f"{tuple(values[label] for label in ours)}. Give them one scale."
            )
    if found == ours:
        return answers
    order = [labels[label] for label in ours] + [i for i in range(len(theirs.options)) if i not in theirs.substantive]
    asked = replace(theirs, options=tuple(theirs.options[i] for i in order))
    spread = None if answers.spread is None else answers.spread[:, order]
    return replace(answers, question=asked, rows=answers.rows[:, order], spread=spread)


def _effective_size(shares: Shares, covariance: Floats | None, together: float) -> float | None:
    """The simple random sample with as much variance as the design left; None for an exact row."""
    if covariance is None:
        return None
    p, variance = shares.share[0], float(np.trace(covariance)) * together
    spread = 1.0 - float(p @ p)
    return spread / variance if variance > 0 and spread > 0 else float(shares.n[0])


def _said(shares: Shares, k: int, option: str = "") -> str:
    share = _percent(float(shares.share[0, k]))
    if shares.source.kind == "model":
        as_whom = "" if shares.groups[0] in ("", shares.source.name) else f" ({shares.groups[0]})"
        return f"{shares.source.name}{as_whom} says {share}{' for ' + option if option else ''}"
    group = shares.groups[0]
    who = "people" if shares.source.kind == "humans" else f"personas of {shares.source.name}"
    about = "" if group in ("Everyone", shares.source.name) else f" ({group})"
    n = int(shares.n[0])
    who = who.replace("people", "person").replace("personas", "persona") if n == 1 else who
    said = f"among {n:,} {who}{about}, {share}{' chose ' + option if option else ' did'}"
    return said[0].upper() + said[1:] if option else said


def _whose(shares: Shares) -> str:
    return "people" if shares.source.kind == "humans" else f"the probability of {shares.source.name}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _percent(share: float) -> str:
    # The rule of the charts' labels, in words.
    if 0 < share < 0.005:
        return "under 1%"
    if 0.995 <= share < 1 - 1e-12:
        return "over 99%"
    return f"{share * 100:.0f}%"
