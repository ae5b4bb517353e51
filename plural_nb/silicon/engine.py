"""llama.cpp itself, through its C functions: load, tokenise, decode. Only the worker process imports this."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import llama_cpp as llama
import numpy as np
import numpy.typing as npt

from plural_nb.errors import Cancelled, ModelError
from plural_nb.silicon.cells import PATH, Cells
from plural_nb.silicon.planning import Batch, batches, shared_length
from plural_nb.silicon.scoring import Evaluated

Tokens = tuple[int, ...]
BATCH = 512  # tokens of one sequence that are decoded together
CONTEXT = 2048
_WARM_UP = 16
# ggml's flash attention works on tiles of 64 tokens; fewer go one by one, several times slower where heads are small
# (63 tokens behind 190 take 19 ms, 64 take 6 ms at 1 M parameters; 6 and 6 ms without it). So small models do without;
# in a large one the weights cost more than the attention.
_SMALL_MODEL = 20_000_000
_DEBUG = 1  # ggml.h; the order in llama_cpp's own logger is an older one
_ABORTED = 2
_BATCH_FIELDS: dict[str, Any] = {name: kind for name, kind, *_ in llama.llama_batch._fields_}
# Branches of the prefix tree that are alive at once, and how many rows of logits are kept for them (float32 each, so
# 40 MB at most): more of either costs memory and, through the wider attention, time.
_BRANCHES = 128
_OUTPUTS, _OUTPUT_FLOATS = 256, 10_000_000
# Cells of memory come in steps of 256, batches of branches in steps of 64. How many tokens a batch has, at least and at
# most: in a small model attention, over all cells in use, is most of the work, so it is as few as keep the weights busy
# (pp512 = 1: 64 tokens 1.03, 256 .96, 512 .83). In a larger one each batch reads all weights anew (135 M: 256 tokens
# .945 to .97, 512 .97 to .98). At 0.5 B, 410 tokens a prompt, the wider attention takes what that saves (both .925 to
# .97), and answers come twice as often with the smaller batch.
_CELLS, _STEP = 256, 64
_SMALL_BATCH, _MIDDLE_BATCH, _LARGE_BATCH = (64, 64), (512, 512), (192, 256)
_LARGE_MODEL = 300_000_000


class LlamaModel:
    """One model in memory, which remembers the sequence of tokens it decoded last.

    path: the GGUF file. threads: for decoding. extra_buffers: whether weights may be repacked for this processor
        (llama.cpp's use_extra_bufts). context: fixed number of tokens, or None to grow with the prompts.
    vocabulary_only: load the tokenizer without the weights; such a model cannot decode.
    cancelled: one shared byte; loading and decoding stop with `Cancelled` once another thread makes it b"\\1".

    Raises ModelError when the file cannot be loaded or holds no language model.
    """

    def __init__(
        self,
        path: str,
        *,
        threads: int,
        extra_buffers: bool,
        context: int | None,
        cancelled: ctypes.Array[ctypes.c_char],
        vocabulary_only: bool = False,
    ) -> None:
        llama.llama_log_set(_log, None)
        llama.llama_backend_init()
        self._cancelled = cancelled
        # Kept on self: llama.cpp holds the bare pointers for as long as model and context live.
        self._abort = _byte_reader()
        self._loading = llama.llama_progress_callback(lambda _, __: cancelled[0] != b"\x01")
        params = llama.llama_model_default_params()
        params.progress_callback = self._loading
        params.vocab_only = vocabulary_only
        if hasattr(params, "use_extra_bufts"):
            params.use_extra_bufts = extra_buffers
        self._model = llama.llama_model_load_from_file(os.fsencode(path), params)
        if not self._model:
            if self._is_cancelled():
                raise Cancelled("Loading the model was cancelled.")
            raise ModelError(
                f"{path} cannot be loaded by llama.cpp. The file may be damaged, newer than this llama.cpp, or larger "
                "than the free memory."
            )
        if llama.llama_model_has_encoder(self._model) or not llama.llama_model_has_decoder(self._model):
            raise ModelError(f"{path} is not a plain language model (it has an encoder). Choose another.")
        if hasattr(llama, "llama_model_is_diffusion") and llama.llama_model_is_diffusion(self._model):
            raise ModelError(f"{path} is a diffusion model: it does not write word after word. Choose another.")
        self._vocab = llama.llama_model_get_vocab(self._model)
        if llama.llama_vocab_type(self._vocab) == llama.LLAMA_VOCAB_TYPE_NONE:
            raise ModelError(f"{path} has no tokenizer, so it cannot read text. Convert the model again.")
        self.vocabulary_size = int(llama.llama_vocab_n_tokens(self._vocab))
        self.trained_context = int(llama.llama_model_n_ctx_train(self._model)) or CONTEXT
        self.limit = min(context or self.trained_context, self.trained_context)
        self._fixed = context is not None
        size = llama.llama_model_n_params(self._model)
        self._small = size < _SMALL_MODEL
        self._room = _SMALL_BATCH if self._small else _MIDDLE_BATCH if size < _LARGE_MODEL else _LARGE_BATCH
        self._threads = threads
        self._context: Any = None
        self._memory: Any = None
        self.context_size = 0
        self._batch = BATCH
        self._decoded: list[int] = []
        self._cells: Any = None  # Cells, of this context
        self._forked: dict[int, int] = {}  # branches that hold some of the remembered path, and how many tokens of it
        # A recurrent state can be neither cut back nor forked; such a model reads one prompt after the other.
        asks = [getattr(llama, f"llama_model_is_{kind}", None) for kind in ("recurrent", "hybrid")]
        self.can_fork = not any(ask(self._model) for ask in asks if ask)
        self._ends: npt.NDArray[np.intp] | None = None
        self._outputs = max(16, min(_OUTPUTS, _OUTPUT_FLOATS // self.vocabulary_size))
        # llama.cpp aborts where it may have more sequences than rows of logits.
        self._branches = min(_BRANCHES, self._outputs)
        self._bos = int(llama.llama_vocab_bos(self._vocab))
        self._eos = int(llama.llama_vocab_eos(self._vocab))
        self.bos_text = self.piece(self._bos) if self._bos >= 0 else ""
        self.eos_text = self.piece(self._eos) if self._eos >= 0 else ""

    @property
    def chat_template(self) -> str | None:
        """The template from the file, or None."""
        found = llama.llama_model_chat_template(self._model, None)
        return found.decode("utf-8", errors="replace") if found else None

    def warm_up(self) -> None:
        """Decode a few tokens at once, which dies here and now where the processor and the build do not agree."""
        n = min(_WARM_UP, self.limit, self.vocabulary_size)
        self.next_logits(tuple(range(n)))
        if n > 1 and not llama.llama_memory_seq_rm(self._memory, PATH, n - 1, -1):
            self.can_fork = False
        self.forget()

    def tokens(self, text: str, *, special: bool = False, parse: bool = False) -> Tokens:
        """Tokenise `text`.

        special: add what the model's metadata asks for in front (begin of text). parse: read the spellings of
        control tokens in the text as those tokens.
        """
        try:
            raw = text.encode("utf-8")
        except UnicodeEncodeError:
            raise ModelError("The text has a lone surrogate, which is no character. Remove it.") from None
        room = len(raw) + 8
        buffer = (llama.llama_token * room)()
        n = llama.llama_tokenize(self._vocab, raw, len(raw), buffer, room, special, parse)
        if n < 0:
            room = -n
            buffer = (llama.llama_token * room)()
            n = llama.llama_tokenize(self._vocab, raw, len(raw), buffer, room, special, parse)
        if n < 0:
            raise ModelError(f"llama.cpp cannot tokenise the text {text[:60]!r}…")
        found = tuple(buffer[:n])
        # A few vocabularies also ask for an end of text, which would close the prompt before the answer.
        if special and found and llama.llama_vocab_get_add_eos(self._vocab) and found[-1] == self._eos:
            found = found[:-1]
        return found

    def is_control(self, token: int) -> bool:
        """Whether a token steers (begin of text, end of turn) rather than says something."""
        return bool(llama.llama_vocab_is_control(self._vocab, token))

    def piece(self, token: int) -> str:
        """The text of one token."""
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            n = llama.llama_token_to_piece(self._vocab, token, buffer, room, 0, True)
            if n >= 0:
                return buffer.raw[:n].decode("utf-8", errors="replace")
            room = -n

    def ends(self) -> npt.NDArray[np.intp]:
        """The tokens that end an answer: ends of turn and of text, and all whose text begins with a line break."""
        if self._ends is None:
            is_end = [
                llama.llama_vocab_is_eog(self._vocab, token) or self.piece(token)[:1] in ("\n", "\r")
                for token in range(self.vocabulary_size)
            ]
            self._ends = np.flatnonzero(is_end)
        return self._ends

    def ends_of_text(self) -> npt.NDArray[np.intp]:
        """The tokens that end a turn or a text."""
        is_end = [llama.llama_vocab_is_eog(self._vocab, token) for token in range(self.vocabulary_size)]
        return np.flatnonzero(is_end)

    def require_context(self, size: int) -> None:
        """Have a context for prompts of `size` tokens; a longer prompt makes a new one, as small as will do."""
        if size > self.limit:
            raise ModelError(self._too_long(size))
        if self.can_fork and len(self._decoded) > size:  # what an earlier, longer prompt left takes the batch's room
            self._cut(size)
        # Beside the remembered path there is room for a batch of other branches.
        least, most = self._room
        cells = max(self.context_size, -(-(size + least * self.can_fork) // _CELLS) * _CELLS)
        self._batch = min(most, (cells - size) // _STEP * _STEP) if self.can_fork else min(BATCH, cells)
        if cells == self.context_size:
            return
        if self._context is not None:
            llama.llama_free(self._context)
            self._context = self._memory = self._cells = None
        self._decoded, self._forked = [], {}
        params = llama.llama_context_default_params()
        params.n_ctx = cells
        params.n_batch = params.n_ubatch = min(most if self.can_fork else BATCH, cells)
        params.n_seq_max = self._branches if self.can_fork else 1
        params.kv_unified = True  # branches share the cells of their common beginning
        params.n_threads = params.n_threads_batch = self._threads
        params.abort_callback = self._abort
        params.abort_callback_data = ctypes.addressof(self._cancelled)
        if self._small and hasattr(params, "flash_attn_type"):
            params.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
            # Without it, attention is multiplied with values in their type: single precision spares the conversion of
            # every weight of attention to half precision (8% of all time), and a rounding. Keys would be slower so.
            params.type_v = llama.GGML_TYPE_F32
        # A sliding-window cache of full size: cutting back to a shared beginning must find what was there.
        params.swa_full = True
        if hasattr(params, "n_outputs_max"):
            params.n_outputs_max = self._outputs if self.can_fork else 1
        self._context = llama.llama_init_from_model(self._model, params)
        if not self._context:
            self.context_size = 0
            raise ModelError(
                f"llama.cpp has no room for a context of {cells:,} tokens. Close other models, or open this one with "
                "a smaller n_ctx."
            )
        self.context_size = cells
        self._memory = llama.llama_get_memory(self._context)
        if not self._memory:
            raise ModelError("This model keeps no memory of a text, so it cannot continue one. Choose another.")
        slides = llama.llama_model_n_swa(self._model) > 0
        self._cells = Cells(self._context, filler=self._branches - 1, movable=not slides)

    def evaluate(self, sequences: Iterable[Tokens]) -> Iterator[Evaluated]:
        """Yield, batch by batch, the places of sequences and the logits (n, vocabulary size) of the token after each.

        sequences: distinct, sorted, none longer than the context is made for. Each distinct beginning of them is
        decoded once. The logits are llama.cpp's own memory: they hold until the next batch is asked for.
        """
        if not self.can_fork:
            for place, tokens in enumerate(sequences):
                yield [place], self.next_logits(tokens)[None]
            return
        planned = batches(
            sequences,
            tuple(self._decoded),
            size=self._batch,
            branches=self._branches - 2,  # without the path and what fills its last tile
            outputs=self._outputs,
        )
        for batch in planned:
            self._decode_branches(batch)
            if batch.outputs:
                yield [place for _, place in batch.outputs], self._outputs_of(len(batch.outputs))

    def next_logits(self, tokens: Tokens) -> npt.NDArray[np.float32]:
        """Logits (vocabulary size,) of the token after `tokens`; decodes only what is not remembered."""
        if not tokens:
            raise ModelError("The prompt has no tokens. Give it text.")
        self.require_context(len(tokens))
        # The last token is decoded in any case, because its logits are wanted.
        keep = min(shared_length(self._decoded, tokens), len(tokens) - 1)
        if keep < len(self._decoded) and not self._cut(keep):
            self.forget()
            keep = 0
        for begin in range(keep, len(tokens), self._batch):
            self._decode(tokens[begin : begin + self._batch])
        return self._logits(-1).copy()

    def forget(self) -> None:
        """Clear the memory of what was decoded."""
        if self._memory is not None:
            llama.llama_memory_clear(self._memory, True)
            self._cells.cut(0)
        self._decoded, self._forked = [], {}

    def _cut(self, length: int) -> bool:
        """Keep so many tokens of the remembered path, in all branches; False where the memory cannot be cut."""
        if not llama.llama_memory_seq_rm(self._memory, -1, length, -1):
            return False
        self._decoded = self._decoded[:length]
        self._cells.cut(length)
        self._forked = {branch: min(held, length) for branch, held in self._forked.items()}
        return True

    def _is_cancelled(self) -> bool:
        return self._cancelled[0] == b"\1"

    def _logits(self, row: int) -> npt.NDArray[np.float32]:
        pointer = llama.llama_get_logits_ith(self._context, row)
        if not pointer:
            raise ModelError("llama.cpp gave no logits for the last token.")
        return np.ctypeslib.as_array(pointer, shape=(self.vocabulary_size,))

    def _outputs_of(self, n: int) -> npt.NDArray[np.float32]:
        # Rows stand one behind the other, in the order of their tokens in the batch, which is that of the plan.
        pointer = llama.llama_get_logits(self._context)
        if not pointer:
            raise ModelError("llama.cpp gave no logits for the last tokens.")
        return np.ctypeslib.as_array(pointer, shape=(n, self.vocabulary_size))

    def _decode(self, tokens: Sequence[int]) -> None:
        held = (llama.llama_token * len(tokens))(*tokens)
        # A batch of one sequence: positions follow the memory, logits come for its last token only.
        self._run(llama.llama_batch_get_one(held, len(tokens)))
        self._decoded += tokens
        self._cells.lose(len(self._decoded))

    def _gather(self, length: int) -> None:
        self._cut(length)
        try:
            if self._cells.gather():
                self._forked = {}
        except ModelError:
            self.forget()
            raise

    def _decode_branches(self, batch: Batch) -> None:
        if not self._small:  # which does without flash attention, so without tiles
            self._gather(batch.forks[0])
        # A branch keeps what it holds of the path from batch to batch: the hundred numbers behind one prompt share some
        # dozen branches, and adding a cell to a branch costs as much as a small model's multiplication.
        for branch, length in enumerate(batch.forks, start=1):
            if (held := self._forked.get(branch, 0)) < length:
                llama.llama_memory_seq_cp(self._memory, PATH, branch, held, length)
            elif held > length:
                llama.llama_memory_seq_rm(self._memory, branch, length, -1)
        self._run(self._filled(batch))
        # The last branch becomes the remembered path.
        last, kept = len(batch.forks), batch.forks[-1]
        llama.llama_memory_seq_rm(self._memory, PATH, kept, -1)
        llama.llama_memory_seq_cp(self._memory, last, PATH, kept, -1)
        self._forked |= enumerate(batch.forks, start=1)
        for branch, held in self._forked.items():
            if branch <= last or held > kept:
                llama.llama_memory_seq_rm(self._memory, branch, min(held, kept), -1)
        self._forked = {branch: min(held, kept) for branch, held in self._forked.items() if kept}
        self._cells.remember(batch)
        self._decoded = list(batch.path)

    def _filled(self, batch: Batch) -> Any:
        # llama_batch in numpy's memory: a token's branches are consecutive, so its list of them is a place in one
        # array of all branches. Kept on self until the next batch, because llama.cpp holds bare pointers.
        every = np.arange(_BRANCHES, dtype=np.int32)
        lists = every.ctypes.data + every.itemsize * batch.first.astype(np.uintp)
        wanted = np.zeros(len(batch.tokens), dtype=np.int8)
        wanted[[row for row, _ in batch.outputs]] = 1
        self._held = (batch, every, lists, wanted)
        made = llama.llama_batch()
        made.n_tokens = len(batch.tokens)
        for name, array in (
            ("token", batch.tokens),
            ("pos", batch.positions),
            ("n_seq_id", batch.count),
            ("seq_id", lists),
            ("logits", wanted),
        ):
            setattr(made, name, ctypes.cast(array.ctypes.data, _BATCH_FIELDS[name]))
        return made

    def _run(self, batch: Any) -> None:
        if self._is_cancelled():
            self.forget()  # branches may have been forked already
            raise Cancelled("The request was cancelled.")
        result = llama.llama_decode(self._context, batch)
        if result == 0:
            return
        self.forget()
        if result == _ABORTED:
            raise Cancelled("The request was cancelled.")
        raise ModelError(f"llama.cpp could not decode the prompt (result {result}).")

    def _too_long(self, size: int) -> str:
        over = size - self.limit
        if self.limit < self.trained_context:
            remedy = f"Open the model with n_ctx up to {self.trained_context:,}, or shorten persona and question."
        else:
            remedy = "That is all this model was trained to read: shorten persona and question, or choose another."
        return (
            f"The prompt and its answer take {size:,} tokens, {over:,} more than the context of {self.limit:,}. "
            f"{remedy}"
        )


def version() -> str:
    """The version of llama-cpp-python, which names the llama.cpp inside."""
    return str(getattr(llama, "__version__", "unknown"))


def system_info() -> str:
    """What llama.cpp found in this processor."""
    return str(llama.llama_print_system_info().decode("utf-8", errors="replace")).strip(" |")


def _byte_reader() -> Any:
    # llama.cpp asks at every node of its graph whether to stop. A Python function would need the interpreter's lock
    # each time (0.6 ms of 2.9 for a small decode on 2 threads). C's strlen is a native function that reads the byte it
    # is given: 0 for a zero byte, 1 for a set one that a zero byte follows.
    c = ctypes.cdll.msvcrt if os.name == "nt" else ctypes.CDLL(None)
    return ctypes.cast(c.strlen, llama.ggml_abort_callback)


@llama.llama_log_callback  # type: ignore[untyped-decorator]
def _log(level: int, text: bytes, _: object) -> None:
    if level != _DEBUG:
        os.write(2, text)
