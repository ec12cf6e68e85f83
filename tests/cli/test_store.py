"""Commands that read from ClickHouse, against the embedded server: violations, sql, audit, deadletters, status."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import pytest

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.episodes import Judge
from agents.engine.pipeline import Pipeline
from agents.rules.loader import load_rules
from agents.sinks.avro_columns import clickhouse_columns
from agents.sinks.clickhouse import ClickHouse, insert_ledger, insert_violations
from infra.cli.standing import since
from infra.clickhouse.migrate import migrate
from schemas.errors import ConfigError
from schemas.kinds import LEDGER, EventKind
from schemas.releases import versions
from streams.config import SourceConfig
from streams.road import deliveries
from tests.cli.command import aupstream
from tests.embedded.servers_fixture import RunningServers

pytestmark = pytest.mark.servers

_KINDS = {kind.topic: kind for kind in EventKind}
_LOG = "".join(
    f"Mar 25 10:00:{n:02d} shell1 sshd[{n}]: Failed password for ada from 10.0.0.9 port {n + 1} ssh2\n"
    for n in range(9)
) + (
    "Mar 25 10:00:30 shell1 sshd[50]: Accepted password for ada from 10.0.0.9 port 51 ssh2\n"
    "Mar 25 10:00:31 shell1 kernel: something was started\n"
    "Mar 99 10:00:32 shell1 sshd[51]: Accepted password for bob from 10.0.0.9 port 52 ssh2\n"
)


@dataclass(frozen=True)
class Stored:
    """A database into which a small log went by the collectors' road, the engine and the sink."""

    store: ClickHouse
    config: Path
    log: Path


@contextmanager
def _database(servers: RunningServers, folder: Path) -> Iterator[Stored]:
    name = servers.fresh_name("cli")
    server = ClickHouse(servers.endpoints.clickhouse, threading.Event())
    server.execute(f"CREATE DATABASE {name}")
    dsn = servers.endpoints.clickhouse.rpartition("/")[0] + f"/{name}"
    config, log = folder / "stored.toml", folder / "auth.log"
    config.write_text(f'[kafka]\nbootstrap = "{servers.endpoints.kafka}"\n[clickhouse]\ndsn = "{dsn}"\n')
    log.write_text(_LOG)
    store = ClickHouse(dsn, threading.Event())
    migrate(store)
    _fill(store, log)
    yield Stored(store, config, log)
    store.close()
    server.execute(f"DROP DATABASE {name}")
    server.close()


@pytest.fixture(scope="module")
def stored(embedded_servers: RunningServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """To be read only: one for all tests."""
    with _database(embedded_servers, tmp_path_factory.mktemp("stored")) as made:
        yield made


@pytest.fixture
def own(embedded_servers: RunningServers, tmp_path: Path) -> Iterator[Stored]:
    """To be changed by the test."""
    with _database(embedded_servers, tmp_path) as made:
        yield made


def _fill(store: ClickHouse, log: Path) -> None:
    pipeline = Pipeline(load_rules(), District.of("School", "UTC", [], []), Inventory.none(), Judge())
    source = SourceConfig(name="logins", type="openssh", path=str(log), year=2026)
    for headers, frame, message in deliveries([source], now_us=1_800_000_000_000_000, today=date(2026, 4, 1)):
        if message.topic == LEDGER:
            insert_ledger(store, [json.loads(message.value)])
        elif headers is not None and frame is not None:
            table = "dead_letters" if headers.schema == "dead_letter" else f"events_{headers.schema}"
            store.insert_containers(table, clickhouse_columns(headers.schema), [(message.value, None)])
            if message.topic in _KINDS:
                pipeline.take(_KINDS[message.topic], frame)
    insert_violations(store, pipeline.finish())


def test_violations_are_those_of_a_backtest_of_the_same_log(stored: Stored) -> None:
    ran = aupstream("violations", "-c", stored.config)
    tested = aupstream("backtest", "--year", "2026", f"logins=openssh:{stored.log}")
    assert ran.code == 0
    assert [v["rule_id"] for v in ran.objects] == ["guessed-password"]
    assert ran.out == tested.out


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--rule", "guessed-password"], 1),
        (["--rule", "mass-mail"], 0),
        (["--rule", "mass-mail", "--rule", "guessed-password"], 1),
        (["--clause", "13"], 1),
        (["--clause", "11"], 0),
        (["--status", "violation"], 1),
        (["--status", "permitted"], 0),
        (["--since", "2026-03-25T10:00:30Z"], 1),
        (["--since", "2026-03-25T10:00:31"], 0),
        (["--since", "2026-03-25T04:00:31-06:00"], 0),
        (["--limit", "0"], 1),
    ],
)
def test_filters_choose(stored: Stored, filters: list[str], found: int) -> None:
    assert len(aupstream("violations", "-c", stored.config, *filters).objects) == found


