"""One question posed to many: its prompts, and the answers that their replies make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from plural_nb.answers import Answers, Bools, Source
from plural_nb.errors import ModelError
from plural_nb.silicon.cycles import no_search_for_cycles
from plural_nb.silicon.manner import Manner
from plural_nb.silicon.methods import content_free, flattened, prompts_for, prompts_of, read_reply
from plural_nb.silicon.prompt import Prompt, Reply
from plural_nb.silicon.rows import rows_of
from plural_nb.survey.design import Design
from plural_nb.survey.question import Question

Where = Literal["question", "system"]


class People(Protocol):
    """Whom a model speaks as; `plural_nb.personas.personas.Personas` is one.

    design: of n rows. domain: (n,) True for the rows that are spoken about; only these are asked. about: who they
    are, in words. where: whether a backstory stands before the question or in the system's turn.
    """

    @property
    def design(self) -> Design: ...  # noqa: D102

    @property
    def domain(self) -> Bools: ...  # noqa: D102

    @property
    def about(self) -> str: ...  # noqa: D102

    @property
    def where(self) -> Where: ...  # noqa: D102

    def told(self, question: Question) -> Sequence[str]:
        """The text for each row of the domain when this question is asked; what would give it away is left out."""

    def name(self, i: int) -> str:
        """What messages call the person told i-th."""


@dataclass(frozen=True, slots=True, eq=False)
class Posed:
    """The prompts of one question for n texts, in the order text, cell (wording and order), variant.

    prompts: those of all texts; for "text_pmi" the content-free ones follow. asked: how many are not content-free.
    cells: how many cells each text has. n: how many texts.
    """

    question: Question
    manner: Manner
    prompts: tuple[Prompt, ...]
    asked: int
    cells: int
    n: int

    @classmethod
    @no_search_for_cycles()
    def of(cls, question: Question, texts: Sequence[str], manner: Manner, *, where: Where = "question") -> Posed:
        """Pose a question behind each text. Raises ModelError for what cannot be asked."""
        require_askable(question, texts)
        distinct = dict.fromkeys(texts)  # identical people share their prompts
        if where == "system":
            systems = {text: "\n\n".join(filter(None, [manner.system, text])) for text in distinct}
            made = {
                text: flattened(prompts_for(question, "", replace(manner, system=systems[text]))) for text in distinct
            }
        else:
            made = prompts_of(question, distinct, manner)
        prompts = [prompt for text in texts for prompt in made[text]]
        asked = len(prompts)
        if manner.method == "text_pmi":
            prompts += content_free(len(made[texts[0]]), question, manner)
        cells = len(prompts_for(question, "", manner))
        return cls(question, manner, tuple(prompts), asked, cells, len(texts))

    def answers(
        self, replies: Sequence[Reply], source: Source, *, design: Design, domain: Bools | None = None, about: str = ""
    ) -> Answers:
        """Return the answers that the replies to `prompts` make; rows outside the domain stay missing.

        design: of all rows. domain: True for the n rows that were asked; all when None.
        """
        inside = np.ones(design.n, dtype=np.bool_) if domain is None else domain
        replies = list(replies)
        if self.manner.method == "sampled":
            replies = [read_reply(r, p, self.question) for r, p in zip(replies, self.prompts, strict=True)]
        found = rows_of(
            replies[: self.asked],
            n=self.n,
            cells=self.cells,
            k=len(self.question.options),
            weight=design.weight[inside],
            method=self.manner.method,
            baselines=replies[self.asked :],
        )

        def spread_out(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            if self.n == design.n:
                return values
            whole = np.zeros((design.n, *values.shape[1:]))
            whole[inside] = values
            return whole

        return Answers(
            self.question,
            spread_out(found.rows),
            design,
            inside,
            source,
            about=about,
            captured_mass=spread_out(found.captured_mass),
            captured_mass_min=spread_out(found.captured_mass_min),
            spread=found.spread,
            replies=tuple(replies),
            by_wording_and_order=None if found.cells is None else self._by_wording(found.cells),
        )

    def _by_wording(self, cells: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        # The cells are every wording in every order, wording after wording.
        wordings = 1 + len(self.question.wordings) * self.manner.wordings
        return cells.reshape(wordings, -1, cells.shape[1])


def require_askable(question: Question, texts: Sequence[str], design: Design | None = None) -> None:
    """Raise ModelError where a question or a text is not one, or a design has another number of rows."""
    if not isinstance(question, Question):
        raise ModelError(f"A model is asked a Question, not {question!r}. Make one: ask_for(text, options).")
    if not len(texts):
        raise ModelError("There is no persona to ask. Give at least one backstory, or '' for the model's own voice.")
    strange = [p for p in texts if not isinstance(p, str)]
    if strange:
        raise ModelError(f"A persona is a text, not {strange[0]!r}. Write its backstory, or '' for no persona.")
    if design is not None and design.n != len(texts):
        raise ModelError(f"The design has {design.n} rows for {len(texts)} personas.")


def require_room(posed: Posed, people: People, limit: int, count: Callable[[Sequence[str]], list[int]]) -> None:
    """Raise ModelError that names whose prompt is longer than a model's context, before anything is decoded.

    limit: tokens of context. count: how many tokens texts have.
    """
    texts = [
        p.text if not p.messages else "\n".join(m.content for m in p.messages) for p in posed.prompts[: posed.asked]
    ]
    # A token is at least one byte, so only prompts of more bytes than the context has tokens can be too long.
    long = [i for i, text in enumerate(texts) if limit and len(text) * 4 > limit and len(text.encode()) > limit]
    if not long:
        return
    counts = count([texts[i] for i in long])
    most = max(range(len(long)), key=counts.__getitem__)
    over = counts[most] - limit
    if over > 0:
        raise ModelError(
            f"The prompt of {people.name(long[most] * posed.n // posed.asked)} has {counts[most]:,} tokens, {over:,} "
            f"more than the {limit:,} that this model reads at once. Tell fewer traits, shorten the text, or take a "
            "model with more context."
        )
