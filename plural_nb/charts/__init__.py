"""Charts: specs and rows, drawn alike in a live widget, in a notebook's output and in a file."""

from plural_nb.charts.alignment import before_and_after_chart
from plural_nb.charts.breakdown import means_by_group, shares_by_group
from plural_nb.charts.calibration import calibration_curve
from plural_nb.charts.chart import Chart
from plural_nb.charts.distances import distances_and_noise, distances_by_question
from plural_nb.charts.dots import auc_dumbbells, coefficient_plot
from plural_nb.charts.dumbbell import dumbbell_by_group
from plural_nb.charts.heat_map import heat_map
from plural_nb.charts.information import information_kept
from plural_nb.charts.prefixes import prefix_tree
from plural_nb.charts.ranks import benchmark_chart, ranking_chart
from plural_nb.charts.renderer import enable_offline_renderer
from plural_nb.charts.seats import seat_chances
from plural_nb.charts.shares import humans_and_model
from plural_nb.charts.spread import means_and_spread
from plural_nb.charts.steering import steering_heatmap
from plural_nb.charts.trend import trend_lines
from plural_nb.charts.voices import people_and_voices
from plural_nb.charts.weights import weight_histogram
from plural_nb.charts.welfare import welfare_curves
from plural_nb.charts.word_lists import words_chart

# Altair's own default shows nothing in JupyterLab without internet, so importing charts sets one that does.
enable_offline_renderer()

__all__ = [
    "Chart",
    "auc_dumbbells",
    "before_and_after_chart",
    "benchmark_chart",
    "calibration_curve",
    "coefficient_plot",
    "distances_and_noise",
    "distances_by_question",
    "dumbbell_by_group",
    "enable_offline_renderer",
    "heat_map",
    "humans_and_model",
    "information_kept",
    "means_and_spread",
    "means_by_group",
    "people_and_voices",
    "prefix_tree",
    "ranking_chart",
    "seat_chances",
    "shares_by_group",
    "steering_heatmap",
    "trend_lines",
    "weight_histogram",
    "welfare_curves",
    "words_chart",
]
