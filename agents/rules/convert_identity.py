"""Whose device an address was, in SQL: the leases that DHCP events state, joined as of each event's time.

See `agents.engine.identity`: a later fact about an address replaces the one before from its own start on. Of two that
start at the same instant the later line of one log counts; from two logs they leave it open. Leases are looked for from
the beginning of the table on, whatever range of time is asked for: one may have begun before.
"""

# ruff: noqa: S608 - writing queries is what this module is for; every text in them is quoted by `quoted`
from __future__ import annotations

from collections.abc import Sequence

_GRANTED = "event_action IN ('ack', 'renew')"
_LEASE_US = 86_400_000_000  # of a grant that says no time; as in `agents.engine.identity`, which rules do not import


def leases(table: str, tests: Sequence[str]) -> str:
    """Query of who had an address from when to when: `ip`, `since`, `until` (microseconds), `mac` (null: nobody known).

    Args:
        table: Of DHCP events.
        tests: Further conditions on them.
    """
    micros = "toUnixTimestamp64Micro"
    until = f"coalesce(since + dhcp_lease_seconds * 1000000, {micros}(dhcp_lease_expires), since + {_LEASE_US})"
    conditions = " AND ".join(
        [
            "NOT late AND NOT time_suspect AND isNotNull(source_ip)",
            "NOT ifNull(position(event_reason, 'not found') > 0, false)",
            f"(({_GRANTED} AND source_mac != '') OR event_action IN ('release', 'expire', 'decline'))",
            *tests,
        ]
    )
    stated = (
        f"SELECT assumeNotNull(source_ip) AS ip, {micros}(timestamp) AS since, event_id, "
        f"if({_GRANTED}, ifNull(source_mac, ''), '') AS value, "
        f"if({_GRANTED}, assumeNotNull({until}), toInt64(9223372036854775807)) AS ends "
        f"FROM {table} FINAL WHERE {conditions}"
    )
    order = "ORDER BY event_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW"
    before = f"OVER (PARTITION BY ip, since {order})"
    sure = "value_before = value OR log_before = '' OR log_before = substring(event_id, 1, 16)"
    ranked = (
        f"SELECT ip, since, event_id, value, ends, lagInFrame(value, 1, '') {before} AS value_before, "
        f"lagInFrame(substring(event_id, 1, 16), 1, '') {before} AS log_before FROM ({stated})"
    )
    return (
        f"SELECT ip, since, argMax(ends, event_id) AS until, "
        f"argMax(if(value != '' AND ({sure}), value, ''), event_id) AS mac FROM ({ranked}) GROUP BY ip, since"
    )


def attributed(table: str, leased: str) -> str:
    """A table of events in which `source_mac` is the device that the event names, else that which had its address."""
    events = (
        "SELECT * EXCEPT (source_mac), source_mac AS named_mac, ifNull(source_ip, '') AS asked_ip, "
        f"toUnixTimestamp64Micro(timestamp) AS asked_at FROM {table} FINAL"
    )
    mac = "if(isNull(e.named_mac) AND e.asked_at < f.until, nullIf(f.mac, ''), e.named_mac)"
    return (
        f"(SELECT e.* EXCEPT (named_mac, asked_ip, asked_at), {mac} AS source_mac FROM ({events}) AS e "
        f"ASOF LEFT JOIN ({leased}) AS f ON e.asked_ip = f.ip AND e.asked_at >= f.since)"
    )
