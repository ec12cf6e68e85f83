"""`aupstream demo --once --json`: the whole road in one command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import process
from tests.embedded.servers_fixture import jar_cache

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]


def test_the_demo_finds_what_was_hidden_and_loses_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUPSTREAM_CACHE", str(jar_cache()))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    ran = process("demo", "--once", "--json", "--lines", "3000", "--seed", "2")
    assert ran.code == 0, ran.err
    got = json.loads(ran.out)
    assert set(got) == {
        *("lines", "lines_in_events", "events", "dead_letters", "open_joins", "expected", "found", "missed"),
        *("unexpected", "ignored", "violations", "seconds"),
    }
    assert got["lines"] == 3000
    assert (
        got["lines"] == got["lines_in_events"] + got["dead_letters"] + sum(got["ignored"].values()) + got["open_joins"]
    )
    assert got["expected"] == got["found"] == sum(got["violations"].values())
    assert got["expected"] > 0
    assert (got["missed"], got["unexpected"]) == ([], [])
    assert list(tmp_path.glob("aupstream-demo-*")) == []
