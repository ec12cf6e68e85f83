"""`aupstream rules convert`: the query finds what the engine finds."""

# ruff: noqa: S608 - queries over tables of our own
from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from agents.build import district_of, inventory_of, judge_of
from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.enrich import Enricher
from agents.engine.pipeline import Pipeline, last_versions
from agents.rules.columns import keyword_columns
from agents.rules.compiled import Compiled
from agents.rules.convert import Converter
from agents.rules.convert_keys import Keys
from agents.rules.examples import frame_of, read_example
from agents.rules.loader import load_rules, parse_rules
from agents.rules.model import RuleSet
from agents.sinks.avro_columns import clickhouse_columns
from agents.sinks.clickhouse import ClickHouse
from infra.config import load
from schemas.codec import encode
from schemas.errors import RuleError
from schemas.kinds import EventKind
from streams.road import deliveries
from tests.cli.command import aupstream
from tests.cli.convert_rules import BASES, REFUSED, own_rules
from tests.embedded.databases import events_database
from tests.embedded.servers_fixture import RunningServers
from tests.rules.test_conditions_equal_oracle import Condition, rule_text, rules

_KINDS = {kind.topic: kind for kind in EventKind}
_US = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _rows(number: int) -> list[dict[str, Any]]:
    """Pages with odd texts: missing, empty, letters of both cases and beyond ASCII, signs that mean something."""
    draw = random.Random(5)
    letters = ["a", "A", "b", "B", "é", "É", "ß", "Σ", "*", "?", "\\", ".", "(", " ", "'", "\n", "%", "7", "٣", "_"]

    def text() -> str | None:
        return None if draw.random() < 0.2 else "".join(draw.choices(letters, k=draw.randint(0, 5)))

    addresses = ["10.1.2.3", "10.2.0.1", "192.0.2.9", "2001:db8::1", "2001:db8:1::1", "::ffff:10.1.2.3", "x", "",
                 "fe80::1%eth0", "10.1.2.03", "256.1.1.1"]  # fmt: skip
    return [
        {
            "event_id": f"{n:06d}",
            "timestamp": _EPOCH + timedelta(days=19_000 + n, seconds=977 * n),
            "event_dataset": draw.choice(["squid", "apache.access"]),
            "log_source": "p", "log_generation": "g", "log_offset": n, "log_sub": 0, "log_hash": "h", "late": False,
            "time_suspect": False,
            "url_original": text(), "user_name": text(), "http_request_method": text(),
            "source_ip": draw.choice([None, *addresses]),
            "http_response_status_code": draw.choice([None, *range(31)]),
            "http_response_bytes": draw.choice([None, *range(31)]),
        }
        for n in range(number)
    ]  # fmt: skip


@dataclass(frozen=True)
class Pages:
    """Pages in a table, and as a frame."""

    store: ClickHouse
    frame: pl.DataFrame


@pytest.fixture(scope="module")
def pages(embedded_servers: RunningServers) -> Iterator[Pages]:
    with events_database(embedded_servers) as store:
        frame = frame_of(EventKind.PROXY, _rows(1_500))
        container = encode("proxy", frame)
        # Twice: what a repeat leaves in the table counts once.
        store.insert_containers("events_proxy", clickhouse_columns("proxy"), [(container, None), (container, None)])
        yield Pages(store, frame)


def _both(pages: Pages, text: str) -> tuple[list[str], list[str]]:
    """Ids that the engine matches, and that the query does."""
    found = parse_rules(text)
    (detection,) = found.detections
    compiled = detection.expression
    assert isinstance(compiled, Compiled)
    condition = Converter(found).condition(detection)
    query = f"SELECT event_id FROM events_proxy FINAL WHERE {condition} ORDER BY event_id"
    return pages.frame.filter(compiled.exact)["event_id"].to_list(), [i for (i,) in pages.store.execute(query)]


@pytest.mark.servers
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules())
def test_a_condition_in_sql_matches_the_same_events(pages: Pages, rule: tuple[dict[str, Any], Condition]) -> None:
    selections, (condition, _) = rule
    engine, query = _both(pages, rule_text(selections, condition))
    assert engine == query


