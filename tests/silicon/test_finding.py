from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from plural_nb.silicon import finding
from plural_nb.silicon.finding import describe_files, find_models
from plural_nb.silicon.gguf import ModelFile
from plural_nb.silicon.places import Found, found_files

from .conftest import gguf_bytes, tiny_model

DIGEST = "a" * 64


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, with the notebook in an empty folder beside it."""
    for name in [n for n in os.environ if n.startswith(("HF_", "XDG_", "OLLAMA_", "LLAMA_", "PLURAL_NB_MODELS"))]:
        monkeypatch.delenv(name)
    notebook = tmp_path / "notebook"
    notebook.mkdir()
    monkeypatch.chdir(notebook)
    found = tmp_path / "home"
    found.mkdir()
    monkeypatch.setattr("plural_nb.silicon.places._ollama", _without_system_folder)
    return found


def _without_system_folder(env: dict[str, str], home: Path) -> list[Path]:
    return [Path(env["OLLAMA_MODELS"]) if env.get("OLLAMA_MODELS") else home / ".ollama" / "models"]


def found_in(home: Path, **environment: str) -> list[ModelFile]:
    files = [f for f in found_files({**environment}, home) if f.place != "plural_nb"]
    return describe_files(files)


def model_at(path: Path, seed: int = 0, **keys: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gguf_bytes(*tiny_model(seed=seed, **keys)))
    return path


def ollama_model(root: Path, manifest: str, digest: str = DIGEST, seed: int = 0) -> None:
    path = root / "manifests" / manifest
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = [
        {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "0" * 64},
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"},
    ]
    path.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    model_at(root / "blobs" / f"sha256-{digest}", seed)


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("LM Studio", ".lmstudio/models/maker/repo/m.gguf"),
        ("LM Studio", ".cache/lm-studio/models/maker/repo/m.gguf"),
        ("Hugging Face", ".cache/huggingface/hub/models--maker--repo/snapshots/abc/m.gguf"),
        ("Jan", "jan/models/m/m.gguf"),
        ("GPT4All", ".cache/gpt4all/m.gguf"),
    ],
)
def test_each_program_keeps_models_in_its_own_place(home: Path, place: str, path: str) -> None:
    model_at(home / path)
    [file] = found_in(home)
    assert file.name == "m"
    assert file.problem == ""
    assert [p.split(":")[0] for p in file.found_in] == [place]


@pytest.mark.parametrize(
    ("variable", "below"),
    [
        ("HF_HOME", "hub/models--a--b/snapshots/c/m.gguf"),
        ("HF_HUB_CACHE", "models--a--b/snapshots/c/m.gguf"),
        ("LLAMA_CACHE", "m.gguf"),
        ("PLURAL_NB_MODELS", "deep/down/m.gguf"),
    ],
)
def test_environment_variables_move_the_places(home: Path, tmp_path: Path, variable: str, below: str) -> None:
    model_at(tmp_path / "elsewhere" / below)
    assert [f.name for f in found_in(home, **{variable: str(tmp_path / "elsewhere")})] == ["m"]


def test_plural_nb_models_is_a_list_of_files_and_folders(home: Path, tmp_path: Path) -> None:
    one, folder = model_at(tmp_path / "one.gguf"), model_at(tmp_path / "f" / "two.gguf", seed=1).parent
    gone = tmp_path / "gone.gguf"
    files = found_in(home, PLURAL_NB_MODELS=os.pathsep.join(map(str, [one, folder, gone])))
    assert [(f.name, bool(f.problem)) for f in files] == [("one", False), ("two", False), ("gone", True)]


def test_the_notebooks_folder_is_searched(home: Path) -> None:
    model_at(Path("here.gguf").absolute())
    assert [f.name for f in found_in(home)] == ["here"]


@pytest.mark.parametrize(
    ("manifest", "name"),
    [
        ("registry.ollama.ai/library/llama3.2/1b", "llama3.2:1b"),
        ("registry.ollama.ai/someone/model/latest", "someone/model:latest"),
        ("hf.co/maker/repo/Q8_0", "hf.co/maker/repo:Q8_0"),
    ],
)
def test_ollama_models_carry_the_name_one_pulls_them_by(home: Path, manifest: str, name: str) -> None:
    ollama_model(home / ".ollama" / "models", manifest)
    [file] = found_in(home)
    assert file.name == name
    assert file.problem == ""
    assert file.path.name == f"sha256-{DIGEST}"


def test_two_ollama_names_of_one_blob_are_one_model(home: Path) -> None:
    for tag in ("1b", "latest"):
        ollama_model(home / ".ollama" / "models", f"registry.ollama.ai/library/llama3.2/{tag}")
    assert [f.name for f in found_in(home)] == ["llama3.2:1b"]


def test_a_damaged_manifest_and_a_missing_blob_are_listed_with_the_remedy(home: Path) -> None:
    root = home / ".ollama" / "models"
    ollama_model(root, "registry.ollama.ai/library/a/1")
    (root / "blobs" / f"sha256-{DIGEST}").unlink()
    (root / "manifests/registry.ollama.ai/library/b").mkdir()
    (root / "manifests/registry.ollama.ai/library/b/1").write_text("not json")
    assert [(f.name, f.problem.split(": ")[-1]) for f in found_in(home)] == [
        ("a:1", "ollama pull a:1"),
        ("b:1", "ollama pull b:1"),
    ]


def test_links_and_copies_are_shown_once_with_all_their_places(home: Path) -> None:
    blob = model_at(home / ".cache/huggingface/hub/models--a--b/blobs" / DIGEST)
    for revision in ("r1", "r2"):
        link = blob.parents[1] / "snapshots" / revision / "m.gguf"
        link.parent.mkdir(parents=True)
        link.symlink_to(blob)
    hard = home / ".lmstudio" / "models" / "m.gguf"
    hard.parent.mkdir(parents=True)
    hard.hardlink_to(blob)
    shutil.copy(blob, model_at(home / "jan/models/copy.gguf"))
    [file] = found_in(home)
    assert len(file.found_in) == 4
    assert file.name == "m"


def test_ollamas_digest_and_hugging_faces_blob_name_are_the_same_hash(home: Path) -> None:
    """Same digest, different bytes on disk: only the names can tell, as for a file on another file system."""
    blob = model_at(home / ".cache/huggingface/hub/models--a--b/blobs" / DIGEST, seed=1, general__name="a name")
    link = blob.parents[1] / "snapshots" / "r" / "m.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(blob)
    ollama_model(home / ".ollama" / "models", "registry.ollama.ai/library/m/1", seed=2)
    [file] = found_in(home)
    assert [p.split(":")[0] for p in file.found_in] == ["Hugging Face", "Ollama"]


def test_twins_of_equal_size_and_header_stay_two(home: Path) -> None:
    model_at(home / "jan/models/a.gguf", seed=1)
    model_at(home / "jan/models/b.gguf", seed=2)
    assert [f.name for f in found_in(home)] == ["a", "b"]


def test_what_cannot_be_asked_is_listed_with_its_problem(home: Path) -> None:
    folder = home / "jan" / "models"
    whole = model_at(folder / "a-whole.gguf").read_bytes()
    (folder / "b-cut.gguf").write_bytes(whole[:-1000])
    (folder / "c-foreign.gguf").write_bytes(b"PK\x03\x04 and so on")
    (folder / "d-empty.gguf").write_bytes(b"")
    (folder / "e-link.gguf").symlink_to(folder / "nowhere")
    model_at(folder / "f-00001-of-00002.gguf", split__count=2, split__no=0)
    model_at(folder / "f-00002-of-00002.gguf", split__count=2, split__no=1)
    problems = {f.name: f.problem for f in found_in(home)}
    assert list(problems) == ["a-whole", "b-cut", "c-foreign", "d-empty", "e-link", "f-00001-of-00002"]
    for name, says in [
        ("b-cut", "cut off"),
        ("c-foreign", "zip"),
        ("d-empty", "empty"),
        ("e-link", "gone"),
        ("f-", "part 1 of 2"),
    ]:
        assert says in next(p for n, p in problems.items() if n.startswith(name))
    assert problems["a-whole"] == ""


def test_headers_are_read_once_and_again_only_after_a_change(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = model_at(home / "jan/models/a.gguf")
    read = []
    real = finding.read_header
    monkeypatch.setattr(finding, "read_header", lambda p: read.append(p) or real(p))
    first = found_in(home)
    assert found_in(home) == first
    assert len(read) == 1
    model_at(path, context=2048)
    assert found_in(home)[0].context_length == 2048
    assert len(read) == 2


@pytest.mark.parametrize(
    "damage",
    [b"{", b"[]", b'{"version": 1, "files": 7}', b'{"version": 1, "files": {"%s": {"identity": []}}}', b"\xff"],
)
def test_a_damaged_cache_changes_nothing(home: Path, own_cache: Path, damage: bytes) -> None:
    path = model_at(home / "jan/models/a.gguf")
    first = found_in(home)
    (own_cache / "model_files.json").write_bytes(damage.replace(b"%s", str(path).encode()))
    assert found_in(home) == first
    assert found_in(home) == first
    assert json.loads((own_cache / "model_files.json").read_text())["files"][str(path)]["identity"]


def test_a_cache_that_cannot_be_written_changes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_at(home / "jan/models/a.gguf")
    blocked = home / "a file, no folder"
    blocked.write_text("")
    monkeypatch.setenv("PLURAL_NB_CACHE", str(blocked / "cache"))
    assert [f.name for f in found_in(home)] == ["a"]


def test_two_notebooks_keep_each_others_entries(home: Path, own_cache: Path) -> None:
    one, two = model_at(home / "a/one.gguf"), model_at(home / "b/two.gguf", seed=1)
    for path in (one, two):
        describe_files([Found(path, "PLURAL_NB_MODELS")])
    assert {str(one), str(two)} <= set(json.loads((own_cache / "model_files.json").read_text())["files"])


def test_shipped_models_come_first(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model_at(tmp_path / "shipped" / "models" / "zz-shipped.gguf")
    monkeypatch.setattr("plural_nb.resources.data", lambda *parts: tmp_path.joinpath("shipped", *parts))
    monkeypatch.setattr(Path, "home", lambda: home)
    model_at(home / "jan/models/a.gguf", seed=1)
    assert [f.name for f in find_models()] == ["zz-shipped", "a"]
