"""The comparison's and the scoreboard's half in the browser, run in Chromium around a mock of anywidget's model."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.comparison.baselines import uniform
from plural_nb.widgets import reckoning
from plural_nb.widgets.cell_grid import CellGrid
from plural_nb.widgets.runtime import bundle_version
from plural_nb.widgets.vega_view import VegaView

Mount = Callable[..., None]
PICTURES = os.environ.get("PLURAL_NB_PICTURES")
HOSTILE = "<img src=x onerror=window.hacked=1>"
_PAIR = (
    *("a", "b", "question", "by", "group", "answer", "distance", "tab", "title", "sources", "questions"),
    *("trait_menu", "answer_menu", "distance_menu", "tabs", "status", "findings", "drawn", "every_way", "asks"),
)
_BOARD = ("by", "measure", "title", "trait_menu", "measure_menu", "opened", "status", "findings", "drawn")
_GRID = ("caption", "corner", "columns", "rows", "cells", "chosen")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine is busy with, what is compared is waited for."""
    monkeypatch.setattr(reckoning, "PATIENCE", 60.0)


def grid_state(grid: CellGrid) -> dict[str, Any]:
    return {name: getattr(grid, name) for name in _GRID}


def chart_state(view: VegaView) -> dict[str, Any]:
    return {name: getattr(view, name) for name in ("spec", "shape", "rows", "words", "vega")} | {
        "runtime": "IPY_MODEL_runtime"
    }


class Page:
    """Widgets on a page, with the Python halves answering as a kernel would."""

    def __init__(self, page: Any, whole: pnb.CompareView | pnb.ScoreboardView) -> None:
        self.page = page
        self.whole = whole
        self.pair = whole if isinstance(whole, pnb.CompareView) else whole.pair

    def parts(self) -> dict[str, tuple[Any, dict[str, Any]]]:
        """Each model on the page, the widget it stands for, and what it holds; children first."""
        pair = {name: getattr(self.pair, name) for name in _PAIR}
        found: dict[str, tuple[Any, dict[str, Any]]] = {
            "view": (self.pair.view, chart_state(self.pair.view)),
            "grid": (self.pair.grid, grid_state(self.pair.grid)),
            "pair": (self.pair, pair | {"view": "IPY_MODEL_view", "grid": "IPY_MODEL_grid"}),
        }
        if isinstance(self.whole, pnb.ScoreboardView):
            board = {name: getattr(self.whole, name) for name in _BOARD}
            links = {"view": "IPY_MODEL_ranking", "grid": "IPY_MODEL_scores", "pair": "IPY_MODEL_pair"}
            found["ranking"] = self.whole.view, chart_state(self.whole.view)
            found["scores"] = self.whole.grid, grid_state(self.whole.grid)
            found["board"] = self.whole, board | links
        return found

    def answer(self) -> None:
        """Take what the page has saved and sent to the Python halves, and send back what they make of it."""
        for name, (widget, _) in self.parts().items():
            for saved in self.page.evaluate("id => window.models[id].saved.splice(0)", name):
                for trait, value in saved.items():
                    setattr(widget, trait, value)
                assert self.whole.wait(60)
                assert self.pair.wait(60)
            for message in self.page.evaluate("id => window.models[id].sent.splice(0)", name):
                if "choose" in message:
                    widget._told(widget, message, [])
        self.send()

    def send(self) -> None:
        later = """([id, changes]) => new Promise((done) => setTimeout(() =>
            done(window.models[id].put(JSON.parse(changes)))))"""
        for name, (_, content) in self.parts().items():
            self.page.evaluate(later, [name, json.dumps(content)])
        self.page.wait_for_timeout(80)

    def picture(self, name: str) -> None:
        if PICTURES:
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)
                self.page.wait_for_timeout(150)
                self.page.screenshot(path=str(Path(PICTURES) / f"{name}-{scheme}.png"), full_page=True)
            self.page.emulate_media(color_scheme="light")


