"""How a demo model learns: batches of documents, loss on the answers' letters alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from plural_nb.demo.corpus import Document
from plural_nb.demo.network import Network
from plural_nb.demo.tokenizer import ASSISTANT
from plural_nb.silicon.prompt import LETTERS

# Tokens in one forward pass: small enough for the cache, and rows of one pass then have nearly the same length. With
# 8,192 a step took 2.2 times as long.
_PASS = 1536


class Reader:
    """Turns documents into tokens and finds the letters that answer.

    tokenizer: of the model. context: longer documents are refused by `fits`. letters: ids of the tokens " A", " B", …
    """

    def __init__(self, tokenizer: Tokenizer, context: int) -> None:
        self.tokenizer, self.context = tokenizer, context
        self.letters = [tokenizer.token_to_id(f"Ġ{letter}") for letter in LETTERS]
        self._letters = set(self.letters) - {None}
        self._bare = {tokenizer.token_to_id(letter) for letter in LETTERS} - {None}
        self._answer, self._colon = tokenizer.token_to_id("Answer"), tokenizer.token_to_id(":")
        self._assistant = tokenizer.token_to_id(ASSISTANT)

    def tokens(self, document: str) -> list[int]:
        """Token ids of a document, tokenised whole."""
        return list(self.tokenizer.encode(document).ids)

    def fits(self, tokens: Sequence[int]) -> bool:
        """Whether a document is no longer than the context."""
        return len(tokens) <= self.context

    def answers(self, tokens: Sequence[int]) -> list[int]:
        """Places of the tokens that are an answer's letter: behind "Answer:", or first in the assistant's turn."""
        found = []
        for i in range(1, len(tokens)):
            plain = tokens[i] in self._letters and tokens[i - 1] == self._colon and tokens[i - 2] == self._answer
            if plain or (tokens[i] in self._bare and tokens[i - 1] == self._assistant):
                found.append(i)
        return found


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
    read = [(tokens, d.shares) for d in documents if reader.fits(tokens := reader.tokens(d.text))]
    read.sort(key=lambda pair: len(pair[0]))
    answers = [reader.answers(tokens) for tokens, _ in read]
    total, loss, first = sum(map(len, answers)), 0.0, 0
    while first < len(read):
        last = first + 1
        while last < len(read) and len(read[last][0]) * (last + 1 - first) <= _PASS:
            last += 1
        rows = torch.zeros((last - first, len(read[last - 1][0])), dtype=torch.long)
        for i, (tokens, _) in enumerate(read[first:last]):
            rows[i, : len(tokens)] = torch.tensor(tokens)
        at = [(i, place) for i, places in enumerate(answers[first:last]) for place in places]
        row, place = torch.tensor([i for i, _ in at]), torch.tensor([p for _, p in at])
        wanted = functional.one_hot(rows[row, place], network.shape.vocabulary).float()
        for i, (document, _) in enumerate(at):
            if shares := read[first + document][1]:
                wanted[i] = 0
                wanted[i, reader.letters[: len(shares)]] = torch.tensor(shares, dtype=torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(rows[:, :-1], (row, place - 1))
        cost = functional.cross_entropy(logits.float(), wanted, reduction="sum")
        (cost / total).backward()  # type: ignore[no-untyped-call]
        loss, first = loss + float(cost.detach()), last
    return loss, total
