from __future__ import annotations

import copy
import io
import random
from types import MappingProxyType
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import _rows, models, registry, releases
from schemas.errors import CorruptBatchError, SchemaError
from schemas.records import HEADER_BYTES, MAX_RECORD_BYTES, decode_record, encode_record
from tests.schemas.rows import example_rows
from tests.schemas.rows import rows as drawn_rows


@pytest.mark.parametrize("name", ["violation", "identity"])
@given(data=st.data())
def test_what_was_written_is_read(name: str, data: st.DataObject) -> None:
    for record in data.draw(drawn_rows(name)):
        assert decode_record(encode_record(name, record)) == (name, record)


def test_the_bytes_are_those_of_the_specification() -> None:
    record = example_rows("identity", 2)[1]
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _rows.plain_schema(registry.schema("identity")), record)
    value = encode_record("identity", record)
    assert value[:2] == b"\xc3\x01"
    assert int.from_bytes(value[2:10], "little") == registry.fingerprint("identity")
    assert value[10:] == out.getvalue()


def test_the_same_violation_has_the_same_bytes_whatever_order_its_parts_were_given_in() -> None:
    record = example_rows("violation", 3)[2]
    record["group_key"] = {"user_name": "a", "source_ip": "b", "\u00e9": "c"}
    turned = {key: record[key] for key in reversed(record)}
    turned["group_key"] = dict(reversed(record["group_key"].items()))
    assert list(turned["group_key"]) != list(record["group_key"])
    assert encode_record("violation", turned) == encode_record("violation", record)


def test_a_field_with_a_default_may_be_left_out() -> None:
    record = example_rows("violation", 1)[0]
    for name in ("thresholds", "evidence", "related", "permit"):
        del record[name]
    _, back = decode_record(encode_record("violation", record))
    assert (back["thresholds"], back["evidence"], back["related"], back["permit"]) == ([], [], [], None)


