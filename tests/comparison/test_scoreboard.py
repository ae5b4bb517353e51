"""The scoreboard's measures are those of the papers, and its ranks know what they do not know."""

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.comparison.baselines import uniform
from plural_nb.comparison.distances import entropy, js_distance, total_variation, wasserstein
from plural_nb.comparison.ranking import Ranking
from plural_nb.comparison.scoreboard import score, steerability
from plural_nb.comparison.survey_distances import compare_survey
from plural_nb.errors import PluralError
from plural_nb.survey.design import Design
from plural_nb.survey.library import load_survey

SCALES = ("nature", "redistribution", "trust_parliament", "trust_courts", "trust_press")
QUESTIONS = (*SCALES, "toll")


@pytest.fixture(scope="module")
def teaching():
    return load_survey("teaching")


def towards(survey, key, part, group=None):
    """A row that goes `part` of the way from uniform to the people."""
    answers = survey.answers(key)
    if group is not None:
        answers = answers.within(survey.trait_codes["age"] == group)
    even, share = uniform(answers), answers.shares().share[0]
    rows = even.rows.copy()
    places = list(answers.question.substantive)
    rows[0, places] = (1 - part) * rows[0, places] + part * share
    return replace(even, rows=rows, source=Source("model", f"{part}"))


@pytest.fixture(scope="module")
def board(teaching):
    models = {name: {key: towards(teaching, key, part) for key in QUESTIONS}
              for name, part in (("near", 0.9), ("half", 0.5), ("far", 0.0))}  # fmt: skip
    return score(models, teaching, by="age", replicates=60)


def people(survey, key, group):
    return survey.answers(key).within(survey.trait_codes["age"] == group).shares().share[0]


def test_measures_equal_their_formulas(teaching, board):
    frame = board.table().filter(model="half")
    for g, group in enumerate(board.groups):
        row = frame.filter(population=group).row(0, named=True)
        p = {key: people(teaching, key, g) for key in QUESTIONS}
        q = {key: towards(teaching, key, 0.5).rows[0, list(teaching.question(key).substantive)] for key in QUESTIONS}
        w = [wasserstein(p[key], q[key], teaching.question(key), normalised=True) for key in SCALES]
        assert row["representativeness"] == pytest.approx(1 - np.mean(w))
        tv = np.mean([total_variation(p[key], q[key]) for key in QUESTIONS])
        even = np.mean([total_variation(p[key], np.full(p[key].size, 1 / p[key].size)) for key in QUESTIONS])
        assert row["simbench"] == pytest.approx(100 * (1 - tv / even))
        assert row["mean_js"] == pytest.approx(np.mean([js_distance(p[key], q[key]) for key in QUESTIONS]))
        ratio = np.mean([entropy(q[key]) for key in QUESTIONS]) / np.mean([entropy(p[key]) for key in QUESTIONS])
        assert row["entropy_ratio"] == pytest.approx(ratio)


def test_uniform_scores_0_on_simbench_within_a_survey(board):
    assert board.measure("far", "simbench", board.groups[1])[0] == pytest.approx(0, abs=1e-9)


def test_refusals_are_reported_on_both_sides(teaching):
    key = "toll"
    asked = teaching.question(key)
    refuses = np.full(len(asked.options), 0.3 / max(len(asked.options) - len(asked.substantive), 1))
    refuses[list(asked.substantive)] = 0.7 / len(asked.substantive)
    answers = Answers(asked, refuses[None], Design(np.ones(1)), np.ones(1, dtype=bool), Source("model", "shy"))
    row = score({"shy": {key: answers}}, teaching, replicates=60).table().row(0, named=True)
    offered = sum(o.offered and not o.substantive for o in asked.options)
    mass = 0.3 / max(len(asked.options) - len(asked.substantive), 1) * offered
    assert row["refusals"] == pytest.approx(mass / (0.7 + mass))
    assert row["people_refusals"] == pytest.approx(teaching.answers(key).shares().nonsubstantive[0])


def test_ranks_are_paired_over_questions(teaching):
    models = {name: {key: towards(teaching, key, part) for key in QUESTIONS}
              for name, part in (("near", 0.9), ("half", 0.5), ("far", 0.0))}  # fmt: skip
    board = score(models, teaching, topics={key: key for key in QUESTIONS}, replicates=60)
    ranks = board.ranking("mean_js")
    assert ranks.table()["name"].to_list() == ["near", "half", "far"]
    paired = ranks.differences().filter(name="near", other="far").row(0, named=True)
    assert paired["high"] < 0
    alone = [board.measure(name, "mean_js") for name in ("near", "far")]
    assert paired["high"] - paired["low"] < sum(high - low for _, low, high in alone)
    assert "near comes first" in ranks.sentence()


def test_batteries_are_drawn_whole(board):
    assert board.sample.clusters_in(np.ones(len(QUESTIONS))) == 4  # three questions on trust are one battery


