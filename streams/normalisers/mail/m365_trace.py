"""Message traces of Exchange Online to mail events: a record is a message and one recipient (or, in reports, several).

`event_action` is `message` throughout. `event_outcome` is that of the recipients, `unknown` while one is pending.
`Delivered` is `sent`; `Failed` `bounced`; `Pending` `deferred`; `GettingStatus` `accepted`; `Quarantined`
`quarantined`; `FilteredAsSpam` `discarded`, with verdict `spam`; `Expanded` and `Resolved` `expanded`: the recipient
was a list, or another address stands for it, and what it stands for has records of its own.

Read are `Get-MessageTrace` and `Get-MessageTraceV2` as CSV or JSON, the reporting web service (OData), Microsoft
Graph's `exchangeMessageTrace`, and the summary reports of the admin centres (both generations of names). Extended
reports have the columns of the message tracking log: type `exchange_tracking` reads them. Times are UTC, whatever form
they have.

Facts: Microsoft's "Message trace in the Exchange admin center", "Get-MessageTrace", "Get-MessageTraceV2",
"MessageTrace report" (Office 365 reporting web service), "exchangeMessageTrace resource type" (Graph).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers import addresses, moments
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.json_records import at, decoded
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail.exchange_events import mailbox
from streams.normalisers.mail.exchange_tracking import date_order, plain
from streams.normalisers.mail.parts import clipped, message_id, outcome_of, recipient_lists, subject_facts, whole
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read
from streams.normalisers.tables import TableNormaliser, cells
from streams.normalisers.times import SourceClock

ACTIONS: Final = ("message",)

_STATUS: Mapping[str, str] = {
    "delivered": "sent", "deliver": "sent", "send": "sent", "failed": "bounced", "fail": "bounced",
    "pending": "deferred", "defer": "deferred", "deferred": "deferred", "expanded": "expanded", "expand": "expanded",
    "resolved": "expanded", "resolve": "expanded", "redirect": "expanded", "quarantined": "quarantined",
    "quarantine": "quarantined", "filteredasspam": "discarded", "dropped": "discarded", "drop": "discarded",
    "gettingstatus": "accepted", "receive": "accepted", "received": "accepted", "none": "accepted",
    "submit": "accepted", "transfer": "accepted", "processed": "accepted", "unknown": "accepted",
}  # fmt: skip
_RANK = ("accepted", "expanded", "deferred", "quarantined", "discarded", "bounced", "sent")
"""Of several events of a recipient in a summary report, the one that ends it counts: the last of these."""

_NAMES: Mapping[str, str] = {
    "received": "time", "receiveddatetime": "time", "origintimestamputc": "time", "origintimestamp": "time",
    "datetimeutc": "time", "dateutc": "time", "date": "time", "receivedutc": "time",
    "senderaddress": "sender", "sender": "sender", "recipientaddress": "recipient", "recipient": "recipient",
    "recipientstatus": "recipients", "status": "status", "deliverystatus": "status", "messagesubject": "subject",
    "subject": "subject", "totalbytes": "size", "size": "size", "messageid": "message", "messagetraceid": "trace",
    "networkmessageid": "trace", "originalclientip": "client", "fromip": "client", "toip": "relay",
    "directionality": "direction", "direction": "direction",
}  # fmt: skip
_LISTS = ("value", "results", "d", "records", "items", "Records")
_PARTS = re.compile(r"([^;#]+)##([^;#]*)")
_DIRECTIONS: Mapping[str, str] = {
    "incoming": "inbound", "inbound": "inbound", "outbound": "outbound", "outgoing": "outbound", "internal": "internal",
    "intraorg": "internal",
}  # fmt: skip
_UTC_WITHOUT_ZONE = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\Z", re.ASCII)


class M365TraceNormaliser(TableNormaliser):
    """See the module.

    Args:
        settings: What the source's configuration tells.
    """

    kind = EventKind.MAIL
    type_name = "m365_trace"
    DATASET = "m365_trace"
    fields = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "email_message_id", "email_local_id",
        "email_from_address", "email_to_address", "email_to_original_address", "email_to_status", "email_to_dsn",
        "email_to_relay", "email_to_filter", "email_to_attempts", "email_size", "email_subject_hash", "email_subject",
        "email_direction", "email_verdict", "source_ip",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._order = date_order(settings)
        self._utc = SourceClock(NormaliserSettings())

    def names_of(self, message: str) -> Sequence[str] | IgnoredReason | None:
        """The first line of a CSV file; `#TYPE` lines of Windows PowerShell."""
        if message[:1] == "#":
            return Ignored.HEADER
        if "ecipient" not in message or "ender" not in message:
            return None
        found = [_NAMES.get(plain(name), "") for name in cells(message.removeprefix("\ufeff")) or []]
        return found if "sender" in found and ("recipient" in found or "recipients" in found) else None

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if message[:1] in "{[" and message[:1]:
            try:
                value = decoded(message)
            except ValueError as error:
                return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
            return self._fact(texts(value)) if isinstance(value, dict) and _own(value) else self._several(value)
        return super().read(head)

    def _several(self, value: Any) -> Read:
        """All records in a JSON value; bad ones cost only themselves."""
        facts: list[Fact] = []
        other: Read = Ignored.OTHER_RECORD
        for obj in objects(value, 0):
            taken = self._fact(texts(obj))
            if isinstance(taken, dict):
                facts.append(taken)
            elif isinstance(taken, Unreadable) or not isinstance(other, Unreadable):
                other = taken
        timed = [fact for fact in facts if fact["timestamp"] is not None]
        return timed or (facts[0] if facts else other)

    def row(self, values: Mapping[str, str], head: Head) -> Read:
        """See `TableNormaliser.row`."""
        del head
        return self._fact(values)

    def _fact(self, said: Mapping[str, str]) -> Fact | IgnoredReason | Unreadable:
        recipients = self._recipients(said)
        if not recipients:
            if "sender" not in said or "message" not in said:
                return Ignored.OTHER_RECORD
            return Unreadable(Refused.BAD_FIELD, "no recipient, or no status")
        relay = said.get("relay", "")
        sender, client = said.get("sender", ""), said.get("client", "")
        lists = {to: ("", status, "", relay, False, 1 if status in _TRIED else 0) for to, status in recipients.items()}
        spam = "filteredasspam" in _word(said.get("status", ""))
        trace = said.get("trace", "")
        return {
            "timestamp": self._time(said.get("time", "")), "event_action": "message",
            "event_outcome": "unknown" if "deferred" in recipients.values() else outcome_of(recipients.values()),
            "email_message_id": message_id(said.get("message", "")),
            "email_local_id": clipped(trace) or None, "email_from_address": mailbox(sender) if sender else None,
            "email_size": whole(said.get("size")), "email_verdict": "spam" if spam else None,
            "email_direction": _DIRECTIONS.get(said.get("direction", "").lower()),
            "source_ip": addresses.ip(client) if client else None,
            **subject_facts(said.get("subject"), keep=self.settings.keep_subject), **recipient_lists(lists),
        }  # fmt: skip

    @staticmethod
    def _recipients(said: Mapping[str, str]) -> dict[str, str]:
        """Status by recipient: one of each, or `a##Receive, Deliver;b##Receive, Fail` in a summary report."""
        status, to = said.get("status", ""), said.get("recipient", "")
        if to and "##" not in to:
            found = _STATUS.get(_word(status))
            if found is None and not status:
                return {}
            return {mailbox(one): found or "accepted" for one in to.split(";") if one.strip()}
        recipients: dict[str, str] = {}
        for one, events in _PARTS.findall(said.get("recipients", "") or to):
            states = [_STATUS.get(event.strip().lower(), "accepted") for event in events.split(",")]
            recipients[mailbox(one)] = max(states, key=_RANK.index)
        return recipients

    def _time(self, text: str) -> int | None:
        """UTC, also where no zone is written."""
        plain_utc = _UTC_WITHOUT_ZONE.match(text)
        if plain_utc is not None:
            return moments.zoned(f"{plain_utc[1]}.{plain_utc[2] or 0}Z")
        if text[:6] == "/Date(":
            return moments.since_1970(text[6:].partition("+")[0].rstrip(")/"))
        return moments.zoned(text) or moments.numbers(text, self._utc, self._order)


_TRIED = frozenset({"sent", "bounced", "deferred"})


@lru_cache(maxsize=1024)
def _named(name: str) -> str:
    return _NAMES.get(plain(name), "")


@lru_cache(maxsize=256)
def _all_named(names: tuple[str, ...]) -> tuple[str, ...]:
    """`_named` of the keys of a record, which are the same in most."""
    return tuple(map(_named, names))


@lru_cache(maxsize=1024)
def _word(status: str) -> str:
    return status.replace(" ", "").lower()


def _own(obj: dict[str, Any]) -> bool:
    return "SenderAddress" in obj or "senderAddress" in obj


def texts(obj: dict[str, Any]) -> dict[str, str]:
    """The scalars of a record as texts, by our names for them."""
    found: dict[str, str] = {}
    for ours, value in zip(_all_named(tuple(obj)), obj.values(), strict=True):
        if ours and value is not None and not isinstance(value, (dict, list)):
            found[ours] = value if isinstance(value, str) else str(value)
    return found


def objects(value: Any, depth: int) -> list[dict[str, Any]]:
    """The records in a JSON value: in lists, pages (`value`, `d.results`) and shippers' wrappers."""
    if isinstance(value, list):
        return [obj for inner in value for obj in objects(inner, depth + 1)] if depth < 4 else []
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return objects(decoded(value), depth + 1) if depth < 4 else []
        except ValueError:
            return []
    if not isinstance(value, dict):
        return []
    if depth < 4 and not _own(value):
        for key in (*_LISTS, "message", "event"):
            inner = value.get(key)
            if isinstance(inner, (list, dict)) or (isinstance(inner, str) and inner[:1] in "{["):
                found = at(value, "event", "original") if key == "event" else inner
                return objects(found if found is not None else inner, depth + 1)
    return [value]
