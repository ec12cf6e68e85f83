"""Messages that an agent refuses, as dead letters: one Avro record a message on `aup.dead-letters`.

Lines that cannot be read travel in batches, which follow one another. A refused message is alone: its id is that of its
place on Kafka, so that it is one row of ClickHouse however many agents and restarts tell of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.delivery.stage import Message, Output
from schemas.errors import AupstreamError, StateError
from schemas.ids import event_id, line_hash
from schemas.kinds import DEAD_LETTERS
from schemas.records import decode_as, encode_record

LETTER = "letter"  # `aup-kind` of such a message
CORRUPT = "corrupt_message"
NOT_STORED = "not_stored"  # ClickHouse refuses what is in it
HEADERS = (("aup-kind", LETTER.encode()),)
MOST_IN_A_ROW = 1_000  # refused messages, then the agent ends
MAX_RAW = 65_536  # bytes of a message that are kept


def letter(message: Message, agent: str, error: AupstreamError, reason: str = CORRUPT) -> Output:
    """A refused message as the output that says so.

    Args:
        message: What was refused.
        agent: Who refused it.
        error: Why.
        reason: One word for it.
    """
    source, generation = f"kafka:{message.topic}", f"{message.partition:016x}"
    record = {
        "event_id": event_id(source, generation, message.offset),
        "log_source": source,
        "log_generation": generation,
        "log_offset": message.offset,
        "log_sub": 0,
        "log_hash": line_hash(message.value),
        "stage": agent,
        "format": "kafka",
        "reason": reason,
        "detail": str(error)[:1_000],
        "raw": message.value[:MAX_RAW],
        "raw_length": len(message.value),
        "masked": False,
    }
    return Output(DEAD_LETTERS, None, encode_record("dead_letter", record), HEADERS, str(record["event_id"]).encode())


def is_letter(message: Message) -> bool:
    """True for what `letter` makes, by its headers."""
    return any(name == "aup-kind" and value == LETTER.encode() for name, value in message.headers)


def letter_of(message: Message) -> Mapping[str, Any]:
    """The dead letter that a message is.

    Raises:
        CorruptBatchError: it is none.
    """
    return decode_as("dead_letter", message.value, message.where)


class Flood:
    """Counts messages refused one after the other: so many are no accident, and what they held must not go by the way.

    The count is saved with the state, so that a restart does not begin anew and let as many pass again.

    Args:
        limit: So many in a row are dead letters; at the next one the agent ends.
    """

    def __init__(self, limit: int = MOST_IN_A_ROW) -> None:
        self.limit = limit
        self.row = 0

    def taken(self) -> None:
        """A message was as it should be."""
        self.row = 0

    def heard(self, message: Message, damage: AupstreamError | None) -> None:
        """Count a message, which was as it should be where there is no damage. See `refused`."""
        if damage is None:
            self.taken()
        else:
            self.refused(message, damage)

    def refused(self, message: Message, error: AupstreamError) -> None:
        """A message was refused.

        Raises:
            StateError: it is one too many.
        """
        if self.row >= self.limit:
            raise StateError(
                f"{self.row} messages in a row are refused, the next one: {error.what}",
                where=message.where,
                hint="find out who writes there, or run the release that wrote them; nothing is passed over until "
                "then. To take them all as dead letters, raise agents.refused_in_a_row",
            )
        self.row += 1
