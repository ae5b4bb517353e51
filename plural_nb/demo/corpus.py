"""What the demo models read: backstories, questions and answers of respondents, written as prompts are.

Every document is what `plural_nb.silicon.prompt.letter_prompts` sends, followed by the letter of the answer.
"""

from __future__ import annotations

import hashlib
import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plural_nb.personas.population import tell
from plural_nb.silicon.prompt import LETTERS, Message, letter_prompts
from plural_nb.survey.library import load_survey
from plural_nb.survey.question import Question
from plural_nb.survey.survey import Survey

# How often each survey and question is drawn; the vote must not be drowned by the rest.
SURVEY_SHARE = {"anes96": 0.4, "teaching": 0.6}
_QUESTION_SHARE = {("anes96", "vote"): 3.0, ("teaching", "vote"): 2.5, ("teaching", "toll"): 1.5}
_RATING_SHARE = 0.5
# Mostly as asked: where letters mean the same half of the time only, nothing was learned in the first 250 steps.
AS_ASKED_SHARE = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Respondents:
    """A survey's people split for training: one quarter is held out, by a hash of the PSU, or of the person.

    held_out: (n,) True for people no model was trained on. unseen: for each question, the wording never trained.
    shown: for each question, the places of the options that a model is shown.
    drawn: for each question, the rows to train on and the running sum of their weights.
    """

    survey: Survey
    held_out: npt.NDArray[np.bool_]
    unseen: dict[str, str]
    drawn: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]] = field(repr=False)

    @classmethod
    def of(cls, name: str) -> Respondents:
        """Split a survey of the library: everyone whose SHA-256 of "name:unit" is divisible by 4 is held out.

        The unit is the PSU where the survey has them, so that a model knows nobody's neighbours either, else the row.
        """
        survey = load_survey(name)
        units = survey.people["psu"].to_list() if "psu" in survey.people.columns else list(range(survey.n))
        held_out = np.array([int(hashlib.sha256(f"{name}:{unit}".encode()).hexdigest(), 16) % 4 == 0 for unit in units])
        drawn = {}
        for key, question in survey.questions.items():
            codes = survey.answer_codes[key]
            rows = np.flatnonzero(~held_out & np.isin(codes, question.offered))
            drawn[key] = rows, np.cumsum(survey.design.weight[rows])
        return cls(survey, held_out, held_out_wordings()[name], drawn)

    def draw(self, question: str, chance: random.Random) -> int:
        """Draw a row to train on: somebody who answered, with probability proportional to the survey weight."""
        rows, upto = self.drawn[question]
        return int(rows[np.searchsorted(upto, chance.random() * upto[-1], side="right")])

    def tested(self, question: str) -> npt.NDArray[np.int64]:
        """Rows of the held-out people who answered this question."""
        asked = self.survey.questions[question]
        return np.flatnonzero(self.held_out & np.isin(self.survey.answer_codes[question], asked.offered))

    def sentences(self, row: int, leave_out: Sequence[str] = ()) -> list[str]:
        """First-person sentences of one respondent's traits; a trait that is a question asked must be left out."""
        found = []
        for key, trait in self.survey.traits.items():
            code = int(self.survey.trait_codes[key][row])
            if key not in leave_out and code >= 0:
                found.append(trait.sentences[code])
        return found


def held_out_wordings() -> dict[str, dict[str, str]]:
    """For each survey and question, the wording that is kept out of training."""
    with Path(__file__).with_name("held_out.toml").open("rb") as file:
        return tomllib.load(file)


@dataclass(frozen=True, slots=True)
class Document:
    """What a model reads in one go: a text whose answers are letters.

    shares: where the text has one answer, the probability that each option shown should have, in the order shown;
    empty where the letters in the text are what should be learned.
    """

    text: str
    shares: tuple[float, ...] = ()


