"""The picture of the prefix tree: every distinct token once, drawn where it stands."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest

from plural_nb.answers import Answers
from plural_nb.charts import prefix_tree
from plural_nb.errors import PluralError
from plural_nb.silicon.prompt import Reply, packed
from plural_nb.survey.question import ask_for


def replies(prompts: list[tuple[int, ...]]) -> list[Reply]:
    spelling = {i: f"<{i}>" for t in prompts for i in t}
    return [Reply("", (), (), ids=packed(t), spelling=spelling) for t in prompts]


@pytest.mark.parametrize("seed", range(30))
def test_boxes_are_the_distinct_beginnings_with_how_many_share_them(seed: int) -> None:
    draw = random.Random(seed)
    prompts = [tuple(draw.randrange(3) for _ in range(draw.randrange(1, 9))) for _ in range(draw.randrange(1, 40))]
    chart = prefix_tree(replies(prompts))
    distinct = sorted(set(prompts))
    sharing: dict[tuple[int, ...], int] = {}
    for prompt in distinct:
        for end in range(1, len(prompt) + 1):
            sharing[prompt[:end]] = sharing.get(prompt[:end], 0) + 1
    drawn = {}
    for row in chart.rows:
        assert row["bottom"] - row["top"] == row["prompts"]
        for end in range(row["begin"] + 1, row["end"] + 1):
            assert all(p[:end] == distinct[row["top"]][:end] for p in distinct[row["top"] : row["bottom"]])
            drawn[distinct[row["top"]][:end]] = row["prompts"]
    assert drawn == sharing
    assert chart.frame["tokens"].sum() == len(sharing)
    assert f"{len(sharing):,} are left" in chart.summary


def test_boxes_tile_what_the_prompts_cover_without_overlap() -> None:
    draw = random.Random(1)
    prompts = sorted({tuple(draw.randrange(2) for _ in range(draw.randrange(2, 8))) for _ in range(30)})
    covered = np.zeros((len(prompts), 8), dtype=int)
    for row in prefix_tree(replies(prompts)).rows:
        covered[row["top"] : row["bottom"], row["begin"] : row["end"]] += 1
    for i, prompt in enumerate(prompts):
        assert covered[i].tolist() == [1] * len(prompt) + [0] * (8 - len(prompt))


def test_text_is_on_one_line_and_whole_in_the_table() -> None:
    told = Reply("", (), (), ids=packed((0, 1)), spelling={0: "Question:\n", 1: "why\x07 <b>"})
    chart = prefix_tree([told])
    assert chart.frame["text"].to_list() == ["Question:¶why· <b>"]
    assert chart.frame.columns == ["begin", "end", "tokens", "prompts", "text"]
    assert isinstance(chart.frame, pl.DataFrame)
    assert "1 prompt has 2 tokens" in chart.summary


def test_charts_are_saved(tmp_path) -> None:
    chart = prefix_tree(replies([(0, 1, 2), (0, 1, 3), (0, 4)]))
    picture = chart.save(tmp_path / "tree.svg").read_text(encoding="utf-8")
    assert picture.count("fill-opacity") >= 4
    assert "0" in picture
    assert chart.save(tmp_path / "tree.html").stat().st_size > 1000


def test_what_cannot_be_drawn_says_so() -> None:
    people = Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0, 1])
    with pytest.raises(PluralError, match="did not come from a model"):
        prefix_tree(people)
    with pytest.raises(PluralError, match="too many to see"):
        prefix_tree(replies([(i,) for i in range(201)]))
