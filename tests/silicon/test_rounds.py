"""People asked in random order: unbiased for all of them, stopping at a margin, told as it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from plural_nb.answers import Answers, Source
from plural_nb.errors import ModelError
from plural_nb.silicon.manner import Manner
from plural_nb.silicon.model import Model
from plural_nb.silicon.posing import Posed
from plural_nb.silicon.prompt import Prompt, Reply
from plural_nb.silicon.rounds import FIRST_ROUND, ask_in_rounds, margin_of_error
from plural_nb.survey.design import Design
from plural_nb.survey.question import ask_for

QUESTION = ask_for("Tea or coffee?", ["Tea", "Coffee"])
SOURCE = Source("personas", "nobody", "made up")
# 300 people say the same word for word; the other 200 are each their own and think otherwise.
TWINS = ["I am one of many."] * 300 + [f"I am number {i}." for i in range(200)]
TRUTH = (300 * 0.9 + 200 * 0.1) / 500


def said(prompts: Sequence[Prompt], on_progress: Any = None) -> list[Reply]:
    """A model of which the answers are known: 0.9 for the twins, 0.1 for everybody else."""
    row = {True: (0.9, 0.1), False: (0.1, 0.9)}
    return [Reply(p.text, row["one of many" in p.text], (0, 1)) for p in prompts]


def asked(seed: int, until_margin: float | None, texts: list[str] = TWINS, **whom: Any) -> Answers:
    posed = Posed.of(QUESTION, texts, Manner())
    design = whom.pop("design", Design(np.ones(len(texts))))
    told = whom.pop("on_answers", None)
    whom["on_answers"] = told and (lambda found: told(found[0]))
    return ask_in_rounds([posed], said, SOURCE, design=design, until_margin=until_margin, seed=seed, **whom)[0]


def test_asking_stops_at_the_margin_and_says_how_many_were_asked() -> None:
    answers = asked(0, 0.06)
    n = int(answers.domain.sum())
    assert FIRST_ROUND < n < 500
    assert margin_of_error(answers) <= 0.06
    assert answers.about.startswith(f"{n} of 500 people, drawn at random; margin of error ±")
    assert not answers.rows[~answers.domain].any()
    assert answers.answered.sum() == n == len(answers.replies)
    shares = answers.shares()
    assert shares.n[0] == n
    assert shares.share[0, 0] == pytest.approx(answers.rows[answers.domain, 0].mean())
    assert shares.missing[0] == 0  # who was not asked is not spoken about, rather than silent


def test_shares_of_those_asked_are_unbiased_whatever_twins_there_are() -> None:
    """A twin's answer comes free, and counting it would lean towards those who have many."""
    found = np.array([asked(seed, 0.99).shares().share[0, 0] for seed in range(300)])
    # Drawn without replacement: 32 of 500, and the sampling error of the mean of 300 such draws.
    one = np.sqrt(0.8**2 * 0.6 * 0.4 / FIRST_ROUND * (1 - FIRST_ROUND / 500))
    assert found.std() == pytest.approx(one, rel=0.15)
    assert found.mean() == pytest.approx(TRUTH, abs=3.5 * one / np.sqrt(300))


def test_the_interval_at_the_stop_covers_the_shares_of_all() -> None:
    shares = [asked(seed, 0.07).shares() for seed in range(200)]
    covered = np.mean([s.low[0, 0] <= TRUTH <= s.high[0, 0] for s in shares])
    assert covered > 0.91


def test_the_distribution_shown_converges_to_that_of_all() -> None:
    shown: list[Answers] = []
    done: list[tuple[int, int]] = []
    answers = asked(1, None, on_answers=shown.append, on_progress=lambda *p: done.append(p))
    sizes = [int(a.domain.sum()) for a in shown]
    assert sizes[0] == FIRST_ROUND
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == 500
    assert answers is shown[-1]
    assert answers.about == ""
    assert answers.rows[:, 0] == pytest.approx([0.9] * 300 + [0.1] * 200)
    assert abs(shown[-2].shares().share[0, 0] - TRUTH) < 0.02


