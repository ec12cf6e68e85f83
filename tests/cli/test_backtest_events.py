"""`aupstream backtest` over events that are there already, and two rule sets against each other."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import TopicAlreadyExistsError

from agents.rules.loader import POLICY_FOLDER
from agents.sinks.avro_columns import clickhouse_columns
from agents.sinks.clickhouse import ClickHouse
from infra.clickhouse.migrate import migrate
from infra.config import load
from schemas.kinds import EventKind
from streams.road import deliveries
from streams.sources.packed import zstd
from tests.cli.command import Ran, aupstream
from tests.embedded.servers_fixture import RunningServers

MAIL = EventKind.MAIL.topic
_KINDS = {kind.topic: kind for kind in EventKind}
RULE = """\
title: Refused
name: many-refused
correlation: {type: event_count, rules: [refused], group-by: [source_ip], timespan: 10m, condition: {gte: 3}}
---
title: Refused
name: refused
logsource: {category: proxy}
detection: {selection: {event_action: denied}, condition: selection}
"""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("events") / "day"
    assert aupstream("simulate", "--seed", "3", "--lines", "4000", folder).code == 0
    return folder


@pytest.fixture(scope="module")
def mail(day: Path) -> Ran:
    """Violations of the mail log by itself."""
    ran = aupstream("backtest", "-c", day / "aupstream.toml", f"mail=postfix:{day / 'mail.log'}")
    assert ran.objects
    return ran


@pytest.fixture(scope="module")
def container(day: Path) -> Path:
    path = day / "mail.avro"
    config = day / "aupstream.toml"
    assert aupstream("normalise", "--source", "mail", "-c", config, "--avro", path, day / "mail.log").code == 0
    return path


def test_a_container_gives_the_violations_of_its_log(day: Path, mail: Ran, container: Path) -> None:
    ran = aupstream("backtest", "-c", day / "aupstream.toml", f"events:{container}")
    assert ran.objects == mail.objects
    assert f"{container}: " in ran.err


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_a_packed_one_too(day: Path, mail: Ran, container: Path, pack: object) -> None:
    packed = container.with_name("packed")
    packed.write_bytes(pack(container.read_bytes()))  # type: ignore[operator]  # one of the two above
    assert aupstream("backtest", "-c", day / "aupstream.toml", f"events:{packed}").objects == mail.objects
    packed.write_bytes(packed.read_bytes()[:-40])
    ran = aupstream("backtest", "-c", day / "aupstream.toml", f"events:{packed}")
    assert (ran.code, ran.out) == (4, "")
    assert "is damaged" in ran.err


def test_an_event_that_is_in_two_files_counts_once(day: Path, mail: Ran, container: Path) -> None:
    lines = day / "mail-again.jsonl"
    lines.write_text(aupstream("normalise", "--source", "mail", "-c", day / "aupstream.toml", day / "mail.log").out)
    ran = aupstream("backtest", "-c", day / "aupstream.toml", f"events:{container}", f"events:{container}")
    assert ran.objects == mail.objects
    assert "events were there before, under the same id: left out" in ran.err
    mixed = aupstream("backtest", "-c", day / "aupstream.toml", f"events:{container}", f"events:{lines}")
    assert mixed.objects == mail.objects


def test_events_without_an_id_are_all_different(tmp_path: Path) -> None:
    line = '{"event_action": "denied", "source_ip": "10.0.0.1", "timestamp": "2026-03-02T09:00:00Z", "kind": "proxy"}\n'
    (tmp_path / "r.yml").write_text(RULE)
    for name in ("one.jsonl", "two.jsonl"):
        (tmp_path / name).write_text(line * 2)
    ran = aupstream(
        "backtest",
        "--rules",
        tmp_path / "r.yml",
        f"events:{tmp_path / 'one.jsonl'}",
        f"events:{tmp_path / 'two.jsonl'}",
    )
    assert [v["count"] for v in ran.objects] == [4]


def test_events_without_what_a_rule_is_grouped_by_are_counted_as_left_out(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(RULE)
    line = '{"event_action": "denied", "user_name": "anna", "timestamp": "2026-03-02T09:00:00Z", "kind": "proxy"}\n'
    (tmp_path / "e.jsonl").write_text(line * 3)
    ran = aupstream("backtest", "--rules", tmp_path / "r.yml", f"events:{tmp_path / 'e.jsonl'}")
    assert ran.objects == []
    assert "3 matching events have no value of what their rule is grouped by: left out" in ran.err


def test_what_normalise_prints_gives_the_same_keys_and_counts(day: Path, mail: Ran) -> None:
    config = day / "aupstream.toml"
    lines = day / "mail.jsonl"
    lines.write_text(aupstream("normalise", "--source", "mail", "-c", config, day / "mail.log").out)
    ran = aupstream("backtest", "-c", config, f"events:{lines}")
    told = [(v["id"], v["group_key"], v["first_seen"], v["count"], v["value"]) for v in ran.objects]
    assert told == [(v["id"], v["group_key"], v["first_seen"], v["count"], v["value"]) for v in mail.objects]


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("events:", 2, "this names no file"),
        ("events:none.avro", 4, "none.avro: it cannot be read: No such file"),
        ("clickhouse:x", 2, "this names no tables of events"),
        ("kafka:aup.violations", 2, "this names no part of an event topic"),
        ("kafka:aup.events.mail@a..b", 2, "'a' is neither"),
        ("kafka:aup.events.mail", 4, "no embedded Kafka is running"),
        ("clickhouse:", 4, "no embedded ClickHouse is running"),
    ],
)
def test_mistakes_are_named(source: str, code: int, said: str) -> None:
    ran = aupstream("backtest", source)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text('{"kind": "login", "timestamp": "2026-01-01T00:00:00Z"}\n{"kind": "login"}\n')
    ran = aupstream("backtest", f"events:{path}")
    assert ran.code == 4
    assert f"{path}:2: the event has no timestamp" in ran.err


@pytest.fixture(scope="module")
def on_servers(day: Path, embedded_servers: RunningServers) -> Iterator[Path]:
    """A configuration of servers that hold the day's events; each message on Kafka twice, as after a restart."""
    name = embedded_servers.fresh_name("backtest")
    server = ClickHouse(embedded_servers.endpoints.clickhouse, threading.Event())
    server.execute(f"CREATE DATABASE {name}")
    dsn = embedded_servers.endpoints.clickhouse.rpartition("/")[0] + f"/{name}"
    store = ClickHouse(dsn, threading.Event())
    migrate(store)
    address = embedded_servers.endpoints.kafka
    admin = KafkaAdminClient(bootstrap_servers=address)
    with suppress(TopicAlreadyExistsError):
        admin.create_topics([NewTopic(MAIL, num_partitions=1, replication_factor=1)])
    admin.close()
    producer, offsets = KafkaProducer(bootstrap_servers=address), list[int]()
    config = day / "aupstream.toml"
    for headers, frame, message in deliveries(
        load(config).collectors(), now_us=1_900_000_000_000_000, today=date(2030, 1, 1)
    ):
        if headers is None or frame is None or message.topic not in _KINDS:
            continue
        kind = _KINDS[message.topic].value
        store.insert_containers(f"events_{kind}", clickhouse_columns(kind), [(message.value, None)])
        for _ in range(2 if message.topic == MAIL else 0):
            sent = producer.send(MAIL, value=message.value, headers=headers.to_kafka(), partition=0)
            offsets.append(sent.get(timeout=60).offset)
    producer.close()
    (day / "offsets").write_text(f"{offsets[0]}..{offsets[-1] + 1}")
    path = day / "servers.toml"
    path.write_text(
        config.read_text()
        + f'\n[kafka]\nbootstrap = "{embedded_servers.endpoints.kafka}"\n[clickhouse]\ndsn = "{dsn}"\n'
    )
    yield path
    store.close()
    server.execute(f"DROP DATABASE {name}")
    server.close()


