"""identify: DHCP and login events to `aup.identity`, one stage for one partition. It never waits."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping, Sequence

import polars as pl

from agents.delivery.batches import EventBatches
from agents.delivery.letters import Flood
from agents.delivery.link import FACTS_LANE, NOTHING, Link, RowMark
from agents.delivery.snapshots import META, pack, unpack
from agents.delivery.stage import Message, Output, Stage
from agents.engine.identity import facts_of
from schemas.codec import encode
from schemas.kinds import IDENTITY, EventKind

log = logging.getLogger(__name__)


class IdentifyStage(Stage):
    """See `Stage`."""

    def __init__(self, topic: str, partition: int, kind: EventKind, flood: Flood | None = None) -> None:
        self._flood = Flood() if flood is None else flood
        self._topic, self._partition, self._kind = topic, partition, kind
        self._batches = EventBatches()
        self._sent = NOTHING
        self._applied = -1
        self._said: object = None

    @property
    def applied(self) -> int:
        """Every message's consequences are handed on at once."""
        return self._applied

    def handle(self, message: Message) -> Sequence[Output]:
        """Facts of a batch, and how far its source is."""
        read = self._batches.read(message)
        self._flood.heard(message, self._batches.damage)
        self._applied = message.offset
        if read is None:
            return ()
        headers, frame = read
        if frame is not None and headers.timeline:  # as late ones: judging again believes them, and nothing before
            frame = frame.with_columns(late=pl.lit(True))
        facts = None if frame is None else facts_of(frame, self._kind)
        value, last = b"", self._sent
        if facts is not None and not facts.is_empty():
            value, last = encode("identity", facts), RowMark(message.offset, facts.height - 1)
        news = self._batches.news()
        if not value and news == self._said:
            return ()
        link = Link(
            self._topic,
            self._partition,
            FACTS_LANE,
            follows=self._sent,
            last=last,
            told=news.told,
            epoch=headers.epoch,
            count=0 if facts is None else facts.height,
            crc32=zlib.crc32(value),
            lost=news.lost,
        )
        self._sent, self._said = last, news
        return [Output(IDENTITY, 0, value, link.to_kafka(), f"{self._topic}/{self._partition}".encode())]

    def figures(self) -> Mapping[str, float]:
        """Figures for metrics."""
        return self._batches.figures()

    def truncated(self) -> None:
        """See `Stage`."""
        self._batches.reader.truncated()

    def snapshot(self) -> Mapping[str, bytes]:
        """One small part."""
        return {
            META: pack(applied=self._applied, batches=self._batches.save(), sent=list(self._sent), row=self._flood.row)
        }

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take back `snapshot`."""
        if META not in parts:
            return
        plain = unpack(parts[META])
        self._applied, self._sent = plain["applied"], RowMark(*plain["sent"])
        self._flood.row = plain.get("row", 0)  # the release before has none
        self._batches = EventBatches.load(plain["batches"])
