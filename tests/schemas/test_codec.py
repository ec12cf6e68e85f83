from __future__ import annotations

import base64
import importlib.util
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import fastavro
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import _container, _polars_avro, codec, registry
from schemas.avrotypes import without_extras
from schemas.errors import CorruptBatchError, SchemaError
from schemas.headers import BatchHeaders
from tests.schemas.rows import example_rows, frame, plain_rows, read_by_fastavro, relabelled, written_by_fastavro
from tests.schemas.rows import rows as drawn_rows

NAMES = pytest.mark.parametrize("name", registry.NAMES)


@NAMES
@given(data=st.data())
def test_fastavro_reads_the_rows_that_were_written(name: str, data: st.DataObject) -> None:
    rows = data.draw(drawn_rows(name))
    assert read_by_fastavro(codec.encode(name, frame(name, rows))) == rows


@NAMES
@given(data=st.data())
def test_rows_that_fastavro_wrote_are_read(name: str, data: st.DataObject) -> None:
    rows = data.draw(drawn_rows(name))
    packed = data.draw(st.sampled_from(["null", "deflate"]))
    plain = written_by_fastavro(without_extras(registry.schema(name)), rows, packed)
    value = relabelled(plain, registry.schema(name))
    assert plain_rows(name, codec.decode(name, value)) == rows


@NAMES
@given(data=st.data())
def test_what_was_written_is_read(name: str, data: st.DataObject) -> None:
    rows = data.draw(drawn_rows(name))
    given_frame = frame(name, rows)
    back = codec.decode(name, codec.encode(name, given_frame))
    assert back.schema == given_frame.schema == pl.Schema(registry.polars_schema(name))
    assert back.equals(given_frame)


@NAMES
@given(data=st.data())
def test_the_slow_way_writes_the_same_bytes_and_reads_the_same_rows(name: str, data: st.DataObject) -> None:
    given_frame = frame(name, data.draw(drawn_rows(name)))
    fast = codec.encode(name, given_frame)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_polars_avro, "usable", lambda: False)
        assert codec.encode(name, given_frame) == fast
        assert codec.decode(name, fast).equals(given_frame)


@NAMES
def test_the_header_holds_the_exact_schema(name: str) -> None:
    value = codec.encode(name, frame(name, example_rows(name, 3)))
    header = fastavro.reader(io.BytesIO(value)).metadata
    assert json.loads(header["avro.schema"]) == json.loads((registry.FOLDER / f"{name}.avsc").read_text("utf-8"))
    assert header["avro.codec"] == "zstandard"


def test_times_are_times_to_other_libraries() -> None:
    row = {**example_rows("identity", 1)[0], "valid_from": 1_700_000_000_123_456}
    value = relabelled(codec.encode("identity", frame("identity", [row])), registry.schema("identity"))
    (back,) = fastavro.reader(io.BytesIO(value))
    assert cast("dict[str, Any]", back)["valid_from"] == datetime(2023, 11, 14, 22, 13, 20, 123_456, tzinfo=UTC)


@pytest.mark.skipif(
    sys.version_info < (3, 14) and importlib.util.find_spec("backports.zstd") is None,
    reason="fastavro reads Zstandard before Python 3.14 with backports.zstd only",
)
@NAMES
def test_fastavro_reads_the_file_as_it_is(name: str) -> None:
    rows = example_rows(name, 5)
    read = list(fastavro.reader(io.BytesIO(codec.encode(name, frame(name, rows)))))
    assert read == frame(name, rows).to_dicts()


@NAMES
def test_no_rows_are_a_container_too(name: str) -> None:
    value = codec.encode(name, registry.empty(name))
    assert read_by_fastavro(value) == []
    assert codec.decode(name, value).equals(registry.empty(name))
    assert codec.decode(name, value).schema == registry.empty(name).schema


@NAMES
def test_columns_are_chosen_in_the_order_asked_for(name: str) -> None:
    given_frame = frame(name, example_rows(name, 7))
    value = codec.encode(name, given_frame)
    wanted = list(registry.column_names(name))[::-3]
    assert codec.decode(name, value, wanted).equals(given_frame.select(wanted))
    assert codec.decode(name, codec.encode(name, given_frame.clear()), wanted).columns == wanted


def test_a_column_that_is_none_is_refused() -> None:
    with pytest.raises(SchemaError, match="no column nope"):
        codec.decode("proxy", codec.encode("proxy", registry.empty("proxy")), ["nope"])


