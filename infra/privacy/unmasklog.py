"""The unmask log: who saw which names, when and why. Append-only, each entry chained to the one before.

It is kept twice: whole in ClickHouse, and as number and hash beside the keys. Who can write to ClickHouse alone can
change no entry, take none out and cut none off without it showing; who can write to both is not held by it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from infra.cli.store import Store
from schemas.errors import InputError

FIRST = "0" * 64
_COLUMNS = ("number", "at", "who", "action", "reason", "case_id", "asked", "previous", "hash")
_NOBODY = 2**32 - 1  # loginuid of a process that no login started


@dataclass(frozen=True, slots=True)
class Entry:
    """One request; see the table `unmask_log`. `at` is in UTC."""

    number: int
    at: datetime
    who: str
    action: str
    reason: str
    case_id: str
    asked: tuple[str, ...]
    previous: str
    hash: str = ""

    def hashed(self) -> str:
        """SHA-256 over everything but the hash itself, 64 hexadecimal digits."""
        parts = [self.number, self.at.isoformat(), self.who, self.action, self.reason, self.case_id, list(self.asked)]
        return hashlib.sha256(json.dumps([*parts, self.previous], ensure_ascii=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody wants to know.

    Attributes:
        action: What is done, such as unmask, find, or read dead letter.
        asked: Pseudonyms, or ids of dead letters.
        reason: Why.
        case_id: Of the case that it is for; empty: none.
    """

    action: str
    asked: tuple[str, ...]
    reason: str
    case_id: str = ""


def second_record(keys: Path) -> Path:
    """The file with numbers and hashes, beside the keys."""
    return keys.with_name(f"{keys.name}.unmask-log")


def entries(store: Store) -> list[Entry]:
    """All entries, by number.

    Raises:
        ServerError: ClickHouse does not answer.
    """
    rows = store.rows(f"SELECT {', '.join(_COLUMNS)} FROM unmask_log ORDER BY number, at")  # noqa: S608 - our names
    return [Entry(**{**r, "asked": tuple(r["asked"]), "at": _utc(r["at"])}) for r in rows]


def append(store: Store, keys: Path, request: Request) -> Entry:
    """Write an entry down in both places; only then may names be shown.

    Args:
        store: ClickHouse, with the right to write.
        keys: The key file: the second record is beside it.
        request: What is asked.

    Raises:
        InputError: the log does not hold as it is: nobody is unmasked until that has been looked into.
        ServerError: ClickHouse does not answer.
    """
    with _locked(second_record(keys)) as file:
        known, heads = entries(store), _heads(file)
        if len(known) == len(heads) + 1 and not problems(known[:-1], heads) and not problems(known, None):
            _note(file, known[-1])  # the last request was killed between the two places, before it showed anything
            heads = [*heads, (known[-1].number, known[-1].hash)]
        if wrong := problems(known, heads):
            hint = "look into it with `aupstream audit`; names are shown again once both records agree"
            raise InputError(f"the unmask log does not hold: {wrong[0]}", where="unmask", hint=hint)
        previous = known[-1].hash if known else FIRST
        bare = Entry(
            len(known) + 1, datetime.now(UTC), who(), request.action, request.reason, request.case_id, request.asked,
            previous,
        )  # fmt: skip
        entry = replace(bare, hash=bare.hashed())
        store.insert("unmask_log", _COLUMNS, [tuple(_plain(entry, c) for c in _COLUMNS)])
        if entries(store)[-1:] != [entry]:
            raise InputError(
                "the unmask log did not take the entry", where="unmask", hint="`aupstream audit` says more"
            )
        _note(file, entry)
        return entry


def problems(known: Sequence[Entry], heads: Sequence[tuple[int, str]] | None) -> list[str]:
    """What does not hold, the first broken entry first.

    Args:
        known: Entries of ClickHouse, by number.
        heads: Numbers and hashes of the second record; None: do not compare with it.
    """
    found = []
    previous = FIRST
    for number, entry in enumerate(known, 1):
        if entry.number != number:
            found.append(f"entry {number} is missing or stands twice: entry {entry.number} is in its place")
        elif entry.previous != previous:
            found.append(f"entry {number} does not follow the one before it")
        elif entry.hash != entry.hashed():
            found.append(f"entry {number} was changed")
        if found:
            break
        previous = entry.hash
    return found if heads is None else found + _against(known, heads)


def audited(store: Store, keys: Path | None) -> tuple[int, list[str]]:
    """How many entries there are, and what does not hold.

    Args:
        store: ClickHouse.
        keys: The key file; None: no pseudonyms are made here.
    """
    known = entries(store)
    path = Path("privacy.key_file") if keys is None else second_record(keys)
    try:
        with path.open(encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # while nobody writes to both
            return len(known), problems(entries(store), _heads(file))
    except (OSError, UnicodeDecodeError) as error:
        missing = [f"its second record cannot be read: {path}: {error}"]
        return len(known), problems(known, None) + (
            missing if known or not isinstance(error, FileNotFoundError) else []
        )


def who() -> str:
    """The user of the operating system: the effective one, who logged in where that is another, and the host."""
    name = _name(os.geteuid())
    try:
        login = int(Path("/proc/self/loginuid").read_text("ascii"))
    except (OSError, ValueError):
        login = _NOBODY
    by = f", logged in as {_name(login)}" if login not in (_NOBODY, os.geteuid()) else ""
    return f"{name}{by} on {socket.gethostname()}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _against(known: Sequence[Entry], heads: Sequence[tuple[int, str]]) -> list[str]:
    """How the two records differ: the first entry that does, and what is missing at either end."""
    found = []
    for (number, head), entry in zip(heads, known, strict=False):
        if (number, head) != (entry.number, entry.hash):
            found.append(f"entry {number} is not the one that the second record has")
            break
    if len(known) < len(heads):
        found.append(f"entries {len(known) + 1} to {len(heads)} are gone: the second record has them")
    if len(known) > len(heads):
        found.append(f"entries {len(heads) + 1} to {len(known)} are not in the second record")
    return found


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    """The second record, for this process alone; blocks while another has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        hint = "it is written beside the keys: whoever unmasks must be able to"
        raise InputError(f"the unmask log cannot be kept: {error.strerror}", where=str(path), hint=hint) from error
    with os.fdopen(descriptor, "r+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _heads(file: IO[str]) -> list[tuple[int, str]]:
    file.seek(0)
    rows = (line.split() for line in file if line.strip())
    return [(int(row[0]) if row[0].isdigit() else 0, row[-1]) for row in rows]


def _note(file: IO[str], entry: Entry) -> None:
    file.write(f"{entry.number} {entry.hash}\n")
    file.flush()
    os.fsync(file.fileno())


def _plain(entry: Entry, column: str) -> object:
    value = getattr(entry, column)
    return list(value) if column == "asked" else value


def _utc(when: datetime) -> datetime:
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
