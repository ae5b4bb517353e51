from __future__ import annotations

import json
from pathlib import Path

import pytest

from plural_nb import cli
from plural_nb.silicon.model import open_model
from plural_nb.silicon.pace import suggestion
from plural_nb.silicon.settings import cores
from plural_nb.survey.question import ask_for

ASK = ["--question", "Tea or coffee?", "--option", "Tea", "--option", "Coffee", "--option", "Neither", "--json"]


def test_ask_takes_method_order_and_seed_and_equals_the_library(
    tiny_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["ask", str(tiny_path), *ASK, "--method", "text", "--order", "balanced"]) == 0
    said = json.loads(capsys.readouterr().out)
    with open_model(tiny_path) as model:
        question = ask_for("Tea or coffee?", ["Tea", "Coffee", "Neither"])
        answers = model.ask(question, method="text", order="balanced", examples=0)
    assert [o["probability"] for o in said["options"]] == pytest.approx(answers.rows[0])
    assert [o["spread"] for o in said["options"]] == pytest.approx(answers.spread.T)
    assert said["captured_mass"] == pytest.approx(answers.captured_mass[0])


def test_ask_names_the_nearest_method_in_one_line(tiny_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ask", str(tiny_path), *ASK, "--method", "leter"]) == 2
    assert "Did you mean 'letter'" in capsys.readouterr().err


def test_ask_says_what_was_written_where_no_sample_could_be_read(
    tiny_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model of random weights babbles."""
    assert cli.main(["ask", str(tiny_path), *ASK, "--method", "sampled"]) == 2
    said = capsys.readouterr().err
    assert "None of the answers" in said
    assert "--method letter" in said
    assert "probability" not in said


def test_bench_suggests_threads_and_fewer_people_only_where_they_help() -> None:
    assert suggestion({1: 100.0, 4: 105.0}, used=1) == ""
    assert "threads=4" in suggestion({1: 100.0, 4: 150.0}, used=1)
    assert "1 thread it is 2.0 times" in suggestion({1: 100.0, 4: 50.0}, used=4)
    slow = suggestion({1: 1.0, 4: 3.0}, used=1)
    assert "threads=4" in slow
    assert "until_margin" in slow


def test_bench_asks_for_a_while_and_leaves_nothing_in_the_store(
    tiny_path: Path, own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", str(tiny_path), "--seconds", "0.2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["prompts"] >= 16
    assert said["study_seconds"] == pytest.approx(20_000 / said["answers_per_second"])
    assert said["threads"] == 1
    assert said["answers_per_second"] == said["by_threads"]["1"]
    assert set(map(int, said["by_threads"])) == {1, max(1, cores() // 2), cores()}
    assert not (own_cache / "answers.sqlite").exists()