def test_two_models_that_differ_by_chance_share_a_rank():
    """Of pairs of equal models, about 5% are called different."""
    r = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):
        values = r.normal(size=(2, 30))
        counts = r.multinomial(30, np.full(30, 1 / 30), 400)
        replicates = np.stack([(counts @ v) / 30 for v in values])
        ranks = Ranking("mean_js", "JS", ("a", "b"), values.mean(axis=1), replicates, 30)
        wrong += bool(ranks.differences()["real"][0])
        assert ranks.table()["rank_high"].to_list() == ([1, 2] if ranks.differences()["real"][0] else [2, 2])
    assert 0.02 < wrong / 400 < 0.08


def test_a_ranking_says_when_there_is_nothing_to_rank():
    drawn = np.array([[0.1, 0.2, 0.3], [0.2, 0.3, 0.4]])
    names, values = ("near", "far"), np.array([0.2, 0.3])
    alone = Ranking("mean_js", "JS", names[:1], values[:1], drawn[:1], 3)
    assert alone.sentence() == "By JS, near has 0.2; there is no other to rank it against."
    one_topic = Ranking("mean_js", "JS", names, values, drawn, 1)
    assert one_topic.sentence().endswith("of one battery or topic, so whether a difference is real cannot be told.")
    assert not one_topic.differences()["real"].any()
    unknown = np.full(2, np.nan)
    none = Ranking("representativeness", "R", names, unknown, drawn * np.nan, 0, more_is_better=True)
    assert none.sentence() == "By R nothing can be ranked: no question could be scored by it."
    holes = Ranking("mean_js", "JS", names, values, np.array([[0.1, np.nan, np.nan], [0.2, np.nan, 0.1]]), 3)
    assert holes.table().sort("name")["best"].to_list() == [0.5, 0.5]


def test_the_worst_group_comes_last(teaching):
    young = {key: towards(teaching, key, 1.0, group=0) for key in QUESTIONS}
    board = score({"young": young}, teaching, by="age", replicates=60)
    order = board.worst_group("young").table()["name"].to_list()
    assert order[0] == "18 to 29"
    assert order[-1] == "65 and over"


def test_consistency_is_the_share_of_topics_that_agree(teaching):
    """By hand: of four topics, the population best represented in each against the best overall."""
    mixed = {key: towards(teaching, key, 1.0, group=0 if key != "redistribution" else 3) for key in SCALES}
    topics = {key: key for key in SCALES}
    board = score({"mixed": mixed}, teaching, by="age", topics=topics, replicates=60)
    W = np.empty((len(SCALES), 4))
    for i, question in enumerate(map(teaching.question, SCALES)):
        said = mixed[question.key].rows[0, list(question.substantive)]
        for g in range(4):
            W[i, g] = wasserstein(people(teaching, question.key, g), said, question, normalised=True)
    best = W.mean(axis=0).argmin()
    assert board.consistency("mixed") == pytest.approx((W.argmin(axis=1) == best).mean())
    assert board.consistency("mixed") < 1


def test_steerability_is_released_and_as_in_the_paper(teaching):
    styles = {
        "portray": {key: towards(teaching, key, 0.9 if i % 2 else 0.1) for i, key in enumerate(SCALES)},
        "bio": {key: towards(teaching, key, 0.2 if i % 2 else 0.7) for i, key in enumerate(SCALES)},
    }
    found = {name: compare_survey(teaching, answers, by="age", replicates=60) for name, answers in styles.items()}
    table = steerability(found)
    R = 1 - np.stack([one.distances["wasserstein_normalised"]["value"] for one in found.values()])
    assert table["released"].to_list() == pytest.approx(R.mean(axis=1).max(axis=0).tolist())
    assert table["paper_equation"].to_list() == pytest.approx(R.max(axis=0).mean(axis=0).tolist())
    assert (table["paper_equation"] > table["released"]).all()


def test_models_are_scored_on_the_same_cells(teaching):
    """Where one model said nothing, the others' answer does not count either."""
    silent = uniform(teaching.answers("nature"))
    silent = replace(silent, rows=np.zeros_like(silent.rows), captured_mass=np.zeros(1))
    models = {"a": {key: towards(teaching, key, 0.5) for key in QUESTIONS}}
    models["b"] = {**models["a"], "nature": silent}
    board = score(models, teaching, replicates=60)
    assert board.table()["questions"].to_list() == [5, 5]
    assert board.measure("a", "mean_js")[0] == pytest.approx(board.measure("b", "mean_js")[0])


def test_what_is_not_there_is_named(board, teaching):
    with pytest.raises(PluralError, match="Did you mean 'mean_js'"):
        board.ranking("mean_jss")
    with pytest.raises(PluralError, match="no population"):
        board.ranking(group="young")
    with pytest.raises(PluralError, match="no model 'nearer'"):
        board.consistency("nearer")
    with pytest.raises(PluralError, match="no model to score"):
        score({}, teaching)
    with pytest.raises(PluralError, match="No question of the survey"):
        score({"a": {"nature": uniform(teaching.answers("nature"))}, "b": {}}, teaching)
    unknown = {"nature": MappingProxyType({})}
    with pytest.raises(PluralError, match="No question can be compared"):
        score({"a": unknown}, teaching)
