"""Steering: whether speaking as a group moved the model towards that group, and not only away from its own voice.

Santurkar et al. 2023 ("Whose opinions do language models reflect?", steerability); Sorensen et al. 2024, definition 8
(steerable pluralism). For every target group and every group that the model was steered as, the distance to people,
averaged over questions, beside that of the model's own voice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.comparison.aligning import align_options
from plural_nb.comparison.comparison import Comparison, compare
from plural_nb.comparison.intervals import distance_interval, paired_interval
from plural_nb.comparison.measuring import Scale, squared, squared_noise
from plural_nb.comparison.resampling import replicate_shares
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.design import Floats, Ints
from plural_nb.survey.shares import Groups, estimate, group_codes

By = Groups | Sequence[str | None] | pl.Series
OWN_VOICE = "own voice"
_MEASURES = ("js_distance", "total_variation", "hellinger", "wasserstein_normalised")


@dataclass(frozen=True, eq=False)
class Steering:
    """Distances between people of G target groups and a model steered as H groups, over Q questions.

    groups: the targets; steered: whom the model spoke as, with its own voice last where it was asked. keys: questions.
    measure: the distance. human, silicon: {question: (K, G) and (K, H)} shares. squares: (Q, G, H) squared distances;
    noise: (Q, G, H) what sampling adds to them. drawn: (Q, G, H, R) squared distances in the replicates; drawn_noise
    likewise. df: (G,) degrees of freedom of the people. size: (G,) share of each group in the population.

    Made by `steering`.
    """

    groups: tuple[str, ...]
    steered: tuple[str, ...]
    keys: tuple[str, ...]
    measure: str
    human: Mapping[str, Floats] = field(repr=False)
    silicon: Mapping[str, Floats] = field(repr=False)
    squares: Floats = field(repr=False)
    noise: Floats = field(repr=False)
    drawn: Floats = field(repr=False)
    drawn_noise: Floats = field(repr=False)
    df: Floats = field(repr=False)
    size: Floats = field(repr=False)
    answers: Mapping[str, tuple[Answers, Answers, Answers | None]] = field(repr=False)
    by: tuple[Ints, Ints] = field(repr=False)
    level: float = 0.95

    @cached_property
    def matrix(self) -> pl.DataFrame:
        """One row per target and steered group: target, steered, distance, debiased, low, high, noise_floor, own.

        distance: root of the mean squared distance over questions, as it was measured. noise_floor: root of the mean
        squared distance that sampling alone would show. debiased: the distance with that taken off, 0 where noise is
        larger; low and high are the interval of this one, so the distance as measured can lie above it. own: whether
        the model was steered as the target.
        """
        rows = []
        for g, target in enumerate(self.groups):
            for h, as_whom in enumerate(self.steered):
                value = float(self.squares[:, g, h].mean())
                # A mean of squared distances over questions is one more quadratic form; its name does not matter.
                drawn, noise = (part[:, g, h].mean(axis=0)[None] for part in (self.drawn, self.drawn_noise))
                low, high = distance_interval(
                    "hellinger", np.array([value]), drawn, noise, df=self.df[[g]], options=3, level=self.level
                )
                floor = float(np.sqrt(max(self.noise[:, g, h].mean(), 0.0)))
                less = float(np.sqrt(max(value - floor**2, 0.0)))
                rows.append((target, as_whom, np.sqrt(value), less, low[0], high[0], floor, target == as_whom))
        names = ["target", "steered", self.measure, "debiased", "low", "high", "noise_floor", "own"]
        return pl.DataFrame(rows, schema=names, orient="row")

    @cached_property
    def moves(self) -> pl.DataFrame:
        """One row per target group that the model was steered as.

        group, questions; own_voice, steered: distances before and after. gain: squared distance lost by steering, less
        sampling noise, with low and high; towards: gain towards the group less the mean gain towards the others, with
        towards_low and towards_high, above 0 where the model moved *to them* and not only away from its own voice.
        nearest: the group whose people the steered model is nearest to. reach: how far along the way from its own
        voice to the people the model went: 1 arrives, under 1 is under-, over 1 over-steering.

        Raises PluralError where the own voice was not asked.
        """
        if OWN_VOICE not in self.steered:
            raise PluralError("The model's own voice was not asked; give it as `default` to see what steering moved.")
        zero = self.steered.index(OWN_VOICE)
        both = [g for g, name in enumerate(self.groups) if name in self.steered]
        rows = []
        for g in both:
            h = self.steered.index(self.groups[g])
            rest = [other for other in range(len(self.groups)) if other != g]
            gain, drawn = self._gain(g, h, zero)
            bounds = paired_interval(gain, drawn, df=self.df[[g]], level=self.level)
            others = [self._gain(other, h, zero) for other in rest]
            if others:
                away = np.mean([one[0] for one in others], axis=0)
                away_drawn = np.mean([one[1] for one in others], axis=0)
                towards = gain - away
                towards_bounds = paired_interval(towards, drawn - away_drawn, df=self.df[[g]], level=self.level)
            else:
                towards, towards_bounds = np.array([np.nan]), (np.array([np.nan]), np.array([np.nan]))
            debiased = (self.squares - self.noise)[:, :, h].mean(axis=0)
            rows.append((
                self.groups[g], len(self.keys), *(float(np.sqrt(self.squares[:, g, i].mean())) for i in (zero, h)),
                gain[0], bounds[0][0], bounds[1][0], towards[0], towards_bounds[0][0], towards_bounds[1][0],
                self.groups[int(np.argmin(debiased))], self._reach(g, h, zero),
            ))  # fmt: skip
        names = ["group", "questions", "own_voice", "steered", "gain", "low", "high", "towards", "towards_low",
                 "towards_high", "nearest", "reach"]  # fmt: skip
        return pl.DataFrame(rows, schema=names, orient="row")

    def stereotyping(self) -> pl.DataFrame:
        """Return, per question, how far groups lie apart among people and in the model, and the ratio.

        humans, model: Σ_g size_g·‖p_g − p̄‖² over groups the model was steered as; the humans' less what sampling adds.
        ratio: model over humans, above 1 where the model exaggerates the differences (stereotyping), below where it
        levels them; null where the humans' differences do not exceed noise. low, high: percentiles over replicates of
        the humans.
        """
        both = [name for name in self.groups if name in self.steered]
        if len(both) < 2:
            raise PluralError("Differences between groups need two groups or more that the model was steered as.")
        g = [self.groups.index(name) for name in both]
        h = [self.steered.index(name) for name in both]
        size = self.size[g] / self.size[g].sum()
        rows = []
        for key in self.keys:
            people, _, _ = self.answers[key]
            codes, _ = self.by
            p, drawn = replicate_shares(people, codes, len(self.groups), replicates=self.drawn.shape[-1], seed=0)
            model = _apart(self.silicon[key][:, h], size)
            humans, replicated = _apart(p[:, g], size), _apart(drawn[:, g], size)
            extra = float(np.mean(_apart((drawn - p[..., None])[:, g], size)))
            alone = float(humans) - extra
            centred = np.maximum(replicated - 2 * extra, 0.0)
            with np.errstate(divide="ignore"):
                ratios = float(model) / centred
            ends = [(1 - self.level) / 2, (1 + self.level) / 2]
            low, high = np.quantile(ratios, ends, method="inverted_cdf")
            told = alone > 0
            ratio = (float(model) / alone, float(low), float(high) if np.isfinite(high) else None)
            rows.append((key, max(alone, 0.0), float(model), *(ratio if told else (None, None, None))))
        names = ["humans", "model", "ratio", "low", "high"]
        return pl.DataFrame(
            rows, schema={"question": pl.String} | dict.fromkeys(names, pl.Float64), orient="row"
        )  # fmt: skip

    def pair(self, target: str, steered: str, question: str) -> Comparison:
        """Return the comparison behind a cell: people of `target` and the model steered as `steered`, one question."""
        for name, known in ((target, self.groups), (steered, self.steered), (question, self.keys)):
            if name not in known:
                raise PluralError(f"There is no {name!r} here. {nearest(name, known)}")
        people, silicon, default = self.answers[question]
        mine, theirs = self.by
        a = replace(people.within(mine == self.groups.index(target)), about=target)
        if steered == OWN_VOICE and default is not None:
            return compare(a, default)
        return compare(a, silicon.within(theirs == self.steered.index(steered)))

    def sentence(self) -> str:
        """Return in words for which groups steering worked."""
        moved = self.moves
        arrived = moved.filter((pl.col("low") > 0) & (pl.col("towards_low") > 0))["group"].to_list()
        away = moved.filter(pl.col("high") < 0)["group"].to_list()
        rest = [name for name in moved["group"].to_list() if name not in arrived + away]
        many = len(self.keys)
        said = [f"Over {many} question{'s' * (many > 1)}, speaking as a group"]
        if arrived:
            said.append(f"moved the model towards the people of {_listed(arrived)};")
        if away:
            said.append(f"moved it away from the very people of {_listed(away)};")
        if rest:
            said.append(f"for {_listed(rest)} no move towards them can be told from noise;")
        return " ".join(said).rstrip(";") + "."

    def _gain(self, g: int, h: int, zero: int) -> tuple[Floats, Floats]:
        square = self.squares - self.noise
        gain = (square[:, g, zero] - square[:, g, h]).mean(keepdims=True)
        drawn = (self.drawn[:, g, zero] - self.drawn[:, g, h]).mean(axis=0)[None]
        return gain, drawn

    def _reach(self, g: int, h: int, zero: int) -> float:
        """Projection of the model's move on the way to the people, pooled over questions."""
        along = length = 0.0
        for key in self.keys:
            start = self.silicon[key][:, zero]
            way = self.human[key][:, g] - start
            along += float((self.silicon[key][:, h] - start) @ way)
            length += float(way @ way)
        return along / length if length > 0 else float("nan")


