"""AlphaSweep: who wins as α goes from utilitarian over Nash to Rawlsian, under the finger."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import traitlets

from plural_nb.charts.chart import Chart
from plural_nb.charts.export import FORMATS, as_bytes
from plural_nb.errors import PluralError, nearest
from plural_nb.jury.scaling import Scaling
from plural_nb.jury.utilities import Utilities
from plural_nb.jury.welfare import place_of, read_alphas
from plural_nb.widgets import front
from plural_nb.widgets.panel import Panel
from plural_nb.widgets.sweep_tables import PLACES, Tables, problem, slider_alphas

SCALINGS: tuple[str, ...] = get_args(Scaling)
STYLES = ("explorer", "parts", "alpha_sweep")
# With more ratings than this, the tables are made while the notebook goes on.
_MANY = 2_000_000
_READY = {"kind": "ready", "text": ""}
_STATE = ("place", "tau", "rule", "scaling", "by", "tables", "title", "traits_of_jury", "status", "code_text", "jury")
_log = logging.getLogger(__name__)


class AlphaSweep(Panel):
    """A slider from α = 0 (utilitarian) over 1 (Nash) to ∞ (Rawlsian): welfare, ranking and worst-off group at each.

    utilities: of the jury. by: a trait of the jurors, whose groups are shown; the first when None, none when "".
    scaling: "none", "range", "rank" or "z", to begin with; the others are one click away. alpha: to begin with.
    epsilon: what a juror's worst is worth on the scales range, rank and z. replicates, level, seed: of the intervals,
    where the jury is a sample. title: above the panel.

    The slider moves in the browser from a table of 201 values of α, each the roundest number near its place; the kernel
    hears of the value on release. Where the winner changes is exact (`switches`). `panel.alpha`, `panel.tau`,
    `panel.rule` ("welfare" or "approval"), `panel.scaling` and `panel.by` can be read and set; `data` has the rows,
    `code()` the cell that computes them, `save("page.html")` a page that moves without a kernel (.csv, .svg, .png too).

    Raises PluralError for an unknown scaling or trait. A scale on which welfare cannot be told (negative ratings as
    they are) says so in the panel.

    >>> jury = Utilities.of({"Bold": [9.0, 9.0, 1.0], "Mild": [4.0, 4.0, 4.0]})
    >>> panel = AlphaSweep(jury, alpha=2)
    >>> panel.winner, panel.alpha
    (('Mild',), 2.0)
    """

    _esm = front.module("alpha_sweep")
    _css = front.sheet(*STYLES)

    place = traitlets.Int(0, help="of the slider, 0 to 200").tag(sync=True)
    tau = traitlets.Float(0.0, help="approved above this utility, on the scale shown").tag(sync=True)
    rule = traitlets.Enum(("welfare", "approval"), "welfare").tag(sync=True)
    scaling = traitlets.Enum(SCALINGS, "none").tag(sync=True)
    by = traitlets.Unicode(help="trait whose groups are shown; empty for none").tag(sync=True)

    tables = traitlets.Dict(help="what the slider moves through, by scaling").tag(sync=True)
    jury = traitlets.Unicode(help="who sits, in words").tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    traits_of_jury: Any = traitlets.List(help="traits that make groups").tag(sync=True)
    status: Any = traitlets.Dict(_READY).tag(sync=True)
    code_text = traitlets.Unicode().tag(sync=True)
    standalone = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        utilities: Utilities,
        *,
        by: str | None = None,
        scaling: str = "none",
        alpha: float = 0.0,
        epsilon: float = 0.01,
        replicates: int = 200,
        level: float = 0.95,
        seed: int = 0,
        title: str = "Which candidate is best for this jury?",
        **unknown: Any,
    ) -> None:
        self._refuse(
            unknown, ("utilities", "by", "scaling", "alpha", "epsilon", "replicates", "level", "seed", "title")
        )
        if not isinstance(utilities, Utilities):
            raise PluralError(
                f"AlphaSweep takes Utilities, not {type(utilities).__name__}: pnb.Utilities.of({{name: ratings}}), "
                "pnb.Utilities.from_survey(survey, questions) or pnb.read_utilities(file)."
            )
        if scaling not in SCALINGS:
            raise PluralError(f"Unknown scaling {scaling!r}. {nearest(scaling, SCALINGS)}")
        self._given = utilities
        self._how: dict[str, Any] = {"epsilon": epsilon, "replicates": replicates, "level": level, "seed": seed}
        self._made: dict[str, Tables] = {}
        self._done = threading.Event()
        self._closed = False
        Utilities.of([[1.0]]).scaled("range", epsilon=epsilon)  # an ε that cannot be is told at once
        traits = tuple(utilities.traits.columns)
        by = (traits[0] if traits else "") if by is None else by
        if by:
            utilities.groups(by)
        super().__init__(title=title)
        self._alphas = slider_alphas()
        with self._silently():
            self.traits_of_jury = list(traits)
            self.by, self.scaling, self.alpha = by, scaling, alpha
            self.jury = _jury(utilities)
            self.status = {"kind": "working", "text": "The tables are being made…"}
        if utilities.values.size <= _MANY:
            self._make(scaling)
        self.observe(self._changed, names=["place", "tau", "rule", "scaling", "by"])
        self.on_msg(self._told)
        threading.Thread(target=self._make_all, name="plural_nb sweep", daemon=True).start()

    @property
    def alpha(self) -> float:
        """The α shown, from 0 to inf; one that is set goes to the nearest place of the slider."""
        return float(self._alphas[self.place])

    @alpha.setter
    def alpha(self, value: float) -> None:
        at = place_of(read_alphas(value))
        self.place = int(np.argmin(np.abs(place_of(self._alphas) - at)))

    @property
    def winner(self) -> tuple[str, ...]:
        """The candidates that win at what is shown, ties all named."""
        made = self._shown()
        if self.rule == "welfare":
            return made.sweep.winners()[self.place]
        share = made.share[int(np.argmin(np.abs(made.tau - self.tau)))]
        best = np.nanmax(share)
        return tuple(n for n, s in zip(made.utilities.candidates, share, strict=True) if s >= best - 1e-12)

    @property
    def data(self) -> pl.DataFrame:
        """One row per α (or τ) and candidate on the scale shown: welfare or share, bounds, rank, probability."""
        return self._shown().table(self.rule)

    @property
    def chart(self) -> Chart:
        """Welfare of every candidate over all α as a chart, which does not move."""
        from plural_nb.charts.welfare import welfare_curves

        made = self._shown()
        return welfare_curves(made.sweep, made.switches, title=self.title)

    def code(self) -> str:
        """Return a cell of plain Python that computes what is shown from the utilities called `jury`."""
        made = self._shown()
        how = ", ".join(f"{name}={self._how[name]!r}" for name in ("replicates", "level", "seed"))
        lines = ["import plural_nb as pnb", "", "# jury: the Utilities that you gave the panel"]
        scaled = "jury"
        if self.scaling != "none":
            scaled = f"jury.scaled({self.scaling!r}, epsilon={self._how['epsilon']!r})"
            if self.scaling == "z":
                lines += [f"scaled = {scaled}", f"scaled = scaled.shifted({self._how['epsilon']!r} - scaled.lowest)"]
                scaled = ""
        lines += [f"scaled = {scaled}"] if scaled else []
        if self.rule == "approval":
            return "\n".join([*lines, f'pnb.decide(scaled, "approval", threshold={self.tau!r}, {how}).table()'])
        alpha = 'float("inf")' if np.isinf(self.alpha) else repr(self.alpha)
        lines += [f"print(pnb.sweep(scaled, [{alpha}], {how}).table())", "print(pnb.switches(scaled).table())"]
        lines += [f"print(pnb.groups_at(scaled, {made.by!r}, [{alpha}]))"] if made.by else []
        return "\n".join(lines)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a .csv of `data`, a .svg or .png of `chart`, or a .html page whose slider moves without a kernel."""
        file = Path(path).expanduser()
        kind = file.suffix.lower().lstrip(".")
        if kind not in FORMATS:
            known = ", ".join(f".{name}" for name in FORMATS)
            raise PluralError(f"{file.name} ends in {file.suffix or 'nothing'!r}; the panel is saved as {known}.")
        try:
            file.write_bytes(self._bytes(kind))
        except OSError as error:
            raise PluralError(f"{file} cannot be written ({error.strerror}). Choose another folder or name.") from None
        return file

    def wait(self, seconds: float = 120.0) -> bool:
        """Wait until the tables of all scales are made; returns whether they were in time."""
        return self._done.wait(seconds)

    def close(self) -> None:
        """Close the panel; tables that are still being made are dropped."""
        self._closed = True
        super().close()

    # From here on: how tables are made and changed.

    def _make(self, scaling: str) -> None:
        try:
            made = Tables.of(self._given, scaling, by=self.by, **self._how)
        except PluralError as error:
            self._put(scaling, problem(error, self._given.candidates))
            return
        with self._lock:
            made = made if made.by == self.by else made.grouped(self.by)
            self._made[scaling] = made
            self._put(scaling, made.state())

    def _put(self, scaling: str, state: dict[str, Any]) -> None:
        with self._lock, self._silently(), self.hold_sync():
            self.tables = {**self.tables, scaling: state}
            if scaling == self.scaling:
                self._settle()
                self.status = _READY

    def _make_all(self) -> None:
        try:
            for scaling in (self.scaling, *SCALINGS):
                if self._closed:
                    return
                if scaling not in self.tables:
                    self._make(scaling)
        except Exception as error:
            _log.exception("An unexpected error in the sweep")
            self.status = {"kind": "error", "text": f"Something unexpected went wrong ({error})."}
        finally:
            self._done.set()

    def _changed(self, change: dict[str, Any]) -> None:
        with self._lock:
            if self._quiet:
                return
            with self._silently(), self.hold_sync():
                if change["name"] == "by":
                    self._regroup(change["old"])
                if change["name"] == "place":
                    self.place = min(max(self.place, 0), PLACES - 1)
                self._settle(moved=change["name"] == "scaling")

    def _regroup(self, before: str) -> None:
        try:
            self._made = {name: made.grouped(self.by) for name, made in self._made.items()}
        except PluralError as error:
            self.by = before
            self.status = {"kind": "error", "text": str(error)}
            return
        self.status = _READY
        self.tables = {**self.tables, **{name: made.state() for name, made in self._made.items()}}

    def _settle(self, *, moved: bool = False) -> None:
        """Have τ on the scale shown, in its middle where it is not, and the code of what is shown."""
        made = self._made.get(self.scaling)
        if made is None:
            self.code_text = ""
            return
        if moved or not made.tau[0] <= self.tau <= made.tau[-1]:
            self.tau = float(made.tau[made.tau.size // 2])
        else:
            self.tau = float(made.tau[int(np.argmin(np.abs(made.tau - self.tau)))])
        self.code_text = self.code()

    def _shown(self) -> Tables:
        made = self._made.get(self.scaling)
        if made is None:
            said = self.tables.get(self.scaling, {}).get("error", "")
            raise PluralError(said or "The tables are still being made; `panel.wait()` waits for them.")
        return made

    def _bytes(self, kind: str) -> bytes:
        if kind == "csv":
            return self.data.write_csv().encode("utf-8")
        if kind != "html":
            return as_bytes(self.chart, kind)
        self.wait()
        state = {name: getattr(self, name) for name in _STATE}
        said = self._shown()
        sections = [
            ("Who wins from α = 0 to ∞", said.switches.sentence()),
            ("The same in plain code", self.code()),
        ]
        return front.page("alpha_sweep", STYLES, state, title=self.title, sections=sections).encode("utf-8")

    def _told(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Do what a button asks."""
        kind = content.get("kind")
        try:
            if content.get("do") == "export" and kind in FORMATS:
                self.send(
                    {"file": f"jury-{self.scaling}-{self.rule}.{kind}", "type": FORMATS[kind]}, [self._bytes(kind)]
                )
        except Exception as error:
            self.status = {"kind": "error", "text": str(error)}

    def _in_words(self) -> str:
        made = self._made.get(self.scaling)
        return made.switches.sentence() if made else self.title


def _jury(utilities: Utilities) -> str:
    seated = int((utilities.weight > 0).sum())
    C = len(utilities.candidates)
    people = "juror" if seated == 1 else "jurors"
    return f"{seated:,} {people}, {C} candidate{'' if C == 1 else 's'}"
