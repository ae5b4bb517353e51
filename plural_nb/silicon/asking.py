"""What the worker does with prompts: render, tokenise, check, decode in a good order, and hand answers on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from plural_nb.errors import ModelError
from plural_nb.silicon.drawing import LONGEST_ANSWER, draw_answers
from plural_nb.silicon.planning import decoding_order
from plural_nb.silicon.scoring import Evaluated, Floats, Scoring, Tokens, Tree, disjoint_forms, log_ends, log_totals
from plural_nb.silicon.template import ChatTemplate

# Prompts whose tree of answers is held at once; the walk through the prefix tree goes on from one to the next.
_TOGETHER = 4096
# Where many people are asked for one of many numbers, so many of them, spread over all, say which first tokens the
# others' answers may begin with; what these leave must be a few times smaller there than what each prompt may leave.
_CROWD, _PROBES, _MARGIN, _MANY_BEGINNINGS, _TINY = 16, 4, 4, 16, 1e-300


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

    def ends(self) -> npt.NDArray[np.intp]:
        """The tokens that end an answer: ends of turn, and all that begin with a line break."""

    def ends_of_text(self) -> npt.NDArray[np.intp]:
        """The tokens that end a turn or a text."""

    def require_context(self, size: int) -> None:
        """Have room for so many tokens, or raise ModelError."""

    def evaluate(self, sequences: Iterable[Tokens]) -> Iterator[Evaluated]:
        """Yield, batch by batch, the places and the logits of distinct, sorted sequences."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One prompt as the model sees it: exact text, tokens, and each option's disjoint token sequences.

    terminated: whether a form counts only with an end behind it. samples, seed: how many answers to draw instead.
    most: tokens of free text to draw at most, line breaks included; 0 for an answer of one line.
    negligible: as of `Prompt`.
    """

    text: str
    tokens: Tokens
    options: tuple[tuple[Tokens, ...], ...]
    terminated: bool = False
    samples: int = 0
    seed: int = 0
    most: int = 0
    negligible: float = 0.0

    @property
    def longest(self) -> int:
        """Tokens that are decoded at most: the prompt, and an answer but for its last token."""
        if self.samples:
            return len(self.tokens) + (self.most or LONGEST_ANSWER) - 1
        longest = max((len(form) for forms in self.options for form in forms), default=1)
        return len(self.tokens) + longest - (0 if self.terminated else 1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one prompt: probabilities and lengths of its options, or what was drawn and how often."""

    probabilities: tuple[float, ...] = ()
    lengths: tuple[int, ...] = ()
    said: tuple[tuple[str, int], ...] = ()


# For the end of a prompt (its last line, its last tokens) and forms: the options' token sequences behind it.
Seams = dict[object, tuple[tuple[Tokens, ...], ...]]
_LAST_TOKENS = 16


def prepare(
    engine: Engine, template: ChatTemplate | None, prompt: dict[str, Any], seams: Seams | None = None
) -> Prepared:
    """Turn one prompt into tokens, whole.

    prompt: text, messages, forms; terminated, negligible, samples, seed and longest where not 0 (see `Prompt`).
    seams: what forms became behind earlier prompts of the same model, to be handed in with the next.

    Raises ModelError where the template refuses, where text spells a control token of a chat model, or where two
    options cannot be told apart.
    """
    chat = bool(prompt["messages"])
    text = _rendered(engine, template, prompt["messages"]) if chat else prompt["text"]
    # Begin-of-text comes from the model's metadata, once: templates often write it themselves.
    special = not (chat and engine.bos_text and text.startswith(engine.bos_text))
    tokens = engine.tokens(text, special=special, parse=chat)
    if not tokens:
        raise ModelError("The prompt has no tokens. Give it text.")
    if prompt.get("samples"):
        return Prepared(text, tokens, (), samples=prompt["samples"], seed=prompt["seed"], most=prompt.get("longest", 0))
    terminated, negligible = prompt.get("terminated", False), prompt.get("negligible", 0.0)
    continued = partial(_continuation, engine, text, tokens, special=special, chat=chat)
    # What a form becomes depends on the prompt's last line alone, whose tokens are compared; for 101 numbers behind a
    # long prompt, tokenising each whole would take ten times as long as the model. The first form checks it.
    line = text[text.rfind("\n", 0, len(text) - 1) + 1 :]
    forms = tuple(map(tuple, prompt["forms"]))
    end = (line, tokens[-_LAST_TOKENS:], forms, terminated, chat)
    known = None if seams is None else seams.get(end)
    if known is not None and continued(forms[0][0]) == known[0][0]:
        return Prepared(text, tokens, known, terminated, negligible=negligible)
    options = [[continued(form) for form in of_option] for of_option in forms]
    disjoint = disjoint_forms(options, [of_option[-1] for of_option in forms], terminated=terminated)
    if seams is not None:
        seams[end] = disjoint
    return Prepared(text, tokens, disjoint, terminated, negligible=negligible)


