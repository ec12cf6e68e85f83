"""What asks by itself for judging again: leases and logins that came late, permits after the fact, absent sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from agents.context.permit import Permit
from agents.context.permitfile import moment
from agents.context.permitlog import GRANT, Record, permits_of
from agents.context.whose import every_name
from agents.engine.identity import LEASE_US, SESSION_US
from infra.cli.store import Store
from infra.cli.unsealing import Unsealer
from infra.rejudge.comparing import Scope
from infra.rejudge.past import Past
from schemas.kinds import NETWORK_LOGINS

MARGIN_US = 86_400_000_000  # a window may begin so long before what is different now
_LATE = """
SELECT event_id, toUnixTimestamp64Micro(timestamp) AS t, source_ip, dhcp_lease_seconds FROM events_dhcp FINAL
WHERE late AND source_ip IS NOT NULL AND event_action IN ('ack', 'renew', 'release', 'expire', 'decline')
ORDER BY timestamp, event_id
"""
_LATE_LOGINS = f"""
SELECT event_id, toUnixTimestamp64Micro(timestamp) AS t, user_name, source_mac, assigned_ip FROM events_login FINAL
WHERE late AND user_name IS NOT NULL AND (source_mac IS NOT NULL OR assigned_ip IS NOT NULL)
AND event_dataset IN ({", ".join(f"'{name}'" for name in sorted(NETWORK_LOGINS))})
AND event_action IN ('login', 'session_start', 'logout', 'session_end', 'disconnect')
ORDER BY timestamp, event_id
"""  # noqa: S608  # our own names
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


def due(
    store: Store, unsealer: Unsealer, records: Sequence[Record], past: Past, gaps: Sequence[Record] = ()
) -> list[Due]:
    """What has become due since it was done last.

    Args:
        store: ClickHouse.
        unsealer: Gives late leases and logins their names back.
        records: Of permits, as all workers were told of them.
        past: Says by what names a holder goes, and went.
        gaps: Of sources that were absent and have read what they had missed.

    Raises:
        AupstreamError: ClickHouse does not answer, or a record cannot be read.
    """
    zone = past.district.timezone
    done = {row["cause"] for row in store.rows(_DONE)}
    late, logins = ([r for r in store.rows(query) if r["event_id"] not in done] for query in (_LATE, _LATE_LOGINS))
    permits = {p.id: p for p in permits_of(records, zone, "permits")}
    found = []
    if late:
        found.append(_of_leases(unsealer.rows(late)))
    if logins:
        found.append(_of_logins(unsealer.rows(logins)))
    for record in records:
        permit = permits[str(record["id"])]
        # What is written down before it takes effect is known to the agents when they judge.
        if cause_of(record) not in done and _effective(record, permit) < (_written_down(record, zone) or 0):
            scope = Scope(permit.from_us - MARGIN_US, permit.to_us + MARGIN_US, _names(past, permit))
            found.append(Due(scope, (cause_of(record),), f"permit {record['id']}: {record['action']}"))
    return found + [_of_gap(gap) for gap in gaps if _gap(gap) not in done]


def _gap(gap: Record) -> str:
    return f"gap {gap['source']} {gap['from']} {gap['to']}"


def _of_gap(gap: Record) -> Due:
    """While a source was absent, the others were judged without it."""
    start, end = (0 if gap[name] is None else int(gap[name]) for name in ("from", "to"))
    scope = Scope(start - MARGIN_US if gap["from"] is not None else 0, max(start, end) + MARGIN_US)
    return Due(scope, (_gap(gap),), f"source {gap['source']} was absent and has been read since")


def _names(past: Past, permit: Permit) -> frozenset[str]:
    """Of whom it is: somebody who has left since has no address in the roster of now."""
    then = (past.context(number)[0] for number in past.numbers(permit.from_us, permit.to_us))
    return frozenset().union(*(every_name(district, permit.who) for district in (past.district, *then)))


def _effective(record: Record, permit: Permit) -> int:
    """From when on a record changes what is permitted, microseconds UTC."""
    return permit.from_us if record["action"] == GRANT or permit.revoked is None else permit.revoked.at_us


def _written_down(record: Record, zone: tzinfo) -> int | None:
    """When a record was written down, microseconds UTC."""
    return moment(str(record["recorded"]), zone, end=False)


def cause_of(record: Record) -> str:
    """What a record of a permit is called among the causes."""
    return f"permit {record['id']} {record['action']} {record['recorded']}"


def _of_leases(rows: Sequence[dict[str, Any]]) -> Due:
    ends = [row["t"] + (int(row["dhcp_lease_seconds"] or 0) * 1_000_000 or LEASE_US) for row in rows]
    scope = Scope(
        min(row["t"] for row in rows) - MARGIN_US, max(ends), frozenset(str(row["source_ip"]).lower() for row in rows)
    )
    return Due(scope, tuple(str(row["event_id"]) for row in rows), f"{len(rows)} leases came late")


def _of_logins(rows: Sequence[dict[str, Any]]) -> Due:
    """Who was on a device from then on, until a later login that was known may say otherwise."""
    times = [row["t"] for row in rows]
    named = (row[column] for row in rows for column in ("user_name", "source_mac", "assigned_ip"))
    scope = Scope(
        min(times) - MARGIN_US, max(times) + SESSION_US, frozenset(str(name).lower() for name in named if name)
    )
    return Due(scope, tuple(str(row["event_id"]) for row in rows), f"{len(rows)} logins came late")