def test_sequences_and_mappings_of_any_kind_are_taken() -> None:
    record = example_rows("violation", 5)[4]
    other = {**record, "related": tuple(record["related"]), "group_key": MappingProxyType(record["group_key"])}
    assert encode_record("violation", MappingProxyType(other)) == encode_record("violation", record)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": None}, "id"),
        ({"version": "1"}, "version"),
        ({"version": 2**31}, "version"),
        ({"count": 2**63}, "count"),
        ({"incomplete": 1}, "incomplete"),
        ({"group_key": {"a": 1}}, "group_key"),
        ({"group_key": {1: "a"}}, "group_key"),
        ({"related": "abc"}, "related"),
        ({"evidence": [{"event_id": "x"}]}, "evidence"),
        ({"colour": "red"}, "unknown fields: colour"),
        ({"thresholds": [{"name": "a", "limit": 1.0, "value": 2.0, "x": 1}]}, "unknown fields: x"),
        ({"policy": "\ud800"}, "Unicode"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_by_name(change: dict[str, Any], told: str) -> None:
    with pytest.raises(SchemaError, match=told):
        encode_record("violation", {**example_rows("violation", 1)[0], **change})


def test_an_error_names_fields_and_never_what_is_in_them() -> None:
    record = {**example_rows("violation", 1)[0], "policy": 5, "rule_title": "Jane Doe"}
    with pytest.raises(SchemaError) as refused:
        encode_record("violation", record)
    assert "policy is no string" in str(refused.value)
    assert "Jane" not in str(refused.value)


def test_a_missing_field_is_refused_by_name() -> None:
    record = example_rows("violation", 1)[0]
    del record["clause"]
    with pytest.raises(SchemaError, match="clause"):
        encode_record("violation", record)


def test_a_record_that_nobody_could_read_is_not_written() -> None:
    record = {**example_rows("identity", 1)[0], "value": "x" * MAX_RECORD_BYTES}
    with pytest.raises(SchemaError, match="at most"):
        encode_record("identity", record)


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_truncation_and_every_longer_value_is_refused(name: str) -> None:
    value = encode_record(name, example_rows(name, 2)[1])
    for length in range(len(value)):
        with pytest.raises(CorruptBatchError):
            decode_record(value[:length], "t/0/1")
    with pytest.raises(CorruptBatchError, match=r"t/0/1.*1 bytes too many"):
        decode_record(value + b"\0", "t/0/1")


def test_damage_is_refused_or_read_but_never_brings_the_reader_down() -> None:
    value = encode_record("violation", example_rows("violation", 6)[5])
    dice = random.Random(5)
    refused = 0
    for _ in range(3_000):
        damaged = bytearray(value)
        for _ in range(dice.randrange(1, 4)):
            damaged[dice.randrange(len(value))] = dice.randrange(256)
        try:
            assert decode_record(bytes(damaged))[0] == "violation"
        except CorruptBatchError:
            refused += 1
    assert refused > 500


def test_an_unknown_fingerprint_says_that_a_newer_release_wrote_it() -> None:
    value = bytearray(encode_record("identity", example_rows("identity", 1)[0]))
    value[2:HEADER_BYTES] = bytes(8)
    with pytest.raises(CorruptBatchError, match=r"0000000000000000.*newer release"):
        decode_record(bytes(value), "aup.violations/0/3")


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A released version of the violation from before `timeline` and `related`, with a column since dropped."""
    schema = copy.deepcopy(registry.schema("violation"))
    schema["fields"] = [f for f in schema["fields"] if f["name"] not in {"related", "permit"}]
    schema["fields"].append({"name": "gone", "type": "string", "default": ""})
    known = {**releases.by_fingerprint(), registry.fingerprint_of(schema): ("violation", schema)}
    monkeypatch.setattr(releases, "by_fingerprint", lambda: known)
    return schema


def test_a_record_of_an_older_version_is_read_as_the_schema_now_stands(older: dict[str, Any]) -> None:
    record = example_rows("violation", 2)[1]
    out = io.BytesIO()
    out.write(b"\xc3\x01" + registry.fingerprint_of(older).to_bytes(8, "little"))
    fastavro.schemaless_writer(out, _rows.plain_schema(older), {**record, "gone": "x"})
    name, back = decode_record(out.getvalue())
    assert name == "violation"
    assert back == {**record, "related": [], "permit": None}


def test_models_have_the_fields_of_their_schemas() -> None:
    for model, name in ((models.Violation, "violation"), (models.IdentityFact, "identity")):
        assert set(model.__dataclass_fields__) == set(registry.column_names(name))
    types = registry.field_types("violation")
    for part, column in ((models.Evidence, "evidence"), (models.Threshold, "thresholds")):
        assert set(part.__dataclass_fields__) == {f["name"] for f in types[column]["items"]["fields"]}


def violation(number: int) -> dict[str, Any]:
    words = {"status": "permitted", "state": "open", "severity": "high"}
    return {**example_rows("violation", number + 1)[number], **words}


@pytest.mark.parametrize("number", range(4))
def test_a_violation_goes_to_a_model_and_back(number: int) -> None:
    record = violation(number)
    model = models.Violation.from_record(record)
    assert model.to_record() == record
    assert encode_record("violation", model.to_record()) == encode_record("violation", record)
    assert model.status is models.Status.PERMITTED
    assert all(isinstance(item, models.Evidence) for item in model.evidence)


@pytest.mark.parametrize("number", range(4))
def test_a_fact_goes_to_a_model_and_back(number: int) -> None:
    record = example_rows("identity", number + 1)[number]
    assert models.IdentityFact.from_record(record).to_record() == record


@pytest.mark.parametrize("change", [{"status": "guilty"}, {"state": ""}, {"severity": "5"}, {"colour": "red"}], ids=str)
def test_a_record_that_is_no_violation_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(SchemaError, match=f"no Violation.*{next(iter(change.values())) or 'State'}|colour"):
        models.Violation.from_record({**violation(1), **change})


def test_a_violation_tells_its_group_key_as_ids_are_made_from_it() -> None:
    model = models.Violation.from_record({**violation(1), "group_key": {"b": "\u00e9", "a": "1"}})
    assert model.group_text == '{"a":"1","b":"\u00e9"}'
