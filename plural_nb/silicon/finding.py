"""Every model on this machine, each once, described from its header and remembered between sessions."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from plural_nb import resources
from plural_nb.errors import ModelError, nearest
from plural_nb.silicon.cache import read_facts, write_facts
from plural_nb.silicon.gguf import ModelFile, describe, read_model_file
from plural_nb.silicon.header import read_header
from plural_nb.silicon.places import Found, found_files

_FACTS = "model_files"
_FACTS_VERSION = 1  # raise it whenever what is kept of a file, or its meaning, changes
_SAMPLE = 65536
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)


def find_models() -> list[ModelFile]:
    """Return the models on this machine: shipped demo models first, then by place and name.

    Looks in plural_nb's own data, the current folder, `PLURAL_NB_MODELS` (files and folders, separated as in PATH),
    the Hugging Face cache, LM Studio, Ollama, llama.cpp's cache, GPT4All and Jan. A file that cannot be asked is
    listed with its `.problem`. Links to a file and copies of it are one entry, with all places in `.found_in`; of a
    model in several parts the first is listed.

    Headers are read once and remembered by path, size, time and inode.

    >>> all(model.path for model in find_models())
    True
    """
    return describe_files(found_files())


def describe_files(files: Iterable[Found]) -> list[ModelFile]:
    """Describe the files that were found, each content once, in the order given."""
    kept = read_facts(_FACTS)
    known = kept.get("files", {}) if kept.get("version") == _FACTS_VERSION else {}
    known = known if isinstance(known, dict) else {}
    entries: dict[object, _Entry] = {}
    for found in _without_later_parts(files):
        entry = _Entry.of(found)
        same = entries.setdefault(entry.inode or str(found.path), entry)
        if same is not entry:
            same.add(found)
    for entry in entries.values():
        entry.read(known)
    distinct = _without_copies(list(entries.values()))
    facts = {str(e.path): e.facts for e in entries.values() if e.facts}
    if any(known.get(path) != fact for path, fact in facts.items()):
        # What other folders hold stays known, so that two notebooks do not make each other read anew.
        others = {path: fact for path, fact in known.items() if os.path.lexists(path)}
        write_facts(_FACTS, {"version": _FACTS_VERSION, "files": {**others, **facts}})
    return [entry.file for entry in distinct]


@dataclass(slots=True)
class _Entry:
    """One file on disk on its way to a ModelFile."""

    path: Path
    name: str
    content: str
    problem: str
    places: list[str]
    stat: os.stat_result | None
    file: ModelFile
    facts: dict[str, Any]

    @classmethod
    def of(cls, found: Found) -> _Entry:
        stat, problem = None, found.problem
        if not problem:
            try:
                stat = found.path.stat()
            except OSError as error:
                link = "it is a link to a file that is gone" if found.path.is_symlink() else "it cannot be read"
                problem = f"{link} ({error.strerror}). Download it again, or delete it."
        nothing = ModelFile(found.path, found.name or found.path.stem)
        return cls(found.path, found.name, found.content, problem, [_place(found)], stat, nothing, {})

    @property
    def inode(self) -> tuple[int, int] | None:
        return (self.stat.st_dev, self.stat.st_ino) if self.stat and self.stat.st_ino else None

    @property
    def identity(self) -> list[int]:
        assert self.stat is not None
        return [self.stat.st_size, self.stat.st_mtime_ns, self.stat.st_ino]

    def add(self, found: Found) -> None:
        """Note that the same content lies in another place too."""
        self.places += [place for place in [_place(found)] if place not in self.places]
        self.content = self.content or found.content
        self.name = self.name or found.name

    def read(self, known: dict[str, Any]) -> None:
        """Describe the file, from what is known of it or from its header."""
        if self.stat is None:
            self.file = replace(self.file, problem=self.problem)
            return
        old = known.get(str(self.path))
        if not self._recall(old):
            self._read_header()
        self.file = replace(self.file, name=self.name or self.file.name)

    def _recall(self, old: object) -> bool:
        if not isinstance(old, dict) or old.get("identity") != self.identity:
            return False
        try:
            self.file = ModelFile(self.path, self.path.stem, **old["file"])
        except (LookupError, TypeError):  # kept by another version, or edited by hand
            return False
        self.facts = old
        return True

    def _read_header(self) -> None:
        assert self.stat is not None
        header_bytes = 0
        try:
            header = read_header(self.path)
            self.file, header_bytes = describe(self.path, header, self.stat.st_size), header.size_bytes
        except ModelError as error:
            problem = str(error).removeprefix(f"{self.path}").lstrip(": ")
            self.file = replace(self.file, name=self.path.stem, size_bytes=self.stat.st_size, problem=problem)
        described = asdict(self.file)
        for key in ("path", "found_in", "name"):
            described.pop(key)
        self.facts = {"identity": self.identity, "file": described, "header_bytes": header_bytes}

    def fingerprint(self) -> str:
        """Hash of the header and of the end of the data; "" where the file cannot be read."""
        if "fingerprint" not in self.facts:
            digest = hashlib.sha256()
            try:
                with self.path.open("rb") as file:
                    digest.update(file.read(self.facts.get("header_bytes", 0)))
                    # Twins that were trained on further have equal headers; their weights tell them apart.
                    for share in (0.25, 0.5, 0.75, 1.0):
                        file.seek(max(0, int(self.identity[0] * share) - _SAMPLE // 4))
                        digest.update(file.read(_SAMPLE // 4))
            except OSError:
                return ""
            self.facts = {**self.facts, "fingerprint": digest.hexdigest()}
        return str(self.facts["fingerprint"])


def find_model(model: str | os.PathLike[str]) -> ModelFile:
    """Return the file that a path or a name means; names are those that `find_models` shows.

    Raises ModelError, naming the nearest right name, where there is none.
    """
    text = os.fspath(model)
    path = Path(text).expanduser()
    if path.exists() or isinstance(model, os.PathLike) or text.lower().endswith(".gguf") or os.sep in text:
        return read_model_file(path)
    shipped = resources.data("models", f"{text}.gguf")
    if shipped.is_file():  # known without looking through the machine
        return read_model_file(shipped)
    found = find_models()
    for file in found:
        if text in (file.name, file.title, file.label, file.path.name):
            return file
    usable = [file.name for file in found if not file.problem]
    raise ModelError(f"There is no model {text!r} on this machine. {nearest(text, usable)}")


def _without_copies(entries: list[_Entry]) -> list[_Entry]:
    """Keep one entry per content: same digest, or same size and the same fingerprint."""
    sizes = Counter(entry.identity[0] for entry in entries if entry.stat is not None)
    kept: dict[object, _Entry] = {}
    by_content: dict[str, _Entry] = {}
    for entry in entries:
        same = by_content.get(entry.content) if entry.content else None
        key: object = str(entry.path)
        if entry.stat is not None and sizes[entry.identity[0]] > 1:
            key = (entry.identity[0], entry.fingerprint() or str(entry.path))
        same = same or kept.setdefault(key, entry)
        if entry.content:
            by_content.setdefault(entry.content, same)
        if same is not entry:
            same.places += [place for place in entry.places if place not in same.places]
            if entry.name and not same.name:
                same.name = entry.name
    distinct = list(kept.values())
    for entry in distinct:
        entry.file = replace(entry.file, name=entry.name or entry.file.name, found_in=tuple(entry.places))
    return distinct


def _without_later_parts(files: Iterable[Found]) -> list[Found]:
    """Leave out parts 2, 3, … of a split model whose first part is there."""
    listed = list(files)
    paths = {found.path for found in listed}
    kept = []
    for found in listed:
        part = _PART.search(found.path.name)
        first = part and found.path.with_name(f"{found.path.name[: part.start()]}-00001-of-{part[2]}.gguf")
        if first is None or first == found.path or first not in paths:
            kept.append(found)
    return kept


def _place(found: Found) -> str:
    return f"{found.place}: {found.path}"
