"""Multi-select and grid questions are found among neighbouring columns, and chance neighbours are not."""

import polars as pl
import pyreadstat
import pytest

from plural_nb.survey.batteries import batteries_of
from plural_nb.survey.labelled import Variable
from plural_nb.survey.reading import read_survey

TRUST = {1: "A lot", 2: "Some", 3: "Not much", -1: "Refused"}
TICK = {0: "Not selected", 1: "Selected"}


def test_a_grid_is_one_scale_for_many_items():
    grid = [Variable(f"Q8_{i}", f"How much do you trust each? - {x}", TRUST) for i, x in enumerate(["Courts", "Press"])]
    (found,) = batteries_of([Variable("Q7", "?", TRUST), *grid, Variable("Q9", "?", TRUST)])
    assert (found.name, found.kind, found.columns) == ("Q8", "grid", ("Q8_0", "Q8_1"))
    assert (found.stem, found.items) == ("How much do you trust each?", ("Courts", "Press"))


@pytest.mark.parametrize("names", [["q5a", "q5b"], ["V_1", "V_2"], ["news.r1", "news.r2"]])
def test_ticks_are_a_multi_select_whatever_the_numbering(names):
    ticks = [
        Variable(name, f"{x}: Where do you get news?", TICK) for name, x in zip(names, ["TV", "Radio"], strict=True)
    ]
    (found,) = batteries_of(ticks)
    assert (found.kind, found.stem, found.items) == ("multi-select", "Where do you get news?", ("TV", "Radio"))


def test_neighbours_that_only_count_up_are_no_battery():
    assert (
        batteries_of(
            [Variable("v1", "Do you smoke?", {1: "Yes", 2: "No"}), Variable("v2", "Do you drive?", {1: "Yes", 2: "No"})]
        )
        == ()
    )
    assert batteries_of([Variable("q3_1", "Trust: Courts", TRUST), Variable("q3_2", "Trust: Press", TICK)]) == ()


def test_blank_means_not_selected_only_where_another_item_was(tmp_path):
    frame = pl.DataFrame({"m_1": [1.0, None, 1.0, None], "m_2": [None, 1.0, 1.0, None], "m_3": [None, None, 1.0, None]})
    pyreadstat.write_sav(
        frame, tmp_path / "ticks.sav", column_labels=dict.fromkeys(frame.columns, "Where do you get news?"),
        variable_value_labels={"m_1": {1.0: "TV"}, "m_2": {1.0: "Radio"}, "m_3": {1.0: "Web"}},
    )  # fmt: skip
    survey = read_survey(tmp_path / "ticks.sav")
    assert survey.batteries[0].items == ("TV", "Radio", "Web")
    question = survey.questions["m_1"]
    assert ([o.label for o in question.options], question.battery) == (["TV", "Not selected"], "Where do you get news?")
    assert survey.answer_codes["m_1"].tolist() == [0, 1, 0, -1]
    assert survey.answers("m_3").shares().share[0].tolist() == pytest.approx([1 / 3, 2 / 3])
