"""Notebook 03 in a real JupyterLab: the survey browser driven by keyboard, against the library, in light and dark."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_session import jupyterlab, new_home, run_all

import plural_nb as pnb

PICTURES = os.environ.get("PLURAL_NB_PICTURES")
NOTEBOOK = "03_surveys_and_weights.ipynb"


@pytest.fixture(scope="module")
def lab(browser: Any) -> Iterator[Any]:
    """The page of JupyterLab with notebook 03 run to its end."""
    with jupyterlab(new_home()) as address:
        context = browser.new_context(viewport={"width": 1500, "height": 1300}, accept_downloads=True)
        page = context.new_page()
        page.goto(re.sub(r"[^/]+\.ipynb", NOTEBOOK, address))
        page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        run_all(page)
        page.locator(".pnb-browser .pnb-plot svg").wait_for(timeout=120_000)
        page.locator(".pnb-browser").scroll_into_view_if_needed()
        yield page
        context.close()


def picture(page: Any, name: str) -> None:
    if PICTURES:
        page.locator(".pnb-browser").scroll_into_view_if_needed()
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))


def test_the_notebook_runs_without_an_error_and_ends_in_the_browser(lab: Any) -> None:
    assert lab.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert lab.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert lab.locator(".pnb-browser").count() == 1
    picture(lab, "lab-survey-browser-light")


def test_search_and_tabs_by_keyboard_show_the_librarys_numbers(lab: Any) -> None:
    cells = lab.locator(".jp-Notebook .jp-Cell").count()
    survey = pnb.load_survey("teaching")
    lab.get_by_label("Search questions").focus()
    lab.keyboard.type("trust")
    lab.get_by_text("3 of 20 questions").wait_for()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        lab.keyboard.press(key)
    lab.locator(".pnb-browser .pnb-title", has_text="courts").wait_for()
    truth = pnb.tabulate(survey, ["trust_courts"], by="settlement")["trust_courts"]
    for g, name in enumerate(truth.groups):
        bar = lab.locator(f".pnb-browser .pnb-plot path[aria-label*='{name}']").first
        length = f"{truth.share[g, 0]:.0%}"
        lab.locator(".pnb-browser .pnb-plot").get_by_text(length, exact=True).first.wait_for(state="attached")
        assert bar.count() == 1
    lab.get_by_role("tab", name="Shares").focus()
    lab.keyboard.press("ArrowRight")
    lab.locator(".pnb-browser .pnb-plot").get_by_text("Village: ").wait_for()
    for key in ("d", "d", "x"):
        lab.keyboard.press(key)
    assert lab.locator(".jp-Notebook .jp-Cell").count() == cells
    picture(lab, "lab-survey-browser-trend")


def test_what_is_saved_is_a_page_of_its_own(lab: Any, tmp_path: Path) -> None:
    with lab.expect_download() as download:
        lab.get_by_role("button", name="Save as HTML page").click()
    saved = tmp_path / "saved.html"
    download.value.save_as(saved)
    text = saved.read_text(encoding="utf-8")
    assert download.value.suggested_filename == "teaching-trust_courts-trend.html"
    assert not re.search(r"(src|href)=[\"']https?://", text)
    assert "trend_lines(found" in text


def test_dark_follows_live(lab: Any) -> None:
    lab.get_by_role("menuitem", name="Settings", exact=True).click()
    for name in ("Theme", "JupyterLab Dark"):
        lab.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).last.click()
    lab.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    lab.wait_for_timeout(800)
    picture(lab, "lab-survey-browser-dark")
    parts = [
        (".pnb-browser .pnb-asked", "color"),
        (".pnb-browser .pnb-plot svg text", "fill"),
        (".jp-Notebook", "backgroundColor"),
    ]
    colour = "([part, name]) => getComputedStyle(document.querySelector(part))[name].match(/\\d+/g).map(Number)"
    words, axis, paper = (lab.evaluate(colour, list(part))[:3] for part in parts)
    assert min(words) > 150
    assert min(axis) > 150
    assert max(paper) < 60
