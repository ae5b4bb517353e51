"""A model small enough to be asked in tests of the panel."""

from __future__ import annotations

from pathlib import Path

import pytest

from plural_nb import resources


@pytest.fixture(scope="session")
def small_model(root: Path) -> Path:
    """The demo model that ships; before it is made, the tiny model of the reference material."""
    found = [resources.data("models", "plural-demo-base.gguf"), root.parent / "shared/models/stories260K-f16.gguf"]
    for path in found:
        if path.is_file():
            return path
    pytest.skip("no small model is here: python -m plural_nb.demo.train makes one")
