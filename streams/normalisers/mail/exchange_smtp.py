"""Exchange's SMTP receive protocol log to mail events: what a session's dialogue decided.

- `received`: a message was queued; its recipients are `accepted`: the message tracking log says what became of them.
- `rejected`: a sender, recipient or content that Exchange refused, with the answer.
- `authenticated`, `authentication_failed`: of a session.

`event_outcome` is `success` for the first and third, else `failure`. Sender, recipients and user are those that the
session named before; what is remembered of sessions is bounded (the oldest are forgotten). Rows of the send protocol
log are ignored (`smtp_dialogue`), as are all steps that decide nothing.

Facts: Microsoft, "Protocol logging in Exchange Server" (columns, signs) and the `#Fields` lines of the logs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail.joins import Remembered
from streams.normalisers.mail.parts import address, clipped, message_id, recipient_lists
from streams.normalisers.mail.reasons_services import ServicesIgnored
from streams.normalisers.masking import mask_text, masked_user
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read
from streams.normalisers.tables import TableNormaliser

ACTIONS: Final = ("received", "rejected", "authenticated", "authentication_failed")

_COLUMNS: Final = tuple(
    "date-time connector-id session-id sequence-number local-endpoint remote-endpoint event data context".split()
)
_QUOTED = r'"(?:[^"\\]|\\.){0,512}"'
_PATH = re.compile(rf"(MAIL FROM|RCPT TO): ?<((?:{_QUOTED})?[^>]*)>", re.IGNORECASE | re.DOTALL)
_HELO = re.compile(r"(?:EHLO|HELO) (\S{1,256})", re.IGNORECASE)
_METHOD = re.compile(r"(?:AUTH|Inbound AUTH) ([\w.\-]{1,32})", re.IGNORECASE | re.ASCII)
_USER = re.compile(r"User Name: (.{1,256})", re.DOTALL)
_ANSWER = re.compile(r"(\d{3})[ -](?:([245]\.\d{1,3}\.\d{1,3}) )?(.*)", re.DOTALL | re.ASCII)
_QUEUED = re.compile(r"<([^<>]{1,998})> \[InternalId=(\d{1,20})")
_SESSIONS: Final = 4_096
_MOST_RECIPIENTS: Final = 1_000
_REFUSING = frozenset({"450", "451", "452", "501", "530", "550", "551", "552", "553", "554"})


class ExchangeSmtpNormaliser(TableNormaliser):
    """Logs of the folder ProtocolLog/SmtpReceive; see the module."""

    kind = EventKind.MAIL
    type_name = "exchange_smtp"
    DATASET = "exchange_smtp"
    ALONE = True
    DEFAULT = _COLUMNS
    fields = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "email_message_id",
        "email_local_id", "email_from_address", "email_to_address", "email_to_original_address", "email_to_status",
        "email_to_dsn", "email_to_relay", "email_to_filter", "email_to_attempts", "source_ip", "source_port",
        "user_name", "login_method", "email_helo", "email_protocol",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._sessions = Remembered(_SESSIONS)

    def names_of(self, message: str) -> Sequence[str] | IgnoredReason | None:
        """`#Fields:` lines, and other comments."""
        message = message.removeprefix("\ufeff")
        if message[:8].lower() == "#fields:":
            return [name.strip().lower() for name in message[8:].split(",")]
        return Ignored.HEADER if message[:1] == "#" else None

    def row(self, values: Mapping[str, str], head: Head) -> Read:
        """See `TableNormaliser.row`."""
        del head
        session, sign = values.get("session-id", ""), values.get("event", "")
        if not session or not sign:
            return Unreadable(Refused.UNKNOWN_FORM, "a row without a session or an event")
        data, context = values.get("data", ""), values.get("context", "")
        said = self._said(session, sign, data, context)
        if isinstance(said, IgnoredReason):
            return said
        ip, port = _endpoint(values.get("remote-endpoint", ""))
        return {
            "timestamp": self.clock.micros(values.get("date-time", "")), "email_protocol": "SMTP", "source_ip": ip,
            "source_port": port, **said,
        }  # fmt: skip

    def _said(self, session: str, sign: str, data: str, context: str) -> Fact | IgnoredReason:
        known: dict[str, Any] = self._sessions.get(session) or {}
        if sign == "-":
            self._sessions.forget(session)
        elif sign == "<":
            self._sessions.keep(session, _heard(known, data))
        elif sign == "*":
            if context == "authenticated" and data:
                self._sessions.keep(session, {**known, "user": clipped(data)})
                return {**_named(known), "event_action": "authenticated", "event_outcome": "success",
                        "user_name": clipped(data)}  # fmt: skip
            noted = _USER.search(context) or _USER.search(data)
            method = _METHOD.match(context)
            if noted is not None or method is not None:
                names = {"failed": noted[1] if noted else None, "method": method[1] if method else None}
                self._sessions.keep(session, {**known, **{name: text for name, text in names.items() if text}})
        elif sign == ">":
            return self._answered(session, known, data)
        return ServicesIgnored.SMTP_DIALOGUE

    def _answered(self, session: str, known: dict[str, Any], data: str) -> Fact | IgnoredReason:
        answer = _ANSWER.match(data)
        if answer is None:
            return ServicesIgnored.SMTP_DIALOGUE
        code, dsn, words = answer.groups()
        if code == "535":
            user = masked_user(clipped(known["failed"])) if known.get("failed") else None
            return {**_named(known), "event_action": "authentication_failed", "event_outcome": "failure",
                    "event_reason": clipped(mask_text(data)), "user_name": user}  # fmt: skip
        queued = _QUEUED.match(words) if code == "250" else None
        to: list[str] = known.get("to", [])
        if queued is not None:
            self._sessions.keep(session, {name: known[name] for name in ("helo", "user", "method") if name in known})
            recipients = dict.fromkeys(to, ("", "accepted", "", "", False, 0))
            return {**_named(known), "event_action": "received", "event_outcome": "success",
                    "email_message_id": message_id(queued[1]), "email_local_id": queued[2],
                    "email_from_address": known.get("from"), **recipient_lists(recipients)}  # fmt: skip
        if code not in _REFUSING or not known.get("step"):
            return ServicesIgnored.SMTP_DIALOGUE
        refused = to[-1:] if known["step"] == "RCPT TO" else to
        if known["step"] == "RCPT TO":
            self._sessions.keep(session, {**known, "to": to[:-1], "step": ""})
        recipients = dict.fromkeys(refused, ("", "rejected", dsn or "", "", False, 0))
        return {**_named(known), "event_action": "rejected", "event_outcome": "failure", "event_reason": clipped(words),
                "email_from_address": known.get("from"), **recipient_lists(recipients)}  # fmt: skip

    def remember(self) -> dict[str, Any]:
        """The names of the columns, and what open sessions have said."""
        return {**super().remember(), "sessions": self._sessions.state()}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        super().recall(saved)
        self._sessions.restore(saved.get("sessions", []))


def _heard(known: dict[str, Any], data: str) -> dict[str, Any]:
    """What a session has said so far, with one more command of the client."""
    path = _PATH.match(data)
    if path is not None:
        step, mailbox = path[1].upper(), address(path[2])
        if step == "MAIL FROM":
            return {**known, "from": mailbox, "to": [], "step": step}
        return {**known, "to": [*known.get("to", []), mailbox][:_MOST_RECIPIENTS], "step": step}
    helo, method = _HELO.match(data), _METHOD.match(data)
    if helo is not None:
        return {**known, "helo": clipped(helo[1])}
    if method is not None:
        return {**known, "method": method[1]}
    return {**known, "step": data[:4].upper()} if data[:4].upper() in {"DATA", "BDAT"} else known


def _named(known: Mapping[str, Any]) -> Fact:
    return {
        "user_name": known.get("user"), "login_method": known.get("method"), "email_helo": known.get("helo"),
    }  # fmt: skip


def _endpoint(text: str) -> tuple[str | None, int | None]:
    host, _, port = text.rpartition(":")
    return addresses.ip(host.strip("[]")), addresses.port(port)
