"""Where programs keep GGUF files on this machine: ours, Hugging Face, LM Studio, Ollama, llama.cpp, GPT4All, Jan."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from plural_nb import resources
from plural_nb.errors import PluralError

DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Found:
    """A file that should be a model, and where it was found.

    name: what its program calls it; "" for the file's own stem. content: the SHA-256 of the whole file where the
    program records it. problem: why there is nothing to read.
    """

    path: Path
    place: str
    name: str = ""
    content: str = ""
    problem: str = ""


def found_files(environment: Mapping[str, str] | None = None, home: Path | None = None) -> Iterator[Found]:
    """Yield every model file in the known places, shipped ones first, those of the current folder second.

    environment, home: those of this process by default.
    """
    env = os.environ if environment is None else environment
    home = home or Path.home()
    try:
        yield from _below(resources.data("models"), "plural_nb", deepest=1)
    except PluralError:
        pass  # an installation without its data still finds the user's models
    yield from _below(Path(), "current folder", deepest=1)
    for entry in filter(None, env.get("PLURAL_NB_MODELS", "").split(os.pathsep)):
        path = Path(entry).expanduser()
        if path.is_dir():
            yield from _below(path, "PLURAL_NB_MODELS")
        elif path.exists():
            yield Found(path, "PLURAL_NB_MODELS")
        else:
            yield Found(path, "PLURAL_NB_MODELS", problem="PLURAL_NB_MODELS names it, and it is not there.")
    for folder in _hugging_face(env, home):
        yield from _hub(folder)
    for folder in (home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models"):
        yield from _below(folder, "LM Studio")
    for folder in _ollama(env, home):
        yield from _manifests(folder)
    for place, folders in (
        ("llama.cpp", _llama_cpp(env, home)),
        ("GPT4All", _gpt4all(env, home)),
        ("Jan", _jan(env, home)),
    ):
        for folder in folders:
            yield from _below(folder, place)


def _below(folder: Path, place: str, *, deepest: int = DEEPEST) -> Iterator[Found]:
    """GGUF files in a folder and its subfolders, in order of their names; links to folders are not followed."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        try:
            if entry.name.lower().endswith(".gguf") and not entry.is_dir():
                yield Found(Path(entry.path).absolute(), place)
            elif deepest > 1 and entry.is_dir(follow_symlinks=False):
                yield from _below(Path(entry.path), place, deepest=deepest - 1)
        except OSError:
            continue


def _hugging_face(env: Mapping[str, str], home: Path) -> list[Path]:
    if env.get("HF_HUB_CACHE"):
        return [Path(env["HF_HUB_CACHE"]).expanduser()]
    if env.get("HF_HOME"):
        return [Path(env["HF_HOME"]).expanduser() / "hub"]
    return [Path(env.get("XDG_CACHE_HOME") or home / ".cache").expanduser() / "huggingface" / "hub"]


def _hub(folder: Path) -> Iterator[Found]:
    for file in _below(folder, "Hugging Face", deepest=8):
        if "snapshots" not in file.path.parts:
            continue
        target = file.path.readlink().name if file.path.is_symlink() else ""
        # Large files lie in blobs/ under the SHA-256 of their content, which Ollama names its blobs by too.
        content = target if len(target) == 64 else ""
        yield Found(file.path, file.place, content=content)


def _ollama(env: Mapping[str, str], home: Path) -> list[Path]:
    own = Path(env["OLLAMA_MODELS"]).expanduser() if env.get("OLLAMA_MODELS") else home / ".ollama" / "models"
    return [own, Path("/usr/share/ollama/.ollama/models")]


def _manifests(folder: Path) -> Iterator[Found]:
    """Ollama's models: each manifest names a model and the digest of the blob that holds its weights."""
    root = folder / "manifests"
    try:
        manifests = sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    except OSError:
        return
    for manifest in manifests:
        parts = manifest.relative_to(root).parts
        if len(parts) < 3:
            continue
        host, *owners, model, tag = parts if len(parts) > 3 else ("", *parts)
        owners = [owner for owner in owners if owner != "library"]
        host = "" if host == "registry.ollama.ai" else host
        name = "/".join(filter(None, [host, *owners, model])) + f":{tag}"
        digest = _digest(manifest)
        if not digest:
            yield Found(
                manifest,
                "Ollama",
                name,
                problem=f"Ollama's manifest of it cannot be read. Fetch it again: ollama pull {name}",
            )
            continue
        blob = folder / "blobs" / digest.replace(":", "-")
        content = digest.removeprefix("sha256:")
        missing = f"Ollama's file of it is missing. Fetch it again: ollama pull {name}" if _missing(blob) else ""
        yield Found(blob, "Ollama", name, content, missing)


def _missing(blob: Path) -> bool:
    try:
        blob.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False  # there, but not for us: described as unreadable later
    return False


def _digest(manifest: Path) -> str:
    try:
        layers = json.loads(manifest.read_bytes())["layers"]
        models = [layer["digest"] for layer in layers if layer["mediaType"].endswith("image.model")]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ""
    digest = models[0] if models else ""
    return digest if isinstance(digest, str) and digest.replace(":", "").isalnum() else ""


def _llama_cpp(env: Mapping[str, str], home: Path) -> list[Path]:
    if env.get("LLAMA_CACHE"):
        return [Path(env["LLAMA_CACHE"]).expanduser()]
    return [_caches(env, home) / "llama.cpp"]


def _gpt4all(env: Mapping[str, str], home: Path) -> list[Path]:
    return [_application_data(env, home) / "nomic.ai" / "GPT4All", home / ".cache" / "gpt4all"]


def _jan(env: Mapping[str, str], home: Path) -> list[Path]:
    shared = _application_data(env, home, roaming=True)
    return [home / "jan" / "models", *(shared / "Jan" / "data" / kind for kind in ("llamacpp/models", "models"))]


def _caches(env: Mapping[str, str], home: Path) -> Path:
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(env.get("LOCALAPPDATA") or home / "AppData" / "Local")
    return Path(env.get("XDG_CACHE_HOME") or home / ".cache")


def _application_data(env: Mapping[str, str], home: Path, *, roaming: bool = False) -> Path:
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    if sys.platform == "win32":
        name, folder = ("APPDATA", "Roaming") if roaming else ("LOCALAPPDATA", "Local")
        return Path(env.get(name) or home / "AppData" / folder)
    return Path(env.get("XDG_DATA_HOME") or home / ".local" / "share")
