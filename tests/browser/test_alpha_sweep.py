"""The slider over α in Chromium: a mock of anywidget's model, and the page that is saved, which has no kernel."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import plural_nb as pnb
from plural_nb.jury.welfare import place_of
from plural_nb.widgets.alpha_sweep import _STATE
from plural_nb.widgets.sweep_tables import slider_alphas

Mount = Callable[..., None]
PICTURES = os.environ.get("PLURAL_NB_PICTURES")
HOSTILE = "<img src=x onerror=window.hacked=1>"
TOLL = {
    "Abolish the toll": "rate_abolish",
    "Keep the toll": "rate_keep",
    "Raise it for buses": "rate_raise",
    "Halve it for commuters": "rate_commuters",
    "Each region decides": "rate_regions",
    "Citizens' assembly": "rate_assembly",
}


@pytest.fixture(scope="session")
def toll() -> pnb.AlphaSweep:
    jury = pnb.Utilities.from_survey(pnb.load_survey("teaching"), TOLL)
    panel = pnb.AlphaSweep(jury, by="region", title="What should become of the bridge toll?", replicates=60)
    assert panel.wait()
    return panel


def state(panel: pnb.AlphaSweep) -> dict[str, Any]:
    return json.loads(json.dumps({**{name: getattr(panel, name) for name in _STATE}, "standalone": False}))


@pytest.fixture
def shown(mount: Mount, page: Any) -> Callable[..., Any]:
    """`shown(panel)`: the panel on a page."""

    def show(panel: pnb.AlphaSweep, **changes: Any) -> Any:
        sheet = "css => document.head.append(Object.assign(document.createElement('style'), { textContent: css }))"
        page.evaluate(sheet, str(panel._css))
        mount("panel", "alpha_sweep", state(panel) | changes, show=True)
        page.locator(".pnb-sweep").wait_for()
        return page

    return show


def picture(page: Any, name: str) -> None:
    if PICTURES:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(250)
            page.screenshot(path=str(Path(PICTURES) / f"{name}-{scheme}.png"), full_page=True)
        page.emulate_media(color_scheme="light")


def saved(page: Any) -> list[dict[str, Any]]:
    return list(page.evaluate("window.models.panel.saved"))


_WALK = """() => {
    const slider = document.querySelector('.pnb-range');
    const text = (name, within = document) => within.querySelector(name).textContent;
    const said = [];
    for (let i = 0; i <= Number(slider.max); i++) {
        slider.value = i;
        slider.dispatchEvent(new Event('input'));
        const lines = [...document.querySelectorAll('.pnb-bars .pnb-lines > .pnb-line')];
        const first = lines.find((line) => line.style.transform === 'translateY(0px)');
        const worst = [...document.querySelectorAll('.pnb-groups .pnb-won .pnb-name')].map((name) => name.textContent);
        said.push({ head: text('.pnb-headline'), at: text('.pnb-at'), first: text('.pnb-name', first),
            value: text('.pnb-value', first), valuetext: slider.getAttribute('aria-valuetext'), worst });
    }
    return said;
}"""


def walk(page: Any) -> list[dict[str, str]]:
    """What the panel says at every place of its slider."""
    return list(page.evaluate(_WALK))


def test_every_place_shows_the_librarys_winner_welfare_and_worst_off_group(
    toll: pnb.AlphaSweep, shown: Callable[..., Any]
) -> None:
    said = walk(shown(toll))
    alphas = slider_alphas()
    truth = pnb.sweep(toll._given, alphas, replicates=60)
    groups = pnb.groups_at(toll._given, "region", alphas)
    assert len(said) == alphas.size == 201
    for i, (there, won) in enumerate(zip(said, truth.winners(), strict=True)):
        assert there["head"] == f"{won[0]} wins."
        assert there["first"] == won[0]
        value = truth.welfare[i, toll._given.candidates.index(won[0])]
        assert float(there["value"]) == pytest.approx(value, rel=0.006)
        worst = groups.filter(pl.col("alpha") == alphas[i], pl.col("worst_off"))["group"].to_list()
        assert there["worst"] == worst or len(worst) == 5 or np.isinf(alphas[i])
    assert said[0]["at"] == "α = 0 (utilitarian)"
    assert said[100]["valuetext"] == "α = 1, Nash: Halve it for commuters wins"
    assert said[200]["at"] == "α = ∞ (Rawlsian)"


def test_marks_stand_where_the_winner_changes(toll: pnb.AlphaSweep, shown: Callable[..., Any]) -> None:
    page = shown(toll)
    reigns = page.locator(".pnb-reign")
    left = reigns.evaluate_all("all => all.map((r) => parseFloat(r.style.left) / 100)")
    exact = [s.a for s in pnb.switches(toll._given)]
    assert left == pytest.approx([0, *exact], abs=1e-5)
    thumb = """([place]) => { const s = document.querySelector('.pnb-range'); s.value = place;
        const box = s.getBoundingClientRect();
        const ribbon = document.querySelector('.pnb-ribbon').getBoundingClientRect();
        return [box.left + 10, box.right - 10, ribbon.left, ribbon.right]; }"""
    a, b, c, d = page.evaluate(thumb, [100])
    assert abs(a - c) < 0.6
    assert abs(b - d) < 0.6
    page.get_by_role("button", name="Move the slider to α = 21.9").click()
    assert page.locator(".pnb-headline").text_content() == "Each region decides wins."
    assert saved(page)[-1]["place"] > place_of(21.9) * 200 - 1


def test_keys_move_it_without_the_kernel_which_hears_of_the_release(
    toll: pnb.AlphaSweep, shown: Callable[..., Any]
) -> None:
    page = shown(toll)
    slider = page.get_by_role("slider", name="α: how much the worse off count")
    slider.focus()
    for _ in range(30):
        page.keyboard.down("ArrowRight")  # a key that is held repeats without a keyup
    assert saved(page) == []
    assert page.locator(".pnb-at").text_content() == f"α = {slider_alphas()[30]:g}"
    page.keyboard.up("ArrowRight")
    assert saved(page) == [{"place": 30}]
    page.keyboard.press("End")
    assert saved(page)[-1] == {"place": 200}
    page.keyboard.press("Home")
    assert saved(page)[-1] == {"place": 0}
    for key in ("d", "d", "x"):
        page.keyboard.press(key)
    assert page.evaluate("window.leaked") == []
    assert page.evaluate("window.models.panel.sent") == []
    picture(page, "alpha-sweep")


def test_dragging_with_the_mouse_sends_only_the_last_place(toll: pnb.AlphaSweep, shown: Callable[..., Any]) -> None:
    page = shown(toll)
    box = page.locator(".pnb-range").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 10, middle)
    page.mouse.down()
    for step in range(1, 21):
        page.mouse.move(box["x"] + 10 + (box["width"] - 20) * step / 40, middle)
    assert saved(page) == []
    there = int(page.locator(".pnb-range").input_value())
    # The middle of the way is α = 1, as the numbers below the slider say.
    assert 99 <= there <= 101
    page.mouse.up()
    assert saved(page) == [{"place": there}]


def test_another_scale_and_approval_are_one_click_away(toll: pnb.AlphaSweep, shown: Callable[..., Any]) -> None:
    page = shown(toll)
    page.get_by_role("slider").focus()
    for _ in range(15):
        page.keyboard.press("ArrowRight")
    # What the winner would be on every scale stands under its name, before any click.
    told = page.locator(".pnb-choice .pnb-hint").all_text_contents()
    assert told[-4:] == ["Abolish the toll", "Abolish the toll", "Halve it for commuters", "Abolish the toll"]
    page.get_by_role("radio", name="Rank").check()
    assert page.locator(".pnb-headline").text_content() == "Halve it for commuters wins."
    page.get_by_role("radio", name="As rated").check()
    page.get_by_role("radio", name="Approval above τ").check()
    assert page.get_by_role("slider", name="τ: the rating that is enough").count() == 1
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    for _ in range(49):
        page.keyboard.press("ArrowRight")
    tau = saved(page)[-1]["tau"]
    truth = pnb.decide(toll._given, "approval", threshold=tau, replicates=60)
    assert page.locator(".pnb-headline").text_content() == f"{truth.winners[0]} wins."
    value = page.locator(".pnb-bars .pnb-lines > .pnb-won .pnb-value").text_content()
    assert value == f"{truth.score.max():.0%}"
    assert page.locator(".pnb-hollow").count() > 0
    picture(page, "alpha-sweep-approval")


def test_the_same_stands_in_words_and_as_a_table(toll: pnb.AlphaSweep, shown: Callable[..., Any]) -> None:
    page = shown(toll)
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    name = page.locator(".pnb-bars").get_attribute("aria-label")
    assert name.startswith("α = ∞ (Rawlsian). Each region decides wins.")
    page.get_by_text("The same as a table").click()
    page.locator(".pnb-more-box tbody tr").first.wait_for()
    cells = page.locator(".pnb-more-box tbody tr").first.locator("th, td").all_text_contents()
    assert cells == ["Each region decides", "1", "35.0", "–", "–", "–", "5,839"]
    unnamed = """[...document.querySelectorAll('input, select, button')].filter((e) =>
        !e.labels?.length && !e.getAttribute('aria-label') && !e.textContent.trim()).length"""
    assert page.evaluate(unnamed) == 0


@pytest.mark.parametrize(
    "table",
    [
        {"Park": [3.0]},
        {"Park": [3.0, 1.0], "Road": [2.0, 4.0], HOSTILE: [None, None]},
        {"Park": [2.0, 2.0], "Road": [2.0, 2.0]},
        {"Park": [2.0, None, 0.0], "Road": [1.0, None, 0.0]},
        {"Park": [0.0, 0.0]},
    ],
)
def test_juries_at_the_edge_are_shown_and_stay_alive(table: dict[str, list[float]], shown: Callable[..., Any]) -> None:
    panel = pnb.AlphaSweep(pnb.Utilities.of(table))
    assert panel.wait()
    page = shown(panel)
    said = walk(page)
    assert all(there["head"] for there in said)
    for name in ("Range", "Rank", "z", "As rated"):
        page.get_by_role("radio", name=name).check()
        assert walk(page)[-1]["head"]
    page.get_by_role("radio", name="Approval above τ").check()
    assert walk(page)[0]["head"]
    assert page.evaluate("window.hacked") is None


def test_a_scale_that_cannot_be_told_says_so_and_another_works(shown: Callable[..., Any]) -> None:
    panel = pnb.AlphaSweep(pnb.Utilities.of({"Park": [-3.0, 1.0], "Road": [1.0, 2.0]}))
    assert panel.wait()
    page = shown(panel)
    assert "utilities.shifted(3)" in page.get_by_role("status").first.text_content()
    assert not page.get_by_role("slider").is_visible()
    page.get_by_role("radio", name="Range").check()
    assert page.get_by_role("slider").is_visible()
    assert page.locator(".pnb-headline").text_content() == "Road wins."


_CONTRAST = """() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
    const brush = canvas.getContext('2d', { willReadFrequently: true });
    const parse = (ink) => {
        brush.clearRect(0, 0, 1, 1);
        brush.fillStyle = ink;
        brush.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, share, i) => sum + share * linear(c[i] / 255), 0);
    const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3]));
    const paper = parse(getComputedStyle(document.body).backgroundColor);
    const ground = (e) => {
        const chain = [];
        for (let node = e; node && node !== document.body; node = node.parentElement) chain.unshift(node);
        return chain.reduce((c, node) => over(parse(getComputedStyle(node).backgroundColor), c), [...paper]);
    };
    const ratio = (ink, under) => {
        const [high, low] = [light(over(parse(ink), under)), light(under)].sort((p, q) => q - p);
        return (high + 0.05) / (low + 0.05);
    };
    const kinds = 'label, legend, p, th, td, summary, button:enabled, h2, h3, li, span, small, output';
    const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const texts = [...document.querySelectorAll(`.pnb-explorer :is(${kinds})`)].filter((e) => e.offsetParent && own(e));
    const ink = (e, name) => getComputedStyle(e)[name];
    const told = texts.map((e) => [ratio(ink(e, 'color'), ground(e)), e.textContent]);
    return {
        text: told.sort((a, b) => a[0] - b[0])[0],
        marks: [...document.querySelectorAll('.pnb-bar')].map((e) => ratio(ink(e, 'borderRightColor'), paper)),
        dots: [...document.querySelectorAll('.pnb-dot')].map((e) => ratio(ink(e, 'stroke'), paper)),
    };
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_and_marks_are_legible_in_light_and_dark(
    toll: pnb.AlphaSweep, shown: Callable[..., Any], scheme: str
) -> None:
    page = shown(toll)
    page.emulate_media(color_scheme=scheme)
    found = page.evaluate(_CONTRAST)
    assert found["text"][0] >= 4.5, found["text"]
    assert len(found["marks"]) == 11
    assert min(found["marks"]) >= 3
    assert len(found["dots"]) == 100
    assert min(found["dots"]) >= 3


