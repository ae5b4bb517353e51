"""The chart of humans beside a model: what it draws, says and writes to files."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.charts import Chart, humans_and_model
from plural_nb.charts.export import as_bytes
from plural_nb.charts.renderer import MIME
from plural_nb.charts.theme import HUMANS, MODELS
from plural_nb.errors import PluralError
from plural_nb.survey.design import Design
from plural_nb.survey.question import Question, ask_for

SCRIPT = "<script>alert(1)</script>"
QUESTION = ask_for("Do you drink tea?", ["Every day", "Sometimes, when somebody else makes it for me", SCRIPT])


def people(*counts: int, question: Question = QUESTION) -> Answers:
    return Answers.from_places(question, [i for i, n in enumerate(counts) for _ in range(n)])


def model(row: list[float], *, mass: float = 0.9, spread: list[list[float]] | None = None) -> Answers:
    source = Source("model", "tiny", "F16")
    given = None if spread is None else np.array(spread)
    return Answers(QUESTION, np.array([row]), Design(np.ones(1)), np.ones(1, bool), source, np.array([mass]), given)


def chart(mass: float = 0.9, spread: list[list[float]] | None = None) -> Chart:
    return humans_and_model(people(50, 30, 20).shares(), model([0.7, 0.2, 0.1], mass=mass, spread=spread).shares())


def test_bars_are_the_shares_and_humans_come_first() -> None:
    drawn = chart()
    assert [row["share"] for row in drawn.rows] == pytest.approx([0.5, 0.3, 0.2, 0.7, 0.2, 0.1])
    assert [row["who"] for row in drawn.rows] == ["humans"] * 3 + ["model"] * 3
    assert [row["label"] for row in drawn.rows] == ["50%", "30%", "20%", "70%", "20%", "10%"]


def test_humans_have_an_interval_and_an_exact_answer_has_none() -> None:
    humans, exact = chart().rows[0], chart().rows[3]
    shares = people(50, 30, 20).shares()
    assert (humans["low"], humans["high"]) == (shares.low[0, 0], shares.high[0, 0])
    assert (exact["low"], exact["high"], exact["whisker"]) == (None, None, "none")
    assert exact["note"] == "exact for this prompt"
    assert "exact for this prompt" in chart().keys[1].whisker


def test_spread_over_prompts_is_another_kind_of_whisker() -> None:
    row = chart(spread=[[0.6, 0.1, 0.0], [0.8, 0.3, 0.2]]).rows[3]
    assert (row["low"], row["high"], row["whisker"]) == (0.6, 0.8, "spread")


def test_little_captured_mass_greys_the_bars_and_says_so() -> None:
    drawn = chart(mass=0.3)
    assert [row["muted"] for row in drawn.rows] == [False] * 3 + [True] * 3
    assert any("30%" in note and "grey" in note for note in drawn.notes)
    assert not any(row["muted"] for row in chart(mass=0.5).rows)


def test_humans_and_models_differ_in_more_than_colour() -> None:
    [bars] = [layer for layer in chart().spec["layer"] if "fillOpacity" in layer["encoding"]]
    assert bars["encoding"]["fill"]["scale"]["range"] == [HUMANS, MODELS]
    solid, framed = bars["encoding"]["fillOpacity"]["scale"]["range"]
    assert solid == 1
    assert framed < 0.4


def test_long_labels_are_wrapped_and_whole() -> None:
    row = chart().rows[1]
    assert max(map(len, row["option"].split("\n"))) <= 30
    assert row["option"].replace("\n", " ") == row["option_text"] == QUESTION.options[1].label


def test_summary_and_table_hold_every_number() -> None:
    drawn = chart()
    for text in ("Do you drink tea?", "n = 100", "Every day 50%", "tiny: Every day 70%"):
        assert text in drawn.summary
    assert drawn.frame["share"].to_list() == pytest.approx([0.5, 0.3, 0.2, 0.7, 0.2, 0.1])
    assert drawn.frame["who"].to_list() == ["humans"] * 3 + ["model"] * 3
    assert {field for field, _ in drawn.columns} <= set(drawn.rows[0])


def test_charts_of_one_shape_share_a_spec() -> None:
    one, other = chart(), humans_and_model(people(1, 2, 3).shares(), waiting="tiny")
    assert one.shape == other.shape
    assert one.spec == other.spec
    assert [row["label"] for row in other.rows[3:]] == ["…"] * 3
    four = humans_and_model(people(1, 2, 3, 4, question=ask_for("?", list("abcd"))).shares())
    assert four.shape != one.shape


def test_different_options_cannot_stand_side_by_side() -> None:
    with pytest.raises(PluralError, match="different options"):
        humans_and_model(people(1, 2, question=ask_for("?", ["a", "b"])).shares(), model([0.7, 0.2, 0.1]).shares())


def test_axis_does_not_move_with_the_population_where_options_are_few() -> None:
    assert {humans_and_model(people(*n).shares()).rows[0]["top"] for n in ((1, 50, 50), (98, 1, 1))} == {1.0}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


def test_files_hold_the_chart(tmp_path: Path) -> None:
    drawn = chart()
    table = pl.read_csv(drawn.save(tmp_path / "a.csv"))
    assert table["share"].to_list() == pytest.approx(drawn.frame["share"].to_list())
    picture = drawn.save(tmp_path / "a.svg").read_text(encoding="utf-8")
    assert ET.fromstring(picture).tag.endswith("svg")
    assert "currentColor" not in picture
    assert HUMANS in picture
    assert "70%" in picture
    assert drawn.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_page_stands_alone_and_runs_nothing(tmp_path: Path) -> None:
    text = chart().save(tmp_path / "a.html").read_text(encoding="utf-8")
    tags = _Tags()
    tags.feed(text)
    assert "script" not in tags.tags
    assert not tags.links
    assert "&lt;script&gt;alert(1)" in text
    assert {"table", "svg", "h1"} <= set(tags.tags)
    assert "prefers-color-scheme: dark" in text
    assert "currentColor" in text


def test_an_ending_that_is_no_format_is_told_the_formats(tmp_path: Path) -> None:
    with pytest.raises(PluralError, match=r"\.csv, \.svg, \.png, \.html"):
        chart().save(tmp_path / "a.jpeg")
    with pytest.raises(PluralError, match="cannot be written"):
        chart().save(tmp_path / "nowhere" / "a.svg")


def test_output_is_what_jupyterlab_can_draw_offline() -> None:
    data, metadata = chart()._repr_mimebundle_()
    assert data[MIME]["$schema"].endswith("v5.json")
    assert data[MIME]["datasets"]["rows"][0]["label"] == "50%"
    assert metadata[MIME]["embed_options"]["renderer"] == "svg"
    assert data["text/plain"] == chart().summary
    assert "http" not in json.dumps(data[MIME]).replace("https://vega.github.io/schema/", "")


def test_importing_charts_leaves_altair_alone_and_sets_its_renderer_when_it_comes() -> None:
    code = (
        "import sys, plural_nb.charts; print('altair' in sys.modules)\n"
        "import altair as alt; print(alt.renderers.active)\n"
        "data, _ = alt.renderers.get()(alt.Chart({'values': [{'a': 1}]}).mark_bar().to_dict()); print(*data)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:3] == ["False", "plural_nb", f"{MIME} text/plain"]


def test_altair_takes_the_figure() -> None:
    assert json.load(io.StringIO(chart().to_altair().to_json()))["datasets"]["rows"]


@pytest.mark.parametrize("odd", ["a\x02b", "\x1b[0m", "\ufffe", "</script>", "a\x00"])
def test_a_character_that_no_picture_can_hold_does_not_end_the_kernel(odd: str) -> None:
    """vl-convert aborts the process for a control character in a label."""
    chart = humans_and_model(Answers.from_places(ask_for("Q", [odd, "No"]), [0, 0, 1]).shares())
    assert as_bytes(chart, "png").startswith(b"\x89PNG")
