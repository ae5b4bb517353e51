"""Reference numbers from R, and the survey they were computed on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyreadstat
import pytest
from poll_file import LABELS, TEXTS, poll

from plural_nb.answers import Answers
from plural_nb.survey.design import Design
from plural_nb.survey.question import Option, Question

ORACLE = Path(__file__).parent / "oracle"


@pytest.fixture(scope="session")
def oracle() -> Path:
    return ORACLE


@pytest.fixture(scope="session")
def likert() -> pl.DataFrame:
    return pl.read_csv(ORACLE / "likert.csv")


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Any]:
    return lambda name: json.loads((ORACLE / name).read_text())


@pytest.fixture(scope="session")
def likert_answers() -> Callable[..., Answers]:
    def made(frame: pl.DataFrame, variable: str, design: Design) -> Answers:
        levels = sorted(frame[variable].drop_nulls().unique().to_list())
        question = Question(variable, variable, tuple(Option(str(level), code=level) for level in levels))
        places = [-1 if x is None else levels.index(x) for x in frame[variable].to_list()]
        return Answers.from_places(question, np.array(places), design=design)

    return made


@pytest.fixture(scope="session")
def designs(likert: pl.DataFrame) -> dict[str, Design]:
    weight = likert["weight"].to_numpy()
    return {
        "likert": Design.from_columns(weight, likert["stratum"].to_numpy(), likert["psu"].to_numpy()),
        "likert_wonly": Design(weight),
    }


@pytest.fixture(scope="session")
def frame() -> pl.DataFrame:
    return poll()


@pytest.fixture(scope="session")
def sav(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sav") / "poll.sav"
    pyreadstat.write_sav(
        frame, path, file_label="A poll", variable_value_labels=LABELS, column_labels=TEXTS,
        missing_ranges={"agree": [{"lo": 8, "hi": 9}], "vote": [-9]},
    )  # fmt: skip
    return path
