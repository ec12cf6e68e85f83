"""What a record of Gmail's log says, whichever way Google hands it out.

Facts from Google's "Schema for Gmail logs in BigQuery" (`event_info`, `message_info`, the numbers of `action_type`
and `mail_event_type`), "Gmail Activity Events" (Reports API), "Gmail log events" and "Email log search export fields".
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from streams.normalisers import addresses
from streams.normalisers.json_records import at, text
from streams.normalisers.mail.exchange_events import mailbox
from streams.normalisers.mail.parts import (
    Attachment,
    attachment_lists,
    clipped,
    message_id,
    outcome_of,
    recipient_lists,
    subject_facts,
    whole,
)
from streams.normalisers.mail.reasons_services import ServicesIgnored
from streams.normalisers.reasons import Ignored, IgnoredReason
from streams.normalisers.records import Fact

ACTIONS: Final = (
    "message", "received", "submitted", "expanded", "deferred", "discarded", "held", "released", "rejected",
)  # fmt: skip

FIELDS: Final = (
    "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "email_message_id",
    "email_from_address", "email_header_from_address", "email_to_address", "email_to_original_address",
    "email_to_status", "email_to_dsn", "email_to_relay", "email_to_filter", "email_to_attempts", "email_size",
    "email_subject_hash", "email_subject", "email_direction", "email_verdict", "email_threat", "email_attachment_name",
    "email_attachment_type", "email_attachment_hash", "email_attachment_size", "source_ip", "user_name",
)  # fmt: skip

_BY_STAGE: Mapping[int, tuple[str, str]] = {
    1: ("received", "accepted"),
    2: ("received", "accepted"),
    3: ("message", "sent"),
    10: ("message", "sent"),
    14: ("deferred", "deferred"),
    18: ("message", "bounced"),
    19: ("discarded", "discarded"),
    45: ("expanded", "accepted"),
    46: ("expanded", "accepted"),
    48: ("received", "accepted"),
    49: ("rejected", "rejected"),
    51: ("expanded", "accepted"),
    54: ("expanded", "accepted"),
}
"""`message_info.action_type` -> event_action, status of the recipients."""

_BY_EVENT: Mapping[int, tuple[str, str]] = {
    1: ("message", "sent"),
    2: ("message", "sent"),
    5: ("held", "quarantined"),
    6: ("released", "accepted"),
    30: ("message", "bounced"),
    34: ("rejected", "rejected"),
    35: ("submitted", "accepted"),
}
"""`event_info.mail_event_type`, where that says more than the stage or there is no stage."""

_MORE_THAN_A_STAGE = frozenset({5, 6, 30, 34, 35})
_STAGES_WITHOUT_EVENT = frozenset({None, 0, 1, 2})
_VERDICTS: Mapping[int, str] = {1: "clean", 2: "spam", 3: "phish", 4: "unknown", 5: "malware"}
_FAMILIES: Mapping[int, str] = {
    1: "known malicious program", 2: "virus or worm", 3: "harmful content", 4: "unwanted content", 5: "other malware",
}  # fmt: skip
_DSN = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])", re.ASCII)
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{32,128}\Z", re.ASCII)
_TRIED = frozenset({"sent", "bounced", "deferred"})
_EMPTY: Mapping[str, Any] = {}
MOST_RECIPIENTS: Final = 10_000


To: TypeAlias = tuple[str, str, str]
"""A recipient: address, the service that took it over (`gmail-ui`, `smtp-outbound` …), what the server answered."""


def tree(parameters: Any) -> dict[str, Any]:
    """Parameters of an activity (Reports API) as nested objects; names with dots are paths."""
    if isinstance(parameters, dict):
        return parameters
    found: dict[str, Any] = {}
    for parameter in parameters if isinstance(parameters, list) else ():
        if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
            continue
        *path, last = parameter["name"].split(".")[:8]
        place = found
        for step in path:
            inner = place.setdefault(step, {})
            place = inner if isinstance(inner, dict) else place
        value = _value(parameter)
        if isinstance(value, dict) and isinstance(place.get(last), dict):
            place[last].update(value)
        else:
            place[last] = value
    return found


def _value(parameter: dict[str, Any]) -> Any:
    for name in ("value", "intValue", "boolValue", "multiValue", "multiIntValue"):
        if name in parameter:
            return parameter[name]
    if "messageValue" in parameter:
        return tree(at(parameter, "messageValue", "parameter"))
    inner = parameter.get("multiMessageValue")
    return [tree(at(one, "parameter")) for one in inner] if isinstance(inner, list) else None


def gmail_fact(record: Mapping[str, Any], user: str | None, client: str | None, *, keep: bool) -> Fact | IgnoredReason:
    """The event of a record (`event_info`, `message_info`), without its time; the reason why it is none.

    Args:
        record: The record.
        user: Account whose action it is.
        client: Address that stands outside the record.
        keep: Whether to store the subject.
    """
    event, message = _object(record, "event_info"), _object(record, "message_info")
    number, stage = integer(event.get("mail_event_type")), integer(message.get("action_type"))
    failed = event.get("success") is False
    kind = _plan(number, stage, failed)
    if kind is None:
        return ServicesIgnored.MAIL_READING if number or stage in {69, 70, 71} else Ignored.OTHER_RECORD
    action, status = kind
    connection, source = _object(message, "connection_info"), _object(message, "source")
    to = destinations(message)
    recipients = _recipients(to, status, stage, _relay(connection))
    found_id, subject = message.get("rfc2822_message_id"), message.get("subject")
    fact: Fact = recipient_lists(recipients)
    _dangers(fact, message)
    fact["event_action"] = action
    fact["event_outcome"] = _outcome(action, [known[1] for known in recipients.values()], failed=failed)
    fact["email_message_id"] = message_id(found_id) if isinstance(found_id, str) else None
    fact["email_from_address"] = _address(source.get("address"))
    fact["email_header_from_address"] = _address(source.get("from_header_address"))
    fact["email_size"] = integer(message.get("payload_size"))
    fact["email_direction"] = _direction(connection, source, to)
    fact["source_ip"] = _client(connection, client)
    fact["user_name"] = user if number in {1, 35} else None
    if isinstance(subject, str):
        fact |= subject_facts(subject, keep=keep)
    if failed or status not in {"sent", "accepted"}:
        fact["event_reason"] = _reason(message, connection)
    if "client_context" in event:
        delegate = text(at(event, "client_context", "session_context", "delegate_user_email"))
        fact["user_name"] = delegate or fact["user_name"]
    return fact


@lru_cache(maxsize=1_024)
def _plan(number: int | None, stage: int | None, failed: bool) -> tuple[str, str] | None:  # noqa: FBT001 - see _kind
    """`_kind`, and what a failure makes of it."""
    kind = _kind(number, stage)
    if kind is None or not failed:
        return kind
    return {"accepted": ("rejected", "rejected"), "sent": (kind[0], "bounced")}.get(kind[1], kind)


def _object(outer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = outer.get(name)
    return found if isinstance(found, dict) else _EMPTY


def _kind(number: int | None, stage: int | None) -> tuple[str, str] | None:
    if number in _MORE_THAN_A_STAGE and number is not None:
        return _BY_EVENT[number]
    if number not in _STAGES_WITHOUT_EVENT:
        return None
    if stage is not None and stage in _BY_STAGE:
        return _BY_STAGE[stage]
    return _BY_EVENT.get(number or 0) if stage is None else None


def integer(value: Any) -> int | None:
    """A number without sign, logged as number or text; None for anything else."""
    if type(value) is int:  # no boolean
        return value if 0 <= value < 2**63 else None
    return whole(value) if isinstance(value, str) else None


def _address(value: Any) -> str | None:
    return mailbox(value) if isinstance(value, str) and value else None


def destinations(message: Mapping[str, Any]) -> list[To]:
    """Recipients of a record: the list, else the text `service:selector:address,…`."""
    listed = message.get("destination")
    found: list[To] = []
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and (address := text(one.get("address"))):
            service, answer = one.get("service"), one.get("rcpt_response")
            service = service if service.__class__ is str else text(service) or ""
            found.append((mailbox(address), service, (text(answer) or "") if answer else ""))
    if found:
        return found[:MOST_RECIPIENTS]
    flat = text(message.get("flattened_destinations")) or ""
    for one in flat.split(",")[:MOST_RECIPIENTS]:
        service, _, rest = one.strip().partition(":")
        to = rest.partition(":")[2]
        if to:
            found.append((mailbox(to), service, ""))
    return found


def _recipients(to: Sequence[To], status: str, stage: int | None, relay: str) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for one in to:
        address, service, answer = one
        ended = status
        if stage == 3 and status == "sent" and service.startswith("smtp-outbound"):
            ended = "accepted"  # handed to the outbound server, whose record says how it went
        match = _DSN.search(answer[:1_000]) if answer else None
        code = "" if match is None else match[1]
        if stage == 10 and code[:1] in {"4", "5"}:
            ended = "deferred" if code[0] == "4" else "bounced"
        found[address] = ("", ended, code, relay, False, 1 if ended in _TRIED else 0)
    return found


def _relay(connection: Mapping[str, Any]) -> str:
    host, ip = connection.get("smtp_out_remote_host"), connection.get("smtp_out_connect_ip")
    if not host and not ip:
        return ""
    host, ip = text(host), text(ip)
    return clipped(f"{host}[{ip}]" if host and ip else host or ip or "")


def _outcome(action: str, statuses: Sequence[str], *, failed: bool) -> str:
    if action == "message":
        return outcome_of(statuses) if statuses else "failure" if failed else "unknown"
    return "failure" if action in {"rejected", "discarded"} else "unknown"


def _reason(message: Mapping[str, Any], connection: Mapping[str, Any]) -> str | None:
    words = text(message.get("description")) or text(connection.get("smtp_response_reason"))
    return None if words in {None, "", "No Error"} else clipped(words or "")


def _direction(connection: Mapping[str, Any], source: Mapping[str, Any], to: Sequence[To]) -> str | None:
    if connection.get("is_internal") is True or connection.get("is_intra_domain") is True:
        return "internal"
    if source.get("service") == "smtp-inbound":
        return "inbound"
    return "outbound" if any(service.startswith("smtp-outbound") for _, service, _ in to) else None


def _dangers(fact: Fact, message: Mapping[str, Any]) -> None:
    """Put attachments, verdict and threat into a fact."""
    attachments: list[Attachment] = []
    threat = None
    listed = message.get("attachment")
    for one in listed[:1_000] if listed and isinstance(listed, list) else ():
        if not isinstance(one, dict):
            continue
        name, kind = text(one.get("file_name")) or "", text(one.get("file_extension_type")) or ""
        digest = text(one.get("sha256")) or ""
        if name or kind or digest:
            attachments.append((clipped(name), clipped(kind), hexadecimal(digest), -1))
        if threat is None and "malware_family" in one:
            threat = _FAMILIES.get(integer(one["malware_family"]) or 0)
    spam = message.get("spam_info")
    verdict = _VERDICTS.get(integer(spam.get("disposition")) or 0) if isinstance(spam, dict) else None
    if threat is not None:
        verdict = "malware"
    elif message.get("is_spam") is True and verdict in {None, "clean"}:
        verdict = "spam"
    fact["email_verdict"], fact["email_threat"] = verdict, threat
    if attachments:
        fact |= attachment_lists(attachments)


def hexadecimal(digest: str) -> str:
    """A hash in lower-case hexadecimal digits, from these or from base64; empty where it is none."""
    if _HEXADECIMAL.match(digest):
        return digest.lower()
    try:
        return b64decode(digest, validate=True).hex() if len(digest) == 44 else ""
    except ValueError:
        return ""


def _client(connection: Mapping[str, Any], outside: str | None) -> str | None:
    first = connection.get("client_ip")  # most by far
    if first.__class__ is str and (address := addresses.ip(first)) is not None:
        return address
    for name in ("client_ip", "smtp_in_connect_ip", "smtp_user_agent_ip"):
        found = text(connection.get(name))
        if found is not None and (address := addresses.ip(found)) is not None:
            return address
    return addresses.ip(outside) if outside else None
