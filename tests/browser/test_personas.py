"""The browser halves of the persona studio and the steering matrix, in Chromium around a mock of anywidget's model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.personas.steered import steer
from plural_nb.personas.steering import Steering
from plural_nb.widgets.persona_studio import PersonaStudio
from plural_nb.widgets.runtime import bundle_version
from plural_nb.widgets.steering_matrix import SteeringMatrix

Mount = Callable[..., None]
PICTURES = os.environ.get("PLURAL_NB_PICTURES")
HOSTILE = "<img src=x onerror=window.hacked=1>"


def state(panel: Any) -> dict[str, Any]:
    own = [name for name, trait in panel.traits(sync=True).items() if not name.startswith("_") and trait.name != "view"]
    names = [n for n in own if n not in ("layout", "tabbable", "tooltip")]
    return {**{name: getattr(panel, name) for name in names}, "view": "IPY_MODEL_view"}


def drawn(panel: Any) -> dict[str, Any]:
    view = panel.view
    return {name: getattr(view, name) for name in ("spec", "shape", "rows", "words", "vega")} | {
        "runtime": "IPY_MODEL_runtime"
    }


class Page:
    """A panel on a page, with the Python half answering as a kernel would."""

    def __init__(self, page: Any, panel: Any) -> None:
        self.page = page
        self.panel = panel

    def answer(self) -> list[dict[str, Any]]:
        """Take what the page has saved and sent to the Python half, and send back what that makes of it."""
        saved = self.page.evaluate("window.models.panel.saved.splice(0)")
        for changes in saved:
            with self.panel.hold_trait_notifications():
                for name, value in changes.items():
                    setattr(self.panel, name, value)
        for message in self.page.evaluate("window.models.panel.sent.splice(0)"):
            self.panel._told(self.panel, message, [])
        assert self.panel.wait(60)
        self.send()
        return list(saved)

    def send(self) -> None:
        later = """([id, changes]) => new Promise((done) => setTimeout(() =>
            done(window.models[id].put(JSON.parse(changes)))))"""
        for name, content in (("view", drawn(self.panel)), ("panel", state(self.panel))):
            self.page.evaluate(later, [name, json.dumps(content)])
        self.page.wait_for_timeout(80)

    def picture(self, name: str) -> None:
        if PICTURES:
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)
                self.page.wait_for_timeout(150)
                self.page.screenshot(path=str(Path(PICTURES) / f"{name}-{scheme}.png"), full_page=True)
            self.page.emulate_media(color_scheme="light")


@pytest.fixture(scope="module")
def model() -> Iterator[pnb.Model]:
    with pnb.open_model("plural-demo-base") as opened:
        yield opened


@pytest.fixture(scope="module")
def measured(model: pnb.Model) -> Steering:
    return steer(model, pnb.load_survey("anes96"), "party", ["vote", "ideology"], replicates=100)


@pytest.fixture
def shown(mount: Mount, page: Any, bundle: str) -> Iterator[Callable[..., Page]]:
    """`shown(panel, widget)`: a panel on the page; closed in the end."""
    panels = []

    def show(panel: Any, widget: str) -> Page:
        panels.append(panel)
        assert panel.wait(60)
        sheet = "css => document.head.append(Object.assign(document.createElement('style'), { textContent: css }))"
        page.evaluate(sheet, str(panel._css))
        mount("runtime", "runtime", {"version": bundle_version(), "bundle": bundle})
        mount("view", "vega_view", drawn(panel))
        mount("panel", widget, state(panel), show=True)
        page.locator(".pnb-plot svg").wait_for()
        return Page(page, panel)

    yield show
    for panel in panels:
        panel.close()


@pytest.fixture
def studio(shown: Callable[..., Page], model: pnb.Model) -> Page:
    return shown(PersonaStudio("anes96", model, question="vote", traits=["age", "party"], margin=10), "persona_studio")


@pytest.fixture
def matrix(shown: Callable[..., Page], measured: Steering) -> Page:
    return shown(SteeringMatrix(measured), "steering_matrix")


def test_typing_changes_the_text_its_tokens_and_the_answer(studio: Page) -> None:
    page = studio.page
    page.get_by_label("Style", exact=True).select_option("own")
    studio.answer()
    page.get_by_label("Your text").fill("I am a voter, {age:label}.")
    assert studio.answer()[-1] == {"text": "I am a voter, {age:label}."}
    label = studio.panel.texts[0]["text"]
    assert page.locator(".pnb-texts").get_by_text(label, exact=True).is_visible()
    assert page.get_by_text(f"{studio.panel.texts[0]['tokens']} tokens").is_visible()
    answer = studio.panel.one["rows"][0]["cells"][0]["label"]
    assert page.locator(".pnb-one td").first.inner_text().strip() == answer
    page.get_by_label("Your text").fill("I am {agee}.")
    studio.answer()
    assert page.get_by_text("The slot {agee} names no trait").is_visible()
    assert page.evaluate("window.leaked") == []


def test_the_guard_names_the_near_duplicate_and_lets_the_user_choose(studio: Page) -> None:
    page = studio.page
    guard = page.locator(".pnb-guard")
    assert "Party identification: Cramér's V 0.82; not told." in guard.inner_text()
    assert "Republican" not in page.locator(".pnb-texts").inner_text()
    page.get_by_label("Tell the near-duplicates all the same").check()
    assert studio.answer() == [{"leak": "keep"}]
    assert "; told." in guard.inner_text()
    assert "strong Republican" in page.locator(".pnb-texts").inner_text()
    studio.picture("studio-guard")


def test_next_and_what_if_by_keyboard(studio: Page) -> None:
    page = studio.page
    studio.panel.leak = "keep"
    studio.panel.wait(30)
    studio.send()
    page.get_by_role("button", name="Next").focus()
    page.keyboard.press("Enter")
    assert studio.answer() == [{"person": 1}]
    assert page.get_by_label("Person", exact=True).input_value() == "2"
    page.get_by_label("What if").select_option("party")
    page.get_by_label("New level").select_option("Strong Republican")
    assert studio.answer() == [{"changes": {"party": "Strong Republican"}}]
    rows = studio.panel.one["rows"]
    before, after = (cell["p"] for cell in rows[1]["cells"])
    assert (rows[1]["option"], after > before + 0.3) == ("Bob Dole", True)
    assert page.locator(".pnb-one thead th").all_inner_texts() == ["Answer", "First person", "First person, changed"]
    assert page.evaluate("window.leaked") == []


def test_the_sample_is_drawn_beside_people_and_the_regression(studio: Page) -> None:
    page = studio.page
    page.get_by_label("Beside it").select_option("portrayal")
    page.get_by_role("button", name="Ask the sample").click()
    studio.answer()
    page.locator(".pnb-legend").get_by_text("Portrayal (").wait_for()
    legend = page.locator(".pnb-legend li").all_inner_texts()
    assert len(legend) == 4
    assert legend[-1].startswith("Regression, no model")
    assert page.get_by_text("points at most").is_visible()
    assert page.locator(".pnb-findings dt").count() == 2
    studio.picture("studio")


def test_moving_a_trait_keeps_the_focus(studio: Page) -> None:
    page = studio.page
    page.get_by_label("Party identification", exact=True).focus()
    page.keyboard.press("Alt+ArrowUp")
    assert studio.answer() == [{"told": ["party", "age"]}]
    assert page.evaluate("document.activeElement.id").endswith("-t-party")
    page.get_by_label("Education", exact=True).check()
    assert studio.answer() == [{"told": ["party", "age", "education"]}]


def test_cancel_shows_while_it_works_and_hands_the_focus_on(studio: Page) -> None:
    page = studio.page
    studio.panel.status = {"kind": "working", "text": "Asking…", "done": 3, "total": 9}
    studio.send()
    page.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("window.models.panel.sent.at(-1)") == {"do": "cancel"}
    studio.panel.status = {"kind": "stopped", "text": "Stopped."}
    studio.send()
    assert page.evaluate("document.activeElement.textContent") == "Ask the sample"


def test_arrow_keys_go_through_the_matrix_and_enter_opens_the_pair(matrix: Page, measured: Steering) -> None:
    page = matrix.page
    assert page.locator("[role=gridcell]").count() == 7 * 8
    page.locator("[role=gridcell][tabindex='0']").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert matrix.page.evaluate("window.models.panel.saved.length") == 0
    page.keyboard.press("Enter")
    target, steered = measured.groups[1], measured.steered[2]
    assert matrix.answer() == [{"target": target, "steered": steered}]
    assert page.locator("[aria-selected=true]").count() == 1
    assert page.get_by_text(f"People: {target}. The model as: {steered}.").is_visible()
    cell = measured.matrix.filter(target=target, steered=steered).row(0, named=True)
    assert page.locator("[aria-selected=true]").inner_text() == f"{cell['js_distance']:.2f}"
    page.get_by_label("Question").select_option("ideology")
    assert matrix.answer() == [{"question": "ideology"}]
    assert page.locator(".pnb-pair .pnb-title").inner_text() == matrix.panel.pair.question.text
    page.keyboard.press("d")
    assert page.evaluate("window.leaked") == []
    matrix.picture("matrix")


def test_a_click_opens_the_own_voice_and_the_table_has_intervals(matrix: Page, measured: Steering) -> None:
    page = matrix.page
    page.locator("[role=gridcell][aria-label*='model as own voice']").nth(3).click()
    assert matrix.answer() == [{"target": measured.groups[3], "steered": "own voice"}]
    page.get_by_text("With intervals, as a table").click()
    rows = page.locator(".pnb-plain tbody tr")
    rows.first.wait_for()
    assert rows.count() == 56
    first = measured.matrix.row(0, named=True)
    assert f"{first['low']:.2f} to {first['high']:.2f}" in rows.first.inner_text()


@pytest.mark.parametrize("which", ["studio", "matrix"])
def test_every_control_has_a_name_and_nothing_overflows(which: str, request: pytest.FixtureRequest) -> None:
    one = request.getfixturevalue(which)
    nameless = one.page.evaluate(
        """() => [...document.querySelectorAll('select, input, textarea, button, summary, [role=gridcell]')]
        .filter((e) => e.offsetParent && !e.labels?.length && !e.getAttribute('aria-label'))
        .filter((e) => !(e.matches('button, summary') && e.textContent.trim())).map((e) => e.outerHTML)"""
    )
    assert nameless == []
    for width in (1180, 700, 380):
        one.page.set_viewport_size({"width": width, "height": 900})
        one.page.wait_for_timeout(200)
        assert one.page.evaluate("document.documentElement.scrollWidth") <= width
        one.picture(f"{which}-{width}")


def test_text_from_files_is_never_markup(shown: Callable[..., Page]) -> None:
    options = [{"code": 1, "label": HOSTILE}, {"code": 2, "label": "No"}]
    book = {
        "survey": {"title": HOSTILE, "note": HOSTILE},
        "traits": {"sex": {"label": HOSTILE, "phrase": "I am {}.", "options": options}},
        "questions": {"tea": {"text": HOSTILE, "label": HOSTILE, "options": options}},
    }
    frame = pl.DataFrame({"tea": [1, 2] * 20, "sex": [1, 1, 2, 2] * 10})
    one = shown(PersonaStudio(pnb.Survey.from_frame(frame, book, name="x")), "persona_studio")
    one.panel.leak = "keep"
    one.panel.wait(30)
    one.send()
    one.page.get_by_text("The same as a table").click()
    one.page.wait_for_timeout(200)
    assert one.page.locator("img").count() == 0
    assert one.page.evaluate("window.hacked") is None
    assert one.page.get_by_text(HOSTILE).count() >= 4


# Contrast of each visible text with the page, by the formula of WCAG 2.
_CONTRAST = """() => {
    const parse = (c) => c.match(/[\\d.]+/g).map(Number);
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const light = (rgb) => rgb.reduce((sum, v, i) => sum + linear(v / 255) * [0.2126, 0.7152, 0.0722][i], 0);
    const page = parse(getComputedStyle(document.body).backgroundColor);
    const ratio = (ink, paper) => {
        const [r, g, b, alpha = 1] = parse(ink);
        const mixed = [r, g, b].map((v, i) => v * alpha + paper[i] * (1 - alpha));
        const [high, low] = [light(mixed), light(paper)].sort((p, q) => q - p);
        return (high + 0.05) / (low + 0.05);
    };
    const texts = '.pnb-explorer :is(label, legend, p, dt, dd, th, figcaption, blockquote, summary, button:enabled)';
    const visible = [...document.querySelectorAll(texts)].filter((e) => e.offsetParent && e.textContent.trim());
    const cells = [...document.querySelectorAll('[role=gridcell]')];
    return [...visible.map((e) => ratio(getComputedStyle(e).color, page)),
        ...cells.map((e) => ratio(getComputedStyle(e).color, parse(getComputedStyle(e).backgroundColor)))];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["studio", "matrix"])
def test_words_are_legible_in_light_and_dark(which: str, scheme: str, request: pytest.FixtureRequest) -> None:
    one = request.getfixturevalue(which)
    one.page.emulate_media(color_scheme=scheme)
    one.page.wait_for_timeout(150)
    assert min(one.page.evaluate(_CONTRAST)) >= 4.5


def test_a_closed_panel_stops_listening(studio: Page) -> None:
    again = "window.show(window.models.panel, document.querySelector('#root')).then(() => window.leave())"
    count = "[...window.models.panel.listeners.values()].reduce((n, l) => n + l.length, 0)"
    for _ in range(2):
        studio.page.evaluate(again)
        studio.page.wait_for_timeout(200)
        now = studio.page.evaluate(count)
    studio.page.evaluate(again)
    studio.page.wait_for_timeout(200)
    assert studio.page.evaluate(count) == now
