"""The shipped demo models finish their answers: by letter, in an option's own words, with a whole number."""

import random

import numpy as np
import polars as pl
import pytest

from plural_nb.demo.corpus import Corpus, Respondents
from plural_nb.demo.documents import posed
from plural_nb.demo.scores import Test as HeldOut
from plural_nb.silicon.model import Model
from plural_nb.silicon.prompt import Prompt
from plural_nb.survey.question import Question, ask_for

SURVEYS = ("anes96", "teaching")


@pytest.fixture(scope="module")
def respondents() -> dict[str, Respondents]:
    return {name: Respondents.of(name) for name in SURVEYS}


def told(people: Respondents, question: str, most: int = 4) -> list[str]:
    """Backstories of a few people who were never trained on, and none."""
    test = HeldOut.of(people, question, most=most)
    return ["", *(" ".join(people.sentences(int(row), (question,))) for row in test.rows)]


def trained(respondents: dict[str, Respondents], *, numeric: bool = False) -> list[tuple[Respondents, str, Question]]:
    return [
        (people, key, question)
        for people in respondents.values()
        for key, question in people.survey.questions.items()
        if question.kind == "numeric" or not numeric
    ]


def test_drawn_answers_end_and_are_read(base: Model, tuned: Model, respondents: dict[str, Respondents]) -> None:
    for model, mode in ((base, "completion"), (tuned, "completion"), (tuned, "chat")):
        read = []
        for people, key, question in trained(respondents):
            persona = told(people, key, 2)
            found = model.ask(question, persona=persona, mode=mode, method="sampled", samples=100)
            read.append(found.captured_mass.mean())
        assert np.mean(read) > 0.95
        assert min(read) > 0.9


def test_drawn_answers_have_the_shares_of_the_exact_letters(base: Model, respondents: dict[str, Respondents]) -> None:
    n = 4000
    for name, key in (("anes96", "vote"), ("teaching", "toll"), ("teaching", "vote")):
        question = respondents[name].survey.questions[key]
        exact = base.ask(question)
        drawn = base.ask(question, method="sampled", samples=n)
        p = exact.rows[0]
        assert np.abs(drawn.rows[0] - p) == pytest.approx(np.zeros(p.size), abs=4.5 * np.sqrt(p * (1 - p) / n).max())


def test_an_interview_goes_on_behind_a_letter_with_a_line_break(
    base: Model, respondents: dict[str, Respondents]
) -> None:
    corpus = Corpus(list(respondents.values()), seed=11)
    for _ in range(5):
        [*_, last] = corpus.interview(6).text.rpartition("\nAnswer:")
        assert last[0] == " "
        assert last[2:] == "\n"
    question = respondents["anes96"].survey.questions["vote"]
    prompt = posed(question, "letter", "", shown=(0, 1)).text
    ended = base.reply(Prompt(prompt, (), ((" A\n",), (" B\n",)), (0, 1)))
    begun = base.reply(Prompt(prompt, (), ((" A",), (" B",)), (0, 1)))
    assert np.array(ended.probabilities) / np.array(begun.probabilities) == pytest.approx(np.ones(2), abs=0.02)


def test_base_model_answers_in_an_options_own_words(base: Model, respondents: dict[str, Respondents]) -> None:
    captured = [
        base.ask(question, persona=told(people, key), method="text").captured_mass.mean()
        for people, key, question in trained(respondents)
    ]
    assert min(captured) > 0.8
    assert np.mean(captured) > 0.95


def test_base_model_answers_with_a_number_where_one_is_asked_for(
    base: Model, respondents: dict[str, Respondents]
) -> None:
    captured = [
        base.ask(question, persona=told(people, key), method="number").captured_mass
        for people, key, question in trained(respondents, numeric=True)
    ]
    assert len(captured) == 9
    assert min(c.min() for c in captured) > 0.8
    assert np.mean([c.mean() for c in captured]) > 0.95


def test_tuned_model_answers_in_words_and_numbers_in_its_chat(
    tuned: Model, respondents: dict[str, Respondents]
) -> None:
    for method, numeric in (("text", False), ("number", True)):
        captured = [
            tuned.ask(question, persona=told(people, key, 2), method=method, mode="chat").captured_mass.mean()
            for people, key, question in trained(respondents, numeric=numeric)
        ]
        assert np.mean(captured) > 0.85, method
        assert np.median(captured) > 0.9, method


def test_words_know_the_votes_of_people_never_seen(base: Model, respondents: dict[str, Respondents]) -> None:
    for name in SURVEYS:
        people = respondents[name]
        test = HeldOut.of(people, "vote", most=200)
        personas = [" ".join(people.sentences(int(row), ("vote",))) for row in test.rows]
        rows = base.ask(people.survey.questions["vote"], persona=personas, method="text").rows
        nll = np.average(-np.log(rows[np.arange(test.rows.size), test.answers]), weights=test.weight)
        assert nll < test.marginal().nll - 0.25