def steering(
    humans: Mapping[str, Answers],
    silicon: Mapping[str, Answers],
    *,
    by: By,
    default: Mapping[str, Answers] | None = None,
    silicon_by: By | None = None,
    measure: str = "js_distance",
    replicates: int = 500,
    seed: int = 0,
    level: float = 0.95,
) -> Steering:
    """Return how near a model, steered as each group, comes to the people of each group.

    humans: {question key: people's answers}. silicon: {key: the personas' answers}, each persona steered as a group.
    by: the people's groups, as in `estimate`. silicon_by: the personas' groups; `by` where the personas are the same
    respondents. default: {key: the model's own voice}. measure: "js_distance", "total_variation", "hellinger" or
    "wasserstein_normalised". replicates, seed: of the bootstrap of the people, and of personas drawn from a survey.

    Groups of which nobody answered are left out. Raises PluralError for questions that are missing on one side, an
    unknown measure, or groups that do not fit the rows.
    """
    if measure not in _MEASURES:
        raise PluralError(f"Unknown measure of distance {measure!r}. {nearest(measure, _MEASURES)}")
    if not humans:
        raise PluralError("Steering needs the people's answers to one question or more.")
    for what, given in (("silicon", silicon), ("default", default or dict.fromkeys(humans))):
        missing = [key for key in humans if key not in given]
        if missing:
            raise PluralError(f"{what} has no answers to {missing[0]!r}. {nearest(missing[0], list(given))}")
    first, asked = next(iter(humans.values())), next(iter(silicon.values()))
    names, codes = group_codes(first.design.n, by)
    if silicon_by is None and asked.design.n != first.design.n:
        raise PluralError(
            f"There are {asked.design.n} personas and {first.design.n} people: say with `silicon_by` which group each "
            "persona speaks for."
        )
    as_whom, theirs = group_codes(asked.design.n, by if silicon_by is None else silicon_by)
    steered = (*as_whom, OWN_VOICE) if default is not None else as_whom
    found: dict[str, list[Any]] = {"squares": [], "noise": [], "drawn": [], "drawn_noise": []}
    human, model, answers = {}, {}, {}
    for key, people in humans.items():
        spoken = align_options(people, silicon[key], "all").b
        own = None if default is None else align_options(people, default[key], "all").b
        answers[key] = (people, spoken, own)
        scale = Scale.of(people.question)
        if measure == "wasserstein_normalised" and scale is None:
            raise PluralError(f"{key!r} is nominal, so no Wasserstein distance is defined. Take js_distance.")
        p, p_drawn = replicate_shares(people, codes, len(names), replicates=replicates, seed=seed)
        q, q_drawn = replicate_shares(spoken, theirs, len(as_whom), replicates=replicates, seed=seed)
        if spoken.exact or spoken.design.n == len(as_whom):
            q_drawn = np.repeat(q[..., None], replicates, axis=2)  # a row per group: exact, nobody was drawn
        if own is not None:
            row = estimate(own).share[0][:, None]
            q = np.hstack([q, row])
            q_drawn = np.concatenate([q_drawn, np.repeat(row[..., None], replicates, axis=2)], axis=1)
        human[key], model[key] = p, q
        a, b = p[:, :, None], q[:, None, :]
        a_drawn, b_drawn = p_drawn[:, :, None, :], q_drawn[:, None, :, :]
        with np.errstate(invalid="ignore", divide="ignore"):
            alone = squared_noise((a_drawn - a[..., None]) - (b_drawn - b[..., None]), ((a + b) / 2)[..., None], scale)
            found["squares"].append(squared(a + 0 * b, b + 0 * a, scale, divergences=False)[measure])
            shape = a_drawn + 0 * b_drawn
            found["drawn"].append(squared(shape, b_drawn + 0 * a_drawn, scale, divergences=False)[measure])
        found["drawn_noise"].append(alone[measure])
        found["noise"].append(alone[measure].mean(axis=-1))
    shares = estimate(first, by=by)
    weight = np.bincount(
        codes[(codes >= 0) & first.domain], first.design.weight[(codes >= 0) & first.domain], len(names)
    )
    return Steering(
        names, steered, tuple(humans), measure, human, model, df=shares.df, size=weight / weight.sum(),
        answers=answers, by=(codes, theirs), level=level,
        **{name: np.stack(parts) for name, parts in found.items()},
    )  # fmt: skip


def _apart(shares: Floats, size: Floats) -> Floats:
    """Σ_g size_g Σ_k (p_gk − p̄_k)² of shares (K, G, ...)."""
    weight = size.reshape((1, -1) + (1,) * (shares.ndim - 2))
    middle = (shares * weight).sum(axis=1, keepdims=True)
    return np.asarray((weight * (shares - middle) ** 2).sum(axis=(0, 1)))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
