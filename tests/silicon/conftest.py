"""A minimal GGUF writer and tiny random models, so that every test run has real files for llama.cpp."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from plural_nb.silicon.model import Model, open_model

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def gone(pid: int, seconds: float = 20.0) -> bool:
    """Whether the process ends by itself; the time is patience, not a claim."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def text_bytes(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def value_bytes(value: object) -> bytes:
    """A GGUF value with its type in front; lists become arrays of their first element's type."""
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + text_bytes(value)
    assert isinstance(value, list)
    if value and isinstance(value[0], int):  # llama.cpp wants token types as int32
        return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
    parts = [value_bytes(v) for v in value] or [value_bytes("")]
    body = b"".join(p[4:] for p in parts) if value else b""
    return struct.pack("<I", 9) + parts[0][:4] + struct.pack("<Q", len(value)) + body


def gguf_bytes(
    keys: dict[str, Any], tensors: dict[str, np.ndarray] | None = None, *, version: int = 3, alignment: int = 32
) -> bytes:
    """A whole GGUF file; tensors are float32 or float16 arrays in numpy's order (rows first)."""
    tensors = tensors or {}
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    head += b"".join(text_bytes(k) + value_bytes(v) for k, v in keys.items())
    data = b""
    for name, array in tensors.items():
        data += b"\0" * (-len(data) % alignment)
        kind = {np.dtype("float32"): 0, np.dtype("float16"): 1}[array.dtype]
        head += text_bytes(name) + struct.pack("<I", array.ndim)
        head += struct.pack(f"<{array.ndim}Q", *array.shape[::-1]) + struct.pack("<IQ", kind, len(data))
        data += np.ascontiguousarray(array).tobytes()
    return head + b"\0" * (-len(head) % alignment if tensors else 0) + data


