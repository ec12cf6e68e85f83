"""Pure-FTPd to login events, through syslog.

- `login`: `… is now logged in`, `Authentication failed for user […]`, anonymous users.
- `attempts_exceeded`: too many failures. `refused`: turned away by a rule.
- `connection`: `New connection from …`. `session_end`: `Logout.`. `disconnect`: a timeout.

`event_outcome` is `unknown` for connections and timeouts. A client logged by name (without `-H`) is `source_domain`.

Facts: Pure-FTPd's src/messages_en.h and ftpd.c (1.0.20 to 1.0.51).
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

# No bracket in the name before the host: what a client typed stands only behind the level.
_HEAD = re.compile(r"\(([^()\s]{0,256})@([^@()\s]{1,255})\) \[([A-Z]{4,8})\] (.*)\Z", re.DOTALL)
_FAILED = re.compile(r"Authentication failed for user \[(.*)\]\Z", re.DOTALL)
_DONE = re.compile(r"(.*) is now logged in\Z", re.DOTALL)
_FROM = re.compile(r"New connection from (\S{1,255})\Z")


class PureFtpdNormaliser(LineNormaliser):
    """Pure-FTPd through syslog."""

    kind = EventKind.LOGIN
    type_name = "pure_ftpd"
    COLUMNS = LOGIN_COLUMNS
    NEVER = frozenset(
        "user_known source_port source_mac session_id access_point nas_port terminal_name key_fingerprint "
        "target_user_name".split()
    )

    def take(self, line: SyslogLine) -> Taken:
        """What a line says."""
        if line.program not in ("pure-ftpd", "pure-ftpd-mysql", "pure-ftpd-postgresql", "pure-ftpd-ldap"):
            return Ignored.OTHER_PROGRAM
        head = _HEAD.match(line.message)
        if head is None:
            return Ignored.SERVICE_STATE
        user, host, _, said = head.groups()
        fields: LoginFields = {}
        _from(fields, host)
        failed = _FAILED.match(said)
        if failed is not None:
            fields["login_method"] = "password"
            put_account(fields, failed[1])
            return login_row("pure_ftpd", "login", "failure", "ftp", fields)
        done = _DONE.match(said)
        if done is not None:
            fields["login_method"] = "password"
            put_account(fields, done[1])
            return login_row("pure_ftpd", "login", "success", "ftp", fields)
        put_account(fields, None if user == "?" else user)
        return _other(said, fields)


def _from(fields: LoginFields, host: str) -> None:
    ip = addresses.ip(host)
    fields["source_ip"] = ip
    fields["source_domain"] = None if ip is not None or host == "?" else host


def _other(said: str, fields: LoginFields) -> Taken:
    if said == "Anonymous user logged in":
        fields["login_method"] = "anonymous"
        fields.setdefault("user_name", "anonymous")
        return login_row("pure_ftpd", "login", "success", "ftp", fields)
    opened = _FROM.match(said)
    if opened is not None:
        _from(fields, opened[1])
        return login_row("pure_ftpd", "connection", "unknown", "ftp", fields)
    if said.startswith("Logout"):
        return login_row("pure_ftpd", "session_end", "success", "ftp", fields)
    fields["event_reason"] = said
    if said.startswith(("Timeout", "The client closed", "Client disconnected")):
        return login_row("pure_ftpd", "disconnect", "unknown", "ftp", fields)
    if said.startswith("Too many authentication failures"):
        return login_row("pure_ftpd", "attempts_exceeded", "failure", "ftp", fields)
    if said.startswith(("Too many connections", "Sorry, ", "This is a private system", "Only anonymous FTP")):
        return login_row("pure_ftpd", "refused", "failure", "ftp", fields)
    if "logged in" in said or "uthentication failed" in said:
        return Unreadable(Refused.UNKNOWN_FORM, "a verdict of unknown form")
    return CloudIgnored.FTP_CHAT
