"""CandidateTable: its cells against the library's rules, its words, its code and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.errors import PluralError

# Tennessee chooses its capital: the classic profile, whose rules disagree.
TENNESSEE = {
    "Memphis": [3.0] * 42 + [0.0] * 58,
    "Nashville": [2.0] * 42 + [3.0] * 26 + [1.0] * 15 + [1.0] * 17,
    "Chattanooga": [1.0] * 42 + [2.0] * 26 + [3.0] * 15 + [2.0] * 17,
    "Knoxville": [0.0] * 42 + [1.0] * 26 + [2.0] * 15 + [3.0] * 17,
}


@pytest.fixture(scope="module")
def tennessee() -> pnb.CandidateTable:
    return pnb.CandidateTable(pnb.Utilities.of(TENNESSEE), threshold=1.5)


def wins(table: pnb.CandidateTable, rule: str) -> list[str]:
    return table.data.filter(pl.col("rule") == rule, pl.col("wins"))["candidate"].to_list()


def test_the_rules_disagree_about_tennessee_as_they_should(tennessee: pnb.CandidateTable) -> None:
    assert wins(tennessee, "plurality") == ["Memphis"]
    assert wins(tennessee, "condorcet") == ["Nashville"]
    assert wins(tennessee, "borda") == ["Nashville"]
    assert wins(tennessee, "instant_runoff") == ["Knoxville"]
    assert wins(tennessee, "approval") == ["Nashville"]


def test_each_cell_is_the_librarys_number(tennessee: pnb.CandidateTable) -> None:
    jury = pnb.Utilities.of(TENNESSEE)
    columns = [c["key"] for c in tennessee.columns]
    for row in tennessee.rows:
        cells = dict(zip(columns, row["cells"], strict=True))
        place = jury.candidates.index(row["name"])
        assert cells["borda"]["score"] == pnb.decide(jury, "borda").score[place]
        assert cells["welfare, α = 0"]["score"] == pytest.approx(jury.values[:, place].mean())
        assert cells["approval"]["text"] == f"{(jury.values[:, place] > 1.5).mean():.0%}"


def test_the_words_count_who_wins(tennessee: pnb.CandidateTable) -> None:
    ruled = [c["key"] for c in tennessee.columns if c["key"] != "Gini" and not c["key"].startswith("Atkinson")]
    count = sum("Nashville" in wins(tennessee, rule) for rule in ruled)
    assert f"Nashville under {count}" in tennessee.summary


def test_a_rule_that_cannot_decide_says_why_and_the_others_stand() -> None:
    table = pnb.CandidateTable(pnb.Utilities.of({"A": [-1.0, 2.0], "B": [1.0, 1.0]}))
    problems = {c["key"]: c["problem"] for c in table.columns}
    assert "shifted(1)" in problems["welfare, α = 1"]
    assert problems["borda"] == ""
    assert set(table.data["rule"]) >= {"borda", "plurality", "minimax_regret"}


def test_code_and_files(tennessee: pnb.CandidateTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"jury": pnb.Utilities.of(TENNESSEE)}
    exec(tennessee.code(), names)
    assert "Nashville" in capsys.readouterr().out
    saved = pl.read_csv(tennessee.save(tmp_path / "a.csv"))
    assert saved["score"].to_list() == pytest.approx(tennessee.data["score"].to_list())
    assert "sha256-" in tennessee.save(tmp_path / "a.html").read_text(encoding="utf-8")
    with pytest.raises(PluralError, match=r"\.csv or \.html"):
        tennessee.save(tmp_path / "a.png")


def test_wrong_arguments_are_named() -> None:
    jury = pnb.Utilities.of({"A": np.ones(3)})
    with pytest.raises(PluralError, match="'borda'"):
        pnb.CandidateTable(jury, rules=["bordas"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="'threshold'"):
        pnb.CandidateTable(jury, treshold=1)
