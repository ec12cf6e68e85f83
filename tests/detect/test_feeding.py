"""Detection rows made for all rules together are those that each row gives each rule by itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.detect import Detector
from agents.engine.enrich import ACCOUNTS, Enricher
from agents.engine.evidence import summaries
from agents.engine.rows import KeyedRow, Row, rows_of
from agents.rules.examples import frame_of
from agents.rules.loader import parse_rules
from agents.rules.model import NUMERIC_KINDS, Detection, Rule
from schemas.kinds import EventKind

START = datetime(2026, 3, 2, 16, tzinfo=UTC)
DISTRICT = District.of("Example", "UTC", ["school.example"], [])
ENRICHER = Enricher(DISTRICT, Inventory.none())
DETECTIONS = """
title: games
name: games
level: low
logsource: {category: proxy}
detection: {selection: {proxy_category: games}, condition: selection}
---
title: refused
name: refused
level: low
logsource: {category: proxy}
detection: {selection: {event_action: denied}, condition: selection}
---
title: slow
name: slow
level: low
logsource: {category: proxy}
detection: {selection: {event_duration|gte: 5}, condition: selection}
aupstream: {group-by: [source_ip]}
"""
CORRELATION = """
title: {name}
name: {name}
level: low
correlation: {{{text}, timespan: 10m}}
aupstream: {{{own}}}
"""
CORRELATIONS = {
    "counted": "type: event_count, rules: [games, refused], group-by: [user_name, url_domain], condition: {gte: 3}",
    "hosts": "type: value_count, rules: [games], group-by: [user_name], condition: {field: url_domain, gte: 3}",
    "names": "type: value_count, rules: [refused], group-by: [source_ip], condition: {field: user_name, gte: 3}",
    "hosts-by-who": "type: value_count, rules: [games], group-by: [proxy_category], "
    "condition: {field: [user_name, source_ip, http_response_bytes], gte: 3}",
    "bytes": "type: value_sum, rules: [games], group-by: [user_name], condition: {field: http_response_bytes, gte: 3}",
    "pair": "type: temporal, rules: [games, refused], group-by: [who], aliases: {who: {games: user_name, "
    "refused: source_ip}}",
    "evening": "type: event_count, rules: [games], group-by: [user_name], condition: {gte: 3}",
}
OWN = {"evening": 'when: {hours: "16:00-16:03"}'}
RULES = parse_rules(
    "---".join(
        [
            DETECTIONS,
            *(CORRELATION.format(name=n, text=t, own=OWN.get(n, "shadow: true")) for n, t in CORRELATIONS.items()),
        ]
    )
)
NAMES = (
    "anna",
    "Anna ",
    "DISTRICT\\anna",
    "ben@school.example",
    "cleo@college.example",
    "j\\xf6rg",
    "(masked)",
    "",
    'd"q',
    "e\x01",
)
DOMAINS = ("school.example", "college.example", "DISTRICT", "")


@st.composite
def events(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Proxy events, of few values each so that rows have keys in common, and in some frames of plain names only."""
    names = st.sampled_from(draw(st.sampled_from([NAMES, ("anna", " Ben", "(masked)", "")])))
    realms = draw(st.sampled_from([st.none(), st.none() | st.sampled_from(DOMAINS)]))
    columns = {
        "user_name": st.none() | names,
        "user_domain": realms,
        "url_domain": st.none() | st.sampled_from(["a.example", 'b"\\', "c\n"]),
        "source_ip": st.none() | st.sampled_from(["10.0.0.1", "10.0.0.2"]),
        "proxy_category": st.sampled_from(["games", "news"]),
        "event_action": st.none() | st.sampled_from(["denied", "allowed"]),
        "http_response_bytes": st.none() | st.integers(0, 9),
        "event_duration": st.none() | st.integers(0, 9),
        "late": st.booleans(),
        "time_suspect": st.booleans(),
    }
    drawn = draw(st.lists(st.fixed_dictionaries(columns), max_size=8))
    place = {"log_source": "s", "log_generation": "g", "log_hash": "h", "log_sub": 0}
    return [
        place | row | {"event_id": f"e{i}", "timestamp": START + timedelta(minutes=i), "log_offset": i}
        for i, row in enumerate(drawn)
    ]