@pytest.fixture
def shown(mount: Mount, page: Any, bundle: str) -> Iterator[Callable[..., Page]]:
    """`shown(widget)`: a CompareView or a ScoreboardView on the page."""
    made = []

    def show(whole: pnb.CompareView | pnb.ScoreboardView) -> Page:
        made.append(whole)
        assert whole.wait(60)
        one = Page(page, whole)
        sheet = "css => document.head.append(Object.assign(document.createElement('style'), { textContent: css }))"
        for css in (str(whole._css), str(CellGrid._css)):
            page.evaluate(sheet, css)
        kinds = {"view": "vega_view", "grid": "cell_grid", "pair": "compare_view", "ranking": "vega_view",
                 "scores": "cell_grid", "board": "scoreboard_view"}  # fmt: skip
        mount("runtime", "runtime", {"version": bundle_version(), "bundle": bundle})
        parts = one.parts()
        for name, (_, content) in parts.items():
            mount(name, kinds[name], content, show=name == list(parts)[-1])
        page.locator(".pnb-plot svg").first.wait_for(state="attached")
        return one

    yield show
    for whole in made:
        whole.close()


@pytest.fixture(scope="module")
def teaching() -> pnb.Survey:
    return pnb.load_survey("teaching")


def given(survey: pnb.Survey, keys: tuple[str, ...] = ("toll", "nature", "vote")) -> dict[str, Any]:
    """Two made-up models: one says the same of everything, the other what the people of one region say."""
    even = {key: uniform(survey.answers(key)) for key in keys}
    north = {}
    for key, one in even.items():
        row = np.zeros(one.rows.shape[1])
        row[list(one.question.substantive)] = pnb.tabulate(survey, [key], by="region")[key].share[1]
        north[key] = dataclasses.replace(one, rows=row[None, :], source=pnb.Source("model", "northerners"))
    return {"even": even, "northerners": north}


@pytest.fixture
def pair(shown: Callable[..., Page], teaching: pnb.Survey) -> Page:
    return shown(pnb.CompareView(teaching, given(teaching), question="toll", by="region"))


@pytest.fixture
def board(shown: Callable[..., Page], teaching: pnb.Survey) -> Page:
    return shown(pnb.ScoreboardView(teaching, given(teaching), by="region"))


def test_a_cell_chosen_by_keyboard_opens_its_pair(board: Page) -> None:
    page, whole = board.page, board.whole
    assert isinstance(whole, pnb.ScoreboardView)
    cells = page.locator(".pnb-board > .pnb-slot .pnb-grid td")
    assert cells.count() == 2 * 6
    cells.first.focus()
    for key in ("ArrowDown", "End", "Enter"):
        page.keyboard.press(key)
    board.answer()
    assert whole.opened == ["northerners", "Far Isles"]
    page.locator(".pnb-pair-title", has_text="northerners and Far Isles").wait_for()
    assert page.get_by_label("Which of them").input_value() == "Far Isles"
    chosen = page.locator(".pnb-board > .pnb-slot td[aria-selected=true]")
    assert "northerners, Far Isles" in str(chosen.get_attribute("aria-label"))
    assert page.evaluate("window.leaked") == []
    board.picture("scoreboard-open")
    cells.nth(0).click()
    board.answer()
    assert whole.opened == ["even", "All alike"]


def test_a_cell_of_every_question_opens_that_question(pair: Page) -> None:
    page = pair.page
    page.get_by_role("tab", name="Answers").press("End")
    pair.answer()
    assert pair.pair.tab == "questions"
    page.locator(".pnb-compare .pnb-grid td").nth(7).wait_for()
    pair.picture("compare-questions")
    page.locator(".pnb-compare .pnb-grid td").nth(7).click()
    pair.answer()
    assert (pair.pair.tab, pair.pair.question, pair.pair.group) == ("answers", "nature", "Lake Counties")
    page.locator(".pnb-plot svg").get_by_text("Disagree strongly").wait_for()
    pair.picture("compare-answers")


def test_a_panel_that_waits_for_a_model_is_on_the_page_and_draws_when_it_has_answered(
    mount: Mount, page: Any, bundle: str, teaching: pnb.Survey
) -> None:
    whole = pnb.CompareView(teaching, question="toll", by="region")
    one = Page(page, whole)
    waiting = one.parts()
    empty = chart_state(VegaView())
    mount("runtime", "runtime", {"version": bundle_version(), "bundle": ""})  # Vega itself is still on its way
    kinds = {"view": "vega_view", "grid": "cell_grid", "pair": "compare_view"}
    for name, (_, content) in waiting.items():
        state = {"view": empty, "pair": content | {"drawn": "nothing"}}.get(name, content)
        mount(name, kinds[name], state, show=name == "pair")
    page.locator(".pnb-compare .pnb-chart").wait_for(state="attached")
    assert whole.wait(60)
    one.send()
    rows = page.locator(".pnb-compare .pnb-chart details tbody tr")
    rows.first.wait_for(state="attached")
    assert rows.count() == len(whole.view.rows) > 0
    whole.close()


