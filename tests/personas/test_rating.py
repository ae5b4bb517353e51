"""The rating sheet: blind, safe in a spreadsheet, and read back with the agreement that published examples have."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from plural_nb.errors import SurveyError
from plural_nb.personas.rating import RatingSheet, cohen_kappa

PERSONAS = [f"I am person {i}." for i in range(20)]
SAID = [f"Answer {i}" for i in range(20)]


def test_a_sheet_does_not_say_which_answers_are_controls(tmp_path) -> None:
    sheet = RatingSheet.of(PERSONAS, SAID, "Why?", seed=4)
    assert sheet.frame.columns == ["item", "persona", "question", "answer", "rating"]
    assert int(sheet.key["own"].sum()) == 20
    assert sheet.frame.height == 30
    for item, persona, _, answer, _ in sheet.frame.iter_rows():
        own = sheet.key.filter(item=item)["own"].item()
        assert (persona.split()[-1].rstrip(".") == answer.split()[-1]) == own
    assert sheet.key["own"].to_list() != sorted(sheet.key["own"].to_list(), reverse=True)
    assert sheet.frame.equals(RatingSheet.of(PERSONAS, SAID, "Why?", seed=4).frame)
    assert "own" not in sheet.write(tmp_path / "a.csv").read_text(encoding="utf-8-sig").splitlines()[0]


def test_a_sheet_comes_back_with_its_ratings(tmp_path) -> None:
    odd = ["=1+1", "+A1", 'quoted "words", and\nlines 🙂', "مرحبا"]
    sheet = RatingSheet.of(["p1", "p2", "p3", "p4"], odd, controls=0.0)
    paths = {}
    for rater in ("ann", "bob"):
        path = sheet.write(tmp_path / f"{rater}.csv")
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["answer"].removeprefix("'") for row in rows} == set(odd)
        assert not any(row["answer"].startswith(("=", "+", "-", "@")) for row in rows)
        for i, row in enumerate(rows):
            row["rating"] = "" if rater == "bob" and i == 0 else str(1 + i)
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        paths[rater] = path
    ratings = sheet.read(paths)
    assert ratings.place.tolist() == [[0, -1], [1, 1], [2, 2], [3, 3]]
    assert ratings.agreement().row(0) == ("ann", "bob", 3, 1.0, 1.0)
    assert ratings.alpha().alpha == 1.0
    assert ratings.table().rows() == [("ann", 4, 2.5, None), ("bob", 3, 3.0, None)]


def test_kappa_is_nothing_at_chance_and_undefined_where_there_is_no_choice() -> None:
    a, b = np.repeat([0, 1], 50), np.tile([0, 1], 50)
    assert cohen_kappa(a, b) == pytest.approx(0)
    assert cohen_kappa([1, 1], [1, 1]) is None


def test_a_sheet_that_is_not_ours_says_where(tmp_path) -> None:
    sheet = RatingSheet.of(PERSONAS, SAID)
    path = sheet.write(tmp_path / "ann.csv")
    text = path.read_text(encoding="utf-8-sig")

    def read(content: str) -> None:
        path.write_text(content, encoding="utf-8")
        sheet.read({"ann": path})

    lines = text.splitlines()
    with pytest.raises(SurveyError, match=r"ann.*item 0001: '9' is no rating"):
        read("\n".join([lines[0], lines[1] + "9", *lines[2:]]))
    with pytest.raises(SurveyError, match="item 0001 twice"):
        read("\n".join([*lines, lines[1]]))
    with pytest.raises(SurveyError, match="not this sheet: item 0001"):
        read("\n".join([lines[0], *lines[2:]]))
    with pytest.raises(SurveyError, match="no columns"):
        read("x;y\n1;2\n")
