"""An Altair renderer whose charts appear in JupyterLab without internet, on light and dark pages."""

from __future__ import annotations

from typing import Any

import altair as alt

MIME = "application/vnd.vegalite.v5+json"
NAME = "plural_nb"


def enable_offline_renderer() -> None:
    """Have Altair show charts through the Vega that JupyterLab carries itself.

    >>> import altair as alt
    >>> enable_offline_renderer()
    >>> alt.renderers.active
    'plural_nb'
    """
    alt.renderers.register(NAME, mimebundle)
    alt.renderers.enable(NAME)


def mimebundle(spec: dict[str, Any], **metadata: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the output bundle of a Vega-Lite spec and its metadata, as Altair asks of a renderer.

    JupyterLab 4.6 renders the type of Vega-Lite 5 only, and Altair 6 writes Vega-Lite 6; the two agree on what charts
    here use, so the spec is declared as version 5. Drawn as SVG, so that `currentColor` is the page's.
    """
    declared = {**spec, "$schema": "https://vega.github.io/schema/vega-lite/v5.json"}
    # JupyterLab passes its dark theme to Vega, whose background would hide that ours is transparent.
    declared.setdefault("background", "transparent")
    options = {"renderer": "svg", "actions": False, "ast": True, **metadata.get("embed_options", {})}
    text = str(spec.get("description") or "A chart; open the notebook in JupyterLab to see it.")
    return {MIME: declared, "text/plain": text}, {MIME: {"embed_options": options}}