def ask(engine: Engine, prepared: Sequence[Prepared]) -> Iterator[list[tuple[int, Outcome]]]:
    """Yield, batch by batch, (place, outcome) of every prompt as it is decoded, in the order that shares most.

    Raises ModelError before any decoding when the longest prompt does not fit the context.
    """
    if not prepared:
        return
    engine.require_context(max(p.longest for p in prepared))
    scored = [i for i, p in enumerate(prepared) if not p.samples]
    order = [scored[j] for j in decoding_order([prepared[i].tokens for i in scored])]
    for begin in range(0, len(order), _TOGETHER):
        yield from _scored(engine, prepared, order[begin : begin + _TOGETHER])
    drawn = [i for i, p in enumerate(prepared) if p.samples]
    for j in decoding_order([prepared[i].tokens for i in drawn]):
        one = prepared[drawn[j]]
        ends = frozenset((engine.ends_of_text() if one.most else engine.ends()).tolist())
        longest = one.most or LONGEST_ANSWER
        said = draw_answers(engine, one.tokens, one.samples, seed=one.seed, ends=ends, longest=longest)
        yield [(drawn[j], Outcome(said=said))]


def _scored(engine: Engine, prepared: Sequence[Prepared], places: Sequence[int]) -> Iterator[list[tuple[int, Outcome]]]:
    """Score prompts in decoding order; of a crowd with many forms a few first, to learn how answers hardly begin."""
    ends = engine.ends() if any(prepared[i].terminated for i in places) else None
    trees: dict[object, Tree] = {}
    crowds: dict[object, list[int]] = {}
    for i in places:
        kind = _kind(prepared[i])
        if kind not in trees:
            trees[kind] = Tree(prepared[i].options, ends if prepared[i].terminated else None)
        if prepared[i].negligible and len(trees[kind].beginnings) > _MANY_BEGINNINGS:
            crowds.setdefault(kind, []).append(i)
    probes = {i for crowd in crowds.values() if len(crowd) >= _CROWD for i in crowd[:: -(-len(crowd) // _PROBES)]}
    likely: dict[object, Floats] = {}
    for done in _walk(engine, prepared, ends, [i for i in places if i in probes], trees):
        for i, scoring in done:
            kind, part = _kind(prepared[i]), scoring.first_tokens() / max(sum(scoring.probabilities()), _TINY)
            likely[kind] = np.maximum(likely.get(kind, 0.0), part)
        yield _outcomes(done)
    smaller = dict(trees)
    for kind, most in likely.items():
        one, tree = prepared[crowds[kind][0]], trees[kind]
        order = np.argsort(most, kind="stable")
        few = order[np.cumsum(most[order]) <= one.negligible / _MARGIN]
        if few.size:
            smaller[kind] = Tree(one.options, tree.ends, frozenset(np.delete(tree.first_tokens, few).tolist()))
    again: list[int] = []
    for done in _walk(engine, prepared, ends, [i for i in places if i not in probes], smaller):
        short = {i for i, s in done if (left := s.left()) and left > prepared[i].negligible * sum(s.probabilities())}
        again += short
        if len(short) < len(done):
            yield _outcomes([(i, scoring) for i, scoring in done if i not in short])
    for done in _walk(engine, prepared, ends, sorted(again, key=lambda i: prepared[i].tokens), trees):
        yield _outcomes(done)


def _outcomes(done: Sequence[tuple[int, Scoring]]) -> list[tuple[int, Outcome]]:
    return [(i, Outcome(scoring.probabilities(), scoring.lengths())) for i, scoring in done]


def _kind(one: Prepared) -> object:
    return one.options, one.terminated


def _walk(
    engine: Engine,
    prepared: Sequence[Prepared],
    ends: npt.NDArray[np.intp] | None,
    places: Sequence[int],
    trees: Mapping[object, Tree],
) -> Iterator[list[tuple[int, Scoring]]]:
    """Yield, batch by batch, the prompts whose trees of answers are complete; `places` in decoding order."""
    scorings: dict[int, Scoring] = {}
    asking: list[list[tuple[int, int]]] = []  # for each sequence handed to the engine: prompts and their nodes

    def sequences() -> Iterator[Tokens]:
        for cluster in _clusters(prepared, places):
            wanted: dict[Tokens, list[tuple[int, int]]] = {}
            for i in cluster:
                one = prepared[i]
                tree = trees[_kind(one)]
                scorings[i] = Scoring(tree)
                for node, beginning in enumerate(tree.beginnings):
                    wanted.setdefault(one.tokens + beginning, []).append((i, node))
            for tokens in sorted(wanted) if len(cluster) > 1 else wanted:
                asking.append(wanted[tokens])
                yield tokens

    for batch, logits in engine.evaluate(sequences()):
        done = []
        totals = log_totals(logits)
        ending = log_ends(logits, ends, totals) if ends is not None else np.zeros(len(totals))
        for place, row, total, end in zip(batch, logits, totals.tolist(), ending.tolist(), strict=True):
            for i, node in asking[place]:
                scoring = scorings[i]
                scoring.take(node, row, total, end)
                if scoring.complete:
                    done.append((i, scoring))
                    del scorings[i]
        if done:
            yield done


def _clusters(prepared: Sequence[Prepared], places: Sequence[int]) -> Iterator[list[int]]:
    """Cut sorted prompts where one is not the beginning of the next, whose answers then cannot meet."""
    cluster: list[int] = []
    for i in places:
        first = prepared[cluster[0]].tokens if cluster else ()
        if cluster and prepared[i].tokens[: len(first)] != first:
            yield cluster
            cluster = []
        cluster.append(i)
    if cluster:
        yield cluster


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


def _continuation(engine: Engine, text: str, tokens: Tokens, form: str, *, special: bool, chat: bool) -> Tokens:
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
