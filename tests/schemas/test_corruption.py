from __future__ import annotations

import random
import tracemalloc
import zlib
from dataclasses import replace

import polars as pl
import pyarrow as pa
import pytest

from schemas import _container, _polars_avro, codec, registry
from schemas._container import Block
from schemas.errors import CorruptBatchError
from schemas.headers import BatchHeaders, Mark, Position
from tests.schemas.rows import example_rows, frame

WHERE = "aup.events.mail/3/17"
SYNC = b"0123456789abcdef"
FLIPS = 5_000


def batch(name: str = "mail", rows: int = 3) -> tuple[BatchHeaders, bytes]:
    headers = BatchHeaders(
        "batch",
        name,
        "postfix é",
        generation="00ff00ff00ff00ff",
        block=7,
        first=Position(10),
        last=Position(900, 2),
        follows=Mark("00ff00ff00ff00ff", Position(4, 1)),
        progress=1_700_000_000_000_000,
        earliest=1_600_000_000_000_000,
        epoch=12,
    )
    return codec.encode_batch(name, frame(name, example_rows(name, rows)), headers)


def refused(headers: BatchHeaders, value: bytes) -> str:
    """What both ways of reading a batch say of it; both must refuse it."""
    with pytest.raises(CorruptBatchError) as checked:
        codec.check_batch(headers, value, WHERE)
    with pytest.raises(CorruptBatchError) as decoded:
        codec.decode_batch(headers, value, WHERE)
    assert checked.value.where == decoded.value.where == WHERE
    return str(decoded.value)


def signed(headers: BatchHeaders, value: bytes) -> BatchHeaders:
    """Headers that fit the value, as a faulty writer would send them."""
    return replace(headers, crc32=zlib.crc32(value))


def raw_rows(name: str, rows: int) -> bytes:
    """The rows of a container, decompressed."""
    value = codec.encode(name, frame(name, example_rows(name, rows)))
    (block,) = _container.inflated(_container.parse(value))
    return bytes(block.payload)


def test_the_batch_itself_is_read() -> None:
    headers, value = batch()
    assert codec.decode_batch(headers, value, WHERE).height == 3


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_truncation_is_refused(name: str) -> None:
    headers, value = batch(name, 2)
    for length in range(len(value)):
        with pytest.raises(CorruptBatchError):
            codec.decode_batch(headers, value[:length], WHERE)


def test_every_truncation_is_noticed_even_where_the_checksum_fits_what_is_left() -> None:
    headers, value = batch()
    for length in range(len(value)):
        with pytest.raises(CorruptBatchError):
            codec.decode_batch(signed(headers, value[:length]), value[:length], WHERE)


def test_a_container_without_headers_is_refused_when_cut_off_anywhere() -> None:
    _, value = batch("identity", 4)
    end_of_header = len(_container.framed(registry.schema_json("identity"), "zstandard", []))
    for length in set(range(len(value))) - {end_of_header}:  # there it is a container of no rows: hence the count
        with pytest.raises(CorruptBatchError):
            codec.decode("identity", value[:length])


def test_every_single_flipped_bit_of_a_value_is_refused() -> None:
    headers, value = batch("identity", 1)
    for bit in range(len(value) * 8):
        damaged = bytearray(value)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptBatchError):
            codec.decode_batch(headers, bytes(damaged), WHERE)


def test_thousands_of_random_flips_are_refused() -> None:
    headers, value = batch("mail", 40)
    dice = random.Random(7)
    for _ in range(FLIPS):
        damaged = bytearray(value)
        for _ in range(dice.choice((1, 1, 2, 3, 20))):
            damaged[dice.randrange(len(value))] ^= 1 << dice.randrange(8)
        if bytes(damaged) != value:
            with pytest.raises(CorruptBatchError):
                codec.decode_batch(headers, bytes(damaged), WHERE)


