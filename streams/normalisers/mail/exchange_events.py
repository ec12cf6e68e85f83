"""What a record of Exchange's message tracking says, whichever log, report or cmdlet it comes from.

Facts from Microsoft's "Message tracking" and "Event types in the message tracking log" (Exchange 2010 to 2019),
"Understanding Message Tracking Logs" (2000 and 2003; events by number in KB 246959) and "Message trace in the Exchange
admin center" (extended report of Exchange Online).

A message leaves five records and more on its way: of these only `DELIVER`, `SEND` and `FAIL` tell the fate of its
recipients, and only they are `message`. All records of a message have its Message-ID, so that (message, recipient) is
one pair however many servers log it. A `SEND` to another server of the same organisation is a hand-over
(`email_to_filter`): that one logs it again.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from streams.normalisers import addresses
from streams.normalisers.mail.parts import (
    MAX_INT32,
    address,
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

ACTIONS: Final = (
    "message", "received", "submitted", "expanded", "redirected", "deferred", "discarded", "held", "rejected", "noted",
)  # fmt: skip

FIELDS: Final = (
    "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "email_message_id",
    "email_local_id", "email_from_address", "email_header_from_address", "email_to_address",
    "email_to_original_address", "email_to_status", "email_to_dsn", "email_to_relay", "email_to_filter",
    "email_to_attempts", "email_size", "email_recipient_count", "email_subject_hash", "email_subject", "email_protocol",
    "email_direction", "email_verdict", "source_ip", "source_domain",
)  # fmt: skip

_EVENTS: Mapping[str, tuple[str, str]] = {
    "DELIVER": ("message", "sent"),
    "SEND": ("message", "sent"),
    "FAIL": ("message", "bounced"),
    "DELIVERFAIL": ("message", "bounced"),
    "RECEIVE": ("received", "accepted"),
    "SUBMIT": ("submitted", "accepted"),
    "CLIENTSUBMISSION": ("submitted", "accepted"),
    "EXPAND": ("expanded", "accepted"),
    "REDIRECT": ("redirected", "accepted"),
    "RESOLVE": ("redirected", "accepted"),
    "DEFER": ("deferred", "deferred"),
    "DROP": ("discarded", "discarded"),
    "BADMAIL": ("discarded", "discarded"),
    "POISONMESSAGE": ("discarded", "discarded"),
    "SUPPRESSED": ("discarded", "discarded"),
    "INITMESSAGECREATED": ("held", "quarantined"),
    "MODERATORREJECT": ("rejected", "rejected"),
    "MODERATORSALLNDR": ("rejected", "rejected"),
    "MODERATIONEXPIRE": ("rejected", "rejected"),
    "SUBMITFAIL": ("rejected", "rejected"),
    "MODERATORAPPROVE": ("noted", "accepted"),
    "DSN": ("noted", "accepted"),
    # Exchange 2000 and 2003
    "1000": ("message", "sent"),
    "1019": ("received", "accepted"),
    "1021": ("discarded", "discarded"),
    "1023": ("message", "sent"),
    "1026": ("discarded", "discarded"),
    "1027": ("submitted", "accepted"),
    "1028": ("message", "sent"),
    "1030": ("message", "bounced"),
    "1031": ("message", "sent"),
}
"""Event as logged -> event_action, status of its recipients. All other events are `mail_step`."""

UNTOLD: Final = frozenset({
    "AGENTINFO", "HADISCARD", "HARECEIVE", "HAREDIRECT", "HAREDIRECTFAIL", "NOTIFYMAPI", "NOTIFYSHADOW", "TRANSFER",
    "PROCESS", "LOAD", "RESUBMIT", "THROTTLE", "DUPLICATEDELIVER", "DUPLICATEEXPAND", "DUPLICATEREDIRECT",
})  # fmt: skip
"""The commonest of them."""

_TRIED = frozenset({"sent", "bounced", "deferred"})
_SUBMITTING = frozenset({"RECEIVE", "SUBMIT", "CLIENTSUBMISSION", "1019", "1027"})
_EXPANDING = frozenset({"EXPAND", "REDIRECT", "RESOLVE"})
_SENDING = frozenset({"SEND", "1031"})
_WITHIN = "intra-organization"
_DSN = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])", re.ASCII)
_ADDRESSED = frozenset({"to", "cc", "bcc", "unknown", "sub", "0"})  # recipient-status of a submission, or an old 0
_VERDICTS: tuple[tuple[str, str], ...] = (
    ("malware", "malware"), ("antivirus", "virus"), ("content filter", "spam"), ("contentfilter", "spam"),
    ("spam", "spam"), ("connection filter", "spam"), ("sender id", "spoof"), ("transport rule", "policy"),
)  # fmt: skip
MOST_REMEMBERED: Final = 20_000
"""Members of expanded lists that are remembered at most; beyond it those of the oldest messages are forgotten."""


class Tracked(NamedTuple):
    """The columns of a record that we read, as text; empty where the log has none. Names as Exchange's, less signs."""

    datetime: str
    clientip: str
    clienthostname: str
    serverip: str
    serverhostname: str
    sourcecontext: str
    connectorid: str
    source: str
    eventid: str
    internalmessageid: str
    messageid: str
    networkmessageid: str
    recipientaddress: str
    recipientstatus: str
    totalbytes: str
    recipientcount: str
    relatedrecipientaddress: str
    messagesubject: str
    senderaddress: str
    returnpath: str
    directionality: str
    originalclientip: str


