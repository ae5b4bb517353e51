"""Free text from a model: it goes on from a prompt, or answers a message, drawn at temperature 1 and reproducibly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from plural_nb.errors import ModelError
from plural_nb.silicon.manner import mode_for
from plural_nb.silicon.prompt import Message, Mode, Prompt

if TYPE_CHECKING:
    from plural_nb.silicon.model import Model

MOST_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class Writing:
    """What a model wrote behind one prompt.

    prompt: the exact text it was sent. texts: what was drawn, each as often as it came, most frequent first.
    """

    prompt: str
    texts: tuple[str, ...]


def write(
    model: Model,
    prompts: Sequence[str] | str,
    *,
    samples: int = 1,
    longest: int = 64,
    seed: int = 0,
    mode: Mode | None = None,
    system: str = "",
) -> list[Writing]:
    """Return texts that a model writes behind each prompt, at temperature 1.

    prompts: what it goes on from ("completion"), or the user's message ("chat", the default where the model has a
    template). samples: texts per prompt. longest: tokens of each at most, up to 2,048; a text ends sooner where the
    model ends it. seed: the same seed draws the same texts. system: text that comes first.

    Texts are kept in the store as answers are. What a small model writes is for trying things out; a text is not an
    opinion of anybody.

    `Model.write` is the same. Raises ModelError for empty prompts, counts out of range, an unknown mode, and chat with
    a model that has no template.

    >>> from plural_nb.silicon.model import open_model
    >>> with open_model("plural-demo-base") as model:
    ...     found = model.write("I am a", samples=3, longest=4, seed=1)[0]
    >>> len(found.texts)
    3
    """
    given = [prompts] if isinstance(prompts, str) else list(prompts)
    for i, text in enumerate(given):
        if not isinstance(text, str) or not text.strip():
            raise ModelError(f"Prompt {i + 1} is empty; give the model a text to go on from.")
    if not 1 <= longest <= MOST_TOKENS:
        raise ModelError(f"longest must be between 1 and {MOST_TOKENS:,} tokens, not {longest}.")
    if not 1 <= samples <= 10_000:
        raise ModelError(f"samples must be between 1 and 10,000, not {samples}.")
    chat = mode_for(model.file, mode) == "chat"
    asked = []
    for text in given:
        if chat:
            turns = (Message("system", system),) if system else ()
            asked.append(
                Prompt("", (*turns, Message("user", text)), (), (), samples=samples, seed=seed, longest=longest)
            )
        else:
            whole = f"{system}\n\n{text}" if system else text
            asked.append(Prompt(whole, (), (), (), samples=samples, seed=seed, longest=longest))
    return [
        Writing(reply.text, tuple(text for text, times in reply.said for _ in range(times)))
        for reply in model.replies(asked)
    ]


def table(writings: Sequence[Writing]) -> pl.DataFrame:
    """Return one row per text: prompt (its place from 1), sample (from 1), text."""
    rows = [(i + 1, j + 1, text) for i, one in enumerate(writings) for j, text in enumerate(one.texts)]
    return pl.DataFrame(rows, schema={"prompt": pl.Int64, "sample": pl.Int64, "text": pl.String}, orient="row")
