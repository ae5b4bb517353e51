"""The store: every reply a model ever gave on this machine, in one SQLite file that several kernels share."""

from __future__ import annotations

import contextlib
import datetime
import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from plural_nb.silicon.cache import cache_folder

SCHEMA = 2
_BETWEEN_WRITES = 0.2  # seconds; what a killed kernel may lose at most
_BUSY_SECONDS = 10.0
_AT_ONCE = 500
# Replies of one run stand behind one another. Where a few of many wanted keys say so, the rows between them are read as
# they stand, several times quicker than one by one through the index.
_MANY, _SOME, _SPARSE, _READ_AT_ONCE = 2_000, 32, 4, 20_000
_BUSY = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED
_DAMAGED = (11, 26)  # SQLITE_CORRUPT, SQLITE_NOTADB
# A write-ahead log needs memory that all processes share, which these file systems do not give reliably.
_WITHOUT_SHARED_MEMORY = ("nfs", "cifs", "smb", "9p", "fuse", "overlay", "afs", "ceph", "gluster", "lustre", "virtiofs")
_TABLES = """
CREATE TABLE IF NOT EXISTS replies (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS pieces (model BLOB, token INTEGER, piece TEXT, PRIMARY KEY (model, token)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (first INTEGER PRIMARY KEY, last INTEGER, model BLOB, day TEXT);
CREATE TABLE IF NOT EXISTS models (model BLOB PRIMARY KEY, name TEXT) WITHOUT ROWID;
"""


class StoreWarning(UserWarning):
    """The store cannot be used as it should; asking goes on, and what is answered is remembered for this session."""


