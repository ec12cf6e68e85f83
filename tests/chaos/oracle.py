"""What must come out of the logs of a run, by plain SQL over their lines: no part of aupstream reads them here.

DuckDB takes the lines apart, finds which are late, joins leases and logins by time, and makes episodes by the queries
of `tests.engine.sql_episodes`. Of aupstream's own only the rules' text and the hashes that make ids are used.
"""
# ruff: noqa: S608 - queries of our own making

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from agents.engine.episodes import FIRST_KEPT, NEWEST_KEPT
from agents.engine.rows import Row
from agents.rules.loader import load_rules
from agents.rules.model import Rule
from schemas.ids import event_prefix, generation_of, violation_id
from schemas.jsonutil import canonical
from tests.chaos.workload import LATENESS_S, Log, permitted
from tests.engine.sql_episodes import Engine, found

RULES = Path(__file__).with_name("rules.yml")

_LINES = {
    "logins": (
        r"^(\S+) \S+ sshd\[\d+\]: (Failed|Accepted) password for (\S+) from (\S+) port \d+ ssh2$",
        "epoch_us(CAST(p[1] AS TIMESTAMPTZ)) AS t, p[2] AS verb, p[3] AS who, p[4] AS ip, NULL AS size",
    ),
    "dhcp": (
        r"^(\S+) \S+ dhcpd\[\d+\]: (DHCPACK) on (\S+) to (\S+) ",
        "epoch_us(CAST(p[1] AS TIMESTAMPTZ)) AS t, p[2] AS verb, p[4] AS who, p[3] AS ip, NULL AS size",
    ),
    "proxy": (
        r"^(\d+)\.(\d{3}) +\d+ (\S+) (TCP_\w+)/\d+ (\d+) GET ",
        "CAST(p[1] || p[2] AS BIGINT) * 1000 AS t, p[4] AS verb, NULL AS who, p[3] AS ip, CAST(p[5] AS BIGINT) AS size",
    ),
    "mail": (
        r"^(\S+) \S+ postfix/qmgr\[\d+\]: (\w+): (from|removed)(?:=<([^>]*)>)?",
        "epoch_us(CAST(p[1] AS TIMESTAMPTZ)) AS t, p[3] AS verb, p[4] AS who, p[2] AS ip, NULL AS size",
    ),
}
# Rows of each rule by its base: key, time, event, base, number, value. Late rows enter no window.
_FAILED, _DONE = "verb = 'Failed'", "verb = 'Accepted'"
_LOGIN_BASE = f"CASE WHEN {_FAILED} THEN 'chaos-failure' ELSE 'chaos-success' END"
_ROWS = {
    "chaos-failures": f"SELECT who, t, id, 'chaos-failure', NULL, NULL FROM logins WHERE {_FAILED} AND NOT late",
    "chaos-in-order": f"SELECT who, t, id, {_LOGIN_BASE}, NULL, NULL FROM logins WHERE NOT late",
    "chaos-accounts": (
        f"SELECT mac, t, id, {_LOGIN_BASE}, NULL, who FROM logins ASOF JOIN leases ON logins.ip = leases.ip "
        "AND logins.t >= leases.since WHERE NOT late"
    ),
    "chaos-denied": (
        "SELECT ip, t, id, 'chaos-denied-page', NULL, NULL FROM proxy WHERE verb = 'TCP_DENIED' AND NOT late"
    ),
    "chaos-bytes": "SELECT ip, t, id, 'chaos-page', size, NULL FROM proxy WHERE size >= 100000 AND NOT late",
    "chaos-mail": "SELECT who, t, id, 'chaos-message', NULL, NULL FROM messages WHERE NOT late",
}
_DUCK = Engine("duckdb", lambda text: duckdb.execute(text).fetchall())


@dataclass(frozen=True)
class Wanted:
    """What must come out.

    Attributes:
        violations: Last versions by id: what `found_in` says of a record.
        lines: Of every source.
        dead: Lines of every source that nothing can be made of.
    """

    violations: dict[str, tuple[Any, ...]]
    lines: dict[str, int]
    dead: dict[str, int]


def wanted(logs: Sequence[Log]) -> Wanted:
    """Ask DuckDB."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE TABLE raw (source VARCHAR, n BIGINT, id VARCHAR, line VARCHAR)")
        connection.execute("CREATE TABLE given (source VARCHAR, n BIGINT, id VARCHAR, line VARCHAR)")
        for log in logs:
            _load(connection, log)
        _tables(connection)
        violations: dict[str, tuple[Any, ...]] = {}
        for rule in load_rules([RULES]).rules:
            violations |= _violations(connection, rule)
        dead = {log.name: _number(connection, log.name) for log in logs}
    return Wanted(violations, {log.name: log.lines for log in logs}, dead)


def found_in(record: dict[str, Any]) -> tuple[Any, ...]:
    """What of a record is held against the oracle's."""
    events = tuple(e["event_id"] for e in record["evidence"])
    return (
        record["rule_id"], canonical(record["group_key"]), record["status"], record["state"], record["first_seen"],
        record["last_seen"], record["opened_at"], record["closed_at"], record["count"], float(record["value"]),
        events, record["evidence_dropped"], record["incomplete"],
    )  # fmt: skip


