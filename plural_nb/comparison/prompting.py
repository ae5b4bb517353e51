"""Prompting: in how many wordings and orders a model was asked, which its second whisker ranges over."""

from __future__ import annotations

from dataclasses import dataclass

from plural_nb.answers import Answers

# With fewer a range says little of what another way to ask would have given.
FEWEST_WORDINGS, FEWEST_ORDERS = 3, 2
# The prompts of the first persona are enough to tell, and they come first.
_LOOKED_AT = 2000


@dataclass(frozen=True, slots=True)
class Prompting:
    """The wordings in which a question was put to a model, and in how many orders of its options each.

    wordings: the texts, the question's own first. orders: how many.

    >>> Prompting(("Tea or coffee?",), 2).enough
    False
    """

    wordings: tuple[str, ...]
    orders: int

    @property
    def enough(self) -> bool:
        """Whether there are three wordings or more, in two orders or more."""
        return len(self.wordings) >= FEWEST_WORDINGS and self.orders >= FEWEST_ORDERS

    def sentence(self, advice: str = 'ask with wordings=True, order="balanced"') -> str:
        """How the model was asked, and what to do (`advice`) where that is too little."""
        said = f"Asked in {_many(len(self.wordings), 'wording')} and {_many(self.orders, 'order')} of the options"
        if self.enough:
            return said + ", over which the second whisker ranges."
        without = ", so there is no second whisker" if len(self.wordings) == self.orders == 1 else ""
        few = f"{said}{without}: fewer than {FEWEST_WORDINGS} wordings in {FEWEST_ORDERS} orders say little of what "
        return f"{few}another way to ask would give; {advice}."


def prompting(answers: Answers) -> Prompting | None:
    """Return how a model was asked, read off the prompts themselves; None for people, and where prompts are unknown.

    A question's other wordings are its `wordings` (`dataclasses.replace(question, wordings=(…))` gives it some);
    `model.ask(question, wordings=True, order="balanced")` asks them all, each in two orders or more.

    >>> from plural_nb.survey.question import ask_for
    >>> prompting(Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0, 1])) is None
    True
    """
    replies = answers.replies[:_LOOKED_AT]
    if answers.source.kind == "humans" or not replies:
        return None
    question = answers.question
    asked = tuple(w for w in (question.text, *question.wordings) if any(w.strip() in reply.text for reply in replies))
    orders = len({reply.shown for reply in replies})
    return Prompting(asked, orders) if asked else None


def ways_asked(answers: Answers | None) -> str:
    """Return over what a model's range goes, for the key of a chart: "5 wordings × 2 orders".

    >>> ways_asked(None)
    'orders and wordings'
    """
    rows = None if answers is None else answers.by_wording_and_order
    if rows is None:
        return "orders and wordings"
    wordings, orders = rows.shape[:2]
    return " × ".join([_many(n, what) for n, what in ((wordings, "wording"), (orders, "order")) if n > 1])


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
