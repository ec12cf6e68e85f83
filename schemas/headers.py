"""Kafka headers of a batch or marker on an event or dead-letter topic.

A **batch** has an Avro container of `count` rows as its value; a **marker** has an empty value and only tells progress.
Both say what they follow, so that a reader notices a repeat and a gap. All values are ASCII, and `aup-check` is the
CRC-32 of all the others: a damaged `follows` or `progress` would do as much harm as a damaged value.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.errors import CorruptBatchError, NewerReleaseError

VERSION = 1  # of the headers; another one is for what an older reader would take wrongly
NEVER = -(2**63)  # progress before the first row: minus infinity
FOREVER = 2**63 - 1  # progress of a source that has ended: plus infinity


class Position(NamedTuple):
    """Place of a row inside a generation; ordered."""

    offset: int
    sub: int = 0


class Mark(NamedTuple):
    """Place of a row inside a source: which content, and where in it."""

    generation: str
    position: Position

    def text(self) -> str:
        """Header form: generation:offset.sub."""
        return f"{self.generation}:{self.position.offset}.{self.position.sub}"

    @staticmethod
    def parse(text: str) -> Mark | None:
        """Read the header form; None for the empty text (nothing sent before)."""
        if not text:
            return None
        generation, _, rest = text.partition(":")
        offset, _, sub = rest.partition(".")
        return Mark(generation, Position(int(offset), int(sub)))


@dataclass(frozen=True, slots=True)
class BatchHeaders:
    """What a message on an event topic says of itself.

    Attributes:
        kind: `batch` or `marker`.
        schema: Name of the Avro schema (`proxy`, `dhcp`, `mail`, `login`, `dead_letter`); of a marker, the topic's.
        count: Rows in the container; 0 for a marker.
        crc32: CRC-32 (zlib) of the value; 0 for a marker.
        source: Configured source name.
        timeline: Empty for live, else the name of a backfill or replay.
        generation: Content that the rows are from (all rows of a batch are of one generation); empty for a marker
            of a source that has read nothing yet.
        block: Position block, offset // block size; -1 for a marker.
        first: Position of the first row; None for a marker.
        last: Position of the last row; None for a marker.
        follows: Last row that this source (and timeline) sent to this partition of this topic before; None: nothing.
        progress: Event time in microseconds UTC that no later row of the source that is not stamped late is older
            than; `NEVER` or `FOREVER` at the ends. Told as of the end of this message.
        earliest: Event time of the source's earliest row so far, microseconds; None if none.
        epoch: Offset of the newest record on `aup.sources` that the sender knew: whoever reads the message first
            reads that topic up to there.
        idle: True where the source has read to its end and `progress` is what it knows to have covered.
        newest: Event time that the source has come to, microseconds: of its newest row so far, or what it knows to
            have covered since. `progress` at plus infinity does not say it. None: no row, or told by the
            release before.
    """

    kind: str
    schema: str
    source: str
    count: int = 0
    crc32: int = 0
    timeline: str = ""
    generation: str = ""
    block: int = -1
    first: Position | None = None
    last: Position | None = None
    follows: Mark | None = None
    progress: int = NEVER
    earliest: int | None = None
    epoch: int = -1
    idle: bool = False
    newest: int | None = None
    version: int = field(default=VERSION)

    def to_kafka(self) -> list[tuple[str, bytes]]:
        """The header list to send, in a fixed order."""
        items = {
            "aup-kind": self.kind,
            "aup-version": str(self.version),
            "aup-schema": self.schema,
            "aup-count": str(self.count),
            "aup-crc32": f"{self.crc32:08x}",
            "aup-source": self.source.encode("unicode_escape").decode("ascii"),
            "aup-timeline": self.timeline.encode("unicode_escape").decode("ascii"),
            "aup-generation": self.generation,
            "aup-block": str(self.block),
            "aup-first": _text(self.first),
            "aup-last": _text(self.last),
            "aup-follows": "" if self.follows is None else self.follows.text(),
            "aup-progress": str(self.progress),
            "aup-earliest": "" if self.earliest is None else str(self.earliest),
            "aup-epoch": str(self.epoch),
            "aup-idle": "1" if self.idle else "0",
            "aup-newest": "" if self.newest is None else str(self.newest),
        }
        items["aup-check"] = f"{_check(items):08x}"
        return [(k, v.encode("ascii")) for k, v in items.items()]

    @staticmethod
    def from_kafka(headers: Iterable[tuple[str, bytes | None]], *, where: str) -> BatchHeaders:
        """Read headers.

        Args:
            headers: As a Kafka client gives them.
            where: topic/partition/offset, for the error.

        Raises:
            CorruptBatchError: a header is missing, damaged or cannot be read.
            NewerReleaseError: it is of a newer release, which an older one must leave for its successor.
        """
        got = {k: (v or b"") for k, v in headers}
        try:
            text = {k: v.decode("ascii") for k, v in got.items() if k.startswith("aup-")}
            return _checked(text, where)
        except (KeyError, ValueError) as error:
            raise CorruptBatchError(
                f"batch header missing or unreadable: {error!r}",
                where=where,
                hint="only aupstream's collectors may write to this topic",
            ) from error


def _check(items: Mapping[str, str]) -> int:
    """CRC-32 of the headers, in the order of their names."""
    return zlib.crc32("\n".join(f"{key}={items[key]}" for key in sorted(items)).encode("ascii"))


def _text(position: Position | None) -> str:
    return "" if position is None else f"{position.offset}.{position.sub}"


def _position(text: str) -> Position | None:
    if not text:
        return None
    offset, _, sub = text.partition(".")
    return Position(int(offset), int(sub))


def _checked(text: dict[str, str], where: str) -> BatchHeaders:
    if int(text.pop("aup-check"), 16) != _check(text):
        raise ValueError("aup-check is not that of the other headers")
    if int(text["aup-version"]) > VERSION:
        what = f"batch headers of version {text['aup-version']}, this release knows {VERSION}"
        raise NewerReleaseError(what, where=where, hint="update this worker; it waits here until then")
    return _parse(text)


def _parse(text: dict[str, str]) -> BatchHeaders:
    kind = text["aup-kind"]
    if kind not in ("batch", "marker"):
        raise ValueError(f"aup-kind is {kind!r}")
    return BatchHeaders(
        kind=kind,
        version=int(text["aup-version"]),
        schema=text["aup-schema"],
        count=int(text["aup-count"]),
        crc32=int(text["aup-crc32"], 16),
        source=text["aup-source"].encode("ascii").decode("unicode_escape"),
        timeline=text["aup-timeline"].encode("ascii").decode("unicode_escape"),
        generation=text["aup-generation"],
        block=int(text["aup-block"]),
        first=_position(text["aup-first"]),
        last=_position(text["aup-last"]),
        follows=Mark.parse(text["aup-follows"]),
        progress=int(text["aup-progress"]),
        earliest=int(text["aup-earliest"]) if text["aup-earliest"] else None,
        epoch=int(text["aup-epoch"]),
        idle=text["aup-idle"] == "1",
        newest=int(text["aup-newest"]) if text.get("aup-newest") else None,  # the release before does not tell it
    )
