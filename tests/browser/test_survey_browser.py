"""The survey browser's half in the browser, run in Chromium around a mock of anywidget's model."""

from __future__ import annotations

import itertools
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
_STATE = (
    *("words", "question", "population", "weighted", "by", "answer", "tab", "title", "found", "chosen", "trait_menu"),
    *("answer_menu", "tabs", "has_weights", "count", "status", "findings", "drawn"),
)


def state(panel: pnb.SurveyBrowser) -> dict[str, Any]:
    return {**{name: getattr(panel, name) for name in _STATE}, "view": "IPY_MODEL_view"}


def drawn(panel: pnb.SurveyBrowser) -> dict[str, Any]:
    view = panel.view
    return {name: getattr(view, name) for name in ("spec", "shape", "rows", "words", "vega")} | {
        "runtime": "IPY_MODEL_runtime"
    }


class Page:
    """A survey browser on a page, with the Python half answering as a kernel would."""

    def __init__(self, page: Any, panel: pnb.SurveyBrowser) -> None:
        self.page = page
        self.panel = panel

    def answer(self) -> None:
        """Take what the page has saved to the Python half, and send back what that makes of it."""
        for saved in self.page.evaluate("window.models.panel.saved.splice(0)"):
            for name, value in saved.items():
                setattr(self.panel, name, value)
        self.send()

    def send(self) -> None:
        later = """([id, changes]) => new Promise((done) => setTimeout(() =>
            done(window.models[id].put(JSON.parse(changes)))))"""
        for name, content in (("view", drawn(self.panel)), ("panel", state(self.panel))):
            self.page.evaluate(later, [name, json.dumps(content)])
        self.page.wait_for_timeout(60)

    def saved(self) -> list[dict[str, Any]]:
        return list(self.page.evaluate("window.models.panel.saved"))

    def picture(self, name: str) -> None:
        if PICTURES:
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)
                self.page.wait_for_timeout(150)
                self.page.screenshot(path=str(Path(PICTURES) / f"{name}-{scheme}.png"), full_page=True)
            self.page.emulate_media(color_scheme="light")


@pytest.fixture
def shown(mount: Mount, page: Any, bundle: str) -> Callable[..., Page]:
    """`shown(survey, **choices)`: a survey browser on the page."""

    def show(survey: pnb.Survey, **choices: Any) -> Page:
        panel = survey.browse(**choices)
        sheet = "css => document.head.append(Object.assign(document.createElement('style'), { textContent: css }))"
        page.evaluate(sheet, panel._css if isinstance(panel._css, str) else str(panel._css))
        mount("runtime", "runtime", {"version": bundle_version(), "bundle": bundle})
        mount("view", "vega_view", drawn(panel))
        mount("panel", "survey_browser", state(panel), show=True)
        page.locator(".pnb-plot svg").wait_for()
        return Page(page, panel)

    return show


@pytest.fixture
def teaching(shown: Callable[..., Page]) -> Page:
    return shown(pnb.load_survey("teaching"), question="toll", by="region")


def texts(page: Any) -> list[str]:
    return list(page.locator(".pnb-plot svg text").all_text_contents())


def hits(page: Any) -> list[str]:
    return list(page.locator(".pnb-hits li").evaluate_all("lines => lines.map((line) => line.dataset.key)"))


def test_type_arrow_down_enter_opens_a_question(teaching: Page) -> None:
    page = teaching.page
    page.get_by_label("Search questions").focus()
    page.keyboard.type("trust")
    teaching.answer()
    assert hits(page) == ["trust_parliament", "trust_courts", "trust_press"]
    assert page.get_by_text("3 of 20 questions").get_attribute("aria-live") == "polite"
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    active = page.get_by_role("combobox", name="Search questions").get_attribute("aria-activedescendant")
    assert page.locator(f"[id='{active}']").get_attribute("data-key") == "trust_courts"
    page.keyboard.press("Enter")
    assert teaching.saved() == [{"question": "trust_courts"}]
    teaching.answer()
    page.locator(".pnb-title", has_text="court").wait_for()
    assert page.locator(".pnb-hits li[aria-selected=true]").get_attribute("data-key") == "trust_courts"
    assert page.evaluate("window.leaked") == []
    teaching.picture("survey-browser-shares")


def test_an_enter_before_the_kernel_answers_opens_the_first_hit_of_the_new_words(teaching: Page) -> None:
    page = teaching.page
    page.get_by_label("Search questions").focus()
    page.keyboard.type("thermometer premier"[12:])
    page.keyboard.press("Enter")
    assert all("question" not in change for change in teaching.saved())
    teaching.answer()
    assert {"question": "premier"} in teaching.saved()


def test_an_empty_search_lists_all_and_none_found_is_said(teaching: Page) -> None:
    page = teaching.page
    page.get_by_label("Search questions").fill("zzz")
    teaching.answer()
    assert page.get_by_text("No question of 20 has all of these words").is_visible()
    assert not page.locator(".pnb-hits").is_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    assert teaching.saved() == []
    page.get_by_label("Search questions").press("Escape")
    teaching.answer()
    assert len(hits(page)) == 20


