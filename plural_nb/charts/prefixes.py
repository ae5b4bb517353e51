"""The prefix tree of prompts: what they begin with in common, and so how much of them a model has to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from plural_nb.answers import Answers
from plural_nb.charts.chart import DATA, Chart, Key
from plural_nb.charts.theme import MODELS, config, percent
from plural_nb.errors import PluralError
from plural_nb.silicon.prompt import Reply

_COLUMNS = (("text", "Text"), ("prompts", "Prompts that share it"), ("tokens", "Tokens"), ("begin", "From token"))
_WIDTH, _HEIGHT, _LEAST_STEP, _CHARACTER = 620, 420, 9, 6.4
_MOST_PROMPTS = 200


@dataclass(frozen=True, slots=True)
class _Run:
    """Tokens that some prompts have in common and no shorter run ends: prompts first … last, tokens begin … end."""

    begin: int
    end: int
    first: int
    last: int


def prefix_tree(asked: Answers | Sequence[Reply], *, title: str = "What the prompts have in common") -> Chart:
    """Draw the prefix tree of the prompts that a model was sent: read from left to right, it branches where they part.

    asked: answers of a model, or replies of several.

    A box is a run of tokens; its height is the number of prompts that begin with everything up to there. Each box is
    read once, however many prompts share it. The order of the prompts is that in which they are read.

    Raises PluralError where there is no prompt, or more than 200 distinct ones.

    >>> from plural_nb.silicon.prompt import packed
    >>> asked, spelling = [(0, 1, 2), (0, 1, 3), (0, 4, 5)], dict(enumerate("abcdef"))
    >>> replies = [Reply("", (), (), ids=packed(tokens), spelling=spelling) for tokens in asked]
    >>> prefix_tree(replies).summary
    'What the prompts have in common: 3 prompts have 9 tokens in all; read once where they are the same, 6 are left
    (67%). All begin with the same 1 token.'
    """
    replies = list(asked.replies) if isinstance(asked, Answers) else list(asked)
    texts = {reply.tokens: reply.pieces for reply in replies}
    if not texts:
        raise PluralError("There is no prompt to draw: these answers did not come from a model.")
    if len(texts) > _MOST_PROMPTS:
        raise PluralError(f"{len(texts):,} prompts are too many to see. Draw at most {_MOST_PROMPTS} of their replies.")
    prompts = sorted(texts)
    runs = _runs(prompts)
    longest = max(map(len, prompts))
    step = max(_LEAST_STEP, min(36, _HEIGHT // len(prompts)))
    rows = [_row(run, prompts, texts[prompts[run.first]], _WIDTH / longest, step) for run in runs]
    total, distinct = sum(map(len, prompts)), sum(run.end - run.begin for run in runs)
    shared = next((run.end for run in runs if run.begin == 0 and run.last - run.first == len(prompts) - 1), 0)
    have = "prompt has" if len(prompts) == 1 else "prompts have"
    told = (
        f"{len(prompts)} {have} {total:,} tokens in all; read once where they are the same, "
        f"{distinct:,} are left ({percent(distinct / total)}). All begin with the same {shared} "
        f"token{'' if shared == 1 else 's'}."
    )
    return Chart(
        spec=_spec(longest, len(prompts), step),
        rows=tuple(rows),
        shape=f"prefix tree of {longest} tokens and {len(prompts)} prompts",
        title=title,
        subtitle=told,
        keys=(Key("model", "Tokens that prompts have in common"),),
        columns=_COLUMNS,
        summary=f"{title}: {told}",
        frame=pl.DataFrame(rows).select("begin", "end", "tokens", "prompts", "text"),
        notes=("¶ is a line break. Each box is read once; its height is the number of prompts that share it.",),
    )


def _runs(prompts: Sequence[tuple[int, ...]]) -> list[_Run]:
    """The runs of the prefix tree of sorted, distinct prompts, each before what follows it."""
    found: list[_Run] = []

    def grow(first: int, last: int, begin: int) -> None:
        a, b = prompts[first], prompts[last]  # sorted, so what these two share all between them share
        end = begin
        while end < min(len(a), len(b)) and a[end] == b[end]:
            end += 1
        if end > begin:
            found.append(_Run(begin, end, first, last))
        if first == last:
            return
        if len(a) == end:  # this prompt is the beginning of the others
            first += 1
        while first <= last:
            here = first
            while here < last and prompts[here + 1][end] == prompts[first][end]:
                here += 1
            grow(first, here, end)
            first = here + 1

    grow(0, len(prompts) - 1, 0)
    return found


def _row(
    run: _Run, prompts: Sequence[tuple[int, ...]], pieces: Sequence[str], pixels_per_token: float, step: int
) -> dict[str, Any]:
    text = "".join(pieces[run.begin : run.end])
    room = int(pixels_per_token * (run.end - run.begin) / _CHARACTER) - 1
    plain = _on_one_line(text)
    sharing = run.last - run.first + 1
    fits = room >= 3 and step * sharing >= 11
    label = (plain if len(plain) <= room else plain[: room - 1] + "…") if fits else ""
    return {
        "begin": run.begin,
        "end": run.end,
        "middle": (run.begin + run.end) / 2,
        "top": run.first,
        "bottom": run.last + 1,
        "centre": (run.first + run.last + 1) / 2,
        "tokens": run.end - run.begin,
        "prompts": sharing,
        "share": sharing / len(prompts),
        "label": label,
        "text": plain,
    }


def _on_one_line(text: str) -> str:
    marked = text.replace("\n", "¶")
    return "".join(c if c.isprintable() else "·" for c in marked)


def _spec(longest: int, prompts: int, step: int) -> dict[str, Any]:
    x = {
        "field": "begin",
        "type": "quantitative",
        "title": "tokens from the beginning of the prompt",
        "axis": {"tickCount": 6, "grid": False},
        "scale": {"domain": [0, longest], "nice": False},
    }
    y = {
        "field": "top",
        "type": "quantitative",
        "title": f"{prompts} prompts, in the order in which they are read",
        "axis": {"labels": False, "grid": False},
        "scale": {"domain": [0, prompts], "nice": False, "reverse": True},
    }
    box = {"type": "rect", "color": MODELS, "stroke": "currentColor", "strokeWidth": 0.75, "strokeOpacity": 0.55}
    opacity = {
        "field": "share",
        "type": "quantitative",
        "scale": {"domain": [0, 1], "range": [0.12, 0.6]},
        "legend": None,
    }
    tooltip = [{"field": field, "title": heading} for field, heading in _COLUMNS]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": config(),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "width": _WIDTH,
        "padding": {"left": 2, "top": 4, "bottom": 4, "right": 8},
        "height": max(60, step * prompts),
        "data": {"name": DATA},
        "layer": [
            {
                "mark": box,
                "encoding": {
                    "x": x,
                    "x2": {"field": "end"},
                    "y": y,
                    "y2": {"field": "bottom"},
                    "fillOpacity": opacity,
                    "tooltip": tooltip,
                },
            },
            {
                "mark": {"type": "text", "baseline": "middle", "align": "left", "dx": 3, "fontSize": 11},
                "encoding": {
                    "x": x,
                    "y": {**y, "field": "centre"},
                    "text": {"field": "label", "type": "nominal"},
                },
            },
        ],
    }
