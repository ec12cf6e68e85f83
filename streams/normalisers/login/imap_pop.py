"""The IMAP and POP3 servers beside Dovecot, through syslog, to login events: Courier, Cyrus, UW imapd.

- `login`: Courier's `LOGIN` and `LOGIN FAILED`, Cyrus' `login:` and `badlogin:`, UW's `Login user=`, `Auth user=`,
  `Login failed` and `Login failure`.
- `attempts_exceeded`: UW's `excessive login failures`. `refused`: `Login disabled`.
- `connection`, `session_end` (with its length where the server says it), `disconnect`: gone before a login.

`event_dataset` is the product: `courier`, `cyrus` or `uw_imap`. `event_outcome` is `unknown` for connections.

Facts: Courier's imaplogin.c, pop3login.c and imapd.c; Cyrus' imapd.c, pop3d.c (2.3 to 3.8); UW's imapd.c and ipop3d.c.
"""

from __future__ import annotations

import re
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.lines import LineNormaliser, Taken, Unreadable
from streams.normalisers.login.login_fields import LOGIN_COLUMNS, LoginFields, login_row
from streams.normalisers.login.mail_account import put_account
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = ("login", "attempts_exceeded", "refused", "connection", "session_end", "disconnect")

_PROGRAM = re.compile(
    r"(?:.*/)?(imapd?|imapd-ssl|imaps|pop3d?|pop3d-ssl|pop3s|ipop3d|ipop2d|sieve|timsieved|imaplogin|pop3login|nntpd?)"
    r"\Z",
    re.ASCII,
)
_SERVICES: Final = {"i": "imap", "p": "pop3", "s": "sieve", "t": "sieve", "n": "nntp"}

_COURIER = re.compile(
    r"(LOGIN FAILED|LOGIN|LOGOUT|DISCONNECTED|TIMEOUT|Connection)(?:, user=(.*))?(?:, method=(\w{1,32}))?"
    r", ip=\[([0-9A-Fa-f:.]{2,45})\](?:, port=\[(\d{1,5})\])?((?:, \w{1,16}=[\w.]{0,32})*)\Z",
    re.DOTALL | re.ASCII,
)
_TIME = re.compile(r", time=(\d{1,9})\b", re.ASCII)
_CYRUS_IN = re.compile(
    r"login: (?:([^\s\[\]]{1,255}) )?\[([0-9A-Fa-f:.]{2,45})\] (.*) (\S{1,40}) User logged in ?"
    r"(?:SESSIONID=<([^>]{1,128})>)?.*\Z",
    re.DOTALL | re.ASCII,
)
_CYRUS_BAD = re.compile(
    r"badlogin: (?:([^\s\[\]]{1,255}) )?\[([0-9A-Fa-f:.]{2,45})\] (\S{1,40})"
    r"(?: \(?(.*?)\)?)? \[?(SASL\(-?\d{1,3}\): .*?)\]?\Z",
    re.DOTALL | re.ASCII,
)
_UW = re.compile(
    r"(Login failed|Login failure|Login excessive login failures|Login disabled|Login|Authenticated|Auth|Logout|"
    r"Autologout|Killed|Command stream end of file[^=]{0,64}|Connection [^=]{0,64})"
    r" user=(.*?)(?: auth=(.*?))? host=([^\s\[\]]{0,255}) ?\[([0-9A-Fa-f:.]{2,45})\]",
    re.DOTALL | re.ASCII,
)
_UW_WORDS: Final = {
    "Login": ("login", "success"), "Auth": ("login", "success"), "Authenticated": ("login", "success"),
    "Login failed": ("login", "failure"), "Login failure": ("login", "failure"),
    "Login excessive login failures": ("attempts_exceeded", "failure"), "Login disabled": ("refused", "failure"),
}  # fmt: skip
_UW_FROM = re.compile(r"(?:imaps?|pop[23]s?) (?:SSL )?service init from ([0-9A-Fa-f:.]{2,45})\Z", re.ASCII)
_STARTS = ("LOGIN", "login: ", "badlogin: ", "Login ")


class ImapPopNormaliser(LineNormaliser):
    """imapd, pop3d and their kin through syslog."""

    kind = EventKind.LOGIN
    type_name = "imap_pop"
    COLUMNS = (*LOGIN_COLUMNS, "session_seconds")
    NEVER = frozenset("source_mac access_point nas_port terminal_name key_fingerprint target_user_name".split())

    def take(self, line: SyslogLine) -> Taken:
        """What a line says."""
        named = _PROGRAM.match(line.program) if line.program is not None else None
        if named is None:
            return Ignored.OTHER_PROGRAM
        service = _SERVICES[named[1][0] if not named[1].startswith("ip") else "p"]
        message = line.message
        courier = _COURIER.match(message)
        if courier is not None:
            return _courier(courier, service)
        cyrus = _CYRUS_IN.match(message)
        if cyrus is not None:
            host, ip, user, method, session = cyrus.groups()
            fields = _from(host, ip)
            fields["login_method"], fields["session_id"] = method.partition("+")[0].lower(), session
            put_account(fields, user)
            return (*login_row("cyrus", "login", "success", service, fields), None)
        bad = _CYRUS_BAD.match(message)
        if bad is not None:
            host, ip, method, user, reason = bad.groups()
            fields = _from(host, ip)
            fields["login_method"], fields["event_reason"] = method.partition("+")[0].lower(), reason
            put_account(fields, user, unknown="user not found" in reason)
            return (*login_row("cyrus", "login", "failure", service, fields), None)
        return _uw(message, service)


def _from(host: str | None, ip: str) -> LoginFields:
    return {"source_ip": addresses.ip(ip), "source_domain": host if host and addresses.ip(host) is None else None}


def _courier(found: re.Match[str], service: str) -> Taken:
    word, user, method, ip, port, rest = found.groups()
    fields: LoginFields = {"source_ip": addresses.ip(ip), "source_port": addresses.port(port)}
    fields["login_method"] = method and method.lower()
    put_account(fields, user)
    seconds = _TIME.search(rest)
    length = int(seconds[1]) if seconds is not None else None
    if word in ("LOGIN", "LOGIN FAILED"):
        outcome = "success" if word == "LOGIN" else "failure"
        return (*login_row("courier", "login", outcome, service, fields), None)
    if word == "Connection":
        return (*login_row("courier", "connection", "unknown", service, fields), None)
    fields["event_reason"] = word
    if user:
        return (*login_row("courier", "session_end", "success", service, fields), length)
    return (*login_row("courier", "disconnect", "unknown", service, fields), None)


def _uw(message: str, service: str) -> Taken:
    """What UW's servers say, and what remains."""
    found = _UW.match(message)
    if found is None:
        init = _UW_FROM.match(message)
        if init is not None:
            fields: LoginFields = {"source_ip": addresses.ip(init[1])}
            return (*login_row("uw_imap", "connection", "unknown", service, fields), None)
        if message.startswith(_STARTS):
            return Unreadable(Refused.UNKNOWN_FORM, "a verdict of unknown form")
        return CloudIgnored.IMAP_OTHER
    word, user, _, host, ip = found.groups()
    fields = _from(host, ip)
    nobody = user in ("", "???")
    put_account(fields, None if nobody else user)
    action, outcome = _UW_WORDS.get(word, ("disconnect", "unknown") if nobody else ("session_end", "success"))
    fields["event_reason"] = None if outcome == "success" and action == "login" else word
    return (*login_row("uw_imap", action, outcome, service, fields), None)
