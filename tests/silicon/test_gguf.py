from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plural_nb.errors import ModelError
from plural_nb.silicon.gguf import ModelFile, read_model_file
from plural_nb.silicon.header import read_header

from .conftest import gguf_bytes, text_bytes, tiny_model


def described(folder: Path, raw: bytes) -> ModelFile:
    path = folder / "m.gguf"
    path.write_bytes(raw)
    return read_model_file(path)


def test_a_header_tells_what_the_menu_needs(tmp_path: Path) -> None:
    keys, tensors = tiny_model(tokenizer__chat_template="{{ messages }}")
    file = described(tmp_path, gguf_bytes({**keys, "plural_nb.in_context_examples": 0}, tensors))
    assert file.parameters == sum(t.size for t in tensors.values())
    assert (file.architecture, file.quantisation, file.context_length) == ("llama", "F32", 1024)
    assert file.vocabulary_size == len(keys["tokenizer.ggml.tokens"])
    assert file.in_context_examples == 0
    assert file.is_chat
    assert file.problem == ""


def test_the_version_before_this_one_reads_the_same(tmp_path: Path) -> None:
    keys, tensors = tiny_model()
    three, two = (described(tmp_path, gguf_bytes(keys, tensors, version=v)) for v in (3, 2))
    assert three == two


def test_quantisation_is_that_of_most_weights_when_the_header_does_not_name_it(tmp_path: Path) -> None:
    tensors = {"a": np.zeros((64, 64), np.float16), "b": np.zeros(64, np.float32), "c": np.zeros(64, np.float32)}
    assert described(tmp_path, gguf_bytes({"general.architecture": "llama"}, tensors)).quantisation == "F16"


def test_long_zero_and_empty_strings_are_skipped_as_the_loop_would(tmp_path: Path) -> None:
    """The fast skip must find the same end as walking string by string, whatever the strings hold."""
    draw = np.random.default_rng(1)
    words = ["", "\0", "\0" * 9, "x" * 255, "y" * 256, "z" * 70_000, "\x05\0\0\0\0\0\0\0abcde", "ok"]
    for size in (0, 1, 3, 500, 20_000):
        strings = [words[i] if i < len(words) else "w" * (i % 7) for i in draw.integers(0, 40, size)]
        keys = {"tokenizer.ggml.tokens": strings or [""], "general.name": "after the array", "n": 7}
        header = read_header(_written(tmp_path, gguf_bytes(keys)))
        assert header.keys == {"general.name": "after the array", "n": 7}
        assert header.lengths == {"tokenizer.ggml.tokens": max(size, 1)}


def _written(folder: Path, raw: bytes) -> Path:
    path = folder / "written.gguf"
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("share", [0.0, 1e-4, 0.001, 0.01, 0.05, 0.1, 0.2])
def test_a_header_cut_anywhere_is_an_error_that_names_the_file(tmp_path: Path, share: float) -> None:
    raw = gguf_bytes(*tiny_model())
    header = read_header(_written(tmp_path, raw)).size_bytes
    cut = raw[: int(header * share * 4.9)]
    with pytest.raises(ModelError, match=r"m\.gguf.*(empty|cut off|not a GGUF|it claims)"):
        described(tmp_path, cut)


def test_data_cut_off_is_a_problem_that_counts_the_bytes(tmp_path: Path) -> None:
    raw = gguf_bytes(*tiny_model())
    file = described(tmp_path, raw[:-1])
    assert "cut off" in file.problem
    assert f"{len(raw):,}" in file.problem
    assert f"{len(raw) - 1:,}" in file.problem