@pytest.mark.servers
@pytest.mark.parametrize(
    "selection",
    [
        {"c-uri|re": r"\d"}, {"c-uri|re": r"[\d'b]$"}, {"c-uri|re": r"\s"}, {"c-uri|re": r"^\w+$"},
        {"c-uri|re": r"\W"}, {"c-uri|re": "a.b"}, {"c-uri|re|s": "a.b"}, {"c-uri|re|m": "^b"}, {"c-uri|re|i": "É"},
        {"c-uri|re": r"[^\]a]b"}, {"c-uri|re": r"\p{Lu}"}, {"c-uri|contains|all": ["a", "'"]}, {"c-uri": "\u03c3"},
        {"c-uri|contains": "\n"}, {"c-uri|endswith": "\\"}, {"c-uri|windash|contains": " -a"},
        {"c-uri|base64offset|contains": "a"}, {"c-uri|wide|base64|contains": "a"}, {"c-uri": None}, {"c-uri": ""},
        {"sc-status|contains": "1"}, {"sc-status": "12"}, {"sc-status|neq": 3}, {"User": 7}, {"c-ip|cidr": "::/0"},
        {"c-ip|cidr": ["10.0.0.0/8", "fe80::/10"]}, {"c-uri|fieldref|startswith": "User"},
        {"c-uri|fieldref|endswith": "User"}, {"sc-status|fieldref": "sc-bytes"}, {"User|fieldref": "sc-status"},
        {"c-uri|fieldref|contains|cased": "User"}, {"c-uri|cased|fieldref": "User"},
        {"c-uri|fieldref|contains": "User"}, {"User|fieldref|contains": "sc-status"},
        {"sc-bytes|fieldref|endswith": "sc-status"}, {"timestamp|minute": 7}, {"timestamp|hour": [0, 16]},
        {"timestamp|day": 3}, {"timestamp|week": [1, 53]}, {"timestamp|month": 12}, {"timestamp|year": 2024},
        {"timestamp|hour|gte": 16}, {"timestamp|week|lt": 2}, {"timestamp|year|neq": 2024},
    ],
    ids=str,
)  # fmt: skip
def test_every_modifier_in_sql_matches_the_same_events(pages: Pages, selection: dict[str, Any]) -> None:
    rule = {"title": "t", "name": "n", "level": "low", "logsource": {"category": "proxy"}}
    text = json.dumps(rule | {"detection": {"s": selection, "condition": "s"}})
    engine, query = _both(pages, text)
    assert engine == query


@pytest.mark.servers
def test_keywords_in_sql_match_the_same_events(pages: Pages) -> None:
    assert keyword_columns(EventKind.PROXY)
    rule = {"title": "t", "name": "n", "level": "low", "logsource": {"category": "proxy"}}
    text = json.dumps(rule | {"detection": {"words": ["é?", "_", "'"], "condition": "not words"}})
    engine, query = _both(pages, text)
    assert engine == query
    assert 0 < len(engine) < pages.frame.height


@dataclass(frozen=True)
class Day:
    """A simulated day in a database."""

    store: ClickHouse
    config: Path
    frames: list[tuple[EventKind, pl.DataFrame]]


