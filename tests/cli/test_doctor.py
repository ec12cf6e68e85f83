"""What the doctor finds: nothing where all is well, and each thing that is wrong with what to do."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from agents.build import district_of
from agents.rules.loader import load_rules, parse_rules
from infra.config import Config
from infra.embedded.ports import free_ports
from infra.run import checks, checks_kafka
from infra.run.checks import Check
from schemas.errors import ServerError
from tests.cli.command import aupstream
from tests.road.scene import Scene, simulated

WINDOW = """\
title: Many
name: many
level: low
correlation: {type: event_count, rules: [one], group-by: [user_name], timespan: 10d, condition: {gte: 2}}
---
title: One
name: one
level: low
logsource: {category: authentication}
detection: {sel: {event_action: login}, condition: sel}
"""


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return simulated(tmp_path, seed=3, lines=2_000)


def _found(scene: Scene) -> tuple[int, dict[tuple[str, str], str]]:
    done = aupstream("doctor", "--config", scene.file, "--json")
    found = [Check(**json.loads(line)) for line in done.out.splitlines()]
    assert all(c.todo for c in found if c.state in ("bad", "warning"))
    return done.code, {(c.name, c.state): f"{c.detail}: {c.todo}" for c in found}


def test_without_servers_what_can_be_looked_at_is(scene: Scene) -> None:
    code, found = _found(scene)
    assert code == 0
    assert ("data folder", "ok") in found
    assert ("source proxy-branch", "ok") in found
    assert ("Kafka", "unknown") in found
    assert ("workers", "unknown") in found


def test_a_log_that_is_not_there_a_kafka_that_is_not_and_a_full_disk_are_bad(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1)
    scene.change(
        sources=lambda sources: [s | {"path": "nowhere.log"} if s["name"] == "mail" else s for s in sources],
        kafka={"bootstrap": f"127.0.0.1:{port}"},
        clickhouse={"dsn": f"clickhouse://u:p@127.0.0.1:{port}/d"},
    )
    monkeypatch.setattr("infra.run.checks.LEAST_FREE", 1 << 60)
    code, found = _found(scene)
    assert code == 1
    assert "nowhere.log is not there" in found["source mail", "bad"]
    assert "is it running?" in found["Kafka", "bad"]
    assert ("ClickHouse", "bad") in found
    assert "make room" in found["data folder", "bad"]
    assert f"chmod 600 {scene.file}" in found["secrets", "warning"]
    scene.file.chmod(0o600)
    assert ("secrets", "warning") not in _found(scene)[1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_log_that_may_not_be_read_is_bad(scene: Scene) -> None:
    Path(next(s.path for s in scene.config.sources if s.name == "mail")).chmod(0)
    assert "cannot be read by this account" in _found(scene)[1]["source mail", "bad"]


def test_a_mail_server_that_is_not_there_is_bad_and_its_password_for_our_eyes_only(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    (tmp_path / "password").chmod(0o644)
    (port,) = free_ports(1)
    mail = {
        "server": f"127.0.0.1:{port}",
        "sender": "a@b.example",
        "user": "a",
        "password_file": str(tmp_path / "password"),
    }
    config = Config.model_validate({"notify": {"mail": mail}})
    (check,) = checks.mail(config)
    assert (check.state, "refused" in check.detail, bool(check.todo)) == ("bad", True, True)
    assert [c.detail for c in checks.secrets(config, None) if c.state == "warning"] == [
        f"others may read {tmp_path / 'password'}"
    ]
    (tmp_path / "password").write_text("")
    assert [c.state for c in checks.secrets(config, None) if str(tmp_path) in c.detail] == ["bad"]
    assert not [*checks.mail(Config.model_validate({}))]


@pytest.mark.parametrize(("days", "state"), [(1, "bad"), (7, "warning"), (12, "ok")])
def test_retention_is_held_against_the_longest_window(days: int, state: str) -> None:
    config = Config.model_validate({"data": "data", "privacy": {"retention": {"kafka_days": days}}})
    found = list(checks_kafka.retention(config, parse_rules(WINDOW), checks_kafka.Found()))
    (detections,) = [c for c in found if "aup.detections" in c.detail]
    assert detections.state == state
    assert ("set privacy.retention.kafka_days = 12" in detections.todo) == (state == "warning")


def test_out_of_the_box_nothing_is_wanting_and_topics_of_the_release_before_are_no_mistake() -> None:
    config, rules = Config.model_validate({"data": "data"}), load_rules()
    assert {c.state for c in checks_kafka.retention(config, rules, checks_kafka.Found())} == {"ok"}
    week = dict.fromkeys(("aup.detections", "aup.events.mail"), 7 * 86_400_000)
    (doubt,) = [c for c in checks_kafka.retention(config, rules, checks_kafka.Found(week)) if c.state != "ok"]
    assert "set privacy.retention.kafka_days = 9" in doubt.todo


def test_retention_is_what_stands_where_a_topic_stands() -> None:
    config = Config.model_validate({"data": "data", "privacy": {"retention": {"kafka_days": 12}}})
    stand = {"aup.detections": 3_600_000, "aup.events.mail": -1, "aup.events.dhcp": 40 * 86_400_000}
    found = list(checks_kafka.retention(config, parse_rules(WINDOW), checks_kafka.Found(stand)))
    of = {name: [(c.state, c.detail) for c in found if f"{name} " in c.detail] for name in stand}
    assert [state for state, _ in of["aup.detections"]] == ["warning", "bad"]
    assert "is kept 0.0417 days, and [privacy.retention] says 12 days" in of["aup.detections"][0][1]
    assert of["aup.events.mail"] == [("ok", "aup.events.mail is kept for ever")]
    assert [state for state, _ in of["aup.events.dhcp"]] == ["warning", "ok"]


def test_clocks_that_differ_and_tables_of_a_newer_release_are_bad() -> None:
    answers = {"now64": [(0.0,)], "migrations": [(9_999,)], "disks": [("default", 1 << 20)]}
    config = Config.model_validate({"privacy": {"pseudonyms": False}})
    told = checks.clickhouse(config, lambda q: next(v for k, v in answers.items() if k in q))
    found = {(c.name, c.state): c for c in told}
    assert ("clocks", "bad") in found
    assert "newer release" in found["tables", "bad"].detail
    assert "1 MB are free" in found["ClickHouse", "bad"].detail

    def away(_: str) -> list[tuple[object, ...]]:
        raise ServerError("ClickHouse does not answer", hint="is it running?")

    assert [(c.state, c.todo) for c in checks.clickhouse(config, away)] == [("bad", "is it running?")]


@pytest.mark.servers
@pytest.mark.timeout(300)
def test_a_running_system_is_well_and_a_topic_that_was_changed_is_named(scene: Scene) -> None:
    with scene.running() as system:
        system.wait_until_drained(within_s=200)
        code, found = _found(scene)
        assert code == 0, found
        assert {
            ("Kafka", "ok"),
            ("topics", "ok"),
            ("clocks", "ok"),
            ("access", "ok"),
            ("broker clock", "ok"),
            ("tables", "ok"),
            ("workers", "ok"),
        } <= found.keys()
        admin = KafkaAdminClient(bootstrap_servers=system.kafka)
        admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, "aup.violations", {"max.message.bytes": "1000000"})]
        )
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "aup.events.mail", {"retention.ms": "3600000"})])
        admin.close()
        ahead = {"source": "far", "newest": None, "state": "reading", "sent_us": time.time_ns() // 1_000 + 90_000_000}
        producer = KafkaProducer(bootstrap_servers=system.kafka)
        producer.send("aup.heartbeats", json.dumps(ahead).encode(), key=b"far", partition=0).get(30)
        producer.close()
        code, found = _found(scene)
        assert code == 1
        assert re.match(r"Kafka's is -\d\d\.\d s from that of source far", found["broker clock", "bad"])
        assert "aup.events.mail is kept 0.0417 days; an outage" in found["retention", "bad"]
        assert "aup.violations: max.message.bytes is 1000000, not 8388608" in found["topics", "bad"]
        assert "kafka-configs.sh --alter --topic aup.violations" in found["topics", "bad"]


def test_an_address_of_which_nobody_knows_who_reads_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text("account,roles,mail\nhr,personnel,\nsue,security,sue.miller@s.example\n")
    (tmp_path / "lists.csv").write_text(
        "address,owners,size,members\nnight@s.example,,,sue.miller@s.example\nday@s.example,,3,sue.miller@s.example\n"
    )
    district = {"domains": ["s.example"], "roster": str(tmp_path / "roster.csv"), "lists": str(tmp_path / "lists.csv")}
    teams = {"security": ["soc@s.example", "night@s.example", "day@s.example"], "personnel": ["hr@s.example"]}
    routes = [{"to": ["principal", "board@s.example", "sue.miller+aup@s.example", "guards@elsewhere.example"]}]
    config = Config.model_validate({"district": district, "notify": {"teams": teams, "routes": routes}})
    found = list(checks.recipients(config, district_of(config.district)))
    named = [c.detail.partition("who reads ")[2].partition(":")[0] for c in found]
    assert named == ["soc@s.example", "day@s.example", "board@s.example"]
    assert {(c.state, bool(c.todo)) for c in found} == {("warning", True)}
