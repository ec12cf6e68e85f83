"""Identifiers that depend on content and position only, so that every reading makes the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

MAX_OFFSET = 2**48 - 1  # 256 TiB of decompressed content in one generation
MAX_SUB = 2**16 - 1

_HEX = np.frombuffer(b"".join(b"%02x" % i for i in range(256)), dtype="S2")


def generation_of(first_line: bytes) -> str:
    """Name of a content: 16 hexadecimal digits from its first complete data line, without the line end."""
    return blake2b(first_line, digest_size=8, person=b"aup-generation").hexdigest()


def line_hash(line: bytes) -> str:
    """BLAKE2b-128 of a raw line without its line end, 32 hexadecimal digits."""
    return blake2b(line, digest_size=16).hexdigest()


def event_prefix(source: str, generation: str) -> str:
    """First 16 hexadecimal digits of every event id of one content of one source."""
    return blake2b(f"{source}\0{generation}".encode(), digest_size=8, person=b"aup-event").hexdigest()


def event_id(source: str, generation: str, offset: int, sub: int = 0) -> str:
    """Id of the event at a position: prefix, 12 digits of offset, 4 of sub-index.

    Within one content two positions can never share an id; the prefix compresses to nothing.
    """
    return f"{event_prefix(source, generation)}{offset:012x}{sub:04x}"


def event_ids(source: str, generation: str, offsets: npt.NDArray[np.int64], subs: npt.NDArray[np.int64]) -> list[str]:
    """`event_id` of many positions at once."""
    prefix = event_prefix(source, generation).encode()
    packed = ((offsets.astype(np.uint64) << np.uint64(16)) | subs.astype(np.uint64)).astype(">u8")
    digits = _HEX[packed.view(np.uint8)].view("S16")
    joined = np.char.add(prefix, digits)
    text: Sequence[str] = joined.astype("U32").tolist()
    return list(text)


def partition_of(source: str, block: int, partitions: int) -> int:
    """Partition of a position block: (hash(source) + block) mod partitions."""
    digest = blake2b(source.encode(), digest_size=8, person=b"aup-partition").digest()
    return (int.from_bytes(digest, "big") + block) % partitions


def key_partition(rule_id: str, group_key: str, partitions: int) -> int:
    """Partition of `aup.detections` that holds the window of a rule and group key."""
    digest = blake2b(f"{rule_id}\0{group_key}".encode(), digest_size=8, person=b"aup-key").digest()
    return int.from_bytes(digest, "big") % partitions


def violation_id(rule_id: str, group_key: str, first_event: str) -> str:
    """Id of the episode: hash of rule, canonical group key and first event, 32 hexadecimal digits."""
    return blake2b(
        f"{rule_id}\0{group_key}\0{first_event}".encode(), digest_size=16, person=b"aup-violation"
    ).hexdigest()


def fact_id(kind: str, address: str, value: str, valid_from: int) -> str:
    """Id of an identity fact, 32 hexadecimal digits; `valid_from` in microseconds UTC."""
    return blake2b(f"{kind}\0{address}\0{value}\0{valid_from}".encode(), digest_size=16, person=b"aup-fact").hexdigest()