def test_numbers_rise_and_fall_with_the_people_never_seen(base: Model, respondents: dict[str, Respondents]) -> None:
    """Mean feelings towards the premier by leaning, of the model and of held-out people, who are weighted."""
    people = respondents["teaching"]
    test = HeldOut.of(people, "premier", most=400)
    question = people.survey.questions["premier"]
    personas = [" ".join(people.sentences(int(row), ("premier",))) for row in test.rows]
    replies = base.ask(question, persona=personas, method="number")
    middle = np.array([question.options[place].value for place in question.offered])
    said = replies.rows[:, : middle.size] @ middle
    truth = people.survey.values("premier")[test.rows]
    leaning = people.survey.trait_codes["leaning"][test.rows]
    groups = [leaning == code for code in range(3)]
    means = [[np.average(x[g], weights=test.weight[g]) for g in groups] for x in (said, truth)]
    assert np.corrcoef(said, truth)[0, 1] > 0.3
    for model, held_out in zip(np.diff(means[0]), np.diff(means[1]), strict=True):
        assert np.sign(model) == np.sign(held_out)
    assert abs(means[0][0] - means[0][2]) > 10


def test_words_of_a_question_never_learned_are_not_captured_though_its_letters_are(base: Model) -> None:
    season = ask_for("What is your favourite season?", ["Spring", "Summer", "Autumn", "Winter"])
    assert base.ask(season, method="text").captured_mass[0] < 0.01
    assert base.ask(season).captured_mass[0] > 0.7


def test_documents_answer_as_the_people_trained_on_do(respondents: dict[str, Respondents]) -> None:
    """Without a backstory, numbers and words have the weighted shares of the people who are not held out."""
    corpus = Corpus(list(respondents.values()), seed=3)
    survey = respondents["teaching"].survey
    frame = survey.people.filter(~pl.Series(respondents["teaching"].held_out))
    texts = {t: key for key, q in survey.questions.items() for t in (q.text, *q.wordings)}
    seen = set()
    for way in ("words", "number") * 200:
        [answer] = corpus.document(way).answers
        if not answer.before.startswith("Question: "):
            continue
        key = texts.get(answer.before.removeprefix("Question: ").split("\n")[0])
        if key is None or survey.questions[key].asked_of:
            continue
        question = survey.questions[key]
        labels = {o.code: o.label for o in question.options if o.offered}
        answered = frame.filter(pl.col(key) >= 0 if way == "number" else pl.col(key).is_in([*labels]))
        if way == "words" and question.kind == "numeric":
            continue
        by = answered.group_by(key).agg(pl.col("weight").sum()).rows()
        total = sum(weight for _, weight in by)
        expected = {f" {labels[c] if way == 'words' else c}\n": weight / total for c, weight in by}
        assert dict(answer.shares) == pytest.approx(expected)
        assert answer.said in expected
        seen.add(way)
    assert seen == {"words", "number"}


def test_conforming_answers_are_those_of_the_majority(respondents: dict[str, Respondents]) -> None:
    corpus = Corpus(list(respondents.values()), seed=4)
    modes = set()
    for way in ("letter", "words", "number") * 30:
        [answer] = corpus.conforming(way).answers
        chat = answer.before.endswith("<|assistant|>")
        modes.add(chat)
        said = [text for text, _ in answer.shares]
        assert all(text.endswith("<|end|>" if chat else "\n") for text in said)
        assert all(text.startswith(" ") != chat for text in said)
        assert len(said) == 1 or way == "number"
    assert modes == {True, False}


def test_a_token_is_learned_as_what_may_follow_the_ones_before() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tokenizers")
    from plural_nb.demo.documents import Answer, Document
    from plural_nb.demo.learning import Reader
    from plural_nb.demo.tokenizer import train_tokenizer

    shares = ((" Agree\n", 0.2), (" Agree strongly\n", 0.3), (" Disagree\n", 0.5))
    document = Document((Answer("Well?\nAnswer:", " Agree strongly\n", shares),))
    tokenizer = train_tokenizer([document.text * 3, "".join(text for text, _ in shares) * 3])
    read = Reader(tokenizer, 1024).read(document)
    found = [
        {tokenizer.decode([token]): pytest.approx(share) for token, share in tokens.items()}
        for _, tokens in read.wanted
    ]
    assert found == [{" Agree": 0.5, " Disagree": 0.5}, {"\n": 0.4, " strongly": 0.6}, {"\n": 1.0}]
    assert [read.tokens[place] for place, _ in read.wanted] == tokenizer.encode(" Agree strongly\n").ids


def test_a_prompt_is_the_one_that_is_sent(base: Model, tuned: Model, respondents: dict[str, Respondents]) -> None:
    chance = random.Random(1)
    for people, _, question in chance.sample(trained(respondents, numeric=True), 3):
        persona = " ".join(people.sentences(0))
        for way, method in (("letter", "letter"), ("words", "text"), ("number", "number")):
            sent = base.ask(question, persona=persona, method=method).replies[0].text
            assert sent == posed(question, way, persona, shown=question.offered).text
            sent = tuned.ask(question, persona=persona, method=method).replies[0].text
            [turn] = posed(question, way, persona, shown=question.offered, mode="chat").messages
            assert sent == f"<|user|>{turn.content}<|end|><|assistant|>"
