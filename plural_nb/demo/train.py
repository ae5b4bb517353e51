"""Trains the two demo models, scores them, and writes their GGUF files and model cards.

`python -m plural_nb.demo.train` (extra `train`) writes `data/models/plural-demo-base.*` and `plural-demo-tuned.*`, in
about an hour on one core. `--steps N` makes it shorter, `--folder` puts the files elsewhere.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from plural_nb.demo.card import DESCRIPTION, card, score
from plural_nb.demo.corpus import Corpus, Respondents
from plural_nb.demo.documents import Document, Way
from plural_nb.demo.export import write_gguf
from plural_nb.demo.learning import Reader, learn
from plural_nb.demo.network import Network, Shape
from plural_nb.demo.scores import Continued, Letters
from plural_nb.demo.tokenizer import train_tokenizer
from plural_nb.resources import data
from plural_nb.silicon.prompt import LETTERS

SEED = 1996
STEPS = 1_500
TUNING_STEPS = 400
FINISHING_STEPS = 450
INTERVIEWS = 1
# Documents of each step, by how they are answered. Words and numbers are few, so that the letters learn as well as
# without them. 1,500 steps were too few to copy long options ("Yes, abolish the toll": captured mass .52 to .58), so
# some more steps are about words above all; without more turned orders in them, letters in reversed order got worse.
MIX: dict[Way, int] = {"letter": 64, "words": 8, "number": 8}
FINISHING_MIX: dict[Way, int] = {"letter": 64, "words": 24, "number": 8}
TUNING_MIX: dict[Way, int] = {"letter": 64, "words": 32, "number": 12}
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
    finish(base, tokenizer, respondents, steps=chosen.steps * FINISHING_STEPS // STEPS, say=_say)
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
    networks = {"base": as_shipped(base, tokenizer), "tuned": as_shipped(tuned, tokenizer)}
    for name, network in networks.items():
        stem = f"plural-demo-{name}"
        write_gguf(
            folder / f"{stem}.gguf", network, tokenizer, name=stem, description=DESCRIPTION[name], chat=name == "tuned"
        )
    lines = score(
        list(respondents),
        {name: letters(network, tokenizer) for name, network in networks.items()},
        {name: continued(network, tokenizer) for name, network in networks.items()},
    )
    for name, network in networks.items():
        parameters = sum(p.numel() for p in network.parameters())
        spare = network.shape.vocabulary - tokenizer.get_vocab_size()
        text = card(name, lines[name], list(respondents), parameters=parameters, spare=spare, minutes=minutes)
        (folder / f"plural-demo-{name}.md").write_text(text, encoding="utf-8")
        _say(text.splitlines()[-1])


def train_base(
    respondents: Sequence[Respondents], *, steps: int = STEPS, say: Callable[[str], None] = lambda line: None
) -> tuple[Network, Tokenizer]:
    """Return base model and tokenizer, trained on shares of those who fit the traits told and on interviews."""
    corpus = Corpus(respondents, SEED, as_asked=0.9, all_told=0.3)
    documents = [*(corpus.document() for _ in range(6000)), *(corpus.interview(19) for _ in range(600))]
    documents += [corpus.document(way) for way in ("words", "number") for _ in range(600)]
    tokenizer = train_tokenizer([*(document.text for document in documents), _every_answer(respondents)])
    network = Network(Shape(tokenizer.get_vocab_size()))
    reader = Reader(tokenizer, network.shape.context)

    learn(network, reader, lambda: _of_respondents(corpus, MIX), steps=steps, rate=2e-3, say=say)
    return network, tokenizer


def finish(
    network: Network,
    tokenizer: Tokenizer,
    respondents: Sequence[Respondents],
    *,
    steps: int = FINISHING_STEPS,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Train the base model on in place, mostly on answers in the words of long options."""
    corpus = Corpus(respondents, SEED + 2, as_asked=0.75, all_told=0.3, long_options=True)
    reader = Reader(tokenizer, network.shape.context)

    learn(network, reader, lambda: _of_respondents(corpus, FINISHING_MIX), steps=steps, rate=1e-3, warmup=20, say=say)


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

    def document(way: Way) -> Document:
        return corpus.document(way) if corpus.chance.random() < OWN_ANSWERS else corpus.conforming(way)

    reader = Reader(tokenizer, network.shape.context)
    learn(network, reader, lambda: _documents(TUNING_MIX, document), steps=steps, rate=8e-4, warmup=20, say=say)
    return network


