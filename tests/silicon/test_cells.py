"""The remembered path lies in one row of llama.cpp's memory, and moving it there never shows in a probability."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .conftest import gguf_bytes, tiny_sliding_model

WALK = """
import ctypes, json, os, random, re, sys
os.environ["LLAMA_KV_CACHE_DEBUG"] = "1"  # llama.cpp says where it looks for cells, each time
import llama_cpp
import numpy as np
from plural_nb.silicon import cells, engine
from plural_nb.silicon.cells import PATH

told = []
@llama_cpp.llama_log_callback
def listen(level, text, _):
    if found := re.search(rb"find_slot.* n = *(\\d+), used = *(\\d+), head = *(\\d+)", text):
        told.append([int(number) for number in found.groups()])

engine._SMALL_MODEL = engine._LARGE_MODEL = 0  # this tiny model is treated as a large one
cells._MOST_MOVED = int(sys.argv[2])
m = engine.LlamaModel(sys.argv[1], threads=1, extra_buffers=False, context=None,
                      cancelled=ctypes.create_string_buffer(2))
llama_cpp.llama_log_set(listen, ctypes.c_void_p(0))
draw = random.Random(0)
some = lambda n: tuple(draw.randrange(3, 250) for _ in range(n))
start, asked = some(40), [some(n) for n in (30, 45, 50, 61)]
sequences = sorted(start + back + ask for back in map(some, (90, 110, 130, 300, 70)) for ask in asked)
m.require_context(max(map(len, sequences)))

def in_order_of_cells():
    cells._MOST_MOVED = 2**26
    held = m._cells._saved(PATH)
    cells._MOST_MOVED, n = int(sys.argv[2]), len(m._decoded)
    for at in range(0, 64, 4):
        # a count of cells, then position, number of sequences and sequence of each
        if int(held[at : at + 4].view(np.uint32)[0]) == n:
            rows = held[at + 4 : at + 4 + 12 * n].view(np.int32).reshape(n, 3)
            if sorted(rows[:, 0]) == list(range(n)):
                return rows[:, 0].tolist()

seen, gathered, decode, gather = [], [], m._decode_branches, m._gather
def watched_gather(length):
    gather(length)
    gathered.append([length, m._cells._begin])
m._gather = watched_gather
def watched(batch):
    told.clear()
    decode(batch)
    seen.append([told[-1], m._cells.of_path.tolist(), in_order_of_cells()])
m._decode_branches = watched
found = {place: row.copy() for places, rows in m.evaluate(sequences) for place, row in zip(places, rows)}
m._decode_branches = decode
worst = 0
for place, sequence in enumerate(sequences):
    m.forget()
    worst = max(worst, float(abs(found[place] - m.next_logits(sequence)).max()))
scale = float(np.std(found[0]))
print(json.dumps([len(found), worst, scale, gathered, seen]))
"""


def test_the_path_is_moved_into_one_row_and_a_batch_begins_at_a_tiles_edge(
    tiny_path: Path, run_python: Callable[..., Any]
) -> None:
    n, worst, scale, gathered, seen = run_python(WALK, tiny_path, 2**26)
    assert n == 20
    assert len(seen) >= 6
    assert worst < 0.01 * scale
    for (length, begin), ((highest, used, head), of_path, in_order) in zip(gathered, seen, strict=True):
        # What llama.cpp itself says as it looks for the batch's cells: all cells in use are the first ones.
        assert highest == used == head == begin
        assert begin == -(-length // 64) * 64
        assert of_path == sorted(of_path)
        assert in_order == list(range(len(of_path)))


def test_a_path_too_large_to_be_moved_stays_where_it_is(tiny_path: Path, run_python: Callable[..., Any]) -> None:
    n, worst, scale, gathered, seen = run_python(WALK, tiny_path, 16)
    assert n == 20
    assert worst < 0.01 * scale
    assert any(begin is None for _, begin in gathered)
    for (_, begin), ((highest, used, _), _, _) in zip(gathered, seen, strict=True):
        assert begin is None or highest == used == begin


def test_a_model_with_a_sliding_window_is_asked_as_exactly(tmp_path: Path, run_python: Callable[..., Any]) -> None:
    """Of such a model llama.cpp writes the window only; the path it gives back would lack what later branches see."""
    path = tmp_path / "sliding.gguf"
    path.write_bytes(gguf_bytes(*tiny_sliding_model(window=64)))
    n, worst, scale, _, seen = run_python(WALK, path, 2**26)
    assert n == 20
    assert len(seen) >= 6
    assert worst < 0.01 * scale
