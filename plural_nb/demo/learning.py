"""How a demo model learns: batches of documents, loss on the answers and their ends alone."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from plural_nb.demo.documents import Answer, Document
from plural_nb.demo.network import Network

# Tokens in one forward pass: small enough for the cache, and rows of one pass then have nearly the same length. With
# 8,192 a step took 2.2 times as long.
_PASS = 1536


@dataclass(frozen=True, slots=True)
class Read:
    """A document as tokens. wanted: places of the tokens to be learned, and which token should stand there how likely.

    answers: number of answers, whose mean loss counts.
    """

    tokens: list[int]
    wanted: list[tuple[int, dict[int, float]]]
    answers: int


class Reader:
    """Turns documents into tokens and finds what is to be learned of them.

    tokenizer: of the model. context: longer documents are refused by `fits`.
    """

    def __init__(self, tokenizer: Tokenizer, context: int) -> None:
        self.tokenizer, self.context = tokenizer, context
        self._known: dict[str, list[int]] = {}

    def read(self, document: Document) -> Read:
        """Tokenise a document whole; each token of an answer is learned as what may follow the ones before it.

        The answers that begin as the one that is read does share their probability: that has the same expected loss
        as that answer's tokens alone, and less noise.
        """
        encoded = self.tokenizer.encode(document.text)
        tokens, begins = list(encoded.ids), [begin for begin, _ in encoded.offsets]
        wanted, end = [], 0
        for answer in document.answers:
            begin = end + len(answer.before)
            end = begin + len(answer.said)
            first, last = bisect_left(begins, begin), bisect_left(begins, end)
            if tokens[first:last] != self._tokens(answer.said):
                raise ValueError(f"{answer.said!r} has other tokens behind {answer.before[-20:]!r} than alone.")
            wanted += list(zip(range(first, last), self._following(answer), strict=True))
        return Read(tokens, wanted, len(document.answers))

    def fits(self, read: Read) -> bool:
        """Whether a document is no longer than the context."""
        return len(read.tokens) <= self.context

    def _following(self, answer: Answer) -> Iterator[dict[int, float]]:
        said = self._tokens(answer.said)
        alive = [(self._tokens(text), share) for text, share in answer.possible]
        for i, token in enumerate(said):
            total = sum(share for _, share in alive)
            found: dict[int, float] = {}
            for tokens, share in alive:
                found[tokens[i]] = found.get(tokens[i], 0.0) + share / total
            yield found
            alive = [(tokens, share) for tokens, share in alive if tokens[i] == token]

    def _tokens(self, said: str) -> list[int]:
        if said not in self._known:
            self._known[said] = list(self.tokenizer.encode(said).ids)
        return self._known[said]


def learn(
    network: Network,
    reader: Reader,
    batch: Callable[[], Sequence[Document]],
    *,
    steps: int,
    rate: float,
    warmup: int = 50,
    decay: float = 0.1,
    ends_at: float = 0.05,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Train a network in place.

    batch: gives the documents of the next step; each is a row of its own. steps: updates. rate: highest learning
        rate, reached after `warmup` steps and falling to `ends_at` of it along a cosine. decay: AdamW's weight decay.
    say: hears of the progress every 50 steps.
    """
    matrices = [p for p in network.parameters() if p.dim() == 2]
    rest = [p for p in network.parameters() if p.dim() != 2]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99))
    start, running, seen = time.monotonic(), 0.0, 0
    network.train()
    for step in range(steps):
        progress = step / steps
        pace = min(1.0, (step + 1) / warmup) * (ends_at + (1 - ends_at) * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimiser.param_groups:
            group["lr"] = rate * pace
        loss, answers = _gradient(network, reader, batch())
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        running, seen = running + loss, seen + answers
        if (step + 1) % 50 == 0:
            say(f"step {step + 1} of {steps}: loss {running / seen:.4f} nats, {time.monotonic() - start:.0f} s")
            running, seen = 0.0, 0
    network.eval()


def _gradient(network: Network, reader: Reader, documents: Sequence[Document]) -> tuple[float, int]:
    """Add the gradient of the mean loss over all answers of these documents; return its sum and their number."""
    read = [one for d in documents if reader.fits(one := reader.read(d))]
    read.sort(key=lambda one: len(one.tokens))
    total, loss, first = sum(one.answers for one in read), 0.0, 0
    while first < len(read):
        last = first + 1
        while last < len(read) and len(read[last].tokens) * (last + 1 - first) <= _PASS:
            last += 1
        rows = torch.zeros((last - first, len(read[last - 1].tokens)), dtype=torch.long)
        for i, one in enumerate(read[first:last]):
            rows[i, : len(one.tokens)] = torch.tensor(one.tokens)
        at = [(i, place, tokens) for i, one in enumerate(read[first:last]) for place, tokens in one.wanted]
        row, place = torch.tensor([i for i, _, _ in at]), torch.tensor([p for _, p, _ in at])
        wanted = torch.zeros((len(at), network.shape.vocabulary))
        for i, (_, _, tokens) in enumerate(at):
            wanted[i, list(tokens)] = torch.tensor(list(tokens.values()))
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(rows[:, :-1], (row, place - 1))
        cost = functional.cross_entropy(logits.float(), wanted, reduction="sum")
        (cost / total).backward()  # type: ignore[no-untyped-call]
        loss, first = loss + float(cost.detach()), last
    return loss, total
