"""Rows of the admin console's CSV files: Email Log Search, and Gmail log events of the investigation tool.

Facts from Google's "Email log search export fields", "Understand Email Log Search results" and "Gmail log events".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from streams.normalisers import addresses
from streams.normalisers.mail.exchange_events import mailbox
from streams.normalisers.mail.google_records import hexadecimal
from streams.normalisers.mail.parts import (
    attachment_lists,
    clipped,
    message_id,
    outcome_of,
    recipient_lists,
    subject_facts,
    whole,
)
from streams.normalisers.mail.reasons_services import ServicesIgnored
from streams.normalisers.reasons import IgnoredReason
from streams.normalisers.records import Fact

HEADERS: Final[Mapping[str, str]] = {
    # Email Log Search
    "messageid": "message", "startdate": "start", "enddate": "end", "senderaddress": "sender", "messagesize": "size",
    "subject": "subject", "direction": "direction", "recipientaddress": "to", "eventtarget": "target",
    "eventdate": "time", "eventstatus": "status", "eventtargetipaddress": "relay", "eventsmtpreplycode": "reply",
    "eventdescription": "description",
    # Gmail log events
    "date": "time", "fromheaderaddress": "header_from", "fromenvelope": "sender", "toenvelope": "to",
    "event": "event", "owner": "owner", "ipaddress": "client", "attachmentname": "files",
    "attachmentextension": "extensions", "attachmenthash": "hashes", "delegate": "delegate",
    "spamclassification": "spam", "trafficsource": "traffic",
}  # fmt: skip
"""Columns by their names in plain spelling (`exchange_tracking.plain`, which calls a `Sender` senderaddress)."""

_TARGETS: tuple[tuple[str, str], ...] = (
    ("SMTP_IN", "received"), ("LIST_SERVER", "expanded"), ("ARCHIVE_LIST", "expanded"), ("SMTP_OUT", "message"),
    ("GMAIL", "message"), ("INBOX", "message"), ("INTERNAL_SERVER", "received"),
)  # fmt: skip
_STATES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"bounce", re.IGNORECASE), "bounced"),
    (re.compile(r"reject|denied", re.IGNORECASE), "rejected"),
    (re.compile(r"quarantin", re.IGNORECASE), "quarantined"),
    (re.compile(r"drop|discard", re.IGNORECASE), "discarded"),
    (re.compile(r"retry|defer|progress|temporar", re.IGNORECASE), "deferred"),
)
_ACTION_OF: Mapping[str, str] = {
    "rejected": "rejected", "quarantined": "held", "discarded": "discarded", "deferred": "deferred",
    "bounced": "message",
}  # fmt: skip
_EVENTS: Mapping[str, tuple[str, str]] = {
    "send": ("message", "sent"), "receive": ("message", "sent"), "bounce": ("message", "bounced"),
    "quarantine": ("held", "quarantined"), "release from quarantine": ("released", "accepted"),
}  # fmt: skip
_DIRECTIONS: Mapping[str, str] = {"sent": "outbound", "received": "inbound", "mixed": "internal"}
_VERDICTS: Mapping[str, str] = {"spam": "spam", "phishing": "phish", "malware": "malware", "clean": "clean"}
_DSN = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])", re.ASCII)
_TRIED = frozenset({"sent", "bounced", "deferred"})
_NOT_STATED = frozenset({"", "-", "N/A", "n/a"})


def table_fact(row: Mapping[str, str], *, keep: bool) -> Fact | IgnoredReason:
    """The event of a row, without its time; the reason why it is none."""
    said = {name: "" if value.strip() in _NOT_STATED else value.strip() for name, value in row.items()}
    kind = _kind(said)
    if kind is None:
        return ServicesIgnored.MAIL_READING
    action, status = kind
    words = said.get("description", "")
    match = _DSN.search(words)
    dsn = "" if match is None else match[1]
    relay = said.get("relay", "")
    sender, header, client = (said.get(name, "") for name in ("sender", "header_from", "client"))
    if action in {"received", "rejected"}:  # the other end of an incoming connection is who handed it in
        client, relay = client or relay, ""
    attempts = 1 if status in _TRIED else 0
    recipients = {
        mailbox(to): ("", status, dsn, relay, False, attempts)
        for to in re.split(r"[;,] ?", said.get("to", "") or said.get("owner", ""))
        if to
    }
    outcome = outcome_of(known[1] for known in recipients.values()) if action == "message" else "unknown"
    if action in {"rejected", "discarded"}:
        outcome = "failure"
    spam = "spam" if "SPAM" in said.get("target", "") else _VERDICTS.get(said.get("spam", "").lower())
    return {
        "event_action": action, "event_outcome": outcome,
        "event_reason": clipped(words) if words and outcome == "failure" else None,
        "email_message_id": message_id(said.get("message", "")),
        "email_from_address": mailbox(sender) if sender else None,
        "email_header_from_address": mailbox(header) if header else None,
        "email_size": whole(said.get("size")), "email_verdict": spam,
        "email_direction": _DIRECTIONS.get(said.get("direction", "").lower()),
        "source_ip": addresses.ip(client) if client else None,
        "user_name": said.get("delegate") or (said.get("owner") if said.get("event", "").lower() == "send" else None)
        or None,
        **subject_facts(said.get("subject"), keep=keep), **recipient_lists(recipients), **_attachments(said),
    }  # fmt: skip


def _kind(said: Mapping[str, str]) -> tuple[str, str] | None:
    event = said.get("event", "")
    if event and "target" not in said:
        return _EVENTS.get(event.lower())
    status, target = said.get("status", ""), said.get("target", "").upper()
    ended = next((state for pattern, state in _STATES if pattern.search(status)), None)
    if ended is not None:
        return _ACTION_OF[ended], ended
    action = next((action for start, action in _TARGETS if start in target), "received")
    return action, "sent" if action == "message" else "accepted"


def _attachments(said: Mapping[str, str]) -> dict[str, Any]:
    """Names, types and hashes, each a list by commas in a column of its own."""
    names, kinds, hashes = (re.split(r"[,;] ?", said.get(key, "")) for key in ("files", "extensions", "hashes"))
    count = max(len(names), len(kinds), len(hashes))
    hashes = [hexadecimal(digest) for digest in hashes]
    listed = [(*(part[i] if i < len(part) else "" for part in (names, kinds, hashes)), -1) for i in range(count)]
    return attachment_lists([one for one in listed[:1_000] if any(one[:3])])
