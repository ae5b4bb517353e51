"""How fast models are asked, beside what people write today and beside llama.cpp's own limit: one JSON object.

Run `python tests/benchmarks/engine.py` (`--quick`: fewer prompts and the shapes that fit in a few minutes). Prompts are
made of tokens: a preamble of 60, backstories of 80 (W5: 300), questions of 50, five options of one token each.

W1: people × questions, person after person. W2: the same, question after question. W3: respondents with few distinct
backstories (`folding`: how much quicker than respondents who are all different). W4: a thermometer
(`thermometer_cost`: 101 numbers beside five options). W5: long backstories, question after question.

vs_completion: prompts per second beside `create_completion(logprobs=…)` in a loop. vs_careful: beside a loop over raw
decoding that keeps the shared beginning. vs_limit: beside llama.cpp's prompt processing of 512 tokens (pp512) on the
distinct tokens. Each is the median of paired, interleaved runs; raw timings stand in "raw".

Models: random 8-bit weights in the shapes of 0.5 B and 135 M parameters, made on the spot, and the demo model.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

SHAPES = {"0.5B": (24, 896, 14, 2, 4864, 151_936), "135M": (30, 576, 9, 3, 1536, 49_152)}
RUNS = 3


def write_shape(path: Path, layers: int, width: int, heads: int, kv: int, inner: int, size: int) -> None:
    """A llama-architecture GGUF of random 8-bit weights."""
    import gguf

    draw = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(4096)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    tokens = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    tokens += [f"word{i}" for i in range(size - len(tokens) - 1)] + ["<|end|>"]
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (size - 1) + [3])
    writer.add_token_merges(["w o"])
    writer.add_bos_token_id(size - 1)
    writer.add_eos_token_id(size - 1)

    def matrix(name: str, rows: int, columns: int) -> None:
        blocks = np.empty((rows, columns // 32, 34), dtype=np.uint8)
        blocks[:, :, :2] = np.full(1, 1.7 / 127 / np.sqrt(columns), dtype=np.float16).view(np.uint8)
        blocks[:, :, 2:] = draw.integers(-127, 128, (rows, columns // 32, 32), dtype=np.int8).view(np.uint8)
        writer.add_tensor(name, blocks.reshape(rows, -1), raw_dtype=gguf.GGMLQuantizationType.Q8_0)

    one = np.ones(width, dtype=np.float32)
    matrix("token_embd.weight", size, width)
    writer.add_tensor("output_norm.weight", one)
    head = width // heads
    for i in range(layers):
        b = f"blk.{i}."
        matrix(b + "attn_q.weight", width, width)
        matrix(b + "attn_k.weight", kv * head, width)
        matrix(b + "attn_v.weight", kv * head, width)
        matrix(b + "attn_output.weight", width, width)
        matrix(b + "ffn_gate.weight", inner, width)
        matrix(b + "ffn_up.weight", inner, width)
        matrix(b + "ffn_down.weight", width, inner)
        writer.add_tensor(b + "attn_norm.weight", one)
        writer.add_tensor(b + "ffn_norm.weight", one)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Workload:
    """Prompts of tokens: the block for us, and the first of them, in the order asked, for the peers."""

    def __init__(self, name: str, size: int, people: int, questions: int, *, backstory: int = 80) -> None:
        draw = random.Random(name)

        def words(n: int) -> tuple[int, ...]:
            return tuple(draw.randrange(10, min(size, 250)) for _ in range(n))

        preamble = words(60)
        told = [words(backstory) for _ in range(people)]
        asked = [words(50) for _ in range(questions)]
        person_major = [preamble + p + q for p in told for q in asked]
        question_major = [preamble + p + q for q in asked for p in told]
        self.prompts = person_major if name == "W1" else question_major
        self.distinct = 60 + people * (backstory + 50 * questions)


class Bench:
    """One model, asked by us and by the peers."""

    def __init__(self, path: Path, threads: int) -> None:
        import llama_cpp as llama

        from plural_nb.silicon.engine import LlamaModel

        plain = llama.llama_model_default_params

        def without_repacking() -> Any:
            params = plain()
            params.use_extra_bufts = False
            return params

        llama.llama_model_default_params = without_repacking  # `Llama` cannot be told; it crashes on AMX
        llama.llama_cpp.llama_model_default_params = without_repacking
        self.path, self.threads = path, threads
        self.ours = LlamaModel(
            str(path),
            threads=threads,
            extra_buffers=False,
            context=None,
            cancelled=ctypes.create_string_buffer(2),
        )
        self.ours.warm_up()
        self._careful: Any = None
        self._peer: Any = None

    def ask(self, prompts: list[tuple[int, ...]], options: tuple[Any, ...], *, terminated: bool = False) -> Any:
        from plural_nb.silicon.asking import Prepared, ask

        self.ours.forget()
        begin = time.perf_counter()
        prepared = [Prepared("", p, options, terminated) for p in prompts]
        found = {i: o.probabilities for batch in ask(self.ours, prepared) for i, o in batch}
        return time.perf_counter() - begin, found

    def careful(self, prompts: list[tuple[int, ...]], options: tuple[Any, ...]) -> Any:
        from plural_nb.silicon.engine import LlamaModel
        from plural_nb.silicon.scoring import log_softmax

        if self._careful is None:
            self._careful = LlamaModel(
                str(self.path),
                threads=self.threads,
                extra_buffers=False,
                context=None,
                cancelled=ctypes.create_string_buffer(2),
            )
            self._careful.can_fork = False
            self._careful.require_context(max(map(len, prompts)))
        self._careful.forget()
        begin = time.perf_counter()
        rows = []
        for prompt in prompts:
            log_p = log_softmax(self._careful.next_logits(prompt))
            rows.append([float(np.exp(log_p[form[0]])) for (form,) in options])
        return time.perf_counter() - begin, rows

    def completion(self, prompts: list[tuple[int, ...]]) -> float:
        import llama_cpp

        if self._peer is None:
            self._peer = llama_cpp.Llama(
                str(self.path), n_ctx=512, logits_all=True, n_threads=self.threads, n_threads_batch=self.threads,
                verbose=False,
            )  # fmt: skip
        self._peer.reset()
        begin = time.perf_counter()
        for prompt in prompts:
            self._peer.create_completion(list(prompt), max_tokens=1, logprobs=20, temperature=0.0)
        return time.perf_counter() - begin

    def limit(self) -> float:
        """Tokens per second of one batch of 512."""
        tokens = tuple(random.Random(1).randrange(10, 250) for _ in range(512))
        self.ours.forget()
        begin = time.perf_counter()
        self.ours.next_logits(tokens)
        return 512 / (time.perf_counter() - begin)


def measure(path: Path, name: str, quick: bool) -> dict[str, Any]:
    """All workloads of one shape, in this process."""
    demo = name == "demo"
    bench = Bench(path, 1 if demo else min(4, os.cpu_count() or 1))
    options = tuple(((token,),) for token in range(33, 38))
    size = bench.ours.vocabulary_size
    people, questions = (4 if quick else 20, 10) if not demo else (40, 10)
    block = 8 if quick else 24
    result: dict[str, Any] = {}
    before = anonymous_mb()
    with PeakMemory() as peak:
        bench.ask(Workload("W1", size, 2, 10).prompts, options)
    if name == "0.5B":
        result["extra_mb"] = round(peak.mb - before, 1)
    works = [Workload("W1", size, people, questions), Workload("W2", size, people, questions)]
    if name == "0.5B":
        works.append(Workload("W5", size, 3 if quick else 10, 20, backstory=300))
    for label, work in zip(("W1", "W2", "W5"), works, strict=False):
        raw: dict[str, list[float]] = {"ours": [], "careful": [], "completion": [], "pp512": []}
        worst = 0.0
        for run in range(RUNS):
            some = work.prompts[run * block : (run + 1) * block]
            seconds, found = bench.ask(work.prompts, options)
            raw["ours"].append(len(work.prompts) / seconds)
            seconds, rows = bench.careful(some, options)
            raw["careful"].append(block / seconds)
            worst = max(
                worst, *(abs(found[run * block + i][k] - row[k]) for i, row in enumerate(rows) for k in range(5))
            )
            raw["completion"].append(block / bench.completion(some))
            raw["pp512"].append(bench.limit())
        limit = [rate * len(work.prompts) / work.distinct for rate in raw["pp512"]]
        result[label] = {
            "vs_completion": paired(raw["ours"], raw["completion"]),
            "vs_careful": paired(raw["ours"], raw["careful"]),
            "vs_limit": paired(raw["ours"], limit),
            "largest_difference": worst,
            "n": {"ours": len(work.prompts), "peers": block, "runs": RUNS},
            "raw": {key: [round(v, 2) for v in values] for key, values in raw.items()},
        }
    if demo:
        result |= (
            folding(bench, options) | thermometer(bench, options) | leak(bench, options, 5_000 if quick else 100_000)
        )
    return result


def folding(bench: Bench, options: tuple[Any, ...]) -> dict[str, Any]:
    """944 respondents of 60 kinds, beside 944 who are all different."""
    draw = random.Random(3)
    preamble = tuple(draw.randrange(10, 200) for _ in range(60))
    kinds = [tuple(draw.randrange(10, 200) for _ in range(40)) for _ in range(60)]
    alike = [preamble + draw.choice(kinds) for _ in range(944)]
    different = [(*preamble, 10 + i // 100, 10 + i % 100, *p[62:]) for i, p in enumerate(alike)]
    folded, apart = bench.ask(list(dict.fromkeys(alike)), options)[0], bench.ask(different, options)[0]
    return {"folding": round(apart / folded, 2)}


def thermometer(bench: Bench, options: tuple[Any, ...]) -> dict[str, Any]:
    """101 numbers through their digits, with their ends, beside five options."""
    digits = [15 + d for d in range(10)]
    numbers = tuple((tuple(digits[int(c)] for c in str(n)),) for n in range(101))
    prompts = Workload("W1", bench.ours.vocabulary_size, 10, 4).prompts
    bench.ours.ends()
    ratios = []
    for _ in range(RUNS):
        ratios.append(bench.ask(prompts, numbers, terminated=True)[0] / bench.ask(prompts, options)[0])
    return {"thermometer_cost": round(statistics.median(ratios), 2)}


def leak(bench: Bench, options: tuple[Any, ...], prompts: int) -> dict[str, Any]:
    """Memory that stays after many short prompts."""
    draw = random.Random(5)
    bench.ask([tuple(draw.randrange(10, 200) for _ in range(20)) for _ in range(1000)], options)
    before = anonymous_mb()
    for _ in range(prompts // 1000):
        bench.ask([tuple(draw.randrange(10, 200) for _ in range(20)) for _ in range(1000)], options)
    return {"leak_mb": round(anonymous_mb() - before, 1), "leak_prompts": prompts}


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


def anonymous_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def paired(ours: list[float], theirs: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 2)


def store_rates(demo: Path, asked: int) -> dict[str, Any]:
    """Bulk look-ups of known keys, and a second ask by a new session, per second."""
    from plural_nb.silicon.model import open_model
    from plural_nb.silicon.store import Store
    from plural_nb.survey.question import ask_for

    with tempfile.TemporaryDirectory() as folder:
        os.environ["PLURAL_NB_CACHE"] = folder
        store = Store(Path(folder) / "rates.sqlite")
        keys = [os.urandom(32) for _ in range(200_000)]
        store.put({key: bytes(900) for key in keys})
        store.flush()
        begin = time.perf_counter()
        assert len(store.get(keys)) == len(keys)
        lookups = len(keys) / (time.perf_counter() - begin)
        store.close()
        crowd = [f"I am person {i}." for i in range(asked)]
        question = ask_for("Tea or coffee?", ["Tea", "Coffee"])
        rates = []
        with open_model(demo) as model:
            begin = time.perf_counter()
            model.ask(question, persona=crowd, examples=0)
            first = asked / (time.perf_counter() - begin)
            begin = time.perf_counter()
            model.ask(question, persona=crowd, examples=0)
            rates.append(asked / (time.perf_counter() - begin))
        with open_model(demo) as model:
            begin = time.perf_counter()
            model.ask(question, persona=crowd, examples=0)
            rates.append(asked / (time.perf_counter() - begin))
    return {
        "store_lookups_per_s": round(lookups),
        "second_ask_per_s": round(rates[0]),
        "second_ask_new_session_per_s": round(rates[1]),
        "first_ask_per_s": round(first),
        "second_ask_prompts": asked,
    }


def cancel_ms(path: Path) -> float:
    """From `cancel()` to the exception, in the middle of a decode."""
    from plural_nb.errors import Cancelled
    from plural_nb.silicon.model import open_model
    from plural_nb.survey.question import ask_for

    took = []
    with tempfile.TemporaryDirectory() as folder, open_model(path) as model:
        os.environ["PLURAL_NB_CACHE"] = folder
        for i in range(RUNS):
            ended: list[float] = []

            def run(i: int = i, ended: list[float] = ended) -> None:
                try:
                    model.ask(ask_for("?", ["a", "b"]), persona=[f"{i} " * 150 + str(j) for j in range(50)], examples=0)
                except Cancelled:
                    ended.append(time.perf_counter())

            thread = threading.Thread(target=run)
            thread.start()
            time.sleep(1.5)
            begin = time.perf_counter()
            model.cancel()
            thread.join()
            took.append(1000 * (ended[0] - begin))
    return round(statistics.median(took), 1)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="fewer prompts")
    options.add_argument("--shape", help=argparse.SUPPRESS)
    options.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.shape:
        print(json.dumps(measure(args.model, args.shape, args.quick)))
        return
    begin = time.perf_counter()
    demo = Path(__file__).resolve().parents[2] / "data" / "models" / "plural-demo-base.gguf"
    result: dict[str, Any] = {"W1": {}, "W2": {}, "W5": {}}
    with tempfile.TemporaryDirectory() as folder:
        paths = {"demo": demo}
        for name, shape in SHAPES.items():
            paths[name] = Path(folder) / f"{name}.gguf"
            write_shape(paths[name], *shape)
        for name in ("demo", "135M", "0.5B"):
            command = [sys.executable, __file__, "--shape", name, "--model", str(paths[name])]
            env = os.environ | {"OMP_WAIT_POLICY": "passive"}
            done = subprocess.run(
                [*command, *(["--quick"] if args.quick else [])], env=env, capture_output=True, text=True
            )
            if done.returncode:
                result.setdefault("reasons", {})[name] = (done.stderr.splitlines() or [f"exit {done.returncode}"])[-1]
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            for key, value in found.items():
                if key in ("W1", "W2", "W5"):
                    result[key][name] = value
                else:
                    result[key] = value
        result |= store_rates(demo, 4_000 if args.quick else 40_000)
        result["cancel_ms"] = cancel_ms(paths["0.5B"])
    result["seconds"] = round(time.perf_counter() - begin, 1)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
