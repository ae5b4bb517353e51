"""A sorting task for a class: readers guess whose words these are, and whether a person or a model wrote them.

Argyle et al. 2023, study 1: texts by people and by personas, shuffled, are sorted by readers into the writer's group
(*backward continuity*: what a text tells of its writer) and into human and machine (a social science Turing test).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.errors import SurveyError
from plural_nb.personas.blind_sheet import item_names, read_sheets, write_sheet
from plural_nb.survey.contrasts import difference
from plural_nb.survey.design import Design, Ints
from plural_nb.survey.question import ask_for
from plural_nb.survey.shares import estimate

SOURCES = ("person", "model")


@dataclass(frozen=True, slots=True, eq=False)
class SortingSheet:
    """What readers see, in an order drawn by lot, and the key that they do not.

    frame: item, text, group (empty), writer (empty). key: item, group, writer. groups: that a reader may name.
    """

    frame: pl.DataFrame = field(repr=False)
    key: pl.DataFrame = field(repr=False)
    groups: tuple[str, ...]

    @classmethod
    def of(
        cls, human: Sequence[str], human_groups: Sequence[str], silicon: Sequence[str], silicon_groups: Sequence[str],
        *, seed: int = 0,
    ) -> SortingSheet:  # fmt: skip
        """Return a sheet of people's and personas' texts, each with the group of its writer.

        Raises SurveyError for lengths that differ, an empty text, one group only, or texts of one side only.

        >>> sheet = SortingSheet.of(["kind"], ["left"], ["proud"], ["right"])
        >>> sheet.frame.columns, sorted(sheet.key["writer"].to_list())
        (['item', 'text', 'group', 'writer'], ['model', 'person'])
        """
        if len(human) != len(human_groups) or len(silicon) != len(silicon_groups):
            raise SurveyError("Each text needs the group of its writer; the lists differ in length.")
        if not human or not silicon:
            raise SurveyError("Sorting needs texts by people and by a model.")
        texts = [*human, *silicon]
        if any(not text.strip() for text in texts):
            raise SurveyError("One of the texts is empty; leave it out.")
        groups = tuple(sorted({*human_groups, *silicon_groups}))
        if len(groups) < 2:
            raise SurveyError(f"All writers are of one group ({groups[0]}), so there is nothing to sort.")
        whose = [*human_groups, *silicon_groups]
        writer = [SOURCES[0]] * len(human) + [SOURCES[1]] * len(silicon)
        order = np.random.default_rng(seed).permutation(len(texts)).tolist()
        items, empty = item_names(len(texts)), [""] * len(texts)
        frame = pl.DataFrame({"item": items, "text": [texts[i] for i in order], "group": empty, "writer": empty})
        key = pl.DataFrame({"item": items, "group": [whose[i] for i in order], "writer": [writer[i] for i in order]})
        return cls(frame, key, groups)

    def write(self, path: Path | str) -> Path:
        """Write the sheet for one reader as CSV; the key is not in it. "group" and "writer" are to be filled in."""
        return write_sheet(self.frame, path)

    def read(self, paths: Mapping[str, Path | str]) -> Sorted:
        """Return what readers filled in; an empty cell is no guess. Errors as in `blind_sheet.read_sheets`."""
        found = read_sheets(paths, self.key["item"].to_list(), {"group": self.groups, "writer": SOURCES})
        return Sorted(self, tuple(paths), found["group"], found["writer"])


@dataclass(frozen=True, slots=True, eq=False)
class Sorted:
    """Readers' guesses (items, readers) as places among the groups and among "person" and "model"; -1 for none."""

    sheet: SortingSheet
    readers: tuple[str, ...]
    group: Ints = field(repr=False)
    writer: Ints = field(repr=False)

    def table(self) -> pl.DataFrame:
        """Return how well the group was guessed: writer, guesses, right, low, high, chance.

        One row for texts by people, one for those by the model, and their difference, whose interval (as the others)
        takes items as clusters: a text that all readers get right counts once. chance: of guessing at random.
        """
        truth = np.array([self.sheet.groups.index(g) for g in self.sheet.key["group"].to_list()])
        right = np.where(self.group >= 0, (self.group != truth[:, None]).astype(int), -1)
        return self._by_writer(right, "right", "wrong", 1 / len(self.sheet.groups))

    def turing(self) -> pl.DataFrame:
        """Return how often a text was taken for a person's: writer, guesses, right (said "person"), low, high, chance.

        People's and the model's texts, and the difference: near 0 where readers cannot tell.
        """
        return self._by_writer(self.writer, "person", "model", 0.5)

    def _by_writer(self, places: Ints, yes: str, no: str, chance: float) -> pl.DataFrame:
        items, readers = places.shape
        whose = [writer for writer in self.sheet.key["writer"].to_list() for _ in range(readers)]
        design = Design(np.ones(items * readers), psu=np.repeat(np.arange(items), readers))
        answers = Answers.from_places(ask_for("Guess?", [yes, no]), places.ravel(), design=design)
        if not answers.answered.any():
            raise SurveyError("Nobody filled in a guess.")
        found = estimate(answers, by=whose)
        rows = [
            (name, int(found.n[g]), float(found.share[g, 0]), float(found.low[g, 0]), float(found.high[g, 0]), chance)
            for g, name in enumerate(found.groups)
        ]
        if (found.n > 0).all():
            gap = difference(answers, yes, *SOURCES, by=whose)
            rows.append(("person less model", int(found.n.sum()), gap.estimate, gap.low, gap.high, 0.0))
        return pl.DataFrame(rows, schema=["writer", "guesses", "right", "low", "high", "chance"], orient="row")
