"""Every shipped notebook runs from top to bottom, without outputs in git, and with an exercise."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_is_shipped_without_outputs(path: Path) -> None:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs"), f"{path.name} holds outputs"
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_has_one_exercise(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    headings = [
        line for c in cells if c["cell_type"] == "markdown" for line in c["source"] if line.startswith("## Exercise")
    ]
    assert len(headings) == 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs_from_top_to_bottom(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PLURAL_NB_CACHE", str(tmp_path / "cache"))
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    printed = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    assert printed, "a notebook that shows nothing teaches nothing"
    assert not [o for o in printed if o.output_type == "stream" and o.name == "stderr"], printed
