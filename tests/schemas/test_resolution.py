"""Older and newer writers, with fastavro's own schema resolution as the oracle."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from schemas import _container, _rows, codec, registry, resolution
from schemas.avrotypes import AvroSchema
from schemas.errors import CorruptBatchError
from tests.schemas.rows import example, plain_rows, relabelled, written_by_fastavro

Change = Callable[[dict[str, Any]], None]


def field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(f for f in schema["fields"] if f["name"] == name)
    return found


def drop(name: str) -> Change:
    return lambda schema: schema["fields"].remove(field(schema, name))


def retype(name: str, kind: AvroSchema) -> Change:
    def change(schema: dict[str, Any]) -> None:
        field(schema, name).pop("default", None)
        field(schema, name).update(type=kind)

    return change


def add(name: str, kind: AvroSchema) -> Change:
    return lambda schema: schema["fields"].insert(3, {"name": name, "type": kind, "doc": "new"})


def drop_from_evidence(schema: dict[str, Any]) -> None:
    items = field(schema, "evidence")["type"]["items"]
    items["fields"].remove(field(items, "facts"))


WRITERS: dict[str, tuple[str, Change]] = {
    "without an optional column": ("proxy", drop("proxy_category")),
    "without a list": ("mail", drop("email_to_dsn")),
    "with a column that is not known here": ("dhcp", add("dhcp_new", ["null", "string"])),
    "with a record that is not known here": (
        "dhcp",
        add("x", {"type": "record", "name": "X", "fields": [{"name": "y", "type": "int"}]}),
    ),
    "with an enum that is not known here": ("dhcp", add("x", {"type": "enum", "name": "E", "symbols": ["A", "B"]})),
    "with a required text": ("login", retype("user_name", "string")),
    "with a narrower number": ("proxy", retype("http_response_bytes", ["null", "int"])),
    "with a narrower required number": ("proxy", retype("log_offset", "int")),
    "with a whole number where a fraction is read": ("identity", retype("confidence", "int")),
    "with a list of narrower numbers": ("mail", retype("log_offsets", {"type": "array", "items": "int"})),
    "with bytes where text is read": ("login", retype("service_name", ["null", "bytes"])),
    "with null last": ("login", retype("user_name", ["string", "null"])),
    "with another order": ("login", lambda schema: schema["fields"].reverse()),
    "with fewer fields in a record of a list": ("violation", drop_from_evidence),
}


def ascii_only(value: Any) -> Any:
    """Bytes that are text: what a writer of bytes must hold for a reader of text."""
    return b"plain" if isinstance(value, bytes) else value


@pytest.mark.parametrize("case", WRITERS.values(), ids=WRITERS.keys())
def test_what_another_version_wrote_is_read_as_fastavro_resolves_it(case: tuple[str, Change]) -> None:
    name, change = case
    writer = copy.deepcopy(registry.schema(name))
    change(writer)
    rows = [{key: ascii_only(v) for key, v in example(writer, n).items()} for n in range(9)]
    plain = _rows.reader_schema(writer)
    data = relabelled(written_by_fastavro(plain, rows), writer)
    blocks = _container.inflated(_container.parse(data))
    expected = _rows.read_blocks(blocks, writer, registry.schema(name))
    got = codec.decode(name, data)
    assert got.schema == pl.Schema(registry.polars_schema(name))
    assert got.equals(expected)
    wanted = list(registry.column_names(name))[::2]
    assert codec.decode(name, data, wanted).equals(expected.select(wanted))
    assert plain_rows(name, got)[4].keys() == set(registry.column_names(name))


def test_only_columns_with_defaults_are_read_from_a_writer_that_has_none_of_them() -> None:
    writer = copy.deepcopy(registry.schema("mail"))
    drop("email_to_address")(writer)
    rows = [example(writer, n) for n in range(4)]
    data = relabelled(written_by_fastavro(_rows.reader_schema(writer), rows), writer)
    assert codec.decode("mail", data, ["email_to_address"])["email_to_address"].to_list() == [[], [], [], []]


def test_a_renamed_column_is_found_by_its_alias() -> None:
    writer = registry.schema("dhcp")
    reader = copy.deepcopy(writer)
    field(reader, "host_name").update(name="host_label", aliases=["host_name"])
    steps = resolution._steps(reader, writer)
    assert steps is not None
    frame = pl.DataFrame({"host_name": ["pc1", None]})
    assert frame.select(steps["host_label"].expression).to_dict(as_series=False) == {"host_label": ["pc1", None]}


INCOMPATIBLE: dict[str, tuple[Change, str]] = {
    "a column without default is missing": (drop("event_id"), "field event_id"),
    "another type": (retype("log_sub", "string"), "field log_sub"),
    "null where there is none": (retype("log_source", ["null", "string"]), "field log_source"),
    "no time": (retype("timestamp", "long"), "field timestamp: logical type"),
    "milliseconds": (
        retype("timestamp", {"type": "long", "logicalType": "timestamp-millis"}),
        "field timestamp: logical type",
    ),
    "another name": (lambda schema: schema.update(name="Other"), "Other|expected"),
}


@pytest.mark.parametrize("case", INCOMPATIBLE.values(), ids=INCOMPATIBLE.keys())
def test_what_cannot_be_read_is_refused_naming_the_field(case: tuple[Change, str]) -> None:
    change, told = case
    writer = copy.deepcopy(registry.schema("proxy"))
    change(writer)
    data = _container.framed(json.dumps(writer).encode(), "null", [], b"0123456789abcdef")
    with pytest.raises(CorruptBatchError, match=told) as refused:
        codec.decode("proxy", data, where="t/0/9")
    assert refused.value.where == "t/0/9"


def test_how_files_are_read_is_worked_out_once_a_schema_and_forgotten_at_a_limit() -> None:
    resolution._plan.cache_clear()
    for number in range(100):
        writer = copy.deepcopy(registry.schema("dhcp"))
        writer["doc"] = str(number)
        resolution.plan("dhcp", json.dumps(writer).encode())
        resolution.plan("dhcp", json.dumps(writer).encode())
    info = resolution._plan.cache_info()
    assert (info.hits, info.misses, info.currsize) == (100, 100, 64)
