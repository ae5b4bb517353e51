"""An Altair renderer whose charts appear in JupyterLab without internet, on light and dark pages."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any

MIME = "application/vnd.vegalite.v5+json"
NAME = "plural_nb"

_INK: dict[str, Any] = {
    "background": "transparent",
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "domainColor": "currentColor",
        "tickColor": "currentColor",
        "gridColor": "currentColor",
        "gridOpacity": 0.14,
    },
    "legend": {"labelColor": "currentColor", "titleColor": "currentColor"},
    "header": {"labelColor": "currentColor", "titleColor": "currentColor"},
    "title": {"color": "currentColor", "subtitleColor": "currentColor"},
    "text": {"color": "currentColor"},
    "rule": {"color": "currentColor"},
    "view": {"stroke": None},
}


def enable_offline_renderer() -> None:
    """Have Altair show charts through the Vega that JupyterLab carries itself, now or once Altair is imported.

    Importing Altair takes seconds on a machine with all of Jupyter's schema packages, and charts here do not need it.

    >>> enable_offline_renderer()
    >>> import altair as alt
    >>> alt.renderers.active
    'plural_nb'
    """
    if "altair" in sys.modules:
        _enable(sys.modules["altair"])
    elif not any(isinstance(finder, _WhenAltairComes) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhenAltairComes())


def mimebundle(spec: dict[str, Any], **metadata: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the output bundle of a Vega-Lite spec and its metadata, as Altair asks of a renderer.

    JupyterLab 4.6 renders the type of Vega-Lite 5 only, and Altair 6 writes Vega-Lite 6; the two agree on what charts
    here use, so the spec is declared as version 5. Drawn as SVG, so that `currentColor` is the page's.
    """
    declared = {**spec, "$schema": "https://vega.github.io/schema/vega-lite/v5.json"}
    own = spec.get("config", {})
    # What a chart does not colour itself follows the page; JupyterLab's dark theme for Vega would fit dark pages only.
    declared["config"] = {**_INK, **own, **{k: {**v, **own.get(k, {})} for k, v in _INK.items() if isinstance(v, dict)}}
    options = {"renderer": "svg", "actions": False, "ast": True, **metadata.get("embed_options", {})}
    text = str(spec.get("description") or "A chart; open the notebook in JupyterLab to see it.")
    return {MIME: declared, "text/plain": text}, {MIME: {"embed_options": options}}


def _enable(altair: ModuleType) -> None:
    altair.renderers.register(NAME, mimebundle)
    altair.renderers.enable(NAME)


class _WhenAltairComes(importlib.abc.MetaPathFinder):
    """Lets Altair be imported as ever, and sets its renderer right after."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != "altair":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec("altair")
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_enable(module: ModuleType) -> None:
            load(module)
            _enable(module)

        spec.loader.exec_module = load_and_enable  # type: ignore[method-assign]
        return spec
