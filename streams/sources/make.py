"""From a configuration to the source that it means."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

from streams.config import SourceConfig
from streams.normalisers.registry import preamble_of, types
from streams.sources.abstract import Source
from streams.sources.content import ContentSettings
from streams.sources.decompress import Progress
from streams.sources.file_follow import FileFollow
from streams.sources.file_once import FileOnce
from streams.sources.folder import is_pattern
from streams.sources.folder_read import FolderFollow, FolderOnce
from streams.sources.kafka_topic import KAFKA, KafkaTopic
from streams.sources.spool import SPOOL, SpoolSource
from streams.sources.stdin import Stdin


def content_settings(config: SourceConfig) -> ContentSettings:
    """How a source's content is read."""
    return ContentSettings(
        max_line_bytes=config.max_line_bytes,
        encoding=config.encoding,
        preamble=preamble_of(config.type, config.format) if config.format or config.type in types() else None,
        max_content_bytes=config.max_content_bytes,
    )


def make_source(
    config: SourceConfig,
    *,
    progress: Progress | None = None,
    stdin: BinaryIO | None = None,
    damage_ends: bool = True,
) -> Source:
    """Make a source; nothing is opened yet.

    Args:
        config: Says path and mode.
        progress: For a source that is read once: told how many bytes were taken from the disk.
        stdin: In place of the process's standard input.
        damage_ends: See `FileOnce`.

    Raises:
        ConfigError: of a Kafka topic: its address cannot be read.
    """
    follow = config.mode == "follow"
    if config.path.startswith(KAFKA):
        return KafkaTopic(config.path, config.max_line_bytes, once=not follow)
    if config.path.startswith(SPOOL):
        return SpoolSource(Path(config.path.removeprefix(SPOOL)), config.max_line_bytes, once=not follow)
    settings = content_settings(config)
    if config.path == "-":
        return Stdin(stdin if stdin is not None else sys.stdin.buffer, settings, progress)
    if is_pattern(config.path):
        return FolderFollow(config.path, settings) if follow else FolderOnce(config.path, settings, progress)
    if follow:
        return FileFollow(Path(config.path), settings)
    return FileOnce(Path(config.path), settings, progress, damage_ends=damage_ends)
