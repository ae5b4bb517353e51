"""How fast models are asked, beside what people write today and beside llama.cpp's own limit: one JSON object.

Run `python tests/benchmarks/engine.py`; progress goes to standard error. `--only W1,store` runs some parts (W1 to W5,
memory, store, cancel), `--shapes demo,135M` some models, `--quick` fewer prompts. Quiet cores, please: every
ratio is of two clocks on one machine.

Models: random 8-bit weights in the shapes of 135 M and 0.5 B parameters, made on the spot, and the demo model.
Prompts are made of tokens: a preamble of 60, backstories of 80, questions of 50, five options of one token each.

W1: 200 people (20 of them at 135 M and 0.5 B) × 10 questions, person after person. W2: the same, question after
question. W5 (0.5 B only): 10 people with backstories of 300 × 20 questions, question after question. Each gives

- vs_completion: prompts per second beside `create_completion(logprobs=…)` in a loop,
- vs_careful: beside a loop over raw evaluation that keeps what two neighbours share,
- vs_limit: tokens per second beside llama.cpp's prompt processing of 512 tokens (pp512).

The time: at 0.5 B and 200 tokens per second our 200 prompts of W1 take one minute, a peer's 24 prompts half to one and
a half. So each workload is asked once, in three parts: we answer a third of our 200 prompts, then each peer answers a
third of its block of 24 consecutive prompts (the block begins where a seed says, behind a prompt that warms it up);
a ratio is the median of the three pairs. W1 and W2 are the same prompts in two orders: the engine sorts either into
the same walk through one tree (the program checks that they are the same), so that walk is timed once, between the
peers' blocks of both. A part has several pieces (`PIECES`), because a machine's speed drifts within seconds: in the
middle of each we pause for pp512, and `vs_limit` is the median of all pieces. Ours are compared by tokens, as a pause
falls between batches, not between prompts; "tokens" shows that each distinct one was decoded once.
Rows of the peers' prompts, normalised, must equal ours to 2e-2, else the exit status is 1.

W3 (`folding`): 944 respondents of anes96 told by age, education and income, the demo model asked for whom they vote:
everybody once beside each distinct respondent once. Without folding the n-th of several identical respondents is
asked in an n-th round, because one walk through the prefix tree would decode them once anyway.
W4 (`thermometer_cost`): 200 people of the teaching survey, each told by all traits in an order of their own, rate the
premier from 0 to 100, as `Model.ask` asks it: 101 numbers, with a space in front and without, their digits and ends
decoded; beside a question with five options. Demo model.

extra_mb: peak anonymous memory while the first person of W1 is asked at 0.5 B (batches are full) less that after
loading. leak_mb: what the demo model's worker has grown by after 100,000 prompts. store_lookups_per_s: known keys in
bulk. second_ask_per_s: 40,000 prompts that the store knows, in a new session, end to end. cancel_ms: from `cancel()` to
the exception in mid-decode at 0.5 B.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # also where another program imports this one

from peers import Bench, Options, Tokens
from shapes import SHAPES, Workload, write_shape

PARTS, BLOCK, WARM_UP = 3, 24, 1
PIECES = {"demo": 4, "135M": 3, "0.5B": 4}  # of a part; each half has more tokens than a batch
LIMITS = {"demo": 12, "135M": 2, "0.5B": 1}  # pp512 in a row; one takes .04, 2 and 4 seconds
THERMOMETERS, TIMES = 200, 5
TOLERANCE = 2e-2
MARK = "progress: "
FIVE: Options = tuple(((token,),) for token in range(33, 38))
ASKED = ("W1", "W2", "W5")  # peers and limit
WHOLE = ("W1", "W2", "W3", "W4", "W5", "memory", "store", "cancel")
DEMO = Path(__file__).resolve().parents[2] / "data" / "models" / "plural-demo-base.gguf"


def measure(path: Path, shape: str, only: list[str], quick: bool) -> dict[str, Any]:
    """What is asked of one model in this process."""
    bench = Bench(path, 1 if shape == "demo" else min(4, os.cpu_count() or 1))
    size = bench.ours.vocabulary_size
    result: dict[str, Any] = {}
    before = anonymous_mb()
    with PeakMemory() as peak:
        bench.ask(Workload(size, 1, 10).prompts, FIVE)
    if shape == "0.5B" and "memory" in only:
        result["extra_mb"] = round(peak.mb - before, 1)
    people = 6 if quick else 200 if shape == "demo" else 20
    if short := [key for key in ("W1", "W2") if key in only]:
        orders = {key: Workload(size, people, 10, by_person=key == "W1") for key in short}
        result |= against_peers(bench, orders, shape, 1 if quick else PIECES[shape])
    if "W5" in only and shape == "0.5B":
        long = Workload(size, 2 if quick else 10, 20, backstory=300, by_person=False)
        result |= against_peers(bench, {"W5": long}, shape, 1 if quick else PIECES[shape])
    if "W3" in only and shape == "demo":
        result |= folding(bench)
    if "W4" in only and shape == "demo":
        result |= thermometer(bench)
    return result


def against_peers(bench: Bench, orders: dict[str, Workload], shape: str, pieces: int) -> dict[str, Any]:
    """Ours, both peers in each order of the same prompts, and the limit, interleaved. Ours is asked once for all.

    pieces: of each part; pp512 stands in the middle of each.
    """
    name, work = f"{' and '.join(orders)} {shape}", next(iter(orders.values()))
    limits = LIMITS[shape]
    assert all(sorted(one.prompts) == sorted(work.prompts) for one in orders.values())  # so the tree is the same
    say(f"{name}: {len(work.prompts)} prompts of {work.distinct:,} distinct tokens")
    blocks = {}
    for key, one in orders.items():
        start = random.Random(f"{key} {shape}").randrange(WARM_UP, len(one.prompts) - BLOCK + 1)
        blocks[key] = one.prompts[start : start + BLOCK]
        bench.careful(one.prompts[start - WARM_UP : start], FIVE)
        bench.completion(one.prompts[start - WARM_UP : start], FIVE)
    bench.limit(limits)  # warms it up
    raw: dict[str, list[float]] = {key: [] for key in ("ours", "tokens", "pp512")}
    theirs: dict[str, dict[str, list[float]]] = {key: {"careful": [], "completion": []} for key in orders}
    rows: dict[str, dict[str, list[np.ndarray]]] = {key: {"careful": [], "completion": []} for key in orders}
    answers: dict[int, np.ndarray] = {}
    took: list[tuple[int, float]] = []  # tokens and seconds of the pieces of this part
    bench.decoded = decoded = 0
    for half, (seconds, found) in enumerate(bench.ask_in_parts(work.prompts, FIVE, 2 * PARTS * pieces), start=1):
        took.append((bench.decoded - decoded, seconds))
        decoded, answers = bench.decoded, found
        if half % 2:
            raw["pp512"].append(bench.limit(limits))
            continue
        raw["tokens"].append(sum(tokens for tokens, _ in took[-2:]) / sum(spent for _, spent in took[-2:]))
        if half % (2 * pieces):
            continue
        tokens, spent = map(sum, zip(*took, strict=True))
        raw["ours"].append(tokens / spent * len(work.prompts) / work.distinct)
        part, took = half // (2 * pieces), []
        for key, block in blocks.items():
            some = block[(part - 1) * BLOCK // PARTS : part * BLOCK // PARTS]
            for peer in theirs[key]:
                seconds, told = getattr(bench, peer)(some, FIVE)
                theirs[key][peer].append(len(some) / seconds)
                rows[key][peer] += told
        now = {"all": raw} | theirs
        said = ", ".join(f"{key} {one} {values[-1]:.4g}/s" for key in now for one, values in now[key].items())
        say(f"{name}: part {part} of {PARTS}: {said}")
    ours = {prompt: answers[i] for i, prompt in enumerate(work.prompts)}
    result = {}
    for key, block in blocks.items():
        differs = {
            peer: max(float(abs(row(ours[p]) - row(told)).max()) for p, told in zip(block, found, strict=True))
            for peer, found in rows[key].items()
        }
        rates = raw | theirs[key]
        result[key] = {
            "vs_completion": paired(raw["ours"], rates["completion"]),
            "vs_careful": paired(raw["ours"], rates["careful"]),
            "vs_limit": paired(raw["tokens"], raw["pp512"]),
            "rows_equal": max(differs.values()) <= TOLERANCE,
            "largest_difference": {peer: round(value, 6) for peer, value in differs.items()},
            "n": {"ours": len(work.prompts), "peers": BLOCK, "pairs": PARTS, "pieces": PARTS * pieces},
            "tokens": {"distinct": work.distinct, "decoded": decoded},
            "raw_per_s": {one: [round(value, 3) for value in values] for one, values in rates.items()},
        }
    return result


def folding(bench: Bench) -> dict[str, Any]:
    """944 respondents, each asked, beside each distinct one asked once."""
    from plural_nb import load_survey
    from plural_nb.personas.personas import Personas
    from plural_nb.silicon.asking import prepare
    from plural_nb.silicon.manner import Manner
    from plural_nb.silicon.methods import prompts_for

    survey = load_survey("anes96")
    people = Personas.from_survey(survey, traits=["age", "education", "income"])
    question = survey.questions["vote"]
    crowd: list[Tokens] = []
    options: Options = ()
    for text in people.told(question):
        [[prompt]] = prompts_for(question, text, Manner())
        one = prepare(bench.ours, None, prompt.frame())
        crowd.append(one.tokens)
        options = one.options
    distinct = list(dict.fromkeys(crowd))
    rounds: list[list[Tokens]] = []
    seen: dict[Tokens, int] = {}
    for tokens in crowd:
        seen[tokens] = nth = seen.get(tokens, -1) + 1
        rounds += [[]] if nth == len(rounds) else []
        rounds[nth].append(tokens)
    pairs = []
    for _ in range(PARTS):
        apart, _ = timed(lambda: [bench.ask(some, options) for some in rounds])
        folded, _ = timed(lambda: bench.ask(distinct, options))
        pairs.append((apart, folded))
    say(f"W3: {len(crowd)} respondents, {len(distinct)} distinct")
    return {
        "folding": paired(*zip(*pairs, strict=True)),
        "W3": {
            "respondents": len(crowd),
            "distinct": len(distinct),
            "raw_s": {"without": [round(a, 3) for a, _ in pairs], "with": [round(b, 3) for _, b in pairs]},
        },
    }


def thermometer(bench: Bench) -> dict[str, Any]:
    """101 numbers beside five options, put to the same people as `Model.ask` puts them."""
    from plural_nb import load_survey
    from plural_nb.silicon.asking import prepare
    from plural_nb.silicon.manner import Manner
    from plural_nb.silicon.methods import prompts_of

    survey, draw = load_survey("teaching"), random.Random(0)
    told = []
    for row in draw.sample(range(survey.n), THERMOMETERS):
        codes = {key: survey.trait_codes[key][row] for key in survey.traits}
        said = [survey.traits[key].sentences[code] for key, code in codes.items() if code >= 0]
        told.append(" ".join(draw.sample(said, len(said))))
    crowd: dict[str, list[Any]] = {}
    for kind, key, manner in (("five", "nature", Manner()), ("numbers", "premier", Manner(method="number"))):
        made = prompts_of(survey.questions[key], told, manner).values()
        crowd[kind] = [prepare(bench.ours, None, prompt.frame()) for [prompt] in made]
    raw: dict[str, list[float]] = {kind: [] for kind in crowd}
    nodes: dict[str, int] = {}
    for _ in range(TIMES):
        for kind, prepared in crowd.items():
            bench.decoded = 0
            seconds, _ = timed(lambda prepared=prepared: bench.score(prepared))
            raw[kind].append(1000 * seconds / len(prepared))
            nodes[kind] = bench.decoded
    say(f"W4: {raw} ms per prompt")
    return {
        "thermometer_cost": paired(raw["numbers"], raw["five"]),
        "W4": {
            "n": THERMOMETERS,
            "tokens": nodes,
            "raw_ms_per_prompt": {key: [round(v, 2) for v in raw[key]] for key in raw},
        },
    }


def store_and_leak(only: list[str], quick: bool) -> dict[str, Any]:
    """Bulk look-ups, a second ask in a new session, and what the worker keeps of 100,000 prompts."""
    from plural_nb.silicon.model import open_model
    from plural_nb.silicon.prompt import Prompt
    from plural_nb.silicon.store import Store
    from plural_nb.survey.question import ask_for

    asked, mine, short = (4_000, 1_200, 8_800) if quick else (40_000, 12_000, 88_000)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PLURAL_NB_CACHE"] = folder
        crowd = [f"I am person {i}." for i in range(asked)]
        question = ask_for("Tea or coffee?", ["Tea", "Coffee"])
        forms = ((" A", "A"), (" B", "B"))
        brief = [Prompt(f"Tea (A) or coffee (B)? Person {i}:", (), forms, (0, 1)) for i in range(short + 2_000)]
        with open_model(DEMO) as model, open_model(DEMO) as other, ThreadPoolExecutor(1) as thread:
            model.replies(brief[short:])
            before = anonymous_mb(model._process.pid)
            # None of this is timed, so another worker asks most of the crowd at the same time.
            theirs = thread.submit(other.ask, question, persona=crowd[mine:], examples=0, progress=False)
            model.ask(question, persona=crowd[:mine], examples=0, progress=False)
            if "memory" in only:
                model.replies(brief[:short])
                result["leak_mb"] = round(anonymous_mb(model._process.pid) - before, 1)
                result["leak_prompts"] = mine + short
            theirs.result()
            say(f"memory and store: {asked + short * ('memory' in only):,} prompts asked")
        if "store" not in only:
            return result
        anew = []
        for _ in range(PARTS):
            with open_model(DEMO) as model:
                anew.append(timed(lambda m=model: m.ask(question, persona=crowd, examples=0, progress=False))[0])
        store = Store(Path(folder) / "rates.sqlite")
        keys = [os.urandom(32) for _ in range(200_000)]
        store.put({key: bytes(600) for key in keys})
        store.flush()
        looks = []
        for _ in range(PARTS):
            seconds, found = timed(lambda: store.get(keys))
            assert len(found) == len(keys)
            looks.append(len(keys) / seconds)
        store.close()
    return result | {
        "store_lookups_per_s": round(statistics.median(looks)),
        "second_ask_per_s": round(asked / statistics.median(anew)),
        "second_ask": {"n": asked, "raw_s": [round(s, 3) for s in anew]},
    }


def cancel_ms(path: Path) -> dict[str, Any]:
    """From `cancel()` to the exception, in the middle of a decode."""
    from plural_nb.errors import Cancelled
    from plural_nb.silicon.model import open_model
    from plural_nb.survey.question import ask_for

    took = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PLURAL_NB_CACHE"] = folder
        with open_model(path) as model:
            for i in range(PARTS):
                ended: list[float] = []
                crowd = [f"{i} " * 150 + str(j) for j in range(50)]

                def run(crowd: list[str] = crowd, ended: list[float] = ended) -> None:
                    try:
                        model.ask(ask_for("?", ["a", "b"]), persona=crowd, examples=0, progress=False)
                    except Cancelled:
                        ended.append(time.perf_counter())

                thread = threading.Thread(target=run)
                thread.start()
                time.sleep(1.5)
                begin = time.perf_counter()
                model.cancel()
                thread.join()
                took.append(1000 * (ended[0] - begin))
    return {"cancel_ms": round(statistics.median(took), 1), "cancel_raw_ms": [round(ms, 1) for ms in took]}


class PeakMemory:
    """The most anonymous memory of this process while the block runs, in MB."""

    def __enter__(self) -> PeakMemory:
        self.mb, self._over = anonymous_mb(), threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(0.01):
            self.mb = max(self.mb, anonymous_mb())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()


def anonymous_mb(process: int | str = "self") -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def timed(work: Any) -> tuple[float, Any]:
    begin = time.perf_counter()
    made = work()
    return time.perf_counter() - begin, made


def paired(ours: Any, theirs: Any) -> float:
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 3)


def row(probabilities: np.ndarray) -> np.ndarray:
    return probabilities / probabilities.sum()


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def tell_parent(text: str) -> None:
    print(f"{MARK}{text}", file=sys.stderr, flush=True)


def in_a_process_of_its_own(shape: str, path: Path, only: list[str], quick: bool) -> dict[str, Any]:
    from plural_nb.silicon.process import GENTLE

    command = [sys.executable, __file__, "--shape", shape, "--model", str(path), "--only", ",".join(only)]
    env = GENTLE | os.environ  # as workers run
    command += ["--quick"] if quick else []
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        log = []
        for line in child.stderr or ():  # llama.cpp's log is long
            if line.startswith(MARK):
                say(line.removeprefix(MARK).rstrip())
            else:
                log = [*log[-20:], line]
        told = child.stdout.read() if child.stdout else ""
    if child.returncode:
        raise SystemExit("".join(log) + f"{shape}: exit {child.returncode}")
    return dict(json.loads(told.splitlines()[-1]))


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="fewer prompts")
    options.add_argument("--only", default=",".join(WHOLE), help="parts, with commas: " + ", ".join(WHOLE))
    options.add_argument("--shapes", default=",".join(["demo", *SHAPES]), help="models, with commas")
    options.add_argument("--shape", help=argparse.SUPPRESS)
    options.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    args = options.parse_args()
    only = args.only.split(",")
    if unknown := set(only) - set(WHOLE):
        options.error(f"unknown part {sorted(unknown)[0]!r}; there are {', '.join(WHOLE)}")
    if args.shape:
        global say
        say = tell_parent
        print(json.dumps(measure(args.model, args.shape, only, args.quick)))
        return
    begin = time.perf_counter()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {"demo": DEMO}
        for name in [name for name in args.shapes.split(",") if name in SHAPES]:
            paths[name] = Path(folder) / f"{name}.gguf"
            write_shape(paths[name], *SHAPES[name])
        for name in args.shapes.split(","):
            found = in_a_process_of_its_own(name, paths[name], only, args.quick)
            for key, value in found.items():
                if key in ASKED:
                    result.setdefault(key, {})[name] = value
                else:
                    result[key] = value
        if {"store", "memory"} & set(only):
            result |= store_and_leak(only, args.quick)
        if "cancel" in only and "0.5B" in paths:
            result |= cancel_ms(paths["0.5B"])
    result["seconds"] = round(time.perf_counter() - begin, 1)
    print(json.dumps(result, indent=1))
    if not all(found["rows_equal"] for work in ASKED for found in result.get(work, {}).values()):
        raise SystemExit(f"Rows differ from the peers' by more than {TOLERANCE}.")


if __name__ == "__main__":
    main()