def test_that_nothing_was_found_comes_with_how_much_could_be_seen(stored: Stored) -> None:
    ran = aupstream("violations", "-c", stored.config, "--clause", "11")
    assert (ran.code, ran.out) == (0, "")
    figures = {int(c): float(f) for c, f in re.findall(r"(\d+): (\d\.\d\d)", ran.err)}
    assert figures.keys() == set(range(1, 14))
    assert (figures[11], figures[13] > 0) == (0, True), "there was no mail log, and one of logins"
    assert "seen of each clause" not in aupstream("violations", "-c", stored.config).err


def test_a_finding_ends_with_1_only_where_asked_for(stored: Stored) -> None:
    assert aupstream("violations", "-c", stored.config, "--fail-on-violation").code == 1
    assert aupstream("violations", "-c", stored.config, "--fail-on-violation", "--clause", "8").code == 0


def test_only_the_newest_version_stands_and_a_withdrawn_one_does_not(own: Stored) -> None:
    (violation,) = aupstream("violations", "-c", own.config).objects
    record = _record(violation)
    insert_violations(own.store, [{**record, "version": 90, "count": 77}])
    assert [v["count"] for v in aupstream("violations", "-c", own.config).objects] == [77]
    insert_violations(own.store, [{**record, "version": 91, "status": "withdrawn"}])
    assert aupstream("violations", "-c", own.config).out == ""
    assert len(aupstream("violations", "-c", own.config, "--status", "withdrawn").objects) == 1


def _record(shown: dict[str, Any]) -> dict[str, Any]:
    """Back to a record as the engine makes it."""
    times = {k: _micros(shown[k]) for k in ("first_seen", "last_seen", "opened_at", "closed_at")}
    evidence = [
        {**e, "timestamp": _micros(e["timestamp"]), "summary": json.dumps(e["summary"])} for e in shown["evidence"]
    ]
    return {**shown, **times, "evidence": evidence}


def _micros(text: str | None) -> int | None:
    if text is None:
        return None
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def test_more_than_the_limit_is_remarked_on(own: Stored) -> None:
    (violation,) = aupstream("violations", "-c", own.config).objects
    later = _record(violation) | {"id": "f" * 32, "first_seen": _micros("2026-03-26T00:00:00Z")}
    insert_violations(own.store, [later])
    ran = aupstream("violations", "-c", own.config, "--limit", "1")
    assert [v["id"] for v in ran.objects] == ["f" * 32]
    assert "there are more than 1" in ran.err


def test_the_audit_of_a_whole_road_holds(stored: Stored) -> None:
    ran = aupstream("audit", "-c", stored.config, "--json")
    (answer,) = ran.objects
    assert ran.code == 0
    assert answer["holds"] is True
    (source,) = answer["sources"]
    assert source == {
        "source": "logins",
        "type": "openssh",
        "lines": 12,
        "in_events": 10,
        "dead_letters": 1,
        "ignored": {"other_program": 1},
        "open_joins": 0,
        "events": 10,
        "late": 0,
        "time_suspect": 0,
        "chunks": 1,
        "open_chunks": 0,
        "events_stored": 10,
        "dead_letters_stored": 1,
        "events_deleted": 0,
        "dead_letters_deleted": 0,
        "problems": [],
    }


