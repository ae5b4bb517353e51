"""Personas: where they come from, what they must not tell, and that a model speaks as each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plural_nb.errors import ModelError, SurveyError
from plural_nb.personas.leaks import giveaways
from plural_nb.personas.personas import Personas
from plural_nb.personas.preview import preview
from plural_nb.personas.telling import Telling, backstories
from plural_nb.personas.template import Template
from plural_nb.resources import data
from plural_nb.silicon.model import Model, open_model
from plural_nb.survey.columns import Columns
from plural_nb.survey.question import ask_for
from plural_nb.survey.reading import read_survey
from plural_nb.survey.shares import estimate
from plural_nb.survey.survey import Population, Survey

TEA = ask_for("Tea or coffee?", ["Tea", "Coffee"])


@pytest.fixture(scope="module")
def base() -> Iterator[Model]:
    with open_model("plural-demo-base") as model:
        yield model


def small(survey: Survey, n: int) -> Survey:
    """The first n people of a survey."""
    design = replace(survey.design, weight=survey.design.weight[:n], stratum=None, psu=None)
    return replace(
        survey,
        columns=Columns(survey.columns.frame().head(n)),
        design=design,
        trait_codes={k: v[:n] for k, v in survey.trait_codes.items()},
        answer_codes={k: v[:n] for k, v in survey.answer_codes.items()},
    )


def test_the_silicon_sample_has_the_surveys_own_weights_and_design(teaching: Survey) -> None:
    people = Personas.from_survey(teaching, "third_person", population=Population({"gender": "Woman"}))
    assert people.design is teaching.design
    assert people.n == teaching.n
    assert np.array_equal(people.domain, teaching.trait_codes["gender"] == 0)
    assert people.traits["gender"].to_list()[:3] == ["Man", "Woman", "Woman"]


def test_asking_people_gives_the_answers_of_their_texts_one_by_one(base: Model, anes96: Survey) -> None:
    few = small(anes96, 12)
    inside = Population({"age": ["25 to 44", "45 to 64"]})
    people = Personas.from_survey(few, traits=["age", "party"], population=inside, leak="keep")
    vote = anes96.question("vote")
    answers = base.ask(vote, people=people)
    assert answers.source.kind == "personas"
    assert answers.design is few.design
    assert np.array_equal(answers.domain, inside.mask(few))
    for row in range(12):
        alone = base.ask(vote, persona=people.texts[row]).rows[0] if answers.domain[row] else np.zeros(2)
        assert answers.rows[row] == pytest.approx(alone, abs=1e-3)


def test_folding_identical_people_leaves_every_share_unchanged(base: Model, anes96: Survey) -> None:
    few = small(anes96, 60)
    people = Personas.from_survey(few, traits=["age", "party"], leak="keep")
    assert people.distinct < 30
    vote = anes96.question("vote")
    answers = base.ask(vote, people=people)
    assert len({reply.text for reply in answers.replies}) == people.distinct
    texts, place = np.unique(np.array(people.texts, dtype=object), return_inverse=True)
    folded = base.ask(vote, persona=[str(text) for text in texts])
    weight = np.bincount(place, weights=few.design.weight)
    assert np.abs(answers.shares().share[0] - weight @ folded.rows / weight.sum()).max() < 1e-12


def test_several_questions_in_one_run_answer_as_each_alone(base: Model, anes96: Survey) -> None:
    people = Personas.from_survey(small(anes96, 10), traits=["age", "income", "party"], leak="leave out")
    questions = [anes96.question(key) for key in ("vote", "party", "tv_news")]
    together = base.ask_all(questions, people=people)
    for question in questions:
        assert together[question.key].rows == pytest.approx(base.ask(question, people=people).rows, abs=2e-4)
    assert not any("Republican" in reply.text.split("Question:")[0] for reply in together["party"].replies)
    assert any("Republican" in reply.text.split("Question:")[0] for reply in together["tv_news"].replies)


def test_a_text_in_the_systems_turn_comes_first(anes96: Survey) -> None:
    with open_model("plural-demo-tuned") as tuned:
        texts = ["I am a woman.", "I am a man."]
        asked = tuned.ask(TEA, people=Personas.from_texts(texts, where="system"), mode="chat")
        same = [tuned.ask(TEA, system=text, mode="chat").rows[0] for text in texts]
        assert asked.rows == pytest.approx(np.array(same), abs=1e-3)


def test_the_grid_has_the_shares_of_all_respondents_and_no_sampling_error(base: Model, teaching: Survey) -> None:
    few = small(teaching, 400)
    traits = ["gender", "income"]  # income is not known of everybody
    grid = Personas.from_grid(few, traits, leak="keep")
    people = Personas.from_survey(few, traits=traits, leak="keep")
    assert grid.n == 8
    assert (few.trait_codes["income"] < 0).any()
    toll = teaching.question("toll")
    cells = base.ask(toll, people=grid)
    assert cells.shares().se is None
    assert cells.shares().share == pytest.approx(base.ask(toll, people=people).shares().share, abs=1e-12)
    by_gender = estimate(cells, by=grid.traits["gender"])
    assert by_gender.groups == ("Man", "Woman") or by_gender.groups == ("Woman", "Man")
    assert by_gender.low == pytest.approx(by_gender.share)


def test_a_grid_takes_known_totals(teaching: Survey) -> None:
    totals = pl.DataFrame({"gender": ["Woman", "Man"], "total": [30.0, 10.0]})
    grid = Personas.from_grid(teaching, ["gender"], totals=totals)
    assert list(zip(grid.texts, grid.design.weight, strict=True)) == [("I am a woman.", 30.0), ("I am a man.", 10.0)]
    with pytest.raises(SurveyError, match="'Woman'"):
        Personas.from_grid(teaching, ["gender"], totals=pl.DataFrame({"gender": ["Women"], "total": [1.0]}))


def test_a_draw_follows_the_weights_and_its_seed(anes96: Survey) -> None:
    weight = anes96.design.weight / anes96.design.weight.sum()
    drawn = Personas.drawn_from(anes96, 40_000, traits=["age"], draw_seed=3)
    assert drawn.texts == Personas.drawn_from(anes96, 40_000, traits=["age"], draw_seed=3).texts
    young = "I am between 18 and 24 years old."
    expected = weight[[text == young for text in backstories(anes96, traits=["age"])]].sum()
    share = sum(text == young for text in drawn.texts) / drawn.n
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / drawn.n)
    assert np.ptp(drawn.design.weight) == 0


def test_margins_alone_make_independent_made_up_people_and_say_so(teaching: Survey) -> None:
    margins = {"gender": {"Woman": 0.6, "Man": 0.4}, "settlement": {"City": 200.0, "Town": 300.0, "Village": 500.0}}
    people = Personas.from_margins(margins, survey=teaching)
    product = np.outer([0.6, 0.4], [0.2, 0.3, 0.5]).ravel()
    assert people.design.weight == pytest.approx(product, rel=1e-10)
    assert people.texts[0] == "I am a woman. My home is in a city."
    assert people.source == "margins"
    assert "made-up" in people.about
    assert "only the margins" in people.design.note


@pytest.mark.parametrize("key", ["party", "ideology", "tv_news"])
def test_the_trait_that_is_asked_is_never_told(anes96: Survey, key: str) -> None:
    question = anes96.question(key)
    words = {sentence for sentence in anes96.trait(key).sentences if sentence}
    for leak in ("leave out", "keep"):
        told = Personas.from_survey(anes96, leak=leak).told(question)
        assert not any(sentence in text for text in told for sentence in words)
        shown = Personas.from_survey(anes96, traits=["age"], answered=[key], leak=leak).told(question)
        assert not any(question.text in text for text in shown)
    with pytest.raises(SurveyError, match=re.escape(f"({key}: it is the question itself")):
        Personas.from_survey(anes96).told(question)


def test_near_duplicates_are_named_and_the_user_chooses(anes96: Survey) -> None:
    vote = anes96.question("vote")
    with pytest.raises(SurveyError, match=r"Party identification.*Cramér's V 0\.82.*leak='keep'"):
        Personas.from_survey(anes96).told(vote)
    kept = Personas.from_survey(anes96, leak="keep")
    assert tuple(kept.told(vote)) == kept.texts
    out = Personas.from_survey(anes96, leak="leave out").told(vote)
    assert out == backstories(anes96, traits=[key for key in anes96.traits if key != "party"])
    assert Personas.from_survey(anes96, traits=["age", "ideology"]).told(vote)
    assert [g.key for g in Personas.from_survey(anes96, near=0.3).giveaways(vote)] == ["party", "ideology"]


def test_a_users_question_with_the_options_of_a_trait_is_a_near_duplicate(anes96: Survey) -> None:
    own = ask_for("Your party?", list(anes96.trait("party").labels), key="mine")
    assert [(g.key, g.asked) for g in giveaways(anes96, list(anes96.traits), own)] == [("party", False)]
    assert giveaways(anes96, list(anes96.traits), TEA) == ()


def test_a_column_told_raw_is_guarded_too(anes96: Survey) -> None:
    column = anes96.question_columns["tv_news"]
    people = Personas.from_survey(anes96, Template(f"I watch {{{column}:number}} days."), leak="leave out")
    assert set(people.told(anes96.question("tv_news"))) == {""}


def test_the_same_persons_answers_are_shown_as_questions_are_asked(anes96: Survey) -> None:
    people = Personas.from_survey(anes96, traits=["age"], answered=["vote"], leak="keep")
    choice = "B" if anes96.answer_codes["vote"][0] else "A"
    assert people.texts[0] == (
        "I am between 25 and 44 years old.\n\nQuestion: In the 1996 presidential election, which of these two "
        f"candidates do you choose?\nA. Bill Clinton\nB. Bob Dole\nAnswer: {choice}"
    )


def test_principles_follow_everybodys_text_also_where_a_trait_is_left_out(anes96: Survey) -> None:
    people = Personas.from_survey(anes96, traits=["party"], principles="I put care first.", leak="leave out")
    assert people.texts[0] == "I am a strong Republican.\n\nI put care first."
    assert set(people.told(anes96.question("party"))) == {"I put care first."}


def test_two_people_with_one_id_are_named(teaching: Survey) -> None:
    with pytest.raises(SurveyError, match=r"'ann' \(rows 1 and 3\)"):
        Personas.from_texts(["a", "b", "c"], ids=["ann", "bob", "ann"])
    with pytest.raises(SurveyError, match="Two people have the id"):
        Personas.from_survey(teaching, ids="psu")


def test_who_has_too_long_a_backstory_is_named_with_the_tokens_over(base: Model) -> None:
    long = "I like tea and cake. " * 300
    people = Personas.from_texts({"ann": "I am old.", "bob": long})
    with pytest.raises(ModelError, match="'bob'") as raised:
        base.ask(TEA, people=people)
    said, over = (int(n.replace(",", "")) for n in re.findall(r"([\d,]+) (?:tokens|more)", str(raised.value))[:2])
    prompt = base.prepare(TEA, persona=long)[0].text
    assert said == base.count_tokens([prompt])[0]
    assert over == said - 1024


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: Personas.from_texts([]), "no persona"),
        (lambda s: Personas.from_texts("I am"), "list of texts"),
        (lambda s: Personas.from_texts(["a", None]), "is a text"),
        (lambda s: Personas.from_survey(s, leak="leav out"), "leave out"),
        (lambda s: Personas.from_survey(s, ids="nme"), "no column 'nme'"),
        (lambda s: Personas.drawn_from(s, 0), "at least 1"),
        (lambda s: Personas.from_grid(s, []), "list of traits"),
        (lambda s: Personas.from_margins({}), "at least one margin"),
        (lambda s: Personas.from_margins({"age": {"18 to 25": 1, "65 and over": 2}}, survey=s), "18 to 24"),
        (lambda s: Personas.from_survey(s, population=Population({"age": "18 to 25"})), "18 to 24"),
    ],
)
def test_what_is_wrong_is_said(anes96: Survey, call, says: str) -> None:
    with pytest.raises(SurveyError, match=says):
        call(anes96)


def test_a_preview_is_that_persons_text_and_its_length(base: Model, anes96: Survey) -> None:
    seen = preview(anes96, "third_person", 5, model=base)
    assert seen.text == backstories(anes96, [5], template="third_person")[0]
    prompt = base.reply(base.prepare(TEA, persona=seen.text)[0])
    own = prompt.text.index(seen.text) + len(seen.text)
    lengths = np.cumsum([len(piece) for piece in prompt.pieces])
    assert seen.tokens == int((lengths <= own).sum())


def test_5836_weighted_people_of_a_real_poll_become_backstories(shared: Path) -> None:
    file = shared / "data" / "nonvoters" / "nonvoters_data.csv"
    if not file.is_file():
        pytest.skip("the poll is not beside this checkout")
    survey = read_survey(file, codebook=data("surveys", "nonvoters.toml"))
    people = Personas.from_survey(survey, "portrayal")
    assert people.n == 5836
    assert people.silent == 0
    assert people.design.n_eff_kish() < 5836
    assert not any(re.search(r"  |[{}]|\bnan\b", text) for text in people.texts)
    party = people.traits["party"].to_list()
    assert ("think of yourself as a Democrat" in people.texts[0]) == (party[0] == "Democrat")
    assert len(Telling(survey, Template("{Q30}."), rows=[0]).texts()) == 1
