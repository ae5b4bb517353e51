"""What the demo models read: backstories, questions and answers of respondents, written as prompts are.

Every document is what `Model.ask` sends, followed by an answer and its end: a line break, or in a chat the end of turn.
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

from plural_nb.demo.chat import END, in_chat
from plural_nb.demo.documents import LINE_BREAK, Answer, Document, Way, posed, spoken
from plural_nb.personas.population import tell
from plural_nb.silicon.prompt import LETTERS, Mode
from plural_nb.survey.library import load_survey
from plural_nb.survey.question import Question
from plural_nb.survey.survey import Survey

# How often each survey and question is drawn; the vote must not be drowned by the rest.
SURVEY_SHARE = {"anes96": 0.4, "teaching": 0.6}
# anes96 has one question that is answered with a number, teaching eight.
_NUMBER_SHARE = {"anes96": 0.1, "teaching": 0.9}
_QUESTION_SHARE = {("anes96", "vote"): 3.0, ("teaching", "vote"): 2.5, ("teaching", "toll"): 1.5}
_RATING_SHARE = 0.5
# Share of the majority's answers that are given in a chat. Words and numbers begin there with tokens that no plain text
# has in that place, and few documents teach them.
_CHAT_SHARE: dict[Way, float] = {"letter": 0.5, "words": 0.75, "number": 0.75}
# Mostly as asked: where letters mean the same half of the time only, nothing was learned in the first 250 steps.
AS_ASKED_SHARE = 0.8
Rows = npt.NDArray[np.int64]


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


class Corpus:
    """An endless supply of training documents, the same for the same seed.

    respondents: the surveys. seed: of everything drawn. as_asked: share of questions whose options stand as asked.
    all_told: share of backstories that tell every trait; the others tell a random number of them, from none to all.
    long_options: whether a question to be answered in words is drawn the oftener the more words its options have.
    """

    def __init__(
        self,
        respondents: Sequence[Respondents],
        seed: int,
        *,
        as_asked: float = AS_ASKED_SHARE,
        all_told: float = 0.0,
        long_options: bool = False,
    ) -> None:
        self.respondents = {r.survey.name: r for r in respondents}
        self.chance = random.Random(seed)
        self._as_asked, self._all_told, self._long_options = as_asked, all_told, long_options

    def document(self, way: Way = "letter") -> Document:
        """One question, behind a backstory of some traits of one respondent, or none.

        Its shares are the weighted answers of everyone trained on of whom exactly these traits can be told. That has
        the same expected loss as one respondent's answer and far less noise: with letters alone the vote was at its
        marginal after 400 steps, with shares it was well below after 150.

        way: as what the answer is given; numbers are the respondents' own, not those of the options' bounds.
        """
        people, (key,), row = self._somebody(1, way)
        told = self._traits(people, row, (key,))
        return self._answered(people, key, way, _told(people, row, told), self._alike(people, key, told, row))

    def interview(self, most: int = 19) -> Document:
        """Several questions, each with the same respondent's answer, behind a backstory: up to 1,000 tokens or so."""
        people, keys, row = self._somebody(self.chance.randint(2, most))
        text, answers = _told(people, row, self._traits(people, row, keys)), []
        read = 0
        for key in keys:
            question = self._reworded(people.survey.questions[key])
            shown = _order(question, self.chance, self._as_asked)
            prompt = posed(question, "letter", text, shown=shown).text
            letter = f" {LETTERS[shown.index(int(people.survey.answer_codes[key][row]))]}"
            # The next question's prompt brings the line break that ends this answer.
            answers.append(Answer(prompt[read:], letter + LINE_BREAK))
            text, read = prompt + letter, len(prompt + letter + LINE_BREAK)
        return Document(tuple(answers))

    def conforming(self, way: Way = "letter") -> Document:
        """One question whose answer is not the respondent's but the majority's, in a chat or in plain text.

        The majority is that of all people trained on, or of those who share one of the traits told. Its number is
        that of anybody who gives the majority's answer.
        """
        people, (key,), row = self._somebody(1, way)
        told = self._traits(people, row, (key,))
        group = self.chance.choice([None, *told])
        rows = self._alike(people, key, [group] if group else [], row)
        majority = int(np.argmax(_totals(people, key, rows)))
        rows = rows[people.survey.answer_codes[key][rows] == majority]
        mode: Mode = "chat" if self.chance.random() < _CHAT_SHARE[way] else "completion"
        return self._answered(people, key, way, _told(people, row, told), rows, mode)

    def _answered(
        self, people: Respondents, key: str, way: Way, persona: str, rows: Rows, mode: Mode = "completion"
    ) -> Document:
        """A question with the answers of these people, weighted; the one that is read is drawn among them."""
        question = self._reworded(people.survey.questions[key])
        shown = _order(question, self.chance, self._as_asked)
        prompt = posed(question, way, persona, shown=shown, mode=mode)
        if way == "number":
            numbers = people.survey.values(key)[rows].astype(np.int64)
            totals = np.bincount(numbers, weights=people.survey.design.weight[rows]).astype(np.float64)
            said = [str(number) for number in range(totals.size)]
        else:
            totals = _totals(people, key, rows)[shown]
            said = spoken(question, way, shown)
        space, end = ("", END) if mode == "chat" else (" ", LINE_BREAK)
        shares = [(f"{space}{a}{end}", p) for a, p in zip(said, (totals / totals.sum()).tolist(), strict=True) if p > 0]
        [read] = self.chance.choices([a for a, _ in shares], [p for _, p in shares])
        text = in_chat((m.role, m.content) for m in prompt.messages) if mode == "chat" else prompt.text
        return Document((Answer(text, read, tuple(shares)),))

    def _alike(self, people: Respondents, key: str, traits: Sequence[str], row: int) -> Rows:
        """Rows of the people trained on who are like this respondent in these traits and answered the question."""
        rows, _ = people.drawn[key]
        for trait in traits:
            codes = people.survey.trait_codes[trait]
            rows = rows[codes[rows] == codes[row]]
        return rows

    def _somebody(self, questions: int, way: Way = "letter") -> tuple[Respondents, list[str], int]:
        surveys = _NUMBER_SHARE if way == "number" else SURVEY_SHARE
        name = self.chance.choices(list(surveys), list(surveys.values()))[0]
        people = self.respondents[name]
        names = [k for k, q in people.survey.questions.items() if q.kind == "numeric" or way != "number"]
        shares = [_question_share(name, key) for key in names]
        if way == "words" and self._long_options:
            shares = [s * _words(people.survey.questions[key]) for s, key in zip(shares, names, strict=True)]
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


def _totals(people: Respondents, key: str, rows: Rows) -> npt.NDArray[np.float64]:
    """Sum of weights by option, of the people in these rows."""
    options = len(people.survey.questions[key].options)
    weights = people.survey.design.weight[rows]
    return np.bincount(people.survey.answer_codes[key][rows], weights=weights, minlength=options).astype(np.float64)


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


def _words(question: Question) -> float:
    """Mean number of words of the options shown."""
    return float(np.mean([len(question.options[place].label.split()) for place in question.offered]))


def _question_share(survey: str, key: str) -> float:
    return _QUESTION_SHARE.get((survey, key), _RATING_SHARE if key.startswith("rate_") else 1.0)
