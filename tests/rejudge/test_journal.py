"""What was cut off while it was told is told to its end, once, and written down, once."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.rejudge import journal
from infra.rejudge.comparing import Outcome
from infra.rejudge.journal import Entry, Journal
from schemas.errors import InputError, ServerError
from schemas.records import decode_record, encode_record
from schemas.registry import schema


class Road:
    """A topic and a table as files, so that they outlive who is killed."""

    def __init__(self, folder: Path) -> None:
        self.topic, self.table = folder / "topic", folder / "table"
        self.send_until, self.die = 10**6, False

    def send(self, _: str, records: Sequence[Mapping[str, Any]]) -> None:
        for number, record in enumerate(records):
            if number >= self.send_until:
                self._end()
            with self.topic.open("a") as file:
                file.write(encode_record("violation", record).hex() + "\n")

    def standing(self, _: str) -> list[dict[str, Any]]:
        return self.told()

    def told(self) -> list[dict[str, Any]]:
        lines = self.topic.read_text().splitlines() if self.topic.exists() else []
        return [decode_record(bytes.fromhex(line))[1] for line in lines]

    def rows(self, _: str, values: Mapping[str, object]) -> list[dict[str, int]]:
        return [{"n": sum(line.startswith(f"{values['at']} ") for line in self.written())}]

    def insert(self, _: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        if self.die:
            self._end()
        with self.table.open("a") as file:
            for row in rows:
                plain = dict(zip(columns, row, strict=True))
                ids = " ".join(len(plain[name]) * name[0] for name in ("changed", "withdrawn", "raised"))
                file.write(f"{round(plain['at'].timestamp() * 1e6)} {plain['reason']} {ids}\n")

    def written(self) -> list[str]:
        return self.table.read_text().splitlines() if self.table.exists() else []

    def _end(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def _plain(kind: Any) -> Any:
    """A value of an Avro type."""
    if isinstance(kind, list):
        return None if "null" in kind else _plain(kind[0])
    if isinstance(kind, Mapping):
        if kind["type"] == "enum":
            return kind["symbols"][0]
        return {} if kind["type"] == "map" else [] if kind["type"] == "array" else _plain(kind["type"])
    return {"string": "", "boolean": False, "double": 0.0, "float": 0.0}.get(kind, 0)


def _record(name: str, version: int) -> dict[str, Any]:
    plain = {field["name"]: _plain(field["type"]) for field in schema("violation")["fields"]}
    return plain | {"id": name, "version": version}


ENTRY = Entry.of(
    Outcome(withdrawn=[_record("a", 1_000_001)], raised=[_record("b", 2)]), "me on here", "a cart", (0, 9), ("late",)
)


def _killed(road: Road, book: Journal) -> None:
    """Tell in a process that is killed over it."""
    child = os.fork()
    if not child:
        book.tell("", road, ENTRY)  # type: ignore[arg-type]
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.fixture
def road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Road:
    made = Road(tmp_path)
    monkeypatch.setattr(journal, "send", made.send)
    monkeypatch.setattr(journal, "standing", made.standing)
    return made


@pytest.mark.parametrize(("sent", "left"), [(0, 2), (1, 1), (2, 0)])
def test_who_is_killed_while_telling_has_it_completed_once(road: Road, tmp_path: Path, sent: int, left: int) -> None:
    book = Journal(tmp_path / "rejudge")
    road.send_until, road.die = sent, True
    _killed(road, book)
    assert (len(road.told()), road.written()) == (sent, [])
    road.send_until, road.die = 10**6, False
    begun = book.begun()
    assert begun == ENTRY
    assert book.complete("", road, begun) == left  # type: ignore[arg-type]
    assert [(r["id"], r["version"]) for r in road.told()] == [("a", 1_000_001), ("b", 2)]
    assert road.written() == [f"{ENTRY.at} a cart  w r"]
    assert book.begun() is None


def test_who_is_killed_after_it_was_written_down_writes_it_down_no_second_time(road: Road, tmp_path: Path) -> None:
    book = Journal(tmp_path / "rejudge")
    book.tell("", road, ENTRY)  # type: ignore[arg-type]
    book._write(ENTRY)
    assert book.complete("", road, ENTRY) == 0  # type: ignore[arg-type]
    assert (len(road.told()), len(road.written()), book.begun()) == (2, 1, None)


def test_what_was_not_taken_stays_begun(road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ServerError("away")

    monkeypatch.setattr(journal, "send", refuse)
    book = Journal(tmp_path / "rejudge")
    with pytest.raises(ServerError):
        book.tell("", road, ENTRY)  # type: ignore[arg-type]
    assert book.begun() == ENTRY
    (path,) = (tmp_path / "rejudge").iterdir()
    assert path.stat().st_mode & 0o077 == 0, "names are in it"
    path.write_text("{")
    with pytest.raises(InputError):
        book.begun()
