"""From a configuration to the source that it means."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

from streams.config import SourceConfig
from streams.sources.abstract import Source
from streams.sources.decompress import Progress
from streams.sources.file_follow import FileFollow
from streams.sources.file_once import FileOnce
from streams.sources.stdin import Stdin


def make_source(config: SourceConfig, *, progress: Progress | None = None, stdin: BinaryIO | None = None) -> Source:
    """Make a source; nothing is opened yet.

    Args:
        config: Says path and mode.
        progress: For a source that is read once: told how many bytes were taken from the disk.
        stdin: In place of the process's standard input.
    """
    if config.path == "-":
        return Stdin(stdin if stdin is not None else sys.stdin.buffer, config.max_line_bytes, progress)
    if config.mode == "follow":
        return FileFollow(Path(config.path), config.max_line_bytes)
    return FileOnce(Path(config.path), config.max_line_bytes, progress)
