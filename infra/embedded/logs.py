"""Logs of the child processes: kept, and bounded to two files of a given size each."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

LIMIT_BYTES: Final = 16 * 1024 * 1024


def bound(path: Path, limit_bytes: int = LIMIT_BYTES) -> bool:
    """Move the content of ``path`` to ``<path>.1`` when it is larger than the limit; whether that was done.

    The file is copied and cut, not renamed, because the child keeps it open for appending. Lines written between copy
    and cut are lost: the log is for people, and nothing is proved from it.
    """
    try:
        if path.stat().st_size <= limit_bytes:
            return False
    except FileNotFoundError:
        return False
    shutil.copyfile(path, path.with_name(path.name + ".1"))
    os.truncate(path, 0)
    return True


def tail(path: Path, since_bytes: int = 0, lines: int = 15) -> str:
    """The last lines written after offset ``since_bytes``, for an error message."""
    try:
        with path.open("rb") as file:
            file.seek(max(since_bytes, path.stat().st_size - 16_384))
            content = file.read().decode(errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(content.splitlines()[-lines:]) or "(the log is empty)"
