"""The browser halves, joined with the parts they share, are modules a browser takes."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from plural_nb import resources
from plural_nb.widgets import front

PARTS = (resources.front("parts") / "index.js").read_text(encoding="utf-8")
SHARING = sorted(
    folder.name
    for folder in resources.front("parts").parent.iterdir()
    if "../parts/" in (folder / "index.js").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("widget", SHARING)
def test_a_joined_module_imports_nothing_and_names_everything_once(widget: str) -> None:
    joined = front.module(widget)
    assert not re.search(r"^import\b", joined, re.MULTILINE)
    assert len(re.findall(r"^export\b", joined, re.MULTILINE)) == 1
    # A name declared twice at the top of a module is a syntax error: the widget would stay empty.
    names = Counter(re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", joined, re.MULTILINE))
    assert names.most_common(1)[0][1] == 1, names.most_common(3)


@pytest.mark.parametrize("widget", SHARING)
def test_a_widget_imports_the_parts_it_uses_and_no_other(widget: str) -> None:
    own = (resources.front(widget) / "index.js").read_text(encoding="utf-8")
    listed, rest = re.search(r"^import \{([^}]*)\} from .*?\n(.*)", own, re.MULTILINE | re.DOTALL).groups()
    imported = {name.strip() for name in listed.split(",")}
    assert imported <= set(re.findall(r"^export function (\w+)", PARTS, re.MULTILINE))
    assert {name for name in imported if re.search(rf"\b{name}\(", rest)} == imported
