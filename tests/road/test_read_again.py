"""Old logs and dead letters are read while all runs: what was judged stands, and judging again believes all."""

from __future__ import annotations

import gzip
import socket
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from infra.cli.replaying import AT_ONCE
from tests.cli.command import Ran, aupstream
from tests.road.scene import WITHIN_S, Scene, backtest, simulated, wait_until
from tests.road.stored import Stored

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

LINES = 32_000
GOOD = r"^(?<when>\S+ \S+) door (?<door>\S+) user=(?<user>\S*) (?<result>\w+)$"


def _standing(stored: Stored) -> dict[str, str]:
    """Status by id of what stands."""
    rows = stored.rows("SELECT id, status FROM violations_now WHERE status != 'withdrawn'")
    return dict(rows)


def _judged(scene: Scene) -> dict[str, str]:
    return {r["id"]: r["status"] for r in backtest(scene.config)}


@pytest.mark.parametrize("kind", ["mail", "dhcp"])
def test_a_log_that_nobody_read_is_read_later_and_judging_again_finds_what_a_backtest_of_all_finds(
    tmp_path: Path, kind: str
) -> None:
    scene = simulated(tmp_path, seed=5, lines=12_000)
    everything = _judged(scene)
    unread = {s.name: s for s in scene.config.collectors() if s.kind == kind}
    scene.change(sources=lambda some: [s for s in some if s.get("name", s["type"]) not in unread])
    names = [f"{s.name}={s.type}:{s.path}" for s in unread.values()]
    with scene.running() as system:
        system.wait_until_drained(within_s=WITHIN_S)
        stored = Stored(system)
        before = _standing(stored)
        assert before == _judged(scene)
        ran = aupstream("backfill", *names, "-c", scene.file, "--json")
        assert ran.code == 0, ran.err
        assert sum(row["events"] for row in ran.objects) > 20
        assert "judged without these" in ran.err
        system.wait_until_drained(within_s=WITHIN_S)
        during = _standing(stored)
        assert during.items() >= before.items(), "what was judged stands as it was"
        for _ in range(2):  # the first refusal is no reading that was begun
            again = aupstream("backfill", *names, "-c", scene.file)
            assert (again.code, "has been read" in again.err) == (4, True)
        spans = ran.err.split("aupstream rejudge ")[1].split(' --reason "')[0].split()
        judged = aupstream("rejudge", *spans, "--reason", "nobody read it", "-c", scene.file)
        assert judged.code == 0, judged.err
        system.wait_until_drained(within_s=WITHIN_S)
        assert _standing(stored) == everything
        assert len(everything) > len(before)
        stored.close()
        audit = aupstream("audit", "-c", scene.file)
        assert audit.code == 0, audit.out + audit.err


def test_half_a_packed_log_is_said_and_read_on_when_the_whole_one_comes(tmp_path: Path) -> None:
    scene = simulated(tmp_path, seed=5, lines=4_000)
    [mail] = [s for s in scene.config.collectors() if s.kind == "mail"]
    alone = aupstream("normalise", "--source", mail.name, mail.path, "-c", scene.file).objects
    assert alone
    scene.change(sources=lambda some: [s for s in some if s.get("name", s["type"]) != mail.name])
    whole, half = tmp_path / "whole.gz", tmp_path / "half.gz"
    whole.write_bytes(gzip.compress(Path(mail.path).read_bytes()))
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with scene.running() as system:
        system.wait_until_drained(within_s=WITHIN_S)
        for _ in range(2):
            ran = aupstream("backfill", f"{mail.name}={mail.type}:{half}", "-c", scene.file)
            assert (ran.code, f"byte {half.stat().st_size}" in ran.err) == (4, True), ran.err
            assert "reading goes on where it stopped" in ran.err
        ran = aupstream("backfill", f"{mail.name}={mail.type}:{whole}", "-c", scene.file)
        assert ran.code == 0, ran.err
        again = aupstream("backfill", f"{mail.name}={mail.type}:{whole}", "-c", scene.file)
        assert (again.code, "has been read" in again.err) == (4, True)
        half.write_bytes(b"".join(Path(mail.path).read_bytes().splitlines(keepends=True)[1:]))
        overlapping = aupstream("backfill", f"{mail.name}={mail.type}:{half}", "-c", scene.file)
        assert (overlapping.code, "stored as events of source" in overlapping.err) == (4, True), overlapping.err
        stored = Stored(system)
        rows = stored.rows("SELECT event_id FROM events_mail FINAL ORDER BY event_id")
        assert [i for (i,) in rows] == sorted(event["event_id"] for event in alone)
        stored.close()
        assert aupstream("audit", "-c", scene.file).code == 0


