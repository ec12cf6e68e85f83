"""Logs for the commands that read them: opened as collectors do, waited for where they are pipes."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.errors import ConfigError, InputError
from streams.sources.abstract import Source, SourceChunk

_LINES = 10_000
_PATIENCE_S = 1.0


def zone_of(name: str | None) -> ZoneInfo:
    """A time zone by name; None: UTC.

    Raises:
        ConfigError: there is none of that name.
    """
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"{name!r} is no time zone", where="--timezone", hint="write a name such as America/Denver or UTC"
        ) from error


def need_stdin() -> None:
    """Make sure that there is a standard input.

    Raises:
        InputError: it is closed.
    """
    if sys.stdin is None:
        raise InputError("standard input is closed", where="-", hint="name a file, or pipe the log in")


def chunks(source: Source) -> Iterator[SourceChunk | None]:
    """All lines of a source that ends; None each time that nothing came for a second."""
    while True:
        chunk = source.read(_LINES, time.time_ns() // 1000)
        if chunk is not None:
            yield chunk
        elif source.ended:
            return
        elif source.busy:
            continue
        elif not _wait():
            yield None


def _wait() -> bool:
    """Wait for standard input, the one source that may have nothing to give yet."""
    try:
        return bool(select.select([sys.stdin.buffer], [], [], _PATIENCE_S)[0])
    except (OSError, ValueError):  # no file descriptor, or not one that can be waited for
        time.sleep(0.05)
        return True
