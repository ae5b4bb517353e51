"""The two shipped demo models, open."""

from collections.abc import Iterator

import pytest

from plural_nb.silicon.model import Model, open_model


@pytest.fixture(scope="module")
def base() -> Iterator[Model]:
    with open_model("plural-demo-base") as model:
        yield model


@pytest.fixture(scope="module")
def tuned() -> Iterator[Model]:
    with open_model("plural-demo-tuned") as model:
        yield model
