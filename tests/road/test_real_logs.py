"""Log lines that nobody here wrote go the whole road, and not one is lost between the file and ClickHouse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.normalisers.registry import types
from tests.fuzz.run import golden_lines
from tests.normalisers.comparison import SAMPLES, Case, cases, table, tables
from tests.normalisers.test_postfix_samples import whole_line
from tests.road.scene import CONFIG, WITHIN_S, Scene, backtest, to_toml
from tests.road.stored import Stored, assert_conserved, assert_same

pytestmark = [
    pytest.mark.servers,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples in {SAMPLES}"),
]

POSTFIX = "postfix"
WHOLE = {"squid": "squid", "isc_dhcpd": "isc_dhcpd", "postfix": "postfix", "sshd_pam": "openssh"}
"""Formats whose samples are whole logs: each file is a source of its own, too."""
NOT_LOGS = ("SOURCE.txt", ".assert", ".golden")
RADIUS = b"""\
Mon Sep  2 07:58:11 2024 : Info: Loaded virtual server default
Mon Sep  2 07:58:12 2024 : Auth: (0) Login OK: [kmoore] (from client ap-e7 port 12 cli 02-00-5E-77-00-01)
Mon Sep  2 07:58:12 2024 : Auth: (1)   Login OK: [kmoore] (from client ap-e7 port 0 via TLS tunnel)
Mon Sep  2 07:58:40 2024 : Auth: (2) Login OK: [pdiaz@example.net] (from client ap-e7 port 12 cli 02005e770002)
Mon Sep  2 07:59:03 2024 : Auth: (3) Login incorrect (mschap: wrong response): [rlane] (from client sw-3 port 3)
Mon Sep  2 07:59:09 2024 : Auth: (4) Login incorrect (pap: no match): [rlane/Winter(24)!] (from client sw-3 port 3)
Mon Sep  2 07:59:30 2024 : Auth: (5) Invalid user (sql: no such user): [guest-7/whatever] (from client vpn-1 port 0)
Mon Sep  2 07:59:31 2024 : Auth: (6) Rejected in post-auth: [kmoore] (from client ap-e7 port 12 cli 02-00-5E-77-00-01)
Mon Sep  2 07:59:58 2024 : Error: (7) Ignoring duplicate packet from client ap-e7 port 1812 - ID: 9
Mon Sep  2 08:00:00 2024 : Auth: (8) Login OK: [host/cart-12.example.net] (from client sw-3 port 50104 cli 02005e770004)
Mon Sep 72 08:00:01 2024 : Auth: (9) Login OK: [nobody] (from client sw-3 port 50104)
"""


def _files(area_format: str) -> list[Path]:
    return sorted(p for p in SAMPLES.glob(f"*/{area_format}/**/*") if p.is_file() and not p.name.endswith(NOT_LOGS))


def _name(sample_format: str, path: Path) -> str:
    return f"{sample_format}-{path.stem.strip('.')}"


def _line(sample_format: str, case: Case) -> bytes:
    line = whole_line(case) if sample_format == POSTFIX else table(sample_format).whole_line(case)
    return line.replace("\r", "").replace("\n", "#012").encode() + b"\n"


def _cases() -> dict[str, bytes]:
    """All sample lines by the type that reads them."""
    found: dict[str, list[bytes]] = {}
    for sample_format in (*tables(), POSTFIX):
        for case in cases(sample_format):
            name = POSTFIX if sample_format == POSTFIX else table(sample_format).type_of(case)
            found.setdefault(name, []).append(_line(sample_format, case))
    return {name: b"".join(lines) for name, lines in found.items()}


@pytest.fixture(scope="module")
def logs() -> dict[str, tuple[str, bytes]]:
    """Type and content by source name: the cases of each type together, whole logs, our own golden lines."""
    found = {"freeradius": ("freeradius", RADIUS)}
    found |= {f"{name}-cases": (name, content) for name, content in _cases().items()}
    found |= {f"{name}-golden": (name, b"".join(line + b"\n" for line in golden_lines(name))) for name in types()}
    for sample_format, type_name in WHOLE.items():
        for path in _files(sample_format):
            if path.suffix == ".log" and path.stat().st_size:
                found[_name(sample_format, path)] = (type_name, path.read_bytes())
    return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, logs: dict[str, tuple[str, bytes]]) -> Scene:
    folder = tmp_path_factory.mktemp("real")
    sources = []
    for name, (type_name, content) in logs.items():
        (folder / f"{name}.log").write_bytes(content)
        sources.append({"name": name, "type": type_name, "path": f"{name}.log", "year": 2024})
    district = {"name": "samples", "timezone": "America/Denver", "domains": ["example.net"]}
    (folder / CONFIG).write_text(to_toml({"privacy": {"pseudonyms": False}, "district": district, "sources": sources}))
    return Scene(folder)


@pytest.fixture(scope="module")
def stored(scene: Scene) -> Iterator[Stored]:
    with scene.running() as system:
        system.wait_until_drained(within_s=WITHIN_S)
        answers = Stored(system)
        yield answers
        answers.close()


@pytest.mark.parametrize("sample_format", WHOLE)
def test_no_sample_file_is_left_out(sample_format: str, logs: dict[str, tuple[str, bytes]]) -> None:
    """A log is read as it is; of the others every line is among the cases. What has no line at all is empty."""
    with (SAMPLES / "cases.jsonl").open(encoding="utf-8") as file:
        mine = [case for case in map(json.loads, file) if case["format"] == sample_format]
    raws, paths = {case["raw"] for case in mine}, {Path(case["path"]).name for case in mine}
    for path in _files(sample_format):
        if path.suffix == ".jsonl":
            assert {json.loads(line)["raw"] for line in path.read_text("utf-8").splitlines()} <= raws, path
        elif path.suffix == ".log" and path.stat().st_size:
            assert _name(sample_format, path) in logs
        else:
            assert path.name in paths, path


def test_every_line_of_every_log_is_accounted_for_in_clickhouse(
    logs: dict[str, tuple[str, bytes]], stored: Stored, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = {name: content.count(b"\n") + (not content.endswith(b"\n")) for name, (_, content) in logs.items()}
    assert_conserved(stored, lines)
    ledger = stored.ledger()
    for type_name in types():
        mine = [source for name, source in ledger.items() if logs[name][0] == type_name]
        total, events, dead = (sum(getattr(s, k) for s in mine) for k in ("lines", "in_events", "dead_letters"))
        with capsys.disabled():
            print(f"\n{type_name}: {total} lines of {len(mine)} logs, {events} in events, {dead} dead letters")  # noqa: T201
        assert events > 0.05 * total, type_name


def test_what_is_wrong_on_purpose_is_the_only_dead_letter_of_freeradius(stored: Stored) -> None:
    ledger = stored.ledger()["freeradius"]
    assert (ledger.in_events, ledger.dead_letters, sum(ledger.ignored.values())) == (8, 1, 2)


def test_no_password_that_somebody_typed_is_stored(stored: Stored) -> None:
    for name in ("events_login", "dead_letters"):
        rows = stored.rows(f"SELECT * FROM {name}")  # noqa: S608  # two names of our own
        assert "Winter(24)" not in str(rows)


def test_the_violations_are_those_of_a_backtest_in_every_field(scene: Scene, stored: Stored) -> None:
    """None, that is: nobody in these few lines breaks a rule."""
    assert_same(stored, backtest(scene.config))
