"""What is too old goes, is counted so that the audit still holds, and stays while it is on hold."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.sinks.clickhouse import insert_violations
from infra.config import load
from infra.privacy.retention import EVENTS, purge
from infra.privacy_settings import Retention
from infra.run.retaining import Daily
from infra.run.topics import create, keep_for, wanted
from schemas.errors import ConfigError, Errors
from tests.cli.command import aupstream
from tests.embedded.servers_fixture import RunningServers
from tests.privacy.records import violation_of
from tests.privacy.stored import Stored

DAY = 86_400_000_000
servers = pytest.mark.servers


def _count(stored: Stored, table: str, where: str = "1") -> int:
    return int(stored.rows(f"SELECT count() FROM {table} FINAL WHERE {where}")[0][0])  # noqa: S608


@servers
def test_old_events_go_and_the_audit_holds(own: Stored) -> None:
    newest = own.rows("SELECT max(timestamp) FROM events_proxy")[0][0].replace(tzinfo=UTC)
    before = {table: _count(own, table) for table in EVENTS}
    assert aupstream("audit", "-c", own.config).code == 0
    retention = Retention(events_days=1)
    cut = (newest + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    own.store.execute("OPTIMIZE TABLE events_login FINAL")
    said = purge(own.store, retention, cut + timedelta(hours=5))
    left = {table: _count(own, table) for table in EVENTS}
    limit = f"timestamp < toDateTime64('{cut - timedelta(days=1):%Y-%m-%d %H:%M:%S}', 6, 'UTC')"
    assert [_count(own, table, limit) for table in EVENTS] == [0] * len(EVENTS)
    assert bool(said) == (left != before)
    assert aupstream("audit", "-c", own.config).code == 0

    assert purge(own.store, retention, cut + timedelta(days=40))
    assert [_count(own, table) for table in EVENTS] == [0] * len(EVENTS)
    ran = aupstream("audit", "--json", "-c", own.config).objects[0]
    assert ran["holds"], ran
    assert sum(s["events_deleted"] for s in ran["sources"]) == sum(before.values())
    assert purge(own.store, retention, cut + timedelta(days=40)) == [], "once"
    own.store.execute("TRUNCATE TABLE retention_runs")
    assert aupstream("audit", "-c", own.config).code == 1, "what nobody counted is missing"


@servers
def test_a_run_that_was_killed_after_it_had_begun_is_ended_by_the_next(own: Stored) -> None:
    rows = _count(own, "events_dhcp")
    cutoff = datetime(2040, 1, 1, tzinfo=UTC)
    columns = ("run", "table_name", "source", "cutoff", "deleted", "done", "at")
    counted = own.rows("SELECT log_source, count() FROM events_dhcp FINAL GROUP BY log_source")
    begun = [("r", "events_dhcp", source, cutoff, n, False, cutoff) for source, n in counted]
    own.store.insert_rows("retention_runs", columns, begun)
    purge(own.store, Retention(), datetime(2040, 1, 2, tzinfo=UTC))
    assert (rows > 0, _count(own, "events_dhcp")) == (True, 0)
    assert aupstream("audit", "-c", own.config).code == 0


@servers
def test_what_is_on_hold_stays_with_its_evidence_and_all_names(own: Stored) -> None:
    now = datetime.now(UTC)
    old = int((now - timedelta(days=100)).timestamp()) * 1_000_000
    own.store.execute("TRUNCATE TABLE violations")
    own.store.execute("TRUNCATE TABLE evidence")
    times: dict[str, Any] = dict.fromkeys(("first_seen", "last_seen", "opened_at"), old)
    records = []
    for letter, last in (("a", old), ("b", old), ("c", old + 99 * DAY)):
        made = violation_of({"user_name": "x"}, **{**times, "last_seen": last, "id": letter * 32})
        made["evidence"][0]["timestamp"] = last
        records.append(made)
    insert_violations(own.store, records)
    sealed = own.rows("SELECT pseudonym, kind, key_id, sealed FROM sealed_names FINAL")
    own.store.execute("TRUNCATE TABLE sealed_names")
    columns = ("pseudonym", "kind", "key_id", "sealed", "stored_at")
    own.store.insert_rows("sealed_names", columns, [(*row, datetime(2020, 1, 1, tzinfo=UTC)) for row in sealed])
    assert aupstream("hold", "aaaa", "--reason", "", "-c", own.config).code == 2
    assert aupstream("hold", "a" * 32, "--reason", "appeal", "-c", own.config).code == 0
    assert aupstream("hold", "a" * 32, "--reason", "again", "-c", own.config).code == 4
    retention = Retention(events_days=30, violations_days=30, evidence_days=30)
    names = _count(own, "sealed_names")

    purge(own.store, retention, now)
    assert [i[0][0] for i in own.rows("SELECT id FROM violations_now ORDER BY id")] == ["a", "c"]
    assert [i[0][0] for i in own.rows("SELECT violation_id FROM evidence ORDER BY 1")] == ["a", "c"]
    assert (names > 0, _count(own, "sealed_names")) == (True, names)
    assert "aaaa" in aupstream("privacy", "show", "-c", own.config).out

    assert aupstream("release", "aaaa", "--reason", "decided", "-c", own.config).code == 0
    purge(own.store, retention, now)
    assert [i[0][0] for i in own.rows("SELECT id FROM violations_now ORDER BY id")] == ["c"]
    assert [i[0][0] for i in own.rows("SELECT violation_id FROM evidence ORDER BY 1")] == ["c"]
    assert _count(own, "sealed_names") == 0
    assert aupstream("release", "aaaa", "--reason", "x", "-c", own.config).code == 4


@servers
def test_dead_letters_age_from_when_they_were_stored(own: Stored) -> None:
    assert _count(own, "dead_letters") > 0
    retention = Retention(dead_letters_days=10)
    purge(own.store, retention, datetime.now(UTC) + timedelta(days=9))
    assert _count(own, "dead_letters") > 0
    purge(own.store, retention, datetime.now(UTC) + timedelta(days=12))
    assert _count(own, "dead_letters") == 0
    assert aupstream("audit", "-c", own.config).code == 0


@servers
def test_nothing_goes_where_nothing_is_said(own: Stored) -> None:
    tables = (*EVENTS, "violations", "evidence", "dead_letters", "sealed_names")
    before = [_count(own, table) for table in tables]
    assert purge(own.store, Retention(), datetime(2200, 1, 1, tzinfo=UTC)) == []
    assert [_count(own, table) for table in tables] == before


@servers
def test_topics_keep_as_long_as_is_said(embedded_servers: RunningServers) -> None:
    name = embedded_servers.fresh_name("topic")
    kafka = embedded_servers.endpoints.kafka
    first, second = (wanted(1, 1, Retention(violations_days=days))["aup.violations"] for days in (90, 30))
    create(kafka, {name: first}, 1)
    assert keep_for(kafka, {name: first}) == []
    assert keep_for(kafka, {name: second}) == [f"topic {name} keeps 30 days from now on"]
    assert keep_for(kafka, {name: second}) == []


def test_topics_without_a_word_are_kept_as_before() -> None:
    plain = {name: topic.config.get("retention.ms") for name, topic in wanted(4, 4).items()}
    days = {name: None if ms is None else int(ms) // 86_400_000 for name, ms in plain.items()}
    assert (days["aup.events.proxy"], days["aup.violations"], days["aup.identity"]) == (9, 3_650, 60)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, None),
        ({"events_days": 90, "violations_days": 365, "evidence_days": 365}, None),
        ({"violations_days": 20, "evidence_days": 20}, "before the appeal against it ends"),
        ({"violations_days": 365, "evidence_days": 20}, "no evidence left for an appeal"),
        ({"violations_days": 365, "evidence_days": 90}, "cannot be proved"),
        ({"events_days": 3}, "keeps events with names longer"),
        ({"identity_days": 3}, "could not be judged again"),
    ],
)
def test_what_does_not_go_together_is_said(given: dict[str, int], said: str | None) -> None:
    doubts = list(Retention(**given).doubts())
    assert any(said in doubt for doubt in doubts) if said else not doubts


def test_names_are_kept_as_long_as_what_uses_them() -> None:
    assert Retention(events_days=90, violations_days=365, evidence_days=100).names_days == 365
    assert Retention(events_days=90, violations_days=365).names_days == 0, "evidence is kept for ever"


def test_keys_may_not_lie_beside_the_data(tmp_path: Path) -> None:
    config = tmp_path / "aupstream.toml"
    config.write_text('data = "data"\n[privacy]\nkey_file = "data/keys"\n')
    made = load(config)
    with pytest.raises(ConfigError, match="beside the data"):
        made.privacy.keys(made.data)
    config.write_text('data = "data"\n')
    made = load(config)
    assert made.privacy.keys(made.data) == tmp_path / "aupstream.keys"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "aupstream.toml"
    config.write_text("[privacy.retention]\nevents_days = 9\n")
    monkeypatch.setenv("AUPSTREAM_PRIVACY__KEY_FILE", "/elsewhere/keys")
    monkeypatch.setenv("AUPSTREAM_PRIVACY__PSEUDONYMS", "false")
    made = load(config)
    assert (made.privacy.keys(made.data), made.privacy.on) == (Path("/elsewhere/keys"), False)
    assert made.privacy.retention.events_days == 9
    assert made.agent_settings("k", "c", tmp_path).keys is None
    config.write_text("[privacy]\nkey_fiel = 'x'\n")
    with pytest.raises(Errors, match=r"aupstream.toml:2:1: privacy.key_fiel"):
        load(config)


@servers
def test_what_runs_deletes_what_is_old_by_itself_and_says_so(own: Stored) -> None:
    daily = Daily(own.dsn, Retention(events_days=1), first_s=0.0)
    said: list[str] = []
    deadline = time.monotonic() + 60
    while len(said) < len(EVENTS) and time.monotonic() < deadline:
        said += daily.poll()
        time.sleep(0.05)
    daily.stop()
    assert [sentence.split()[1] for sentence in said] == [f"{table}:" for table in EVENTS]
    assert [_count(own, table) for table in EVENTS] == [0] * len(EVENTS)
