"""Of a labelled file too large for the memory at hand, the columns that are asked for are read, and no others."""

import os
import struct
import subprocess
import sys

import numpy as np
import polars as pl
import pyreadstat
import pytest

ROWS, COLUMNS = 100_000, 320
# Read whole by the reader, the file takes 1.4 GB of address space; ours took 0.5 GB for a column and the weight.
LIMIT = 1_000_000_000

LIMITED = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({LIMIT}, {LIMIT}))
path = sys.argv[1]
"""
OURS = """
from plural_nb.survey.reading import read_survey
survey = read_survey(path, weight="w")
print(len(survey.questions), *survey.answers("q7").shares().share[0].tolist())
"""
WHOLE = """
import pyreadstat
pyreadstat.read_sav(path, output_format="dict")
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file of 256 MB: the head as the writer makes it, then rows of numbers as they stand in such a file."""
    path = tmp_path_factory.mktemp("large") / "large.sav"
    names = [*(f"q{i}" for i in range(COLUMNS - 1)), "w"]
    labels = {name: {1.0: "Yes", 2.0: "No"} for name in names[:-1]}
    pyreadstat.write_sav(pl.DataFrame({name: [1.0] for name in names}), path, variable_value_labels=labels)
    head = bytearray(path.read_bytes()[: -8 * COLUMNS])
    assert struct.unpack("<i", head[80:84]) == (1,)
    head[80:84] = struct.pack("<i", ROWS)
    block = np.random.default_rng(0).integers(1, 3, (ROWS // 10, COLUMNS)).astype("<f8")
    block[:, -1] = 1.5
    with path.open("wb") as file:
        file.write(head)
        for _ in range(10):
            file.write(block.tobytes())
    yield path, float((block[:, 7] == 1).mean())
    path.unlink()


def run(program, path):
    # Each thread of these libraries reserves address space, which has nothing to do with the file.
    quiet = dict.fromkeys(("POLARS_MAX_THREADS", "MALLOC_ARENA_MAX", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return subprocess.run(
        [sys.executable, "-c", LIMITED + program, str(path)],
        env={**os.environ, **quiet}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not limit address space")
def test_a_column_is_read_where_the_whole_file_does_not_fit(large):
    path, share = large
    whole = run(WHOLE, path)
    assert whole.returncode != 0
    assert "MemoryError" in whole.stderr
    ours = run(OURS, path)
    assert ours.returncode == 0, ours.stderr
    questions, yes, no = map(float, ours.stdout.split())
    assert questions == COLUMNS - 1
    assert (yes, no) == pytest.approx((share, 1 - share))