def test_tabs_go_by_arrow_keys(teaching: Page) -> None:
    page = teaching.page
    page.get_by_role("tab", name="Shares").focus()
    seen = []
    for _ in range(5):
        page.keyboard.press("ArrowRight")
        teaching.answer()
        seen.append(page.locator("[role=tab][aria-selected=true]").inner_text())
        assert page.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"
        label = page.get_by_role("tabpanel").get_attribute("aria-labelledby")
        assert page.locator(f"[id='{label}']").inner_text() == seen[-1]
        teaching.picture(f"survey-browser-{seen[-1].lower()}-tab")
    assert seen == ["Trend", "Weights", "Checks", "About", "Shares"]
    page.keyboard.press("End")
    teaching.answer()
    assert page.locator(".pnb-findings").inner_text().count("Vellamar") >= 1
    assert not page.locator(".pnb-plot").is_visible()
    assert page.get_by_role("button", name="Save as PNG").is_disabled()
    assert page.get_by_role("button", name="Save as CSV").is_enabled()


def test_choices_become_trait_values_and_the_picture_follows(teaching: Page) -> None:
    page = teaching.page
    page.get_by_label("Break down by").select_option("settlement")
    page.get_by_label("Answer shown").select_option("Yes, abolish the toll")
    page.locator("summary", has_text="Age").click()
    page.get_by_label("18 to 29").check()
    page.get_by_label("Use the survey's weights").uncheck()
    assert teaching.saved() == [
        {"by": "settlement"},
        {"answer": "Yes, abolish the toll"},
        {"population": {"age": ["18 to 29"]}},
        {"weighted": False},
    ]
    teaching.answer()
    page.locator(".pnb-plot svg").get_by_text("Village").wait_for()
    truth = teaching.panel.data.filter(pl.col("option") == "Yes, abolish the toll")
    shown = [f"{share:.0%}" for share in truth["share"]]
    page.wait_for_function(
        "t => t.every((x) => document.querySelector('.pnb-plot').textContent.includes(x))", arg=shown
    )
    assert [t for t in texts(page) if t in ("City", "Town", "Village")] == ["City", "Town", "Village"]
    assert page.get_by_text("switched off").first.is_visible()


def test_every_control_has_a_name(teaching: Page) -> None:
    page = teaching.page
    page.locator("summary", has_text="Age").click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('select, input, button, summary, [role=listbox], [role=tablist]')]
        .filter((e) => e.offsetParent && !e.labels?.length && !e.getAttribute('aria-label'))
        .filter((e) => !(e.matches('button, summary') && e.textContent.trim())).map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_a_trend_names_its_lines_and_cuts_none_of_them(teaching: Page) -> None:
    page = teaching.page
    page.get_by_role("tab", name="Trend").click()
    teaching.answer()
    tag = next(row["tag"] for row in teaching.panel.view.rows if row["tag"])
    page.locator(".pnb-plot svg").get_by_text(tag).wait_for()
    teaching.picture("survey-browser-trend-by-region")
    outside = """() => { const box = document.querySelector('.pnb-plot svg').getBoundingClientRect();
        return [...document.querySelectorAll('.pnb-plot svg text')].filter((t) => { const b = t.getBoundingClientRect();
          return b.width && (b.left < box.left - 1 || b.right > box.right + 1 || b.bottom > box.bottom + 1); })
          .map((t) => t.textContent); }"""
    assert page.evaluate(outside) == []
    tags = page.evaluate(
        """() => [...document.querySelectorAll('.pnb-plot svg text')].filter((t) => t.textContent.includes(': '))
        .map((t) => t.getBoundingClientRect()).map((b) => [b.top, b.bottom]).sort((a, b) => a[0] - b[0])"""
    )
    assert len(tags) == 5
    assert all(upper[1] <= lower[0] + 4 for upper, lower in itertools.pairwise(tags))


@pytest.mark.parametrize("width", [1180, 700, 360])
@pytest.mark.parametrize("tab", ["shares", "trend", "weights", "about"])
def test_nothing_overflows(teaching: Page, tab: str, width: int) -> None:
    page = teaching.page
    page.set_viewport_size({"width": width, "height": 900})
    teaching.panel.tab = tab
    teaching.send()
    page.wait_for_timeout(250)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    teaching.picture(f"survey-browser-{tab}-{width}")


