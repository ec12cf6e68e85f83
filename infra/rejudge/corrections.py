"""Corrections of context files that are said to have been so all along, for a time that is past.

A file that changes says what is so from then on. That what it says was so before, too, somebody has to say, with
`rejudge --corrected`: it is written down beside the versions of the files, so that whatever judges that time again
later goes by it. Entries are only appended, and of two about the same thing and time the later one counts.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.context.mac import normalise_mac
from schemas.errors import ConfigError, InputError

FILE = "corrections.jsonl"  # in the folder of the versions
AS_IT_WAS = "as it was"  # in the place of a version: what was corrected before is taken back
ROSTER, INVENTORY, LISTS, PERMITS = "roster", "inventory", "lists", "permits"
ROWS = {ROSTER: "an account", INVENTORY: "a MAC address", LISTS: "the list's address"}  # what a row is named by


@dataclass(frozen=True, slots=True)
class What:
    """What was corrected.

    Attributes:
        file: `roster` (with roles), `inventory`, `lists` or `permits`.
        row: Account, MAC or list address as files spell it; empty for the whole file.
    """

    file: str
    row: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.row}" if self.row else self.file


@dataclass(frozen=True, slots=True)
class Correction:
    """One entry.

    Attributes:
        what: What was corrected.
        start: First event time that it counts for, microseconds UTC.
        end: First one that it does not count for any more.
        version: Name of the version that has it right; empty: the files as they are now; or `AS_IT_WAS`.
    """

    what: What
    start: int
    end: int
    version: str


def what_of(text: str, option: str = "--corrected") -> What:
    """`FILE` or `FILE:ROW` of an option of the command line.

    Raises:
        ConfigError: there is no such file, or a row of it has no such name.
    """
    file, _, row = (part.strip().lower() for part in text.partition(":"))
    if file not in (*ROWS, PERMITS):
        raise ConfigError(
            f"{file!r} is no file that can be corrected", where=option, hint=f"say {', '.join((*ROWS, PERMITS))}"
        )
    if row and file not in ROWS:
        hint = "say when it counts in the row itself: `from`, `to` and `revoked`"
        raise ConfigError(f"{file} can be corrected as a whole only", where=option, hint=hint)
    named = normalise_mac(row) if file == INVENTORY and row else row
    if named is None:
        raise ConfigError(f"{row!r} is no MAC address", where=option, hint="write inventory:3c:52:82:01:02:03")
    return What(file, named)


def read(folder: Path) -> list[Correction]:
    """All entries, oldest first.

    Raises:
        InputError: they cannot be read.
    """
    path = folder / FILE
    try:
        lines = path.read_text("utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"corrections cannot be read: {error}", where=str(path)) from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            continue  # whoever wrote it was killed, and has judged nothing by it
        try:
            entry = json.loads(line)
            what = What(str(entry["file"]), str(entry["row"]))
            found.append(Correction(what, int(entry["start"]), int(entry["end"]), str(entry["version"])))
        except (ValueError, KeyError, TypeError) as error:
            hint = "corrections are appended by `aupstream rejudge` only; put back the copy that was kept"
            raise InputError("this is no correction", where=f"{path}:{number}", hint=hint) from error
    return found


def append(folder: Path, corrections: Sequence[Correction], said: dict[str, str]) -> None:
    """Write down those that are not the newest words on the matter anyway.

    Args:
        folder: Of the versions.
        corrections: New ones.
        said: Who says so, when and why.

    Raises:
        InputError: they cannot be written, or those before cannot be read.
    """
    path = folder / FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            data = file.read()
            file.truncate(data.rfind(b"\n") + 1)
            before = read(folder)
            for one in corrections:
                if one not in before[-len(corrections) :]:
                    plain = {"file": one.what.file, "row": one.what.row, "version": one.version}
                    entry = {**plain, "start": one.start, "end": one.end, **said}
                    file.write(json.dumps(entry, sort_keys=True).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"corrections cannot be written: {error.strerror}", where=str(path)) from error
