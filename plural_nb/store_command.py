"""The command `plural-nb store`: what is kept of models' answers on this machine, and making room."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from plural_nb.errors import PluralError


def options(sub: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    sub.add_argument("--model", default="", metavar="NAME", help="only of models whose name begins with this")
    sub.add_argument("--older-than", type=_days, metavar="DAYS", help="only what was written more than DAYS days ago")
    sub.add_argument("--prune", action="store_true", help="delete what is listed; without --yes it only says what")
    sub.add_argument("--yes", action="store_true", help="with --prune: do it")


def run(args: argparse.Namespace) -> int:
    """List what the store holds, or delete of it what the options choose."""
    from plural_nb.silicon.inventory import holdings, prune
    from plural_nb.silicon.store import Store

    if args.yes and not args.prune:
        raise PluralError("--yes says yes to --prune. Give both to delete.")
    store = Store()
    there = store.path.exists()
    found = holdings(store, name=args.model, older_than=args.older_than) if there else []
    said: dict[str, Any] = {
        "file": str(store.path),
        "size_bytes": store.size_bytes,
        "replies": len(store) if there else 0,
        "models": [{**asdict(one), "model": one.model.hex(), "runs": len(one.runs)} for one in found],
    }
    chosen = sum(one.replies for one in found)
    if args.prune and args.yes and found:
        if not prune(store, found):
            raise PluralError(f"{store.path} cannot be written, so nothing was deleted. {store.note}")
        said |= {"deleted": chosen, "size_bytes_after": store.size_bytes}
    store.close()
    if args.json:
        print(json.dumps(said, indent=2, ensure_ascii=False))
        return 0
    print(f"{said['file']}: {said['replies']:,} replies, {said['size_bytes'] / 1e6:.1f} MB")
    for one in found:
        days = one.first_day if one.first_day == one.last_day else f"{one.first_day} to {one.last_day}"
        print(f"{one.name}\n    {one.replies:,} replies, {one.size_bytes / 1e6:.1f} MB{', ' + days if days else ''}")
    if not args.prune:
        return 0
    if "deleted" in said:
        print(f"Deleted {chosen:,} replies; {said['size_bytes_after'] / 1e6:.1f} MB are left.")
    elif found:
        print(f"This would delete these {chosen:,} replies, which would be asked again. Add --yes to do it.")
    else:
        print("There is nothing to delete.")
    return 0


def _days(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a whole number of days, not {text!r}")
    return int(text)