def test_the_audit_names_what_does_not_agree(own: Stored) -> None:
    chunk = aupstream("sql", "-c", own.config, "--json", "SELECT * FROM ledger_now").objects[0]
    changes: list[tuple[dict[str, int], str]] = [
        ({"lines": 13}, "13 lines were read, 12 are accounted for"),
        ({"events": 11}, "the ledger says 11 events, ClickHouse holds 10"),
        ({"dead_letters": 2, "in_events": 9}, "the ledger says 2 dead letters, ClickHouse holds 1"),
        ({"first_offset": 7}, "starts at byte 7, the one before ends at 0"),
        ({"open_joins": 1, "in_events": 9}, "closed chunk"),
    ]
    for number, (change, problem) in enumerate(changes):
        insert_ledger(own.store, [{**chunk, **change, "version": chunk["version"] + 100 + number}])
        ran = aupstream("audit", "-c", own.config, "--json")
        assert (ran.code, ran.objects[0]["holds"]) == (1, False)
        assert any(problem in p for p in ran.objects[0]["sources"][0]["problems"])
        assert problem in aupstream("audit", "-c", own.config).err


def test_the_audit_notices_a_gap_between_chunks_and_events_of_no_known_source(own: Stored) -> None:
    chunk = aupstream("sql", "-c", own.config, "--json", "SELECT * FROM ledger_now").objects[0]
    empty = dict.fromkeys(("lines", "in_events", "events", "dead_letters"), 0)
    insert_ledger(own.store, [{**chunk, **empty, "chunk": 1, "first_offset": 5_000_000, "ignored": {}}])
    own.store.execute("INSERT INTO events_login SELECT * REPLACE ('other' AS log_source) FROM events_login")
    (answer,) = aupstream("audit", "-c", own.config, "--json").objects
    problems = {s["source"]: s["problems"] for s in answer["sources"]}
    assert any("starts at byte 5000000" in p for p in problems["logins"])
    assert problems["other"] == ["the ledger says 0 events, ClickHouse holds 10"]


def test_dead_letters_are_listed_and_shown(stored: Stored) -> None:
    (letter,) = aupstream("deadletters", "list", "-c", stored.config, "--json").objects
    assert letter["reason"] == "bad_time"
    assert letter["raw"] == _LOG.splitlines()[-1]
    assert aupstream("deadletters", "list", "-c", stored.config, "--reason", "no_header", "--json").out == ""
    plain = aupstream("deadletters", "list", "-c", stored.config).out.splitlines()
    assert plain[0] == "id\tsource\treason\tdetail\toffset\tline"
    shown = aupstream("deadletters", "show", "-c", stored.config, letter["event_id"][:20])
    assert f"raw\t{_LOG.splitlines()[-1]}" in shown.out
    missing = aupstream("deadletters", "show", "-c", stored.config, "0" * 32)
    assert (missing.code, missing.out) == (4, "")
    assert "there is no dead letter of this id" in missing.err


def test_sql_gives_lines_with_tabs_or_json(stored: Stored) -> None:
    query = "SELECT rule_id, first_seen, group_key, permit FROM violations_now"
    assert aupstream("sql", "-c", stored.config, query).out.splitlines() == [
        "rule_id\tfirst_seen\tgroup_key\tpermit",
        'guessed-password\t2026-03-25T10:00:00Z\t{"login_source": "10.0.0.9", "user_name": "ada"}\t',
    ]
    assert aupstream("sql", "-c", stored.config, "--json", query).objects == [
        {
            "rule_id": "guessed-password",
            "first_seen": "2026-03-25T10:00:00Z",
            "group_key": {"login_source": "10.0.0.9", "user_name": "ada"},
            "permit": None,
        }
    ]


def test_sql_only_reads_unless_told_otherwise(own: Stored) -> None:
    refused = aupstream("sql", "-c", own.config, "DROP TABLE violations")
    assert refused.code == 4
    assert "ClickHouse refuses (code 164)" in refused.err
    made = aupstream("sql", "-c", own.config, "--write", "CREATE TABLE mine (a Int8) ENGINE = MergeTree ORDER BY a")
    assert (made.code, made.out) == (0, "")
    assert aupstream("sql", "-c", own.config, "SELECT count() AS n FROM mine").out == "n\n0\n"


def test_sql_tells_the_engines_own_words(stored: Stored) -> None:
    wrong = aupstream("sql", "-c", stored.config, "SELEC 1")
    assert wrong.code == 4
    assert "Syntax error" in wrong.err
    nothing = aupstream("sql", "-c", stored.config, "SELECT * FROM nowhere")
    assert "check the name" in nothing.err
    assert "Stack trace" not in wrong.err + nothing.err


