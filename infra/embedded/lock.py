"""One ``up`` for one data folder: an advisory lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Self

from infra.embedded.errors import AlreadyRunningError, FolderError


class FolderLock:
    """The lock of a data folder, held from `take` until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, path: Path) -> Self:
        """Take the lock without waiting.

        Raises `AlreadyRunningError` naming the holder's process id, and `FolderError` when the file cannot be made.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FolderError(
                f"the data folder cannot be locked: {error}",
                where=str(path),
                todo="Choose a folder that this user may write to.",
            ) from error
        if not _try_exclusive(descriptor):
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise AlreadyRunningError(
                f"another `up` is running on this folder (process {holder})",
                where=str(path.parent),
                todo="Use that one, stop it first, or give this one another folder.",
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Let go; calling it again does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _try_exclusive(descriptor: int) -> bool:
    """Try for a fifth of a second: `is_held` of another process may hold the lock shared for an instant."""
    for _ in range(10):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def is_held(path: Path) -> bool:
    """Whether a live process holds the lock at ``path``. Does not take it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # A shared lock that is dropped at once: two askers never see each other as the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def holder(path: Path) -> int | None:
    """Process id that the last holder wrote; only worth something while `is_held`."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
