"""Widgets: the Python half of what moves in the notebook."""

from plural_nb.widgets.alpha_sweep import AlphaSweep
from plural_nb.widgets.browser import SurveyBrowser
from plural_nb.widgets.candidate_table import CandidateTable
from plural_nb.widgets.explorer import Explorer
from plural_nb.widgets.guard import guarded
from plural_nb.widgets.jury_builder import JuryBuilder
from plural_nb.widgets.vega_view import VegaView

__all__ = ["AlphaSweep", "CandidateTable", "Explorer", "JuryBuilder", "SurveyBrowser", "VegaView", "guarded"]
