"""Vote with turnout: one answer of parties and of staying at home, for people and for personas alike.

Von der Heyde, Haensch and Wenz 2025 ("Vox populi, vox AI?"): in a multi-party system a model must get the parties and
the abstention right, group by group.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from plural_nb.answers import Answers, Bools
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.design import Floats
from plural_nb.survey.question import ask_for


def with_turnout(vote: Answers, turnout: Answers, *, voted: str, abstained: str = "Did not vote") -> Answers:
    """Return the answers of all who may vote: a party for those who voted, `abstained` for those who did not.

    vote: over parties; of people those who voted have one. turnout: of the same rows. voted: label of the option of
    `turnout` that says so. A persona's row is P(voted) times its row over parties, and P(not voted).

    Who gave no substantive answer to turnout, or voted and named no party, is missing. Raises PluralError for other
    rows and for an unknown option.

    >>> from plural_nb.survey.question import ask_for
    >>> turnout = Answers.from_places(ask_for("Did you vote?", ["Yes", "No"]), [0, 0, 0, 1])
    >>> vote = Answers.from_places(ask_for("For whom?", ["Left", "Right"]), [0, 0, 1, None])
    >>> with_turnout(vote, turnout, voted="Yes").shares().share[0].tolist()
    [0.5, 0.25, 0.25]
    """
    if vote.design.n != turnout.design.n:
        raise PluralError(f"Vote has {vote.design.n} rows, turnout {turnout.design.n}; they must be the same people.")
    went = turnout.question.substantive
    labels = [turnout.question.options[i].label for i in went]
    if voted not in labels:
        raise PluralError(f"Turnout has no answer {voted!r}. {nearest(voted, labels)}")
    parties = [vote.question.options[i].label for i in vote.question.substantive]
    if abstained in parties:
        raise PluralError(f"{abstained!r} is an answer to {vote.question.label!r} already; name abstention otherwise.")
    t, told = _normalised(turnout.rows[:, list(went)])
    p, named = _normalised(vote.rows[:, list(vote.question.substantive)])
    going = t[:, labels.index(voted)]
    rows = np.column_stack([going[:, None] * p, 1 - going])
    rows[~(told & (named | (going == 0)))] = 0.0
    asked = vote.question
    question = replace(ask_for(asked.text, [*parties, abstained], key=asked.key), label=f"{asked.label}, with turnout")
    a, b = vote.captured_mass, turnout.captured_mass
    captured = np.minimum(a, b) if a is not None and b is not None else None
    return replace(
        vote, question=question, rows=rows, domain=vote.domain & turnout.domain, captured_mass=captured,
        captured_mass_min=None, spread=None, replies=(), by_wording_and_order=None,
    )  # fmt: skip


def _normalised(rows: Floats) -> tuple[Floats, Bools]:
    total = rows.sum(axis=1)
    return rows / np.where(total > 0, total, 1.0)[:, None], total > 0