def test_the_saved_page_moves_without_a_kernel_and_without_the_net(
    toll: pnb.AlphaSweep, page: Any, tmp_path: Path
) -> None:
    wanted: list[str] = []
    page.on("request", lambda request: wanted.append(request.url))
    file = toll.save(tmp_path / "toll.html")
    page.goto(file.as_uri())
    slider = page.get_by_role("slider")
    slider.focus()
    assert page.locator(".pnb-headline").text_content() == "Abolish the toll wins."
    page.keyboard.press("End")
    assert page.locator(".pnb-headline").text_content() == "Each region decides wins."
    page.get_by_role("radio", name="z", exact=False).last.check()
    assert page.locator(".pnb-headline").text_content() == "Halve it for commuters wins."
    page.get_by_text("The same in plain code").click()
    assert page.get_by_text("pnb.switches(scaled)").last.is_visible()
    assert wanted == [file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_names_do_no_harm_on_the_saved_page(page: Any, tmp_path: Path) -> None:
    names = {HOSTILE: [1.0, 2.0], "</script><script>window.hacked=1</script>": [2.0, 1.0]}
    traits = pl.DataFrame({HOSTILE: ["</script>", HOSTILE]})
    panel = pnb.AlphaSweep(pnb.Utilities.of(names, traits=traits), title=HOSTILE)
    page.goto(panel.save(tmp_path / "x.html").as_uri())
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    page.get_by_text("The same as a table").click()
    assert page.locator("img").count() == 0
    assert page.evaluate("window.hacked") is None


def test_a_closed_panel_stops_listening(toll: pnb.AlphaSweep, shown: Callable[..., Any]) -> None:
    page = shown(toll)
    again = "window.show(window.models.panel, document.querySelector('#root')).then(() => window.leave())"
    count = "[...window.models.panel.listeners.values()].reduce((n, l) => n + l.length, 0)"
    page.evaluate(again)
    before = page.evaluate(count)
    page.evaluate(again)
    assert page.evaluate(count) == before
