"""The steering matrix of notebook 07 and a persona studio behind it in a real JupyterLab: keys, answers, a sample."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_session import jupyterlab, new_home, run_all

import plural_nb as pnb

PICTURES = os.environ.get("PLURAL_NB_PICTURES")
NOTEBOOK = "07_steering.ipynb"
STUDIO = "pnb.PersonaStudio(survey, model, question='vote', traits=['age', 'party'], margin=10.0)"


@pytest.fixture(scope="module")
def lab(browser: Any) -> Iterator[Any]:
    """The page of JupyterLab with notebook 07, a studio at its end, run from top to bottom."""
    home = new_home()
    with jupyterlab(home) as address:
        file = home / "work" / NOTEBOOK
        content = json.loads(file.read_text(encoding="utf-8"))
        empty = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
        content["cells"].append({**empty, "id": "studio", "source": STUDIO})
        file.write_text(json.dumps(content), encoding="utf-8")
        context = browser.new_context(viewport={"width": 1500, "height": 1300}, accept_downloads=True)
        page = context.new_page()
        page.goto(re.sub(r"[^/]+\.ipynb", NOTEBOOK, address))
        page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        run_all(page)
        page.locator(".pnb-matrix .pnb-plot svg").wait_for(timeout=120_000)
        page.locator(".pnb-studio .pnb-plot svg").wait_for(timeout=120_000)
        yield page
        context.close()


def picture(page: Any, part: str, name: str) -> None:
    if PICTURES:
        page.locator(part).scroll_into_view_if_needed()
        page.wait_for_timeout(300)
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))


def test_the_notebook_runs_without_an_error(lab: Any) -> None:
    assert lab.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert lab.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0


def test_arrows_and_enter_open_a_pair_and_leave_the_notebook_alone(lab: Any) -> None:
    cells = lab.locator(".jp-Notebook .jp-Cell").count()
    lab.locator(".pnb-matrix [role=gridcell][tabindex='0']").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        lab.keyboard.press(key)
    lab.get_by_text("People: Independent, closer to the Democrats. The model as: Weak Democrat.").wait_for()
    for key in ("d", "d", "x"):
        lab.keyboard.press(key)
    assert lab.locator(".jp-Notebook .jp-Cell").count() == cells
    picture(lab, ".pnb-matrix", "lab-matrix-light")


def test_a_text_of_ones_own_is_told_and_answered_as_it_is_typed(lab: Any) -> None:
    studio = lab.locator(".pnb-studio")
    studio.get_by_label("Style", exact=True).select_option("own")
    editor = studio.get_by_label("Your text")
    editor.fill("")
    editor.focus()
    lab.keyboard.type("In politics: {party:label}.")
    studio.get_by_label("Tell the near-duplicates all the same").check()
    lab.locator(".pnb-texts").get_by_text("In politics: Strong Republican.", exact=True).wait_for()
    survey = pnb.load_survey("anes96")
    with pnb.open_model("plural-demo-base") as model:
        asked = model.ask(survey.question("vote"), persona="In politics: Strong Republican.")
        tokens = model.count_tokens(["In politics: Strong Republican."])[0]
    studio.get_by_text(f"{tokens} tokens").wait_for()
    label = f"{asked.shares().share[0, 0]:.0%}"
    studio.locator(".pnb-one td").first.get_by_text(label, exact=True).wait_for()


def test_the_sample_converges_to_the_wanted_margin(lab: Any) -> None:
    studio = lab.locator(".pnb-studio")
    studio.get_by_role("button", name="Ask the sample").click()
    studio.get_by_text("points at most").wait_for(timeout=60_000)
    studio.locator(".pnb-legend").get_by_text("Own text (").wait_for()
    picture(lab, ".pnb-studio", "lab-studio-light")


def test_dark_follows_live(lab: Any) -> None:
    lab.get_by_role("menuitem", name="Settings", exact=True).click()
    for name in ("Theme", "JupyterLab Dark"):
        lab.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).last.click()
    lab.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    lab.wait_for_timeout(800)
    picture(lab, ".pnb-studio", "lab-studio-dark")
    colour = "part => getComputedStyle(document.querySelector(part)).color.match(/\\d+/g).slice(0, 3).map(Number)"
    for part in (".pnb-studio h3", ".pnb-studio .pnb-one th", ".pnb-studio textarea", ".pnb-matrix .pnb-summary"):
        assert min(lab.evaluate(colour, part)) > 130, part
    assert max(lab.evaluate(colour, ".pnb-matrix [role=gridcell]")) < 60  # its paper is light in both themes