def byte_level_vocabulary() -> dict[str, Any]:
    """A byte-level BPE vocabulary: 256 bytes, " A" to " Z" merged, an end of text and chat markers."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    tokens = [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]
    space = chr(256 + rest.index(32))
    tokens += [space + letter for letter in LETTERS]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens + special,
        "tokenizer.ggml.token_type": [1] * len(tokens) + [3] * len(special),
        "tokenizer.ggml.merges": [f"{space} {letter}" for letter in LETTERS],
        "tokenizer.ggml.bos_token_id": len(tokens),
        "tokenizer.ggml.eos_token_id": len(tokens),
        "tokenizer.ggml.add_bos_token": False,
    }


def piece_vocabulary() -> dict[str, Any]:
    """A SentencePiece vocabulary without byte tokens: what it has no piece for, llama.cpp cannot tokenise."""
    tokens = ["<unk>", "<s>", "</s>", "▁", "\n", *map(chr, range(33, 127)), *(f"▁{letter}" for letter in LETTERS)]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [-float(i) for i in range(len(tokens))],
        "tokenizer.ggml.token_type": [2, 3, 3] + [1] * (len(tokens) - 3),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_bos_token": True,
    }


def tiny_model(
    *,
    seed: int = 0,
    context: int = 1024,
    vocabulary: dict[str, Any] | None = None,
    width: int = 32,
    heads: int = 4,
    layers: int = 2,
    **keys: Any,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Keys and tensors of a llama-architecture model with random weights."""
    vocabulary = vocabulary or byte_level_vocabulary()
    size = len(vocabulary["tokenizer.ggml.tokens"])
    draw = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return (draw.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    one = np.ones(width, dtype=np.float32)
    tensors = {"token_embd.weight": 2 * weights(size, width), "output_norm.weight": one}
    tensors["output.weight"] = 3 * weights(size, width)
    for i in range(layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensors[f"blk.{i}.{name}.weight"] = 2 * weights(width, width)
        for name, shape in (("gate", (2 * width, width)), ("up", (2 * width, width)), ("down", (width, 2 * width))):
            tensors[f"blk.{i}.ffn_{name}.weight"] = weights(*shape)
        tensors[f"blk.{i}.attn_norm.weight"] = tensors[f"blk.{i}.ffn_norm.weight"] = one
    described = {
        "general.architecture": "llama",
        "general.name": "tiny",
        "general.file_type": 0,
        "llama.context_length": context,
        "llama.embedding_length": width,
        "llama.block_count": layers,
        "llama.feed_forward_length": 2 * width,
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": heads,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": width // heads,
        **vocabulary,
        **{key.replace("__", "."): value for key, value in keys.items()},
    }
    return described, tensors


def tiny_sliding_model(window: int, layers: int = 6) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Keys and tensors of a gemma3-architecture model: five of six layers see the last `window` tokens only."""
    keys, tensors = tiny_model(layers=layers)
    head = keys["llama.rope.dimension_count"]
    keys = {key.replace("llama.", "gemma3."): value for key, value in keys.items()}
    keys |= {"general.architecture": "gemma3", "gemma3.attention.sliding_window": window}
    keys |= {"gemma3.attention.key_length": head, "gemma3.attention.value_length": head}
    for i in range(layers):
        for name in ("post_attention_norm", "post_ffw_norm"):
            tensors[f"blk.{i}.{name}.weight"] = np.ones(keys["gemma3.embedding_length"], dtype=np.float32)
        for name in ("attn_q_norm", "attn_k_norm"):
            tensors[f"blk.{i}.{name}.weight"] = np.ones(head, dtype=np.float32)
    return keys, tensors


def tiny_recurrent_model(seed: int = 0, width: int = 32) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Keys and tensors of a mamba-architecture model: its memory is a state that cannot be cut back."""
    keys, _ = tiny_model()
    keys = {key: value for key, value in keys.items() if not key.startswith("llama.")}
    inner, state, rank, kernel = 2 * width, 8, 2, 4
    keys |= {"general.architecture": "mamba", "mamba.context_length": 1024, "mamba.embedding_length": width}
    keys |= {"mamba.feed_forward_length": 0, "mamba.attention.head_count": 0, "mamba.block_count": 1}
    keys |= {"mamba.ssm.conv_kernel": kernel, "mamba.ssm.inner_size": inner, "mamba.ssm.state_size": state}
    keys |= {"mamba.ssm.time_step_rank": rank, "mamba.attention.layer_norm_rms_epsilon": 1e-5}
    size = len(keys["tokenizer.ggml.tokens"])
    draw = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return (draw.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    one = np.ones(width, dtype=np.float32)
    return keys, {
        "token_embd.weight": 2 * weights(size, width),
        "output_norm.weight": one,
        "output.weight": 3 * weights(size, width),
        "blk.0.attn_norm.weight": one,
        "blk.0.ssm_in.weight": 2 * weights(2 * inner, width),
        "blk.0.ssm_conv1d.weight": weights(inner, kernel),
        "blk.0.ssm_conv1d.bias": weights(inner),
        "blk.0.ssm_x.weight": weights(rank + 2 * state, inner),
        "blk.0.ssm_dt.weight": weights(inner, rank),
        "blk.0.ssm_dt.bias": weights(inner),
        "blk.0.ssm_a": -np.abs(weights(inner, state)),
        "blk.0.ssm_d": weights(inner),
        "blk.0.ssm_out.weight": 3 * weights(width, inner),
    }


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("PLURAL_NB_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def write_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """write_model(name, **options) -> path of a tiny random model."""

    def write(name: str = "tiny.gguf", folder: Path | None = None, **options: Any) -> Path:
        path = (folder or tmp_path_factory.mktemp("model")) / name
        path.write_bytes(gguf_bytes(*tiny_model(**options)))
        return path

    return write


@pytest.fixture(scope="session")
def tiny_path(write_model: Callable[..., Path]) -> Path:
    return write_model()


@pytest.fixture
def tiny(tiny_path: Path) -> Model:
    with open_model(tiny_path) as model:
        yield model


@pytest.fixture
def run_python() -> Callable[..., Any]:
    """run_python(code, *arguments): run code in a process of its own, return the JSON of its last printed line.

    llama.cpp is only ever loaded in such a process: a crash of it must not take the test run along.
    """

    def run(code: str, *arguments: object) -> Any:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    return run
