"""The header of a GGUF file: its keys and the shapes of its tensors, read without loading a model.

Arrays are skipped; of an array only its length is kept. Every length and count is checked against what is left of
the file before anything is read, so a malformed file costs neither memory nor time.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from plural_nb.errors import ModelError

Scalar = int | float | bool | str

# GGUF's value types: the fixed-size ones with struct's letter for them (specification, "gguf_metadata_value_type").
_FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_FIRST_READ = 1 << 16
_WINDOW = 1 << 21  # bytes that the fast skip looks at in one go
_STRETCH = 512  # strings that are walked one by one where it fails
_DEEPEST_ARRAY = 4
_MOST_DIMENSIONS = 8

# Tensor types: name, elements per block, bytes per block (ggml.h). Types that are missing here have an unknown size.
TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as the header lists it: name, shape, type number, and offset in the data part in bytes."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    @property
    def parameters(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes its data takes; 0 where the type is unknown, so that it bounds the file's size from below."""
        if self.kind not in TENSOR_TYPES:
            return 0
        _, block, size = TENSOR_TYPES[self.kind]
        return self.parameters // block * size


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says of itself.

    version: of the format, 2 or 3. keys: its scalar metadata. lengths: number of elements of each array.
    tensors: in the file's order. size_bytes: of the header. needed_bytes: of the whole file, at least.
    """

    version: int
    keys: dict[str, Scalar]
    lengths: dict[str, int]
    tensors: tuple[Tensor, ...]
    size_bytes: int
    needed_bytes: int


def read_header(path: Path) -> Header:
    """Read the header of the GGUF file at `path`.

    Raises ModelError, naming the file, what is wrong and what to do, for anything that is not a well-formed GGUF of
    version 2 or 3 in little-endian order.
    """
    try:
        with path.open("rb", buffering=0) as file:
            return _parse(_Bytes(file, path, path.stat().st_size))
    except IsADirectoryError:
        raise ModelError(f"{path} is a folder, not a model. Give the path of a .gguf file in it.") from None
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file. Check the path; it may have been moved or deleted.") from None
    except PermissionError:
        kind = "a folder, not a model" if path.is_dir() else "not readable for you"
        raise ModelError(f"{path} is {kind}. Give a .gguf file that you may read.") from None
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror or error}. Check the disk or copy it again."
        ) from None


class _Bytes:
    """The file's first bytes, read in growing pieces as they are needed, and never beyond its end."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self._file, self.path, self.size = file, path, size
        self.data = b""
        self.at = 0

    def require(self, count: int, what: str) -> None:
        """Have `count` bytes from here on in `data`; ModelError when the file is not that long."""
        end = self.at + count
        if end > self.size:
            self.fail(f"its header is cut off or damaged: {what} would end beyond the file's {self.size:,} bytes")
        while len(self.data) < end:
            more = self._file.read(max(end, 4 * len(self.data), _FIRST_READ) - len(self.data))
            if not more:
                self.fail("it became shorter while it was read")
            self.data += more

    def fail(self, what: str) -> None:
        raise ModelError(f"{self.path}: {what}. Download or copy the file again.")

    def number(self, letter: str, what: str) -> int:
        form = struct.Struct("<" + letter)
        self.require(form.size, what)
        value = form.unpack_from(self.data, self.at)[0]
        self.at += form.size
        return value  # type: ignore[no-any-return]

    def text(self, what: str) -> str:
        length = self.number("Q", what)
        self.require(length, what)
        self.at += length
        return self.data[self.at - length : self.at].decode("utf-8", errors="replace")

    def skip_strings(self, count: int, what: str) -> None:
        """Go past `count` strings, each a length and its bytes."""
        self.require(8 * count, what)
        while count:
            proven = self._skip_short_strings(count)
            count -= proven
            # Where the fast way finds little, a stretch is walked before it is tried again: never quadratic.
            for _ in range(min(count, 1 if proven >= _STRETCH else _STRETCH)):
                self.require(8, what)
                length = int.from_bytes(self.data[self.at : self.at + 8], "little")
                self.require(8 + length, what)
                self.at += 8 + length
                count -= 1

    def _skip_short_strings(self, count: int) -> int:
        # A vocabulary is 150,000 short strings, and a Python loop over them takes 20 ms, 50 files a second. Lengths
        # below 256 are a byte and seven zero bytes, which text hardly ever holds: find all such places at once,
        # then keep those that follow from each other (each place + 8 + its length is the next), which proves them.
        window = np.frombuffer(self.data, dtype=np.uint8, offset=self.at)[:_WINDOW]
        if window.size < 64:
            return 0
        zero = window == 0
        runs = zero[1:-6] & zero[7:]
        for shift in range(2, 7):
            runs &= zero[shift : shift + runs.size]
        starts = np.flatnonzero(runs & ~zero[: runs.size])[: count + 1]
        if starts.size < 2 or starts[0] != 0:
            return 0
        follows = starts[1:] == starts[:-1] + 8 + window[starts[:-1]]
        proven = int(np.argmin(follows)) if not follows.all() else follows.size
        proven = min(proven, count)
        self.at += int(starts[proven])
        return proven


