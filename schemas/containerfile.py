"""An Avro container file on disk that grows by whole containers: their blocks, under one header and one sync marker."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from schemas import _container, registry
from schemas._container import SYNC_BYTES
from schemas.codec import decode
from schemas.errors import CorruptBatchError, InputError, SchemaError


def frames(path: Path, read: Callable[[int], None] = lambda _: None) -> Iterator[tuple[str, pl.DataFrame]]:
    """Schema name and rows of a container file of any size, a block at a time, in the columns of this release.

    Args:
        path: The file.
        read: Told after each block how many bytes it had.

    Raises:
        InputError: the file cannot be read, is damaged, or is of no schema of ours.
    """
    try:
        with path.open("rb") as file:
            data = mmap(file.fileno(), 0, access=ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise InputError(f"it cannot be read: {error}", where=str(path), hint="name an Avro container file") from error
    try:
        container = _container.parse_unbounded(data, str(path))
        name = _name_of(container.schema_json, path)
        for block in container.blocks:
            part = _container.framed(container.schema_json, container.codec, [block])
            yield name, decode(name, part, where=str(path))
            read(len(part))
    except CorruptBatchError as error:
        raise InputError(error.what, where=error.where or str(path), hint="write or copy it again") from error


def _name_of(schema_json: bytes, path: Path) -> str:
    try:
        written = str(json.loads(schema_json)["name"])
    except (ValueError, KeyError, TypeError):
        written = "?"
    for name in registry.NAMES:
        if registry.schema(name)["name"] == written:
            return name
    known = ", ".join(registry.schema(name)["name"] for name in registry.NAMES)
    raise InputError(f"records of type {written!r} are none of ours", where=str(path), hint=f"known are {known}")


class ContainerFile:
    """Collects batches of one schema in one file that every Avro reader takes, in constant memory.

    Written beside its name and put in its place by a clean end: what stands there is always whole.

    Args:
        path: Where to; an older file of that name is replaced.
        name: Schema name.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.rows = 0
        self._path, self._name = path, name
        self._new = path.with_name(f"{path.name}.new")
        self._sync = os.urandom(SYNC_BYTES)
        try:
            self._file = self._new.open("wb")
        except OSError as error:
            raise self._unwritable(error) from error
        self._write(_container.framed(registry.schema_json(name), "zstandard", (), self._sync))

    def append(self, container: bytes) -> None:
        """Add the rows of a container that `schemas.codec.encode` made with the same schema.

        Raises:
            SchemaError: it is of another schema.
            InputError: the disk is full, or goes away.
        """
        parsed = _container.parse(container, str(self._path))
        if parsed.schema_json != registry.schema_json(self._name) or parsed.codec != "zstandard":
            raise SchemaError(f"the container is not one of schema {self._name}", where=str(self._path))
        self._write(_container.blocks(parsed.blocks, self._sync))
        self.rows += parsed.count

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the file in its place; after an error remove what there is of it."""
        self._file.close()
        if kind is not None:
            self._new.unlink(missing_ok=True)
            return
        try:
            self._new.replace(self._path)
        except OSError as refused:
            raise self._unwritable(refused) from refused

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"it cannot be written: {error.strerror or error}",
            where=str(self._path),
            hint="check the folder, who may write there, and the room on the disk",
        )
