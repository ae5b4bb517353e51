"""The engine beside its peers, on one model in one process: a careful loop, what people write today, and the limit."""

from __future__ import annotations

import ctypes
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Tokens = tuple[int, ...]
Options = tuple[tuple[Tokens, ...], ...]
LIMIT = 512  # tokens of llama.cpp's own benchmark of prompt processing


class Bench:
    """One model, asked by us and by the peers; each has a context of its own.

    threads: for all of them. Weights are not repacked, because `llama_cpp.Llama` cannot be told and crashes on AMX.
    """

    def __init__(self, path: Path, threads: int) -> None:
        import llama_cpp as llama

        plain = llama.llama_model_default_params

        def without_repacking() -> Any:
            params = plain()
            params.use_extra_bufts = False
            return params

        llama.llama_model_default_params = without_repacking
        llama.llama_cpp.llama_model_default_params = without_repacking
        self._path, self._threads = path, threads
        self.ours = self._open()
        self.ours.warm_up()
        self.decoded = 0  # tokens that we gave to llama.cpp
        self._careful: Any = None
        self._plain: Any = None
        self._completing: Any = None
        decode = self.ours._decode_branches

        def counted(batch: Any) -> None:
            decode(batch)
            self.decoded += len(batch.tokens)

        self.ours._decode_branches = counted

    def ask(self, prompts: Sequence[Tokens], options: Options) -> dict[int, np.ndarray]:
        """Our row for each prompt, by its place."""
        *_, (_, found) = self.ask_in_parts(prompts, options, 1)
        return found

    def score(self, prepared: Sequence[Any]) -> None:
        """Ask prompts that are prepared already."""
        from plural_nb.silicon.asking import ask

        self.ours.forget()
        for _ in ask(self.ours, prepared):
            pass

    def ask_in_parts(
        self, prompts: Sequence[Tokens], options: Options, parts: int
    ) -> Iterator[tuple[float, dict[int, np.ndarray]]]:
        """Ask all prompts once, pausing `parts` times on the way: yields seconds since the pause, and all rows so far.

        What is decoded meanwhile stands in `decoded`.
        """
        from plural_nb.silicon.asking import Prepared, ask

        self.ours.forget()
        found: dict[int, np.ndarray] = {}
        begin = time.perf_counter()
        prepared = [Prepared("", prompt, options) for prompt in prompts]
        part = 1
        for batch in ask(self.ours, prepared):
            for i, outcome in batch:
                found[i] = np.array(outcome.probabilities)
            if len(found) >= part * len(prompts) / parts:
                yield time.perf_counter() - begin, found
                part += 1
                begin = time.perf_counter()

    def careful(self, prompts: Sequence[Tokens], options: Options) -> tuple[float, list[np.ndarray]]:
        """Seconds and rows of a loop over raw evaluation: what two neighbours share is kept, last logits only."""
        from plural_nb.silicon.scoring import log_softmax

        if self._careful is None:
            self._careful = self._one_after_the_other()
        model = self._careful
        model.require_context(max(LIMIT, *map(len, prompts)))
        begin, rows = time.perf_counter(), []
        for prompt in prompts:
            log_p = log_softmax(model.next_logits(prompt))
            rows.append(np.array([np.exp(log_p[form[0]]) for (form,) in options]))
        return time.perf_counter() - begin, rows

    def completion(self, prompts: Sequence[Tokens], options: Options) -> tuple[float, list[np.ndarray]]:
        """Seconds and rows of `create_completion(logprobs=…)` in a loop, as people write it."""
        import llama_cpp

        from plural_nb.silicon.scoring import log_softmax

        if self._completing is None:
            self._completing = llama_cpp.Llama(
                str(self._path),
                n_ctx=LIMIT,
                logits_all=True,
                n_threads=self._threads,
                n_threads_batch=self._threads,
                verbose=False,
            )
        took, rows = 0.0, []
        for prompt in prompts:
            begin = time.perf_counter()
            self._completing.create_completion(list(prompt), max_tokens=1, logprobs=20, temperature=0.0)
            took += time.perf_counter() - begin
            log_p = log_softmax(self._completing.scores[len(prompt) - 1])
            rows.append(np.array([np.exp(log_p[form[0]]) for (form,) in options]))
        return took, rows

    def limit(self, times: int) -> float:
        """Tokens per second of one batch of 512 (pp512), `times` in a row."""
        if self._plain is None:
            self._plain = self._one_after_the_other()
            self._plain.require_context(LIMIT)
        tokens = tuple(random.Random(1).randrange(10, 250) for _ in range(LIMIT))
        begin = time.perf_counter()
        for _ in range(times):
            self._plain.forget()
            self._plain.next_logits(tokens)
        return LIMIT * times / (time.perf_counter() - begin)

    def _one_after_the_other(self) -> Any:
        model = self._open()
        model.can_fork = False
        model._small = False  # flash attention, llama.cpp's default, is quicker for 512 tokens
        return model

    def _open(self) -> Any:
        from plural_nb.silicon.engine import LlamaModel

        stop = ctypes.create_string_buffer(2)
        return LlamaModel(str(self._path), threads=self._threads, extra_buffers=False, context=None, cancelled=stop)
