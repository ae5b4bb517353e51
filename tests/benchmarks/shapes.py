"""GGUF files of random 8-bit weights in the shapes of real models, made on the spot, and prompts made of tokens."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np

# layers, width, heads, heads of keys and values, inner width, size of the vocabulary
SHAPES = {"135M": (30, 576, 9, 3, 1536, 49_152), "0.5B": (24, 896, 14, 2, 4864, 151_936)}
_F32, _Q8_0 = 0, 8  # ggml's numbers of types
_ALIGNMENT = 32


def write_shape(path: Path, layers: int, width: int, heads: int, kv: int, inner: int, size: int) -> None:
    """A llama-architecture GGUF of random 8-bit weights, its tokens single bytes and made-up words."""
    head = width // heads
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    tokens = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens += [f"word{i}" for i in range(size - len(tokens) - 1)] + ["<|end|>"]
    keys: list[tuple[str, bytes]] = [
        ("general.architecture", _text("llama")),
        ("llama.context_length", _number(4096)),
        ("llama.embedding_length", _number(width)),
        ("llama.block_count", _number(layers)),
        ("llama.feed_forward_length", _number(inner)),
        ("llama.attention.head_count", _number(heads)),
        ("llama.attention.head_count_kv", _number(kv)),
        ("llama.attention.layer_norm_rms_epsilon", struct.pack("<If", 6, 1e-5)),
        ("llama.rope.dimension_count", _number(head)),
        ("tokenizer.ggml.model", _text("gpt2")),
        ("tokenizer.ggml.pre", _text("gpt-2")),
        ("tokenizer.ggml.tokens", struct.pack("<IIQ", 9, 8, size) + b"".join(map(_string, tokens))),
        ("tokenizer.ggml.token_type", struct.pack("<IIQ", 9, 5, size) + struct.pack(f"<{size}i", *[1] * (size - 1), 3)),
        ("tokenizer.ggml.merges", struct.pack("<IIQ", 9, 8, 1) + _string("w o")),
        ("tokenizer.ggml.bos_token_id", _number(size - 1)),
        ("tokenizer.ggml.eos_token_id", _number(size - 1)),
    ]  # fmt: skip
    matrices = {"token_embd": (size, width)}
    for i in range(layers):
        matrices |= {
            f"blk.{i}.attn_q": (width, width),
            f"blk.{i}.attn_k": (kv * head, width),
            f"blk.{i}.attn_v": (kv * head, width),
            f"blk.{i}.attn_output": (width, width),
            f"blk.{i}.ffn_gate": (inner, width),
            f"blk.{i}.ffn_up": (inner, width),
            f"blk.{i}.ffn_down": (width, inner),
        }
    norms = ["output_norm", *(f"blk.{i}.{kind}_norm" for i in range(layers) for kind in ("attn", "ffn"))]
    told, offset = b"", 0
    for name, (rows, columns) in matrices.items():
        told += _string(f"{name}.weight") + struct.pack("<IQQIQ", 2, columns, rows, _Q8_0, offset)
        offset += _padded(rows * columns // 32 * 34)
    for name in norms:
        told += _string(f"{name}.weight") + struct.pack("<IQIQ", 1, width, _F32, offset)
        offset += _padded(4 * width)
    opening = b"GGUF" + struct.pack("<IQQ", 3, len(matrices) + len(norms), len(keys))
    opening += b"".join(_string(key) + value for key, value in keys) + told
    draw = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(opening.ljust(_padded(len(opening)), b"\0"))
        for rows, columns in matrices.values():
            blocks = np.empty((rows, columns // 32, 34), dtype=np.uint8)
            blocks[:, :, :2] = np.full(1, 1.7 / 127 / np.sqrt(columns), dtype=np.float16).view(np.uint8)
            blocks[:, :, 2:] = draw.integers(-127, 128, (rows, columns // 32, 32), dtype=np.int8).view(np.uint8)
            file.write(blocks.tobytes().ljust(_padded(blocks.size), b"\0"))
        for _ in norms:
            file.write(np.ones(width, dtype="<f4").tobytes().ljust(_padded(4 * width), b"\0"))


class Workload:
    """Prompts of tokens in the order asked: a preamble of 60, a backstory for each person, questions of 50.

    distinct: how many different beginnings they have, which is how many tokens must be decoded at least.
    """

    def __init__(self, size: int, people: int, questions: int, *, backstory: int = 80, by_person: bool = True) -> None:
        draw = random.Random(f"{people} {questions} {backstory}")

        def words(n: int) -> tuple[int, ...]:
            return tuple(draw.randrange(10, min(size, 250)) for _ in range(n))

        preamble = words(60)
        told = [words(backstory) for _ in range(people)]
        asked = [words(50) for _ in range(questions)]
        if by_person:
            self.prompts = [preamble + person + question for person in told for question in asked]
        else:
            self.prompts = [preamble + person + question for question in asked for person in told]
        self.distinct = len({prompt[:i] for prompt in self.prompts for i in range(1, len(prompt) + 1)})


def _number(value: int) -> bytes:
    return struct.pack("<II", 4, value)


def _text(value: str) -> bytes:
    return struct.pack("<I", 8) + _string(value)


def _string(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
