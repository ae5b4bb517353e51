"""Notebook 04 in a real JupyterLab: a cell of the scoreboard, chosen by keyboard, opens its pair, in light and dark."""

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
NOTEBOOK = "04_is_the_difference_real.ipynb"
ISLES = pnb.Population({"region": ["Far Isles"]})


@pytest.fixture(scope="module")
def lab(browser: Any) -> Iterator[Any]:
    """The page of JupyterLab with notebook 04 run to its end."""
    with jupyterlab(new_home()) as address:
        context = browser.new_context(viewport={"width": 1500, "height": 1500}, accept_downloads=True)
        page = context.new_page()
        page.goto(re.sub(r"[^/]+\.ipynb", NOTEBOOK, address))
        page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        run_all(page)
        page.locator(".pnb-board .pnb-grid td").first.wait_for(timeout=180_000)
        page.locator(".pnb-board").scroll_into_view_if_needed()
        yield page
        context.close()


def picture(page: Any, name: str) -> None:
    if PICTURES:
        page.locator(".pnb-board").scroll_into_view_if_needed()
        page.wait_for_timeout(300)
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))


def test_a_cell_chosen_by_keyboard_opens_the_pair_with_the_librarys_numbers(lab: Any) -> None:
    assert lab.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert lab.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    cells = lab.locator(".jp-Notebook .jp-Cell").count()
    lab.locator(".pnb-board .pnb-grid td").first.focus()
    for key in ("ArrowDown", "End", "Enter"):
        lab.keyboard.press(key)
    lab.locator(".pnb-pair-title", has_text="tuned and Far Isles").wait_for()
    survey = pnb.load_survey("teaching")
    with pnb.open_model("plural-demo-tuned") as model:
        asked = {key: model.ask(question) for key, question in survey.questions.items()}
    each = {key: pnb.compare(survey.answers(key, ISLES), one) for key, one in asked.items()}
    worst = max(each, key=lambda key: each[key].distances["js_distance"])
    lab.wait_for_function("key => document.querySelector('select[id$=-question]').value === key", arg=worst)
    lab.locator(".pnb-pair .pnb-plot svg").first.wait_for()
    said = f"distance (base 2) is {each[worst].distances['js_distance']:.2f}"
    lab.locator(".pnb-pair .pnb-findings", has_text=said).wait_for()
    lab.locator(".pnb-pair .pnb-findings", has_text=each[worst].verdict.sentence()).wait_for()
    for key in ("d", "d", "x"):
        lab.keyboard.press(key)
    assert lab.locator(".jp-Notebook .jp-Cell").count() == cells
    picture(lab, "lab-scoreboard-light")


def test_a_cell_of_every_question_opens_that_question(lab: Any) -> None:
    lab.get_by_role("tab", name="Answers").focus()
    lab.keyboard.press("End")
    lab.locator(".pnb-pair .pnb-grid td").first.wait_for()
    lab.locator(".pnb-pair .pnb-grid td").first.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "Enter"):
        lab.keyboard.press(key)
    lab.wait_for_function("document.querySelector('select[id$=-question]').value === 'toll'")
    lab.locator(".pnb-pair .pnb-plot svg").get_by_text("No, keep the toll").wait_for()
    assert lab.get_by_label("Which of them").input_value() == "Northmoor"


def test_dark_follows_live_and_the_table_is_saved(lab: Any, tmp_path: Path) -> None:
    with lab.expect_download() as download:
        lab.locator(".pnb-board > div > .pnb-tools").get_by_role("button", name="Save as CSV").click()
    download.value.save_as(tmp_path / "board.csv")
    assert (tmp_path / "board.csv").read_text(encoding="utf-8").startswith("model,population,questions")
    lab.get_by_role("menuitem", name="Settings", exact=True).click()
    for name in ("Theme", "JupyterLab Dark"):
        lab.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).last.click()
    lab.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    lab.wait_for_timeout(800)
    picture(lab, "lab-scoreboard-dark")
    colour = "part => getComputedStyle(document.querySelector(part)).color.match(/\\d+/g).map(Number)"
    assert min(lab.evaluate(colour, ".pnb-board .pnb-grid td")[:3]) > 150
    assert min(lab.evaluate(colour, ".pnb-board .pnb-pair-title")[:3]) > 150
