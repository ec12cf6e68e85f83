"""A simulated term: the same bytes for the same seed, every clause, and what is found in it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from infra.simulate import Truth, simulate_term
from infra.simulate.term.pen import CLAUSES
from schemas.errors import AupstreamError
from streams.normalisers import registry
from streams.normalisers.abstract import LineChunk, Normaliser, NormaliserSettings
from tests.cli.command import aupstream

LINES = 20_000


def _digests(folder: Path) -> dict[str, str]:
    return {
        p.relative_to(folder).as_posix(): sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        simulate_term(5, 2, 10, LINES, tmp_path / name)
    simulate_term(6, 2, 10, LINES, tmp_path / "c")
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")
    assert _digests(tmp_path / "a")["mail.log"] != _digests(tmp_path / "c")["mail.log"]


def test_every_clause_is_broken_and_lines_are_as_counted(tmp_path: Path) -> None:
    truth = simulate_term(7, 2, 12, LINES, tmp_path)
    assert Truth.read(tmp_path) == truth
    assert {e.clause for e in truth.expected} == set(range(1, 14))
    assert {e.status for e in truth.expected} == {"violation", "permitted", "informational"}
    for name, lines in truth.lines.items():
        assert (tmp_path / name).read_bytes().count(b"\n") == lines


@pytest.mark.parametrize(
    ("source", "name"),
    [("isc_dhcpd", "dhcpd.log"), ("postfix", "mail.log"), ("openssh", "auth.log"), ("freeradius", "radius.log")],
)
def test_broken_lines_stand_where_the_truth_says(tmp_path: Path, source: str, name: str) -> None:
    truth = simulate_term(8, 2, 10, LINES, tmp_path)
    wanted = [(b.line, b.reason) for b in truth.dead_letters if b.file == name]
    assert len(wanted) == 6
    asked = ("--year", "2026", "--timezone", "America/Denver")
    ran = aupstream("normalise", "--source", source, *asked, tmp_path / name)
    told = [json.loads(line) for line in ran.err.splitlines() if '"dead_letter"' in line]
    assert [(one["line"], one["reason"]) for one in told] == wanted


def test_every_log_of_a_term_is_read_and_only_the_broken_lines_are_refused(tmp_path: Path) -> None:
    truth = simulate_term(9, 2, 10, LINES, tmp_path)
    config = tomllib.loads((tmp_path / "aupstream.toml").read_text("utf-8"))
    read = []
    for source in config["sources"]:
        logs = sorted(tmp_path.glob(source["path"]))
        read += [log.name for log in logs]
        lines = [line for log in logs for line in log.read_bytes().splitlines()]
        broken = [(b.line, b.reason) for b in truth.dead_letters if b.file == source["path"]]
        out = _normaliser(source).normalise(LineChunk(lines, list(range(len(lines)))))
        assert [(r.line + 1, r.reason) for r in out.rejects] == broken, source["path"]
        assert out.events.height > 0, source["path"]
    assert sorted(read) == sorted(truth.lines)


_AT_ONCE = {"new-device", "network-hardware", "own-printer", "rogue-dhcp-server"}
_NO_NUMBER = {"attachment-passed-on", "two-sites"}  # but a time


def test_every_limit_has_somebody_just_below_it_and_somebody_across_its_windows_edge(tmp_path: Path) -> None:
    truth = simulate_term(11, 2, 14, LINES, tmp_path)
    for rule in set(CLAUSES) - _AT_ONCE:
        kinds = {x.kind for x in truth.lookalikes if x.rule_id == rule}
        assert "across-the-edge" in kinds, rule
        assert "just-below" in kinds or rule in _NO_NUMBER, rule


def test_the_truth_knows_every_rule_of_the_policy(tmp_path: Path) -> None:
    shipped = {path.stem for path in (Path(__file__).parents[2] / "agents/policy").glob("*/*.yml")}
    assert shipped | {"crypto-mining"} == set(CLAUSES)  # it stands in one file with filter-bypass
    truth = simulate_term(12, 2, 12, LINES, tmp_path)
    assert {e.rule_id for e in truth.expected} == set(CLAUSES)


def test_a_little_goes_on_without_school_and_on_the_day_the_clocks_change(tmp_path: Path) -> None:
    truth = simulate_term(3, 2, 40, 60_000, tmp_path)
    leases = (tmp_path / "kea.log").read_text("utf-8").splitlines()
    days = {line[:10] for line in leases}
    assert {"2026-01-17", "2026-01-19", "2026-03-08"} <= days  # a Saturday, a holiday, and the last of winter time
    assert len([line for line in leases if line.startswith("2026-01-17")]) < len(leases) // 80
    free = {"2026-01-17", "2026-01-18", "2026-01-19", "2026-01-24"}
    assert any(e.first_seen[:10] in free for e in truth.expected)
    assert {"IN2601.log", "IN2602.log", "IN2603.log"} < set(truth.lines)  # a file a month
    sunday = json.loads(next(e for e in (tmp_path / "entra.jsonl").read_text().splitlines() if "2026-03-08" in e))
    assert "T1" in sunday["createdDateTime"]


def _normaliser(source: Mapping[str, Any]) -> Normaliser:
    zone = ZoneInfo(source["timezone"])
    return registry.make(source["type"], NormaliserSettings(timezone=zone, year=source.get("year")))


@pytest.mark.parametrize(("schools", "days", "lines"), [(1, 20, LINES), (2, 9, LINES), (2, 91, LINES), (4, 40, 100)])
def test_numbers_out_of_range_are_refused(tmp_path: Path, schools: int, days: int, lines: int) -> None:
    with pytest.raises(AupstreamError, match="cannot be simulated"):
        simulate_term(1, schools, days, lines, tmp_path)
