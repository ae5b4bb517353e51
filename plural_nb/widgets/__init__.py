"""Widgets: the Python half of what moves in the notebook. Each is loaded when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plural_nb.widgets.alpha_sweep import AlphaSweep
    from plural_nb.widgets.browser import SurveyBrowser
    from plural_nb.widgets.candidate_table import CandidateTable
    from plural_nb.widgets.explorer import Explorer
    from plural_nb.widgets.guard import guarded
    from plural_nb.widgets.jury_builder import JuryBuilder
    from plural_nb.widgets.vega_view import VegaView

_HOME = {
    "AlphaSweep": "alpha_sweep",
    "CandidateTable": "candidate_table",
    "Explorer": "explorer",
    "JuryBuilder": "jury_builder",
    "SurveyBrowser": "browser",
    "VegaView": "vega_view",
    "guarded": "guard",
}

__all__ = ["AlphaSweep", "CandidateTable", "Explorer", "JuryBuilder", "SurveyBrowser", "VegaView", "guarded"]


def __getattr__(name: str) -> Any:
    """Load a widget from its module, so that one panel does not wait for what another needs (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"plural_nb.widgets has no {name!r}; it has {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"plural_nb.widgets.{_HOME[name]}"), name)
