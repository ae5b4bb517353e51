"""What the store holds, model by model, and how to make room in it."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from plural_nb.errors import ModelError, nearest
from plural_nb.silicon.store import Store, shrink

UNKNOWN = "of before this was noted"
_SIZE = "length(key) + length(value) + 40"  # about what a row takes


@dataclass(frozen=True, slots=True)
class Holding:
    """The replies of one model in the store.

    name: of the model; "" and an empty hash for replies from before models were noted. model: hash of its content.
    replies, size_bytes: how many, and about what they take. first_day, last_day: when they were written, as the clock
    stood ("2026-03-01"). runs: (first, last) numbers of their rows.
    """

    name: str
    model: bytes
    replies: int
    size_bytes: int
    first_day: str
    last_day: str
    runs: tuple[tuple[int, int], ...]


def holdings(store: Store, *, name: str = "", older_than: int | None = None) -> list[Holding]:
    """Return what the store holds of each model, most first.

    name: only of models whose name begins with this. older_than: only what was written more than so many days ago.

    Raises ModelError for a name that no model has, naming the nearest.

    >>> import tempfile, pathlib
    >>> store = Store(pathlib.Path(tempfile.mkdtemp()) / "answers.sqlite")
    >>> store.put({b"key": b"value"}, model=b"hash", name="tiny")
    >>> store.flush()
    >>> [(one.name, one.replies) for one in holdings(store)]
    [('tiny', 1)]
    """
    noted = store.read(
        "SELECT runs.first, runs.last, runs.model, runs.day, coalesce(models.name, '') "
        "FROM runs LEFT JOIN models USING (model) ORDER BY runs.first"
    )
    names = {(model, called or UNKNOWN) for _, _, model, _, called in noted}
    if name and not any(called.casefold().startswith(name.casefold()) for _, called in names):
        known = sorted({called.split(" · ")[0] for _, called in names})
        raise ModelError(f"The store holds nothing of a model {name!r}. {nearest(name, known)}")
    before = None if older_than is None else (datetime.date.today() - datetime.timedelta(days=older_than)).isoformat()
    found = []
    for model, called in names:
        runs = [
            (first, last, day)
            for first, last, whose, day, _ in noted
            if whose == model and (before is None or day < before)
        ]
        if runs and called.casefold().startswith(name.casefold()):
            found.append(_holding(store, called, model, runs))
    if not name and before is None and (rest := _unnoted(store, found)):
        found.append(rest)
    return sorted((one for one in found if one.replies), key=lambda one: -one.size_bytes)


def prune(store: Store, what: Sequence[Holding]) -> bool:
    """Delete these replies and give their room back to the disk; False where the store cannot be written."""

    def cut(connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for one in what:
            connection.executemany("DELETE FROM replies WHERE id BETWEEN ? AND ?", one.runs)
            connection.executemany("DELETE FROM runs WHERE first = ?", [(first,) for first, _ in one.runs])
        for table in ("pieces", "models"):  # of models that have nothing left
            connection.executemany(
                f"DELETE FROM {table} WHERE model = ? AND model NOT IN (SELECT model FROM runs)",
                [(one.model,) for one in what],
            )
        connection.execute("COMMIT")
        shrink(connection)

    return store.change(cut)


def _holding(store: Store, name: str, model: bytes, runs: Sequence[tuple[int, int, str]]) -> Holding:
    replies = size = 0
    for first, last, _ in runs:
        [(n, bytes_)] = store.read(
            f"SELECT count(*), coalesce(sum({_SIZE}), 0) FROM replies WHERE id BETWEEN ? AND ?", (first, last)
        )
        replies, size = replies + n, size + bytes_
    days = [day for _, _, day in runs]
    return Holding(name, model, replies, size, min(days), max(days), tuple((a, b) for a, b, _ in runs))


def _unnoted(store: Store, noted: Sequence[Holding]) -> Holding | None:
    """Replies that no run covers: those that were written before runs were noted come first."""
    first_noted = min((first for one in noted for first, _ in one.runs), default=2**62)
    [(n, size)] = store.read(
        f"SELECT count(*), coalesce(sum({_SIZE}), 0) FROM replies WHERE id < ?", (first_noted,)
    ) or [(0, 0)]
    return Holding(UNKNOWN, b"", n, size, "", "", ((0, first_noted - 1),)) if n else None
