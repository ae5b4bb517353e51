"""The sorting task: shuffled, blind, and read back with intervals by item."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from plural_nb.errors import SurveyError
from plural_nb.personas.sorting import SortingSheet

HUMAN = [f"human text {i}" for i in range(40)]
SILICON = [f"silicon text {i}" for i in range(40)]
SIDES = ["left", "right"] * 20


def filled(sheet: SortingSheet, path, guess):
    """Fill a written sheet in as a reader would: guess(text) -> (group, writer)."""
    sheet.write(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["group"], row["writer"] = guess(row["text"])
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_readers_who_know_people_but_not_the_model_are_found_out(tmp_path) -> None:
    sheet = SortingSheet.of(HUMAN, SIDES, SILICON, SIDES, seed=3)
    truth = dict(zip(HUMAN + SILICON, SIDES * 2, strict=True))

    def knows_people(text: str) -> tuple[str, str]:
        if text.startswith("human"):
            return truth[text].upper(), "person"  # capitals do not matter
        number = int(text.split()[-1])
        return ("left", "right")[(number // 2) % 2], "model" if number % 4 else "person"

    paths = {name: filled(sheet, tmp_path / f"{name}.csv", knows_people) for name in ("ann", "bo")}
    found = sheet.read(paths)
    rows = {row["writer"]: row for row in found.table().iter_rows(named=True)}
    assert rows["person"]["right"] == 1.0
    assert rows["model"]["right"] == pytest.approx(0.5)
    assert rows["model"]["low"] < 0.5 < rows["model"]["high"]
    assert rows["person less model"]["low"] > 0
    # Two readers who say the same are not twice the evidence: items are the clusters.
    one = sheet.read({"ann": paths["ann"]}).table().filter(writer="model").row(0, named=True)
    assert one["high"] == pytest.approx(rows["model"]["high"], abs=0.01)
    turing = {row["writer"]: row["right"] for row in found.turing().iter_rows(named=True)}
    assert turing == {"person": 1.0, "model": 0.25, "person less model": 0.75}


def test_the_sheet_shows_neither_group_nor_writer(tmp_path) -> None:
    sheet = SortingSheet.of(HUMAN, SIDES, SILICON, SIDES)
    text = sheet.write(tmp_path / "a.csv").read_text(encoding="utf-8-sig")
    assert "left" not in text
    assert "person" not in text
    order = [row.split()[0] for row in sheet.frame["text"].to_list()]
    assert order != sorted(order)
    assert np.array_equal(sheet.frame["item"].to_numpy(), sheet.key["item"].to_numpy())


def test_mistakes_in_sheets_are_named(tmp_path) -> None:
    sheet = SortingSheet.of(HUMAN, SIDES, SILICON, SIDES)
    path = filled(sheet, tmp_path / "a.csv", lambda text: ("lefft", ""))
    with pytest.raises(SurveyError, match="'lefft' is no rating"):
        sheet.read({"ann": path})
    with pytest.raises(SurveyError, match="Nobody filled in"):
        sheet.read({"ann": filled(sheet, path, lambda text: ("", ""))}).table()
    with pytest.raises(SurveyError, match="one group"):
        SortingSheet.of(["a"], ["left"], ["b"], ["left"])
    with pytest.raises(SurveyError, match="length"):
        SortingSheet.of(["a"], [], ["b"], ["left"])
