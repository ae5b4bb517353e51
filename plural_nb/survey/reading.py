"""Surveys read from files: labelled ones as they are, tables beside a codebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.codebook import Codebook
from plural_nb.survey.columns import Columns
from plural_nb.survey.design import Lonely
from plural_nb.survey.encoding import natural
from plural_nb.survey.from_labels import Wanted, survey_of
from plural_nb.survey.labelled import LABELLED, LabelledFile, Variable
from plural_nb.survey.mistakes import Mistakes
from plural_nb.survey.qualtrics import read_responses
from plural_nb.survey.recipes import Match, Recipe, apply, matching
from plural_nb.survey.recipes import recipe as recipe_named
from plural_nb.survey.survey import Survey

_TABLES = (".csv", ".tsv", ".parquet", ".feather", ".arrow", ".xlsx")
SUFFIXES = (*_TABLES, *LABELLED)

# Up to so many cells a labelled file is read whole (0.25 GB as numbers); a larger one column by column.
_WHOLE = 30_000_000


def read_survey(
    path: Path | str,
    recipe: str | Path | Literal[False] | None = None,
    codebook: Codebook | Mapping[str, Any] | Path | str | None = None,
    *,
    weight: str = "",
    stratum: str = "",
    psu: str = "",
    traits: Sequence[str] | None = None,
    lonely: Lonely = "fail",
    encoding: str | None = None,
) -> Survey:
    """Read a survey from a file.

    path: one row per respondent.
        Labelled files: SPSS .sav, .zsav and .por, Stata .dta, SAS .sas7bdat and .xpt. Value labels become options,
        variable labels question texts, codes declared missing non-substantive options; what each question was taken
        for is in `survey.guesses()` and corrected with `survey.with_kind`. Files of more than 30 million cells are
        read column by column, when a column is asked for.
        Tables: .csv, .tsv, .parquet, .feather, .arrow and .xlsx (the first sheet), which need a codebook or a recipe.
        Text files are UTF-8 with a header; an empty cell is missing.
    recipe: the name of a survey plural_nb knows ("gss", "ess"; `plural_nb.survey.recipes.recipes`), a recipe's TOML
        file, False for none. When None, a labelled file is recognised by its columns; the note says so.
    codebook: a TOML file or its content as a dict, or a Qualtrics .qsf for its responses; for a table, the .toml of
        the same name beside it when None. With a codebook only the columns it names are kept.
    weight, stratum, psu: columns of the design, where no codebook names them; they come before a recipe's. Without
        them and a recipe no weight is used, and the note names the columns that may be one.
    traits: columns to pick people by; those that a recipe names, or that look like demographics, when None.
    lonely: what a stratum with one PSU does (see `plural_nb.survey.design.Design`).
    encoding: how the texts of an old labelled file are written ("windows-1252"), where it does not say.

    A code of a codebook and a cell of a table are the same when both read as the same plainly written number (1, 1.0,
    "1") or are the same text; "01" is a text, so leading zeros are kept apart (`plural_nb.survey.encoding.same`).

    Raises SurveyError for a file that is missing, damaged, encrypted or of another kind, and for anything wrong with
    codebook, recipe, columns, values or weights.
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    _require_file(path, suffix)
    if isinstance(recipe, Mapping | Codebook):
        raise SurveyError("A codebook is given where the recipe goes. Say read_survey(path, codebook=...).")
    wanted = Wanted(weight, stratum, psu, traits, lonely)
    if isinstance(codebook, str | Path) and Path(codebook).suffix.lower() == ".qsf":
        return _responses(path, Path(codebook).expanduser(), wanted)
    book = _codebook(path, suffix, codebook, recipe)
    if book is not None:
        given = [name for name in ("weight", "stratum", "psu", "traits") if getattr(wanted, name)]
        if given or recipe:
            raise SurveyError(
                f"{path.name} has a codebook ({book.source}), which says its design and traits; leave out "
                f"{', '.join([*given, *(['recipe'] if recipe else [])])}, or write it there."
            )
        if suffix in LABELLED:
            file = LabelledFile.open(path, encoding)
            _require_columns(book, list(file.variables), path)
            return Survey.from_frame(file.read(book.columns), book, name=path.name)
        return Survey.from_frame(_read(path, suffix, book), book, name=path.name)
    if suffix in LABELLED:
        return _labelled(LabelledFile.open(path, encoding, whole=_WHOLE), recipe, wanted)
    return _table(path, suffix, recipe, wanted)


