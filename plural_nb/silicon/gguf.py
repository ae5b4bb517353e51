"""A model file as its GGUF header describes it: what it is called, how large it is, whether it can be asked."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from plural_nb.errors import ModelError
from plural_nb.silicon.header import TENSOR_TYPES, Header, read_header

# general.file_type (llama.h, LLAMA_FTYPE_*): how the majority of the weights is stored.
_FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4",
}

# Architectures that hold no next-token model of text: embeddings, encoders, vision and sound.
_WITHOUT_ANSWERS = {
    "bert": "an embedding model",
    "modern-bert": "an embedding model",
    "nomic-bert": "an embedding model",
    "nomic-bert-moe": "an embedding model",
    "neo-bert": "an embedding model",
    "jina-bert-v2": "an embedding model",
    "jina-bert-v3": "an embedding model",
    "eurobert": "an embedding model",
    "gemma-embedding": "an embedding model",
    "t5": "an encoder-decoder model",
    "t5encoder": "an embedding model",
    "clip": "the vision or sound half of a model (mmproj)",
    "whisper": "a speech model",
    "wavtokenizer-dec": "a speech model",
}


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One GGUF file, known from its header alone.

    path: where it is. name: what to call it; the file's stem, or the name its program gave it ("llama3.2:1b").
    architecture: as llama.cpp names it ("llama", "qwen2"). parameters: number of weights. quantisation: "F16",
    "Q4_K_M" and so on. context_length: tokens it was trained to read, 0 if unknown. chat_template: its Jinja
    template, None for a base model. vocabulary_size: number of tokens, 0 if unknown. in_context_examples: how many
    its card wants before a question (key `plural_nb.in_context_examples`), None if it does not say.
    found_in: the places it was found, when it was searched for. problem: why it cannot be asked; "" when it can.
    title: the name its maker gave it (`general.name`), "" if none.

    >>> f = ModelFile(Path("tiny.gguf"), "tiny", 530_000_000, "qwen2", 494_032_768, "Q8_0", 32_768)
    >>> f.label
    'tiny · 0.5 B · Q8_0 · 0.5 GB · base'
    """

    path: Path
    name: str
    size_bytes: int = 0
    architecture: str = ""
    parameters: int = 0
    quantisation: str = ""
    context_length: int = 0
    chat_template: str | None = None
    vocabulary_size: int = 0
    in_context_examples: int | None = None
    found_in: tuple[str, ...] = ()
    problem: str = ""
    title: str = ""

    @property
    def is_chat(self) -> bool:
        """Whether it carries a chat template."""
        return self.chat_template is not None

    @property
    def label(self) -> str:
        """One line for menus: name, parameters, quantisation, size, base or chat."""
        name = self.name
        for end in (f"-{self.quantisation}", f".{self.quantisation}", f"_{self.quantisation}"):
            if self.quantisation and name.lower().endswith(end.lower()):
                name = name[: -len(end)]
        parts = [name]
        if self.parameters:
            parts += [_count(self.parameters)]
        parts += [self.quantisation] if self.quantisation else []
        parts += [_size(self.size_bytes)]
        parts += ["cannot be asked"] if self.problem else ["chat" if self.is_chat else "base"]
        return " · ".join(parts)


def identity(path: Path) -> tuple[int, int, int]:
    """Return size, modification time (ns) and inode of a file: another triple means another file.

    Raises ModelError where it is gone.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise ModelError(
            f"{path}: the model's file is gone ({error.strerror}). Put it back, or open another."
        ) from None
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


def read_model_file(path: str | os.PathLike[str], *, name: str = "") -> ModelFile:
    """Describe the GGUF file at `path` from its header, without loading it.

    What can be described but not asked (tensor data cut off, a tokenizer without weights, one part of several, an
    embedding model) comes back with `.problem` saying why. Takes about 10 ms for a vocabulary of 150,000.

    Raises ModelError, naming the file and what to do, where there is no well-formed GGUF header of version 2 or 3.

    >>> read_model_file("nowhere.gguf")
    Traceback (most recent call last):
        ...
    plural_nb.errors.ModelError: nowhere.gguf: there is no such file. Check the path; it may have been moved or deleted.
    """
    file = Path(path).expanduser()
    return describe(file, read_header(file), file.stat().st_size, name=name)


def describe(path: Path, header: Header, size: int, *, name: str = "") -> ModelFile:
    """Describe the file of `size` bytes at `path` that has this header."""
    keys = header.keys
    architecture = str(keys.get("general.architecture", ""))
    vocabulary = header.lengths.get("tokenizer.ggml.tokens") or keys.get(f"{architecture}.vocab_size", 0)
    template = keys.get("tokenizer.chat_template")
    return ModelFile(
        path=path,
        name=name or path.stem,
        size_bytes=size,
        architecture=architecture,
        parameters=sum(t.parameters for t in header.tensors),
        quantisation=_quantisation(header),
        context_length=_whole(keys.get(f"{architecture}.context_length")) or 0,
        chat_template=template if isinstance(template, str) and template.strip() else None,
        vocabulary_size=_whole(vocabulary) or 0,
        in_context_examples=_whole(keys.get("plural_nb.in_context_examples")),
        problem=_problem(header, architecture, size),
        title=str(keys.get("general.name", "")),
    )


def require_usable(file: ModelFile) -> ModelFile:
    """Return `file`, or raise ModelError with its problem."""
    if file.problem:
        raise ModelError(f"{file.path} cannot be asked: {file.problem}")
    return file


def _problem(header: Header, architecture: str, size: int) -> str:
    kind = str(header.keys.get("general.type", "model"))
    parts = _whole(header.keys.get("split.count")) or 1
    if parts > 1:
        part = (_whole(header.keys.get("split.no")) or 0) + 1
        return f"it is part {part} of {parts}. Merge the parts into one file with llama-gguf-split --merge."
    if kind == "adapter":
        return "it is a LoRA adapter, not a whole model. Choose the model it belongs to."
    if kind == "mmproj" or architecture in _WITHOUT_ANSWERS:
        what = _WITHOUT_ANSWERS.get(architecture, "the vision or sound half of a model (mmproj)")
        return f"it is {what}, which does not write text. Choose a language model."
    if _whole(header.keys.get(f"{architecture}.pooling_type")):
        return "it is an embedding model, which does not write text. Choose a language model."
    if kind == "vocab" or not header.tensors:
        return "it holds a tokenizer only, no weights. Choose the model itself."
    if size < header.needed_bytes:
        return (
            f"it is cut off: {size:,} of at least {header.needed_bytes:,} bytes are there. Download or copy it again."
        )
    if not architecture:
        return "its header does not name an architecture. Convert the model again."
    return ""


def _quantisation(header: Header) -> str:
    kind = _whole(header.keys.get("general.file_type"))
    if kind is not None and kind & 1023 in _FILE_TYPES and header.tensors:
        return _FILE_TYPES[kind & 1023]
    sizes: Counter[int] = Counter()
    for tensor in header.tensors:
        sizes[tensor.kind] += tensor.parameters
    if not sizes:
        return ""
    common = sizes.most_common(1)[0][0]
    return TENSOR_TYPES[common][0] if common in TENSOR_TYPES else f"type {common}"


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _count(parameters: int) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if parameters >= 0.1 * size or unit == "k":
            return f"{parameters / size:.{1 if parameters < 10 * size else 0}f} {unit}"
    return str(parameters)


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