class Corpus:
    """An endless supply of training documents, the same for the same seed.

    respondents: the surveys. seed: of everything drawn. as_asked: share of questions whose options stand as asked.
    all_told: share of backstories that tell every trait; the others tell a random number of them, from none to all.
    """

    def __init__(
        self, respondents: Sequence[Respondents], seed: int, *, as_asked: float = AS_ASKED_SHARE, all_told: float = 0.0
    ) -> None:
        self.respondents = {r.survey.name: r for r in respondents}
        self.chance = random.Random(seed)
        self._as_asked, self._all_told = as_asked, all_told
        self._questions = {
            name: ([*r.survey.questions], [_question_share(name, key) for key in r.survey.questions])
            for name, r in self.respondents.items()
        }

    def document(self) -> Document:
        """One question, behind a backstory of some traits of one respondent, or none.

        Its shares are the weighted answers of everyone trained on of whom exactly these traits can be told. That has
        the same expected loss as one respondent's letter and far less noise: with letters alone the vote was at its
        marginal after 400 steps, with shares it was well below after 150.
        """
        people, (key,), row = self._somebody(1)
        told = self._traits(people, row, (key,))
        text, letter, shown = self._asked(people, key, row, _told(people, row, told))
        totals = self._totals(people, key, told, row)[shown]
        return Document(f"{text} {letter}", tuple((totals / totals.sum()).tolist()))

    def interview(self, most: int = 19) -> Document:
        """Several questions, each with the same respondent's answer, behind a backstory: up to 1,000 tokens or so."""
        people, keys, row = self._somebody(self.chance.randint(2, most))
        text = _told(people, row, self._traits(people, row, keys))
        for key in keys:
            text = " ".join(self._asked(people, key, row, text)[:2])
        return Document(text)

    def conforming(self) -> tuple[list[Message] | str, str]:
        """One question whose answer is not the respondent's but the majority's: (chat turns or plain text, letter).

        The majority is that of all people trained on, or of those who share one of the traits told.
        """
        people, (key,), row = self._somebody(1)
        told = self._traits(people, row, (key,))
        backstory = _told(people, row, told)
        group = self.chance.choice([None, *told])
        place = int(np.argmax(self._totals(people, key, [group] if group else [], row)))
        question = self._reworded(people.survey.questions[key])
        shown = _order(question, self.chance, self._as_asked)
        letter = LETTERS[shown.index(place)]
        mode = self.chance.choice(("chat", "completion"))
        [prompt] = letter_prompts(question, persona=backstory, mode=mode, shown=shown)  # type: ignore[arg-type]
        return (list(prompt.messages), letter) if mode == "chat" else (prompt.text, f" {letter}")

    def _totals(self, people: Respondents, key: str, traits: Sequence[str], row: int) -> npt.NDArray[np.float64]:
        """Sum of weights by option, of the people trained on who are like this respondent in these traits."""
        rows, _ = people.drawn[key]
        for trait in traits:
            codes = people.survey.trait_codes[trait]
            rows = rows[codes[rows] == codes[row]]
        options = len(people.survey.questions[key].options)
        answers = people.survey.answer_codes[key][rows]
        totals = np.bincount(answers, weights=people.survey.design.weight[rows], minlength=options)
        return totals.astype(np.float64)

    def _somebody(self, questions: int) -> tuple[Respondents, list[str], int]:
        name = self.chance.choices(list(SURVEY_SHARE), list(SURVEY_SHARE.values()))[0]
        people = self.respondents[name]
        names, shares = self._questions[name]
        first = self.chance.choices(names, shares)[0]
        row = people.draw(first, self.chance)
        answered = [
            key
            for key in names
            if key != first and people.survey.answer_codes[key][row] in people.survey.questions[key].offered
        ]
        keys = [first, *self.chance.sample(answered, min(questions - 1, len(answered)))]
        self.chance.shuffle(keys)
        return people, keys, row

    def _traits(self, people: Respondents, row: int, asked: Sequence[str]) -> list[str]:
        survey = people.survey
        known = [key for key in survey.traits if key not in asked and survey.trait_codes[key][row] >= 0]
        if self.chance.random() < self._all_told:
            return known
        told = self.chance.sample(known, self.chance.randint(0, len(known)))
        return told if self.chance.random() < 0.5 else [key for key in known if key in told]

    def _reworded(self, question: Question) -> Question:
        return question.reworded(self.chance.choice((question.text, *question.wordings)))

    def _asked(self, people: Respondents, key: str, row: int, before: str) -> tuple[str, str, list[int]]:
        question = self._reworded(people.survey.questions[key])
        shown = _order(question, self.chance, self._as_asked)
        [prompt] = letter_prompts(question, persona=before, shown=shown)
        return prompt.text, LETTERS[shown.index(int(people.survey.answer_codes[key][row]))], shown


def _told(people: Respondents, row: int, traits: Sequence[str]) -> str:
    return tell(people.survey.traits[t].sentences[people.survey.trait_codes[t][row]] for t in traits)


def _order(question: Question, chance: random.Random, as_asked: float) -> list[int]:
    """Places of the options: as asked, reversed, or (nominal ones only) shuffled; pinned ones stay last."""
    free = [i for i in question.offered if not question.options[i].pinned]
    pinned = [i for i in question.offered if question.options[i].pinned]
    lot = chance.random()
    if lot > as_asked:
        if question.kind == "nominal" and chance.random() < 0.5:
            chance.shuffle(free)
        else:
            free.reverse()
    return free + pinned


def _question_share(survey: str, key: str) -> float:
    return _QUESTION_SHARE.get((survey, key), _RATING_SHARE if key.startswith("rate_") else 1.0)
