"""Words for groups: read from lists, counted by speaker, told apart from the words of others."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from scipy import special, stats

from plural_nb.charts.word_lists import words_chart
from plural_nb.errors import PluralError
from plural_nb.personas.personas import Personas
from plural_nb.personas.words import ask_words, count_words, differences, listed_words
from plural_nb.silicon.prompt import Reply


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1. Kind\n2) loud\n- proud\n• mean", ("kind", "loud", "proud", "mean")),
        ("Kind, kind; LOUD.", ("kind", "kind", "loud")),
        ("They are all nice people, kind", ("kind",)),
        ("  \n1.\n...", ()),
        (
            "a) free-thinking\nb) open minded\nc) très gentil\nd) 好",
            ("free-thinking", "open minded", "très gentil", "好"),
        ),
        ("one, two, three, four, five", ("one", "two", "three", "four")),
    ],
)
def test_words_are_read_from_any_kind_of_list(text: str, words: tuple[str, ...]) -> None:
    assert listed_words(text) == words


def test_shares_are_weighted_and_speakers_without_a_group_do_not_count() -> None:
    found = count_words(["kind", "loud, kind", "loud"], ["left", "left", None], weight=[3.0, 1.0, 9.0])
    table = {row["word"]: row["share"] for row in found.table().iter_rows(named=True) if row["group"] == "left"}
    assert table == pytest.approx({"kind": 4 / 5, "loud": 1 / 5})


def test_words_that_were_planted_tell_a_group_apart() -> None:
    rng = np.random.default_rng(0)
    common = ["nice", "old", "young", "tall", "rich"]
    left = [", ".join([*rng.choice(common, 3), "liberal" if rng.random() < 0.5 else "nice"]) for _ in range(300)]
    right = [", ".join([*rng.choice(common, 3), "proud" if rng.random() < 0.5 else "nice"]) for _ in range(300)]
    found = count_words(left + right, ["left"] * 300 + ["right"] * 300)
    telling = found.telling("left")
    assert telling["word"][0] == "liberal"
    assert telling["z"][0] > 3
    assert telling["word"][-1] == "proud"
    middle = telling.filter(pl.col("word").is_in(common))
    assert (middle["z"].abs() < 3).all()


def test_lists_of_people_and_personas_are_laid_side_by_side() -> None:
    people = count_words(["kind, loud", "kind"], ["left", "left"])
    personas = count_words(["kind, mean"], ["left"])
    found = differences({"people": people, "personas": personas}, "left")
    assert found.rows() == [
        ("kind", pytest.approx(2 / 3), 0.5),
        ("loud", pytest.approx(1 / 3), 0.0),
        ("mean", 0.0, 0.5),
    ]
    assert people.overlap(personas)["overlap"].to_list() == [0.5]


class Parrot:
    """Stands in for a model: says which party stands in its prompt, and counts how often it is asked."""

    file = SimpleNamespace(chat_template=None, is_chat=False)
    asked = 0

    def replies(self, prompts):
        self.asked += len(prompts)
        word = {p.text: "1. proud\n2. loyal" if "Republican" in p.text else "1. kind" for p in prompts}
        return [Reply(p.text, (), (), said=((word[p.text], p.samples),)) for p in prompts]


def test_personas_are_asked_for_words_and_those_told_alike_once() -> None:
    people = Personas.from_texts({"ann": "I am a Democrat.", "bo": "I am a Republican.", "cy": "I am a Republican."})
    parrot = Parrot()
    found = ask_words(parrot, people, "voted for Bob Dole", ["left", "right", "right"], samples=2)
    assert parrot.asked == 2
    assert found.rows.filter(pl.col("group") == "left")["word"].to_list() == ["kind"] * 2
    assert found.rows.filter(pl.col("group") == "right").height == 2 * 2 * 2


def test_nothing_said_and_nobody_described_are_mistakes() -> None:
    with pytest.raises(PluralError, match="no word"):
        count_words(["...", ""], ["a", "b"])
    with pytest.raises(PluralError, match="no group 'lefft'"):
        count_words(["kind"], ["left"]).telling("lefft")
    with pytest.raises(PluralError, match="whom"):
        ask_words(None, None, "x", [], question="Four words?")


def test_intervals_of_words_take_speakers_as_clusters() -> None:
    """The linearised ratio by hand: words of a speaker over all words."""
    rng = np.random.default_rng(1)
    said = [", ".join(rng.choice(["kind", "loud", "old"], rng.integers(1, 5))) for _ in range(60)]
    weight = rng.uniform(0.5, 2, 60)
    row = count_words(said, ["left"] * 60, weight=weight.tolist()).table().filter(word="kind").row(0, named=True)
    here = np.array([text.split(", ").count("kind") for text in said]) * weight
    words = np.array([len(text.split(", ")) for text in said]) * weight
    p = here.sum() / words.sum()
    z = (here - p * words) / words.sum()
    se = np.sqrt(60 / 59 * (z**2).sum())
    t = stats.t.ppf(0.975, 59)
    expected = special.expit(special.logit(p) + np.array([-1, 1]) * t * se / (p * (1 - p)))
    assert (row["share"], row["low"], row["high"]) == pytest.approx((p, *expected))
    alone = count_words(["kind, loud"], ["left"]).table().row(0, named=True)
    assert alone["low"] is None


def test_a_chart_of_words_carries_both_lists_and_compiles(tmp_path) -> None:
    people = count_words(["kind, loud", "kind", "old"], ["left", "left", "left"])
    personas = count_words(["kind, mean", "kind"], ["left", "left"])
    chart = words_chart({"people": people, "personas": personas}, "left", top=3)
    assert [row["row"] for row in chart.rows[::2]] == ["kind", "mean", "loud"]
    assert chart.rows[3]["value"] == pytest.approx(1 / 3)  # mean, by personas
    assert "<svg" in chart.save(tmp_path / "words.svg").read_text()
    with pytest.raises(PluralError, match="Nobody of 'lefft'"):
        words_chart({"people": people}, "lefft")
