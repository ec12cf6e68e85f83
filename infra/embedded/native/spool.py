"""A file in memory that the engine can open by a path of this process."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


class Spool:
    """Grows by `write`, is emptied by `clear`. On Linux it never touches a disk; elsewhere it is a temporary file."""

    def __init__(self) -> None:
        self.size = 0
        if sys.platform == "linux":
            self._descriptor = os.memfd_create("aupstream-insert", os.MFD_CLOEXEC)
            self.path = f"/proc/self/fd/{self._descriptor}"
        else:
            self._descriptor, self.path = tempfile.mkstemp(prefix="aupstream-insert-")

    def write(self, content: bytes) -> None:
        """Append all of it. Raises `OSError` when there is no memory (or disk) left."""
        view = memoryview(content)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self.size += len(content)

    def clear(self) -> None:
        """Empty it."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.size = 0

    def close(self) -> None:
        """Give the memory back."""
        os.close(self._descriptor)
        if sys.platform != "linux":
            Path(self.path).unlink()
