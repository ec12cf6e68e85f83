"""`aupstream normalise --avro FILE`: a log's events as one Avro container file, as collectors make them."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.cli.output import json_text
from schemas.containerfile import ContainerFile
from schemas.kinds import DEAD_LETTERS
from schemas.metrics import Metrics
from streams.abstract import Message
from streams.collector import Collector
from streams.config import CollectorSettings, SourceConfig
from streams.memory import MemorySink
from streams.sources.abstract import Source, SourceChunk


class _Replayed(Source):
    """Chunks that are read already, and those behind them."""

    def __init__(self, chunks: Iterator[SourceChunk | None], source: Source) -> None:
        self._chunks, self._source = chunks, source
        self._ended = False

    def seek(self, generation: str, offset: int) -> bool:
        del generation, offset
        return False

    def read(self, max_lines: int, now_us: int) -> SourceChunk | None:
        del max_lines, now_us
        for chunk in self._chunks:
            if chunk is not None:
                return chunk
        self._ended = True
        return None

    @property
    def ended(self) -> bool:
        return self._ended

    def close(self) -> None:
        self._source.close()


def write_avro(config: SourceConfig, chunks: Iterator[SourceChunk | None], source: Source, path: Path) -> None:
    """Write the events, and say on standard error what became of the lines, as one JSON object.

    Raises:
        InputError: the log or the file cannot be read or written.
    """
    sink, metrics, now = MemorySink(1), Metrics(), datetime.now(UTC)
    settings = CollectorSettings(epoch=0, today=now.date())
    collector = Collector(config, _Replayed(chunks, source), sink, settings, metrics=metrics)
    dead: Counter[str] = Counter()
    with ContainerFile(path, config.kind.value) as file:
        while not collector.done:
            collector.step(time.time_ns() // 1_000)
            for message in sink.take():
                _take(message, file, dead)
    told: Mapping[str, Any] = {"events": file.rows, "dead_letters": sum(dead.values()), "lines": collector.lines}
    sys.stderr.write(json_text({**told, "avro": str(path)}) + "\n")


def _take(message: Message, file: ContainerFile, dead: Counter[str]) -> None:
    headers = message.headers
    if headers is None or headers.kind != "batch":
        return
    if message.topic == DEAD_LETTERS:
        dead["dead_letters"] += headers.count
    else:
        file.append(message.value)