class Expansions:
    """Which list a recipient came from, by Message-ID, from the records in which lists were expanded."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._members = 0

    def learn(self, message: str, members: Sequence[str], original: str) -> None:
        """Take note of an expansion."""
        known = self._known.pop(message, {})
        self._members -= len(known)
        for member in members:
            known.setdefault(member, known.get(original, original))
        self._known[message] = known
        self._members += len(known)
        while self._members > MOST_REMEMBERED and len(self._known) > 1:
            _, forgotten = self._known.popitem(last=False)
            self._members -= len(forgotten)

    def of(self, message: str) -> Mapping[str, str]:
        """Lists by member."""
        return self._known.get(message, _NONE)

    def state(self) -> list[list[Any]]:
        """JSON-able, for `restore`."""
        return [[message, known] for message, known in self._known.items()]

    def restore(self, saved: Any) -> None:
        """Take back what `state` gave; raises TypeError or ValueError where it is something else."""
        self._known = OrderedDict((message, dict(known)) for message, known in saved)
        self._members = sum(len(known) for known in self._known.values())


_NONE: Mapping[str, str] = {}


def listed(text: str) -> list[str]:
    """The parts of a list whose sign is `;`, except that what is in brackets, braces or quotes is one part."""
    if "[" not in text and "{" not in text and '"' not in text:
        return text.split(";")
    parts, start, depth, quoted = [], 0, 0, False
    for place, sign in enumerate(text):
        if sign == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif sign in "[{":
            depth += 1
        elif sign in "]}":
            depth = max(0, depth - 1)
        elif sign == ";" and not depth:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


@lru_cache(maxsize=16_384)
def mailbox(text: str) -> str:
    """An address, with `<>` taken off and its domain in lower case."""
    text = text.strip()
    return address(text[1:-1] if text[:1] == "<" and text[-1:] == ">" else text)


def tracked_fact(said: Tracked, expansions: Expansions, *, keep_subject: bool) -> Fact | IgnoredReason:
    """The event of a record, without its time; the reason why it is none."""
    event = said.eventid.upper()
    kind = _EVENTS.get(event)
    if kind is None:
        return ServicesIgnored.MAIL_STEP
    action, status = kind
    message = message_id(said.messageid) if said.messageid not in {"", "-"} else None
    recipients, words = _recipients(said, event, status, expansions.of(message) if message else _NONE)
    if event in _EXPANDING and message and said.relatedrecipientaddress:
        expansions.learn(message, list(recipients), mailbox(said.relatedrecipientaddress))
    statuses = [known[1] for known in recipients.values()]
    outcome = outcome_of(statuses) if action == "message" else _OUTCOMES.get(action, "unknown")
    sender, path = _stated(said.senderaddress), _stated(said.returnpath)
    fact: Fact = {
        "event_action": action, "event_outcome": outcome, "email_message_id": message,
        "email_local_id": _stated(said.internalmessageid) or _stated(said.networkmessageid),
        "email_from_address": mailbox(path or sender) if path or sender else None,
        "email_header_from_address": mailbox(sender) if sender and "@" in sender else None,
        "email_size": whole(said.totalbytes), "email_recipient_count": whole(said.recipientcount, MAX_INT32),
        "email_protocol": "SMTP" if said.source.upper() == "SMTP" else None,
        "email_direction": _direction(said, event),
        **subject_facts(_stated(said.messagesubject), keep=keep_subject), **recipient_lists(recipients),
    }  # fmt: skip
    if outcome != "success":
        fact["event_reason"] = clipped(words) if words else None
        fact["email_verdict"] = _verdict(said, action)
    client = _stated(said.originalclientip)
    if event in _SUBMITTING:
        client = client or _stated(said.clientip)
        host = _stated(said.clienthostname)
        fact["source_domain"] = host.lower() if host else None
    fact["source_ip"] = addresses.ip(client) if client else None
    return fact


_OUTCOMES: Mapping[str, str] = {"discarded": "failure", "rejected": "failure"}


def _stated(text: str) -> str | None:
    return None if text in {"", "-"} else text


def _recipients(
    said: Tracked, event: str, status: str, lists: Mapping[str, str]
) -> tuple[dict[str, tuple[Any, ...]], str]:
    """Recipients as for `parts.recipient_lists`, and the words of the last that failed."""
    if said.recipientaddress in {"", "-"}:
        return {}, ""
    names, answers = listed(said.recipientaddress), listed(said.recipientstatus)
    related = mailbox(said.relatedrecipientaddress) if event in _EXPANDING else ""
    relay, within = "", False
    if event in _SENDING and said.serverhostname not in {"", "-"}:
        relay = said.serverhostname if said.serverip in {"", "-"} else f"{said.serverhostname}[{said.serverip}]"
        within = said.connectorid[: len(_WITHIN)].lower() == _WITHIN
    found: dict[str, tuple[Any, ...]] = {}
    words = ""
    for number, name in enumerate(names):
        to = mailbox(name)
        if not to:
            continue
        answer = answers[number] if number < len(answers) and len(answers) == len(names) else said.recipientstatus
        answer = "" if answer.lower() in _ADDRESSED else answer
        match = _DSN.search(answer) if answer else None
        code = "" if match is None else match[1]
        ended = status
        if event == "SEND" and code[:1] in {"4", "5"}:
            ended = "deferred" if code[0] == "4" else "bounced"
        words = answer if ended != "sent" and answer else words
        original = related or lists.get(to, "")
        found[to] = (original if original != to else "", ended, code, relay, within, 1 if ended in _TRIED else 0)
    return found, words


def _direction(said: Tracked, event: str) -> str | None:
    """Exchange says `Incoming` or `Originating`; what originates here and is delivered here is internal."""
    way = said.directionality.lower()
    if way == "incoming":
        return "inbound"
    if way != "originating":
        return None
    if event == "DELIVER":
        return "internal"
    return "outbound" if event == "SEND" and said.connectorid[: len(_WITHIN)].lower() != _WITHIN else None


def _verdict(said: Tracked, action: str) -> str | None:
    """Which of Exchange's own agents refused or dropped a message."""
    if said.source.upper() != "AGENT" or action not in {"message", "discarded", "rejected"}:
        return None
    context = said.sourcecontext.lower()
    return next((verdict for words, verdict in _VERDICTS if words in context), None)