def test_a_longer_copy_of_a_log_is_read_on_from_where_the_shorter_one_ended(tmp_path: Path) -> None:
    scene = simulated(tmp_path, seed=5, lines=4_000)
    proxy, *_ = [s for s in scene.config.collectors() if s.kind == "proxy"]
    alone = aupstream("normalise", "--source", proxy.name, proxy.path, "-c", scene.file).objects
    scene.change(sources=lambda some: [s for s in some if s.get("name", s["type"]) != proxy.name])
    lines, copy = Path(proxy.path).read_bytes().splitlines(keepends=True), Path()
    with scene.running() as system:
        system.wait_until_drained(within_s=WITHIN_S)
        for number, count in enumerate((len(lines) // 3, len(lines) // 2, len(lines))):
            copy = tmp_path / f"copy{number // 2}.log"  # the second under the name of the first
            copy.write_bytes(b"".join(lines[:count]))
            ran = aupstream("backfill", f"{proxy.name}={proxy.type}:{copy}", "-c", scene.file)
            assert (ran.code, "going on at byte" in ran.err) == (0, number > 0), ran.err
        for _ in range(2):
            again = aupstream("backfill", f"{proxy.name}={proxy.type}:{copy}", "-c", scene.file)
            assert (again.code, "has been read" in again.err) == (4, True)
        stored = Stored(system)
        rows = stored.rows("SELECT event_id, log_source FROM events_proxy FINAL ORDER BY event_id")
        assert [i for i, source in rows if source == proxy.name] == sorted(event["event_id"] for event in alone)
        stored.close()
        assert aupstream("audit", "-c", scene.file).code == 0


def _badges(folder: Path) -> str:
    began = datetime(2026, 4, 17, 9)  # noqa: DTZ001  # the log's own time
    lines = [
        f"{began + timedelta(seconds=n):%d/%m/%Y %H:%M:%S} door D{n % 3} user=u{n % 7} "
        f"{'denied' if n % 4 == 0 else 'ok'}"
        for n in range(LINES)
    ]
    lines[50] = "no line of a door at all"
    (folder / "badge.log").write_text("".join(line + "\n" for line in lines))
    return str(folder / "badge.log")


def _format(pattern: str) -> dict[str, object]:
    time = {"field": "when", "format": "%d/%m/%Y %H:%M:%S", "timezone": "America/Denver"}
    return {
        "kind": "login",
        "syntax": "regex",
        "pattern": pattern,
        "time": time,
        "fields": {"user_name": "user", "event_action": {"value": "login"}},
    }


def _replay(scene: Scene, *more: object) -> Ran:
    return aupstream("deadletters", "replay", *more, "-c", scene.file, "--json")


def _end_one_that_was_cut_off(scene: Scene, stored: Stored) -> None:
    """A replay that was begun and not ended is ended by the next one."""
    [(left,)] = stored.rows("SELECT event_id FROM dead_letters FINAL WHERE log_source = 'badge'")
    columns = "(replay, source, ids, at, who, reason, done, events, unreadable)"
    for name, letter, when, host in (
        ("x", left, "now64(6)", socket.gethostname()),
        ("y", "gone", "now64(6) - INTERVAL 2 HOUR", "another machine"),
    ):
        row = f"'replay-{name}', 'badge', ['{letter}'], {when}, 'w on {host}', 'r', 0, 0, 0"
        stored.rows(f"INSERT INTO replays {columns} SELECT {row}")
    nothing = _replay(scene, "--source", "nobody", "--reason", "x")
    assert (nothing.code, "no such dead letters" in nothing.err) == (4, True)
    assert "was cut off, and is ended first" in nothing.err
    ended = "SELECT replay FROM replays WHERE replay IN ('replay-x', 'replay-y') AND done ORDER BY replay"
    assert stored.rows(ended) == [("replay-x",), ("replay-y",)]  # of the latter only the note was missing
    assert aupstream("audit", "-c", scene.file).code == 0


def _leave_alone_one_that_goes_on_elsewhere(scene: Scene, stored: Stored) -> None:
    columns = "(replay, source, ids, at, who, reason, done, events, unreadable)"
    for done in (0, 1):
        row = f"'replay-z', 'badge', ['gone'], now64(6), 'w on another machine', 'r', {done}, 0, 0"
        stored.rows(f"INSERT INTO replays {columns} SELECT {row}")
        ran = _replay(scene, "--source", "badge", "--reason", "x")
        assert (ran.code, "being replayed on another machine" in ran.err) == ((0, False) if done else (4, True))


def test_lines_that_could_not_be_read_are_read_again_and_the_ledger_moves_them(tmp_path: Path) -> None:
    denied = LINES // 4
    assert denied > AT_ONCE
    scene = simulated(tmp_path, seed=5, lines=2_000)
    path = _badges(tmp_path)
    scene.change(
        sources=lambda some: [*some, {"type": "badge", "path": path, "mode": "once"}],
        formats={"badge": _format(GOOD.replace(r"\w+", "ok"))},
        privacy={"pseudonyms": True},
    )
    with scene.running() as system:
        system.wait_until_drained(within_s=WITHIN_S)
        stored = Stored(system)
        assert stored.held("dead_letters")["badge"] == (denied + 1, denied + 1)
        assert stored.ledger()["badge"].in_events == LINES - denied - 1
        assert "--reason" in _replay(scene).err
        scene.change(formats={"badge": _format(GOOD)})
        ran = _replay(scene, "--source", "badge", "--reason", "the pattern left out who was denied")
        assert ran.code == 0, ran.err
        assert [row["lines"] for row in ran.objects] == [AT_ONCE, denied + 1 - AT_ONCE]
        assert sum(row["events"] for row in ran.objects) == denied
        assert sum(row["unreadable"] for row in ran.objects) == 1
        assert stored.held("dead_letters")["badge"] == (1, 1)
        rows = stored.rows("SELECT event_id FROM events_login FINAL WHERE log_source = 'badge' ORDER BY event_id")
        alone = aupstream("normalise", "--source", "badge", path, "-c", scene.file).objects
        assert [i for (i,) in rows] == sorted(event["event_id"] for event in alone)
        audit = aupstream("audit", "--json", "-c", scene.file)
        assert audit.code == 0, audit.out
        [badge] = [s for s in audit.objects[0]["sources"] if s["source"] == "badge"]
        told = [badge[name] for name in ("lines", "in_events", "dead_letters", "events_stored")]
        assert told == [LINES, LINES - 1, 1, LINES - 1]
        kept = aupstream("unmask", "--log", "--json", "-c", scene.file).objects
        assert {entry["action"] for entry in kept} == {"replay dead letters"}
        assert sorted(len(entry["asked"]) for entry in kept) == sorted((AT_ONCE, denied + 1 - AT_ONCE))
        once_more = _replay(scene, "--source", "badge", "--reason", "is it any better?")
        assert once_more.objects == [{"source": "badge", "lines": 1, "events": 0, "unreadable": 1}]
        assert aupstream("audit", "-c", scene.file).code == 0
        _leave_alone_one_that_goes_on_elsewhere(scene, stored)
        _end_one_that_was_cut_off(scene, stored)
        stored.close()


def test_what_was_rotated_away_unread_is_read_on_from_where_live_reading_stopped(tmp_path: Path) -> None:
    scene = simulated(tmp_path, seed=5, lines=4_000)
    proxy, *_ = [s for s in scene.config.collectors() if s.kind == "proxy"]
    lines = Path(proxy.path).read_bytes().splitlines(keepends=True)
    third, log, old = len(lines) // 3, tmp_path / "live" / "access.log", tmp_path / "old.log"
    log.parent.mkdir()
    log.write_bytes(b"".join(lines[:third]))
    scene.change(
        sources=lambda some: [
            {**s, "path": str(log), "mode": "follow"} if s.get("name", s["type"]) == proxy.name else s for s in some
        ]
    )
    backfill = ("backfill", f"{proxy.name}={proxy.type}:{old}", "-c", scene.file)
    with scene.running() as system:
        stored = Stored(system)
        old.write_bytes(b"".join(lines[: 2 * third]))
        wait_until(system, lambda: _lines(stored, proxy.name) == third)
        ran = aupstream(*backfill)
        assert (ran.code, "is being read (live)" in ran.err) == (4, True), ran.err
        log.rename(log.with_name("access.log.1"))
        log.write_bytes(b"".join(lines[2 * third :]))
        wait_until(system, lambda: _lines(stored, proxy.name) == len(lines) - third)
        old.write_bytes(b"".join([*lines[: third - 1], b"x" + lines[third - 1], *lines[third : 2 * third]]))
        ran = aupstream(*backfill)
        assert (ran.code, "are not those that were read" in ran.err) == (4, True), ran.err
        old.write_bytes(b"".join(lines[: 2 * third]))
        ran = aupstream(*backfill)
        assert (ran.code, f"going on at byte {sum(map(len, lines[:third]))}" in ran.err) == (0, True), ran.err
        again = aupstream(*backfill)
        assert (again.code, "has been read" in again.err) == (4, True)
        asked = f"SELECT event_id FROM events_proxy FINAL WHERE log_source = '{proxy.name}' ORDER BY event_id"  # noqa: S608
        found = [i for (i,) in stored.rows(asked)]
        stored.close()
        assert aupstream("audit", "-c", scene.file).code == 0
    alone = [aupstream("normalise", "--source", proxy.name, path, "-c", scene.file).objects for path in (old, log)]
    assert found == sorted(event["event_id"] for events in alone for event in events)


def _lines(stored: Stored, source: str) -> int:
    """Of a source, in the ledger."""
    [(lines,)] = stored.rows(f"SELECT sum(lines) FROM ledger_now WHERE source = '{source}'")  # noqa: S608
    return int(lines)
