"""What several test folders share: the place of the reference material, which a user's machine need not have."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_CACHE = tempfile.mkdtemp(prefix="plural_nb-tests-")


def pytest_configure() -> None:
    """A test run neither reads nor fills the user's own cache of answers and headers."""
    os.environ["PLURAL_NB_CACHE"] = _CACHE


def pytest_unconfigure() -> None:
    shutil.rmtree(_CACHE, ignore_errors=True)


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference material is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
