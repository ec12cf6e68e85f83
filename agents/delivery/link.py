"""Headers of what one agent tells the next: rows, and how far every source is, per input partition and lane.

Used on `aup.detections` and `aup.identity`. As on the event topics, a message says what it follows.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agents.delivery.stage import Headers
from agents.engine.progress import Told
from schemas.errors import CorruptBatchError


class RowMark(NamedTuple):
    """A row of an input partition: the offset of its message and its number in there; ordered."""

    offset: int
    row: int


NOTHING = RowMark(-1, -1)
FACTS_LANE = "facts"


@dataclass(frozen=True, slots=True)
class Link:
    """What a message between agents says of itself.

    Attributes:
        topic: Input topic that its rows came from.
        partition: Input partition.
        lane: `immediate`, `attributed` or `facts`.
        follows: Last row sent to the same place before.
        last: Last row in this message; equal to `follows` where it has none.
        told: Progress of sources in that input partition and lane as of the end of this message.
        epoch: Registry epoch that the sender knew.
        count: Rows in the value.
        runs: Input offset of the rows, as (offset, how many rows) in their order; empty where readers need none.
        crc32: CRC-32 of the value.
        lost: How often rows of the input partition were lost before they were read; more than before: again.
    """

    topic: str
    partition: int
    lane: str
    follows: RowMark
    last: RowMark
    told: Sequence[Told]
    epoch: int
    count: int = 0
    crc32: int = 0
    runs: Sequence[tuple[int, int]] = ()
    lost: int = 0

    def to_kafka(self) -> Headers:
        """The header list to send."""
        told = [[t.source, t.timeline, t.progress, t.earliest] for t in self.told]
        items = {
            "aup-input": f"{self.topic}/{self.partition}",
            "aup-lane": self.lane,
            "aup-follows": f"{self.follows.offset}.{self.follows.row}",
            "aup-last": f"{self.last.offset}.{self.last.row}",
            "aup-told": json.dumps(told, separators=(",", ":")),
            # Apart from the rest that is told: the release before reads exactly four values of each source.
            "aup-newest": json.dumps([t.newest for t in self.told], separators=(",", ":")),
            "aup-epoch": str(self.epoch),
            "aup-count": str(self.count),
            "aup-crc32": f"{self.crc32:08x}",
            "aup-runs": ",".join(f"{offset}:{rows}" for offset, rows in self.runs),
            "aup-lost": str(self.lost),
        }
        items["aup-check"] = f"{_check(items):08x}"
        return [(k, v.encode("ascii")) for k, v in items.items()]

    @staticmethod
    def from_kafka(headers: Iterable[tuple[str, bytes | None]], value: bytes, *, where: str) -> Link:
        """Read headers and check the value against them.

        Raises:
            CorruptBatchError: a header is missing or the value is not what was sent.
        """
        try:
            link = _parse({k: (v or b"").decode("ascii") for k, v in headers if k.startswith("aup-")})
        except (KeyError, ValueError, TypeError) as error:
            raise CorruptBatchError(f"header missing or unreadable: {error!r}", where=where) from error
        if zlib.crc32(value) != link.crc32:
            raise CorruptBatchError("checksum of the message differs from its header", where=where)
        return link


def _check(items: Mapping[str, str]) -> int:
    """CRC-32 over all other headers: a damaged mark or progress is refused like a damaged value."""
    return zlib.crc32("\n".join(f"{k}={items[k]}" for k in sorted(items)).encode())


def _row_mark(text: str) -> RowMark:
    offset, _, row = text.partition(".")
    return RowMark(int(offset), int(row))


def _parse(text: dict[str, str]) -> Link:
    if text.pop("aup-check") != f"{_check(text):08x}":
        raise ValueError("aup-check is not that of the other headers")
    topic, _, partition = text["aup-input"].rpartition("/")
    told = json.loads(text["aup-told"])
    newest = json.loads(text.get("aup-newest", "null")) or [None] * len(told)
    return Link(
        topic=topic,
        partition=int(partition),
        lane=text["aup-lane"],
        follows=_row_mark(text["aup-follows"]),
        last=_row_mark(text["aup-last"]),
        told=[Told(s, tl, int(p), e, n) for (s, tl, p, e), n in zip(told, newest, strict=True)],
        epoch=int(text["aup-epoch"]),
        count=int(text["aup-count"]),
        crc32=int(text["aup-crc32"], 16),
        runs=[(int(o), int(n)) for run in text["aup-runs"].split(",") if run for o, _, n in [run.partition(":")]],
        lost=int(text.get("aup-lost", "0")),  # the release before does not tell it
    )