def _parse(source: _Bytes) -> Header:
    path = source.path
    if source.size == 0:
        raise ModelError(f"{path} is empty. Download or copy the file again.")
    if source.size < 4:
        raise ModelError(f"{path} is not a GGUF model: it has only {source.size} bytes. Choose a .gguf file.")
    source.require(4, "the magic number")
    magic = source.data[:4]
    if magic != b"GGUF":
        raise ModelError(f"{path} is not a GGUF model: it begins with {magic!r}. {_foreign(magic)}")
    source.at = 4
    version = source.number("I", "the format's version")
    if version not in (2, 3):
        raise ModelError(f"{path}: {_unsupported(version)}")
    n_tensors = source.number("Q", "the number of tensors")
    n_keys = source.number("Q", "the number of keys")
    # Each key takes 13 bytes or more and each tensor 24, so wild counts are caught before the first is read.
    if 13 * n_keys + 24 * n_tensors > source.size:
        source.fail(f"it claims {n_keys:,} keys and {n_tensors:,} tensors, more than its {source.size:,} bytes hold")
    keys: dict[str, Scalar] = {}
    lengths: dict[str, int] = {}
    for i in range(n_keys):
        key = source.text(f"key {i + 1}")
        kind = source.number("I", f"the type of {key!r}")
        if kind == _ARRAY:
            lengths[key] = _skip_array(source, key, 1)
        else:
            keys[key] = _scalar(source, key, kind)
    tensors = tuple(_tensor(source, i) for i in range(n_tensors))
    alignment = keys.get("general.alignment", 32)
    if not isinstance(alignment, int) or isinstance(alignment, bool) or not 0 < alignment <= 1 << 20:
        source.fail(f"general.alignment is {alignment!r}, which cannot be")
    assert isinstance(alignment, int)
    begin = -(-source.at // alignment) * alignment if tensors else source.at
    needed = begin + max((t.offset + t.size_bytes for t in tensors), default=0)
    return Header(version, keys, lengths, tensors, source.at, needed)


def _scalar(source: _Bytes, key: str, kind: int) -> Scalar:
    if kind == _STRING:
        return source.text(f"the value of {key!r}")
    if kind not in _FIXED:
        source.fail(f"the key {key!r} has the unknown type {kind}")
    return source.number(_FIXED[kind], f"the value of {key!r}")


def _skip_array(source: _Bytes, key: str, depth: int) -> int:
    what = f"the array {key!r}"
    kind = source.number("I", what)
    count = source.number("Q", what)
    if kind in _FIXED:
        size = struct.calcsize("<" + _FIXED[kind]) * count
        source.require(size, what)
        source.at += size
    elif kind == _STRING:
        source.skip_strings(count, what)
    elif kind == _ARRAY and depth < _DEEPEST_ARRAY:
        source.require(12 * count, what)
        for _ in range(count):
            _skip_array(source, key, depth + 1)
    else:
        source.fail(f"{what} has elements of the unknown type {kind}")
    return count


def _tensor(source: _Bytes, i: int) -> Tensor:
    name = source.text(f"the name of tensor {i + 1}")
    rank = source.number("I", f"tensor {name!r}")
    if rank > _MOST_DIMENSIONS:
        source.fail(f"tensor {name!r} has {rank} dimensions")
    shape = tuple(source.number("Q", f"tensor {name!r}") for _ in range(rank))
    kind = source.number("I", f"tensor {name!r}")
    offset = source.number("Q", f"tensor {name!r}")
    if math.prod(shape) > 1 << 50:
        source.fail(f"tensor {name!r} has the impossible shape {shape}")
    return Tensor(name, shape, kind, offset)


def _foreign(magic: bytes) -> str:
    known = {
        b"ggml": "It is an old GGML file; convert the model to GGUF anew",
        b"ggjt": "It is an old GGML file; convert the model to GGUF anew",
        b"ggmf": "It is an old GGML file; convert the model to GGUF anew",
        b"ggla": "It is an old LoRA adapter; choose the model itself",
        b"PK\x03\x04": "It is a zip or PyTorch file; look for the model's GGUF version",
        b"vers": "It is a Git LFS pointer, not the model; run: git lfs pull",
        b"<!DO": "It is a web page; download the model itself",
        b"<htm": "It is a web page; download the model itself",
        b"FUGG": "It is GGUF in big-endian order, which is not supported",
    }
    return known.get(magic, "Choose a .gguf file, or download it again") + "."


def _unsupported(version: int) -> str:
    if version == 1:
        return "it is GGUF version 1, which is not supported. Convert the model again, or look for a newer file."
    if version and version & 0xFFFF == 0:
        return "it is GGUF in big-endian order, which is not supported. Look for the little-endian file."
    return f"it is GGUF version {version}, and versions 2 and 3 are supported. Update plural_nb, or convert it again."
