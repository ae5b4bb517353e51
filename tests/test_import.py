"""Importing plural_nb is light, and every public name is where it says."""

import subprocess
import sys

import pytest

import plural_nb


def test_import_loads_no_heavy_package() -> None:
    code = "import sys, plural_nb; print(*sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "plural_nb" in loaded
    assert not loaded & {"polars", "altair", "numpy", "anywidget", "ipywidgets", "llama_cpp", "statsmodels", "scipy"}


@pytest.mark.parametrize("name", plural_nb.__all__)
def test_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(plural_nb, name).__doc__


def test_every_home_is_public() -> None:
    assert sorted(plural_nb._HOME) == sorted(plural_nb.__all__)


def test_a_misspelt_name_is_told_the_right_one() -> None:
    with pytest.raises(AttributeError, match="Did you mean 'Explorer'"):
        _ = plural_nb.Explorrer


def test_public_names_survive_the_import_of_their_neighbours() -> None:
    """A sub-package must not take the place of a function of the same name."""
    code = (
        "import plural_nb as p, plural_nb.widgets.explorer\n"
        "print([n for n in p.__all__ if type(getattr(p, n)).__name__ == 'module'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
