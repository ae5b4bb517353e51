"""Starting: the user's folder, the user's edits, and JupyterLab itself."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from plural_nb import lab, resources
from plural_nb.errors import PluralError


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the shipped notebooks and can be changed."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "00_tour.ipynb").write_text("tour, version 1")
    monkeypatch.setattr(resources, "notebooks", lambda: folder)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own, so that nothing of the developer's is read or written."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    return folder


def test_first_copy_brings_every_notebook(tmp_path: Path, shipped: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    assert lab.copy_notebooks(mine).new == ("00_tour.ipynb",)
    assert (mine / "00_tour.ipynb").read_text() == "tour, version 1"


def test_untouched_notebooks_follow_a_new_version(tmp_path: Path, shipped: Path) -> None:
    lab.copy_notebooks(tmp_path)
    (shipped / "00_tour.ipynb").write_text("tour, version 2")
    assert lab.copy_notebooks(tmp_path).updated == ("00_tour.ipynb",)
    assert (tmp_path / "00_tour.ipynb").read_text() == "tour, version 2"


def test_edits_are_never_overwritten_and_the_new_version_stands_beside(tmp_path: Path, shipped: Path) -> None:
    lab.copy_notebooks(tmp_path)
    (tmp_path / "00_tour.ipynb").write_text("my own work")
    assert lab.copy_notebooks(tmp_path).kept == ("00_tour.ipynb",)
    (shipped / "00_tour.ipynb").write_text("tour, version 2")
    [beside] = lab.copy_notebooks(tmp_path).beside
    assert (tmp_path / "00_tour.ipynb").read_text() == "my own work"
    assert (tmp_path / beside).read_text() == "tour, version 2"
    assert lab.copy_notebooks(tmp_path).beside == ()


def test_a_file_of_ones_own_with_the_same_name_is_left_alone(tmp_path: Path, shipped: Path) -> None:
    (tmp_path / "00_tour.ipynb").write_text("here before plural_nb")
    lab.copy_notebooks(tmp_path)
    assert (tmp_path / "00_tour.ipynb").read_text() == "here before plural_nb"


def test_a_deleted_notebook_comes_back(tmp_path: Path, shipped: Path) -> None:
    lab.copy_notebooks(tmp_path)
    (tmp_path / "00_tour.ipynb").unlink()
    assert lab.copy_notebooks(tmp_path).new == ("00_tour.ipynb",)


def test_a_damaged_record_loses_nothing(tmp_path: Path, shipped: Path) -> None:
    lab.copy_notebooks(tmp_path)
    (tmp_path / ".plural_nb.json").write_text("{not json")
    (tmp_path / "00_tour.ipynb").write_text("my own work")
    lab.copy_notebooks(tmp_path)
    assert (tmp_path / "00_tour.ipynb").read_text() == "my own work"


def test_the_second_start_finds_the_folder_again(home: Path) -> None:
    asked = home / "class of 2026"
    assert lab.working_folder(asked) == asked
    assert lab.working_folder() == asked


def test_without_a_folder_named_it_is_plural_nb_in_the_home(home: Path) -> None:
    assert lab.working_folder() == home / "plural_nb"


def test_a_remembered_folder_that_is_gone_is_not_made_again(home: Path) -> None:
    asked = home / "usb stick"
    lab.working_folder(asked)
    asked.rmdir()
    assert lab.working_folder() == home / "plural_nb"


def test_a_file_in_the_place_of_the_folder_is_said_plainly(home: Path) -> None:
    (home / "notes").write_text("x")
    with pytest.raises(PluralError, match="--folder"):
        lab.working_folder(home / "notes")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be refused as root")
def test_root_is_refused_until_it_insists(home: Path) -> None:
    with pytest.raises(PluralError, match="--allow-root"):
        lab.start()


def test_lab_serves_the_users_folder_on_loopback_with_a_token(home: Path) -> None:
    command = [sys.executable, "-m", "plural_nb.cli", "--no-browser", "--port", "18899", "--folder", str(home / "w")]
    command += ["--allow-root", "--", "--ServerApp.quit_button=False"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        try:
            lines = []
            for line in server.stdout:
                lines.append(line)
                found = re.search(r"JupyterLab is at (\S+)", line)
                if found:
                    break
            else:
                pytest.fail("".join(lines))
            address = found.group(1)
            assert re.fullmatch(r"http://127\.0\.0\.1:18899/lab/tree/00_tour\.ipynb\?token=\w+", address)
            token = address.split("token=")[1]
            api = "http://127.0.0.1:18899/api/contents"
            with pytest.raises(urllib.error.HTTPError):
                _get(api)
            there = {item["name"] for item in json.loads(_get(f"{api}?token={token}"))["content"]}
            assert {p.name for p in resources.notebooks().glob("*.ipynb")} <= there
        finally:
            server.send_signal(signal.SIGTERM)


def _get(address: str) -> str:
    # A fresh server may still be binding; one retry loop bounded in time.
    for _ in range(50):
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError:
            raise
        except OSError:
            import time

            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {address}")