def _slowly(frame: pl.DataFrame, number: int, rule: Rule, base: Detection) -> dict[str, Any] | str:
    """What one row gives one rule; or why it gives nothing."""
    row = frame[number]
    at = row["timestamp"][0]
    if rule.title == "evening" and not (at.hour, at.minute) < (16, 3):
        return "time"

    def key(column: str) -> str | None:
        return row.select(ENRICHER.key(column, row.columns)).item()  # type: ignore[no-any-return]  # text by its type

    keys = {name: key(rule.column_of(name, base.name)) for name in rule.group_by}
    if None in keys.values():
        return "key"
    counted = [key(column) for column in rule.value_columns] if rule.kind == "value_count" else [None]
    value = None if None in counted else "\x1f".join(str(one) for one in counted)
    number_of = row[rule.value_field][0] if rule.kind in NUMERIC_KINDS and rule.value_field else None
    if (rule.kind == "value_count" and value is None) or (rule.kind in NUMERIC_KINDS and number_of is None):
        return "value"
    return {
        "rule_id": rule.id,
        "rule_version": rule.version,
        "base": base.name,
        "group_key": json.dumps(keys, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        "timestamp": at,
        "event_id": row["event_id"][0],
        "late": row["late"][0] or row["time_suspect"][0],
        "values": [] if value is None else [value],
        "number": None if number_of is None else float(number_of),
        "facts": [],
        **{name: row[name][0] for name in ("log_source", "log_generation", "log_offset", "log_sub", "log_hash")},
        "summary": summaries(row, EventKind.PROXY)[0],
        "row": number,
    }


def _matches(frame: pl.DataFrame, number: int, base: Detection) -> bool:
    row = frame[number]
    if base.name == "games":
        return bool(row["proxy_category"][0] == "games")
    if base.name == "refused":
        return bool(row["event_action"][0] == "denied")
    return (row["event_duration"][0] or 0) >= 5


@given(events())
def test_rules_together_are_fed_what_each_row_gives_each_of_them(rows: list[dict[str, Any]]) -> None:
    frame = frame_of(EventKind.PROXY, rows)
    expected: list[dict[str, Any]] = []
    left_out = {"time": 0, "key": 0, "value": 0}
    feeds = sorted(RULES.feeds(EventKind.PROXY), key=lambda feed: (feed[0].id, feed[1].name))
    for number in range(frame.height):
        for rule, base in feeds:
            if _matches(frame, number, base):
                made = _slowly(frame, number, rule, base)
                if isinstance(made, str):
                    left_out[made] += 1
                else:
                    expected.append(made)
    detector = Detector(RULES, DISTRICT, Inventory.none())
    assert detector.detect(frame, EventKind.PROXY).to_dicts() == expected
    assert (detector.counters.missing_key, detector.counters.missing_value) == (left_out["key"], left_out["value"])


def test_every_rule_of_this_test_is_fed() -> None:
    row = {
        "user_name": "anna", "url_domain": "a", "source_ip": "10.0.0.1", "proxy_category": "games", "event_duration": 9,
        "event_action": "denied", "http_response_bytes": 1, "event_id": "e", "timestamp": START, "late": False,
        "time_suspect": False, "log_source": "s", "log_generation": "g", "log_hash": "h", "log_offset": 0, "log_sub": 0,
    }  # fmt: skip
    found = Detector(RULES, DISTRICT, Inventory.none()).detect(frame_of(EventKind.PROXY, [row]), EventKind.PROXY)
    assert set(found["rule_id"]) == {rule.id for rule in RULES.rules}


@pytest.mark.parametrize("column", ACCOUNTS)
@given(rows=st.lists(st.tuples(st.none() | st.sampled_from(NAMES), st.none() | st.sampled_from(DOMAINS)), max_size=6))
def test_accounts_of_a_frame_are_spelled_as_each_by_itself(
    column: str, rows: list[tuple[str | None, str | None]]
) -> None:
    frame = frame_of(EventKind.LOGIN, [{column: name, "user_domain": realm} for name, realm in rows])
    expected = [row.select(ENRICHER.key(column, row.columns)).item() for row in frame.iter_slices(1)]
    assert ENRICHER.keys(column, frame).to_list() == expected


@given(events(), st.integers(1, 3))
def test_rows_are_the_frame_row_by_row_whatever_is_taken_at_once(rows: list[dict[str, Any]], at_once: int) -> None:
    frame = Detector(RULES, DISTRICT, Inventory.none()).detect(frame_of(EventKind.PROXY, rows), EventKind.PROXY)
    frame = pl.concat([frame, frame])  # the same row numbers again behind each other, as in two batches
    # Of a rule that waits for identity and one that does not the same event has other facts and another summary.
    third = pl.int_range(pl.len()) % 3
    frame = frame.with_columns(
        facts=pl.when(third == 0).then(pl.lit(["f"])).otherwise("facts"),
        summary=pl.when(third == 1).then(pl.lit("{}")).otherwise("summary"),
    )
    expected = [
        KeyedRow(
            r["rule_id"],
            r["group_key"],
            r["late"],
            Row(
                (r["timestamp"] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1),
                r["event_id"],
                r["base"],
                tuple(r["values"]),
                r["number"],
                r["log_source"],
                r["log_generation"],
                r["log_offset"],
                r["log_hash"],
                r["summary"],
                tuple(r["facts"]),
            ),
            r["row"],
        )
        for r in frame.iter_rows(named=True)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.engine.rows.SLICE", at_once)
        found = list(rows_of(frame))
    assert found == expected
    assert {(type(f), type(f.row)) for f in found} <= {(KeyedRow, Row)}


@given(events(), st.integers(1, 4))
def test_portions_are_the_rows_in_order(rows: list[dict[str, Any]], at_most: int) -> None:
    detector = Detector(RULES, DISTRICT, Inventory.none())
    matched = detector.match(frame_of(EventKind.PROXY, rows), EventKind.PROXY)
    whole = detector.rows(matched, "immediate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agents.engine.detect.MAX_PORTION", at_most)
        portions = list(detector.portions(matched, "immediate"))
    assert pl.concat(portions).equals(whole)
    if matched.frame.height > 1 and whole.height > at_most:
        assert len(portions) > 1


def test_rows_of_one_event_share_what_is_long() -> None:
    row = {
        "user_name": "anna", "proxy_category": "games", "event_action": "denied", "event_id": "e", "timestamp": START,
        "late": False, "time_suspect": False, "log_source": "s", "log_generation": "g", "log_hash": "h",
        "log_offset": 0, "log_sub": 0,
    }  # fmt: skip
    frame = Detector(RULES, DISTRICT, Inventory.none()).detect(frame_of(EventKind.PROXY, [row]), EventKind.PROXY)
    found = [keyed.row for keyed in rows_of(frame)]
    assert len(found) > 1
    assert {id(r.summary) for r in found} == {id(found[0].summary)}
