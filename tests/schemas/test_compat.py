from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas import compat, registry, releases
from schemas.errors import SchemaError

TIME = {"type": "long", "logicalType": "timestamp-micros"}
PART = {"type": "record", "name": "P", "fields": [{"name": "n", "type": "int"}]}
BASE: dict[str, Any] = {
    "type": "record",
    "name": "R",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": TIME},
        {"name": "size", "type": "int"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {
            "name": "parts",
            "type": {
                "type": "array",
                "items": {"type": "record", "name": "P", "fields": [{"name": "n", "type": "int"}]},
            },
            "default": [],
        },
    ],
}


def changed(change: Callable[[dict[str, dict[str, Any]]], object]) -> dict[str, Any]:
    """BASE after a change to its fields, given by name."""
    new = copy.deepcopy(BASE)
    fields = {field["name"]: field for field in new["fields"]}
    change(fields)
    new["fields"] = list(fields.values())
    return new


ALLOWED: dict[str, Callable[[dict[str, dict[str, Any]]], object]] = {
    "nothing": lambda _: None,
    "a new field with a default": lambda f: f.update(x={"name": "x", "type": "int", "default": 0}),
    "a field with a default is gone": lambda f: f.pop("note"),
    "another default": lambda f: f["note"].update(type=["string", "null"], default=""),
    "documentation": lambda f: f["id"].update(doc="other words"),
    "another order": lambda f: f.update(id=f.pop("id")),
}

REFUSED: dict[str, tuple[Callable[[dict[str, dict[str, Any]]], object], str]] = {
    "a new field without a default": (lambda f: f.update(x={"name": "x", "type": "int"}), "field x:.*no default"),
    "a field without a default is gone": (lambda f: f.pop("id"), "field id:.*no default"),
    "a wider number, which the old version cannot read": (lambda f: f["size"].update(type="long"), "field size: .*old"),
    "a narrower type": (lambda f: f["size"].update(type="boolean"), "field size: reader type: boolean"),
    "null, which the old version cannot read": (lambda f: f["id"].update(type=["null", "string"]), "field id: "),
    "no null any more": (lambda f: f["note"].update(type="string", default=""), "field note: "),
    "another type behind null": (lambda f: f["note"].update(type=["null", "int"]), "field note: "),
    "a renamed field": (lambda f: f["id"].update(name="ident", aliases=["id"]), "field id:"),
    "a field of a record in a list": (
        lambda f: f["parts"]["type"]["items"]["fields"][0].update(type="string"),
        r"field parts\.n: ",
    ),
    "another unit of time": (
        lambda f: f["at"].update(type={"type": "long", "logicalType": "timestamp-millis"}),
        "field at: logical type timestamp-millis",
    ),
    "no time any more": (lambda f: f["at"].update(type="long"), "field at: logical type None"),
}


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED.keys())
def test_a_compatible_change_passes(change: Callable[[dict[str, dict[str, Any]]], object]) -> None:
    assert compat.full(changed(change), BASE) == []


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_an_incompatible_change_is_refused_naming_the_field(
    case: tuple[Callable[[dict[str, dict[str, Any]]], object], str],
) -> None:
    change, told = case
    faults = compat.full(changed(change), BASE)
    assert faults
    assert any(re.search(told, fault) for fault in faults), faults


def test_another_record_is_refused() -> None:
    assert any("record" in fault for fault in compat.full({**BASE, "name": "S"}, BASE))


def test_the_schemas_as_they_stand_are_compatible_with_every_released_version() -> None:
    assert compat.judge() == []


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_schema_is_released_as_it_stands(name: str) -> None:
    released = releases.versions(name)
    assert released, f"{name} was never released: python -m schemas.releases"
    assert released[len(released)] == registry.schema(name), "changed since: python -m schemas.releases"


def test_the_index_holds_the_fingerprints_of_the_files() -> None:
    kept = json.loads((releases.FOLDER / releases.INDEX).read_text("utf-8"))
    assert kept == releases.index()


def test_the_gate_is_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "schemas.compat"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def altered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the schemas that may be changed; the registry reads it."""
    folder = tmp_path / "avro"
    shutil.copytree(registry.FOLDER, folder, ignore=shutil.ignore_patterns("released"))
    monkeypatch.setattr(registry, "FOLDER", folder)
    registry.schema.cache_clear()
    yield folder
    monkeypatch.undo()
    registry.schema.cache_clear()
    releases.by_fingerprint.cache_clear()


def edit(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / f"{name}.avsc"
    schema = json.loads(path.read_text("utf-8"))
    change(schema)
    path.write_text(json.dumps(schema), "utf-8")
    registry.schema.cache_clear()


def test_a_first_release_is_version_one_of_each(altered: Path) -> None:
    released = altered / "released"
    assert releases.release(released) == dict.fromkeys(registry.NAMES, 1)
    assert releases.release(released) == {}
    assert (released / "proxy" / "1.avsc").read_bytes() == (altered / "proxy.avsc").read_bytes()


def test_only_what_changed_is_released_again(altered: Path) -> None:
    released = altered / "released"
    releases.release(released)
    edit(altered, "dhcp", lambda s: s["fields"].append({"name": "x", "type": ["null", "int"], "default": None}))
    assert releases.release(released) == {"dhcp": 2}
    index = json.loads((released / releases.INDEX).read_text("utf-8"))
    assert [len(index[name]) for name in ("dhcp", "proxy")] == [2, 1]
    assert index["dhcp"][0] != index["dhcp"][1]


def test_an_incompatible_schema_is_not_released_and_nothing_else_with_it(altered: Path) -> None:
    released = altered / "released"
    releases.release(released)
    edit(altered, "dhcp", lambda s: s["fields"].append({"name": "x", "type": ["null", "int"], "default": None}))
    edit(altered, "mail", lambda s: s["fields"].pop(0))
    with pytest.raises(SchemaError, match=r"mail\.avsc against released version 1: field event_id"):
        releases.release(released)
    assert not (released / "dhcp" / "2.avsc").exists()


def test_the_gate_names_schema_version_and_field(altered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(altered, "mail", lambda s: s["fields"].pop(0))
    assert compat.main() == 1
    assert "mail.avsc against released version 1: field event_id" in capsys.readouterr().err


def test_a_gap_in_the_released_versions_is_noticed(altered: Path) -> None:
    released = altered / "released"
    releases.release(released)
    (released / "mail" / "1.avsc").rename(released / "mail" / "2.avsc")
    releases.versions.cache_clear()
    with pytest.raises(SchemaError, match="not 1, 2, 3"):
        releases.versions("mail", released)


def test_both_directions_are_told() -> None:
    faults = compat.full(changed(lambda f: f["size"].update(type="boolean")), BASE)
    assert [("the new version reading" in fault, "the old version reading" in fault) for fault in faults] == [
        (True, False),
        (False, True),
    ]
