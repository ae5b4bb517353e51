"""The browser half of a widget as one module, and as a page of its own that needs no kernel."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from plural_nb import resources

_PARTS = re.compile(r'^import \{[^}]*\} from "\.\./parts/index\.js";\n', re.MULTILINE)


def module(widget: str) -> str:
    """Return a widget's JavaScript with the parts it imports put in, for anywidget takes one module.

    >>> "import" in module("candidate_table")
    False
    """
    own = (resources.front(widget) / "index.js").read_text(encoding="utf-8")
    if not _PARTS.search(own):
        return own
    parts = (resources.front("parts") / "index.js").read_text(encoding="utf-8")
    return re.sub(r"^export ", "", parts, flags=re.MULTILINE) + _PARTS.sub("", own)


def sheet(*widgets: str) -> str:
    """Return the style sheets of these widgets, one after the other."""
    return "\n".join((resources.front(name) / "style.css").read_text(encoding="utf-8") for name in widgets)


def page(
    widget: str, styles: Sequence[str], state: Mapping[str, Any], *, title: str, sections: Sequence[tuple[str, str]]
) -> str:
    """Return one HTML page with the living widget in it; it loads nothing and talks to nobody.

    state: what the widget reads, by trait; `standalone` is added, true. sections: (heading, text) below the widget.
    """
    script = module(widget).replace("export default", "const widget =") + _ALONE
    # What is in the state came from files: nothing in it may end the script that carries it.
    carried = json.dumps({**state, "standalone": True}, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    told = "".join(
        f"<details><summary>{html.escape(head)}</summary><pre>{html.escape(text)}</pre></details>"
        for head, text in sections
        if text
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    name = html.escape(title)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:">
<title>{name}</title>
<style>{_PAGE}{sheet(*styles)}</style>
</head>
<body>
<main>
<h1>{name}</h1>
<div id="widget"></div>
<noscript>This page moves by a script of its own, which your browser does not run.</noscript>
{told}
</main>
<script type="application/json" id="state">{carried}</script>
<script type="module">{script}</script>
</body>
</html>
"""


_ALONE = """
const told = new Map();
const state = JSON.parse(document.getElementById("state").textContent);
const alone = {
  get: (name) => state[name],
  set: (name, value) => { state[name] = value; for (const call of told.get(`change:${name}`) ?? []) call(); },
  save_changes: () => {}, send: () => {},
  on: (name, call) => told.set(name, [...(told.get(name) ?? []), call]), off: () => {},
};
widget.render({ model: alone, el: document.getElementById("widget") });
"""

_PAGE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #fff; --line: #d5d9de; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #16181b; --line: #3a3f45; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 14px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Liberation Sans", Arial, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
main > h1 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 1rem; font-weight: 600; }
main > details { border-top: 1px solid var(--line); padding: .6rem 0; }
main > details > summary { cursor: pointer; font-weight: 600; }
main > details > pre { white-space: pre-wrap; overflow-wrap: anywhere; }
"""
