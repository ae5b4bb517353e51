"""Under which key a reply is stored, and how it is written down and read again."""

from __future__ import annotations

import datetime
import hashlib
import json
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plural_nb.errors import ModelError
from plural_nb.silicon.cache import read_facts, write_facts
from plural_nb.silicon.cycles import no_search_for_cycles
from plural_nb.silicon.gguf import ModelFile
from plural_nb.silicon.prompt import Prompt, Reply, packed
from plural_nb.silicon.store import Store

_BACKEND = "llama.cpp"
_SCORING = 1  # raised when the same prompt would get other numbers
_HASHES = "model_hashes"
_HEAD = struct.Struct("<III")


class Memory:
    """What one model replied, in this session and in the store.

    file: the model. version: of llama-cpp-python. store: where replies are kept.

    A reply's key is made of the model's content, the exact prompt, how it is scored, the chat template that renders
    it, the backend and its version; a template that writes today's date has the date in its key.
    """

    def __init__(self, file: ModelFile, version: str, store: Store | None = None) -> None:
        self.store = Store() if store is None else store
        self.model = content_hash(file.path)
        self._name = file.label
        template = file.chat_template or ""
        self._dated = "strftime_now" in template
        self._base = "\0".join([self.model.hex(), _BACKEND, version, str(_SCORING)])
        self._template = hashlib.sha256(template.encode("utf-8", "surrogatepass")).hexdigest()
        self._forms: dict[object, str] = {}
        self._replies: dict[Prompt, Reply] = {}
        self._pieces: dict[int, str] | None = None

    def __len__(self) -> int:
        return len(self._replies)

    def __contains__(self, prompt: Prompt) -> bool:
        return prompt in self._replies

    @no_search_for_cycles()
    def known(self, prompts: Sequence[Prompt]) -> list[Reply | None]:
        """The reply to each prompt, None where there is none yet."""
        found: list[Reply | None] = [None] * len(prompts)
        if self._replies:
            found = [self._replies.get(prompt) for prompt in prompts]
        missing = [i for i, reply in enumerate(found) if reply is None]
        if not missing:
            return found
        keys = [self.key(prompts[i]) for i in missing]
        values = self.store.get(list(dict.fromkeys(keys)))
        pieces = self._all_pieces()
        read: dict[bytes, Reply] = {}
        fresh: list[tuple[int, Reply]] = []
        for i, key in zip(missing, keys, strict=True):
            prompt, reply = prompts[i], read.get(key)
            # The options that prompts of one text stand for are no part of the key.
            if (reply is None or reply.shown != prompt.shown) and key in values:
                reply = _read(prompt, values[key], pieces)
            if reply is not None and reply.shown == prompt.shown:
                read[key] = reply
                fresh.append((i, reply))
        unspelled = self._unspelled(reply for _, reply in fresh)
        for i, reply in fresh:
            if not unspelled or unspelled.isdisjoint(reply.tokens):  # else by other hands; it is asked again
                found[i] = self._replies[prompts[i]] = reply
        return found

    def learn(self, told: Iterable[tuple[Prompt, Mapping[str, Any]]]) -> None:
        """Take in what the worker told of some prompts."""
        told = list(told)
        pieces = self._all_pieces()
        new = [(token, sys.intern(piece)) for _, one in told for token, piece in one["pieces"] if token not in pieces]
        pieces.update(new)
        items = {}
        for prompt, one in told:
            reply = Reply(
                one["text"],
                tuple(one["probabilities"]),
                prompt.shown,
                tuple(one["lengths"]),
                tuple((text, times) for text, times in one["said"]),
                packed(one["tokens"]),
                pieces,
            )
            self._replies[prompt] = reply
            items[self.key(prompt)] = _written(prompt, reply)
        self.store.put(items, model=self.model, name=self._name, pieces=new)

    def key(self, prompt: Prompt) -> bytes:
        """The key of a prompt's reply, 32 bytes."""
        scored: tuple[object, ...] = (prompt.forms, prompt.terminated, prompt.samples, prompt.seed)
        if prompt.longest or prompt.negligible:
            scored = (*scored, prompt.longest, *([prompt.negligible] if prompt.negligible else []))
        how = self._forms.get(scored)
        if how is None:
            how = self._forms[scored] = self._base + json.dumps(scored)
        if prompt.messages:
            turns = json.dumps([[m.role, m.content] for m in prompt.messages])
            day = datetime.date.today().isoformat() if self._dated else ""
            text = "\0".join([self._template, day, turns])
        else:
            text = prompt.text
        return hashlib.sha256(f"{how}\0{text}".encode("utf-8", "surrogatepass")).digest()

    def _all_pieces(self) -> dict[int, str]:
        if self._pieces is None:
            self._pieces = {}
            self._read_pieces(self._pieces)
        return self._pieces

    def _read_pieces(self, pieces: dict[int, str]) -> None:
        pieces.update((token, sys.intern(piece)) for token, piece in self.store.pieces(self.model).items())

    def _unspelled(self, replies: Iterable[Reply]) -> set[int]:
        """The tokens of replies whose text nobody noted; what other kernels noted meanwhile is taken in."""
        tokens = set(np.unique(np.frombuffer(b"".join(reply.ids for reply in replies), dtype="<i4")).tolist())
        pieces = self._all_pieces()
        if not tokens <= pieces.keys():
            self._read_pieces(pieces)
        return tokens - pieces.keys()


def _written(prompt: Prompt, reply: Reply) -> bytes:
    """Numbers of options, of lengths and of bytes of JSON; probabilities, lengths, JSON (text, what was said), tokens.

    The text is left out where it is the prompt's own, as nearly always in a completion.
    """
    text = None if reply.text == prompt.text else reply.text
    more = b"" if text is None and not reply.said else json.dumps([text, reply.said]).encode()
    options, lengths = reply.probabilities, reply.lengths
    head = _HEAD.pack(len(options), len(lengths), len(more))
    return head + struct.pack(f"<{len(options)}d{len(lengths)}i", *options, *lengths) + more + reply.ids


def _read(prompt: Prompt, value: bytes, pieces: Mapping[int, str]) -> Reply | None:
    try:
        options, lengths, more = _HEAD.unpack_from(value)
        begin = _HEAD.size + 8 * options + 4 * lengths
        text, said = json.loads(value[begin : begin + more]) if more else (None, ())
        if (len(value) - begin - more) % 4:
            return None
        return Reply(
            prompt.text if text is None else text,
            struct.unpack_from(f"<{options}d", value, _HEAD.size),
            prompt.shown,
            struct.unpack_from(f"<{lengths}i", value, _HEAD.size + 8 * options),
            tuple([(words, times) for words, times in said]) if said else (),
            value[begin + more :],
            pieces,
        )
    except (ValueError, struct.error, TypeError):
        return None  # written by other hands; it is asked again


def content_hash(path: Path) -> bytes:
    """The hash of a file's whole content; remembered by path, size, modification time and inode.

    Raises ModelError where it cannot be read.
    """
    try:
        facts = path.stat()
        stamp = [facts.st_size, facts.st_mtime_ns, facts.st_ino]
        known = read_facts(_HASHES)
        found = known.get(str(path.absolute()))
        if isinstance(found, list) and found[:3] == stamp:
            return bytes.fromhex(found[3])
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise ModelError(f"{path}: the model's file cannot be read ({error.strerror}). Check the disk.") from None
    write_facts(_HASHES, {**known, str(path.absolute()): [*stamp, digest.hexdigest()]})
    return digest.digest()
