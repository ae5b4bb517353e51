"""The tour in a real JupyterLab: run, driven by keyboard, in light and dark, through crashes, against the library."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_session import jupyterlab, new_home, run_all

import plural_nb as pnb

psutil = pytest.importorskip("psutil")
PICTURES = os.environ.get("PLURAL_NB_PICTURES")
Drawn = dict[tuple[str, str], float]

# The shares as they are drawn: each bar's length in the unit of its axis, read off the axis's last label.
BARS = """
() => {
  const svg = document.querySelector(".pnb-explorer svg.marks");
  const last = [...svg.querySelectorAll(".role-axis-label text")].filter((t) => t.textContent.endsWith("%")).at(-1);
  const place = Number(last.getAttribute("transform").match(/translate\\(([\\d.]+)/)[1]);
  const unit = place * 100 / parseFloat(last.textContent);
  return [...svg.querySelectorAll("path[aria-roledescription=bar]")].map((bar) => {
    const [, option, who] = bar.getAttribute("aria-label").match(/option: (.*); who: (\\w+)/s);
    return [who, option.replaceAll("\\n", " "), Number(bar.getAttribute("d").match(/h([\\d.]+)/)?.[1] ?? 0) / unit];
  });
}
"""


class Tour:
    """The first panel of the tour, as a user meets it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.panel = page.locator(".pnb-explorer").first

    def bars(self) -> Drawn:
        """Shares as drawn, by (who, option)."""
        return {(who, option): share for who, option, share in self.page.evaluate(BARS)}

    def settled(self, holds: Callable[[Drawn], bool] = lambda bars: True) -> Drawn:
        """Wait until the model has answered and the bars satisfy `holds`; return them."""
        for _ in range(300):
            kind = self.panel.locator(".pnb-state").get_attribute("data-kind")
            legend = self.panel.locator(".pnb-legend").inner_text()
            if kind in ("ready", "error") and "asking" not in legend and holds(bars := self.bars()):
                return bars
            time.sleep(0.1)
        self.picture("stuck")
        raise AssertionError(f"the panel did not settle: {self.panel.inner_text()[:1500]}")

    def status(self) -> str:
        return str(self.panel.locator(".pnb-status").inner_text())

    def choose(self, label: str, value: str) -> None:
        self.panel.get_by_label(label, exact=True).select_option(value)

    def menu(self, *path: str) -> None:
        """Click through JupyterLab's menus."""
        self.page.get_by_role("menuitem", name=path[0], exact=True).click()
        for name in path[1:]:
            # The accessible name of an item also holds its shortcut, so it is found by its label.
            self.page.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).last.click()

    def picture(self, name: str) -> None:
        if PICTURES:
            self.page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))


@pytest.fixture(scope="module")
def tour(browser: Any) -> Iterator[Tour]:
    with jupyterlab(new_home()) as address:
        context = browser.new_context(viewport={"width": 1500, "height": 1100}, accept_downloads=True)
        page = context.new_page()
        page.goto(address)
        page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        run_all(page)
        page.locator(".jp-OutputArea svg.marks path").first.wait_for(state="attached", timeout=60_000)
        found = Tour(page)
        found.panel.scroll_into_view_if_needed()
        found.settled()
        yield found
        context.close()


def expected(
    question: str, *, model: str, population: dict[str, list[str]] | None = None, weighted: bool = True
) -> Drawn:
    """The same shares from the library, in plain code."""
    survey = pnb.load_survey("anes96")
    people = survey.answers(question, pnb.Population(population or {}), weighted=weighted)
    with pnb.open_model(model) as opened:
        both = pnb.compare(people, opened.ask(survey.questions[question]))
    return {
        (who, option): float(share)
        for who, side in (("humans", both.a), ("model", both.b))
        for option, share in zip(side.options, side.share[0], strict=True)
    }


def workers() -> list[Any]:
    """The model workers that run below this process."""
    below = psutil.Process().children(recursive=True)
    return [p for p in below if p.is_running() and "plural_nb.silicon.worker" in " ".join(_command(p))]


def _command(process: Any) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def test_the_tour_runs_top_to_bottom_without_an_error(tour: Tour) -> None:
    tour.page.wait_for_function("document.querySelectorAll('.pnb-explorer').length === 2", timeout=60_000)
    assert tour.page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    tour.picture("tour-light")


