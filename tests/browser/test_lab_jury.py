"""Notebook 09 in a real JupyterLab: the slider by keyboard, the builder's draw, dark, and the page that is saved."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_session import jupyterlab, new_home, run_all

PICTURES = os.environ.get("PLURAL_NB_PICTURES")
NOTEBOOK = "09_juries_and_welfare.ipynb"


@pytest.fixture(scope="module")
def lab(browser: Any) -> Iterator[Any]:
    """The page of JupyterLab with notebook 09 run to its end."""
    with jupyterlab(new_home()) as address:
        context = browser.new_context(viewport={"width": 1500, "height": 1300}, accept_downloads=True)
        page = context.new_page()
        page.goto(re.sub(r"[^/]+\.ipynb", NOTEBOOK, address))
        page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        run_all(page)
        page.locator(".pnb-jury-builder .pnb-plot svg").wait_for(timeout=120_000, state="attached")
        page.get_by_text("SD of personas").last.wait_for(timeout=120_000, state="attached")
        yield page
        context.close()


def picture(page: Any, part: str, name: str) -> None:
    if PICTURES:
        page.locator(part).scroll_into_view_if_needed()
        page.wait_for_timeout(300)
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))


def test_the_notebook_runs_without_an_error_and_shows_its_three_panels(lab: Any) -> None:
    assert lab.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert lab.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    for name in (".pnb-sweep", ".pnb-candidate-table", ".pnb-jury-builder"):
        assert lab.locator(name).count() == 1


def test_the_slider_moves_by_keyboard_and_the_cells_stay(lab: Any) -> None:
    cells = lab.locator(".jp-Notebook .jp-Cell").count()
    panel = lab.locator(".pnb-sweep")
    panel.scroll_into_view_if_needed()
    slider = panel.get_by_role("slider")
    slider.focus()
    lab.keyboard.press("Home")
    for _ in range(100):
        lab.keyboard.press("ArrowRight")
    assert panel.locator(".pnb-at").text_content() == "α = 1 (Nash)"
    assert panel.locator(".pnb-headline").text_content() == "Halve it for commuters wins."
    for key in ("d", "d", "x"):
        lab.keyboard.press(key)
    assert lab.locator(".jp-Notebook .jp-Cell").count() == cells
    # The kernel heard of it: the code that it sends back names this α.
    panel.get_by_role("button", name="Show code").click()
    panel.get_by_text("pnb.sweep(scaled, [1.0]").wait_for()
    panel.get_by_label("Groups of jurors by").select_option("settlement")
    panel.locator(".pnb-groups .pnb-name", has_text="Village").wait_for()
    picture(lab, ".pnb-sweep", "lab-alpha-sweep-light")


def test_the_saved_page_moves_without_the_kernel(lab: Any, tmp_path: Path) -> None:
    with lab.expect_download() as download:
        lab.locator(".pnb-sweep").get_by_role("button", name="Save as HTML page").click()
    saved = tmp_path / "saved.html"
    download.value.save_as(saved)
    page = lab.context.new_page()
    page.goto(saved.as_uri())
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    assert page.locator(".pnb-headline").text_content() == "Each region decides wins."
    page.close()


def test_the_builder_draws_again(lab: Any) -> None:
    builder = lab.locator(".pnb-jury-builder")
    builder.scroll_into_view_if_needed()
    builder.get_by_text("24 people are seated (seed 1").wait_for()
    builder.get_by_role("button", name="Draw again").click()
    builder.get_by_text("24 people are seated (seed 2").wait_for()
    picture(lab, ".pnb-jury-builder", "lab-jury-builder-light")


def test_dark_follows_live(lab: Any) -> None:
    lab.get_by_role("menuitem", name="Settings", exact=True).click()
    for name in ("Theme", "JupyterLab Dark"):
        lab.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).last.click()
    lab.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    lab.wait_for_timeout(800)
    for part, name in ((".pnb-sweep", "sweep"), (".pnb-candidate-table", "table"), (".pnb-jury-builder", "builder")):
        picture(lab, part, f"lab-jury-dark-{name}")
    colour = "([part, name]) => getComputedStyle(document.querySelector(part))[name].match(/\\d+/g).map(Number)"
    words = lab.evaluate(colour, [".pnb-sweep .pnb-headline", "color"])[:3]
    paper = lab.evaluate(colour, [".jp-Notebook", "backgroundColor"])[:3]
    assert min(words) > 150
    assert max(paper) < 60
