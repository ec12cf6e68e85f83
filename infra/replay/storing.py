"""Waits until what was sent is in ClickHouse."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from infra.cli.store import Store
from infra.replay.sending import Sent
from schemas.errors import ServerError
from schemas.kinds import EventKind

_AT_ONCE = 5_000  # ids in one question
_PAUSE_S = 0.5
PATIENCE_S = 120.0  # without anything new


def wait_until_stored(
    store: Store, sent: Sent, place: tuple[str, str], each: Callable[[int], object], patience_s: float = PATIENCE_S
) -> None:
    """Block until all events and, where it has ended, the ledger of a reading are stored.

    Args:
        store: ClickHouse.
        sent: What was sent.
        place: Source and timeline.
        each: Told how many more events are there, now and then.
        patience_s: Seconds without any more of them after which it is given up.

    Raises:
        ServerError: nothing more comes.
    """
    seen, since = -1, time.monotonic()
    while True:
        there, closed = stored(store, sent), not sent.ended or _closed(store, *place)
        if there >= sent.count and closed:
            return
        if there > seen:
            each(there - max(seen, 0))
            seen, since = there, time.monotonic()
        if time.monotonic() - since > patience_s:
            raise ServerError(
                f"{there} of {sent.count} events are stored, and no more for {patience_s:.0f} s",
                where=f"source {place[0]}, timeline {place[1]}",
                hint="all is on Kafka, nothing is lost: see with `aupstream status` whether persist runs, then give "
                "the same command again",
            )
        time.sleep(_PAUSE_S)


def stored(store: Store, sent: Sent) -> int:
    """How many of the events are in ClickHouse."""
    found = 0
    for kind, ids in sent.events.items():
        for i in range(0, len(ids), _AT_ONCE):
            query = f"SELECT uniqExact(event_id) AS n FROM events_{kind.value} WHERE event_id IN %(ids)s"  # noqa: S608
            found += int(store.rows(query, {"ids": tuple(ids[i : i + _AT_ONCE])})[0]["n"])
    return found


def _closed(store: Store, source: str, timeline: str) -> bool:
    """Whether the ledger has all of a reading."""
    query = (
        "SELECT count() AS chunks, countIf(NOT final) AS open FROM ledger_now "
        "WHERE source = %(source)s AND timeline = %(timeline)s"
    )
    [row] = store.rows(query, {"source": source, "timeline": timeline})
    return bool(row["chunks"] > 0 and row["open"] == 0)


def whole(store: Store, sent: Sent, place: tuple[str, str]) -> Sent:
    """What a reading made in all, from what is stored: one that was cut off knows only what came since it went on.

    Args:
        store: ClickHouse.
        sent: What was sent since then.
        place: Source and timeline.

    Raises:
        ServerError: ClickHouse does not answer.
    """
    source, timeline = place
    asked = {"source": source, "timeline": timeline}
    query = "SELECT DISTINCT generation FROM ledger_now WHERE source = %(source)s AND timeline = %(timeline)s"
    read = tuple(str(row["generation"]) for row in store.rows(query, asked))
    made = replace(sent, events=dict(sent.events), generations=set(read))
    for kind in EventKind if read else ():
        query = (
            "SELECT count() AS n, min(toUnixTimestamp64Micro(timestamp)) AS first, "  # noqa: S608
            f"max(toUnixTimestamp64Micro(timestamp)) AS last FROM events_{kind.value} "
            "WHERE log_source = %(source)s AND log_generation IN %(read)s"
        )
        [row] = store.rows(query, {"source": source, "read": read})
        if row["n"]:
            made.events.setdefault(kind, [])
            made.first = min(int(row["first"]), row["first"] if made.first is None else made.first)
            made.last = max(int(row["last"]), row["last"] if made.last is None else made.last)
    return made
