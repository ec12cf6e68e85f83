"""Facts about mail as gateways tell them, put into the columns of a mail event. Shared by all formats of gateways.

A recipient's status is `sent` only where the log says that the next server took the message: the rules count those.
`accepted`: the gateway took it, or it is only mentioned. `deferred`, `bounced`, `expired`: what became of a delivery.
`rejected`: refused before it was taken. `discarded`, `quarantined`: what the gateway did with it instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from typing import Any, Final, NamedTuple

from streams.normalisers.mail.parts import MAX_INT32, MAX_INT64, address, clipped
from streams.normalisers.records import Fact

VERDICTS: Final = ("clean", "spam", "bulk", "virus", "phish", "malware", "spoof", "policy", "unknown")
"""What `email_verdict` may be; see the schema."""

MOST_RECIPIENTS = 10_000
MOST_ATTACHMENTS = 1_000
"""Of one record; what is beyond these is not told (an event must fit into a message)."""

_ANGLES = re.compile(r"<([^<>]*)>\s*\Z")
_DSN = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?\Z", re.ASCII)
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{32,128}\Z", re.ASCII)
_DIRECTIONS: Mapping[str, str] = {
    "inbound": "inbound", "incoming": "inbound", "in": "inbound", "received": "inbound", "external": "inbound",
    "outbound": "outbound", "outgoing": "outbound", "out": "outbound", "sent": "outbound",
    "internal": "internal", "int": "internal", "local": "internal",
}  # fmt: skip


class Attachment(NamedTuple):
    """A file of a message: `type` as logged, `digest` in lower case or empty, `size` in bytes or -1."""

    name: str
    type: str = ""
    digest: str = ""
    size: int = -1


class Recipient(NamedTuple):
    """A recipient and what became of it; see the module for `status`."""

    address: str
    status: str
    dsn: str = ""
    relay: str = ""
    attempts: int = 0
    original: str = ""


def recipients(found: Iterable[Recipient]) -> Fact:
    """The parallel columns of some recipients, each once: what is said of it last counts."""
    kept: dict[str, Recipient] = {}
    for one in found:
        if one.address and (len(kept) < MOST_RECIPIENTS or one.address in kept):
            kept[one.address] = one
    if not kept:
        return {}
    each = kept.values()
    return {
        "email_to_address": [one.address for one in each],
        "email_to_original_address": [one.original for one in each],
        "email_to_status": [one.status for one in each],
        "email_to_dsn": [one.dsn for one in each],
        "email_to_relay": [clipped(one.relay) for one in each],
        "email_to_filter": [False for _ in each],
        "email_to_attempts": [min(max(one.attempts, 0), MAX_INT32) for one in each],
    }


def sent_to(texts: Sequence[str], status: str, dsn: str = "", relay: str = "", attempts: int = 0) -> Fact:
    """`recipients` where all had the same fate; the texts are addresses as logged, with or without angle brackets."""
    if len(texts) == 1 and (alone := bare_address(texts[0])):  # most by far
        return {
            "email_to_address": (alone,), "email_to_original_address": ("",), "email_to_status": (status,),
            "email_to_dsn": (dsn,), "email_to_relay": (clipped(relay),), "email_to_filter": (False,),
            "email_to_attempts": (attempts,),
        }  # fmt: skip
    return recipients(Recipient(bare_address(text), status, dsn, relay, attempts) for text in texts)


def attachments(found: Iterable[Attachment]) -> Fact:
    """The parallel columns of some attachments; one without name, type, hash and size is none."""
    kept = [one for one in found if one != ("", "", "", -1)][:MOST_ATTACHMENTS]
    if not kept:
        return {}
    return {
        "email_attachment_name": [clipped(one.name) for one in kept],
        "email_attachment_type": [clipped(one.type) for one in kept],
        "email_attachment_hash": [one.digest for one in kept],
        "email_attachment_size": [one.size for one in kept],
    }


@lru_cache(maxsize=16_384)
def bare_address(text: str) -> str:
    """An address without the name and the angle brackets around it, its domain in lower case; may be empty."""
    text = text.strip()
    if text.endswith(">"):
        inside = _ANGLES.search(text[-2_000:])
        text = inside[1].strip() if inside is not None else text
    return address(text)


def sender(text: str | None) -> str | None:
    """An envelope sender; empty for the null sender `<>`, None where nothing is said."""
    return None if not text or text == "-" else bare_address(text)


def header_address(text: str | None) -> str | None:
    """The address in a From header, which may have a name before it; None where there is none."""
    found = bare_address(text) if text else ""
    return found if "@" in found else None


def direction(text: str | None) -> str | None:
    """`inbound`, `outbound` or `internal` from the word of a log; None for anything else."""
    return _DIRECTIONS.get(text.lower()) if text else None


def disentangled(pairs: Iterable[tuple[str, str]], zones: Mapping[str, int]) -> dict[str, str]:
    """Values by key, where senders may have put a key of ours into a text of theirs, so that it comes twice.

    Args:
        pairs: Keys and values in their order.
        zones: Keys at whose value such texts begin: 1 for addresses and names, behind which most of what the product
            knows itself stands; 2 for the subject and the like, which end a record or stand near its end. A key that
            comes before any of these has its first value, else the last before a key of zone 2, else the last of all.
    """
    said: dict[str, str] = {}
    first: dict[str, int] = {}
    zone = 0
    for key, value in pairs:
        if key not in first or first[key] == zone > 0:
            said[key], first[key] = value, zone
        zone = max(zone, zones.get(key, 0))
    return said


def enhanced_code(text: str | None) -> str:
    """The first enhanced status code (RFC 3463) in a server's answer; empty where there is none."""
    found = _DSN.search(text[:1_000]) if text else None
    return found[1] if found is not None else ""


def number(value: Any) -> float | None:
    """A number that is logged as number or text; None for anything else, also for what is not finite."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return float(value) if abs(value) < 1e18 and isfinite(value) else None
    return float(value) if isinstance(value, str) and _NUMBER.match(value) else None


def whole(value: Any, most: int = MAX_INT64) -> int | None:
    """A count or size that is logged as number or text; None where it is none, negative or above `most`."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
    if isinstance(value, float):
        value = int(value) if isfinite(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None


def digest(*texts: str | None) -> str:
    """The longest of some hashes, in lower case; empty where none is one."""
    good = [text for text in texts if text and _HEXADECIMAL.match(text)]
    return max(good, key=len).lower() if good else ""
