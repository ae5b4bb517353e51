"""Files fetched from an address: resumed where they broke off, checked against a checksum, never half there."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from plural_nb.errors import SurveyError

_CHUNK = 1 << 16


def fetch(
    address: str,
    target: Path,
    *,
    sha256: str,
    size: int | None = None,
    timeout: float = 30.0,
    attempts: int = 3,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Path:
    """Return `target`, fetched from an address unless it is there already.

    sha256: the file's checksum, 64 hexadecimal digits; without it nothing is fetched.
    size: its bytes, where known; a server that sends more is stopped. timeout: seconds without an answer.
    attempts: how often a connection that breaks is taken up again, each time where it broke off.
    on_progress: called with the bytes so far and in all (None where the server does not say).

    What has come of a broken download stays beside the target as .part, and the next call goes on from there. Raises
    SurveyError when there is no network, the server refuses, the connection keeps breaking, or the checksum differs.
    """
    if len(sha256) != 64:
        raise SurveyError(f"{target.name} has no checksum, so it cannot be told from another file; it is not fetched.")
    if urlsplit(address).scheme not in ("http", "https"):
        raise SurveyError(f"{address!r} is not an address on the web (http or https).")
    if target.is_file():
        require_checksum(target, sha256)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    broken = ""
    for _ in range(attempts):
        broken = _pull(address, part, target, size, timeout, on_progress)
        if not broken:
            break
    if broken:
        here = part.stat().st_size if part.exists() else 0
        raise SurveyError(
            f"The connection to {urlsplit(address).hostname} broke {attempts} times ({broken}). {here:,} bytes are "
            "kept; call again to go on from there."
        )
    found = checksum(part)
    if found != sha256:
        part.unlink()
        raise SurveyError(
            f"{address} is not the file that was expected: its checksum begins with {found[:12]}, not {sha256[:12]}. "
            "It was removed. The file may have changed at its source, or something on the way put another in its place."
        )
    part.replace(target)
    return target


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_checksum(path: Path, sha256: str) -> None:
    """Raise SurveyError unless the file has this checksum."""
    found = checksum(path)
    if found != sha256:
        raise SurveyError(
            f"{path} is not the file that was expected: its checksum begins with {found[:12]}, not {sha256[:12]}. "
            "Delete it and download it again."
        )


def _pull(
    address: str, part: Path, target: Path, size: int | None, timeout: float,
    on_progress: Callable[[int, int | None], None] | None,
) -> str:  # fmt: skip
    """Fetch what is missing of a file; return how the connection broke, or "" when all of it is here."""
    here = part.stat().st_size if part.exists() else 0
    if size is not None and here >= size:
        if here == size:
            return ""
        part.unlink()
        here = 0
    request = urllib.request.Request(address, headers={"User-Agent": "plural-nb"})
    if here:
        request.add_header("Range", f"bytes={here}-")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            resumed = here > 0 and reply.status == 206 and _starts_at(reply.headers.get("Content-Range"), here)
            here = here if resumed else 0
            length = reply.headers.get("Content-Length")
            total = here + int(length) if length and length.isdigit() else size
            with part.open("ab" if resumed else "wb") as file:
                while chunk := reply.read(_CHUNK):
                    here += len(chunk)
                    if size is not None and here > size:
                        file.close()
                        part.unlink()
                        raise SurveyError(f"{address} sends more than the {size:,} bytes of {target.name}; stopped.")
                    file.write(chunk)
                    if on_progress is not None:
                        on_progress(here, total)
        if total is not None and here < total:
            return f"after {here:,} of {total:,} bytes"
    except urllib.error.HTTPError as problem:
        if problem.code == 416 and part.exists():
            part.unlink()
            return "the server has no more than what was here"
        raise SurveyError(f"{address} cannot be had: the server says {problem.code} {problem.reason}.") from None
    except urllib.error.URLError as problem:
        if part.exists() and part.stat().st_size:
            return str(problem.reason)
        raise SurveyError(_offline(address, target, str(problem.reason))) from None
    except (TimeoutError, ConnectionError, http.client.HTTPException, OSError) as problem:
        return str(problem) or type(problem).__name__
    return ""


def _starts_at(header: str | None, here: int) -> bool:
    return bool(header) and str(header).startswith(f"bytes {here}-")


def _offline(address: str, target: Path, reason: str) -> str:
    return (
        f"{urlsplit(address).hostname} cannot be reached ({reason}); this machine may be offline. Try again with a "
        f"connection, or fetch {address} on another machine and put the file at {target}. All else works offline."
    )
