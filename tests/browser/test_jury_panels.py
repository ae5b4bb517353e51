"""The jury builder and the table of candidates in Chromium, around a mock of anywidget's model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.widgets.runtime import bundle_version

Mount = Callable[..., None]
PICTURES = os.environ.get("PLURAL_NB_PICTURES")
HOSTILE = "<img src=x onerror=window.hacked=1>"
_BUILDER = (
    *("seats", "bounds", "method", "seed", "title", "features", "methods", "count", "drawn", "status", "relaxation"),
    *("types", "members", "findings", "code_text", "standalone"),
)
_TABLE = ("title", "summary", "columns", "rows", "notes", "code_text", "status", "standalone")
TOLL = {"Abolish the toll": "rate_abolish", "Halve it": "rate_commuters", "Each region decides": "rate_regions"}


@pytest.fixture(scope="session")
def jury() -> pnb.Utilities:
    return pnb.Utilities.from_survey(pnb.load_survey("teaching"), TOLL)


def put_sheet(page: Any, widget: Any) -> None:
    sheet = "css => document.head.append(Object.assign(document.createElement('style'), { textContent: css }))"
    page.evaluate(sheet, str(widget._css))


def picture(page: Any, name: str) -> None:
    if PICTURES:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(200)
            page.screenshot(path=str(Path(PICTURES) / f"{name}-{scheme}.png"), full_page=True)
        page.emulate_media(color_scheme="light")


class Panel:
    """A jury builder on a page, with the Python half answering as a kernel would."""

    def __init__(self, page: Any, builder: pnb.JuryBuilder) -> None:
        self.page, self.builder = page, builder

    def state(self) -> dict[str, Any]:
        found = {name: getattr(self.builder, name) for name in _BUILDER} | {"view": "IPY_MODEL_view"}
        return json.loads(json.dumps(found))

    def drawn(self) -> dict[str, Any]:
        view = self.builder.view
        found = {name: getattr(view, name) for name in ("spec", "shape", "rows", "words", "vega")}
        return found | {"runtime": "IPY_MODEL_runtime"}

    def answer(self) -> None:
        """Take what the page saved and sent to the Python half, and send back what that makes of it."""
        for saved in self.page.evaluate("window.models.panel.saved.splice(0)"):
            for name, value in saved.items():
                setattr(self.builder, name, value)
        for message in self.page.evaluate("window.models.panel.sent.splice(0)"):
            self.builder._told(self.builder, message, [])
        assert self.builder.wait()
        later = """([id, changes]) => new Promise((done) => setTimeout(() =>
            done(window.models[id].put(JSON.parse(changes)))))"""
        for name, content in (("view", self.drawn()), ("panel", self.state())):
            self.page.evaluate(later, [name, json.dumps(content)])
        self.page.wait_for_timeout(80)


@pytest.fixture
def panel(mount: Mount, page: Any, bundle: str, jury: pnb.Utilities) -> Panel:
    builder = pnb.JuryBuilder(jury, features=["region", "age"], seats=12)
    assert builder.find().wait()
    shown = Panel(page, builder)
    put_sheet(page, builder)
    mount("runtime", "runtime", {"version": bundle_version(), "bundle": bundle})
    mount("view", "vega_view", shown.drawn())
    mount("panel", "jury_builder", shown.state(), show=True)
    page.locator(".pnb-plot svg").wait_for()
    return shown


def test_contradicting_quotas_are_mended_by_a_button_and_a_jury_is_seated_by_keyboard(panel: Panel) -> None:
    page = panel.page
    box = page.get_by_label("region, Far Isles: fewest seats")
    box.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("11")
    page.get_by_label("region, Far Isles: most seats").fill("12")
    page.keyboard.press("Tab")
    panel.answer()
    assert page.get_by_text("No jury keeps these quotas.").is_visible()
    assert "becomes" in page.locator(".pnb-relax").text_content()
    assert not page.locator(".pnb-plot").is_visible()
    picture(page, "jury-builder-infeasible")
    mend = page.get_by_role("button", name="Take this change")
    mend.focus()
    page.keyboard.press("Enter")
    panel.answer()
    assert page.get_by_text("These quotas can be kept.").is_visible()
    seats = int(box.input_value())
    page.get_by_role("button", name="Seat a jury").press("Enter")
    panel.answer()
    assert page.get_by_text("12 people are seated (seed 1").is_visible()
    page.get_by_text("The jury drawn", exact=True).first.click()
    names = page.locator("details[open] tbody tr").all_text_contents()
    assert len(names) == 12
    assert sum("Far Isles" in name for name in names) >= seats
    page.get_by_role("button", name="Draw again").click()
    panel.answer()
    assert page.get_by_label("Seed of the draw").input_value() == "2"
    assert page.evaluate("window.leaked") == []
    picture(page, "jury-builder")


def test_a_broken_quota_says_why_and_the_panel_lives_on(panel: Panel) -> None:
    page = panel.page
    box = page.get_by_label("Seats", exact=True)
    box.fill("0")
    box.press("Tab")
    panel.answer()
    assert box.input_value() == "1"
    page.get_by_label("region, Northmoor: fewest seats").fill("9")
    page.get_by_label("region, Northmoor: most seats").fill("3")
    page.keyboard.press("Tab")
    panel.answer()
    assert "the first not above the second" in page.get_by_role("status").first.text_content()
    page.get_by_label("How they are chosen").select_option("simple")
    panel.builder.bounds = {}
    page.get_by_label("Seats", exact=True).fill("7")
    page.keyboard.press("Tab")
    panel.answer()
    page.get_by_role("button", name="Seat a jury").click()
    panel.answer()
    assert page.get_by_text("7 people are seated").is_visible()
    assert not page.locator(".pnb-quotas").is_visible()


def test_work_shows_its_progress_and_a_way_to_stop(panel: Panel) -> None:
    page = panel.page
    status = {"kind": "working", "text": "Looking for the lottery… 3 of 20 types settled", "done": 3, "total": 20}
    page.evaluate("status => window.models.panel.put({ status })", status)
    assert page.locator("progress").get_attribute("max") == "20"
    assert page.get_by_role("button", name="Seat a jury").is_disabled()
    page.get_by_role("button", name="Cancel").click()
    assert page.evaluate("window.models.panel.sent.at(-1)") == {"do": "cancel"}


def test_every_control_has_a_name_and_files_come_by_message(panel: Panel) -> None:
    page = panel.page
    unnamed = """[...document.querySelectorAll('input, select, button')].filter((e) =>
        !e.labels?.length && !e.getAttribute('aria-label') && !e.textContent.trim()).length"""
    assert page.evaluate(unnamed) == 0
    page.get_by_role("button", name="Save Public record").click()
    assert page.evaluate("window.models.panel.sent.at(-1)") == {"do": "export", "kind": "json"}
    page.get_by_role("button", name="Show code").click()
    assert "pnb.sortition(pool, quotas" in page.get_by_label("The cell that rebuilds this view").text_content()


def test_hostile_levels_are_never_markup(mount: Mount, page: Any, bundle: str) -> None:
    people = pl.DataFrame({HOSTILE: [HOSTILE, "b"] * 10})
    shown = Panel(page, pnb.JuryBuilder(people, seats=4))
    assert shown.builder.find().wait()
    mount("runtime", "runtime", {"version": bundle_version(), "bundle": bundle})
    mount("view", "vega_view", shown.drawn())
    mount("panel", "jury_builder", shown.state(), show=True)
    page.locator(".pnb-plot svg").wait_for()
    for line in page.locator("summary").all():
        line.click()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


@pytest.fixture
def table(mount: Mount, page: Any, jury: pnb.Utilities) -> pnb.CandidateTable:
    made = pnb.CandidateTable(jury, threshold=50, replicates=40)
    put_sheet(page, made)
    mount("table", "candidate_table", {name: getattr(made, name) for name in _TABLE}, show=True)
    return made


def column(page: Any, place: int) -> list[float]:
    texts = page.locator(f".pnb-candidates tbody td:nth-child({place}) > span:first-child").all_text_contents()
    return [float(text.replace("★ ", "").replace("−", "-").rstrip("%")) for text in texts]


def test_a_heading_sorts_both_ways_by_keyboard_and_says_so(table: pnb.CandidateTable, page: Any) -> None:
    heads = [c["head"] for c in table.columns]
    for head in ("Borda", "Shortfall τ = 50"):
        place = heads.index(head) + 2
        button = page.get_by_role("button", name=head)
        button.focus()
        page.keyboard.press("Enter")
        assert column(page, place) == sorted(column(page, place), reverse=True)
        assert page.locator(f"th:nth-child({place})").get_attribute("aria-sort") == "descending"
        page.keyboard.press("Enter")
        assert column(page, place) == sorted(column(page, place))
        assert page.locator("th[aria-sort]").count() == 1
        assert page.get_by_role("status").text_content() == f"Sorted by {head}, lowest first."
    page.get_by_role("button", name="Candidate", exact=True).click()
    names = page.locator(".pnb-candidates tbody th").all_text_contents()
    assert names == sorted(names)
    assert page.evaluate("window.models.table.sent") == []
    picture(page, "candidate-table")


def test_winners_are_marked_in_words_too_and_the_page_does_not_overflow(table: pnb.CandidateTable, page: Any) -> None:
    marked = page.locator(".pnb-candidates .pnb-won").all_text_contents()
    assert len(marked) == table.data["wins"].sum()
    assert all("★" in text and "wins" in text for text in marked)
    page.get_by_label("Show intervals").check()
    assert page.get_by_text("wins in 100%").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_saved_table_sorts_without_a_kernel(jury: pnb.Utilities, page: Any, tmp_path: Path) -> None:
    made = pnb.CandidateTable(jury, rules=["borda"], replicates=40)
    page.goto(made.save(tmp_path / "table.html").as_uri())
    page.get_by_role("button", name="Borda").click()
    assert column(page, 5) == sorted(column(page, 5), reverse=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