def test_the_bars_are_the_librarys_numbers(tour: Tour) -> None:
    assert tour.bars() == pytest.approx(expected("vote", model="plural-demo-base"), abs=5e-4)


def test_the_finding_names_its_distance_and_what_fell_outside(tour: Tour) -> None:
    said = tour.panel.locator(".pnb-findings").inner_text()
    assert "Jensen–Shannon distance (base 2)" in said
    assert "outside the options" in said.lower()


def test_the_panel_is_driven_by_keyboard_and_jupyter_hears_none_of_it(tour: Tour) -> None:
    cells = tour.page.locator(".jp-Notebook .jp-Cell").count()
    tour.panel.get_by_label("Question", exact=True).focus()
    tour.page.keyboard.press("ArrowDown")
    party = expected("party", model="plural-demo-base")
    assert tour.settled(lambda bars: len(bars) == len(party)) == pytest.approx(party, abs=5e-4)
    for key in ("d", "d", "x", "a"):
        tour.page.keyboard.press(key)
    assert tour.page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert tour.page.evaluate("document.activeElement.closest('.pnb-explorer') !== null")


def test_weights_off_and_on_by_keyboard_redraws_the_people(tour: Tour) -> None:
    tour.choose("Question", "vote")
    tour.settled(lambda bars: len(bars) == 4)
    box = tour.panel.get_by_label("Use the survey's weights")
    box.focus()
    tour.page.keyboard.press("Space")
    off = expected("vote", model="plural-demo-base", weighted=False)
    key = ("humans", "Bill Clinton")
    assert tour.settled(lambda bars: abs(bars[key] - off[key]) < 5e-4) == pytest.approx(off, abs=5e-4)
    assert off[key] == pytest.approx(551 / 944, abs=1e-12)
    tour.page.keyboard.press("Space")
    on = expected("vote", model="plural-demo-base")
    assert on[key] != pytest.approx(off[key], abs=1e-4)
    tour.settled(lambda bars: abs(bars[key] - on[key]) < 2e-4)


def test_picking_a_population_counts_people_and_redraws(tour: Tour) -> None:
    tour.panel.locator("summary", has_text="Age").focus()
    tour.page.keyboard.press("Enter")
    tour.panel.get_by_label("18 to 24", exact=True).focus()
    tour.page.keyboard.press("Space")
    want = expected("vote", model="plural-demo-base", population={"age": ["18 to 24"]})
    key = ("humans", "Bill Clinton")
    tour.settled(lambda bars: abs(bars[key] - want[key]) < 5e-4)
    survey = pnb.load_survey("anes96")
    count = survey.count(pnb.Population({"age": ["18 to 24"]}))
    said = tour.panel.locator(".pnb-count").inner_text()
    assert f"{count.n} " in said
    assert f"{count.n_eff_kish:.0f}" in said
    tour.panel.get_by_role("button", name="Everyone").click()
    tour.settled()


def test_the_tuned_twin_can_be_chosen_and_has_narrowed(tour: Tour) -> None:
    base = tour.settled()
    [twin] = [
        str(option.get_attribute("value"))
        for option in tour.panel.get_by_label("Model", exact=True).locator("option").all()
        if "plural-demo-tuned" in (option.text_content() or "")
    ]
    tour.choose("Model", twin)
    key = ("model", "Bill Clinton")
    tuned = tour.settled(lambda bars: key in bars and bars[key] != base[key])
    assert tuned == pytest.approx(expected("vote", model="plural-demo-tuned"), abs=5e-4)
    assert abs(tuned[key] - 0.5) > abs(base[key] - 0.5)


def test_the_exact_prompt_can_be_read(tour: Tour) -> None:
    tour.panel.get_by_text("What did the model see, exactly?").click()
    shown = tour.panel.get_by_label("The exact prompt").text_content()
    with pnb.open_model("plural-demo-tuned") as model:
        asked = model.ask(pnb.load_survey("anes96").questions["vote"])
    assert shown == asked.replies[0].text


