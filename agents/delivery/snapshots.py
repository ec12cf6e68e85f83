"""Checkpoints on a compacted topic.

A record's key is `input topic/partition/epoch/tag`. Every owner of an input partition writes under an epoch of its
own, one above the highest it found, and writes all parts once before its first `meta`. So what a worker writes that
was replaced without knowing it (stopped by the system, then woken) has a lower epoch and is never read, and never
hides what counts.
"""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition

from agents.delivery.stage import Output
from schemas.errors import NewerReleaseError, StateError
from schemas.kafkaaddress import kafka_options

log = logging.getLogger(__name__)
MAX_PART = 4_000_000  # bytes of one record; a longer part is cut
UPDATE = "run the release that wrote it, or a newer one"
META = "meta"
_KEY = re.compile(rb"(?P<place>[\w.-]+/\d+)/(?P<epoch>\d{1,15})/(?P<tag>[\w.-]+#\d+/\d+)", re.ASCII)
CHECKSUM = "crc32"
LAYOUT = 1  # of the plain values in parts


def pack(**values: object) -> bytes:
    """A part of plain values. Its last bytes are the checksum of all before, in a key that other releases pass over."""
    body = msgspec.msgpack.encode({"v": LAYOUT, **values, CHECKSUM: bytes(4)})[:-4]
    return body + zlib.crc32(body).to_bytes(4, "big")


def unpack(part: bytes) -> dict[str, Any]:
    """Take back what `pack` gave.

    Raises:
        StateError: it cannot be read.
        NewerReleaseError: it is of a layout that this release does not know.
    """
    try:
        plain = msgspec.msgpack.decode(part)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(f"the saved state cannot be read: {error}", hint="see the state topic") from error
    if not isinstance(plain, dict):
        raise StateError("the saved state is no table of values")
    layout = plain.get("v")
    if isinstance(layout, int) and layout > LAYOUT:
        raise NewerReleaseError(f"the saved state has layout {layout}, this release knows {LAYOUT}", hint=UPDATE)
    if layout != LAYOUT:
        raise StateError("the saved state has no layout that is known")
    checksum = plain.pop(CHECKSUM, None)  # the first releases wrote none
    if checksum is not None and checksum != zlib.crc32(part[:-4]).to_bytes(4, "big"):
        raise StateError("the saved state is damaged: its checksum is another", hint="see the state topic")
    return plain


class Place(NamedTuple):
    """An input partition."""

    topic: str
    partition: int

    @property
    def text(self) -> str:
        """topic/partition."""
        return f"{self.topic}/{self.partition}"


@dataclass(slots=True)
class Saved:
    """What the state topic holds of one input partition."""

    epochs: dict[int, dict[str, bytes]] = field(default_factory=dict)

    @property
    def highest(self) -> int:
        """Highest epoch seen; 0: none."""
        return max(self.epochs, default=0)

    def whole(self) -> Iterator[dict[str, bytes]]:
        """Parts of each epoch that has a `meta`, the newest first; each is a state that its owner had."""
        for epoch in sorted(self.epochs, reverse=True):
            parts = join(self.epochs[epoch])
            if META in parts:
                yield parts


def collect(records: Iterable[tuple[bytes | None, bytes | None]], places: Iterable[Place]) -> dict[Place, Saved]:
    """Sort the records of a state topic, oldest first; an empty value removes."""
    wanted = {p.text: p for p in places}
    found = {p: Saved() for p in wanted.values()}
    for key, value in records:
        part = _KEY.fullmatch(key or b"")
        place = None if part is None else wanted.get(part["place"].decode())
        if part is None or place is None:
            continue
        tag = part["tag"].decode()
        parts = found[place].epochs.setdefault(int(part["epoch"]), {})
        if value:
            parts[tag] = value
        else:
            parts.pop(tag, None)
    return found


