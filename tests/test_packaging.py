"""What a wheel holds: everything a user needs, nothing else."""

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A wheel built from the source distribution, as a packager would."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    [sdist] = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert not [n for n in archive.getnames() if "__pycache__" in n]
    [found] = out.glob("*.whl")
    return found


def test_wheel_holds_package_front_ends_notebooks_and_data(wheel: Path, root: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "plural_nb/py.typed" in names
    for folder, home in (("widgets", "_front"), ("notebooks", "_share/notebooks"), ("data", "_share/data")):
        tracked = subprocess.run(
            ["git", "ls-files", folder], cwd=root, capture_output=True, text=True, check=False
        ).stdout.split("\n")
        files = [line for line in tracked if line and not line.endswith(".gitkeep")]
        if not files:
            files = [str(p.relative_to(root)) for p in (root / folder).rglob("*") if p.is_file()]
        assert files
        for file in files:
            assert f"plural_nb/{home}/{file.removeprefix(folder + '/')}" in names
    for module in (root / "plural_nb").rglob("*.py"):
        assert str(module.relative_to(root)) in names


def test_wheel_is_small_and_holds_no_leftovers(wheel: Path) -> None:
    assert wheel.stat().st_size <= 15 * 2**20
    for name in zipfile.ZipFile(wheel).namelist():
        assert not re.search(r"__pycache__|\.ipynb_checkpoints|\.pt$|\.ckpt$|\.pyc$|(^|/)tests/|\.cache", name), name


def test_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Unpacked where no checkout is near, the package finds its own notebooks, data and front ends."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import plural_nb, sys; from plural_nb import resources\n"
        "assert resources.data('models', 'plural-demo-base.gguf').is_file()\n"
        "assert (resources.notebooks() / '00_tour.ipynb').is_file()\n"
        "assert (resources.front('explorer') / 'index.js').is_file()\n"
        "print(resources.data())"
    )
    # -S drops site-packages, and with it the editable install's path; resources need the standard library only.
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout
