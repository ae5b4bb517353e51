"""Where the files that come with plural_nb are: browser modules, notebooks and data, in a wheel or in a checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from plural_nb.errors import PluralError

_PACKAGE = Path(__file__).resolve().parent


def front(widget: str) -> Path:
    """Folder of one widget's browser half (`index.js`, `style.css`)."""
    return _root("widgets", _PACKAGE / "_front") / widget


def notebooks() -> Path:
    """Folder of the notebooks as shipped."""
    return _root("notebooks", _PACKAGE / "_share" / "notebooks")


def data(*parts: str) -> Path:
    """A path under the shipped data: `data("models")`, `data("surveys", "teaching.parquet")`."""
    return _root("data", _PACKAGE / "_share" / "data").joinpath(*parts)


@cache
def _root(name: str, installed: Path) -> Path:
    if installed.is_dir():
        return installed
    checkout = _PACKAGE.parent / name
    if checkout.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return checkout
    raise PluralError(
        f"The files of plural_nb's folder {name!r} are missing beside {_PACKAGE}. Install it again: pip install -e ."
    )
