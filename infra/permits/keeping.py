"""The log of permits on disk: appended to under a lock, and on the disk before anything else happens."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agents.context.permitlog import FIRST, Record, read_log, sealed
from schemas.errors import InputError


def recorded(path: Path) -> Callable[[], Sequence[Record]]:
    """What gives the records that are in a log now, each time the same sequence.

    Raises:
        InputError: the log does not hold.
    """
    records = tuple(entry["record"] for entry in read_log(path))
    return lambda: records


def append(path: Path, make: Callable[[Sequence[Record]], Record]) -> Record:
    """Append a record.

    Args:
        path: The log; made where there is none.
        make: Told the records so far, gives the new one; raises where there is to be none.

    Raises:
        InputError: the log cannot be written, or does not hold as it is: then nothing is appended.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise InputError(f"permits cannot be written: {error.strerror}", where=str(path)) from error
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _cut_torn_line(file.fileno(), path)
        entries = read_log(path)
        record = make([e["record"] for e in entries])
        entry = sealed(record, len(entries) + 1, entries[-1]["hash"] if entries else FIRST)
        try:
            file.write(_line(entry))
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            raise InputError(f"permits cannot be written: {error.strerror}", where=str(path)) from error
    return record


def _cut_torn_line(descriptor: int, path: Path) -> None:
    """Take away what a process left that was killed while it wrote: nobody was told that it was kept."""
    size = os.fstat(descriptor).st_size
    if size:
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            os.ftruncate(descriptor, data.rfind(b"\n") + 1)


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, sort_keys=True, ensure_ascii=True, separators=(",", ":")) + "\n"
