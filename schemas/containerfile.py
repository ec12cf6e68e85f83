"""An Avro container file on disk that grows by whole containers: their blocks, under one header and one sync marker."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from schemas import _container, registry
from schemas._container import SYNC_BYTES
from schemas.errors import InputError, SchemaError


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