def test_the_same_rows_have_the_same_bytes_however_they_lie_in_memory() -> None:
    rows = example_rows("mail", 60)
    whole = frame("mail", rows)
    chunks = pl.concat([whole[:11], whole[11:40], whole[40:]], rechunk=False)
    assert chunks.n_chunks() == 3
    assert codec.encode("mail", chunks) == codec.encode("mail", whole) == codec.encode("mail", whole[:])


def test_more_rows_than_a_block_holds_are_all_there() -> None:
    rows = codec.BLOCK_ROWS * 2 + 1
    many = pl.concat([frame("identity", example_rows("identity", 1))] * rows).with_columns(
        version=pl.int_range(rows, dtype=pl.Int32)
    )
    value = codec.encode("identity", many)
    assert [block.rows for block in _container.parse(value).blocks] == [codec.BLOCK_ROWS, codec.BLOCK_ROWS, 1]
    assert codec.decode("identity", value, ["version"])["version"].to_list() == list(range(rows))


def test_a_block_of_more_bytes_than_the_reader_asks_for_at_once_is_read_whole() -> None:
    few = frame("proxy", example_rows("proxy", 40)).with_columns(url_original=pl.lit("x" * 4_000) + pl.col("event_id"))
    many = pl.concat([few] * 60)
    value = codec.encode("proxy", many)
    (block,) = _container.inflated(_container.parse(value))
    assert len(block.payload) > 2 * 4 * 2**20
    assert codec.decode("proxy", value).equals(many.select(registry.column_names("proxy")))


def test_another_order_narrower_numbers_and_missing_optional_columns_fit() -> None:
    rows = frame("proxy", example_rows("proxy", 5))
    given_frame = rows.select(reversed(rows.columns)).drop("source_port", "proxy_category")
    given_frame = given_frame.with_columns(pl.col("log_offset").cast(pl.Decimal(20, 0)).cast(pl.Int64))
    given_frame = given_frame.with_columns(
        pl.col("log_sub").cast(pl.UInt8), pl.col("event_dataset").cast(pl.Categorical)
    )
    back = codec.decode("proxy", codec.encode("proxy", given_frame))
    expected = rows.with_columns(
        pl.lit(None, dtype=pl.Int32).alias("source_port"), pl.lit(None, dtype=pl.String).alias("proxy_category")
    )
    assert back.equals(expected)


def test_missing_lists_are_empty_ones() -> None:
    rows = frame("mail", example_rows("mail", 3)).drop("email_to_address")
    back = codec.decode("mail", codec.encode("mail", rows))
    assert back["email_to_address"].to_list() == [[], [], []]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: f.drop("event_id"), "no column event_id"),
        (lambda f: f.with_columns(x=1), "that the schema has not: x"),
        (lambda f: f.with_columns(late=None), "5 nulls in column late"),
        (lambda f: f.with_columns(pl.col("timestamp").dt.replace_time_zone(None)), "column timestamp"),
        (lambda f: f.with_columns(log_offset=pl.lit("1")), "column log_offset"),
        (lambda f: f.with_columns(log_offset=1.0), "column log_offset"),
        (
            lambda f: f.with_columns(email_to_address=pl.concat_list(pl.lit("a"), pl.lit(None, dtype=pl.String))),
            r"email_to_address\[\]",
        ),
        (lambda f: f.with_columns(log_sub=2**31), "log_sub"),
    ],
    ids=["missing", "unknown", "null", "no zone", "text", "float", "null in a list", "too large a number"],
)
def test_what_does_not_fit_is_refused_by_name(change: Any, told: str) -> None:
    with pytest.raises(SchemaError, match=told):
        codec.encode("mail", change(frame("mail", example_rows("mail", 5))))


def test_what_does_not_fit_in_a_record_of_a_list_is_refused_by_name() -> None:
    rows = example_rows("violation", 3)
    rows[1]["evidence"] = [{**rows[2]["evidence"][0], "summary": None}]
    with pytest.raises(SchemaError, match=r"evidence\[\]\.summary"):
        codec.encode("violation", frame("violation", rows))


def test_another_topics_rows_are_refused() -> None:
    value = codec.encode("dhcp", frame("dhcp", example_rows("dhcp", 2)))
    with pytest.raises(CorruptBatchError, match="cannot be read as proxy"):
        codec.decode("proxy", value)


