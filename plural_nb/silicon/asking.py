"""What the worker does with prompts: render, tokenise, check, decode in a good order, score, and hand on one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from plural_nb.errors import ModelError
from plural_nb.silicon.planning import decoding_order
from plural_nb.silicon.scoring import Tokens, disjoint_forms, log_softmax, option_probabilities
from plural_nb.silicon.template import ChatTemplate


class Engine(Protocol):
    """What is needed of a model: tokens from text, and logits after tokens."""

    bos_text: str
    limit: int

    def tokens(self, text: str, *, special: bool = False, parse: bool = False) -> Tokens:
        """Tokenise a text."""

    def is_control(self, token: int) -> bool:
        """Whether a token steers rather than says something."""

    def piece(self, token: int) -> str:
        """The text of a token."""

    def require_context(self, size: int) -> None:
        """Have room for so many tokens, or raise ModelError."""

    def next_logits(self, tokens: Tokens) -> npt.NDArray[np.float32]:
        """Logits of the token that follows."""


class Prepared:
    """One prompt as the model sees it: exact text, tokens, and each option's disjoint token sequences."""

    __slots__ = ("options", "text", "tokens")

    def __init__(self, text: str, tokens: Tokens, options: tuple[tuple[Tokens, ...], ...]) -> None:
        self.text, self.tokens, self.options = text, tokens, options

    @property
    def longest(self) -> int:
        """Tokens that are decoded at most: the prompt and all but the last token of an option's form."""
        forms = (len(form) - 1 for forms in self.options for form in forms)
        return len(self.tokens) + max(forms, default=0)


def prepare(engine: Engine, template: ChatTemplate | None, prompt: dict[str, Any]) -> Prepared:
    """Turn one prompt (keys text, messages, forms) into tokens, whole.

    Raises ModelError where the template refuses, where text spells a control token of a chat model, or where two
    options cannot be told apart.
    """
    chat = bool(prompt["messages"])
    text = _rendered(engine, template, prompt["messages"]) if chat else prompt["text"]
    # Begin-of-text comes from the model's metadata, once: templates often write it themselves.
    special = not (chat and engine.bos_text and text.startswith(engine.bos_text))
    tokens = engine.tokens(text, special=special, parse=chat)
    options = [
        [_continuation(engine, text, tokens, form, special, chat) for form in forms] for forms in prompt["forms"]
    ]
    return Prepared(text, tokens, disjoint_forms(options, [forms[-1] for forms in prompt["forms"]]))


def ask(engine: Engine, prepared: Sequence[Prepared]) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Yield (place, probability of each option) for every prompt as it is decoded, in the order that shares most.

    Raises ModelError before any decoding when the longest prompt does not fit the context.
    """
    if not prepared:
        return
    engine.require_context(max(p.longest for p in prepared))
    for i in decoding_order([p.tokens for p in prepared]):
        one = prepared[i]

        def log_probabilities(beginning: Tokens, one: Prepared = one) -> npt.NDArray[np.float64]:
            return log_softmax(engine.next_logits(one.tokens + beginning))

        yield i, option_probabilities(one.options, log_probabilities)


def _rendered(engine: Engine, template: ChatTemplate | None, messages: Sequence[dict[str, str]]) -> str:
    if template is None:
        raise ModelError("This model has no chat template. Ask it in completion mode: mode='completion'.")
    for message in messages:
        _require_plain(engine, message["content"])
    return template.render(messages)


def _require_plain(engine: Engine, content: str) -> None:
    # The rendered text is tokenised with control tokens, so words of a survey must not be able to end a turn.
    # Splitting the text around them would break the rule that a prompt is tokenised whole; refusing keeps it.
    as_control = engine.tokens(content, parse=True)
    if as_control != engine.tokens(content):
        spelled = next((engine.piece(t) for t in as_control if engine.is_control(t)), "a control token")
        raise ModelError(
            f"The question or persona contains {spelled!r}, which this chat model reads as a control token, not as "
            "text. Word it differently, or ask in completion mode."
        )


def _continuation(engine: Engine, text: str, tokens: Tokens, form: str, special: bool, chat: bool) -> Tokens:
    whole = engine.tokens(text + form, special=special, parse=chat)
    if whole[: len(tokens)] == tokens:
        return whole[len(tokens) :]
    # The seam merges: the tokenizer would write the prompt's last token differently if it knew the form. The model
    # sees the prompt as it is, so the form's tokens are those it has behind text it cannot merge with. A line break
    # is such text in byte-level BPE (its pre-tokenizer ends a piece there) and in SentencePiece (a newline is a
    # byte token or a piece of its own); tokenising the bare form would be right for BPE only, because SentencePiece
    # puts a space in front of a text's first word.
    anchor = engine.tokens("\n")
    behind = engine.tokens("\n" + form)
    if behind[: len(anchor)] == anchor:
        return behind[len(anchor) :]
    return engine.tokens(form)