WILD = 1 << 62


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "is empty"),
        (b"GG", "not a GGUF model"),
        (b"PK\x03\x04" + b"\0" * 99, "zip or PyTorch"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 99, 0, 0), "version 99"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, WILD), "keys"),
        (b"GGUF" + struct.pack("<IQQ", 3, WILD, 0), "tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", WILD) + b"\0" * 64, "cut off or damaged"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text_bytes("a") + struct.pack("<IIQ", 9, 8, WILD) + b"\0" * 64,
            "cut off",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text_bytes("a") + struct.pack("<IIQ", 9, 6, WILD) + b"\0" * 64,
            "cut off",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text_bytes("a") + struct.pack("<IIQ", 9, 77, 1) + b"\0" * 64,
            "unknown type 77",
        ),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text_bytes("a") + struct.pack("<I", 99) + b"\0" * 64, "unknown type"),
        (
            b"GGUF"
            + struct.pack("<IQQ", 3, 0, 1)
            + text_bytes("a")
            + struct.pack("<I", 9)
            + struct.pack("<IQ", 9, 1) * 50,
            "unknown type",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + text_bytes("t") + struct.pack("<I", 900) + b"\0" * 64,
            "900 dimensions",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + text_bytes("t") + struct.pack("<IQQIQ", 2, WILD, WILD, 0, 0),
            "impossible shape",
        ),
        (gguf_bytes({"general.alignment": 0}), "general.alignment"),
    ],
)
def test_a_malformed_header_says_what_is_wrong(tmp_path: Path, raw: bytes, says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        described(tmp_path, raw)
    assert "m.gguf" in str(caught.value)


def test_no_single_changed_byte_does_more_than_raise_a_model_error(tmp_path: Path) -> None:
    raw = bytearray(gguf_bytes({**tiny_model()[0], "z": 1.5, "flag": True}, {"t": np.zeros((4, 4), np.float32)}))
    draw = np.random.default_rng(2)
    path = tmp_path / "m.gguf"
    for place in [*range(120), *draw.integers(0, len(raw), 300)]:
        damaged = bytearray(raw)
        damaged[place] = int(draw.integers(0, 256))
        path.write_bytes(damaged)
        with contextlib.suppress(ModelError):
            read_model_file(path)


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        read_model_file(tmp_path)
    with pytest.raises(ModelError, match="no such file"):
        read_model_file(tmp_path / "gone.gguf")


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _written(tmp_path, gguf_bytes(*tiny_model()))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")  # chmod would not stop the superuser

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelError, match="not readable for you"):
        read_model_file(path)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"general.architecture": "bert"}, "embedding model"),
        ({"general.architecture": "clip"}, "mmproj"),
        ({"general.architecture": "qwen3", "qwen3.pooling_type": 3}, "embedding model"),
        ({"general.type": "adapter", "general.architecture": "llama"}, "LoRA adapter"),
        ({"general.architecture": "llama", "split.count": 3, "split.no": 1}, "part 2 of 3"),
        ({}, "does not name an architecture"),
    ],
)
def test_what_is_no_whole_language_model_has_a_problem(tmp_path: Path, keys: dict, says: str) -> None:
    assert says in described(tmp_path, gguf_bytes(keys, {"t": np.zeros(4, np.float32)})).problem


def test_a_tokenizer_alone_has_a_problem(tmp_path: Path) -> None:
    assert "tokenizer only" in described(tmp_path, gguf_bytes(tiny_model()[0])).problem


def test_real_files_are_described(shared: Path) -> None:
    stories = read_model_file(shared / "models" / "stories260K-q8_0.gguf")
    assert (stories.architecture, stories.quantisation, stories.vocabulary_size) == ("llama", "Q8_0", 512)
    assert stories.context_length == 512
    assert 250_000 < stories.parameters < 300_000
    assert stories.problem == ""
    qwen = read_model_file(shared / "models" / "ggml-vocab-qwen2.gguf")
    assert qwen.vocabulary_size == 151_936
    assert "<|im_start|>" in (qwen.chat_template or "")


def test_the_label_leaves_out_what_the_name_says_twice(write_model: Callable[..., Path]) -> None:
    assert read_model_file(write_model("tiny-F32.gguf")).label.startswith("tiny · ")
