"""What asks by itself for judging again: leases that came late, and permits written down after the fact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from agents.context.permitlog import Record, permits_of
from agents.engine.identity import LEASE_US
from infra.cli.store import Store
from infra.cli.unsealing import Unsealer
from infra.config import Config
from infra.permits.keeping import recorded
from infra.rejudge.comparing import Scope

MARGIN_US = 86_400_000_000  # a window may begin so long before what is different now
_LATE = """
SELECT event_id, toUnixTimestamp64Micro(timestamp) AS t, source_ip, dhcp_lease_seconds FROM events_dhcp FINAL
WHERE late AND source_ip IS NOT NULL AND event_action IN ('ack', 'renew', 'release', 'expire', 'decline')
ORDER BY timestamp, event_id
"""
_DONE = "SELECT DISTINCT arrayJoin(causes) AS cause FROM rejudgements"


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be judged again, and why.

    Attributes:
        scope: What.
        causes: Event ids and names of permits' records.
        reason: For people.
    """

    scope: Scope
    causes: tuple[str, ...]
    reason: str


def due(store: Store, unsealer: Unsealer, config: Config, now_us: int) -> list[Due]:
    """What has become due since it was done last.

    Args:
        store: ClickHouse.
        unsealer: Gives late leases their addresses back.
        config: Where permits are.
        now_us: Now, microseconds UTC.

    Raises:
        AupstreamError: ClickHouse does not answer, or the permits cannot be read.
    """
    done = {row["cause"] for row in store.rows(_DONE)}
    late = [row for row in store.rows(_LATE) if row["event_id"] not in done]
    records = recorded(config.permit_log)()
    fresh = [r for r in records if cause_of(r) not in done]
    found = []
    if late:
        found.append(_of_leases(unsealer.rows(late)))
    for record in fresh:
        scope = _of_permit(records, record, config)
        if scope.start < now_us:
            found.append(Due(scope, (cause_of(record),), f"permit {record['id']}: {record['action']}"))
    return found


def cause_of(record: Record) -> str:
    """What a record of a permit is called among the causes."""
    return f"permit {record['id']} {record['action']} {record['recorded']}"


def _of_leases(rows: Sequence[dict[str, Any]]) -> Due:
    ends = [row["t"] + (int(row["dhcp_lease_seconds"] or 0) * 1_000_000 or LEASE_US) for row in rows]
    scope = Scope(
        min(row["t"] for row in rows) - MARGIN_US, max(ends), frozenset(str(row["source_ip"]).lower() for row in rows)
    )
    return Due(scope, tuple(str(row["event_id"]) for row in rows), f"{len(rows)} leases came late")


def _of_permit(records: Iterable[Record], record: Record, config: Config) -> Scope:
    found = permits_of(records, ZoneInfo(config.district.timezone), "permits")
    permit = next(p for p in found if p.id == record["id"])
    return Scope(permit.from_us - MARGIN_US, permit.to_us + MARGIN_US, frozenset({permit.who.lower()}))