@pytest.fixture(scope="module")
def day(embedded_servers: RunningServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("convert") / "day"
    assert aupstream("simulate", "--seed", "3", "--lines", "4000", folder).code == 0
    config = load(folder / "aupstream.toml")
    frames = []
    with events_database(embedded_servers) as store:
        road = deliveries(config.collectors(), now_us=1_900_000_000_000_000, today=date(2030, 1, 1))
        for headers, frame, message in road:
            if headers is not None and frame is not None and message.topic in _KINDS:
                kind = _KINDS[message.topic]
                parts = [(message.value, None)]
                store.insert_containers(f"events_{kind.value}", clickhouse_columns(kind.value), parts)
                frames.append((kind, frame))
        yield Day(store, folder / "aupstream.toml", frames)


def _of_engine(day: Day, rules: RuleSet) -> dict[str, list[tuple[Any, ...]]]:
    settings_of = load(day.config).district
    district = district_of(settings_of)
    pipeline = Pipeline(rules, district, inventory_of(settings_of), judge_of(settings_of, district))
    for kind, frame in day.frames:
        pipeline.take(kind, frame)
    found: dict[str, list[tuple[Any, ...]]] = {rule.id: [] for rule in rules.rules}
    for v in last_versions(pipeline.finish()):
        times = [(_EPOCH + v[name] * _US) for name in ("first_seen", "last_seen", "opened_at", "closed_at")]
        key = json.dumps(v["group_key"], sort_keys=True)
        # The row of an episode is its violation; the query names the first event of that.
        first = "" if rules.rule(v["rule_id"]).inner else v["evidence"][0]["event_id"]
        found[v["rule_id"]].append((key, *times, v["count"], first))
    return {rule.id: sorted(found[rule.id]) for rule in rules.rules if not rule.silent}


def _of_query(day: Day, rules: RuleSet, name: str) -> list[tuple[Any, ...]]:
    settings_of = load(day.config).district
    rule = rules.rule(name)
    text = Converter(rules, district_of(settings_of), inventory_of(settings_of)).rule(rule)
    first = "''" if rule.inner else "first_event"
    names = f"group_key, first_seen, last_seen, opened_at, closed_at, count, {first}"
    found = day.store.execute(f"SELECT {names} FROM ({text})")
    return sorted((json.dumps(key, sort_keys=True), *rest) for key, *rest in found)


@pytest.mark.servers
def test_addresses_that_many_share_are_the_same_in_sql(pages: Pages) -> None:
    column, inventory = "source_address_shared", Inventory.none()
    district = replace(District(), shared_networks=("10.1.0.0/16", "2001:db8::/48"))
    judged = Enricher(district, inventory).add(pages.frame, EventKind.PROXY, [column])
    expected = judged.filter(pl.col(column))["event_id"].to_list()
    said = Keys(district, inventory).derived(EventKind.PROXY)[column]
    query = f"SELECT event_id FROM events_proxy FINAL WHERE {said} ORDER BY event_id"
    assert [i for (i,) in pages.store.execute(query)] == expected
    assert 100 < len(expected) < 1_400


@pytest.mark.servers
@pytest.mark.parametrize("name", ["guessed-password", "mass-mail", "new-device", "shared-device", "two-sites"])
def test_a_rule_that_comes_along_finds_the_same_in_sql_over_a_day(day: Day, name: str) -> None:
    rules = load_rules()
    engine = _of_engine(day, rules)[name]
    assert engine
    assert _of_query(day, rules, name) == engine


@pytest.mark.servers
def test_correlations_of_every_kind_find_the_same_in_sql_over_a_day(day: Day) -> None:
    rules = own_rules()
    engine = _of_engine(day, rules)
    assert {name: _of_query(day, rules, name) for name in engine} == engine
    assert sum(map(bool, engine.values())) >= 14


@pytest.mark.servers
def test_a_range_of_time_is_as_if_there_were_no_other_events(day: Day) -> None:
    rules = own_rules()
    times = pl.concat(f.select("timestamp") for k, f in day.frames if k is EventKind.PROXY)["timestamp"]
    middle: Any = times.median()
    cut = [(k, f.filter(pl.col("timestamp") >= middle)) for k, f in day.frames]
    engine = _of_engine(Day(day.store, day.config, cut), rules)["own-0"]
    text = Converter(rules, start=middle).rule(rules.rule("own-0"))
    assert [
        row[0] for row in day.store.execute(f"SELECT first_event FROM ({text}) ORDER BY first_seen, first_event")
    ] == [e[-1] for e in sorted(engine, key=lambda e: (e[1], e[-1]))]


def test_the_command_prints_the_query() -> None:
    ran = aupstream("rules", "convert", "guessed-password", "--from", "2026-03-01")
    assert ran.code == 0
    assert ran.out.startswith("-- guessed-password ")
    assert "timestamp >= toDateTime64('2026-03-01 00:00:00.000000', 6, 'UTC')" in ran.out


@pytest.mark.servers
@pytest.mark.parametrize("context", [False, True], ids=["kinds of our own", "lists, roster and shared networks"])
def test_sql_finds_what_the_examples_of_rules_say(embedded_servers: RunningServers, *, context: bool) -> None:
    rules = load_rules() if context else load_rules([Path(__file__).parent.parent / "rules" / "own_kinds.yml"])
    along = [rules.rule(name) for name in ("mass-mail", "shared-device", "two-sites")] if context else rules.rules
    with events_database(embedded_servers) as store:
        for rule in along:
            for raw in rule.examples:
                if context and not {"lists", "roster", "sites", "shared_networks"} & raw.get("context", {}).keys():
                    continue
                example = read_example(raw, rule.id)
                for kind in EventKind:
                    store.execute(f"TRUNCATE TABLE events_{kind.value}")
                for kind, frame in example.frames.items():
                    parts = [(encode(kind.value, frame), None)]
                    store.insert_containers(f"events_{kind.value}", clickhouse_columns(kind.value), parts)
                text = Converter(rules, example.district, example.inventory).rule(rule)
                found = store.execute(f"SELECT group_key, first_seen, last_seen, toInt64(count), value FROM ({text})")
                columns = ("group_key", "first_seen", "last_seen", "count", "value")
                said = [{name: v[name] for name in columns if name in v} for v in example.violations]
                times = {"first_seen", "last_seen"}
                wanted = [{k: datetime.fromisoformat(v) if k in times else v for k, v in one.items()} for one in said]
                wanted.sort(key=lambda one: json.dumps(one["group_key"]))
                plain = [dict(zip(columns, row, strict=True)) for row in found]
                plain.sort(key=lambda row: (json.dumps(row["group_key"]), row["first_seen"]))
                got = [{k: row[k] for k in one} for row, one in zip(plain, wanted, strict=True)]
                assert got == wanted, (rule.id, example.name)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("long-order", "`lasting` of an order of rules cannot be said in SQL"),
        ("quiet", "an absence in a part of the calendar cannot be said in SQL"),
        ("sum-of-orders", "an-order measures nothing that value_sum could take"),
        ("quite", "did you mean 'quiet'?"),
    ],
)
def test_what_sql_cannot_say_is_refused_in_words(tmp_path: Path, rule: str, said: str) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(REFUSED + BASES, "utf-8")
    ran = aupstream("rules", "convert", rule, "--rules", file)
    assert (ran.code, ran.out) == (3, "")
    assert said in ran.err


@pytest.mark.parametrize("pattern", [r"[a&&b]", r"[[a]b]", r"[\W]", r"[\S]x"])
def test_a_regular_expression_that_clickhouse_reads_otherwise_is_refused(pattern: str) -> None:
    rule = {"title": "t", "name": "n", "level": "low", "logsource": {"category": "proxy"}}
    found = parse_rules(json.dumps(rule | {"detection": {"s": {"c-uri|re": pattern}, "condition": "s"}}))
    with pytest.raises(RuleError, match="cannot be said in SQL"):
        Converter(found).rule(found.rule("n"))
