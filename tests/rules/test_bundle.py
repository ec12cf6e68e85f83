"""Rules as one value: what is packed on one machine loads on another, and is called by what it says."""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec
import pytest

from agents.rules.bundle import RuleSources, pack_rules, unpack_rules
from agents.rules.loader import load_rules
from agents.rules.own import NewValue
from agents.rules.reading import Beside
from schemas.errors import Errors, RuleError, StateError

RULES = """
title: New door
name: new-door
correlation:
  type: event_count
  rules: [opened]
  group-by: [user_name]
  timespan: 1d
  condition: {gte: 1}
aupstream:
  kind: new_value
  known-list: ../known/doors.csv2
---
title: Opened
name: opened
logsource: {category: login}
detection:
  selection: {service_name|expand: '%doors%'}
  condition: selection
"""


def _rules(folder: Path) -> RuleSources:
    (folder / "mine" / "lists").mkdir(parents=True)
    (folder / "known").mkdir()
    (folder / "mine" / "new.yml").write_text(RULES)
    (folder / "mine" / "lists" / "doors.txt").write_text("front\nback\n")
    (folder / "known" / "doors.csv2").write_text("anna\n")
    mapping = "{id: m, type: field_name_mapping, mapping: {Door: service_name}}"
    (folder / "pipeline.yml").write_text(f"name: p\npriority: 10\ntransformations:\n  - {mapping}\n")
    return RuleSources((folder / "mine",), Beside(pipelines=(folder / "pipeline.yml",)), ("new-door",))


def test_rules_that_are_unpacked_elsewhere_are_those_that_were_packed(tmp_path: Path) -> None:
    sources = _rules(tmp_path / "a")
    there = unpack_rules(pack_rules(sources).data, tmp_path / "b")
    mine, theirs = sources.load(), there.load()
    assert theirs.version == mine.version
    (rule,) = theirs.rules
    assert rule.same_as(mine.rules[0])
    assert rule.shadow
    assert isinstance(rule.own, NewValue)
    assert rule.own.known == {"anna"}
    assert str(tmp_path / "b") in rule.file


def test_a_version_is_of_what_files_say_and_not_of_where_they_are(tmp_path: Path) -> None:
    one, two = _rules(tmp_path / "a"), _rules(tmp_path / "b")
    assert pack_rules(one).version == pack_rules(two).version
    for name in ("mine/new.yml", "mine/lists/doors.txt", "known/doors.csv2", "pipeline.yml"):
        before = pack_rules(two).version
        path = tmp_path / "b" / name
        path.write_text(path.read_text() + "\n# said\n")
        assert pack_rules(two).version != before, name
    assert pack_rules(RuleSources(one.paths, one.beside)).version != pack_rules(one).version, "shadow"


def test_the_rules_that_come_along_are_packed_where_none_are_named(tmp_path: Path) -> None:
    assert unpack_rules(pack_rules(RuleSources()).data, tmp_path).load().version == load_rules().version


def test_what_is_no_bundle_or_wants_to_be_written_elsewhere_is_refused(tmp_path: Path) -> None:
    plain = {"v": 1, "roots": {"rules": [], "collections": [], "pipelines": []}, "shadow": []}
    bad = {
        "cannot be read": b"nothing",
        "another layout": zlib.compress(msgspec.msgpack.encode({"v": 9})),
        "have a file": zlib.compress(msgspec.msgpack.encode(plain | {"files": {"/x/../../etc/passwd": b""}})),
    }
    for what, data in bad.items():
        with pytest.raises(StateError, match=what):
            unpack_rules(data, tmp_path / "here")
    assert not (tmp_path / "etc").exists()


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"nowhere\.yml"):
        pack_rules(RuleSources((tmp_path / "nowhere.yml",)))
    with pytest.raises(Errors):
        RuleSources((tmp_path / "nowhere.yml",)).load()