def test_the_code_shown_rebuilds_the_numbers_shown(tour: Tour) -> None:
    tour.panel.get_by_role("button", name="Show code").click()
    code = tour.panel.get_by_label("The cell that rebuilds this view")
    tour.page.wait_for_function("e => e.textContent.includes('compare')", arg=code.element_handle())
    scope: dict[str, Any] = {}
    exec(code.text_content(), scope)  # the claim is that this very text runs
    both = scope["comparison"]
    drawn = tour.settled()
    assert drawn["model", "Bob Dole"] == pytest.approx(float(both.b.share[0][1]), abs=5e-4)
    box = tour.panel.get_by_label("Use the survey's weights")
    box.uncheck()
    tour.page.wait_for_function("e => e.textContent.includes('weighted=False')", arg=code.element_handle())
    box.check()
    tour.page.wait_for_function("e => !e.textContent.includes('weighted=False')", arg=code.element_handle())
    tour.panel.get_by_role("button", name="Hide code").click()


def test_the_page_that_is_saved_opens_offline_with_its_numbers(tour: Tour, browser: Any, tmp_path: Path) -> None:
    with tour.page.expect_download() as download:
        tour.panel.get_by_role("button", name="Save as HTML page").click()
    saved = tmp_path / "saved.html"
    download.value.save_as(saved)
    assert not re.search(r"(src|href)=[\"']https?://", saved.read_text(encoding="utf-8"))
    page = browser.new_context(offline=True).new_page()
    page.goto(saved.as_uri())
    shown = page.locator("body").inner_text()
    assert "Bill Clinton" in shown
    assert "58%" in shown
    assert "Jensen–Shannon distance (base 2)" in shown
    assert page.locator("svg").count() >= 1
    page.context.close()


def test_a_worker_killed_while_idle_is_replaced_unasked(tour: Tour) -> None:
    for process in workers():
        process.send_signal(signal.SIGKILL)
    # A question that this model was not asked yet, so that a worker is needed.
    tour.choose("Question", "dole_ideology")
    bars = tour.settled(lambda bars: len(bars) == 14)
    assert bars == pytest.approx(expected("dole_ideology", model="plural-demo-tuned"), abs=5e-4)


def test_a_worker_killed_in_mid_run_is_said_and_the_next_action_works(tour: Tour) -> None:
    # Stopped first, so that the request is surely under way when it is killed.
    stopped = workers()
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    tour.choose("Question", "clinton_ideology")
    tour.panel.get_by_text("Asking plural-demo-tuned…").wait_for()
    for process in stopped:
        process.send_signal(signal.SIGKILL)
    tour.panel.locator(".pnb-state[data-kind=error]").wait_for()
    assert "SIGKILL" in tour.status()
    assert len(tour.settled()) == 7  # the people stand alone, and nothing claims that it is still asking
    tour.panel.get_by_role("button", name="Try again").click()
    bars = tour.settled(lambda bars: len(bars) == 14)
    assert bars == pytest.approx(expected("clinton_ideology", model="plural-demo-tuned"), abs=5e-4)


def test_dark_follows_live_and_stays_readable(tour: Tour) -> None:
    page = tour.page
    tour.menu("Settings", "Theme", "JupyterLab Dark")
    page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    page.wait_for_timeout(800)
    tour.picture("tour-dark")
    contrast = page.evaluate(
        """() => {
          const rgb = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
          const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
            .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          const paper = light(rgb(getComputedStyle(document.querySelector(".jp-Notebook")).backgroundColor));
          const ratio = (ink) => {
            const l = light(rgb(ink));
            return (Math.max(l, paper) + 0.05) / (Math.min(l, paper) + 0.05);
          };
          const panel = document.querySelector(".pnb-explorer");
          const text = [...panel.querySelectorAll("label, p, summary, dt, h3")]
            .filter((e) => e.innerText?.trim() && !e.closest("[hidden]"));
          const svg = panel.querySelector("svg.marks");
          const bars = [...svg.querySelectorAll("path[aria-roledescription=bar]")];
          return {
            text: Math.min(...text.map((e) => ratio(getComputedStyle(e).color))),
            axis: ratio(getComputedStyle(svg.querySelector(".role-axis-label text")).fill),
            bars: Math.min(...bars.map((e) => ratio(getComputedStyle(e).stroke))),
          };
        }"""
    )
    assert contrast["text"] >= 4.5
    assert contrast["axis"] >= 4.5
    assert contrast["bars"] >= 3


def test_no_worker_outlives_its_kernel(tour: Tour) -> None:
    assert workers()
    tour.menu("Kernel", "Restart Kernel…")
    tour.page.get_by_role("button", name="Confirm Kernel Restart").click()
    for _ in range(100):
        if not workers():
            return
        time.sleep(0.1)
    pytest.fail(f"still there: {workers()}")
