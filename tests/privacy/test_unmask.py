"""Names on request: never without a reason, always written down first, in a log that shows what was done to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.cli.store import Store
from infra.privacy.unmasklog import FIRST, Entry, entries, second_record, who
from schemas.kinds import EventKind
from tests.cli.command import Ran, aupstream
from tests.privacy.stored import Stored

pytestmark = pytest.mark.servers


def _a_pseudonym(stored: Stored) -> str:
    query = "SELECT DISTINCT source_mac FROM events_dhcp WHERE source_mac IS NOT NULL ORDER BY source_mac"
    return str(stored.rows(query)[0][0])


def _unmask(stored: Stored, *args: object) -> Ran:
    return aupstream("unmask", *args, "-c", stored.config)


def test_a_name_is_given_for_a_reason_and_the_request_is_kept(own: Stored) -> None:
    pseudonym = _a_pseudonym(own)
    ran = _unmask(own, pseudonym, "--reason", "appeal", "--case", "17", "--json")
    assert ran.code == 0, ran.err
    assert ran.objects[0]["pseudonym"] == pseudonym
    assert ran.objects[0]["name"] in own.column(EventKind.DHCP, "source_mac")
    logged = _unmask(own, "--log", "--json").objects
    assert [(e["number"], e["reason"], e["case"], e["asked"], e["who"]) for e in logged] == [
        (1, "appeal", "17", [pseudonym], who())
    ]


@pytest.mark.parametrize("reason", [(), ("--reason", ""), ("--reason", "  ")])
def test_without_a_reason_nothing_is_shown_and_nothing_is_asked(stored: Stored, reason: tuple[str, ...]) -> None:
    ran = _unmask(stored, _a_pseudonym(stored), *reason)
    assert (ran.code, ran.out) == (2, "")
    assert "a reason is needed" in ran.err
    assert aupstream("violations", "--names", *reason, "-c", stored.config).code == 2


def test_what_is_not_known_is_logged_as_well(own: Stored) -> None:
    strange = "user-0000-" + "0" * 20
    ran = _unmask(own, strange, _a_pseudonym(own), "--reason", "x")
    assert (ran.code, len(ran.out.splitlines())) == (4, 1)
    assert strange in ran.err
    assert _unmask(own, "--log", "--json").objects[0]["asked"] == [strange, _a_pseudonym(own)]
    assert _unmask(own, "anna", "--reason", "x").code == 2


def test_violations_with_names_are_those_of_a_backtest(own: Stored) -> None:
    tested = aupstream("backtest", "-c", own.config).objects
    plain = aupstream("violations", "-c", own.config)
    assert plain.out == aupstream("backtest", "--pseudonyms", "-c", own.config).out
    named = aupstream("violations", "--names", "--reason", "audit", "-c", own.config)
    assert [v["group_key"] for v in named.objects] == [v["group_key"] for v in tested]
    assert [v["group_key"] for v in named.objects] != [v["group_key"] for v in plain.objects]
    assert len(_unmask(own, "--log", "--json").objects) == 1


def test_old_pseudonyms_open_after_a_rotation_and_a_name_has_one_for_every_key(own: Stored) -> None:
    pseudonym = _a_pseudonym(own)
    name = _unmask(own, pseudonym, "--reason", "x", "--json").objects[0]["name"]
    key = aupstream("privacy", "rotate", "-c", own.config).out.strip()
    assert _unmask(own, pseudonym, "--reason", "x", "--json").objects[0]["name"] == name
    found = aupstream("privacy", "find", name.upper(), "--reason", "x", "-c", own.config).out.split()
    assert found[0] == pseudonym
    assert found[1].startswith(f"device-{key}-")
    assert _unmask(own, "--log", "--json").objects[-1]["asked"] == found


def test_stored_events_are_judged_by_their_names_and_told_by_pseudonyms(own: Stored) -> None:
    ran = aupstream("backtest", "-c", own.config, "clickhouse:")
    assert ran.out == aupstream("backtest", "--pseudonyms", "-c", own.config).out
    own.keys.rename(own.keys.with_suffix(".away"))
    blind = aupstream("backtest", "-c", own.config, "clickhouse:", "--rules", _no_rules(own.config.parent))
    assert "judged by pseudonyms" in blind.err


def _no_rules(folder: Path) -> Path:
    path = folder / "any.yml"
    path.write_text(
        "title: Any\nname: any\nlevel: low\nlogsource: {category: proxy}\n"
        "detection:\n  selection: {event_action: never}\n  condition: selection\n"
    )
    return path


def _rewrite(stored: Stored, change: Callable[[list[Entry]], list[Entry]]) -> None:
    """What somebody with all rights on ClickHouse could do."""
    store = Store(stored.dsn)
    kept = change(entries(store))
    stored.store.execute("TRUNCATE TABLE unmask_log")
    columns = tuple(Entry.__slots__)
    rows = [tuple(list(v) if isinstance(v := getattr(e, c), tuple) else v for c in columns) for e in kept]
    if rows:
        store.insert("unmask_log", columns, rows)
    store.close()


def _with(entry: Entry, **changes: object) -> Entry:
    return Entry(**{**{name: getattr(entry, name) for name in Entry.__slots__}, **changes})


def _chained(entries: list[Entry]) -> list[Entry]:
    """All hashes made again, so that the chain by itself holds."""
    made: list[Entry] = []
    for number, entry in enumerate(entries, 1):
        bare = _with(entry, number=number, previous=made[-1].hash if made else FIRST)
        made.append(_with(bare, hash=bare.hashed()))
    return made


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda es: es, None),
        (lambda es: [es[0], _with(es[1], reason="of no importance"), es[2]], "entry 2 was changed"),
        (lambda es: [es[0], es[2]], "entry 2 is missing"),
        (lambda es: [es[0], _with(es[1], previous=FIRST), es[2]], "entry 2 does not follow"),
        (lambda es: es[:2], "entries 3 to 3 are gone"),
        (lambda _: [], "entries 1 to 3 are gone"),
        (lambda es: _chained([es[0], _with(es[1], who="nobody"), es[2]]), "entry 2 is not the one"),
        (lambda es: _chained([*es, es[0], es[1]]), "entries 4 to 5 are not in the second record"),
        (lambda es: [*es, es[2]], "entry 4 is missing or stands twice"),
    ],
)
def test_the_audit_says_at_which_entry_the_log_breaks(
    own: Stored, change: Callable[[list[Entry]], list[Entry]], told: str | None
) -> None:
    for n in range(3):
        assert _unmask(own, _a_pseudonym(own), "--reason", f"reason {n}").code == 0
    _rewrite(own, change)
    ran = aupstream("audit", "--json", "-c", own.config)
    report = json.loads(ran.out)["unmask_log"]
    assert ran.code == (0 if told is None else 1), ran.err
    assert [told] * bool(told) == [told for p in report["problems"][:1] if told and told in p], report
    again = _unmask(own, _a_pseudonym(own), "--reason", "more")
    assert (again.code, bool(again.out)) == ((0, True) if told is None else (4, False)), "nobody is unmasked meanwhile"


def test_a_lost_second_record_shows(own: Stored) -> None:
    _unmask(own, _a_pseudonym(own), "--reason", "x")
    second_record(own.keys).unlink()
    ran = aupstream("audit", "--json", "-c", own.config)
    assert (ran.code, "second record" in ran.objects[0]["unmask_log"]["problems"][0]) == (1, True)


def test_a_request_that_was_killed_before_the_second_record_is_made_good(own: Stored) -> None:
    for _ in range(2):
        _unmask(own, _a_pseudonym(own), "--reason", "x")
    path = second_record(own.keys)
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    assert aupstream("audit", "-c", own.config).code == 1
    assert _unmask(own, _a_pseudonym(own), "--reason", "y").code == 0
    assert aupstream("audit", "-c", own.config).code == 0


def test_where_the_keys_are_not_nobody_is_unmasked(own: Stored) -> None:
    pseudonym = _a_pseudonym(own)
    own.keys.unlink()
    ran = _unmask(own, pseudonym, "--reason", "x")
    assert (ran.code, ran.out) == (2, "")
    assert own.rows("SELECT count() FROM unmask_log") == [(0,)]
    assert not own.keys.exists(), "and none are made in place of them"


def test_a_second_record_that_cannot_be_written_stops_unmasking(own: Stored) -> None:
    pseudonym = _a_pseudonym(own)
    second_record(own.keys).mkdir()
    ran = _unmask(own, pseudonym, "--reason", "x")
    assert (ran.code, ran.out) == (4, "")
    assert "the unmask log cannot be kept" in ran.err
    assert own.rows("SELECT count() FROM unmask_log") == [(0,)]
    audit = aupstream("audit", "-c", own.config)
    assert (audit.code, "cannot be read" in audit.err) == (1, True)