def test_an_unknown_schema_is_refused() -> None:
    with pytest.raises(SchemaError, match="no schema 'weather'"):
        codec.encode("weather", registry.empty("proxy"))
    with pytest.raises(SchemaError, match="no schema 'weather'"):
        codec.decode("weather", b"")


def test_a_batch_is_its_headers_and_its_bytes() -> None:
    rows = frame("login", example_rows("login", 9))
    headers, value = codec.encode_batch("login", rows, BatchHeaders("batch", "", "sshd", progress=5))
    assert (headers.schema, headers.count, headers.source, headers.progress) == ("login", 9, "sshd", 5)
    sent = BatchHeaders.from_kafka(headers.to_kafka(), where="t/0/1")
    codec.check_batch(sent, value, "t/0/1")
    assert codec.decode_batch(sent, value, "t/0/1").equals(rows)
    assert codec.decode_batch(sent, value, "t/0/1", ["user_name"]).equals(rows.select("user_name"))


def test_clickhouse_reads_what_was_written(tmp_path: Path) -> None:
    rows = frame("mail", example_rows("mail", 30))
    letters = frame("dead_letter", example_rows("dead_letter", 6))
    (tmp_path / "mail.avro").write_bytes(codec.encode("mail", rows))
    text = base64.b64encode(codec.encode("mail", rows)).decode()
    letter_text = base64.b64encode(codec.encode("dead_letter", letters)).decode()
    columns = ", ".join(
        f"toUnixTimestamp64Micro({c}) AS {c}" if kind == pl.Datetime("us", "UTC") else c
        for c, kind in registry.polars_schema("mail").items()
    )
    queries = [
        f"SELECT {columns} FROM format('Avro', base64Decode('{text}'))",  # noqa: S608
        f"SELECT {columns} FROM file('{tmp_path}/mail.avro', Avro)",  # noqa: S608
        f"SELECT hex(raw) AS raw, timestamp IS NULL AS none FROM format('Avro', base64Decode('{letter_text}'))",  # noqa: S608
    ]
    from_text, from_file, from_letters = _clickhouse(queries)
    assert from_text == from_file == plain_rows("mail", rows)
    assert [bytes.fromhex(row["raw"]) for row in from_letters] == letters["raw"].to_list()
    assert [bool(row["none"]) for row in from_letters] == letters["timestamp"].is_null().to_list()


_CHDB = """
import json, sys, chdb
settings = " SETTINGS output_format_json_quote_64bit_integers=0"
for query in json.load(sys.stdin):
    print(json.dumps([json.loads(line) for line in str(chdb.query(query + settings, "JSONEachRow")).splitlines()]))
"""


def _clickhouse(queries: list[str]) -> list[list[dict[str, Any]]]:
    """Rows of each query, asked in a process of its own: chdb may be used once in a process."""
    done = subprocess.run(
        [sys.executable, "-c", _CHDB], input=json.dumps(queries), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def untried() -> Iterator[None]:
    """polars-avro is tried anew, before and after."""
    _polars_avro.usable.cache_clear()
    yield
    _polars_avro.usable.cache_clear()


def test_the_installed_columnar_library_is_the_expected_one(untried: None, caplog: pytest.LogCaptureFixture) -> None:
    assert _polars_avro.usable()
    assert caplog.messages == []


def test_another_release_of_it_is_not_used(
    untried: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_polars_avro, "version", lambda _: "0.14.0")
    assert not _polars_avro.usable()
    assert "release 0.14.0, not 0.13.0" in caplog.text


def test_the_same_release_that_behaves_otherwise_is_not_used(
    untried: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_polars_avro, "AvroBuffSink", None)
    assert not _polars_avro.usable()
    assert "not as expected" in caplog.text
    rows = frame("dhcp", example_rows("dhcp", 3))
    assert codec.decode("dhcp", codec.encode("dhcp", rows)).equals(rows)


def test_the_benchmark_runs_and_says_what_it_measured() -> None:
    script = Path(__file__).parents[1] / "benchmarks" / "bench_codec.py"
    done = subprocess.run(
        [sys.executable, str(script), "--rows", "60", "--rounds", "2"], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert (told["rows"], told["columns"]) == (60, len(registry.column_names("proxy")))
    assert min(told["encode_events_per_s"]["best"], told["decode_events_per_s"]["best"], told["decode_ratio"]) > 0
