"""ProFTPD to login events: through syslog, or its own SystemLog.

- `login`: `USER bob: Login successful.`, `(Login failed): …`, `no such user found`, and anonymous users.
- `refused`: root, and connections that a rule denies. `attempts_exceeded`: too many failures of a session.
- `connection`, `disconnect`: a session opened or closed, whether or not somebody logged in.

`event_outcome` is `unknown` for connections. `event_reason` is what stands behind `(Login failed):`. A user that does
not exist is `user_known` false.

Facts: ProFTPD's modules/mod_auth.c, src/main.c and src/log.c (1.3.5 to 1.3.8), mod_sftp.
"""

from __future__ import annotations

import re
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import LineNormaliser, Taken, Unreadable
from streams.normalisers.login.login_fields import LOGIN_COLUMNS, LoginFields, login_row
from streams.normalisers.login.mail_account import put_account
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import Splitter, SyslogLine

ACTIONS: Final = ("login", "refused", "attempts_exceeded", "connection", "disconnect")

_TAG = re.compile(r"(proftpd)\[(\d{1,10})\]:? +(.*)\Z", re.DOTALL | re.ASCII)
_PEER = re.compile(
    r"(?:[^\s()\[\]]{0,255} )?\(([^\s()\[\]]{0,255})\[([0-9A-Fa-f:.]{2,45})\]\)(?: - |: ?)(.*)\Z", re.DOTALL | re.ASCII
)
_FAILED = re.compile(r"USER (.*) \(Login failed\): (.*)\Z", re.DOTALL)
_NOT_FOUND = re.compile(
    r"USER (.*): no such user found from \S{1,300} \[([0-9A-Fa-f:.]{2,45})\] to \S{1,300}\Z", re.DOTALL
)
_DONE = re.compile(r"(USER|ANON|ANONYMOUS) (.*): Login successful\.?\Z", re.DOTALL)
_REASON = re.compile(
    r"(?:No such user|no such user|Incorrect|incorrect|Invalid|User in|Limit|Password|Account|Login|Non-|Class)"
)


class _TagSplitter(Splitter):
    """ProFTPD's own log has no colon behind the process id."""

    def split(self, line: str) -> SyslogLine | None:
        """See `Splitter.split`."""
        found = super().split(line)
        if found is None or found.program is not None:
            return found
        tag = _TAG.match(found.message)
        return found if tag is None else found._replace(program=tag[1], pid=int(tag[2]), message=tag[3])


class ProftpdNormaliser(LineNormaliser):
    """proftpd.log, or ProFTPD through syslog."""

    kind = EventKind.LOGIN
    type_name = "proftpd"
    COLUMNS = LOGIN_COLUMNS
    NEVER = frozenset(
        "source_port source_mac session_id access_point nas_port terminal_name key_fingerprint target_user_name".split()
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._splitter = _TagSplitter()

    def take(self, line: SyslogLine) -> Taken:
        """What a line says."""
        if line.program != "proftpd":
            return Ignored.OTHER_PROGRAM
        peer = _PEER.match(line.message)
        if peer is None:
            return Ignored.SERVICE_STATE
        name, address, said = peer.groups()
        fields: LoginFields = {"source_ip": addresses.ip(address)}
        fields["source_domain"] = name if name and addresses.ip(name) is None else None
        if said.startswith(("USER ", "ANON", "SECURITY")):
            return _verdict(said, fields)
        if said.endswith("session opened."):
            return login_row("proftpd", "connection", "unknown", "ftp", fields)
        fields["event_reason"] = said
        if said.startswith("Maximum login attempts"):
            return login_row("proftpd", "attempts_exceeded", "failure", "ftp", fields)
        if said.endswith(("session closed.", ", disconnected")):
            return login_row("proftpd", "disconnect", "unknown", "ftp", fields)
        if said.startswith(("Connection refused", "Connection from", "connection denied", "Refused")):
            return login_row("proftpd", "refused", "failure", "ftp", fields)
        return CloudIgnored.FTP_CHAT


def _verdict(said: str, fields: LoginFields) -> Taken:
    """The verdict on a user; its name is the client's choice and may hold another verdict: the last one counts."""
    failed = _FAILED.match(said)
    if failed is not None and _REASON.match(failed[2]):
        fields["event_reason"], fields["login_method"] = failed[2], "password"
        put_account(fields, failed[1], unknown=failed[2].lower().startswith("no such user"))
        return login_row("proftpd", "login", "failure", "ftp", fields)
    missing = _NOT_FOUND.match(said)
    if missing is not None:
        fields["event_reason"], fields["login_method"] = "no such user found", "password"
        put_account(fields, missing[1], unknown=True)
        return login_row("proftpd", "login", "failure", "ftp", fields)
    done = _DONE.match(said)
    if done is not None:
        fields["login_method"] = "password" if done[1] == "USER" else "anonymous"
        put_account(fields, done[2])
        return login_row("proftpd", "login", "success", "ftp", fields)
    if said.startswith("SECURITY VIOLATION"):
        fields["event_reason"], fields["user_name"] = said, "root"
        return login_row("proftpd", "refused", "failure", "ftp", fields)
    return Unreadable(Refused.UNKNOWN_FORM, "a verdict of unknown form")