class Store:
    """Replies by key, kept on disk.

    path: the SQLite file; "answers.sqlite" in the cache folder (`PLURAL_NB_CACHE`) when None. It is opened when it is
        first used. A damaged file, or one of another version, is set aside and a fresh one begun; where nothing can
        be written (read-only, disk full) what was there is still read. Both are said once, as a StoreWarning.

    Any number of processes and threads may use one file at once. No clock says what is old: the oldest are those that
    were written first. What day it was, and of which model, is noted for people (`plural_nb.silicon.inventory`).

    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()) / "answers.sqlite")
    >>> store.put({b"key": b"value"})
    >>> store.flush()
    >>> store.get([b"key", b"other"]), len(store)
    ({b'key': b'value'}, 1)
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_folder() / "answers.sqlite"
        self.note = ""
        self.journal = ""
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._owner = 0
        self._closed_to_writing = False
        self._pending: dict[bytes, bytes] = {}
        self._pieces: dict[tuple[bytes, int], str] = {}
        self._model, self._name = b"", ""
        self._written = -_BETWEEN_WRITES

    def __len__(self) -> int:
        with self._lock:
            return int(self._read("SELECT count(*) FROM replies")[0][0] if self._open() else 0)

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, logs included."""
        files = (self.path, *(self.path.with_name(self.path.name + end) for end in ("-wal", "-journal")))
        return sum(file.stat().st_size for file in files if file.exists())

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values that are known of these keys."""
        with self._lock:
            found = self._neighbours(keys) if len(keys) >= _MANY else {}
            left = [key for key in keys if key not in found] if found else keys
            for i in range(0, len(left), _AT_ONCE):
                some = left[i : i + _AT_ONCE]
                found.update(self._read(f"SELECT key, value FROM replies WHERE key IN ({_marks(some)})", some))
        return found

    def _neighbours(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values of those keys that stand together, where most do."""
        some = keys[:: -(-len(keys) // _SOME)]
        ids = [number for (number,) in self._read(f"SELECT id FROM replies WHERE key IN ({_marks(some)})", some)]
        if len(ids) < 2:
            return {}
        beyond = (max(ids) - min(ids)) // (_SOME // 4)
        low, high = min(ids) - beyond, max(ids) + beyond
        if high - low > _SPARSE * len(keys):
            return {}
        wanted = set(keys)
        found: dict[bytes, bytes] = {}
        for begin in range(low, high + 1, _READ_AT_ONCE):
            end = min(high, begin + _READ_AT_ONCE - 1)
            rows = self._read("SELECT key, value FROM replies WHERE id BETWEEN ? AND ?", (begin, end))
            found.update((key, value) for key, value in rows if key in wanted)
        return found

    def pieces(self, model: bytes) -> dict[int, str]:
        """The text of each token that a model was seen to use."""
        with self._lock:
            return dict(self._read("SELECT token, piece FROM pieces WHERE model = ?", (model,)))

    def put(
        self,
        items: Mapping[bytes, bytes],
        *,
        model: bytes = b"",
        name: str = "",
        pieces: Iterable[tuple[int, str]] = (),
    ) -> None:
        """Keep values under keys, and the text of a model's tokens; a key that is known keeps its value.

        name: what to call the model where the store's content is listed. Values are on disk within 0.2 seconds of the
        next call, or after `flush`.
        """
        with self._lock:
            if model != self._model:  # a run of rows is of one model
                self.flush()
            self._model, self._name = model, name
            self._pending.update(items)
            self._pieces.update(((model, token), piece) for token, piece in pieces)
            if time.monotonic() - self._written >= _BETWEEN_WRITES:
                self.flush()

    def flush(self) -> None:
        """Write what waits to be written."""
        with self._lock:
            replies = list(self._pending.items())
            pieces = [(model, token, piece) for (model, token), piece in self._pieces.items()]
            if not replies and not pieces:
                return

            def write(connection: sqlite3.Connection) -> None:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT OR IGNORE INTO pieces VALUES (?, ?, ?)", pieces)
                before = _last(connection)
                connection.executemany("INSERT OR IGNORE INTO replies (key, value) VALUES (?, ?)", replies)
                _note_run(connection, before + 1, _last(connection), self._model, self._name)
                connection.execute("COMMIT")

            self._written = time.monotonic()
            if self._write(write) or self._closed_to_writing:  # else another process was busy: next time
                self._pending.clear()
                self._pieces.clear()

    def prune(self, size_bytes: int = 0) -> int:
        """Delete the replies written first until what is kept takes about `size_bytes`; return how many went."""
        gone = 0

        def cut(connection: sqlite3.Connection) -> None:
            nonlocal gone
            used = connection.execute("SELECT coalesce(sum(length(key) + length(value) + 40), 0) FROM replies")
            total = int(used.fetchone()[0])
            keep, last = total, 0
            rows = connection.execute("SELECT id, length(key) + length(value) + 40 FROM replies ORDER BY id")
            for number, size in rows.fetchall():  # an open cursor would forbid VACUUM
                if keep <= size_bytes:
                    break
                keep, last, gone = keep - size, number, gone + 1
            connection.execute("DELETE FROM replies WHERE id <= ?", (last,))
            connection.execute("DELETE FROM runs WHERE last <= ?", (last,))
            shrink(connection)

        self.change(cut)
        return gone

    def change(self, work: Callable[[sqlite3.Connection], None]) -> bool:
        """Do some work on the file, with what waits written before; False where nothing can be written."""
        with self._lock:
            self.flush()
            return self._write(work)

    def read(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """The rows that a query finds; none where the file cannot be read."""
        with self._lock:
            return self._read(query, values)

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        with self._lock:
            self.flush()
            if self._connection is not None and self._owner == os.getpid():
                self._connection.close()
            self._connection = None

    def _read(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        connection = self._open()
        if connection is None:
            return []
        try:
            return connection.execute(query, tuple(values)).fetchall()
        except sqlite3.Error as error:
            self._failed(error)
            return []

    def _write(self, work: Callable[[sqlite3.Connection], None]) -> bool:
        for _ in range(2):  # a damaged file is set aside, and the fresh one written to
            connection = self._open()
            if connection is None or self._closed_to_writing:
                return False
            try:
                work(connection)
                return True
            except sqlite3.Error as error:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                if not self._failed(error):
                    return False
        return False

    def _open(self) -> sqlite3.Connection | None:
        if self._connection is not None and self._owner == os.getpid():
            return self._connection
        # A connection must not be carried into a forked child; it is left alone there, not closed.
        self._owner = os.getpid()
        for _ in range(2):
            try:
                self._connection = self._connect()
                return self._connection
            except (sqlite3.Error, OSError) as error:
                self._connection = None
                if not self._failed(error):
                    return None
        return None

    def _connect(self) -> sqlite3.Connection:
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        writable = os.access(self.path if self.path.exists() else self.path.parent, os.W_OK)
        options = "" if writable else "?mode=ro" if os.access(self.path.parent, os.W_OK) else "?immutable=1"
        connection = sqlite3.connect(
            self.path.absolute().as_uri() + options,
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version not in (0, SCHEMA):
                raise sqlite3.DatabaseError(f"it is of version {version}, and this is version {SCHEMA}")
            if not writable:
                self._closed_to_writing = True
                self._warn(f"The store {self.path} is read-only; new answers are remembered for this session only.")
                return connection
            self.journal = self._choose_journal(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_TABLES)
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _choose_journal(self, connection: sqlite3.Connection) -> str:
        kind = _file_system(self.path.parent)
        if not kind.startswith(_WITHOUT_SHARED_MEMORY):
            answer = str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
            if answer == "wal":
                return answer
        self.note = (
            f"rollback journal, because {self.path.parent} is on {kind or 'a file system without shared memory'}"
        )
        return str(connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0])

    def _failed(self, error: Exception) -> bool:
        """Say what went wrong; whether it is worth trying again with a fresh file."""
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in _BUSY:
            return False
        if code in _DAMAGED or type(error) is sqlite3.DatabaseError:
            if self._connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None
            aside = _set_aside(self.path)
            if aside is not None:
                self._warn(f"The store {self.path} could not be read ({error}). It was set aside as {aside.name}.")
                return True
            self._closed_to_writing = True
            self._warn(
                f"The store {self.path} could not be read ({error}), nor set aside; new answers are remembered for "
                "this session only. Delete the file, or set PLURAL_NB_CACHE to another folder."
            )
            return False
        self._closed_to_writing = True
        self._warn(
            f"The store {self.path} cannot be written ({error}); new answers are remembered for this session only. "
            "Free some space, or set PLURAL_NB_CACHE to another folder."
        )
        return False

    def _warn(self, message: str) -> None:
        self.note = message
        warnings.warn(message, StoreWarning, stacklevel=4)


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def shrink(connection: sqlite3.Connection) -> None:
    """Give the room of what was deleted back to the disk."""
    connection.execute("VACUUM")
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _last(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM replies").fetchone()[0])


def _note_run(connection: sqlite3.Connection, first: int, last: int, model: bytes, name: str) -> None:
    """Note whose the rows first … last are and the day they came, for listing and pruning; never to find them."""
    if last < first:
        return
    day = datetime.date.today().isoformat()
    longer = "UPDATE runs SET last = ? WHERE last = ? AND model = ? AND day = ?"
    if not connection.execute(longer, (last, first - 1, model, day)).rowcount:
        # Numbers of deleted rows may come again.
        connection.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", (first, last, model, day))
    connection.execute("INSERT OR IGNORE INTO models VALUES (?, ?)", (model, name))


def _set_aside(path: Path) -> Path | None:
    """Rename a file and its logs; None where it cannot be renamed."""
    aside = next(_free_names(path))
    try:
        path.replace(aside)
    except OSError:
        return None
    for end in ("-wal", "-shm", "-journal"):
        with contextlib.suppress(OSError):
            path.with_name(path.name + end).replace(aside.with_name(aside.name + end))
    return aside


def _free_names(path: Path) -> Iterator[Path]:
    number = 0
    while True:
        number += 1
        name = path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")
        if not name.exists():
            yield name


def _file_system(folder: Path) -> str:
    """The kind of file system that a folder is on, as the kernel calls it; "" where it does not say."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
        place = folder.resolve()
    except OSError:
        return ""
    best, kind = -1, ""
    for line in lines:
        fields = line.split()
        if len(fields) > 2:
            mount = Path(fields[1].encode().decode("unicode_escape", errors="replace"))
            if place.is_relative_to(mount) and len(mount.parts) >= best:
                best, kind = len(mount.parts), fields[2]
    return kind
