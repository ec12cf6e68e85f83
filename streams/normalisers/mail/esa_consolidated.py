"""Records of a Cisco ESA's consolidated event log: one CEF record a message, made when all is over.

Facts: Cisco "User Guide for AsyncOS for Cisco Secure Email Gateway" 13 to 15, chapter "Logging", section "Using
Consolidated Event Logs" (the fields and their values).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail import gateway_facts as facts
from streams.normalisers.mail.esa_verdicts import WORST
from streams.normalisers.mail.join_lines import Single
from streams.normalisers.mail.parts import clipped, message_id, outcome_of, subject_facts, whole
from streams.normalisers.payload import cef
from streams.normalisers.reasons import Refused
from streams.normalisers.times import SourceClock

_FILE = re.compile(
    r"(?:'([^'\\]*(?:\\.[^'\\]*)*)'|\"([^\"\\]*(?:\\.[^\"\\]*)*)\"):\s*\{\s*'AMP':\s*\{'Verdict':\s*'([^']{0,64})'"
    r"(?:,\s*'fileHash':\s*'([0-9A-Fa-f]{0,128})')?[^{}]{0,256}\}(?:,\s*'BodyScanner':\s*\{(?:'fsize':\s*(\d{1,18}))?)?",
    re.ASCII,
)
_UNSAID: Final = frozenset({"", "N/A", "None", "not enabled", "unknown", "<>"})

_STATUSES: Final = (
    (re.compile(r"quarantin|^dq$|^isq$", re.IGNORECASE), "quarantined"),
    (re.compile(r"deliver|released|encrypt", re.IGNORECASE), "sent"),
    (re.compile(r"bounc", re.IGNORECASE), "bounced"),
    (re.compile(r"drop|delet", re.IGNORECASE), "discarded"),
    (re.compile(r"abort|reject", re.IGNORECASE), "rejected"),
)

_VERDICTS: Final[Mapping[str, Mapping[str, str]]] = {
    "ESAASVerdict": {
        "NEGATIVE": "clean", "POSITIVE": "spam", "SPAM": "spam", "SUSPECT": "spam", "SUSPECTED": "spam", "BULK": "bulk",
        "BULK_MAIL": "bulk", "MARKETING": "bulk", "MARKETING_MAIL": "bulk", "SOCIAL": "bulk", "SOCIAL_MAIL": "bulk",
    },
    "ESAAVVerdict": {"NEGATIVE": "clean", "POSITIVE": "virus", "VIRAL": "virus", "REPAIRED": "virus"},
    "ESAAMPVerdict": {"CLEAN": "clean", "MALICIOUS": "malware", "POSITIVE": "malware", "FA_PENDING": "unknown"},
    "ESAOFVerdict": {"NEGATIVE": "clean", "POSITIVE": "malware"},
    "ESAGMVerdict": {"NEGATIVE": "clean", "POSITIVE": "bulk"},
    "ESADLPVerdict": {"VIOLATION": "policy"},
}  # fmt: skip
"""What the verdicts of the engines mean; others say nothing (not evaluated, skipped)."""


def consolidated(text: str, clock: SourceClock, settings: NormaliserSettings) -> Single | Unreadable:
    """The event of a record.

    Args:
        text: The CEF record.
        clock: Reads `endTime`, which is in the appliance's zone.
        settings: Whether the subject is kept.
    """
    record = cef(text)
    if record is None:
        return Unreadable(Refused.BROKEN_PAYLOAD, "no whole CEF record")
    said = {key: value for key, value in record.fields.items() if value not in _UNSAID}
    ended = said.get("endTime") or said.get("EndTime") or said.get("startTime")
    when = clock.micros(ended) if ended is not None else None
    if ended is not None and when is None:
        return Unreadable(Refused.BAD_TIME, f"no such time: {ended:.64}")
    status = next((word for pattern, word in _STATUSES if pattern.search(said.get("act", ""))), "accepted")
    aborted = status == "rejected"
    to = [facts.bare_address(one) for one in re.split(r"[;,] *", said.get("duser", ""))[: facts.MOST_RECIPIENTS] if one]
    fact: dict[str, Any] = {
        "event_action": "aborted" if aborted else "message",
        "event_outcome": "failure" if aborted or status == "discarded" else outcome_of([status]),
        "email_message_id": message_id(_plain(said.get("cs4", ""))),
        "email_local_id": f"MID {said['ESAMID']:.20}" if "ESAMID" in said else None,
        "email_from_address": "" if record.fields.get("suser") == "<>" else facts.sender(said.get("suser")),
        "email_header_from_address": facts.header_address(said.get("ESAFriendlyFrom")),
        "email_size": whole(said.get("ESAMsgSize")),
        "email_direction": {"0": "inbound", "1": "outbound"}.get(said.get("deviceDirection", "")),
        "email_helo": clipped(said.get("ESAHeloDomain", "")) or None,
        "source_ip": addresses.ip(said.get("sourceAddress", "")),
        "source_domain": clipped(said.get("sourceHostName", "")).lower() or None,
        "email_verdict": _verdict(said),
        **subject_facts(_plain(said.get("msg", "")), keep=settings.keep_subject),
    }
    if when is not None:
        fact["timestamp"] = when
    if fact["event_outcome"] != "success":
        fact["event_reason"] = (
            clipped(": ".join(said[key] for key in ("act", "ESAFinalActionDetails") if key in said)) or None
        )
    tried = 1 if status in ("sent", "bounced") else 0
    return Single(fact, {one: ["", status, "", "", False, tried] for one in to if one}, _files(said))


def _plain(text: str) -> str:
    """A text without the quotes around it, and with its signs of equality, which are escaped twice."""
    text = text.strip().replace("\\=", "=")
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _verdict(said: Mapping[str, str]) -> str | None:
    found = [words[said[key].upper()] for key, words in _VERDICTS.items() if said.get(key, "").upper() in words]
    return max(found, key=lambda word: WORST[word]) if found else None


def _files(said: Mapping[str, str]) -> list[list[Any]]:
    files = []
    for single, double, _, found, size in _FILE.findall(said.get("ESAAttachmentDetails", ""))[: facts.MOST_ATTACHMENTS]:
        name = (single or double).replace("\\'", "'").replace('\\"', '"')
        files.append([clipped(name), "", facts.digest(found), int(size) if size else -1])
    return files