def _load(connection: duckdb.DuckDBPyConnection, log: Log) -> None:
    """The lines with the ids that their events have: hash of source and content, then offset and sub-index."""
    import pyarrow as pa

    ids: list[str] = []
    texts: list[str] = []
    for piece in log.pieces:
        prefix, offset = event_prefix(log.name, generation_of(piece[0])), 0
        for line in piece:
            ids.append(f"{prefix}{offset:012x}0000")
            texts.append(line.decode())
            offset += len(line) + 1
    table = pa.table({"source": [log.name] * len(ids), "n": range(len(ids)), "id": ids, "line": texts})
    connection.register("arrived", table)
    connection.execute("INSERT INTO raw SELECT * FROM arrived")
    connection.unregister("arrived")


def _tables(connection: duckdb.DuckDBPyConnection) -> None:
    """One table a source: its lines taken apart, and whether each is late when it is read."""
    for source, (pattern, columns) in _LINES.items():
        split = f"SELECT n, id, regexp_extract_all(line, '{pattern}') AS whole, line FROM raw WHERE source = '{source}'"
        groups = "[" + ", ".join(f"regexp_extract(line, '{pattern}', {i})" for i in range(1, 6)) + "]"
        parsed = f"SELECT n, id, {groups} AS p FROM ({split}) WHERE len(whole) > 0"
        timed = f"SELECT n, id, {columns} FROM ({parsed})"
        newest = "max(t) OVER (ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        late = f"coalesce(t < {newest} - {LATENESS_S * 1_000_000}, false)"
        connection.execute(f"CREATE TABLE {source} AS SELECT *, {late} AS late FROM ({timed})")
    # An address has the device of its newest lease; one that is given again leaves who had it.
    connection.execute("CREATE TABLE leases AS SELECT ip, t AS since, who AS mac FROM dhcp")
    connection.execute(
        "CREATE TABLE messages AS SELECT f.who, r.t, r.id, r.late FROM mail AS r JOIN mail AS f ON f.ip = r.ip "
        "WHERE r.verb = 'removed' AND f.verb = 'from'"
    )


def _number(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    asked = f"SELECT count(*) FROM raw WHERE source = '{source}' AND contains(line, 'broken line')"
    return int((connection.execute(asked).fetchone() or (0,))[0])


def _violations(connection: duckdb.DuckDBPyConnection, rule: Rule) -> dict[str, tuple[Any, ...]]:
    rows = connection.execute(_ROWS[rule.id]).fetchall()
    keyed = [(key, _row(*rest)) for key, *rest in rows if key]
    by_key: dict[str, list[Row]] = {}
    for key, row in keyed:
        by_key.setdefault(key, []).append(row)
    made: dict[str, tuple[Any, ...]] = {}
    for key, episodes in found(_DUCK, rule, keyed).items():
        ordered = sorted(by_key[key], key=lambda r: (r.t, r.event_id))
        group_key = canonical({rule.group_by[0]: key})
        for first, opened, closed, count, last in episodes:
            ids = [row.event_id for row in ordered]
            inside = ordered[ids.index(first) : ids.index(last) + 1]
            assert len(inside) == count
            free = rule.id == "chaos-failures" and all(permitted(key, row.t) for row in inside)
            made[violation_id(rule.id, group_key, first)] = (
                rule.id, group_key, "permitted" if free else "violation", "closed", inside[0].t, inside[-1].t, opened,
                closed, count, _value(rule, ordered, opened, inside[-1]), *_evidence(inside), False,
            )  # fmt: skip
    return made


def _row(t: int, event_id: str, base: str, number: float | None, value: str | None) -> Row:
    values = () if value is None else (value,)
    return Row(t, event_id, base, values, number, "", "", 0, "", "", ())


def _evidence(inside: Sequence[Row]) -> tuple[tuple[str, ...], int]:
    ids = [row.event_id for row in inside]
    kept = ids if len(ids) <= FIRST_KEPT + NEWEST_KEPT else ids[:FIRST_KEPT] + ids[-NEWEST_KEPT:]
    return tuple(kept), len(ids) - len(kept)


def _value(rule: Rule, ordered: Sequence[Row], opened: int, last: Row) -> float:
    """The highest aggregate at any row from the one at which it opened to the last, each window counted anew."""
    if rule.kind == "temporal_ordered":
        return float(len(rule.bases))  # all of them
    peak = 0.0
    for i, row in enumerate(ordered):
        if row.t < opened or (row.t, row.event_id) > (last.t, last.event_id):
            continue
        window = [r for r in ordered[: i + 1] if r.t > row.t - rule.timespan_us]
        if rule.kind == "value_count":
            peak = max(peak, len({v for r in window for v in r.values}))
        elif rule.kind == "value_sum":
            peak = max(peak, sum(r.number or 0 for r in window))
        else:
            peak = max(peak, len(window))
    return float(peak)
