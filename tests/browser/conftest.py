"""A Chromium for front-end tests, and a page on loopback that plays the part of anywidget around one widget."""

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from lab_session import CHROMIUM_FLAGS, find_chromium

playwright = pytest.importorskip("playwright.sync_api")

MOCK = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>mock</title>
<link rel="stylesheet" href="/widgets/vega_view/style.css"><link rel="stylesheet" href="/widgets/explorer/style.css">
<style>body { margin: 16px; background: #fff; color: #1f2328; }
@media (prefers-color-scheme: dark) { body { background: #16181b; color: #e6e8eb; } }</style>
</head><body><div id="root"></div>
<script type="module">
// What anywidget gives a widget: a model with get, set, on, off, save_changes, send and the widget manager.
class Model {
  constructor(state, manager) { this.state = state; this.listeners = new Map(); this.saved = []; this.sent = [];
    this.dirty = {}; this.widget_manager = manager; }
  get(name) { return this.state[name]; }
  set(name, value) { this.dirty[name] = value; this.put({ [name]: value }); }
  save_changes() { this.saved.push(this.dirty); this.dirty = {}; }
  send(message) { this.sent.push(message); }
  on(name, callback) { this.listeners.set(name, [...(this.listeners.get(name) ?? []), callback]); }
  off(name, callback) { this.listeners.set(name, (this.listeners.get(name) ?? []).filter((c) => c !== callback)); }
  emit(name, ...given) { for (const callback of this.listeners.get(name) ?? []) callback(...given); }
  put(changes) {
    const changed = Object.keys(changes).filter((n) => JSON.stringify(changes[n]) !== JSON.stringify(this.state[n]));
    Object.assign(this.state, changes);
    for (const name of changed) this.emit(`change:${name}`);
  }
}
const models = {};
const manager = {
  get_model: async (id) => models[id] ?? Promise.reject(new Error(`no model ${id}`)),
  create_view: async (model) => {
    const el = document.createElement("div");
    await window.show(model, el);
    return { el, remove() {} };
  },
};
window.models = models;
window.make = async (id, widget, state) => {
  const { default: module } = await import(`/widgets/${widget}/index.js`);
  models[id] = new Model(state, manager);
  models[id].module = module;
  await module.initialize?.({ model: models[id] });
  return true;
};
window.show = async (model, el) => {
  window.leave = await model.module.render({ model, el });
  return true;
};
window.leaked = [];
document.addEventListener("keydown", (event) => window.leaked.push(event.key));
document.body.dataset.ready = true;
</script></body></html>
"""


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of a Chromium or Chrome; skips where there is none, but fails in CI, which must have one."""
    found = find_chromium()
    if found is not None:
        return found
    if os.environ.get("CI"):
        pytest.fail("CI must run the browser tests, and there is no chromium or google-chrome on PATH")
    pytest.skip("no chromium, chromium-browser or google-chrome on PATH")


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        instance = started.chromium.launch(executable_path=chromium_path, args=CHROMIUM_FLAGS)
        yield instance
        instance.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """An empty page; a test fails when a script on it fails."""
    context = browser.new_context(viewport={"width": 1180, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    broken: list[str] = []
    opened.on("pageerror", lambda error: broken.append(str(error)))
    yield opened
    context.close()
    assert not broken, broken


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path in ("/", "/strict"):
            body = MOCK.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            if self.path == "/strict":
                # As strict as a page can be that loads anywidget's modules: nothing may be compiled from text.
                self.send_header(
                    "Content-Security-Policy", "script-src 'self' 'unsafe-inline' blob:; object-src 'none'"
                )
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            super().do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="session")
def address(root: Path) -> Iterator[str]:
    """Address of the checkout on loopback, with the mock page at its root."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


@pytest.fixture(scope="session")
def bundle() -> str:
    from plural_nb.widgets.runtime import javascript_bundle

    return javascript_bundle()


Mount = Callable[..., None]


@pytest.fixture
def mount(page: Any, address: str) -> Mount:
    """`mount(id, widget, state, show=True)`: make a mock model of a widget and show it on the page."""
    return mounting(page, address)


@pytest.fixture
def mount_strictly(page: Any, address: str) -> Mount:
    """The same on a page whose content policy forbids to compile text."""
    return mounting(page, f"{address}strict")


def mounting(page: Any, address: str) -> Mount:
    page.goto(address)
    page.locator("body[data-ready]").wait_for(state="attached")

    def put(name: str, widget: str, state: dict[str, Any], *, show: bool = False) -> None:
        given = [name, widget, json.dumps(state)]
        page.evaluate("([id, widget, state]) => window.make(id, widget, JSON.parse(state))", given)
        if show:
            # Later, on the page's own account: while a debugger evaluates, compiling text is always allowed.
            page.evaluate(
                """id => new Promise((done) => setTimeout(() =>
                window.show(window.models[id], document.querySelector('#root')).then(done)))""",
                name,
            )

    return put