def join(cut: Mapping[str, bytes]) -> dict[str, bytes]:
    """Parts from their pieces: `tag#i/n` holds piece i of n. A part with a piece missing is left out."""
    whole: dict[str, dict[int, bytes]] = {}
    total: dict[str, int] = {}
    for name, data in cut.items():
        tag, _, number = name.partition("#")
        i, _, n = number.partition("/")
        whole.setdefault(tag, {})[int(i)] = data
        total[tag] = int(n)
    return {
        t: b"".join(p[i] for i in range(total[t])) for t, p in whole.items() if all(i in p for i in range(total[t]))
    }


def with_meta(parts: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Parts with the `meta` that is meant, where it was too long for one record.

    Raises:
        StateError: it cannot be read.
    """
    tag = unpack(parts[META]).get("long")
    if tag is None:
        return parts
    if tag not in parts:
        raise StateError(f"the saved state lacks {tag}", hint="start with an empty state topic")
    return {**parts, META: parts[tag]}


class Writer:
    """Makes the records of one owner's checkpoints of one input partition.

    A part may be cut, and the process killed between the records of its pieces. So nothing is written over in place but
    `meta`, and that is one record: one that is too long is a part of its own, `meta.1` and so on, that `meta` names.
    """

    def __init__(self, topic: str, state_partitions: int, place: Place, epoch: int) -> None:
        self._topic, self._place, self.epoch = topic, place, epoch
        self._partition = place.partition % state_partitions
        self._pieces: dict[str, int] = {}
        self._metas = 0  # that were too long
        self._long_meta = ""  # tag of the newest one, if that was

    def checkpoint(self, parts: Mapping[str, bytes]) -> tuple[list[Output], list[Output], list[Output]]:
        """Records of one checkpoint in three lots, each to be acknowledged before the next: parts, `meta`, removals."""
        rest = [o for tag, part in parts.items() if part and tag != META for o in self._records(tag, part)]
        gone = [o for tag, part in parts.items() if not part for o in self._removal(tag)]
        gone += self._removal(self._long_meta)
        meta, self._long_meta = parts[META], ""
        if len(meta) > MAX_PART:
            self._metas += 1
            self._long_meta = f"{META}.{self._metas}"
            rest += self._records(self._long_meta, meta)
            meta = pack(long=self._long_meta)
        return rest, self._records(META, meta), gone

    def _removal(self, tag: str) -> list[Output]:
        n = self._pieces.pop(tag, 0)
        return [self._output(f"{tag}#{i}/{n}", b"") for i in range(n)]

    def _records(self, tag: str, data: bytes) -> list[Output]:
        pieces = [data[i : i + MAX_PART] for i in range(0, len(data), MAX_PART)]
        self._pieces[tag] = len(pieces)
        return [self._output(f"{tag}#{i}/{len(pieces)}", piece) for i, piece in enumerate(pieces)]

    def forget(self, saved: Saved) -> list[Output]:
        """Records that remove everything of earlier epochs."""
        return [
            Output(self._topic, self._partition, b"", (), f"{self._place.text}/{epoch}/{tag}".encode())
            for epoch, parts in saved.epochs.items()
            if epoch < self.epoch
            for tag in parts
        ]

    def _output(self, tag: str, data: bytes) -> Output:
        key = f"{self._place.text}/{self.epoch}/{tag}".encode()
        return Output(self._topic, self._partition, data, (), key)


def read_state(bootstrap: str, topic: str, state_partitions: int, places: list[Place]) -> dict[Place, Saved]:
    """Read the state topic's partitions that hold some input partitions, to their ends as of now.

    Blocks; a consumer of its own without a group. Raises what the Kafka client raises.
    """
    consumer = KafkaConsumer(**kafka_options(bootstrap), enable_auto_commit=False, fetch_max_wait_ms=50)
    try:
        numbers = sorted({p.partition % state_partitions for p in places})
        assigned = [TopicPartition(topic, n) for n in numbers]
        consumer.assign(assigned)
        consumer.seek_to_beginning(*assigned)
        ends = consumer.end_offsets(assigned)
        records: list[tuple[bytes | None, bytes | None]] = []
        while any(consumer.position(tp) < ends[tp] for tp in assigned):
            for batch in consumer.poll(timeout_ms=500).values():
                records += [(r.key, r.value) for r in batch]
        return collect(records, places)
    finally:
        consumer.close()
