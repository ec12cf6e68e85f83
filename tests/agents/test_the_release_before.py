"""What the release before tells can be read, and it can read what is told now: it knows no `aup-newest`."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable

from agents.delivery.batches import EventBatches
from agents.delivery.link import NOTHING, Link
from agents.delivery.stage import Message
from agents.engine.progress import ProgressTable, SourceInfo, Told
from schemas.headers import FOREVER, BatchHeaders
from schemas.kinds import EventKind

MARKER = BatchHeaders("marker", "login", "a", progress=FOREVER, earliest=3, newest=70)
TOLD = [Told("a", "", FOREVER, 3, 70), Told("b", "", 17, None)]
LINK = Link("aup.events.login", 0, "immediate", NOTHING, NOTHING, TOLD, 2, runs=[])
TOPIC = EventKind.LOGIN.topic


def _without(headers: Iterable[tuple[str, bytes | None]], name: str) -> list[tuple[str, bytes | None]]:
    """The same headers without one of them, and with the check that fits."""
    kept = {k: v or b"" for k, v in headers if k not in (name, "aup-check")}
    check = zlib.crc32(b"\n".join(k.encode() + b"=" + kept[k] for k in sorted(kept)))
    return [*kept.items(), ("aup-check", f"{check:08x}".encode())]


def test_headers_that_do_not_say_the_newest_time_are_read_as_not_knowing_it() -> None:
    assert BatchHeaders.from_kafka(MARKER.to_kafka(), where="here") == MARKER
    before = BatchHeaders.from_kafka(_without(MARKER.to_kafka(), "aup-newest"), where="here")
    assert (before.newest, before.progress, before.earliest) == (None, FOREVER, 3)
    assert Link.from_kafka(LINK.to_kafka(), b"", where="here") == LINK
    told = Link.from_kafka(_without(LINK.to_kafka(), "aup-newest"), b"", where="here").told
    assert [(t.progress, t.newest) for t in told] == [(FOREVER, None), (17, None)]


def test_what_it_reads_is_what_it_was() -> None:
    headers = dict(LINK.to_kafka())
    assert json.loads(headers["aup-told"] or b"") == [["a", "", FOREVER, 3], ["b", "", 17, None]]
    assert _without(LINK.to_kafka(), "nothing")[-1] == ("aup-check", headers["aup-check"])


def test_state_with_and_without_the_newest_time_is_taken_back() -> None:
    batches = EventBatches()
    batches.read(Message(TOPIC, 0, 0, b"", MARKER.to_kafka()))
    saved = dict(batches.save())
    assert EventBatches.load(saved).told() == batches.told() == [TOLD[0]]
    assert saved.pop("newest") == [70]
    assert saved["told"] == [["a", "", FOREVER, 3]]
    assert EventBatches.load(saved).told() == [Told("a", "", FOREVER, 3)]

    table, source = ProgressTable(), SourceInfo("a", EventKind.LOGIN)
    table.tell(TOPIC, 0, "immediate", TOLD)
    plain = table.save()
    assert ProgressTable.load(plain).covered({source: FOREVER}) == 70
    del plain["newest"]
    assert ProgressTable.load(plain).covered({source: FOREVER}) is None
