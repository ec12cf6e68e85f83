"""Why a process ended, as its log says: the last error in it, on one line."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator
from pathlib import Path

from infra.run.paths import DataPaths
from infra.run.roll import called

_TAIL = 256 << 10  # bytes of the end of a log that are looked at
_MOST = 400  # characters
_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (ERROR|CRITICAL|[A-Z]+) \S+ (.*)")
_RAISED = re.compile(r"([A-Za-z_][\w.]*)(: .*)?")
_WHAT_FOLLOWS = "; the worker ends and is started again"  # who says that it ended says so, too


def stopped(paths: DataPaths, told: Container[str]) -> Iterator[tuple[str, Path, str]]:
    """Those that ought to run and have not told of themselves lately: name, log, and the last error in it.

    Args:
        paths: The data folder.
        told: Names of those that have.
    """
    for name in called(paths.roll) or ():
        if name not in told:
            log = paths.logs / f"{name}.log"
            yield name, log, last_error(log)


def last_error(log: Path, start: int = 0) -> str:
    """The last error of a log; empty where there is none.

    Of an error that is none of ours only the kind is given: its words may quote what was read.

    Args:
        log: The file, of text or of JSON lines.
        start: Where the process began to write; beyond the end: at the beginning, since the log was moved aside.
    """
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(start if start <= size else 0, size - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    found, block = "", False  # block: we are below an error, perhaps in its traceback
    raised = ""
    for line in lines:
        error = _error(line)
        if error is not None:
            found, block, raised = error or found, bool(error), "" if error else raised
        elif block and line[:1].strip() and (match := _RAISED.fullmatch(line)):
            raised = match[1]
    text = found.removesuffix(_WHAT_FOLLOWS)
    return (f"{text}: {raised}" if raised else text)[:_MOST]


def _error(line: str) -> str | None:
    """What a line says that is an error; empty: it is a line of a log, and none; None: it is no line of a log."""
    if match := _LINE.fullmatch(line):
        return match[2] if match[1] in ("ERROR", "CRITICAL") else ""
    if not line.startswith('{"time"'):
        return None
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if said.get("level") not in ("error", "critical"):
        return ""
    raised = _RAISED.match(str(said.get("exception", "")).rstrip().rpartition("\n")[2])
    return str(said.get("event", "")).removesuffix(_WHAT_FOLLOWS) + (f": {raised[1]}" if raised else "")
