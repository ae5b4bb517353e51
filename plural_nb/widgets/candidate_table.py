"""CandidateTable: every candidate under every rule, welfare, vote and inequality, in one table that sorts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import traitlets

from plural_nb.charts.export import FORMATS
from plural_nb.errors import PluralError, nearest
from plural_nb.jury.decision import SCORES, Decision, Rule, decide
from plural_nb.jury.inequality import inequality
from plural_nb.jury.sweep import sweep
from plural_nb.jury.utilities import Utilities
from plural_nb.jury.welfare import read_alphas
from plural_nb.widgets import front
from plural_nb.widgets.panel import Panel

STYLES = ("explorer", "parts", "candidate_table")
KINDS = ("csv", "html")
_STATE = ("title", "summary", "columns", "rows", "notes", "code_text")
_NAMED = {0.0: "mean", 1.0: "Nash", float("inf"): "minimum"}
_HEADS = {
    "approval": "Approval", "sufficientarian": "Shortfall", "prioritarian": "Priority √", "leximin": "Leximin",
    "minimax_regret": "Regret", "condorcet": "Condorcet", "smith": "Smith set", "borda": "Borda",
    "plurality": "Plurality", "instant_runoff": "Run-off", "maximal_lottery": "Max. lottery",
}  # fmt: skip
_SHARES = ("approval", "plurality", "maximal_lottery", "condorcet")


@dataclass(frozen=True, slots=True)
class Column:
    """One rule: its short head, what its numbers mean, and a frame of candidate, score, low, high, wins, probability.

    problem: why it cannot decide; then the frame is empty.
    """

    key: str
    head: str
    meaning: str
    frame: pl.DataFrame
    problem: str = ""


class CandidateTable(Panel):
    """Candidates × rules: scores with intervals, who wins under each rule, and how unequally each treats the jury.

    utilities: of the jury. threshold: τ, the rating that is enough, for approval and shortfall, which are left out when
    None. alpha: of the welfare columns. rules: those of `decide`; all when None. replicates, level, seed: of the
    intervals, where the jury is a sample. title: above the table.

    A click on a heading sorts, without a kernel. A rule that cannot decide (negative ratings, say) tells why, and the
    others stand. `data` has one row per rule and candidate, `code()` the cell that computes them; `save` writes .csv,
    or a .html page that sorts too. Raises PluralError for an unknown rule.

    >>> jury = Utilities.of({"Bold": [9.0, 9.0, 1.0], "Mild": [4.0, 4.0, 4.0]})
    >>> CandidateTable(jury, rules=["borda"]).data.filter(pl.col("wins"))["candidate"].to_list()
    ['Bold', 'Bold', 'Mild', 'Bold']
    """

    _esm = front.module("candidate_table")
    _css = front.sheet(*STYLES)

    title = traitlets.Unicode().tag(sync=True)
    summary = traitlets.Unicode(help="in words").tag(sync=True)
    columns: Any = traitlets.List(help="head, meaning and problem of each rule").tag(sync=True)
    rows: Any = traitlets.List(help="name and cells of each candidate").tag(sync=True)
    notes: Any = traitlets.List().tag(sync=True)
    code_text = traitlets.Unicode().tag(sync=True)
    status: Any = traitlets.Dict({"kind": "ready", "text": ""}).tag(sync=True)
    standalone = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        utilities: Utilities,
        *,
        threshold: float | None = None,
        alpha: Sequence[float] = (0.0, 1.0, np.inf),
        rules: Sequence[Rule] | None = None,
        replicates: int = 200,
        level: float = 0.95,
        seed: int = 0,
        title: str = "The candidates under every rule",
        **unknown: Any,
    ) -> None:
        self._refuse(unknown, ("utilities", "threshold", "alpha", "rules", "replicates", "level", "seed", "title"))
        for rule in rules or ():
            if rule not in get_args(Rule):
                raise PluralError(f"Unknown rule {rule!r}. {nearest(str(rule), get_args(Rule))}")
        self._how = {"replicates": replicates, "level": level, "seed": seed}
        self._alpha = [float(a) for a in np.atleast_1d(read_alphas(list(alpha)))]
        self._threshold = threshold
        asked = rules if rules is not None else get_args(Rule)
        self._rules = [r for r in asked if threshold is not None or r not in ("approval", "sufficientarian")]
        self._columns = [
            *_welfare(utilities, self._alpha, self._how),
            *(_decided(utilities, rule, threshold, self._how) for rule in self._rules),
            *_unequal(utilities, self._how),
        ]
        names = utilities.candidates
        super().__init__(
            title=title,
            summary=_summary(names, self._columns),
            columns=[{"key": c.key, "head": c.head, "meaning": c.meaning, "problem": c.problem} for c in self._columns],
            rows=[{"name": name, "cells": [_cell(c, name) for c in self._columns]} for name in names],
            notes=[f"{note[:1].upper()}{note[1:]}." for note in utilities.about()],
        )
        self.code_text = self.code()
        self.on_msg(self._told)

    @property
    def data(self) -> pl.DataFrame:
        """One row per rule and candidate: rule, candidate, score, low, high, wins (null: inequality), probability."""
        frames = [c.frame.select(pl.lit(c.key).alias("rule"), pl.all()) for c in self._columns if not c.problem]
        return pl.concat(frames) if frames else pl.DataFrame(schema={"rule": pl.String, "candidate": pl.String})

    def code(self) -> str:
        """Return a cell of plain Python that computes the table from the utilities called `jury`."""
        alphas = ", ".join('float("inf")' if np.isinf(a) else repr(a) for a in self._alpha)
        how = ", ".join(f"{name}={value!r}" for name, value in self._how.items())
        given = f", threshold={self._threshold!r}" if self._threshold is not None else ""
        return "\n".join(
            [
                "import plural_nb as pnb",
                "",
                "# jury: the Utilities that you gave the table",
                f"print(pnb.sweep(jury, [{alphas}], {how}).table())",
                f"for rule in {self._rules!r}:",
                f"    print(pnb.decide(jury, rule{given}, {how}).table())",
                f"print(pnb.inequality(jury, {how}))",
            ]
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write `data` as .csv, or the table as a .html page that sorts without a kernel."""
        file = Path(path).expanduser()
        kind = file.suffix.lower().lstrip(".")
        if kind not in KINDS:
            raise PluralError(f"{file.name} ends in {file.suffix or 'nothing'!r}; the table is saved as .csv or .html.")
        file.write_bytes(self._bytes(kind))
        return file

    def _bytes(self, kind: str) -> bytes:
        if kind == "csv":
            return self.data.write_csv().encode("utf-8")
        state = {name: getattr(self, name) for name in _STATE}
        sections = [("The same in plain code", self.code())]
        return front.page("candidate_table", STYLES, state, title=self.title, sections=sections).encode("utf-8")

    def _told(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        kind = content.get("kind")
        if content.get("do") == "export" and kind in KINDS:
            self.send({"file": f"candidates.{kind}", "type": FORMATS[kind]}, [self._bytes(kind)])

    def _in_words(self) -> str:
        return self.summary


_FRAME = {
    "candidate": pl.String, "score": pl.Float64, "low": pl.Float64, "high": pl.Float64, "wins": pl.Boolean,
    "probability": pl.Float64,
}  # fmt: skip


def _welfare(utilities: Utilities, alphas: list[float], how: dict[str, Any]) -> list[Column]:
    columns = []
    for alpha in alphas:
        said = "∞" if np.isinf(alpha) else f"{alpha:g}"
        name = f", {_NAMED[alpha]}" if alpha in _NAMED else ""
        head, key = f"Welfare α = {said}{name}", f"welfare, α = {said}"
        meaning = "welfare w(α), in the units of the ratings"
        try:
            frame = sweep(utilities, [alpha], **how).table()
        except PluralError as problem:
            columns.append(Column(key, head, meaning, pl.DataFrame(schema=_FRAME), str(problem)))
            continue
        frame = frame.select(
            "candidate", pl.col("welfare").alias("score"), "low", "high", (pl.col("rank") == 1).alias("wins"),
            "probability",
        )  # fmt: skip
        columns.append(Column(key, head, meaning, frame))
    return columns


def _decided(utilities: Utilities, rule: Rule, threshold: float | None, how: dict[str, Any]) -> Column:
    head = _HEADS[rule]
    meaning = SCORES[rule]
    if rule in ("approval", "sufficientarian"):
        head = f"{head} τ = {threshold:g}"
    try:
        found: Decision = decide(utilities, rule, threshold=threshold, **how)
    except PluralError as problem:
        return Column(rule, head, meaning, pl.DataFrame(schema=_FRAME), str(problem))
    return Column(rule, head, meaning, found.table().select(list(_FRAME)))


def _unequal(utilities: Utilities, how: dict[str, Any]) -> list[Column]:
    meanings = ("how unequally the jury fares, 0 for all alike", "share of the mean given up for equality")
    try:
        found = inequality(utilities, **how)
    except PluralError as problem:
        return [Column("Gini", "Gini", meanings[0], pl.DataFrame(schema=_FRAME), str(problem))]
    columns: list[Column] = []
    for (name,), part in found.group_by("measure", maintain_order=True):
        frame = part.select(
            "candidate", pl.col("value").alias("score"), "low", "high", pl.lit(None, pl.Boolean).alias("wins"),
            pl.lit(None, pl.Float64).alias("probability"),
        )  # fmt: skip
        columns.append(Column(str(name), str(name), meanings[len(columns)], frame))
    return columns


def _cell(column: Column, name: str) -> dict[str, Any]:
    if column.problem:
        return {"score": None, "text": "–", "range": "", "sure": "", "wins": False}
    row = column.frame.row(by_predicate=pl.col("candidate") == name, named=True)
    score, low, high, sure = row["score"], row["low"], row["high"], row["probability"]
    share = column.key in _SHARES

    def text(value: float) -> str:
        whole = column.key in ("instant_runoff", "smith")
        said = f"{value:.0%}" if share else f"{value:.0f}" if whole else f"{value:.3g}"
        return said.replace("-", "−")

    return {
        "score": score,
        "text": "not rated" if score is None else text(score),
        "range": "" if low is None else f"{text(low)} – {text(high)}",
        "sure": "" if sure is None else f"wins in {sure:.0%}",
        "wins": bool(row["wins"]),
    }


def _summary(names: Sequence[str], columns: Sequence[Column]) -> str:
    asked = [c for c in columns if not c.problem and c.frame["wins"].is_not_null().any()]
    won = {name: sum(name in c.frame.filter(pl.col("wins"))["candidate"] for c in asked) for name in names}
    order = sorted((name for name in names if won[name]), key=lambda name: -won[name])
    said = [f"{name} under {won[name]}" for name in order[:5]]
    rest = len(order) - len(said)
    more = f" and {rest} others under fewer" if rest else ""
    if not asked:
        return "No rule can decide on these ratings."
    return f"Of {len(asked)} rules, these win (ties count for all): {', '.join(said) or 'nobody'}{more}."
