"""`plural-nb` as scripts use it: JSON on stdout, one plain line on stderr, exit 2 when something is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from plural_nb import cli, resources

BASE = "plural-demo-base"
QUESTION = ["--question", "Who did you vote for?", "--option", "Bill Clinton", "--option", "Bob Dole"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLURAL_NB_CACHE", str(tmp_path / "cache"))


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "plural_nb.cli", *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_ask_prints_options_mass_prompt_and_model_as_json() -> None:
    done = run("ask", BASE, *QUESTION, "--persona", "I am a strong Democrat.", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    answer = json.loads(done.stdout)
    assert {"options", "captured_mass", "prompt", "model"} <= set(answer)
    assert [o["option"] for o in answer["options"]] == ["Bill Clinton", "Bob Dole"]
    assert sum(o["probability"] for o in answer["options"]) == pytest.approx(1, abs=1e-12)
    assert 0 < answer["captured_mass"] <= 1 + 1e-9
    assert answer["prompt"] == (
        "I am a strong Democrat.\n\nQuestion: Who did you vote for?\nA. Bill Clinton\nB. Bob Dole\nAnswer:"
    )
    assert answer["model"] == BASE


def test_ask_equals_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    from plural_nb import ask_for, open_model

    assert cli.main(["ask", BASE, *QUESTION, "--json"]) == 0
    printed = [o["probability"] for o in json.loads(capsys.readouterr().out)["options"]]
    with open_model(BASE) as model:
        row = model.ask(ask_for("Who did you vote for?", ["Bill Clinton", "Bob Dole"]), examples=0).rows[0]
    assert printed == pytest.approx(list(row), abs=2e-4)


def test_chat_mode_sends_the_models_own_template() -> None:
    done = run("ask", "plural-demo-tuned", *QUESTION, "--mode", "chat", "--json")
    assert done.returncode == 0, done.stderr
    prompt = json.loads(done.stdout)["prompt"]
    assert "Question: Who did you vote for?" in prompt
    assert not prompt.startswith("Question:")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["ask", "no-such-model", *QUESTION], "no-such-model"),
        (["ask", BASE, "--question", "Tea?", "--option", "Yes"], "two options"),
        (["ask", BASE, "--question", "Tea?", "--option", "Yes", "--option", "Yes"], "Yes"),
        (["ask", BASE, "--question", " ", "--option", "Yes", "--option", "No"], "text"),
        (["ask", BASE, *QUESTION, "--mode", "chat"], "chat template"),
        (["ask", BASE, *QUESTION, "--persona", "word " * 3000], "token"),
        (["ask", BASE, *QUESTION, "--bogus"], "--bogus"),
        (["ask", BASE], "--question"),
        (["models", "no/such/folder"], "no/such/folder"),
        (["--port", "notaport"], "port"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_what_is_wrong_is_one_plain_line_and_exit_2(argv: list[str], said: str) -> None:
    done = run(*argv)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_gguf_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("these are my notes, not a model")
    done = run("ask", str(tmp_path / "notes.gguf"), *QUESTION)
    assert done.returncode == 2
    assert "notes.gguf" in done.stderr
    assert "GGUF" in done.stderr


def test_a_truncated_gguf_is_said_plainly(tmp_path: Path) -> None:
    whole = resources.data("models", f"{BASE}.gguf").read_bytes()
    (tmp_path / "half.gguf").write_bytes(whole[: len(whole) // 2])
    done = run("ask", str(tmp_path / "half.gguf"), *QUESTION)
    assert done.returncode == 2
    assert "half.gguf" in done.stderr


def test_models_lists_the_demo_models_first_with_what_they_are() -> None:
    listed = json.loads(run("models", "--json").stdout)
    assert [m["name"] for m in listed[:2]] == ["plural-demo-base", "plural-demo-tuned"]
    base, tuned = listed[:2]
    assert (base["kind"], tuned["kind"]) == ("base", "chat")
    assert base["architecture"] == "llama"
    assert base["quantisation"] == "F16"
    assert base["context_length"] == 1024
    assert base["size_bytes"] == os.path.getsize(base["file"]) < 4_000_000  # noqa: PTH202
    assert 5e5 < base["parameters"] < 2e6


def test_surveys_lists_both_surveys() -> None:
    listed = {s["name"]: s for s in json.loads(run("surveys", "--json").stdout)}
    assert listed["anes96"]["rows"] == 944
    assert listed["teaching"]["rows"] > 8000
    assert run("surveys").stdout.startswith("anes96")


def test_doctor_finds_this_machine_well() -> None:
    done = run("doctor", "--json")
    findings = {f["what"]: f for f in json.loads(done.stdout)}
    failed = {what: f["found"] for what, f in findings.items() if f["status"] == "fail"}
    assert not failed
    assert done.returncode == 0
    assert {"Python", "Packages", "llama.cpp", "One-token probe", "Widget front end", "Charts offline"} <= set(findings)


def test_doctor_says_how_to_mend_what_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import jupyter_core.paths

    monkeypatch.setattr(jupyter_core.paths, "jupyter_path", lambda *parts: [])
    assert cli.main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    [at] = [i for i, line in enumerate(lines) if line.startswith("fail")]
    assert "anywidget" in lines[at]
    assert "pip install" in lines[at + 1]


def test_the_parent_process_never_loads_llama_cpp() -> None:
    code = (
        "import sys; from plural_nb import cli; cli.main(sys.argv[1:]); "
        "assert 'llama_cpp' not in sys.modules, 'llama.cpp was loaded beside the caller'"
    )
    done = subprocess.run([sys.executable, "-c", code, "ask", BASE, *QUESTION], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
