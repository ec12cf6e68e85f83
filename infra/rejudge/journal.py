"""What is about to be told, on disk before it is told: who is killed meanwhile has it completed by the next one.

Without it a second judging would find that all of it stands already, and write down that nothing came of it; and those
that were told would name others that were not.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agents.engine.episodes import Records
from infra.cli.store import Store
from infra.rejudge.comparing import Outcome
from infra.rejudge.standing import send, standing
from schemas.errors import AupstreamError, InputError
from schemas.records import decode_record, encode_record

FILE = "begun.json"
_COLUMNS = ("at", "who", "reason", "from_time", "to_time", "causes", "changed", "withdrawn", "raised")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_THERE = "SELECT count() AS n FROM rejudgements WHERE at = fromUnixTimestamp64Micro(%(at)s, 'UTC') AND who = %(who)s"


@dataclass(frozen=True, slots=True)
class Entry:
    """One judging: a row of `rejudgements`, and what is told.

    Attributes:
        at: When, microseconds UTC; with `who` it names the row.
        who: User and host.
        reason: Why.
        span: First events from then on, and before then, microseconds UTC.
        causes: What asked for it.
        ids: Of violations that were changed, withdrawn and raised.
        records: What is told, in its order.
    """

    at: int
    who: str
    reason: str
    span: tuple[int, int]
    causes: tuple[str, ...]
    ids: tuple[tuple[str, ...], ...]
    records: Records

    @staticmethod
    def of(outcome: Outcome, who: str, reason: str, span: tuple[int, int], causes: tuple[str, ...]) -> Entry:
        """What came out just now."""
        at = (datetime.now(UTC) - _EPOCH) // timedelta(microseconds=1)
        some = (outcome.changed, outcome.withdrawn, outcome.raised)
        ids = tuple(tuple(str(r["id"]) for r in records) for records in some)
        return Entry(at, who, reason, span, causes, ids, outcome.records)

    def row(self) -> tuple[object, ...]:
        """For the table."""
        at, start, end = (_EPOCH + timedelta(microseconds=t) for t in (self.at, *self.span))
        return (at, self.who, self.reason, start, end, list(self.causes), *map(list, self.ids))


class Journal:
    """One file; used by one process at a time.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def tell(self, kafka: str, store: Store, entry: Entry) -> None:
        """Tell an outcome and write down that it was told.

        Raises:
            ServerError: a server does not answer: `complete` goes on with it.
        """
        self._write(entry)
        send(kafka, entry.records)
        self._end(store, entry)

    def begun(self) -> Entry | None:
        """What was begun and not ended. Raises `InputError` where it cannot be read."""
        try:
            plain = json.loads(self._path.read_text("utf-8"))
            records = [decode_record(b64decode(one))[1] for one in plain.pop("records")]
            plain["ids"] = tuple(map(tuple, plain["ids"]))
            return Entry(**plain | {name: tuple(plain[name]) for name in ("span", "causes")}, records=records)
        except FileNotFoundError:
            return None
        except (AupstreamError, OSError, ValueError, KeyError, TypeError) as error:
            hint = "move it away and judge that time again; `rejudgements` will lack this one"
            raise InputError(f"what was cut off cannot be read: {error}", where=str(self._path), hint=hint) from error

    def complete(self, kafka: str, store: Store, entry: Entry) -> int:
        """Tell what of it was not told, and write it down where it is not; how many that were.

        Raises:
            ServerError: a server does not answer.
        """
        told = {record["id"]: record["version"] for record in standing(kafka)}
        missing = [record for record in entry.records if told.get(record["id"], 0) < record["version"]]
        send(kafka, missing)
        self._end(store, entry)
        return len(missing)

    def _end(self, store: Store, entry: Entry) -> None:
        if not store.rows(_THERE, {"at": entry.at, "who": entry.who})[0]["n"]:
            store.insert("rejudgements", _COLUMNS, [entry.row()])
        self._path.unlink()

    def _write(self, entry: Entry) -> None:
        """Whole or not at all; names of people are in it."""
        plain = {name: getattr(entry, name) for name in ("at", "who", "reason", "span", "causes", "ids")}
        plain["records"] = [b64encode(encode_record("violation", r)).decode() for r in entry.records]
        temporary = self._path.with_suffix(".tmp")
        try:
            temporary.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(json.dumps(plain))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            raise InputError(f"it cannot be written down: {error.strerror}", where=str(self._path)) from error