def test_every_flipped_bit_of_the_kafka_headers_is_refused_or_changes_nothing() -> None:
    headers, _ = batch()
    sent = headers.to_kafka()
    for number, (key, text) in enumerate(sent):
        for bit in range(len(text) * 8):
            damaged = bytearray(text)
            damaged[bit // 8] ^= 1 << bit % 8
            items = [*sent[:number], (key, bytes(damaged)), *sent[number + 1 :]]
            try:
                assert BatchHeaders.from_kafka(items, where=WHERE) == headers
            except CorruptBatchError as error:
                assert error.where == WHERE  # noqa: PT017 - either is right
            else:
                assert key == "aup-check"  # a hexadecimal digit in upper case is the same digit


def test_a_header_that_is_missing_or_another_batchs_is_refused() -> None:
    headers, value = batch()
    sent = headers.to_kafka()
    for number in range(len(sent)):
        with pytest.raises(CorruptBatchError):
            BatchHeaders.from_kafka(sent[:number] + sent[number + 1 :], where=WHERE)
    other, _ = batch("mail", 5)
    assert "checksum" in refused(other, value)


def test_a_batch_that_was_read_wrongly_would_be_noticed_by_its_count() -> None:
    headers, value = batch()
    assert "header says 4" in refused(replace(headers, count=4), value)
    assert "beyond the limits" in refused(replace(headers, count=-1), value)


def test_a_marker_and_an_unknown_schema_are_no_batch() -> None:
    headers, value = batch()
    assert "marker" in refused(replace(headers, kind="marker"), value)
    assert "unknown schema" in refused(replace(headers, schema="weather"), value)
    assert "cannot be read as dhcp" in refused(replace(headers, schema="dhcp"), value)


def test_random_bytes_in_the_rows_are_refused_or_read_but_never_bring_the_reader_down() -> None:
    dice = random.Random(11)
    outcomes = {"refused": 0, "read": 0}
    for name in registry.NAMES:
        whole = raw_rows(name, 6)
        for _ in range(150):
            rows = bytearray(whole)
            at = dice.randrange(len(rows))
            rows[at : at + dice.randrange(3)] = dice.choice((dice.randbytes(3), b"\xff" * 9 + b"\x01", b""))
            value = _container.build(registry.schema_json(name), [Block(6, bytes(rows))])
            try:
                assert codec.decode(name, value).height == 6
                outcomes["read"] += 1
            except CorruptBatchError:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 20, outcomes


def test_text_that_is_no_utf8_is_refused() -> None:
    rows = raw_rows("identity", 2).replace(b"text 2", b"text\xff2")
    assert b"\xff" in rows
    with pytest.raises(CorruptBatchError, match="rows cannot be decoded"):
        codec.decode("identity", _container.build(registry.schema_json("identity"), [Block(2, rows)]))


def test_bytes_left_over_after_the_last_row_do_not_keep_the_reader_busy() -> None:
    rows = raw_rows("identity", 2)
    value = _container.build(registry.schema_json("identity"), [Block(1, rows)])
    assert codec.decode("identity", value).height == 1


def test_a_panic_is_told_apart_from_what_must_pass() -> None:
    with pytest.raises(pl.exceptions.PanicException) as panic:
        raise pl.exceptions.PanicException("x")
    assert _polars_avro.is_panic(panic.value)
    assert not _polars_avro.is_panic(KeyboardInterrupt())


def test_what_must_pass_is_not_taken_for_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    headers, value = batch()

    def interrupted(*_: object) -> pl.DataFrame:
        raise KeyboardInterrupt

    monkeypatch.setattr(_polars_avro, "read_blocks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        codec.decode_batch(headers, value, WHERE)


@pytest.mark.parametrize("says_its_size", [True, False], ids=["its size in the frame", "no size in the frame"])
def test_a_decompression_bomb_is_refused_without_taking_its_memory(says_its_size: bool) -> None:
    zeros = bytes(2**20)
    if says_its_size:
        bomb = pa.Codec("zstd").compress(zeros * 200, asbytes=True)
    else:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            for _ in range(200):
                stream.write(zeros)
        bomb = sink.getvalue().to_pybytes()
    assert (_container.zstd_content_size(bomb) is not None) == says_its_size
    value = _container.framed(registry.schema_json("mail"), "zstandard", [Block(9, bomb)], SYNC)
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    headers = replace(batch()[0], count=9, crc32=zlib.crc32(value))
    with pytest.raises(CorruptBatchError, match=str(_container.MAX_RAW_BYTES)):
        codec.decode_batch(headers, value, WHERE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * _container.MAX_RAW_BYTES
    assert pa.total_allocated_bytes() <= before + _container.MAX_RAW_BYTES


def test_a_bomb_of_many_blocks_is_refused() -> None:
    third = pa.Codec("zstd").compress(bytes(_container.MAX_RAW_BYTES // 3 + 1), asbytes=True)
    value = _container.framed(registry.schema_json("mail"), "zstandard", [Block(1, third)] * 3, SYNC)
    with pytest.raises(CorruptBatchError, match=str(_container.MAX_RAW_BYTES)):
        codec.decode("mail", value)


def test_a_deflate_bomb_is_refused() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(_container.MAX_RAW_BYTES + 1)) + packer.flush()
    value = _container.framed(registry.schema_json("mail"), "deflate", [Block(1, bomb)], SYNC)
    with pytest.raises(CorruptBatchError, match=str(_container.MAX_RAW_BYTES)):
        codec.decode("mail", value)


def test_more_rows_than_the_bytes_can_hold_are_refused_before_room_is_made_for_them() -> None:
    headers, _ = batch()
    value = _container.build(registry.schema_json("mail"), [Block(999_999, raw_rows("mail", 2))])
    with pytest.raises(CorruptBatchError, match="more than its bytes can hold"):
        codec.decode_batch(replace(headers, count=999_999, crc32=zlib.crc32(value)), value, WHERE)


def test_too_many_rows_and_too_many_bytes_are_refused() -> None:
    headers, _ = batch()
    many = _container.build(registry.schema_json("mail"), [Block(_container.MAX_ROWS + 1, b"")])
    with pytest.raises(CorruptBatchError, match="rows"):
        codec.decode("mail", many)
    long = bytes(_container.MAX_VALUE_BYTES + 1)
    assert "beyond the limits" in refused(signed(headers, long), long)
    with pytest.raises(CorruptBatchError, match="more than 8388608"):
        codec.decode("mail", long)


@pytest.mark.parametrize(
    "header",
    [b"", b"null", b'"string"', b"[]", b"{", b'{"type":"record","name":"X","fields":[]}', b'{"type":"record"}'],
)
def test_a_header_without_a_schema_is_refused(header: bytes) -> None:
    headers, _ = batch()
    value = _container.framed(header, "null", [Block(3, b"xyz")], SYNC)
    assert "schema" in refused(signed(headers, value), value)


def test_an_unknown_compression_is_refused() -> None:
    value = _container.framed(registry.schema_json("mail"), "lzma9", [Block(1, bytes(99))], SYNC)
    with pytest.raises(CorruptBatchError, match="unknown codec 'lzma9'"):
        codec.decode("mail", value)


@pytest.mark.parametrize("start", [b"", b"Obj\x01", b"Obj\x02" + bytes(90), b"Obj\x01" + b"\xff" * 90])
def test_what_is_no_container_is_refused(start: bytes) -> None:
    with pytest.raises(CorruptBatchError, match="not a whole Avro container"):
        codec.decode("mail", start)


def test_a_block_that_ends_elsewhere_than_its_length_says_is_refused() -> None:
    value = _container.framed(registry.schema_json("identity"), "null", [Block(2, raw_rows("identity", 2))], SYNC)
    assert codec.decode("identity", value).height == 2
    with pytest.raises(CorruptBatchError, match="bad block"):
        codec.decode("identity", value[: -len(SYNC)] + b"0123456789abcdeX")
