"""A blind rating sheet: people judge whether an answer reflects a persona, without knowing which answers do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from plural_nb.errors import SurveyError
from plural_nb.personas.blind_sheet import item_names, read_sheets, write_sheet
from plural_nb.survey.agreement import Agreement, Metric, krippendorff
from plural_nb.survey.design import Floats, Ints

SCALE = ("1", "2", "3", "4", "5")


@dataclass(frozen=True, slots=True, eq=False)
class RatingSheet:
    """What raters see, in an order drawn by lot, and the key that they do not.

    frame: item, persona, question, answer, rating (empty). key: item, row (of the person), own (whether the answer is
    that persona's own, or another's put in as a control). scale: the ratings allowed, the least fitting first.
    """

    frame: pl.DataFrame = field(repr=False)
    key: pl.DataFrame = field(repr=False)
    scale: tuple[str, ...] = SCALE

    @classmethod
    def of(
        cls, personas: Sequence[str], answers: Sequence[str], question: str = "", *, controls: float = 0.5,
        scale: Sequence[str] = SCALE, seed: int = 0,
    ) -> RatingSheet:  # fmt: skip
        """Return a sheet for n personas and their n answers, in an order drawn by lot.

        controls: share of the personas (0 to 1) that are shown once more with the answer of another persona whose
        words differ, so that a rater who says yes to everything is found out.

        Raises SurveyError for lengths that differ, fewer than two items, or a scale of fewer than two ratings.

        >>> sheet = RatingSheet.of(["I am young.", "I am old."], ["Rock!", "Waltz."], "Which music?", controls=1.0)
        >>> sheet.frame.height, sorted(sheet.key["own"].to_list())
        (4, [False, False, True, True])
        """
        if len(personas) != len(answers) or len(personas) < 2:
            raise SurveyError(
                f"A sheet needs two personas or more, an answer each; got {len(personas)}, {len(answers)}."
            )
        if len(set(scale)) < 2 or not 0 <= controls <= 1:
            raise SurveyError("A sheet needs a scale of two ratings or more, and controls between 0 and 1.")
        chance = np.random.default_rng(seed)
        rows = [(i, personas[i], answers[i], True) for i in range(len(personas))]
        for i in chance.permutation(len(personas))[: round(controls * len(personas))].tolist():
            others = [j for j in range(len(answers)) if answers[j].strip() != answers[i].strip()]
            if others:
                rows.append((i, personas[i], answers[others[int(chance.integers(len(others)))]], False))
        shown = [rows[i] for i in chance.permutation(len(rows)).tolist()]
        items = item_names(len(shown))
        frame = pl.DataFrame(
            {"item": items, "persona": [r[1] for r in shown], "question": [question] * len(shown),
             "answer": [r[2] for r in shown], "rating": [""] * len(shown)}
        )  # fmt: skip
        key = pl.DataFrame({"item": items, "row": [r[0] for r in shown], "own": [r[3] for r in shown]})
        return cls(frame, key, tuple(scale))

    def write(self, path: Path | str) -> Path:
        """Write the sheet for one rater as CSV; the key is not in it. See `plural_nb.personas.blind_sheet`."""
        return write_sheet(self.frame, path)

    def read(self, paths: Mapping[str, Path | str]) -> Ratings:
        """Return the ratings from filled sheets, by rater; an empty rating is missing.

        Raises SurveyError for items that are not of this sheet, twice rated or not there, and for unknown ratings.
        """
        found = read_sheets(paths, self.key["item"].to_list(), {"rating": self.scale})
        return Ratings(self, tuple(paths), found["rating"])


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """Ratings (items, raters) as places on the scale, -1 where missing."""

    sheet: RatingSheet
    raters: tuple[str, ...]
    place: Ints

    def table(self) -> pl.DataFrame:
        """Return for each rater how many items were rated, and the mean place (1 the lowest) of own and controls."""
        own = self.sheet.key["own"].to_numpy()
        rows = []
        for j, rater in enumerate(self.raters):
            rated = self.place[:, j] >= 0
            means = [float(self.place[rated & side, j].mean()) + 1 if (rated & side).any() else None
                     for side in (own, ~own)]  # fmt: skip
            rows.append((rater, int(rated.sum()), *means))
        return pl.DataFrame(rows, schema=["rater", "rated", "own", "controls"], orient="row")

    def agreement(self) -> pl.DataFrame:
        """Return for each pair of raters how many items both rated, the share alike, and Cohen's kappa.

        Kappa is null where chance alone would make them agree always. Cohen (1960).
        """
        rows = []
        for i in range(len(self.raters)):
            for j in range(i + 1, len(self.raters)):
                both = (self.place[:, i] >= 0) & (self.place[:, j] >= 0)
                a, b = self.place[both, i], self.place[both, j]
                alike = float((a == b).mean()) if both.any() else None
                rows.append((self.raters[i], self.raters[j], int(both.sum()), alike, cohen_kappa(a, b)))
        schema = {"rater": pl.String, "with": pl.String, "items": pl.Int64, "agreement": pl.Float64,
                  "cohen_kappa": pl.Float64}  # fmt: skip
        return pl.DataFrame(rows, schema=schema, orient="row")

    def alpha(self, metric: Metric = "ordinal") -> Agreement:
        """Return Krippendorff's α of all raters, missing ratings allowed; see `plural_nb.survey.agreement`."""
        return krippendorff(np.where(self.place >= 0, self.place, np.nan).T, metric=metric)


def cohen_kappa(a: Sequence[int] | Floats, b: Sequence[int] | Floats) -> float | None:
    """Return Cohen's kappa of two raters' places, None where it is not defined.

    >>> round(cohen_kappa([0, 0, 1, 1], [0, 1, 1, 1]), 3)
    0.5
    """
    first, second = np.asarray(a), np.asarray(b)
    if not first.size:
        return None
    places = np.unique(np.concatenate([first, second]))
    expected = sum(float((first == p).mean() * (second == p).mean()) for p in places)
    return None if expected >= 1 else (float((first == second).mean()) - expected) / (1 - expected)