def as_shipped(network: Network, tokenizer: Tokenizer) -> Network:
    """Return the network as the GGUF file holds it: matrices in 16-bit floats, spare tokens up to a multiple of four.

    A spare token has the row of the byte 0xFF. No text in UTF-8 holds that byte, so training pushed it as far down as
    any token: behind a prompt of ours it gets less than 1e-9 in the base model and up to 3e-7 in the tuned one, behind
    text that neither model knows up to 2e-5.
    """
    # llama.cpp multiplies four rows of 16-bit floats at once, or all one by one if they are not divisible by four:
    # with 1,553 rows this took a tenth of the time of a thermometer.
    rows = network.token_embd.weight.detach()
    byte = rows[tokenizer.token_to_id("\u00ff")]  # byte-level BPE writes 0xFF as this letter
    rows = torch.cat([rows, byte.expand(-len(rows) % 4, -1)])
    shipped = Network(replace(network.shape, vocabulary=len(rows)))
    shipped.load_state_dict({**network.state_dict(), "token_embd.weight": rows})
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


def continued(network: Network, tokenizer: Tokenizer) -> Continued:
    """Return the function that gives the probability of each (prompt, text): the product over the text's tokens."""

    def probabilities(pairs: Sequence[tuple[str, str]]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        prompts = {prompt: tuple(tokenizer.encode(prompt).ids) for prompt in {prompt for prompt, _ in pairs}}
        texts = {text: tuple(tokenizer.encode(text).ids) for text in {text for _, text in pairs}}
        # What must be read for each pair; pairs that differ in their last token alone are read once.
        reading: dict[tuple[int, ...], list[int]] = {}
        for i, (prompt, text) in enumerate(pairs):
            reading.setdefault(prompts[prompt] + texts[text][:-1], []).append(i)
        order, found = sorted(reading, key=len), np.zeros(len(pairs))
        for first in range(0, len(order), 64):
            batch = order[first : first + 64]
            tokens = torch.zeros((len(batch), len(batch[-1])), dtype=torch.long)
            at: dict[tuple[int, int], int] = {}
            for row, read in enumerate(batch):
                tokens[row, : len(read)] = torch.tensor(read)
                begin = min(len(prompts[pairs[i][0]]) for i in reading[read])
                for place in range(begin - 1, len(read)):
                    at[row, place] = len(at)
            rows, places = (torch.tensor(one) for one in zip(*at, strict=True))
            with torch.no_grad():
                log_p = network(tokens, (rows, places)).double().log_softmax(dim=-1).numpy()
            for row, read in enumerate(batch):
                for i in reading[read]:
                    begin, text_tokens = len(prompts[pairs[i][0]]) - 1, texts[pairs[i][1]]
                    found[i] = sum(log_p[at[row, begin + j], token] for j, token in enumerate(text_tokens))
        return np.asarray(np.exp(found))

    return probabilities


def keep_memory() -> None:
    """Tell glibc to keep freed memory: handing it back and forth to the system took most of the time of a step."""
    if sys.platform.startswith("linux"):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 64 * 2**20)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            if mallopt is not None:
                mallopt(option, value)


def _of_respondents(corpus: Corpus, mix: Mapping[Way, int]) -> list[Document]:
    return [*_documents(mix, corpus.document), *(corpus.interview(19) for _ in range(INTERVIEWS))]


def _documents(mix: Mapping[Way, int], document: Callable[[Way], Document]) -> list[Document]:
    return [document(way) for way, times in mix.items() for _ in range(times)]


def _every_answer(respondents: Sequence[Respondents]) -> str:
    # Each letter and each number is to be one token, as an answer in plain text (" K") and in a chat ("K"), also
    # those no document has; and so is an option's first word where a turn begins with it.
    short = [*LETTERS, *map(str, range(101))]
    options = {o.label for r in respondents for q in r.survey.questions.values() for o in q.options if o.offered}
    return "\n".join([*(f"{one} {one} {one}\n{one}" for one in short), *sorted(options)])


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
