"""The cells of llama.cpp's memory: where the remembered path lies in it, and how it comes to lie in one row."""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp as llama
import numpy as np
import numpy.typing as npt

from plural_nb.errors import ModelError
from plural_nb.silicon.planning import Batch

PATH = 0  # the sequence of llama.cpp that holds the remembered path
_TILE = 64  # tokens and cells of a tile of ggml's flash attention
_MOST_MOVED = 2**26  # bytes; a path that takes more stays where it is
_UNKNOWN = -1


class Cells:
    """Which cell of a context's memory holds each token of the remembered path.

    llama.cpp puts a batch into whatever cells are free. Its flash attention works on tiles of 64 tokens by 64 cells and
    leaves out those where nothing is to be seen, so a path in one row and a batch that begins at a tile's edge save up
    to a fifth of them (for 64 tokens of 410 behind a long backstory: 8.5 tiles in pieces, 7.4 in a row, 7.1 at the
    edge; 4.5 in pp512).

    context: llama.cpp's. filler: a sequence that nobody else uses; it fills the cells up to the tile's edge. movable:
        whether what llama.cpp writes of a sequence is all of it. Where layers see a sliding window only, it is not.
    of_path: (n,) the cell of each of the path's n tokens, counted from 0; -1 where it is not known.
    """

    def __init__(self, context: Any, *, filler: int, movable: bool) -> None:
        self._context, self._filler, self._movable = context, filler, movable
        self._memory = llama.llama_get_memory(context)
        self._begin: int | None = None  # of the next batch, where it is known
        self.of_path: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def cut(self, length: int) -> None:
        """Only so many tokens of the path are left."""
        self.of_path = self.of_path[:length]

    def lose(self, length: int) -> None:
        """The path has so many tokens now, and where they are is not known."""
        self.of_path = np.full(length, _UNKNOWN)

    def gather(self) -> bool:
        """Have the path in the first cells and the rest free, but for what fills its last tile; whether it was moved.

        To be called right before a batch, with no other sequence in memory that holds more than the path. A move
        empties all other sequences. Raises ModelError where llama.cpp cannot read what it wrote.
        """
        self._begin = None
        if not self._movable:
            return False
        llama.llama_memory_seq_rm(self._memory, self._filler, -1, -1)
        length = len(self.of_path)
        moved = not np.array_equal(self.of_path, np.arange(length))
        if moved:
            held = self._saved(PATH)
            if held is None:
                return False
            llama.llama_memory_clear(self._memory, False)
            self._restore(held, PATH)
            # They come back in the order of their cells, which is that of the path, where its cells are known: a batch
            # begins behind the path's last cell.
            self.of_path = np.arange(length) if (self.of_path >= 0).all() else np.full(length, _UNKNOWN)
        self._begin, gap = length, -length % _TILE
        if 0 < gap <= length:
            llama.llama_memory_seq_cp(self._memory, PATH, self._filler, 0, gap)
            held = self._saved(self._filler)
            if held is not None:
                self._restore(held, self._filler)  # into cells of its own
                self._begin += gap
        return moved

    def remember(self, batch: Batch) -> None:
        """The batch was decoded, and its last branch is the path."""
        last, kept = len(batch.forks), batch.forks[-1]
        if self._begin is None:
            self.lose(len(batch.path))
            return
        rows = np.flatnonzero(batch.first + batch.count > last)
        self.of_path = np.concatenate([self.of_path[:kept], self._begin + rows])

    def _saved(self, sequence: int) -> npt.NDArray[np.uint8] | None:
        size = llama.llama_state_seq_get_size(self._context, sequence)
        if size > _MOST_MOVED:
            return None
        held = np.empty(size, dtype=np.uint8)
        return held if llama.llama_state_seq_get_data(self._context, _bytes(held), size, sequence) == size else None

    def _restore(self, held: npt.NDArray[np.uint8], sequence: int) -> None:
        if llama.llama_state_seq_set_data(self._context, _bytes(held), held.size, sequence) != held.size:
            raise ModelError("llama.cpp could not read back its own memory of a prompt. Open the model again.")


def _bytes(held: npt.NDArray[np.uint8]) -> Any:
    return held.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