def test_choices_by_keyboard_reach_the_library(pair: Page) -> None:
    page = pair.page
    page.get_by_label("With", exact=True).select_option("northerners")
    page.get_by_role("tab", name="Answers").press("ArrowRight")
    pair.answer()
    assert pair.pair.comparison is not None
    found = pair.pair.comparison.distance("js_distance")
    assert found.value[1] == pytest.approx(0, abs=1e-6)
    for value in found.value:
        page.locator(".pnb-plot svg").get_by_text(f"{value:.2f}, ").first.wait_for()
    pair.picture("compare-distances")
    page.get_by_label("Groups", exact=True).select_option("")
    pair.answer()
    assert page.get_by_text("More than noise?").is_visible()
    assert not page.get_by_label("Which of them").is_visible()


@pytest.mark.parametrize("width", [1180, 360])
def test_nothing_overflows_and_every_control_has_a_name(board: Page, width: int) -> None:
    page = board.page
    assert isinstance(board.whole, pnb.ScoreboardView)
    board.whole.open_pair("even", "Saltcoast")
    board.send()
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(250)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('select, input, button, summary, td, [role=tablist], progress')]
        .filter((e) => e.offsetParent && !e.labels?.length && !e.getAttribute('aria-label'))
        .filter((e) => !(e.matches('button, summary') && e.textContent.trim()) && !e.closest('.pnb-table'))
        .map((e) => e.outerHTML)"""
    )
    assert nameless == []
    board.picture(f"scoreboard-{width}")


def test_text_from_files_is_never_markup(shown: Callable[..., Page]) -> None:
    options = [{"code": 1, "label": HOSTILE}, {"code": 2, "label": "No"}]
    book = {
        "survey": {"title": HOSTILE},
        "traits": {"sex": {"label": HOSTILE, "phrase": "{}", "options": options}},
        "questions": {"tea": {"text": HOSTILE, "label": HOSTILE, "options": options}},
    }
    frame = pl.DataFrame({"tea": [1, 2] * 20, "sex": [1, 1, 2, 2] * 10})
    survey = pnb.Survey.from_frame(frame, book, name="x")
    one = shown(pnb.ScoreboardView(survey, {HOSTILE: {"tea": uniform(survey.answers("tea"))}}, by="sex"))
    assert isinstance(one.whole, pnb.ScoreboardView)
    for tab in ("answers", "distances", "questions"):
        one.whole.open_pair(HOSTILE, HOSTILE)
        one.pair.tab = tab
        assert one.pair.wait(60)
        one.send()
    assert one.page.locator("img").count() == 0
    assert one.page.evaluate("window.hacked") is None
    assert one.page.get_by_text(HOSTILE).count() >= 4


def test_two_panels_of_one_kind_on_a_page_share_no_id(shown: Callable[..., Page], teaching: pnb.Survey) -> None:
    one = shown(pnb.CompareView(teaching, given(teaching), question="toll", by="region"))
    # As anywidget does: every widget brings its script, which is loaded for it alone.
    again = """async ([script, state]) => {
        const type = "text/javascript";
        const load = async () => (await import(URL.createObjectURL(new Blob([script], { type })))).default;
        await window.make("second", "compare_view", JSON.parse(state));
        for (const id of ["pair", "second"]) {
            const el = document.body.appendChild(document.createElement("div"));
            window.models[id].module = await load();
            await window.show(window.models[id], el);
        }
        const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
        return ids.filter((id, i) => ids.indexOf(id) !== i);
    }"""
    state = one.parts()["pair"][1]
    assert one.page.evaluate(again, [str(one.whole._esm), json.dumps(state)]) == []
    assert one.page.get_by_label("Groups", exact=True).count() == 3


def test_progress_can_be_cancelled(pair: Page) -> None:
    page = pair.page
    pair.pair.status = {"kind": "working", "text": "Asking base… 3 of 20 questions", "done": 3, "total": 20}
    pair.send()
    assert page.get_by_label("Questions answered").evaluate("bar => bar.value") == pytest.approx(0.15)
    page.get_by_role("button", name="Cancel").press("Enter")
    assert page.evaluate("window.models.pair.sent.at(-1)") == {"do": "cancel"}
    page.get_by_role("button", name="Show code").first.click()
    assert page.evaluate("window.models.pair.sent.at(-1)") == {"do": "code"}
