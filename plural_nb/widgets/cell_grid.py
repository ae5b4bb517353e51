"""CellGrid: a table of figures whose cells are gone through by arrow keys and chosen by Enter or the mouse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import traitlets

from plural_nb.widgets import front


class CellGrid(anywidget.AnyWidget):
    """A grid of labelled cells, deeper in colour where something is larger.

    corner: heading of the first column. columns: headings. rows: labels. cells: by row, mappings of label, depth
    (0 to 1, None for an empty cell) and said (what else a reader hears). caption: what the grid shows.

    >>> grid = CellGrid()
    >>> grid.show("Distances", "Model", ["North"], ["base"], [[{"label": "0.31", "depth": 0.5, "said": ""}]])
    >>> chosen = []
    >>> grid.on_choose(lambda row, column: chosen.append((row, column)))
    >>> grid.choose(0, 0)
    >>> chosen
    [(0, 0)]
    """

    _esm = front.module("cell_grid")
    _css = front.sheet("cell_grid")

    caption = traitlets.Unicode().tag(sync=True)
    corner = traitlets.Unicode().tag(sync=True)
    columns: Any = traitlets.List().tag(sync=True)
    rows: Any = traitlets.List().tag(sync=True)
    cells: Any = traitlets.List().tag(sync=True)
    chosen: Any = traitlets.List(help="row and column, empty for none").tag(sync=True)

    def __init__(self) -> None:
        self._listeners: list[Callable[[int, int], None]] = []
        super().__init__()
        self.on_msg(self._told)

    def show(
        self,
        caption: str,
        corner: str,
        columns: Sequence[str],
        rows: Sequence[str],
        cells: Sequence[Sequence[dict[str, Any]]],
    ) -> None:
        """Show other cells; none is chosen."""
        with self.hold_sync():
            self.caption, self.corner = caption, corner
            self.columns, self.rows = list(columns), list(rows)
            self.cells = [[dict(cell) for cell in row] for row in cells]
            self.chosen = []

    def on_choose(self, listener: Callable[[int, int], None]) -> None:
        """Call this with row and column whenever a cell is chosen, the same one again too."""
        self._listeners.append(listener)

    def choose(self, row: int, column: int) -> None:
        """Choose a cell, as a reader does; nothing happens outside the grid."""
        if 0 <= row < len(self.rows) and 0 <= column < len(self.columns):
            self.chosen = [row, column]
            for listener in self._listeners:
                listener(row, column)

    def _told(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        place = content.get("choose")
        if isinstance(place, list) and len(place) == 2 and all(isinstance(i, int) for i in place):
            self.choose(*place)
