from __future__ import annotations

import json
from pathlib import Path

import avro.schema
import fastavro.schema
import polars as pl
import pytest

from schemas import registry
from schemas.avrotypes import arrow_field, polars_type, without_extras
from schemas.errors import SchemaError
from schemas.kinds import EventKind


def test_every_file_is_a_known_schema_and_every_schema_has_a_file() -> None:
    assert sorted(path.stem for path in registry.FOLDER.glob("*.avsc")) == sorted(registry.NAMES)


def test_every_kind_of_event_has_a_schema() -> None:
    assert {kind.value for kind in EventKind} <= set(registry.NAMES)


@pytest.mark.parametrize("name", registry.NAMES)
def test_both_avro_libraries_read_the_schema_alike(name: str) -> None:
    apache = avro.schema.parse(json.dumps(without_extras(registry.schema(name))))
    assert int.from_bytes(apache.fingerprint(), "little") == registry.fingerprint(name)
    assert [field.name for field in registry.parsed(name).fields] == list(registry.column_names(name))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [  # Avro's own test suite: share/test/data/schema-tests.txt
        ("null", 7195948357588979594),
        ("boolean", -6970731678124411036),
        ({"type": "fixed", "name": "foo", "size": 15}, 1756455273707447556),
        ({"type": "record", "name": "foo", "fields": [{"name": "f1", "type": "boolean"}]}, 7843277075252814651),
    ],
)
def test_the_fingerprint_is_the_one_of_the_specification(schema: object, expected: int) -> None:
    assert registry.fingerprint_of(schema) == expected % 2**64


@pytest.mark.parametrize("name", registry.NAMES)
def test_columns_stand_in_the_order_of_the_file(name: str) -> None:
    fields = json.loads((registry.FOLDER / f"{name}.avsc").read_text("utf-8"))["fields"]
    assert registry.column_names(name) == tuple(field["name"] for field in fields)
    assert registry.empty(name).columns == [field["name"] for field in fields]
    assert registry.empty(name).height == 0


def test_types_become_columns() -> None:
    proxy, mail = registry.polars_schema("proxy"), registry.polars_schema("mail")
    assert proxy["timestamp"] == pl.Datetime("us", "UTC")
    assert mail["timestamp_first"] == pl.Datetime("us", "UTC")
    assert mail["log_offsets"] == pl.List(pl.Int64)
    assert mail["email_to_filter"] == pl.List(pl.Boolean)
    assert registry.polars_schema("violation")["group_key"] == pl.Map(pl.String, pl.String)
    assert registry.polars_schema("dead_letter")["raw"] == pl.Binary


def test_what_is_given_out_can_be_changed_without_harm() -> None:
    registry.polars_schema("proxy").clear()
    assert registry.polars_schema("proxy")


def test_required_columns_are_those_without_null() -> None:
    assert "event_id" in registry.required_columns("login")
    assert "user_name" not in registry.required_columns("login")
    assert "email_to_address" in registry.required_columns("mail")


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SchemaError, match=r"no schema 'proxi'.*proxy, dhcp"):
        registry.schema("proxi")


@pytest.mark.parametrize("text", ["{", '"string"', '{"type": "record", "name": "x"}', '{"type": "nope"}'])
def test_a_file_that_is_no_record_is_refused_by_its_path(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.avsc"
    path.write_text(text)
    with pytest.raises(SchemaError, match=r"x\.avsc"):
        registry.load(path)


@pytest.mark.parametrize("schema", [["int", "string"], ["null", "int", "string"], {"type": "enum", "name": "e"}])
def test_a_type_that_no_column_has_is_refused(schema: object) -> None:
    with pytest.raises(SchemaError, match="no column type"):
        polars_type(schema)
    with pytest.raises(SchemaError, match="no column type"):
        arrow_field("x", schema)


def test_the_bare_schema_writes_the_same_bytes() -> None:
    for name in registry.NAMES:
        bare = without_extras(registry.schema(name))
        assert fastavro.schema.parse_schema(bare)
        assert registry.fingerprint_of(bare) == registry.fingerprint(name)
        assert "doc" not in json.dumps(bare).replace("docs", "")
