"""Surveys that come along, each with a codebook whose every level must be told well."""

from __future__ import annotations

import polars as pl
import pytest

from plural_nb.resources import data
from plural_nb.survey.codebook import Codebook
from plural_nb.survey.library import load_survey
from plural_nb.survey.survey import Survey


@pytest.fixture(scope="session")
def anes96() -> Survey:
    return load_survey("anes96")


@pytest.fixture(scope="session")
def teaching() -> Survey:
    return load_survey("teaching")


@pytest.fixture(scope="session")
def everyone(anes96: Survey, teaching: Survey) -> list[Survey]:
    """The shipped surveys; of the one that is downloaded, made-up people who have every level of every trait."""
    book = Codebook.read(data("surveys", "nonvoters.toml"))
    levels = {book.trait_columns[key]: trait.options for key, trait in book.traits.items()}
    columns = {book.question_columns[key]: question.options for key, question in book.questions.items()} | levels
    height = max(map(len, columns.values()))
    frame = {
        name: [o.code if o.bounds is None else o.bounds[0] for i in range(height) for o in [options[i % len(options)]]]
        for name, options in columns.items()
    }
    return [anes96, teaching, Survey.from_frame(pl.DataFrame({**frame, book.weight: [1.0] * height}), book)]
