"""Trains the two demo models, scores them, and writes their GGUF files and model cards.

`python -m plural_nb.demo.train` (extra `train`) writes `data/models/plural-demo-base.*` and `plural-demo-tuned.*`, in
under 20 minutes on 2 cores. `--steps N` makes it shorter, `--folder` puts the files elsewhere.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from plural_nb.demo.card import DESCRIPTION, card, score
from plural_nb.demo.corpus import Corpus, Document, Respondents
from plural_nb.demo.export import write_gguf
from plural_nb.demo.learning import Reader, learn
from plural_nb.demo.network import Network, Shape
from plural_nb.demo.scores import Letters
from plural_nb.demo.tokenizer import in_chat, train_tokenizer
from plural_nb.resources import data
from plural_nb.silicon.prompt import LETTERS

SEED = 1996
STEPS = 1_500
TUNING_STEPS = 300
DOCUMENTS, INTERVIEWS = 64, 1
# Share of the tuning documents that are still a respondent's own answer, so that the model keeps what it knew.
OWN_ANSWERS = 0.25


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, score and write; see `--help`."""
    parser = argparse.ArgumentParser(prog="python -m plural_nb.demo.train", description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS, help="updates of the base model")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch; 1 is faster where cores are shared")
    parser.add_argument("--folder", type=Path, default=None, help="where the files go")
    chosen = parser.parse_args(arguments)
    keep_memory()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(SEED)
    folder = chosen.folder or data("models")
    start = time.monotonic()
    respondents = [Respondents.of(name) for name in ("anes96", "teaching")]
    base, tokenizer = train_base(respondents, steps=chosen.steps, say=_say)
    tuned = tune(base, tokenizer, respondents, say=_say)
    write(base, tuned, tokenizer, respondents, folder, minutes=(time.monotonic() - start) / 60)


def write(
    base: Network,
    tuned: Network,
    tokenizer: Tokenizer,
    respondents: Sequence[Respondents],
    folder: Path,
    *,
    minutes: float,
) -> None:
    """Score both models as they are shipped, and write their GGUF files and cards into a folder."""
    networks = {"base": as_shipped(base), "tuned": as_shipped(tuned)}
    for name, network in networks.items():
        stem = f"plural-demo-{name}"
        write_gguf(
            folder / f"{stem}.gguf", network, tokenizer, name=stem, description=DESCRIPTION[name], chat=name == "tuned"
        )
    lines = score(list(respondents), {name: letters(network, tokenizer) for name, network in networks.items()})
    for name, network in networks.items():
        parameters = sum(p.numel() for p in network.parameters())
        text = card(name, lines[name], list(respondents), parameters=parameters, minutes=minutes)
        (folder / f"plural-demo-{name}.md").write_text(text, encoding="utf-8")
        _say(text.splitlines()[-1])


def train_base(
    respondents: Sequence[Respondents], *, steps: int = STEPS, say: Callable[[str], None] = lambda line: None
) -> tuple[Network, Tokenizer]:
    """Return base model and tokenizer, trained on shares of those who fit the traits told and on interviews."""
    corpus = Corpus(respondents, SEED, as_asked=0.9, all_told=0.3)
    documents = [*(corpus.document() for _ in range(6000)), *(corpus.interview(19) for _ in range(600))]
    tokenizer = train_tokenizer([*(document.text for document in documents), _every_character()])
    network = Network(Shape(tokenizer.get_vocab_size()))
    reader = Reader(tokenizer, network.shape.context)

    def batch() -> list[Document]:
        return [corpus.document() for _ in range(DOCUMENTS)] + [corpus.interview(19) for _ in range(INTERVIEWS)]

    learn(network, reader, batch, steps=steps, rate=2e-3, say=say)
    return network, tokenizer


def tune(
    base: Network,
    tokenizer: Tokenizer,
    respondents: Sequence[Respondents],
    *,
    steps: int = TUNING_STEPS,
    say: Callable[[str], None] = lambda line: None,
) -> Network:
    """Return a copy of the base model trained on towards majority answers, half of them through the chat template."""
    corpus = Corpus(respondents, SEED + 1)
    network = copy.deepcopy(base)

    def document() -> Document:
        if corpus.chance.random() < OWN_ANSWERS:
            return corpus.document()
        asked, letter = corpus.conforming()
        return Document((asked if isinstance(asked, str) else in_chat((m.role, m.content) for m in asked)) + letter)

    reader = Reader(tokenizer, network.shape.context)
    learn(network, reader, lambda: [document() for _ in range(64)], steps=steps, rate=6e-4, warmup=20, say=say)
    return network


def as_shipped(network: Network) -> Network:
    """Return the network with its matrices rounded to 16-bit floats, as the GGUF file holds them."""
    shipped = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in shipped.parameters():
            if parameter.dim() == 2:
                parameter.copy_(parameter.half().float())
    return shipped.eval()


def letters(network: Network, tokenizer: Tokenizer) -> Letters:
    """Return the function that gives the probabilities (prompts, K) of the letters A, B, … after each prompt.

    The forms " A" and "A" are summed, as `plural_nb.silicon.scoring` does.
    """

    def probabilities(prompts: Sequence[str], options: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        read = [list(tokenizer.encode(prompt).ids) for prompt in prompts]
        found = np.zeros((len(read), options))
        forms = [[tokenizer.token_to_id(f + letter) for letter in LETTERS[:options]] for f in ("Ġ", "")]
        order = sorted(range(len(read)), key=lambda i: len(read[i]))
        for first in range(0, len(order), 64):
            rows = order[first : first + 64]
            tokens = torch.zeros((len(rows), len(read[rows[-1]])), dtype=torch.long)
            for i, row in enumerate(rows):
                tokens[i, : len(read[row])] = torch.tensor(read[row])
            last = torch.tensor([len(read[row]) - 1 for row in rows])
            with torch.no_grad():
                after = network(tokens, (torch.arange(len(rows)), last)).double().softmax(dim=-1)
            found[rows] = sum(after[:, ids].numpy() for ids in forms)
        return found

    return probabilities


def keep_memory() -> None:
    """Tell glibc to keep freed memory: handing it back and forth to the system took most of the time of a step."""
    if sys.platform.startswith("linux"):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 64 * 2**20)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            if mallopt is not None:
                mallopt(option, value)


def _every_character() -> str:
    # Letters of options that no document has, so that " K" to " Z" are tokens too where a question has many options.
    return " ".join(f"{letter} {letter} {letter}" for letter in LETTERS)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