def test_a_wrong_password_is_said_without_telling_it(embedded_servers: RunningServers, tmp_path: Path) -> None:
    config = tmp_path / "wrong.toml"
    address = embedded_servers.endpoints.clickhouse.rpartition("@")[2]
    config.write_text(f'[clickhouse]\ndsn = "clickhouse://aupstream:guessed@{address}"\n')
    ran = aupstream("violations", "-c", config)
    assert ran.code == 4
    assert "ClickHouse refuses user or password" in ran.err
    assert "guessed@" not in ran.err


def test_status_says_what_answers_and_what_is_there(stored: Stored) -> None:
    ran = aupstream("status", "-c", stored.config, "--json")
    (report,) = ran.objects
    assert ran.code == 0
    assert {name: server["ok"] for name, server in report["servers"].items()} == {"kafka": True, "clickhouse": True}
    assert report["workers"] == []
    assert report["sources"][0]["lines"] == 12
    assert report["dead_letters"] == {"bad_time": 1}
    assert report["violations"] == {"violation": 1}
    assert "aupstream:" not in json.dumps(report["servers"])  # no password
    plain = aupstream("status", "-c", stored.config)
    assert "no worker runs on this data folder" in plain.err


def test_status_of_servers_that_do_not_answer_ends_with_4(tmp_path: Path) -> None:
    config = tmp_path / "away.toml"
    config.write_text('[kafka]\nbootstrap = "127.0.0.1:1"\n[clickhouse]\ndsn = "clickhouse://a:b@127.0.0.1:1/x"\n')
    ran = aupstream("status", "-c", config, "--json")
    assert ran.code == 4
    assert [s["ok"] for s in ran.objects[0]["servers"].values()] == [False, False]


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("90m", datetime(2026, 3, 25, 10, 30, tzinfo=UTC)),
        ("7d", datetime(2026, 3, 18, 12, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T08:00:00-06:00", datetime(2026, 3, 1, 14, tzinfo=UTC)),
    ],
)
def test_since_takes_a_span_or_a_time(text: str, when: datetime) -> None:
    assert since(text, datetime(2026, 3, 25, 12, tzinfo=UTC)) == when


def test_since_refuses_what_is_neither() -> None:
    with pytest.raises(ConfigError, match="is no time"):
        since("last week", datetime(2026, 3, 25, 12, tzinfo=UTC))


def test_a_container_of_the_first_release_of_a_schema_goes_into_the_table_of_this_one(own: Stored) -> None:
    written = io.BytesIO()
    old = {"event_id": "e1", "timestamp": 1_700_000_000_000_000, "event_dataset": "isc_dhcpd", "log_source": "d",
           "log_generation": "g", "log_offset": 7, "log_sub": 0, "log_hash": "h", "late": False, "time_suspect": False,
           "source_ip": "10.0.0.5"}  # fmt: skip
    fastavro.writer(written, fastavro.parse_schema(dict(versions("dhcp")[1])), [old])
    own.store.insert_containers("events_dhcp", clickhouse_columns("dhcp"), [(written.getvalue(), None)])
    found = own.store.execute("SELECT source_ip, dhcp_duid, dhcp_lease_expires FROM events_dhcp WHERE log_offset = 7")
    assert found == [("10.0.0.5", None, None)]


def test_coverage_says_what_could_be_watched_and_what_not(stored: Stored) -> None:
    ran = aupstream("coverage", "-c", stored.config, "--json")
    assert ran.code == 0
    seen = {(c["clause"], c["day"]): c for c in ran.objects}
    accounts, mail = seen[13, "2026-03-25"], seen[11, "2026-03-25"]
    assert (accounts["figure"] > 0.3, mail["figure"]) == (True, 0.0)
    assert (mail["needs"], mail["lacks"]) == (["mail"], ["no source of mail logs"])
    empty = aupstream("coverage", "-c", stored.config, "--from", "2026-04-01", "--to", "2026-04-02", "--json").objects
    assert {c["figure"] for c in empty} == {0.0}
    assert "logins: nothing came" in {lack for c in empty for lack in c["lacks"]}
    for wrong in (["--from", "yesterday"], ["--from", "2026-04-02", "--to", "2026-04-01"]):
        assert aupstream("coverage", "-c", stored.config, *wrong).code == 2
