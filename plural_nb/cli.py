"""The command `plural-nb`: start JupyterLab, look at this machine, and ask a model from a script."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from plural_nb import store_command
from plural_nb.errors import PluralError

COMMANDS = ("lab", "doctor", "models", "surveys", "ask", "shares", "welfare", "bench", "store")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: done. 1: `doctor` found something that fails. 2: something was wrong; one plain line on stderr says what.
    130: stopped with Ctrl-C. A traceback appears only with PLURAL_NB_DEBUG=1.
    """
    try:
        status = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except PluralError as error:
        return _wrong(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away (`plural-nb models | head`); Python would complain once more while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("PLURAL_NB_DEBUG"):
            raise
        return _wrong(f"unforeseen {type(error).__name__}: {error} (PLURAL_NB_DEBUG=1 shows where)")
    return status


def parser() -> argparse.ArgumentParser:
    """Return the parser of `plural-nb`, its sub-commands included."""
    from plural_nb import __version__

    top = _Parser(
        prog="plural-nb",
        description="Whose opinions does a language model reflect? Without a command: start JupyterLab on the tour.",
        epilog="Full help of a command: plural-nb COMMAND --help",
    )
    top.add_argument("--version", action="version", version=f"plural-nb {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="{" + ",".join(COMMANDS) + "}")

    lab = commands.add_parser("lab", help="copy the notebooks to a folder of yours and start JupyterLab (default)")
    lab.add_argument("--folder", type=Path, help="your working folder; it is remembered for the next start")
    lab.add_argument("--port", type=_port, help="port on this computer (default: 8888, or the next free one)")
    lab.add_argument("--no-browser", action="store_true", help="print the address instead of opening a browser")
    lab.add_argument("--allow-root", action="store_true", help="start although you are root")
    lab.add_argument("jupyter", nargs="*", metavar="-- OPTION", help="what follows -- goes to JupyterLab as it is")

    doctor = commands.add_parser("doctor", help="check this machine: each line ok, warn or fail, with the remedy")
    models = commands.add_parser(
        "models", help="list the GGUF models found on this machine (PLURAL_NB_MODELS adds folders)"
    )
    surveys = commands.add_parser("surveys", help="list the surveys that come with plural_nb")

    ask = commands.add_parser("ask", help="ask a model one question and print the probability of each option")
    ask.add_argument("model", help="a .gguf file, or a name from `plural-nb models`")
    ask.add_argument("--question", required=True, help="the question, in words")
    ask.add_argument("--option", action="append", required=True, metavar="TEXT", help="an option; give two or more")
    ask.add_argument("--persona", default="", help="a backstory put before the question")
    ask.add_argument("--mode", choices=("completion", "chat"), help="default: chat if the model has a chat template")
    ask.add_argument("--method", default="letter", help="letter (default), text, text_mean, text_pmi, number, sampled")
    ask.add_argument("--order", default="as_asked", help="as_asked (default), reversed, cyclic, balanced")
    ask.add_argument("--seed", type=int, default=0, help="draws the answers of --method sampled (default: 0)")
    shares = commands.add_parser("shares", help="estimate the shares of a column's values in a data file, as CSV")
    _shares_options(shares)
    welfare = commands.add_parser("welfare", help="let a jury decide: welfare and rank of each candidate at every α")
    _welfare_options(welfare)
    bench = commands.add_parser("bench", help="say how quick a model is on this machine, and what it needs")
    bench.add_argument("model", help="a .gguf file, or a name from `plural-nb models`")
    bench.add_argument("--seconds", type=_seconds, default=10.0, help="how long to measure (default: 10)")
    store = commands.add_parser("store", help="list the answers of models that are kept here, and delete some")
    store_command.options(store)
    for sub in (doctor, models, surveys, ask, shares, welfare, bench, store):
        sub.add_argument("--json", action="store_true", help="print JSON")
    return top


def _run(argv: list[str]) -> int:
    if not argv or (argv[0] not in COMMANDS and argv[0] not in ("-h", "--help", "--version") and argv[0][0] == "-"):
        argv = ["lab", *argv]
    args = parser().parse_args(argv)
    run = {"lab": _lab, "doctor": _doctor, "models": _models, "surveys": _surveys, "ask": _ask,
           "shares": _shares, "welfare": _welfare, "bench": _bench,
           "store": store_command.run}[args.command]  # fmt: skip
    return run(args)


def _lab(args: argparse.Namespace) -> int:
    from plural_nb.lab import start

    start(
        folder=args.folder,
        port=args.port,
        browser=not args.no_browser,
        allow_root=args.allow_root,
        jupyter=args.jupyter,
    )
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from plural_nb.doctor import examine

    findings = []
    for finding in examine():
        findings.append(finding)
        if not args.json:
            print(f"{finding.status:<4}  {finding.what}: {finding.found}", flush=True)
            if finding.remedy:
                print(f"      {finding.remedy}", flush=True)
    if args.json:
        _print_json([finding.as_dict() for finding in findings])
    return 1 if any(finding.status == "fail" for finding in findings) else 0


def _models(args: argparse.Namespace) -> int:
    from plural_nb.silicon.finding import find_models

    found = find_models()
    if args.json:
        _print_json(
            [
                {
                    "name": m.name,
                    "file": str(m.path),
                    "size_bytes": m.size_bytes,
                    "architecture": m.architecture,
                    "parameters": m.parameters,
                    "quantisation": m.quantisation,
                    "context_length": m.context_length,
                    "kind": "chat" if m.is_chat else "base",
                    "found_in": list(m.found_in),
                    "problem": m.problem,
                }
                for m in found
            ]
        )
        return 0
    for m in found:
        if m.problem:
            print(f"{m.name}\n    cannot be used: {m.problem}")
        else:
            kind = "chat" if m.is_chat else "base"
            print(
                f"{m.name}\n    {_size(m.size_bytes)}, {m.architecture}, {_count(m.parameters)} parameters, "
                f"{m.quantisation}, context {m.context_length}, {kind}"
            )
        print("\n".join(f"    {place}" for place in m.found_in))
    return 0


def _surveys(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from plural_nb.survey.library import surveys

    entries = surveys()
    if args.json:
        _print_json([asdict(entry) for entry in entries])
        return 0
    for entry in entries:
        print(f"{entry.name}: {entry.title}")
        print(f"    {entry.rows} people, {entry.questions} questions, {entry.traits} traits")
        if entry.citation:
            print(f"    {entry.citation}")
    return 0


def _ask(args: argparse.Namespace) -> int:
    from plural_nb.silicon.model import open_model
    from plural_nb.survey.question import ask_for

    question = ask_for(args.question, args.option)
    with open_model(args.model) as model:
        answers = model.ask(
            question,
            persona=args.persona,
            mode=args.mode,
            examples=0,
            method=args.method,
            order=args.order,
            seed=args.seed,
        )
    reply = answers.replies[0]
    assert answers.captured_mass is not None
    mass = float(answers.captured_mass[0])
    if mass <= 0 and args.method == "sampled":
        drawn = [text for text, _ in reply.said[:1]]
        raise PluralError(
            f"None of the answers that {model.name} wrote names one of the {len(args.option)} options; it wrote "
            f"{drawn[0][:60]!r}, for example. Try --method letter, or --mode."
        )
    if mass <= 0:
        raise PluralError(
            f"{model.name} put no probability on any of the {len(args.option)} options, so there is no answer to show. "
            "Try --mode, or another wording."
        )
    result: dict[str, Any] = {
        "model": model.name,
        "file": str(model.file.path),
        "options": [
            {"option": option.label, "probability": float(p)}
            for option, p in zip(question.options, answers.rows[0], strict=True)
        ],
        "method": args.method,
        "order": args.order,
        "captured_mass": mass,
        "prompt": reply.text,
    }
    if answers.spread is not None:
        for option, low, high in zip(result["options"], *answers.spread.tolist(), strict=True):
            option["spread"] = [low, high]
    if args.json:
        _print_json(result)
        return 0
    width = max(len(o["option"]) for o in result["options"])
    for o in result["options"]:
        spread = "  ({:.1%} to {:.1%} over orders)".format(*o["spread"]) if "spread" in o else ""
        print(f"{o['option']:<{width}}  {o['probability']:6.1%}{spread}")
    print(f"\nShares of what fell on the options; {1 - mass:.1%} of {model.name}'s probability fell on none of them.")
    return 0


def _shares_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("file", type=Path, help="a .csv, .tsv, .parquet, .sav, .dta or the like, one row each")
    sub.add_argument("--question", required=True, metavar="COL", help="the column of the answers")
    for name, what in (("by", "groups"), ("weight", "weights"), ("strata", "strata"), ("psu", "PSUs, within strata")):
        sub.add_argument(f"--{name}", default="", metavar="COL", help=f"the column of the {what}")
    sub.add_argument("--where", default="", metavar="EXPR", help="a domain, as in SQL: \"age >= 30 AND sex = 'f'\"")
    sub.add_argument("--fpc", default="", metavar="COL", help="PSUs in the population of each stratum, or the fraction")
    sub.add_argument("--replicates", default="", metavar="GLOB", help="the columns of the replicate weights: 'rep*'")
    sub.add_argument("--scale", type=float, metavar="X", help="the factor of all replicates")
    sub.add_argument("--rscales", type=Path, metavar="FILE", help="a text file of one factor per replicate")
    sub.add_argument("--centre", choices=("theta", "mean"), default="theta", help="what replicates differ from")
    sub.add_argument("--df", type=float, metavar="N", help="degrees of freedom, where the documentation states them")
    sub.add_argument("--lonely", choices=("fail", "centre", "scale", "skip"), default="fail", help="single-PSU strata")
    kinds = ("logit", "korn-graubard", "wald", "arcsine", "wilson")
    sub.add_argument("--interval", choices=kinds, default="logit", help="default: logit")
    sub.add_argument("--missing", action="append", metavar="TEXT", help="a text that means no answer, besides empty "
                     "cells; repeat for more (default: NA)")  # fmt: skip


def _shares(args: argparse.Namespace) -> int:
    from plural_nb.survey.bare import MISSING, Roles, answers_from_table
    from plural_nb.survey.shares import estimate

    roles = Roles(
        question=args.question, by=args.by, weight=args.weight, stratum=args.strata, psu=args.psu, fpc=args.fpc,
        where=args.where, replicates=args.replicates, scale=args.scale, rscales=args.rscales, centre=args.centre,
        df=args.df, lonely=args.lonely, missing=MISSING if args.missing is None else tuple(args.missing),
    )  # fmt: skip
    answers, groups = answers_from_table(args.file, roles)
    found = estimate(answers, by=groups, interval=args.interval)
    if found.note:
        print(f"plural-nb: note: {found.note}", file=sys.stderr)
    if args.json:
        _print_json(found.table().to_dicts())
    else:
        print(found.table().write_csv(), end="")
    return 0


def _welfare_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("file", type=Path, help="a .csv, .tsv, .parquet or .feather file: jurors in rows; every column of "
                     "numbers but the weight is a candidate, text names the jurors")  # fmt: skip
    sub.add_argument("--alpha", action="append", metavar="A", help="0 (utilitarian) to inf (Rawlsian); repeat for more "
                     "(default: 0, 1, inf)")  # fmt: skip
    sub.add_argument("--weight", default="", metavar="COL", help="the column of the weights")
    sub.add_argument(
        "--scaling", default="none", metavar="NAME", help="each juror's own none (default), range, rank, z"
    )
    sub.add_argument("--epsilon", type=float, default=0.01, metavar="E", help="the worst in range and rank (0.01)")
    sub.add_argument("--shift", type=float, default=0.0, metavar="X", help="a constant added to every utility")


def _welfare(args: argparse.Namespace) -> int:
    from plural_nb.jury.reading import read_utilities
    from plural_nb.jury.resampling import WHOLE_JURY
    from plural_nb.jury.sweep import sweep
    from plural_nb.jury.welfare import read_alphas

    alphas = read_alphas(args.alpha or ["0", "1", "inf"])
    jury = read_utilities(args.file, weight=args.weight).scaled(args.scaling, epsilon=args.epsilon)
    if args.shift:
        jury = jury.shifted(args.shift)
    found = sweep(jury, alphas)
    for note in found.notes:
        if note != WHOLE_JURY:
            print(f"plural-nb: note: {note}", file=sys.stderr)
    rows = {alpha: group.to_dicts() for (alpha,), group in found.table().group_by("alpha", maintain_order=True)}
    keys = ("alpha", "candidate", "welfare", "rank")
    asked = [{key: row[key] for key in keys} for alpha in alphas.tolist() for row in rows[alpha]]
    if args.json:
        # JSON has no infinity; "inf" is what --alpha takes.
        _print_json([row | {"alpha": "inf" if row["alpha"] == float("inf") else row["alpha"]} for row in asked])
        return 0
    width = max(len(name) for name in ("candidate", *jury.candidates))
    print(f"{'alpha':>8}  {'candidate':<{width}}  {'welfare':>12}  rank")
    for row in asked:
        score = "not rated" if row["welfare"] is None else f"{row['welfare']:.6g}"
        print(f"{row['alpha']:>8g}  {row['candidate']:<{width}}  {score:>12}  {row['rank'] or '-':>4}")
    return 0


def _bench(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from plural_nb.silicon.model import open_model
    from plural_nb.silicon.pace import pace

    with open_model(args.model) as model:
        found = pace(model, seconds=args.seconds)
    if args.json:
        _print_json({"model": model.name, **asdict(found)})
        return 0
    print(f"{model.name}: {found.answers_per_second:.1f} answers per second ({found.prompts} asked)")
    print(f"1,000 personas × 20 questions: about {max(1, round(found.study_seconds / 60))} min")
    memory = f"{found.worker_mb:.0f} MB of memory, " if found.worker_mb else ""
    print(f"{memory}{found.threads} thread{'' if found.threads == 1 else 's'}, context of {found.context:,} tokens")
    if found.suggestion:
        print(found.suggestion)
    return 0


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _count(number: int | None) -> str:
    if number is None:
        return "unknown"
    for scale, word in ((1e9, "B"), (1e6, "M")):
        if number >= scale:
            return f"{number / scale:.1f} {word}"
    return f"{number / 1e6:.2f} M"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"a number of seconds above 0, at most 3600, not {text!r}")
    return seconds


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _wrong(message: str) -> int:
    print(f"plural-nb: {' '.join(message.split())}", file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """argparse, but what is wrong is said in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


if __name__ == "__main__":
    sys.exit(main())
