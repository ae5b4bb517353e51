"""The demo models' tokenizer: byte-level BPE with GPT-2's splitting, so that llama.cpp's `gpt-2` reads text alike."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from plural_nb.demo.chat import CONTROL


def train_tokenizer(texts: Iterable[str], size: int = 2048) -> Tokenizer:
    """Return a tokenizer with at most `size` tokens; the four control tokens of the chat template come first."""
    tokenizer = byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[AddedToken(token, special=True) for token in CONTROL],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def byte_level(model: models.BPE) -> Tokenizer:
    """Return a tokenizer that splits text as GPT-2 does, before this model merges bytes."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
