"""Charts of a survey: groups, trends, weights and what a table keeps, as rows, words and pictures."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.charts import information_kept, means_by_group, shares_by_group, trend_lines, weight_histogram
from plural_nb.charts.chart import Chart
from plural_nb.charts.export import as_bytes
from plural_nb.charts.theme import MODELS
from plural_nb.charts.trend import SERIES
from plural_nb.errors import PluralError
from plural_nb.survey.design import Design
from plural_nb.survey.information import CrossTable
from plural_nb.survey.means import mean
from plural_nb.survey.measure import Measure
from plural_nb.survey.shares import estimate
from plural_nb.survey.trend import trend
from plural_nb.survey.weight_spread import weight_spread

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<img src=x onerror=alert(1)> & "quotes": a, b'


@pytest.fixture(scope="module")
def teaching() -> pnb.Survey:
    return pnb.load_survey("teaching")


def words(chart: Chart) -> list[str]:
    """Every text in the picture."""
    return ["".join(t.itertext()) for t in ET.fromstring(as_bytes(chart, "svg")).iter(f"{SVG}text")]


def answers(groups: int, n: int = 20, label: str = "Group") -> tuple[pnb.Answers, list[str]]:
    by = [f"{label} {i}" for i in range(groups) for _ in range(n + i)]
    return pnb.Answers.from_places(pnb.ask_for("Tea?", ["Yes", "No"]), [i % 2 for i in range(len(by))]), by


def test_each_answer_stands_above_its_groups(teaching: pnb.Survey) -> None:
    found = pnb.tabulate(teaching, ["toll"], by="settlement")["toll"]
    chart = shares_by_group(found, by="Settlement")
    order = [row["heading"] or row["group"] for row in chart.rows]
    assert order == ["Yes, abolish the toll", "City", "Town", "Village", "No, keep the toll", "City", "Town", "Village"]
    drawn = words(chart)
    for text in ("Yes, abolish the toll", "Village", f"{found.share[2, 0]:.0%}"):
        assert text in drawn
    assert f"Village {found.share[2, 0]:.0%}" in chart.summary
    assert chart.keys[0].name == f"People by settlement (n = {found.n.sum():,})"


def test_groups_beyond_a_screen_are_counted_and_stay_in_the_file() -> None:
    given, by = answers(90, 3)
    chart = shares_by_group(estimate(given, by=by))
    shown = {row["group"] for row in chart.rows if row["group"]}
    assert chart.notes[0].startswith(f"The {len(shown)} largest of 90 groups are shown")
    assert shown == {f"Group {i}" for i in range(90 - len(shown), 90)}
    assert chart.frame["group"].n_unique() == 90
    one = shares_by_group(estimate(given, by=by), option="Yes")
    assert len(one.rows) > len(shown)


def test_a_group_without_answers_is_named() -> None:
    asked = pnb.ask_for("Tea?", ["Yes", "No"])
    given = pnb.Answers.from_places(asked, [0, 1, 0, 1, None, None])
    chart = shares_by_group(estimate(given, by=["a", "a", "b", "b", "c", "c"]))
    assert chart.notes[0] == "Nobody with an answer: c."
    assert {row["group"] for row in chart.rows} == {"", "a", "b"}


def test_axes_of_shares_begin_at_zero_and_those_of_means_where_the_intervals_do(teaching: pnb.Survey) -> None:
    numbers = Measure.of(teaching.values("premier"), teaching.design)
    found = mean(numbers, by=teaching.groups("region"))
    chart = means_by_group(found, title="The premier")
    assert 0 < chart.rows[0]["bottom"] < found.low.min()
    assert chart.rows[0]["top"] > found.high.max()
    assert {row["bottom"] for row in shares_by_group(estimate(answers(2)[0])).rows} == {0.0}


def test_labels_of_any_kind_come_out_as_text() -> None:
    given, by = answers(2, label=HOSTILE)
    chart = shares_by_group(estimate(given, by=by), title=HOSTILE)
    drawn = words(chart)
    assert any(HOSTILE[:20] in text for text in drawn)
    assert b"<img" not in as_bytes(chart, "html")
    assert next(row for row in chart.rows if row["group"])["group"] == f"{HOSTILE} 0"


def test_a_trend_has_one_line_per_answer_or_per_group(teaching: pnb.Survey) -> None:
    answers_over_time = trend_lines(trend(teaching, "trust_press"))
    assert {row["series"] for row in answers_over_time.rows} == set(trend(teaching, "trust_press").options)
    groups = trend_lines(trend(teaching, "trust_press", by="region"), option="None at all")
    assert {row["series"] for row in groups.rows} == set(teaching.traits["region"].labels)
    assert "share who say “None at all”" in groups.subtitle
    assert "Far Isles: 2019" in groups.summary
    with pytest.raises(PluralError, match="None at all"):
        trend_lines(trend(teaching, "trust_press"), option="None at al")


def test_names_at_the_ends_of_lines_do_not_overlap_and_stay_on_the_chart(teaching: pnb.Survey) -> None:
    for key, by in (("problem", None), ("toll", "region"), ("vote", None)):
        chart = trend_lines(trend(teaching, key, by=by))
        tags = [row for row in chart.rows if row["tag"]]
        at = sorted(row["tag_at"] for row in tags)
        top = tags[0]["top"]
        assert min(np.diff(at)) >= 16 / 300 * top - 1e-9
        assert at[-1] <= top + 1e-9
        assert len(tags) == len({row["series"] for row in chart.rows})


def test_at_most_six_lines_and_a_note_of_the_rest(teaching: pnb.Survey) -> None:
    found = trend(teaching, "toll", by="region", most=3)
    assert "The 3 largest of 5 groups are shown." in trend_lines(found).notes
    years = [{"code": y, "label": str(y)} for y in (2019, 2021)]
    book = {
        "traits": {"wave": {"label": "Wave", "phrase": "{}", "options": years}},
        "questions": {"q": {"text": "Q?", "options": [{"code": i, "label": f"L{i}"} for i in range(9)]}},
    }
    frame = pl.DataFrame({"wave": [2019, 2021] * 90, "q": [i % 9 for i in range(180)]})
    many = pnb.Survey.from_frame(frame, book, name="many")
    chart = trend_lines(trend(many, "q"))
    assert len({row["series"] for row in chart.rows}) == len(SERIES)
    assert any("6 most frequent of 9 answers" in note for note in chart.notes)


def test_colours_of_lines_can_be_told_from_the_page_and_are_not_the_models() -> None:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for colour in SERIES:
        for page in ("#ffffff", "#111111"):
            high, low = sorted([light(colour), light(page)], reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 3, (colour, page)
    assert MODELS not in SERIES
    assert len(set(SERIES)) == len(SERIES)


def test_the_weights_are_drawn_with_kish_and_the_zeros_in_words() -> None:
    w = np.array([0.0, *([1.0] * 50), *([3.0] * 10)])
    chart = weight_histogram(weight_spread(Design(w)), source="A survey")
    assert sum(row["n"] for row in chart.rows) == 60
    assert f"{w.sum() ** 2 / (w @ w):,.0f} of 60" in chart.notes[0]
    assert "1 with a weight of 0" in chart.notes[1]
    assert len([t for t in words(chart) if t == "people"]) == 1
    far = weight_histogram(weight_spread(Design(np.array([1.0] * 500 + [80.0]))))
    assert any("gathers all weights" in note for note in far.notes)


def test_what_is_kept_is_drawn_and_what_misleads_too() -> None:
    table = CrossTable(("a", "b"), ("x", "y"), np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.4, 0.6]]))
    kept = [
        table.rounded(0.01),
        table.merge(groups=[["a", "b"]], how="one group"),
        table.kept([[0.1, 0.9], [0.9, 0.1]], how="the wrong way round"),
        table.kept([[1.0, 0.0], [0.4, 0.6]], how="a false zero"),
    ]
    chart = information_kept(kept)
    labels = [row["label"] for row in chart.rows]
    assert labels[1] == "0%"
    assert labels[2].startswith("-")
    assert chart.rows[2]["share"] == -1
    assert labels[3] == "none: a 0 is wrong"
    assert chart.rows[3]["share"] is None
    assert any("predicts worse" in note for note in chart.notes)
    assert as_bytes(chart, "png").startswith(b"\x89PNG")
    with pytest.raises(PluralError, match="nothing to draw"):
        information_kept([])


def test_charts_of_one_shape_have_one_spec(teaching: pnb.Survey) -> None:
    young = pnb.Population({"age": ["18 to 29"]})
    by = [pnb.tabulate(teaching, ["toll"], by="region", population=p)["toll"] for p in (None, young)]
    over = [trend(teaching, "toll", population=p) for p in (None, young)]
    for one, other in ([shares_by_group(b) for b in by], [trend_lines(t) for t in over]):
        assert one.shape == other.shape
        assert one.spec == other.spec
        assert one.rows != other.rows