# Contrast of each visible text with the page, by the formula of WCAG 2.
_CONTRAST = """() => {
    const parse = (c) => c.match(/[\\d.]+/g).map(Number);
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const light = (rgb) => rgb.reduce((sum, v, i) => sum + linear(v / 255) * [0.2126, 0.7152, 0.0722][i], 0);
    const paper = parse(getComputedStyle(document.body).backgroundColor);
    const ratio = (ink, a = 1) => {
        const [r, g, b, alpha = 1] = parse(ink);
        const mixed = [r, g, b].map((v, i) => v * a * alpha + paper[i] * (1 - a * alpha));
        const [high, low] = [light(mixed), light(paper)].sort((p, q) => q - p);
        return (high + 0.05) / (low + 0.05);
    };
    const texts = '.pnb-explorer :is(label, legend, p, dt, dd, summary, button:enabled, h3, li, li span)';
    const visible = [...document.querySelectorAll(texts)].filter((e) => e.offsetParent && e.textContent.trim());
    const marks = [...document.querySelectorAll('.pnb-plot svg .mark-symbol path')];
    return {
        text: visible.map((e) => ratio(getComputedStyle(e).color, Number(getComputedStyle(e).opacity))),
        marks: marks.filter((e) => Number(getComputedStyle(e).opacity) === 1)
            .map((e) => ratio(getComputedStyle(e).fill)),
    };
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_lines_are_legible_in_light_and_dark(teaching: Page, scheme: str) -> None:
    teaching.panel.tab = "trend"
    teaching.send()
    teaching.page.emulate_media(color_scheme=scheme)
    teaching.page.locator(".pnb-plot svg .mark-line").first.wait_for(state="attached")
    found = teaching.page.evaluate(_CONTRAST)
    assert min(found["text"]) >= 4.5
    assert len(found["marks"]) >= 15
    assert min(found["marks"]) >= 3


def test_text_from_files_is_never_markup(shown: Callable[..., Page]) -> None:
    options = [{"code": 1, "label": HOSTILE}, {"code": 2, "label": "No"}]
    years = [{"code": y, "label": str(y)} for y in (2000, 2001)]
    book = {
        "survey": {"title": HOSTILE, "note": HOSTILE},
        "traits": {
            "sex": {"label": HOSTILE, "phrase": "{}", "options": options},
            "year": {"label": "Year", "phrase": "{}", "options": years},
        },
        "questions": {"tea": {"text": HOSTILE, "label": HOSTILE, "options": options}},
    }
    frame = pl.DataFrame({"tea": [1, 2] * 10, "sex": [1, 1, 2, 2] * 5, "year": [2000] * 10 + [2001] * 10})
    one = shown(pnb.Survey.from_frame(frame, book, name="x"), by="sex")
    for tab in ("shares", "trend", "weights", "checks", "about"):
        one.panel.tab = tab
        one.send()
    one.panel.words = HOSTILE.split()[0]
    one.panel.population = {"sex": [HOSTILE]}
    one.panel.tab = "shares"
    one.send()
    one.page.get_by_text("The same as a table").click()
    one.page.wait_for_timeout(200)
    assert one.page.locator("img").count() == 0
    assert one.page.evaluate("window.hacked") is None
    assert one.page.get_by_text(HOSTILE).count() >= 5


def test_a_survey_without_years_says_so_on_its_tab(shown: Callable[..., Page]) -> None:
    one = shown(pnb.load_survey("anes96"))
    tab = one.page.get_by_role("tab", name="Trend")
    assert tab.get_attribute("aria-disabled") == "true"
    assert "no years or waves" in tab.text_content()
    tab.click(force=True)
    one.page.get_by_role("tab", name="Shares").press("ArrowRight")
    assert one.saved() == [{"tab": "weights"}]


def test_code_and_files_come_by_message(teaching: Page) -> None:
    page = teaching.page
    page.get_by_role("button", name="Show code").click()
    assert page.evaluate("window.models.panel.sent.at(-1)") == {"do": "code"}
    page.evaluate("window.models.panel.emit('msg:custom', { code: 'import plural_nb' }, [])")
    assert page.get_by_label("The cell that rebuilds this view").text_content() == "import plural_nb"
    page.get_by_role("button", name="Save as SVG").click()
    assert page.evaluate("window.models.panel.sent.at(-1)") == {"do": "export", "kind": "svg"}


def test_an_error_hides_the_old_picture(teaching: Page) -> None:
    teaching.panel.question = "none such"
    teaching.send()
    assert not teaching.page.locator(".pnb-plot").is_visible()
    assert teaching.page.get_by_role("status").filter(has_text="no question 'none such'").is_visible()
    teaching.panel.question = "toll"
    teaching.send()
    assert teaching.page.locator(".pnb-plot").is_visible()


def test_a_closed_browser_stops_listening(teaching: Page) -> None:
    again = "window.show(window.models.panel, document.querySelector('#root')).then(() => window.leave())"
    count = "[...window.models.panel.listeners.values()].reduce((n, l) => n + l.length, 0)"
    teaching.page.evaluate(again)
    teaching.page.wait_for_timeout(200)
    before = teaching.page.evaluate(count)
    teaching.page.evaluate(again)
    teaching.page.wait_for_timeout(200)
    assert teaching.page.evaluate(count) == before
