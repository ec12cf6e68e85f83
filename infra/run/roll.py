"""Who ought to run on a data folder, told by the process that keeps them running for as long as it lives."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


class Roll:
    """A locked file with the names; the kernel drops the lock when its holder dies, however it dies.

    Args:
        path: The file. Where another process holds it, that one tells.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._told: list[str] = []

    def tell(self, names: Iterable[str]) -> None:
        """Replace the names. What cannot be written is not told: nothing but `aupstream doctor` asks for it."""
        wanted = sorted(names)
        if wanted == self._told:
            return
        with suppress(OSError):
            if self._descriptor is None:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    os.close(descriptor)
                    return
                self._descriptor = descriptor
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(wanted).encode(), 0)
            self._told = wanted

    def close(self) -> None:
        """Nobody ought to run any more. Idempotent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor, self._told = None, []


def called(path: Path) -> list[str] | None:
    """The names; None where nothing keeps anything running there, or it cannot be known."""
    try:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return [str(name) for name in json.load(file)]
    except (OSError, ValueError):
        return None
    return None
