"""How quick people are told and asked: one JSON object, medians, no verdict.

Run `python tests/benchmarks/personas.py` (`--quick`: fewer people).

backstories_per_s: texts of all nine traits of the teaching survey in the first person, 200,000 rows of a polars frame;
    "shuffled" each in an order of its own, "third_person" and "text" (a template with five slots) beside it.
vs_engine: the respondents of anes96, five questions, the demo base model, from building the personas on an open model
    with an empty cache to the last of five charts beside the humans, over the time that the engine alone takes for the
    same prompts (tokens, prefix tree, decoding; in a process of its own, without pipes and store). Runs alternate;
    the median of the paired ratios.
preview_ms: the text of one respondent by another template and its tokens, through the open model.
nonvoters_s: the weighted people of the poll of non-voters become personas; null where it is not at hand.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

QUESTIONS = ("vote", "party", "ideology", "clinton_ideology", "tv_news")
TEXT = "I am a person of {age:label}, {gender}, from {region}. My home is in {settlement}. I have {income:lower}."
RUNS = 3

ENGINE = """
import ctypes, json, pickle, sys, time
from plural_nb.silicon.asking import ask, prepare
from plural_nb.silicon.engine import LlamaModel
path, settings, prompts = pickle.load(open(sys.argv[1], "rb"))
model = LlamaModel(path, **settings, cancelled=ctypes.create_string_buffer(2))
model.warm_up()
start = time.perf_counter()
seams = {}
prepared = [prepare(model, None, prompt, seams) for prompt in prompts]
answered = sum(len(batch) for batch in ask(model, prepared))
assert answered == len(prompts)
print(json.dumps(time.perf_counter() - start))
"""


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true", help="fewer people")
    quick = options.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PLURAL_NB_CACHE"] = folder
        found = {"backstories_per_s": telling(20_000 if quick else 200_000)}
        found |= asking(Path(folder), 100 if quick else None)
        found["nonvoters_s"] = nonvoters()
    print(json.dumps(found, indent=2))


def telling(n: int) -> dict[str, float]:
    """Texts per second by template and order."""
    from plural_nb.personas.telling import Telling
    from plural_nb.personas.template import Template
    from plural_nb.survey.library import load_survey

    survey = load_survey("teaching")
    rows = np.random.default_rng(0).integers(0, survey.n, n)
    first = Template.named("first_person")
    tellings = {
        "first_person": Telling(survey, first, rows=rows),
        "shuffled": Telling(survey, first, rows=rows, order="shuffled"),
        "third_person": Telling(survey, Template.named("third_person"), rows=rows),
        "text": Telling(survey, Template(TEXT), rows=rows),
    }
    return {name: round(n / statistics.median(timed(one.texts) for _ in range(5))) for name, one in tellings.items()}


def asking(folder: Path, people: int | None) -> dict[str, object]:
    """From personas to charts, beside the engine alone; and a preview."""
    from plural_nb.charts.shares import humans_and_model
    from plural_nb.personas.personas import Personas
    from plural_nb.personas.preview import preview
    from plural_nb.silicon.model import open_model
    from plural_nb.silicon.process import _environment
    from plural_nb.survey.library import load_survey

    survey = load_survey("anes96")
    questions = [survey.question(key) for key in QUESTIONS]
    humans = {key: survey.answers(key).shares() for key in QUESTIONS}
    inside = np.arange(survey.n) < (people or survey.n)

    def click(model) -> None:
        told = Personas.from_survey(survey, leak="keep").within(inside)
        answers = model.ask_all(questions, people=told)
        for key, one in answers.items():
            humans_and_model(humans[key], one.shares()).figure()

    whole, engine = [], []
    for run in range(RUNS):
        os.environ["PLURAL_NB_CACHE"] = str(folder / str(run))
        with open_model("plural-demo-base") as model:
            if not run:
                preview_ms = 1000 * statistics.median(
                    timed(preview, survey, f"I am {{age:number}}. {{party:sentence}} {'x' * i}", i, model=model)
                    for i in range(30)
                )
                told = Personas.from_survey(survey, leak="keep").within(inside)
                prompts = sent(model, questions, told)
                given = folder / "prompts"
                held = {k: getattr(model.settings, k) for k in ("threads", "extra_buffers", "context")}
                given.write_bytes(pickle.dumps((str(model.file.path), held, prompts)))
            whole.append(timed(click, model))
        done = subprocess.run(
            [sys.executable, "-c", ENGINE, given], capture_output=True, text=True, check=True, env=_environment()
        )
        engine.append(json.loads(done.stdout.splitlines()[-1]))
    ratios = [a / b for a, b in zip(whole, engine, strict=True)]
    return {
        "vs_engine": round(statistics.median(ratios), 3),
        "preview_ms": round(preview_ms, 1),
        "raw": {"click_to_charts_s": whole, "engine_s": engine, "distinct_prompts": len(prompts)},
    }


def sent(model, questions, people) -> list[dict[str, object]]:
    """The distinct prompts of a run, as the worker gets them."""
    prompts = [p for q in questions for text in people.told(q) for p in model.prepare(q, persona=text)]
    return [
        {"text": p.text, "messages": [], "forms": p.forms, "terminated": p.terminated}
        for p in dict.fromkeys(prompts)
    ]  # fmt: skip


def nonvoters() -> float | None:
    """Seconds from the poll in memory to its personas; null where it is not beside this checkout."""
    from plural_nb.personas.personas import Personas
    from plural_nb.resources import data
    from plural_nb.survey.reading import read_survey

    file = Path(__file__).resolve().parents[3] / "shared" / "data" / "nonvoters" / "nonvoters_data.csv"
    if not file.is_file():
        return None
    survey = read_survey(file, codebook=data("surveys", "nonvoters.toml"))
    return round(timed(Personas.from_survey, survey), 3)


def timed(call, *args, **how) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    call(*args, **how)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
