"""The child process that holds one model: `python -m plural_nb.silicon.worker`, spoken to in lines of JSON.

Requests come on standard input, events go to standard output. A second thread reads the input: it ends the process
at end-of-file, also in mid-decode, so that no worker outlives its notebook, and it hears a cancellation at once.
"""

from __future__ import annotations

import ctypes
import json
import os
import queue
import sys
import threading
from typing import Any, BinaryIO

# Nothing else of plural_nb or of llama.cpp is imported at the top: the pipes must be safe before native code loads.

Frame = dict[str, Any]
OVERDUE = "The model's chat template did not finish within {:.0f} seconds. Ask it in completion mode instead."


class Worker:
    """Serves one parent: open a model, then answer prompts, until the input ends."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._sink = sink
        self._writing = threading.Lock()
        self._requests: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._current = 0
        self._cancelled_up_to = 0
        self._marking = threading.Lock()
        self._stop_byte = ctypes.create_string_buffer(2)
        self._model: Any = None
        self._template: Any = None
        self._told: set[int] = set()
        threading.Thread(target=self._listen, args=(source,), name="listener", daemon=True).start()

    def serve(self) -> None:
        """Answer requests one after the other, for as long as the process lives."""
        from plural_nb.errors import Cancelled, PluralError

        while True:
            request = self._requests.get()
            with self._marking:
                self._current = request["id"]
                self._mark()
            try:
                result = getattr(self, f"_do_{request['op']}")(request)
                self._say("done", **result)
            except Cancelled as error:
                self._say("error", kind="Cancelled", message=str(error))
            except PluralError as error:
                self._say("error", kind="ModelError", message=str(error))
            except Exception as error:
                self._say("error", kind="ModelError", message=f"The worker failed: {type(error).__name__}: {error}")
            del request  # else many prompts would be kept until the next request

    def _listen(self, source: BinaryIO) -> None:
        for line in source:
            frame = json.loads(line)
            if frame["op"] == "cancel":
                with self._marking:
                    self._cancelled_up_to = max(self._cancelled_up_to, frame["id"])
                    self._mark()
            else:
                self._requests.put(frame)
            del frame, line  # many prompts may be in them, and the next request may come much later
        os._exit(0)

    def _say(self, event: str, **body: Any) -> None:
        line = json.dumps({"event": event, "id": self._current, **body}).encode() + b"\n"
        with self._writing:
            self._sink.write(line)
            self._sink.flush()

    def _mark(self) -> None:
        # A cancellation names its request, so one that comes late does not hit the next.
        self._stop_byte[0] = b"\1" if self._cancelled() else b"\0"

    def _cancelled(self) -> bool:
        return self._cancelled_up_to >= self._current

    def _overdue(self) -> None:
        from plural_nb.silicon.template import SECONDS

        self._say("error", kind="ModelError", message=OVERDUE.format(SECONDS), fatal=True)
        os._exit(3)

    def _do_open(self, request: Frame) -> Frame:
        from plural_nb.errors import ModelError

        try:
            from plural_nb.silicon import engine
        except Exception as error:
            raise ModelError(
                f"llama-cpp-python cannot be used here ({type(error).__name__}: {error}). Install it again: "
                "pip install --force-reinstall llama-cpp-python"
            ) from None
        from plural_nb.silicon.template import ChatTemplate

        model = engine.LlamaModel(
            request["path"],
            threads=request["threads"],
            extra_buffers=request["extra_buffers"],
            context=request["context"],
            cancelled=self._stop_byte,
        )
        model.warm_up()
        self._model = model
        source = model.chat_template
        # A template that cannot be read must not keep the model from completions: it is reported when it is needed.
        self._template = source and (lambda: ChatTemplate(source, model.bos_text, model.eos_text, self._overdue))
        return {
            "llama_cpp": engine.version(),
            "system": engine.system_info(),
            "vocabulary_size": model.vocabulary_size,
            "trained_context": model.trained_context,
            "limit": model.limit,
            "context": model.context_size,
        }

    def _do_ask(self, request: Frame) -> Frame:
        from plural_nb.errors import Cancelled
        from plural_nb.silicon.asking import ask, prepare

        chat = any(prompt["messages"] for prompt in request["prompts"])
        template = self._template() if chat and self._template else None
        prepared: list[Any] = []
        seams: Any = {}
        for prompt in request["prompts"]:
            if self._cancelled():
                raise Cancelled("The request was cancelled.")
            prepared.append(prepare(self._model, template, prompt, seams))
        self._told = set()
        if request.get("fresh"):
            self._model.forget()
        for batch in ask(self._model, prepared):
            self._say("replies", replies=[self._reply(i, prepared[i], outcome) for i, outcome in batch])
        return {"context": self._model.context_size}

    def _do_count(self, request: Frame) -> Frame:
        return {"tokens": [len(self._model.tokens(text)) for text in request["texts"]]}

    def _do_modules(self, request: Frame) -> Frame:
        return {"modules": sorted(sys.modules)}

    def _reply(self, i: int, one: Any, outcome: Any) -> Frame:
        # Each token's text is told once per request: replies share most of their tokens.
        new = set(one.tokens) - self._told
        self._told |= new
        return {
            "place": i,
            "text": one.text,
            "tokens": one.tokens,
            "probabilities": outcome.probabilities,
            "lengths": outcome.lengths,
            "said": outcome.said,
            "pieces": [[t, self._model.piece(t)] for t in new],
        }


def main() -> None:
    """Take the pipes for the protocol, send everything else that prints to the log, and serve."""
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    # Whatever native code or a library prints belongs to the log, never between two frames.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    Worker(source, sink).serve()


if __name__ == "__main__":
    main()
