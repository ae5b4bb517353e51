"""The browser halves, run in Chromium around a mock of anywidget's model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from browser.examples import HOSTILE, chart, panel_state, view_state

from plural_nb.widgets.runtime import bundle_version

Mount = Callable[..., None]


@pytest.fixture
def put(page: Any) -> Callable[[str, dict[str, Any]], None]:
    """`put(id, changes)`: what the kernel does when it sends new trait values."""

    def send(name: str, changes: dict[str, Any]) -> None:
        later = """([id, changes]) => new Promise((done) => setTimeout(() =>
            done(window.models[id].put(JSON.parse(changes)))))"""
        page.evaluate(later, [name, json.dumps(changes)])

    return send


@pytest.fixture
def view(mount: Mount, page: Any, bundle: str) -> Any:
    mount("runtime", "runtime", {"version": bundle_version(), "bundle": bundle})
    mount("view", "vega_view", view_state(chart()), show=True)
    page.locator(".pnb-plot svg").wait_for()
    return page


@pytest.fixture
def panel(mount: Mount, page: Any, bundle: str) -> Any:
    mount("runtime", "runtime", {"version": bundle_version(), "bundle": bundle})
    mount("view", "vega_view", view_state(chart()))
    mount("panel", "explorer", panel_state(), show=True)
    page.locator(".pnb-plot svg").wait_for()
    return page


def texts(page: Any) -> list[str]:
    return page.locator(".pnb-plot svg text").all_text_contents()


def saved(page: Any, name: str = "panel") -> list[dict[str, Any]]:
    return page.evaluate("id => window.models[id].saved", name)


def sent(page: Any, name: str = "panel") -> list[dict[str, Any]]:
    return page.evaluate("id => window.models[id].sent", name)


# The chart that stays


def test_rows_move_the_bars_of_the_same_picture(view: Any, put: Any) -> None:
    view.evaluate("document.querySelector('.pnb-plot svg').dataset.mine = 'yes'")
    assert "63%" in texts(view)
    put("view", {"rows": view_state(chart([10, 20, 30, 40]))["rows"]})
    view.wait_for_function("document.querySelector('.pnb-plot').textContent.includes('40%')")
    assert "63%" not in texts(view)
    assert view.locator(".pnb-plot svg").get_attribute("data-mine") == "yes"
    bar = view.locator(".mark-rect path").nth(0).bounding_box()["width"]
    put("view", {"rows": view_state(chart([20, 20, 30, 30]))["rows"]})
    view.wait_for_function("document.querySelector('.pnb-plot').textContent.includes('20%')")
    view.wait_for_timeout(100)
    assert view.locator(".mark-rect path").nth(0).bounding_box()["width"] == pytest.approx(2 * bar, abs=3)


def test_many_changes_in_a_row_end_at_the_last(view: Any, put: Any) -> None:
    for n in range(1, 30):
        put("view", {"rows": view_state(chart([n, 100, 100, 100]))["rows"]})
    last = next(row for row in view_state(chart([29, 100, 100, 100]))["rows"] if row["place"] == 0)["label"]
    view.wait_for_function("label => document.querySelector('.pnb-plot').textContent.includes(label)", arg=last)


def test_rows_given_to_the_view_stay_as_they_were(view: Any) -> None:
    assert view.evaluate("Object.getOwnPropertySymbols(window.models.view.get('rows')[0]).length") == 0


def test_another_shape_is_drawn_anew(view: Any, put: Any) -> None:
    view.evaluate("document.querySelector('.pnb-plot svg').dataset.mine = 'yes'")
    state = view_state(chart())
    put("view", {"shape": "another", "rows": state["rows"][:6]})
    view.wait_for_function("!document.querySelector('.pnb-plot svg')?.dataset.mine")
    assert view.locator(".pnb-plot svg").count() == 1


def test_no_label_is_cut_off(view: Any, put: Any) -> None:
    outside = """() => { const box = document.querySelector('.pnb-plot svg').getBoundingClientRect();
        return [...document.querySelectorAll('.pnb-plot svg text')].filter((t) => { const b = t.getBoundingClientRect();
          return b.width && (b.left < box.left - 1 || b.right > box.right + 1 || b.bottom > box.bottom + 1); })
          .map((t) => t.textContent); }"""
    assert view.evaluate(outside) == []
    view.set_viewport_size({"width": 420, "height": 900})
    view.wait_for_timeout(400)
    assert view.evaluate(outside) == []
    put("view", {"rows": view_state(chart([600, 1, 1, 1], [0.0, 1.0, 0.0, 0.0]))["rows"]})
    view.wait_for_timeout(300)
    assert view.evaluate(outside) == []
    assert view.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_words_and_table_say_what_the_picture_shows(view: Any) -> None:
    assert view.get_by_role("img").get_attribute("aria-label") == chart().summary
    view.get_by_text("The same as a table").click()
    view.locator(".pnb-table tbody tr").first.wait_for()
    cells = view.locator(".pnb-table tbody tr").all_text_contents()
    assert len(cells) == len(chart().rows)
    assert all(
        row["option_text"] in cell and row["label"] in cell for row, cell in zip(chart().rows, cells, strict=True)
    )


def test_until_vega_comes_the_table_is_shown_and_vega_is_asked_for(mount: Mount, page: Any, bundle: str) -> None:
    mount("view", "vega_view", view_state(chart()), show=True)
    assert page.locator(".pnb-table").get_attribute("open") is not None
    assert "63%" in page.locator(".pnb-table tbody").text_content()
    page.wait_for_function("window.models.view.sent.length > 0")
    assert sent(page, "view")[0] == {"ask": "runtime"}
    mount("runtime", "runtime", {"version": bundle_version(), "bundle": bundle})
    page.locator(".pnb-plot svg").wait_for()
    assert page.locator(".pnb-table").get_attribute("open") is None


def test_two_kernels_load_vega_once(mount: Mount, page: Any, bundle: str) -> None:
    mount("runtime", "runtime", {"version": bundle_version(), "bundle": bundle})
    mount("other", "runtime", {"version": bundle_version(), "bundle": "throw new Error('loaded twice')"})
    mount("view", "vega_view", view_state(chart()), show=True)
    page.locator(".pnb-plot svg").wait_for()


def test_a_strict_content_policy_is_no_hindrance(mount_strictly: Mount, page: Any, put: Any, bundle: str) -> None:
    """Vega interprets its expressions; this page forbids to compile them."""
    page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
    refused: list[str] = []
    mount_strictly("runtime", "runtime", {"version": bundle_version(), "bundle": bundle})
    mount_strictly("view", "vega_view", view_state(chart()), show=True)
    page.locator(".pnb-plot svg").get_by_text("63%").wait_for()
    put("view", {"rows": view_state(chart([33, 20, 30, 17]))["rows"]})
    page.locator(".pnb-plot svg").get_by_text("33%").wait_for()
    assert refused == []


# The panel


def test_every_control_has_a_name(panel: Any) -> None:
    for summary in ("Age", "Region", "How it is asked", "What did the model see, exactly?"):
        panel.get_by_text(summary, exact=True).click()
    # What an opened part shows comes with its `toggle` event, after the click.
    panel.get_by_label("Prompt", exact=True).wait_for()
    nameless = panel.evaluate(
        """() => [...document.querySelectorAll('select, input, button, summary, progress')]
        .filter((e) => e.offsetParent && !e.labels?.length && !e.getAttribute('aria-label'))
        .filter((e) => !(e.matches('button, summary') && e.textContent.trim())).map((e) => e.outerHTML)"""
    )
    assert nameless == []
    for name in ("Model", "Survey", "Question", "Mode", "Prompt"):
        assert panel.get_by_label(name, exact=True).count() == 1


def test_choices_become_trait_values(panel: Any) -> None:
    panel.get_by_label("Question", exact=True).select_option("vote")
    panel.get_by_text("Age", exact=True).click()
    panel.get_by_label("25 to 44").check()
    panel.get_by_label("18 to 24").check()
    panel.get_by_label("Use the survey's weights").uncheck()
    panel.get_by_label("This population").check()
    panel.get_by_role("button", name="Everyone").click()
    assert saved(panel) == [
        {"question": "vote"},
        {"population": {"age": ["25 to 44"]}},
        {"population": {"age": ["18 to 24", "25 to 44"]}},
        {"weighted": False},
        {"speaks": "population"},
        {"population": {}},
    ]
    assert not panel.get_by_label("18 to 24").is_checked()


def test_an_unusable_model_is_listed_with_its_problem_and_cannot_be_chosen(panel: Any) -> None:
    option = panel.get_by_label("Model", exact=True).locator("option", has_text="cut")
    assert option.is_disabled()
    assert "it is cut off" in option.text_content()


def test_a_path_is_typed_by_keyboard(panel: Any) -> None:
    panel.get_by_label("Model", exact=True).select_option(label="A path…")
    panel.keyboard.type("~/m.gguf")
    panel.keyboard.press("Enter")
    assert saved(panel) == [{"model": "~/m.gguf"}]


def test_the_panel_works_by_keyboard_and_keeps_its_keys(panel: Any) -> None:
    panel.get_by_label("Model", exact=True).focus()
    panel.keyboard.press("ArrowDown")
    for _ in range(2):
        panel.keyboard.press("Tab")
    panel.keyboard.press("ArrowDown")
    panel.keyboard.press("d")
    assert {"model": "/models/plural-demo-tuned.gguf"} in saved(panel)
    assert {"question": "vote"} in saved(panel)
    names = []
    for _ in range(6):
        panel.keyboard.press("Tab")
        names.append(panel.evaluate("document.activeElement.textContent.trim() || document.activeElement.id"))
    assert names[:4] == ["Ageall", "Regionall", "Educationall", "Party identificationall"]
    panel.keyboard.press("Space")
    assert panel.evaluate("window.leaked") == []
    panel.keyboard.press("Control+s")
    assert "s" in panel.evaluate("window.leaked")


def test_focus_stays_when_the_kernel_answers(panel: Any, put: Any) -> None:
    panel.get_by_text("Age", exact=True).click()
    box = panel.get_by_label("45 to 64")
    box.focus()
    panel.keyboard.press("Space")
    state = panel_state(population={"age": ["45 to 64"]}, count="280 of 944 people")
    put("panel", {key: state[key] for key in ("population", "count", "trait_menu", "models", "questions")})
    assert box.evaluate("e => e === document.activeElement")
    assert box.is_checked()
    assert panel.get_by_text("280 of 944 people").is_visible()


def test_text_from_files_is_never_markup(panel: Any, put: Any) -> None:
    reply = {"text": HOSTILE, "tokens": [1], "pieces": [HOSTILE]}
    put("panel", {"status": {"kind": "error", "text": HOSTILE}, "count": HOSTILE, "notes": [HOSTILE]})
    put("panel", {"voice": {"text": HOSTILE, "left_out": [HOSTILE]}, "speaks": "population"})
    put("panel", {"findings": [{"name": HOSTILE, "value": HOSTILE, "more": HOSTILE}]})
    put("panel", {"seen": {"mode": HOSTILE, "replies": [reply]}})
    words = {**view_state(chart())["words"], "title": HOSTILE, "subtitle": HOSTILE, "notes": [HOSTILE]}
    put("view", {"words": words})
    for summary in ("Region", "What did the model see, exactly?", "About this survey", "The same as a table"):
        panel.get_by_text(summary, exact=True).click()
    panel.get_by_label("Tokens", exact=True).wait_for()
    panel.wait_for_timeout(300)
    assert panel.locator("img").count() == 0
    assert panel.evaluate("window.hacked") is None
    assert panel.get_by_text(HOSTILE).count() >= 8


def test_the_exact_prompt_and_its_tokens_can_be_read(panel: Any) -> None:
    panel.get_by_text("What did the model see, exactly?").click()
    assert panel.get_by_label("The exact prompt").text_content() == "Question: Tea?\nA. Yes\nB. <b>No</b>\nAnswer:"
    assert panel.get_by_label("Tokens").locator("li").all_text_contents() == ["Question1", ":␣Tea22", "?333", "⏎4"]


def test_work_can_be_cancelled_and_errors_tried_again(panel: Any, put: Any) -> None:
    put("panel", {"status": {"kind": "working", "text": "Asking tiny… 2 of 5 prompts", "done": 2, "total": 5}})
    assert panel.get_by_role("progressbar").get_attribute("value") == "0.4"
    panel.get_by_role("button", name="Cancel").click()
    assert sent(panel)[-1] == {"do": "cancel"}
    put("panel", {"status": {"kind": "error", "text": "The worker died. Ask again."}})
    assert panel.get_by_role("status").filter(has_text="The worker died").get_attribute("aria-live") == "polite"
    assert panel.evaluate("document.activeElement.textContent") == "Try again"
    panel.keyboard.press("Enter")
    assert sent(panel)[-1] == {"do": "again"}


def test_an_error_that_leaves_no_chart_hides_the_old_one(panel: Any, put: Any) -> None:
    put("panel", {"status": {"kind": "error", "text": "Nobody is there.", "blank": True}})
    assert not panel.locator(".pnb-plot").is_visible()
    put("panel", {"status": {"kind": "ready", "text": ""}})
    assert panel.locator(".pnb-plot").is_visible()


def test_code_and_files_come_by_message(panel: Any) -> None:
    panel.get_by_role("button", name="Show code").click()
    assert sent(panel)[-1] == {"do": "code"}
    panel.evaluate("window.models.panel.emit('msg:custom', { code: 'import plural_nb' }, [])")
    assert panel.get_by_label("The cell that rebuilds this view").text_content() == "import plural_nb"
    panel.get_by_role("button", name="Save as CSV").click()
    assert sent(panel)[-1] == {"do": "export", "kind": "csv"}
    with panel.expect_download() as download:
        panel.evaluate(
            """() => { const data = new DataView(new TextEncoder().encode('x').buffer);
            window.models.panel.emit('msg:custom', { file: 'a.csv', type: 'text/csv' }, [data]); }"""
        )
    assert download.value.suggested_filename == "a.csv"


@pytest.mark.parametrize("width", [1180, 700, 360])
def test_nothing_overflows(panel: Any, width: int) -> None:
    panel.set_viewport_size({"width": width, "height": 900})
    panel.wait_for_timeout(300)
    assert panel.evaluate("document.documentElement.scrollWidth") <= width
    controls, result = (panel.locator(s).bounding_box() for s in (".pnb-controls", ".pnb-result"))
    beside = result["x"] > controls["x"] + controls["width"]
    assert beside == (width > 800)
    cut = """() => [...document.querySelectorAll('.pnb-explorer button')]
        .filter((b) => b.scrollWidth > b.clientWidth + 1).length"""
    assert panel.evaluate(cut) == 0


# Contrast of each visible text with the page, by the formula of WCAG 2.
_CONTRAST = """() => {
    const parse = (c) => c.match(/[\\d.]+/g).map(Number);
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const light = (rgb) => rgb.reduce((sum, v, i) => sum + linear(v / 255) * [0.2126, 0.7152, 0.0722][i], 0);
    const paper = parse(getComputedStyle(document.body).backgroundColor);
    const texts = '.pnb-explorer :is(label, legend, p, dt, dd, summary, button:enabled, h3, li)';
    return [...document.querySelectorAll(texts)].filter((e) => e.offsetParent).map((e) => {
        const style = getComputedStyle(e);
        const [r, g, b, alpha = 1] = parse(style.color);
        const a = alpha * Number(style.opacity);
        const mixed = [r, g, b].map((v, i) => v * a + paper[i] * (1 - a));
        const [high, low] = [light(mixed), light(paper)].sort((p, q) => q - p);
        return (high + 0.05) / (low + 0.05);
    });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_in_light_and_dark(panel: Any, scheme: str) -> None:
    panel.emulate_media(color_scheme=scheme)
    ratios = panel.evaluate(_CONTRAST)
    assert len(ratios) > 20
    assert min(ratios) >= 4.5


def test_a_closed_panel_stops_listening(panel: Any, put: Any) -> None:
    panel.evaluate("window.show(window.models.panel, document.querySelector('#root')).then(() => window.leave())")
    panel.wait_for_timeout(200)
    before = panel.evaluate("[...window.models.panel.listeners.values()].reduce((n, l) => n + l.length, 0)")
    panel.evaluate("window.show(window.models.panel, document.querySelector('#root')).then(() => window.leave())")
    panel.wait_for_timeout(200)
    assert panel.evaluate("[...window.models.panel.listeners.values()].reduce((n, l) => n + l.length, 0)") == before


# The key guard


def test_the_guard_keeps_keys_in_its_box(mount: Mount, page: Any) -> None:
    box = '<div class="lm-Widget widget-box"><input id=in><div class=lm-Widget id=guard></div></div><input id=out>'
    page.evaluate("html => (document.querySelector('#root').innerHTML = html)", box)
    mount("guard", "guard", {})
    page.evaluate("window.show(window.models.guard, document.querySelector('#guard'))")
    page.wait_for_timeout(100)
    page.locator("#in").press("ArrowDown")
    assert page.evaluate("window.leaked") == []
    page.locator("#out").press("ArrowUp")
    assert page.evaluate("window.leaked") == ["ArrowUp"]
    assert not page.locator("#guard").is_visible()
