"""One at a time: a lock on a file, which the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import InputError


@contextmanager
def alone(path: Path, taken: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock; where another process holds it, wait until it ends.

    Args:
        path: A file for it, made where there is none.
        taken: Told of the other process before it is waited for; it may raise instead.

    Raises:
        InputError: the file cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InputError(f"it cannot be locked: {error.strerror}", where=str(path)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            taken(os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "?")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
