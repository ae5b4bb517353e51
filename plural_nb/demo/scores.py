"""How well a demo model knows people it never saw: against uniform guessing, the marginal, and a multinomial logit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plural_nb.comparison.distances import entropy, js_distance
from plural_nb.demo.corpus import Respondents
from plural_nb.demo.documents import LINE_BREAK, Way, posed, spoken
from plural_nb.personas.population import tell
from plural_nb.silicon.methods import numbers
from plural_nb.survey.question import Question

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Probabilities (prompts, K) that a model gives the letters A, B, …; rows need not add up to 1.
Letters = Callable[[Sequence[str], int], Floats]
# Probability that a model goes on from each (prompt, text) with exactly this text, whatever follows.
Continued = Callable[[Sequence[tuple[str, str]]], Floats]


@dataclass(frozen=True, slots=True)
class Score:
    """One way of answering one question, scored on the held-out people (weighted by the survey's weights).

    nll: mean negative log probability of each person's own answer, in nats. correct: share of people whose answer is
    the most probable one. js_distance: from the mean of the answers to the held-out people's shares. own_js_distance
    and own_entropy_bits: of the answer without any backstory, and entropy its; NaN where there is none.
    captured_mass: the smallest of all answers. ended: mean probability that the answer ends behind the person's own.
    """

    nll: float
    correct: float
    js_distance: float
    own_js_distance: float = float("nan")
    own_entropy_bits: float = float("nan")
    captured_mass: float = float("nan")
    ended: float = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Test:
    """Held-out people and their answers to one question, asked with the options in the order as asked.

    rows: of the survey. answers: place of each answer among the options shown. weight: (n,) survey weights.
    options: number of options shown.
    """

    people: Respondents
    question: str
    rows: Ints
    answers: Ints
    weight: Floats
    options: int

    @classmethod
    def of(cls, people: Respondents, question: str, *, most: int | None = None) -> Test:
        """Return the test of one question; `most` takes so many people, evenly spaced over the rows."""
        rows = people.tested(question)
        if most is not None and rows.size > most:
            rows = rows[np.arange(most) * rows.size // most]
        answers, options = _places(people, question, rows)
        return cls(people, question, rows, answers, people.survey.design.weight[rows], options)

    @property
    def shares(self) -> Floats:
        """Weighted shares of the held-out people."""
        return _shares(self.answers, self.weight, self.options)

    def prompts(self, *, unseen: bool = False, way: Way = "letter") -> list[str]:
        """What a model is asked about each person: all traits in order, the question as asked or in unseen words."""
        told = [tell(self.people.sentences(int(row), (self.question,))) for row in self.rows]
        return [self._prompt(backstory, unseen, way) for backstory in told]

    def own_prompt(self, *, unseen: bool = False, way: Way = "letter") -> str:
        """The question without any backstory."""
        return self._prompt("", unseen, way)

    def model(self, letters: Letters, *, unseen: bool = False) -> Score:
        """Score a model."""
        probabilities = letters([*self.prompts(unseen=unseen), self.own_prompt(unseen=unseen)], self.options)
        mass = probabilities.sum(axis=1)
        rows = probabilities / mass[:, None]
        own = rows[-1]
        return self._score(
            rows[:-1],
            own_js_distance=float(js_distance(own, self.shares)),
            own_entropy_bits=float(entropy(own, unit="bits")),
            captured_mass=float(mass.min()),
        )

    def said(self, continued: Continued, way: Way) -> Score:
        """Score a model's answers by letter, in words, or by number, each behind a backstory.

        Letters and words count with the line break that ends them. Numbers count without it, summed over the bounds
        of each option; whether they end is told by `ended`, as of the others.
        """
        question, prompts = self._asked, self.prompts(way=way)
        if way == "number":
            ranges = numbers(question)
            forms = [[f" {number}" for number in ranges[place]] for place in question.offered]
            exact = self.people.survey.values(self.question)[self.rows]
            own = [f" {int(number)}" for number in exact]
        else:
            labels = spoken(question, way, question.offered)
            forms = [[f" {label}{LINE_BREAK}"] for label in labels]
            own = [f" {labels[answer]}" for answer in self.answers]
        every = [form for of_option in forms for form in of_option]
        found = continued([(prompt, form) for prompt in prompts for form in every]).reshape(len(prompts), -1)
        begins = np.cumsum([0, *map(len, forms[:-1])])
        probabilities = np.add.reduceat(found, begins, axis=1)
        mass = probabilities.sum(axis=1)
        whole = continued([(p, text + LINE_BREAK) for p, text in zip(prompts, own, strict=True)])
        ended = whole / continued(list(zip(prompts, own, strict=True)))
        return self._score(
            probabilities / mass[:, None],
            captured_mass=float(mass.min()),
            ended=float(np.average(ended, weights=self.weight)),
        )

    def uniform(self) -> Score:
        """Score guessing: every option the same probability."""
        return self._constant(np.full(self.options, 1 / self.options))

    def marginal(self) -> Score:
        """Score the weighted shares of the people trained on, the same for everyone."""
        rows, _ = self.people.drawn[self.question]
        places, _ = _places(self.people, self.question, rows)
        return self._constant(_shares(places, self.people.survey.design.weight[rows], self.options))

    def logit(self) -> Score:
        """Score a multinomial logit of the same traits, fitted by maximum likelihood to the people trained on.

        statsmodels' MNLogit ignores weights and has no penalty; an option nobody trained on chose has no probability.
        """
        import statsmodels.api as sm

        rows, _ = self.people.drawn[self.question]
        places, _ = _places(self.people, self.question, rows)
        chosen, y = np.unique(places, return_inverse=True)
        traits = _indicators(self.people, self.question)
        with warnings.catch_warnings():
            # It warns where a rare option is predicted perfectly; the score shows what that costs.
            warnings.simplefilter("ignore")
            fit = sm.MNLogit(y, traits[rows]).fit(method="bfgs", maxiter=500, disp=0)
        predicted = np.zeros((self.rows.size, self.options))
        predicted[:, chosen] = fit.predict(traits[self.rows])
        return self._score(predicted)

    @property
    def _asked(self) -> Question:
        return self.people.survey.questions[self.question]

    def _prompt(self, backstory: str, unseen: bool, way: Way) -> str:
        question = self._asked
        if unseen:
            question = question.reworded(self.people.unseen[self.question])
        return posed(question, way, backstory, shown=question.offered).text

    def _constant(self, row: Floats) -> Score:
        return self._score(
            np.tile(row, (self.rows.size, 1)),
            own_js_distance=float(js_distance(row, self.shares)),
            own_entropy_bits=float(entropy(row, unit="bits")),
        )

    def _score(self, rows: Floats, **own: float) -> Score:
        with np.errstate(divide="ignore"):
            surprise = -np.log(rows[np.arange(self.rows.size), self.answers])
        return Score(
            nll=float(np.average(surprise, weights=self.weight)),
            correct=float(np.average(rows.argmax(axis=1) == self.answers, weights=self.weight)),
            js_distance=float(js_distance(np.average(rows, axis=0, weights=self.weight), self.shares)),
            **own,
        )


def _places(people: Respondents, question: str, rows: Ints) -> tuple[Ints, int]:
    """Place of each row's answer among the options shown, and how many options are shown."""
    shown = people.survey.questions[question].offered
    place = {option: i for i, option in enumerate(shown)}
    return np.array([place[int(code)] for code in people.survey.answer_codes[question][rows]]), len(shown)


def _shares(places: Ints, weight: Floats, options: int) -> Floats:
    totals = np.bincount(places, weights=weight, minlength=options)
    return np.asarray(totals / totals.sum())


def _indicators(people: Respondents, question: str) -> Floats:
    """A constant, and an indicator of each level but the first of each trait, missing being a level."""
    columns = [np.ones(people.survey.n)]
    for key, trait in people.survey.traits.items():
        codes = people.survey.trait_codes[key]
        if key != question:
            levels = [*range(1, len(trait.options)), *([-1] if (codes < 0).any() else [])]
            columns += [(codes == level).astype(np.float64) for level in levels]
    return np.stack(columns, axis=1)
