"""One partition of a Kafka topic as a log: each record a line, or several.

Place of a line: Kafka offset times 256, plus the number of the line within its record. A record of up to 256 lines is
cut into them; one of more stays one line, whose inner line ends are part of it, since it has no more places. Position
blocks and ledger chunks are counted in these places: a MiB of them is 4,096 records.

Generation: a hash of topic and partition and of the offset at which reading had to begin anew (0 at first), so that it
is the same on every cluster that a topic is mirrored to, and a new one where retention removed what was not read yet.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import ConfigError, InputError
from schemas.ids import generation_of
from streams.sources.abstract import Source, SourceChunk

if TYPE_CHECKING:
    from streams.sources.kafka_fetch import Fetcher

KAFKA = "kafka://"
PLACES = 256  # lines a record at most
_ADDRESS = re.compile(r"kafka://(?:([^/#\s]+)/)?([A-Za-z0-9._-]{1,249})(?:#(\d{1,6}))?")


@dataclass(frozen=True, slots=True)
class TopicAddress:
    """What a path names.

    Attributes:
        bootstrap: host:port, several separated by commas; empty: the configured Kafka.
        topic: Name.
        partition: Number.
    """

    bootstrap: str
    topic: str
    partition: int = 0

    @property
    def path(self) -> str:
        """As a path again."""
        return f"{KAFKA}{self.bootstrap}{'/' if self.bootstrap else ''}{self.topic}#{self.partition}"


def address_of(path: str) -> TopicAddress:
    """Read `kafka://topic`, `kafka://host:port,host:port/topic`, each with `#partition` behind it or not.

    Raises:
        ConfigError: it is something else.
    """
    found = _ADDRESS.fullmatch(path)
    if found is None:
        hint = "write kafka://TOPIC or kafka://HOST:PORT,HOST:PORT/TOPIC"
        raise ConfigError("this is no Kafka topic", where=path, hint=hint)
    return TopicAddress(found[1] or "", found[2], int(found[3] or 0))


class KafkaTopic(Source):
    """See the module.

    While Kafka is away it waits, and `problem` says so. Memory: `kafka_fetch.MAX_AHEAD` bytes of records.

    Args:
        path: See `address_of`; with a bootstrap.
        max_line_bytes: Longer lines are cut.
        once: End where the partition ended when reading began; else follow it for ever.

    Raises:
        ConfigError: the path cannot be read, or names no bootstrap.
    """

    def __init__(self, path: str, max_line_bytes: int, *, once: bool = False) -> None:
        self._address = address_of(path)
        if not self._address.bootstrap:
            hint = "write kafka://HOST:PORT/TOPIC, or set kafka.bootstrap"
            raise ConfigError("no Kafka is named to read the topic from", where=path, hint=hint)
        self._where = f"{self._address.topic}/{self._address.partition}"
        self._max, self._once = max_line_bytes, once
        self._start = (0, 0)  # Kafka offset at which reading began, and how often it began anew
        self._next = 0  # place of the next line
        self._from: int | None = None  # place to fetch from, where that is another one
        self._fetcher: Fetcher | None = None
        self._ready: deque[tuple[int, bytes]] = deque()  # place and line
        self._at_end = self._ended = False

    @property
    def _generation(self) -> str:
        start, times = self._start
        return generation_of(f"kafka\0{self._address.topic}\0{self._address.partition}\0{start}\0{times}".encode())

    def save(self) -> dict[str, Any]:
        """See `Source`."""
        return {"start": list(self._start), "next": self._next}

    def load(self, state: Mapping[str, Any]) -> None:
        """See `Source`."""
        start, times = state.get("start", (0, 0))
        self._start, self._next = (int(start), int(times)), int(state.get("next", 0))

    def seek(self, generation: str, offset: int) -> bool:
        """See `Source`. Whether the place is still there shows when Kafka answers: if not, a generation begins."""
        if generation != self._generation:
            return False
        self._from = offset
        return True

    def read(self, max_lines: int, now_us: int) -> SourceChunk | None:
        """See `Source`."""
        del now_us
        fetcher = self._fetching()
        if not self._ready:
            fetched = fetcher.take()
            self.problem = fetcher.problem
            if fetched is None:
                self._at_end = fetcher.at_end
                self._ended = self._once and fetcher.reached_first_end
                return None
            if fetched.jumped is not None:
                self._begin_anew(fetched.jumped)
            start = self._next if self._from is None else self._from
            self._ready.extend((at, line) for r in fetched.records for at, line in self._lines(*r) if at >= start)
        self._at_end = False
        return self._chunk(max_lines) if self._ready else None

    def _begin_anew(self, first: int) -> None:
        """The place to go on from is gone: a new generation, and a word where records were lost by that."""
        before, self._from = self._next // PLACES, None
        self._start = (first, self._start[1] + 1)
        if first == before:  # only what was to be read a second time is gone
            return
        self._next = first * PLACES
        self.damage = InputError(
            f"the records from offset {before} on are gone, and reading goes on at offset {first}: retention removed "
            "them before they were read, or the topic was made anew",
            where=self._where,
            hint="keep the topic's records for longer than the longest time for which nobody reads them",
        )

    def _chunk(self, max_lines: int) -> SourceChunk:
        taken = [self._ready.popleft() for _ in range(min(max_lines, len(self._ready)))]
        end = (taken[-1][0] // PLACES + 1) * PLACES
        if self._ready:
            end = min(end, self._ready[0][0])  # in the middle of a record
        self._next, self._from = end, None
        lines = [line for _, line in taken]
        long = {i: len(line) for i, line in enumerate(lines) if len(line) > self._max}
        for i in long:
            lines[i] = lines[i][: self._max + 1]
        places = np.array([place for place, _ in taken], np.int64)
        return SourceChunk(self._generation, lines, places, end, long)

    @staticmethod
    def _lines(offset: int, value: bytes | None) -> list[tuple[int, bytes]]:
        """Places and lines of a record; none of one without a value."""
        if value is None:
            return []
        value = value.removesuffix(b"\n")
        lines = value.split(b"\n") if value.count(b"\n") < PLACES else [value]
        return [(offset * PLACES + i, line.removesuffix(b"\r")) for i, line in enumerate(lines)]

    def _fetching(self) -> Fetcher:
        if self._fetcher is None:
            from streams.sources.kafka_fetch import Fetcher  # noqa: PLC0415 - Kafka's client only where it is used

            start = self._next if self._from is None else self._from
            address, fallback = self._address, self._next // PLACES
            self._fetcher = Fetcher(address.bootstrap, address.topic, address.partition, start // PLACES, fallback)
        return self._fetcher

    @property
    def ended(self) -> bool:
        """See `Source`."""
        return self._ended

    @property
    def at_end(self) -> bool:
        """See `Source`."""
        return self._at_end

    @property
    def busy(self) -> bool:
        """See `Source`."""
        return bool(self._ready)

    def close(self) -> None:
        """See `Source`."""
        if self._fetcher is not None:
            self._fetcher.close()
            self._fetcher = None