@pytest.mark.servers
def test_clickhouse_gives_the_violations_of_the_logs(day: Path, on_servers: Path) -> None:
    ran = aupstream("backtest", "-c", on_servers, "clickhouse:")
    assert ran.objects == aupstream("backtest", "-c", day / "aupstream.toml").objects
    later = aupstream("backtest", "-c", on_servers, "clickhouse:", "--from", "2035-01-01")
    assert (later.code, later.out) == (0, "")


@pytest.mark.servers
def test_a_kafka_topic_gives_the_violations_of_its_log_and_repeats_count_once(
    day: Path, mail: Ran, on_servers: Path
) -> None:
    offsets = (day / "offsets").read_text()
    assert aupstream("backtest", "-c", on_servers, f"kafka:{MAIL}/0@{offsets}").objects == mail.objects
    by_time = aupstream("backtest", "-c", on_servers, f"kafka:{MAIL}@2020-01-01..")
    assert {v["id"] for v in by_time.objects} >= {v["id"] for v in mail.objects}
    for nothing in (f"{MAIL}@0..0", f"{MAIL}@2099-01-01.."):
        none = aupstream("backtest", "-c", on_servers, f"kafka:{nothing}")
        assert (none.code, none.out) == (0, "")


@pytest.fixture
def stricter(tmp_path: Path) -> Path:
    """The rules that come along, one gone and one that takes more."""
    rules = tmp_path / "rules"
    shutil.copytree(POLICY_FOLDER, rules)
    (path,) = rules.rglob("two-sites.yml")
    path.unlink()
    (path,) = rules.rglob("guessed-password.yml")
    path.write_text(path.read_text().replace("counts: [8, 1]", "counts: [5, 1]"))
    return rules


def test_two_rule_sets_are_compared_by_what_they_find(day: Path, stricter: Path) -> None:
    config = day / "aupstream.toml"
    before, after = (
        {v["id"]: v for v in aupstream("backtest", "-c", config, *rules).objects}
        for rules in ([], ["--rules", stricter])
    )
    ran = aupstream("backtest", "-c", config, "--rules", stricter, "--against", POLICY_FOLDER)
    changes = {(c["change"], c["id"]) for c in ran.objects}
    assert {i for word, i in changes if word == "lost"} == before.keys() - after.keys()
    assert {i for word, i in changes if word == "gained"} == after.keys() - before.keys()
    assert any(word == "lost" for word, _ in changes)
    assert {c["rule_id"] for c in ran.objects if c["change"] == "lost"} >= {"two-sites"}
    for c in ran.objects:
        if c["change"] == "changed":
            assert {k: before[c["id"]][k] for k in c["was"]} == c["was"]
    assert ran.code == 0
    assert " lost, " in ran.err


def test_a_difference_ends_with_1_where_that_was_asked_for(day: Path, stricter: Path) -> None:
    same = aupstream("backtest", "-c", day / "aupstream.toml", "--against", POLICY_FOLDER, "--fail-on-difference")
    assert (same.code, same.out) == (0, "")
    other = aupstream("backtest", "-c", day / "aupstream.toml", "--against", stricter, "--fail-on-difference")
    assert other.code == 1
    assert json.loads(other.out.splitlines()[0])["change"] in ("gained", "lost", "changed")
    assert aupstream("backtest", "-c", day / "aupstream.toml", "--fail-on-difference").code == 2
