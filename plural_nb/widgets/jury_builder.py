"""JuryBuilder: quotas, who can be seated under them, how likely everyone is, and the draw."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import polars as pl
import traitlets
from ipywidgets import widget_serialization

from plural_nb.charts.export import FORMATS, as_bytes
from plural_nb.charts.seats import seat_chances
from plural_nb.errors import PluralError, nearest
from plural_nb.jury.lottery import Jury, Lottery
from plural_nb.jury.pool import Pool
from plural_nb.jury.quotas import Quotas
from plural_nb.jury.utilities import Utilities
from plural_nb.survey.survey import Survey
from plural_nb.widgets import front
from plural_nb.widgets.jury_source import Source, effects, quotas_like, source_of
from plural_nb.widgets.panel import Panel
from plural_nb.widgets.seat_desk import Method, SeatDesk, SeatNews, SeatRequest
from plural_nb.widgets.vega_view import VegaView

_CHOICES = ("seats", "bounds", "method")
_FILES = {"csv": "text/csv", "json": "application/json", **FORMATS}
_MOST_ROWS = 200


class JuryBuilder(Panel):
    """A panel to seat a jury from a pool: quotas, the smallest relaxation where they contradict, chances, the draw.

    source: a Pool, a table with one row per person, a Survey (its respondents, by `features`), or Utilities: its jurors
    of weight above 0, and then the panel says who wins in the jury drawn, and in 200 others.
    features: traits or columns that quotas speak of; the first three when None. seats: of the jury. quotas: a Quotas to
    begin with; when None, seats in proportion to the (weighted) source, rounded down and up, one more either way.
    method: "leximin", "maximin", "quota" (filled greedily), "weight" (in proportion to the source's weights) or
    "simple" (no quotas). seed: of the draw.

    `panel.seats`, `panel.bounds` ({feature: {level: [fewest, most]}}), `panel.method` and `panel.seed` can be read and
    set; `find()` begins to seat, `wait()` waits, `cancel()` stops, `relax()` takes the smallest change that makes the
    quotas keepable, `draw_again()` draws with the next seed. `jury`, `lottery`, `data` and `code()` give what was
    found; `save` writes the jury (.csv), the public record (.json) or the chart of chances (.svg, .png, .html).

    Raises PluralError for a source that is none of these, and what Pool and Quotas raise.

    >>> people = pl.DataFrame({"age": ["old"] * 6 + ["young"] * 3})
    >>> panel = JuryBuilder(people, seats=4, quotas=Quotas(4, {"age": {"young": 2}}))
    >>> panel.find().wait(), panel.data["age"].to_list().count("young")
    (True, 2)
    """

    _esm = front.module("jury_builder")
    _css = front.sheet("explorer", "parts", "jury_builder")

    seats = traitlets.Int(12).tag(sync=True)
    bounds: Any = traitlets.Dict(help="{feature: {level: [fewest, most]}}").tag(sync=True)
    method = traitlets.Enum(get_args(Method), "leximin").tag(sync=True)
    seed = traitlets.Int(1).tag(sync=True)

    title = traitlets.Unicode("Who sits on the jury?").tag(sync=True)
    features: Any = traitlets.List(help="name and levels, with people and share of each").tag(sync=True)
    methods: Any = traitlets.List(help="id, label and, where one cannot be used, why").tag(sync=True)
    count = traitlets.Unicode().tag(sync=True)
    view = traitlets.Instance(VegaView).tag(sync=True, **widget_serialization)
    drawn = traitlets.Bool(False, help="whether there is a chart of chances").tag(sync=True)
    status: Any = traitlets.Dict({"kind": "ready", "text": ""}).tag(sync=True)
    relaxation: Any = traitlets.Dict(help="text and bounds of the smallest change; empty when none is needed").tag(
        sync=True
    )
    types: Any = traitlets.Dict(help="heads and rows: chances by type").tag(sync=True)
    members: Any = traitlets.Dict(help="heads and rows: the jury").tag(sync=True)
    findings: Any = traitlets.List().tag(sync=True)
    code_text = traitlets.Unicode().tag(sync=True)
    standalone = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        source: Pool | Survey | Utilities | pl.DataFrame,
        *,
        features: Sequence[str] | None = None,
        seats: int = 12,
        quotas: Quotas | None = None,
        method: Method = "leximin",
        seed: int = 1,
        **unknown: Any,
    ) -> None:
        self._refuse(unknown, ("source", "features", "seats", "quotas", "method", "seed"))
        if method not in get_args(Method):
            raise PluralError(f"Unknown method {method!r}. {nearest(str(method), get_args(Method))}")
        self._source: Source = source_of(source, features)
        self._lottery: Lottery | None = None
        self._jury: Jury | None = None
        quotas = quotas or quotas_like(self._source, seats)
        quotas.matrix(self._source.pool)
        super().__init__(view=VegaView())
        self._desk = SeatDesk(self._hear)
        with self._silently():
            self.seats, self.method, self.seed = quotas.size, method, seed
            self.bounds = _plain(quotas.bounds)
            self.features = self._source.levels()
            self.methods = _methods(self._source)
            self.count = self._source.about
            self.code_text = self.code()
        self.observe(self._changed, names=list(_CHOICES))
        self.observe(self._redraw, names="seed")
        self.on_msg(self._told)
        self._ask(check=True)

    @property
    def pool(self) -> Pool:
        """Who may be seated."""
        return self._source.pool

    @property
    def quotas(self) -> Quotas:
        """The quotas as they stand; PluralError where they are none (more at least than at most)."""
        bounds = {f: {lv: (int(b[0]), int(b[1])) for lv, b in levels.items()} for f, levels in self.bounds.items()}
        return Quotas(self.seats, bounds)

    @property
    def jury(self) -> Jury:
        """The jury drawn; PluralError while there is none."""
        if self._jury is None:
            raise PluralError(f"No jury is seated yet: {self.status.get('text') or '`find()` seats one.'}")
        return self._jury

    @property
    def lottery(self) -> Lottery:
        """The lottery it was drawn from; PluralError for methods that have none."""
        if self._lottery is None:
            raise PluralError("There is no lottery: leximin and maximin find one, with `find()`.")
        return self._lottery

    @property
    def data(self) -> pl.DataFrame:
        """One row per juror: id, features, probability, weight."""
        return self.jury.table()

    def find(self) -> JuryBuilder:
        """Begin to seat a jury under these quotas, and return the panel."""
        self._ask(check=False)
        return self

    def wait(self, seconds: float = 120.0) -> bool:
        """Wait until nothing is under way; returns whether that came in time."""
        return self._desk.wait(seconds)

    def cancel(self) -> None:
        """Stop what is under way."""
        self._desk.cancel()

    def relax(self) -> None:
        """Take the smallest change that makes the quotas keepable; nothing where they can be kept."""
        if self.relaxation:
            self.bounds = self.relaxation["bounds"]

    def draw_again(self) -> None:
        """Draw with the next seed."""
        self.seed += 1

    def code(self) -> str:
        """Return a cell of plain Python that seats this jury."""
        lines = ["import plural_nb as pnb", "", *self._source.code]
        bounds = {f: {lv: tuple(b) for lv, b in levels.items()} for f, levels in self.bounds.items()}
        if self.method in ("simple", "weight"):
            name = "seat_at_random" if self.method == "simple" else "seat_by_weight"
            weight = ", weight" if self.method == "weight" else ""
            call = f"jury = {name}(pool, {self.seats}{weight}, seed={self.seed})"
            return "\n".join([f"from plural_nb.jury.seating import {name}", *lines, call, "jury.table()"])
        lines.append(f"quotas = pnb.Quotas({self.seats}, {bounds!r})")
        if self.method == "quota":
            call = f"jury = seat_by_quota(pool, quotas, seed={self.seed})"
            return "\n".join(["from plural_nb.jury.seating import seat_by_quota", *lines, call, "jury.table()"])
        lines += [
            f"lottery = pnb.sortition(pool, quotas, rule={self.method!r})",
            "print(lottery.sentence())",
            f"lottery.draw({self.seed}).table()",
        ]
        return "\n".join(lines)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the jury (.csv), the public record of the draw (.json), or the chart of chances (.svg, .png, .html)."""
        file = Path(path).expanduser()
        kind = file.suffix.lower().lstrip(".")
        if kind not in _FILES:
            known = ", ".join(f".{name}" for name in _FILES)
            raise PluralError(f"{file.name} ends in {file.suffix or 'nothing'!r}; the panel is saved as {known}.")
        file.write_bytes(self._bytes(kind))
        return file

    def close(self) -> None:
        """Close the panel and stop what is under way."""
        if hasattr(self, "_desk"):
            self._desk.close()
        super().close()

    # From here on: how a choice becomes a jury.

    def _changed(self, change: dict[str, Any]) -> None:
        with self._lock:
            if not self._quiet:
                self._clear()
                self._ask(check=True)

    def _redraw(self, change: Any = None) -> None:
        with self._lock:
            self.code_text = self.code()
            if self._lottery is not None:
                try:
                    self._seated(self._lottery.draw(self.seed), self._lottery)
                except PluralError as error:
                    self._fail(error)
            elif self._jury is not None:
                self._ask(check=False)

    def _ask(self, *, check: bool) -> None:
        with self._lock:
            self.code_text = self.code()
            try:
                quotas = self.quotas
                quotas.matrix(self._source.pool)
            except PluralError as error:
                self._desk.cancel()
                self._fail(error)
                return
            method = cast("Method", self.method)
            if check and method in ("simple", "weight"):
                self._desk.cancel()
                self.relaxation = {}
                self.status = {"kind": "ready", "text": "No quotas are kept by this method."}
                return
            self._request = SeatRequest(self._source.pool, quotas, method, self.seed, self._source.weight, check)
            self._desk.ask(self._request)

    def _hear(self, news: SeatNews) -> None:
        """Take news from the desk's thread: traits are set, nothing is printed."""
        with self._lock, self.hold_sync():
            if news.request is not self._request:
                return
            if news.kind == "checking":
                self.status = {"kind": "working", "text": "Looking whether the quotas can be kept…"}
            elif news.kind == "finding":
                text = f"Looking for the lottery… {news.done} of {news.total} types settled"
                self.status = {"kind": "working", "text": text, "done": news.done, "total": news.total}
            elif news.kind == "kept":
                self.relaxation = {}
                self.status = {"kind": "ready", "text": "These quotas can be kept."}
            elif news.kind == "infeasible" and news.relaxed is not None:
                self._clear()
                self.relaxation = {"text": news.change, "bounds": _plain(news.relaxed.bounds)}
                self.status = {"kind": "stopped", "text": "No jury keeps these quotas."}
            elif news.kind == "seated" and news.jury is not None:
                self.relaxation = {}
                self._seated(news.jury, news.lottery)
            elif news.kind == "cancelled":
                self.status = {"kind": "stopped", "text": "Stopped; no jury was seated."}
            elif news.error is not None:
                self._fail(news.error)

    def _seated(self, jury: Jury, lottery: Lottery | None) -> None:
        self._jury, self._lottery = jury, lottery
        with self.hold_sync():
            self.members = _listed(jury.table())
            self.drawn = lottery is not None
            if lottery is not None:
                self.view.show(seat_chances(lottery))
                self.types = _listed(lottery.table())
            said = lottery.sentence() if lottery is not None else _methods_words(jury)
            self.findings = [
                {"name": "Chances", "value": "", "more": said},
                *effects(self._source, jury, lottery),
            ]
            note = f"; {jury.note}" if jury.note else ""
            self.status = {"kind": "ready", "text": f"{len(jury.ids)} people are seated (seed {jury.seed}{note})."}

    def _clear(self) -> None:
        self._jury = self._lottery = None
        self.drawn, self.members, self.types, self.findings = False, {}, {}, []

    def _fail(self, error: Exception) -> None:
        self._clear()
        known = isinstance(error, PluralError)
        self.status = {"kind": "error", "text": str(error) if known else f"Something unexpected went wrong ({error})."}

    def _bytes(self, kind: str) -> bytes:
        if kind == "csv":
            return self.jury.table().write_csv().encode("utf-8")
        if kind == "json":
            return (json.dumps(self.lottery.record(self.seed), ensure_ascii=False, indent=1) + "\n").encode("utf-8")
        return as_bytes(seat_chances(self.lottery), kind, sections=[("The same in plain code", self.code())])

    def _told(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Do what a button asks."""
        wish, kind = content.get("do"), content.get("kind")
        try:
            if wish in ("find", "cancel", "relax", "draw_again"):
                getattr(self, wish)()
            elif wish == "export" and kind in _FILES:
                name = {"csv": "jury.csv", "json": "jury-record.json"}.get(kind, f"chances.{kind}")
                self.send({"file": name, "type": _FILES[kind]}, [self._bytes(kind)])
        except Exception as error:
            self.status = {"kind": "error", "text": str(error)}

    def _in_words(self) -> str:
        return f"{self.title} {self.status.get('text', '')}".strip()


def _plain(bounds: Mapping[str, Mapping[str, tuple[int, int]]]) -> dict[str, dict[str, list[int]]]:
    return {f: {level: list(b) for level, b in levels.items()} for f, levels in bounds.items()}


def _listed(frame: pl.DataFrame) -> dict[str, Any]:
    """A table for the page: heads, the first rows as texts, and how many there are."""

    def text(value: Any) -> str:
        if value is None:
            return "not known"
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    rows = [[text(v) for v in row] for row in frame.head(_MOST_ROWS).iter_rows()]
    numbers = [c for c, kind in frame.schema.items() if kind.is_numeric()]
    return {"heads": frame.columns, "rows": rows, "numbers": numbers, "total": frame.height}


def _methods(source: Source) -> list[dict[str, str]]:
    lacks = "" if source.weight is not None else "the source has no weights"
    return [
        {"id": "leximin", "label": "Leximin lottery (chances as equal as the quotas allow)", "lacks": ""},
        {"id": "maximin", "label": "Maximin lottery (the smallest chance as large as can be)", "lacks": ""},
        {"id": "quota", "label": "Quotas filled one by one (chances unknown)", "lacks": ""},
        {"id": "weight", "label": "In proportion to weights, no quotas", "lacks": lacks},
        {"id": "simple", "label": "Simple random, no quotas", "lacks": ""},
    ]


def _methods_words(jury: Jury) -> str:
    p = jury.probability
    if np.isnan(p).any():
        return "Nobody knows the chances: quotas were filled one by one, and rare combinations can be all but shut out."
    if np.ptp(p) < 1e-12:
        return f"Everyone in the pool had the same chance, {p[0]:.3f}."
    return f"Chances of those seated run from {p.min():.3f} to {p.max():.3f}, in proportion to their weights."
