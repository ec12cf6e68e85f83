"""A simulated term: the same bytes for the same seed, every clause, and what is found in it."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from infra.simulate import Truth, simulate_term
from schemas.errors import AupstreamError
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


@pytest.mark.parametrize(("schools", "days", "lines"), [(1, 20, LINES), (2, 9, LINES), (2, 91, LINES), (4, 40, 100)])
def test_numbers_out_of_range_are_refused(tmp_path: Path, schools: int, days: int, lines: int) -> None:
    with pytest.raises(AupstreamError, match="cannot be simulated"):
        simulate_term(1, schools, days, lines, tmp_path)