def _labelled(file: LabelledFile, recipe: str | Path | Literal[False] | None, wanted: Wanted) -> Survey:
    match = _match(recipe, list(file.variables), file.path.name)
    variables, rows = file.variables, file.rows
    if file.cells > _WHOLE:
        columns = Columns(names=list(variables), source=file.read)
    else:
        frame = file.read()
        columns, rows = Columns(frame), frame.height
        variables = {name: _typed(variable, frame[name]) for name, variable in variables.items()}
    title = file.title or (match.recipe.title if match else file.path.stem)
    return survey_of(
        columns, variables, name=file.path.stem, title=title, source=file.path.name, rows=rows, match=match,
        wanted=wanted, sets=file.sets,
    )  # fmt: skip


def _responses(path: Path, qsf: Path, wanted: Wanted) -> Survey:
    """Answers exported from Qualtrics, with the survey's own file as their codebook."""
    frame, variables, title = read_responses(path, qsf)
    return survey_of(
        Columns(frame), variables, name=path.stem, title=title, source=path.name, rows=frame.height, wanted=wanted
    )


def _table(path: Path, suffix: str, recipe: str | Path | Literal[False] | None, wanted: Wanted) -> Survey:
    """A table that a recipe was named for: its columns have no labels, so codes stand for themselves."""
    frame = _read(path, suffix, None)
    match = _match(recipe, frame.columns, path.name)
    variables = {c: _typed(Variable(c), frame[c]) for c in frame.columns}
    title = match.recipe.title if match else path.stem
    return survey_of(
        Columns(frame), variables, name=path.stem, title=title, source=path.name, rows=frame.height, match=match,
        wanted=wanted,
    )  # fmt: skip


def _typed(variable: Variable, column: pl.Series) -> Variable:
    if column.dtype.is_temporal() and variable.storage != "date":
        return replace(variable, storage="date")
    if column.dtype == pl.String and variable.storage == "number" and not variable.missing_codes:
        numbers = column.drop_nulls().str.contains(r"^-?\d|^\.[a-z_]$")
        return variable if numbers.all() and numbers.len() else replace(variable, storage="text")
    return variable


def _match(recipe: str | Path | Literal[False] | None, names: list[str], where: str) -> Match | None:
    if recipe is False:
        return None
    if recipe is not None:
        named = recipe_named(recipe)
        match = apply(named, names, asked=True)
        if not named.fits(names):
            wishes = [" or ".join(choice) for choice in named.match_all]
            wishes += [" or ".join(named.match_any)] if named.match_any else []
            raise SurveyError(
                f"{where} is no file of {named.title}: such a file has {'; '.join(wishes)}. Leave the recipe out, or "
                "name the columns yourself with weight=, stratum= and psu=."
            )
        return match
    fitting = matching(names)
    if not fitting:
        return None
    # Two recipes that fit equally well would be a guess between surveys; then none is taken.
    if len(fitting) > 1 and len(fitting[0].fits(names)) == len(fitting[1].fits(names)):
        return None
    return apply(fitting[0], names)


def _codebook(
    path: Path,
    suffix: str,
    codebook: Codebook | Mapping[str, Any] | Path | str | None,
    recipe: str | Path | Literal[False] | None,
) -> Codebook | None:
    if isinstance(codebook, Codebook):
        return codebook
    if isinstance(codebook, Mapping):
        return Codebook.of(codebook, name=path.stem)
    if codebook is not None:
        given = Path(codebook).expanduser()
        return Codebook.read(given)
    beside = path.with_suffix(".toml")
    if beside.is_file() and not recipe:
        return Codebook.read(beside)
    if suffix in LABELLED or recipe:
        return None
    known = _recognised(path, suffix)
    raise SurveyError(
        f"{path.name} needs a codebook that says what its columns mean, and there is no {beside.name} beside it. "
        "Write one, or pass codebook=." + known
    )


