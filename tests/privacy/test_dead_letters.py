"""Lines that could not be read are sealed in ClickHouse, and read for a reason that is kept."""

from __future__ import annotations

import pytest

from agents.privacy.keys import ensure, rotate
from infra.cli.letters import letters
from infra.cli.store import Store
from tests.cli.command import aupstream
from tests.privacy.stored import Stored

pytestmark = pytest.mark.servers


def test_no_line_stands_in_the_database_and_a_list_shows_none(stored: Stored) -> None:
    rows = stored.rows("SELECT raw, raw_length, sealed_with FROM dead_letters FINAL")
    assert rows
    assert all(sealed_with for _, _, sealed_with in rows)
    log = b"\n".join(path.read_bytes() for path in stored.config.parent.glob("*.log"))
    raw = stored.rows("SELECT hex(raw) FROM dead_letters FINAL")
    assert not any(bytes.fromhex(r) in log for (r,) in raw)
    listed = aupstream("deadletters", "list", "--json", "-c", stored.config).objects
    assert {row["raw"] for row in listed} == {None}
    assert "(sealed)" in aupstream("deadletters", "list", "-c", stored.config).out


def test_a_line_is_shown_for_a_reason_which_is_kept(own: Stored) -> None:
    letter = letters(Store(own.dsn), limit=1)[0]
    bare = aupstream("deadletters", "show", letter.id, "-c", own.config, "--json")
    assert bare.objects[0]["raw"] is None
    assert "say why" in bare.err
    assert aupstream("unmask", "--log", "--json", "-c", own.config).out == ""
    why = ("--reason", "new format?", "--case", "9")
    ran = aupstream("deadletters", "show", letter.id, *why, "-c", own.config, "--json")
    log = b"\n".join(path.read_bytes() for path in own.config.parent.glob("*.log")).decode("utf-8", "replace")
    assert ran.objects[0]["raw"] in log
    [kept] = aupstream("unmask", "--log", "--json", "-c", own.config).objects
    assert (kept["action"], kept["reason"], kept["case"]) == ("read dead letter", "new format?", "9")
    assert kept["asked"] == [letter.id]
    assert aupstream("audit", "-c", own.config).err.count("unmask log holds: 1") == 1


def test_it_opens_after_the_keys_were_changed_and_not_without_them(own: Stored) -> None:
    letter = letters(Store(own.dsn), limit=1)[0]
    show = ("deadletters", "show", letter.id, "--reason", "x", "-c", own.config, "--json")
    before = aupstream(*show).objects[0]["raw"]
    rotate(own.keys)
    assert aupstream(*show).objects[0]["raw"] == before
    own.keys.unlink()
    without = aupstream(*show)
    assert (without.code, without.out) == (2, "")
    assert "there is no file with the keys" in without.err


def test_a_line_whose_key_is_not_in_the_file_is_no_empty_line(own: Stored) -> None:
    letter = letters(Store(own.dsn), limit=1)[0]
    own.keys.unlink()
    ensure(own.keys)
    ran = aupstream("deadletters", "show", letter.id, "--reason", "x", "-c", own.config, "--json")
    assert (ran.code, ran.objects[0]["raw"]) == (4, None)
    assert f"sealed with {letter.told['sealed_with']}, which is not here" in ran.err
