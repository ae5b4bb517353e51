"""Ready-made distributions are read as they were published; what cannot be used is listed."""

import numpy as np
import polars as pl
import pytest

from plural_nb.errors import SurveyError
from plural_nb.survey.distributions import read_distributions


@pytest.fixture
def global_opinions(tmp_path):
    path = tmp_path / "global.csv"
    pl.DataFrame(
        {
            "question": ["Is life very good, good or bad?", "Which is best?", "Only one?"],
            "selections": [
                "defaultdict(<class 'list'>, {'Norway': [0.5, 0.3, 0.19, 0.01], 'Chad': [0.2, 0.3, 0.1, 0.1]})",
                "{'Norway': [0.25, 0.75]}",
                "{'Norway': [1.0]}",
            ],
            "options": ["['Very good', 'Good', 'Bad', \"Don't know\"]", "['Tea', 'Coffee']", "['All']"],
            "source": ["GAS", "WVS", "WVS"],
        }
    ).write_csv(path)
    return path


def test_shares_come_out_as_published(global_opinions):
    table = read_distributions(global_opinions)
    assert table.groups() == ("Norway",)
    assert table.find("life good") == {"q1": "Is life very good, good or bad?"}
    answers = table.answers("q2", "Norway")
    assert answers.shares().share.tolist() == [[0.25, 0.75]]
    assert answers.source.kind == "humans"
    assert "WVS" in answers.source.detail
    first = table.questions["q1"]
    assert (first.kind, first.options[3].substantive) == ("ordinal", False)
    np.testing.assert_allclose(table.answers("q1", "Norway").shares().share[0], np.array([0.5, 0.3, 0.19]) / 0.99)


def test_what_cannot_be_used_is_listed(global_opinions):
    left_out = read_distributions(global_opinions).left_out
    assert len(left_out) == 2
    assert "q1, Chad: the shares sum to 0.700" in left_out[0] + left_out[1]
    assert any("at least two options" in reason for reason in left_out)


def test_without_a_sample_size_the_interval_says_that_nothing_is_known(global_opinions):
    shares = read_distributions(global_opinions).answers("q2", "Norway").shares()
    assert (shares.high - shares.low).min() > 0.9
    assert "without a sample size" in shares.note


def test_a_sample_size_gives_the_interval_of_a_simple_random_sample(tmp_path):
    frame = pl.DataFrame(
        {"question": ["Tea?"] * 4, "group": ["A", "A", "B", "B"], "option": ["Yes", "No"] * 2,
         "share": [0.3333, 0.6667, 0.5, 0.5], "n": [900, 900, None, None]}
    )  # fmt: skip
    frame.write_csv(tmp_path / "long.csv")
    shares = read_distributions(tmp_path / "long.csv").answers("q1", "A").shares()
    assert shares.share[0, 0] == pytest.approx(1 / 3)
    assert shares.se[0, 0] == pytest.approx(np.sqrt(2 / 9 / 899))
    assert read_distributions(tmp_path / "long.csv").answers("q1", "B").design.n == 1


def test_wrong_tables_questions_and_groups_are_named(global_opinions, tmp_path):
    table = read_distributions(global_opinions)
    with pytest.raises(SurveyError, match=r"no answers of 'Norwya' to 'q2'. Did you mean 'Norway'"):
        table.answers("q2", "Norwya")
    with pytest.raises(SurveyError, match="no question 'q9'"):
        table.answers("q9", "Norway")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SurveyError, match=r"x.csv has the columns a, b"):
        read_distributions(tmp_path / "x.csv")
    (tmp_path / "y.csv").write_text("question,options,selections\nTea?,nonsense,{}\n")
    with pytest.raises(SurveyError, match=r"y.csv, row 1: options or selections are not a list and a table"):
        read_distributions(tmp_path / "y.csv")
