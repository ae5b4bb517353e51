"""Writes a trained network and its tokenizer as one F16 GGUF file that llama.cpp opens, and reads it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer, models

from plural_nb.demo.chat import CHAT_TEMPLATE, CONTROL, END
from plural_nb.demo.network import Network, Shape
from plural_nb.demo.tokenizer import byte_level


def write_gguf(path: Path, network: Network, tokenizer: Tokenizer, *, name: str, description: str, chat: bool) -> None:
    """Write a model file: weights in 16-bit floats, norms in 32-bit, tokenizer, and the card's facts as metadata.

    network: as `plural_nb.demo.train.as_shipped` returns it; its tokens beyond the tokenizer's are written as unused.
    name, description: `general.name` and `general.description`. chat: whether it carries the chat template.
    """
    shape = network.shape
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_description(description)
    writer.add_license("mit")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_vocab_size(shape.vocabulary)
    # The models answer without examples of the form: they know nothing else.
    writer.add_uint32("plural_nb.in_context_examples", 0)
    _add_tokenizer(writer, tokenizer, shape.vocabulary, chat)
    for key, parameter in network.state_dict().items():
        values = parameter.detach().float().numpy()
        writer.add_tensor(key, values.astype(np.float16) if values.ndim == 2 else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer, size: int, chat: bool) -> None:
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    kinds = [gguf.TokenType.CONTROL if token in CONTROL else gguf.TokenType.NORMAL for token in tokens]
    spare = range(len(tokens), size)
    tokens += [f"[PAD{i}]" for i in spare]
    kinds += [gguf.TokenType.UNUSED for _ in spare]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    end = model["vocab"][END]
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_pad_token_id(end)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    if chat:
        writer.add_chat_template(CHAT_TEMPLATE)


def read_gguf(path: Path) -> tuple[Network, Tokenizer]:
    """Return the network and the tokenizer of a file that `write_gguf` wrote, to check what llama.cpp makes of it."""
    reader = gguf.GGUFReader(path)

    def field(key: str) -> Any:
        return reader.fields[key].contents()

    tokens, kinds = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
    vocabulary = {token: i for i, token in enumerate(tokens) if kinds[i] != gguf.TokenType.UNUSED}
    pairs = [tuple(merge.split(" ")) for merge in field("tokenizer.ggml.merges")]
    tokenizer = byte_level(models.BPE(vocab=vocabulary, merges=pairs))
    tokenizer.add_special_tokens(list(CONTROL))
    shape = Shape(
        vocabulary=len(tokens),
        layers=field("llama.block_count"),
        width=field("llama.embedding_length"),
        heads=field("llama.attention.head_count"),
        hidden=field("llama.feed_forward_length"),
        context=field("llama.context_length"),
    )
    network = Network(shape)
    # GGUF lists a tensor's sizes innermost first; its data come in PyTorch's order.
    network.load_state_dict({t.name: torch.from_numpy(np.array(t.data, dtype=np.float32)) for t in reader.tensors})
    return network.eval(), tokenizer
