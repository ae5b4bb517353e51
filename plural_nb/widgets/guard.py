"""KeyGuard: keeps the keys pressed in a box of ipywidgets from JupyterLab's own shortcuts."""

from __future__ import annotations

from typing import Any

import anywidget
import ipywidgets

from plural_nb import resources


class KeyGuard(anywidget.AnyWidget):
    """An invisible child of an ipywidgets box; see `guarded`."""

    _esm = resources.front("guard") / "index.js"


def guarded(*children: ipywidgets.Widget, box: type[Any] = ipywidgets.VBox) -> Any:
    """Return a box of these widgets in which arrow keys and `d d` stay with the focused control.

    >>> import ipywidgets
    >>> len(guarded(ipywidgets.IntSlider()).children)
    2
    """
    return box([*children, KeyGuard()])
