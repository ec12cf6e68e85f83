"""What an analyst sees: pseudonyms that can be grouped and joined by, and not one name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from agents.privacy.pseudonyms import PATTERN
from infra.clickhouse import migrate as migrations
from infra.clickhouse.migrate import statements
from infra.embedded.native.sql import quote
from infra.privacy.retention import EVENTS
from schemas.kinds import EventKind
from tests.embedded.servers_fixture import RunningServers
from tests.privacy.stored import Stored, as_text

pytestmark = pytest.mark.servers

SEEN = (
    *EVENTS,
    "violations",
    "violations_now",
    "evidence",
    "evidence_now",
    "ledger_now",
    "ledger_sources",
    "dead_letters_now",
    "source_hours",
)


@pytest.fixture
def analyst(stored: Stored, embedded_servers: RunningServers) -> Any:
    client = stored.analyst(embedded_servers)
    yield client
    client.disconnect()


def _people(stored: Stored) -> set[str]:
    """Accounts, mailboxes, devices and their addresses as they were logged."""
    logged = {a for kind in (EventKind.LOGIN, EventKind.PROXY) for a in stored.column(kind, "user_name")}
    for column in ("email_from_address", "email_to_address"):
        logged |= stored.column(EventKind.MAIL, column)
    for kind in (EventKind.DHCP, EventKind.LOGIN):
        logged |= stored.column(kind, "source_mac") | stored.column(kind, "source_ip")
    return {name for name in logged if name not in ("root", "(masked)")} | stored.column(EventKind.DHCP, "host_name")


def test_no_name_is_in_any_table_that_an_analyst_can_read(stored: Stored, analyst: Client) -> None:
    people = _people(stored)
    assert len(people) > 100
    everything = "".join(as_text(analyst.execute(f"SELECT * FROM {table}")).lower() for table in SEEN)  # noqa: S608
    words = set(re.findall(r"[a-z0-9][\w.@:+-]*[a-z0-9]", everything))
    assert not {name for name in people if name.lower() in words}
    mailboxes = {name for name in people if "@" in name}
    assert not {name for name in mailboxes if name.lower() in everything}, "also inside other text"


def test_the_same_thing_has_the_same_pseudonym_everywhere(stored: Stored, analyst: Client) -> None:
    found = analyst.execute(
        "SELECT DISTINCT group_key['source_mac'] FROM violations_now WHERE mapContains(group_key, 'source_mac')"
    )
    macs = {mac for (mac,) in found}
    assert macs
    assert all(PATTERN.fullmatch(mac) for mac in macs)
    joined = analyst.execute(
        "SELECT count(DISTINCT v.id) FROM violations_now AS v INNER JOIN events_dhcp AS d "
        "ON d.source_mac = v.group_key['source_mac'] INNER JOIN evidence_now AS e ON e.violation_id = v.id "
        "WHERE JSONExtractString(e.summary, 'source_mac') = d.source_mac"
    )
    wanted = {v["id"] for v in stored.violations if "source_mac" in v["group_key"]}
    assert joined == [(len(wanted),)]


def test_as_many_people_are_told_apart_as_there_are(stored: Stored, analyst: Client) -> None:
    for kind, column in ((EventKind.DHCP, "source_mac"), (EventKind.PROXY, "source_ip"), (EventKind.DHCP, "host_name")):
        query = f"SELECT uniqExact({column}), countIf({column} IS NULL) FROM events_{kind.value} FINAL"  # noqa: S608
        logged = stored.frames[kind][column]
        assert analyst.execute(query) == [(logged.drop_nulls().str.to_lowercase().n_unique(), logged.null_count())]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM sealed_names",
        "SELECT * FROM {db}.sealed_names",
        "SELECT * FROM `{db}`.`sealed_names`",
        'SELECT * FROM "sealed_names"',
        "FROM sealed_names SELECT pseudonym",
        "SELECT 1 WHERE ('a', 'user', 'x', 'y', now()) IN sealed_names",
        "SELECT in('a', {db}.sealed_names)",
        "SELECT arrayExists(x -> x IN sealed_names, ['a'])",
        "SELECT * FROM view(SELECT * FROM sealed_names)",
        "SELECT * FROM merge('{db}', 'sealed.*')",
        "SELECT * FROM loop(sealed_names)",
        "WITH x AS (SELECT * FROM sealed_names) SELECT * FROM x",
        "SELECT (SELECT count() FROM sealed_names)",
        "SELECT 1 UNION ALL SELECT count() FROM sealed_names",
        "EXPLAIN SELECT * FROM sealed_names",
        "SELECT raw FROM dead_letters",
        "SELECT reason FROM unmask_log",
        "SELECT reason FROM holds",
        "SELECT query FROM system.processes",
        "SHOW PROCESSLIST",
        "SHOW TABLES WHERE name IN sealed_names",
        "SHOW CREATE TABLE sealed_names",
        "DESCRIBE TABLE unmask_log",
        "SELECT * FROM system.errors",
        "SELECT * FROM {{t:Identifier}}",
    ],
)
def test_an_analyst_may_not(stored: Stored, analyst: Client, query: str) -> None:
    if "Identifier" in query:
        analyst.execute("SET param_t = 'sealed_names'")
    database = stored.dsn.rpartition("/")[2]
    with pytest.raises(ServerException) as caught:
        analyst.execute(query.format(db=database))
    assert caught.value.code == 497, caught.value.message
    assert analyst.execute("SELECT count() > 0 FROM violations_now") == [(1,)]


def test_an_analyst_may_not_by_working_in_the_engines_own_database(
    stored: Stored, embedded_servers: RunningServers
) -> None:
    client = stored.analyst(embedded_servers)
    client.execute("USE system")
    with pytest.raises(ServerException) as caught:
        client.execute("SELECT query FROM processes")
    assert caught.value.code == 497
    client.disconnect()


def test_names_are_stored_sealed(stored: Stored) -> None:
    rows = as_text(stored.rows("SELECT * FROM sealed_names FINAL"))
    assert len(rows) > 1_000
    assert not {name for name in _people(stored) if len(name) > 8 and name in rows}


def test_the_grants_for_a_server_of_ones_own_say_the_same(stored: Stored) -> None:
    text = (Path(migrations.__file__).parent / "analyst.sql").read_text("utf-8")
    granted = {}
    for statement in statements(text):
        assert stored.rows(f"SELECT formatQuery({quote(statement)}) != ''") == [(True,)]
        found = re.fullmatch(r"GRANT SELECT ?(\(.*\))? ON (\w+) TO aupstream_analyst", statement)
        if found is not None:
            granted[found[2]] = found[1]
    assert granted.keys() >= set(SEEN)
    hidden = {"sealed_names": None, "unmask_log": None, "holds": ("reason", "who"), "dead_letters": ("raw", "detail")}
    for table, columns in hidden.items():
        assert table not in granted if columns is None else not set(columns) & set(re.findall(r"\w+", granted[table]))