def _recognised(path: Path, suffix: str) -> str:
    try:
        found = matching(_names(path, suffix))
    except (pl.exceptions.PolarsError, OSError, UnicodeError, SurveyError):
        return ""
    named: list[Recipe] = list(found[:3])
    return "".join(f" Its columns are those of {r.title}: recipe={r.name!r} reads it without one." for r in named)


def _names(path: Path, suffix: str) -> list[str]:
    if suffix == ".parquet":
        return pl.scan_parquet(path).collect_schema().names()
    if suffix in (".feather", ".arrow"):
        return pl.scan_ipc(path).collect_schema().names()
    if suffix == ".xlsx":
        return pl.read_excel(path, infer_schema_length=0).columns
    return pl.read_csv(path, separator="\t" if suffix == ".tsv" else ",", infer_schema=False, n_rows=0).columns


def _read(path: Path, suffix: str, book: Codebook | None) -> pl.DataFrame:
    try:
        here = _names(path, suffix)
        if book is not None:
            _require_columns(book, here, path)
        wanted = list(book.columns) if book is not None else here
        if suffix == ".parquet":
            return pl.scan_parquet(path).select(wanted).collect()
        if suffix in (".feather", ".arrow"):
            return pl.scan_ipc(path).select(wanted).collect()
        # Cells are read as text, so that no guess about a column's type changes a code ("01" would become 1).
        if suffix == ".xlsx":
            frame = pl.read_excel(path, infer_schema_length=0)
        else:
            frame = pl.read_csv(path, separator="\t" if suffix == ".tsv" else ",", infer_schema=False, columns=wanted)
        return frame.select(natural(frame[column]) for column in wanted)
    except ModuleNotFoundError as lacking:
        raise SurveyError(f"Reading {suffix} needs {lacking.name}. Install it: pip install {lacking.name}.") from None
    except SurveyError:
        raise
    except (pl.exceptions.PolarsError, OSError, UnicodeError, ValueError, RuntimeError) as problem:
        raise SurveyError(_unreadable(path, suffix, problem)) from None
    except Exception as problem:
        # fastexcel raises its own class for a damaged workbook, which is not importable without it.
        if suffix == ".xlsx" and "fastexcel" in type(problem).__module__:
            raise SurveyError(_unreadable(path, suffix, problem)) from None
        raise


def _unreadable(path: Path, suffix: str, problem: Exception) -> str:
    first = (str(problem).strip() or type(problem).__name__).splitlines()[0]
    return (
        f"{path.name} cannot be read as {suffix}: {first}. It may be damaged, empty or saved in another form; "
        "text files must be UTF-8."
    )


def _require_file(path: Path, suffix: str) -> None:
    if path.is_dir():
        raise SurveyError(f"{path} is a folder. Give the survey's file: {', '.join(SUFFIXES)}.")
    if suffix not in SUFFIXES:
        hint = "This is a codebook; give the data file it belongs to. " if suffix in (".toml", ".qsf") else ""
        raise SurveyError(
            f"{path.name} ends in {suffix or 'nothing'!r}. {hint}plural_nb reads {', '.join(SUFFIXES)}; save it as "
            "one of these."
        )
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*") if p.suffix.lower() in SUFFIXES] if path.parent.is_dir() else []
        hint = nearest(path.name, beside) if beside else "Check the folder."
        raise SurveyError(f"There is no file {path}. {hint}")


def _require_columns(book: Codebook, here: list[str], path: Path) -> None:
    mistakes = Mistakes()
    for column in book.columns:
        if column not in here:
            other = {";": "semicolons", "\t": "tabs", ",": "commas"}
            found = [name for mark, name in other.items() if len(here) == 1 and mark in here[0]]
            if found:
                raise SurveyError(
                    f"{path.name} has a single column, {here[0]!r}: it seems to be separated by {found[0]}. Save it "
                    "with commas as .csv, or with tabs as .tsv."
                )
            mistakes.add(f"{book.source} names a column {column!r} that is not in {path.name}. {nearest(column, here)}")
    mistakes.tell(path.name)
