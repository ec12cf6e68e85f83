"""The IMAP4 and POP3 protocol logs of Microsoft Exchange to login events.

- `login`: `login` and `authenticate` (IMAP), `auth` and `pass` (POP) with the server's answer.
- `session_end`: `logout` and `quit` of somebody.
- `connection`, `disconnect`: `OpenSession`, `CloseSession`.

`event_outcome` is `failure` where the context has `AuthFailed` or the answer is NO, BAD or -ERR, `success` where it is
OK, else `unknown`. Other commands are ignored (`exchange_command`).

Facts: Microsoft, "Protocol logging for POP3 and IMAP4 in Exchange Server": the columns, and `#Fields` lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.login import cloud
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.reasons import Ignored, IgnoredReason
from streams.normalisers.records import Fact, Head, Read
from streams.normalisers.tables import TableNormaliser

ACTIONS: Final = ("login", "session_end", "connection", "disconnect")

_COLUMNS = ("datetime", "sessionid", "seqnumber", "sip", "cip", "user", "duration", "rqsize", "rpsize", "command")
_ATTEMPTS = frozenset({"login", "authenticate", "auth", "pass", "apop"})
_OTHERS: Final[Mapping[str, str]] = {
    "logout": "session_end",
    "quit": "session_end",
    "opensession": "connection",
    "closesession": "disconnect",
}
_PORTS: Final[Mapping[str, str]] = {"143": "imap", "993": "imap", "110": "pop3", "995": "pop3"}
_ANSWER = re.compile(r'(?:^|;)R="?(\S{0,64} ?(OK|NO|BAD)\b|\+OK|-ERR|ok\b)', re.IGNORECASE)
_ERROR = re.compile(r'(?:^|;)(?:(?:ErrMsg|Msg)="?|R="?-ERR )([^";]{1,200})')


class ExchangeImapPopNormaliser(TableNormaliser):
    """Logs of the folders Imap4 and Pop3."""

    kind = EventKind.LOGIN
    type_name = "exchange_imap_pop"
    DATASET = "exchange_imap_pop"
    DEFAULT = (*_COLUMNS, "parameters", "context", "puid")
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason observer_hostname process_name process_pid "
        "user_name user_domain source_ip source_port login_method service_name session_id".split()
    )

    def names_of(self, message: str) -> Sequence[str] | IgnoredReason | None:
        """See `TableNormaliser.names_of`."""
        text = message.removeprefix("\ufeff")
        if text.startswith("#Fields: "):
            return [name.strip().lower() for name in text.removeprefix("#Fields: ").split(",")]
        return Ignored.HEADER if text.startswith("#") else None

    def row(self, values: Mapping[str, str], head: Head) -> Read:
        """See `TableNormaliser.row`."""
        del head
        when = cloud.utc(values.get("datetime"))
        if when is None:
            return cloud.NO_TIME
        command = (values.get("command") or "").strip().lower()
        action = "login" if command in _ATTEMPTS else _OTHERS.get(command)
        if action is None:
            return CloudIgnored.EXCHANGE_COMMAND
        context = values.get("context") or ""
        ip, port = cloud.address(values.get("cip"))
        outcome = _outcome(context)
        if action != "login":
            outcome = "unknown" if action in ("connection", "disconnect") else "success"
        error = _ERROR.search(context)
        fact: Fact = {
            "timestamp": when,
            "event_action": action,
            "event_outcome": outcome,
            "event_reason": cloud.reason(error[1]) if error is not None and outcome == "failure" else None,
            "source_ip": ip,
            "source_port": port,
            "login_method": _method(command, values.get("parameters") or "") if action == "login" else None,
            "service_name": _PORTS.get((values.get("sip") or "").rpartition(":")[2], "exchange"),
            "session_id": values.get("sessionid") or None,
        }
        cloud.name_account(fact, values.get("user") or None)
        return fact


def _outcome(context: str) -> str:
    if "AuthFailed" in context:
        return "failure"
    answer = _ANSWER.search(context)
    if answer is None:
        return "unknown"
    return "success" if (answer[2] or answer[1]).upper().lstrip("+") == "OK" else "failure"


def _method(command: str, parameters: str) -> str:
    mechanism = parameters.split()
    return mechanism[0].lower() if command in ("authenticate", "auth") and mechanism else "password"