def test_only_a_population_is_asked_and_its_weights_count() -> None:
    domain = np.arange(500) % 2 == 0
    weight = np.where(np.arange(500) < 300, 1.0, 3.0)
    inside = [text for text, here in zip(TWINS, domain, strict=True) if here]
    whom = {"design": Design(weight), "domain": domain, "about": "Age: 18 to 29"}
    answers = asked(2, 0.1, inside, **whom)
    assert not (answers.domain & ~domain).any()
    assert answers.about.startswith("Age: 18 to 29: ")
    assert f"{int(answers.domain.sum())} of 250 people" in answers.about
    everybody = asked(2, None, inside, **whom)
    assert everybody.about == "Age: 18 to 29"
    truth = (150 * 0.9 + 300 * 0.1) / 450
    assert everybody.shares().share[0, 0] == pytest.approx(truth)
    assert answers.shares().share[0, 0] == pytest.approx(truth, abs=0.2)


@pytest.mark.parametrize("method", ["letter", "text_pmi"])
def test_all_rounds_together_are_the_answers_of_one(tiny: Model, method: str) -> None:
    crowd = [f"I am person number {i} of many." for i in range(70)]
    how: dict[str, Any] = {"method": method, "order": "cyclic", "examples": 0, "samples": 3}
    at_once = tiny.ask(QUESTION, persona=crowd, **how)
    rounds: list[Answers] = []
    in_rounds = tiny.ask(QUESTION, persona=crowd, on_answers=rounds.append, **how)
    assert len(rounds) > 2
    assert in_rounds.replies == at_once.replies
    assert np.array_equal(in_rounds.rows, at_once.rows)
    assert np.array_equal(in_rounds.spread, at_once.spread)


def test_a_seed_draws_the_people(tiny: Model) -> None:
    crowd = [f"I am person number {i} of many." for i in range(100)]
    how: dict[str, Any] = {"persona": crowd, "examples": 0, "until_margin": 0.5}
    first, same, other = (tiny.ask(QUESTION, seed=seed, **how).domain for seed in (1, 1, 2))
    assert first.sum() == other.sum() == FIRST_ROUND
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    assert first[:FIRST_ROUND].sum() < FIRST_ROUND  # not just the first of the list


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"until_margin": 2}, "between 0 and 1"),
        ({"until_margin": 0.0}, "between 0 and 1"),
        ({"until_margin": 0.02, "persona": ""}, "no margin of error"),
    ],
)
def test_an_impossible_margin_says_what_to_do(tiny: Model, how: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        tiny.ask(QUESTION, **{"persona": ["a", "b"], **how})


def test_several_questions_stop_together_at_the_margin_of_the_widest(tiny: Model) -> None:
    """The same people are asked all of them, and nobody else."""

    class Crowd:
        design, about, where = Design(np.ones(300)), "the crowd", "question"
        domain = np.ones(300, dtype=np.bool_)

        def told(self, question: Any) -> list[str]:
            return [f"I am person number {i} of many." for i in range(300)]

        def name(self, i: int) -> str:
            return f"person {i}"

    other = ask_for("Cats or dogs?", ["Cats", "Dogs", "Neither"], key="pets")
    shown: list[dict[str, Answers]] = []
    done: list[tuple[int, int]] = []
    everybody = tiny.ask_all([QUESTION, other], people=Crowd(), examples=0)
    margins = [margin_of_error(a) for a in everybody.values()]
    wanted = max(margins) * 2
    found = tiny.ask_all(
        [QUESTION, other],
        people=Crowd(),
        examples=0,
        until_margin=wanted,
        on_answers=shown.append,
        on_progress=lambda *p: done.append(p),
    )
    assert list(found) == [QUESTION.key, "pets"]
    first, second = found.values()
    n = int(first.domain.sum())
    assert FIRST_ROUND <= n < 300
    assert np.array_equal(first.domain, second.domain)
    assert max(map(margin_of_error, found.values())) <= wanted
    assert all(max(map(margin_of_error, before.values())) > wanted for before in shown[:-1])
    assert first.about.startswith(f"the crowd: {n} of 300 people, drawn at random")
    assert done[-1] == (2 * n, 600)
    for key, answers in found.items():  # each got their own answers, not a neighbour's
        assert np.array_equal(answers.rows[answers.domain], everybody[key].rows[answers.domain])


def test_a_misspelt_argument_names_the_nearest(tiny: Model) -> None:
    with pytest.raises(TypeError, match=r"'until_margins'.*Did you mean 'until_margin'"):
        tiny.ask(QUESTION, until_margins=0.02)
    with pytest.raises(TypeError, match=r"'metod'.*Did you mean 'method'"):
        tiny.prepare(QUESTION, metod="text")
