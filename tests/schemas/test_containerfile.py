from __future__ import annotations

from pathlib import Path

import fastavro
import polars as pl
import pytest

from schemas.codec import decode, encode
from schemas.containerfile import ContainerFile, frames
from schemas.errors import InputError, SchemaError
from tests.schemas.rows import example_rows
from tests.schemas.rows import frame as made_frame


def frame_of(name: str, count: int) -> pl.DataFrame:
    return made_frame(name, example_rows(name, count))


def test_batches_become_one_file_that_any_reader_takes(tmp_path: Path) -> None:
    path = tmp_path / "events.avro"
    parts = [frame_of("proxy", rows) for rows in (3, 1, 7)]
    with ContainerFile(path, "proxy") as file:
        for frame in parts:
            file.append(encode("proxy", frame))
        assert not path.exists()
    assert file.rows == 11
    assert decode("proxy", path.read_bytes()).equals(pl.concat(parts))
    with path.open("rb") as written:
        assert len(list(fastavro.reader(written))) == 11


def test_a_file_without_events_has_a_header_all_the_same(tmp_path: Path) -> None:
    with ContainerFile(tmp_path / "none.avro", "login"):
        pass
    assert decode("login", (tmp_path / "none.avro").read_bytes()).height == 0


def test_after_an_error_there_is_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "events.avro"
    path.write_bytes(b"older")
    with pytest.raises(SchemaError), ContainerFile(path, "proxy") as file:
        file.append(encode("login", frame_of("login", 2)))
    assert [p.name for p in tmp_path.iterdir()] == ["events.avro"]
    assert path.read_bytes() == b"older"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/e\.avro.*cannot be written"):
        ContainerFile(tmp_path / "nowhere" / "e.avro", "proxy")


def test_a_file_is_read_back_block_by_block(tmp_path: Path) -> None:
    parts = [frame_of("mail", rows) for rows in (3, 5)]
    with ContainerFile(tmp_path / "e.avro", "mail") as file:
        for part in parts:
            file.append(encode("mail", part))
    read = list(frames(tmp_path / "e.avro"))
    assert [name for name, _ in read] == ["mail", "mail"]
    assert pl.concat([frame for _, frame in read]).equals(pl.concat(parts))


@pytest.mark.parametrize("content", [b"", b"Obj", b"no container at all", None])
def test_what_is_no_container_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "e.avro").write_bytes(content)
    with pytest.raises(InputError, match=r"e\.avro"):
        list(frames(tmp_path / "e.avro"))


def test_a_container_of_somebody_else_is_refused_with_what_is_known(tmp_path: Path) -> None:
    schema = fastavro.parse_schema({"type": "record", "name": "Other", "fields": [{"name": "a", "type": "int"}]})
    with (tmp_path / "e.avro").open("wb") as file:
        fastavro.writer(file, schema, [{"a": 1}])
    with pytest.raises(InputError, match=r"'Other' are none of ours.*ProxyEvent"):
        list(frames(tmp_path / "e.avro"))
