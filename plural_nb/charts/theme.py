"""Colours and typography that all charts share; legible on light and on dark pages."""

from __future__ import annotations

import textwrap
from typing import Any

# At least 3:1 on white and on JupyterLab's dark page, and distinct for colour-blind readers (Okabe and Ito).
HUMANS = "#0072B2"
MODELS = "#D55E00"
JURIES = "#767676"
MUTED = "#767676"

# What `currentColor` and the page become in a file that stands on no page.
INK, PAPER = "#1f2328", "#ffffff"

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
# Files are measured where they are made and read elsewhere, so they name fonts of one and the same width.
FILE_FONT = "Arial, 'Liberation Sans', 'Helvetica Neue', Helvetica, sans-serif"
SIZE = 12
LABEL_WIDTH = 30


def config() -> dict[str, Any]:
    """Vega-Lite configuration: transparent, in the text colour of the page around it.

    >>> config()["background"]
    'transparent'
    """
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": "currentColor",
            "titleColor": "currentColor",
            "labelFontSize": SIZE,
            "titleFontSize": SIZE,
            "titleFontWeight": "normal",
            "titleOpacity": 0.75,
            "labelLimit": 0,
            "gridColor": "currentColor",
            "gridOpacity": 0.14,
            "domain": False,
            "ticks": False,
            "labelPadding": 8,
            "titlePadding": 10,
        },
        "legend": {
            "labelColor": "currentColor",
            "labelFontSize": SIZE,
            "labelLimit": 0,
            "symbolSize": 140,
            "titleColor": "currentColor",
        },
        "text": {"color": "currentColor", "fontSize": SIZE},
        "rule": {"color": "currentColor"},
        "tick": {"color": "currentColor"},
        "title": {
            "anchor": "start",
            "frame": "bounds",
            "color": "currentColor",
            "subtitleColor": "currentColor",
            "fontSize": 15,
            "fontWeight": 600,
            "subtitleFontSize": SIZE,
            "subtitlePadding": 6,
            "lineHeight": 20,
            "subtitleLineHeight": 17,
            "offset": 14,
        },
    }


def wrapped(text: str, width: int = LABEL_WIDTH) -> list[str]:
    """Break a label into lines of at most `width` characters; words longer than that are broken too.

    >>> wrapped("Neither satisfied nor dissatisfied", 20)
    ['Neither satisfied', 'nor dissatisfied']
    """
    return textwrap.wrap(" ".join(text.split()), width) or [""]


def percent(share: float) -> str:
    """A share in words for labels: whole per cents, and never "0%" for a share that is not zero.

    >>> [percent(p) for p in (0, 0.004, 0.256, 0.999, 1)]
    ['0%', '<1%', '26%', '>99%', '100%']
    """
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 <= share < 1 - 1e-12:
        return ">99%"
    return f"{share:.0%}"
