"""What the naive pipeline's processes agree on."""

from __future__ import annotations

from schemas.kinds import EventKind

DATABASE = "naive"
PARTITIONS = 4  # of the proxy topic; the others are small and have one, so that one worker sees all of a key


def topic_of(kind: EventKind) -> str:
    """Topic of a kind's records."""
    return f"naive.{kind.value}"
