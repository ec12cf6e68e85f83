"""vsftpd to login events: its own log, or through syslog.

- `login`: `OK LOGIN` and `FAIL LOGIN`.
- `connection`: `CONNECT`. `refused`: a connection turned away, and a user whom the user list denies, of whom vsftpd
  says nothing but the answer `530 Permission denied.` (with `log_ftp_protocol`).

`event_outcome` is `unknown` for a connection. Other commands and answers are ignored (`ftp_chat`), uploads and the
lines of an xferlog are `file_transfer`. The password of anonymous users is not stored.

Facts: vsftpd's logging.c, prelogin.c, and vsftpd.conf(5): `xferlog_enable`, `log_ftp_protocol`, `syslog_enable`.
"""

from __future__ import annotations

import re
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.lines import Collected, LineNormaliser, Taken, Unreadable
from streams.normalisers.login.login_fields import LOGIN_COLUMNS, LoginFields, login_row
from streams.normalisers.login.mail_account import put_account
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = ("login", "connection", "refused")

_STAMP = r"([A-Z][a-z]{2} [A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d \d{4})"
_OWN = re.compile(rf"{_STAMP} \[pid (\d{{1,10}})\] (.*)\Z", re.DOTALL | re.ASCII)
_XFERLOG = re.compile(rf"{_STAMP} \d+ \S+ \d+ .* [ab] [CUT_]+ [oid] [agr] ", re.ASCII)
_ADDRESS = r'"([0-9A-Fa-f:.]{2,45})"'
_ANONYMOUS = re.compile(rf"\[([^\]]{{1,64}})\] OK LOGIN: Client {_ADDRESS}, anon password \"", re.ASCII)
# The user name is the client's choice: the last verdict is vsftpd's own.
_LOGIN = re.compile(rf"\[(.*)\] (OK|FAIL) LOGIN: Client {_ADDRESS}(?:, \"(.*)\")?\Z", re.DOTALL | re.ASCII)
_CONNECT = re.compile(rf"CONNECT: Client {_ADDRESS}(?:, \"(.*)\")?\Z", re.DOTALL | re.ASCII)
_DENIED = re.compile(
    rf"\[(.*)\] FTP response: Client {_ADDRESS}, \"530 (Permission denied\.)\"\Z", re.DOTALL | re.ASCII
)
_VERDICT = re.compile(r"\] (?:OK|FAIL) LOGIN: Client ")
_CHAT = re.compile(r"(?:\[.{0,1024}?\] )?(?:FTP (?:command|response)|DEBUG|OK|FAIL)\b", re.DOTALL)


class VsftpdNormaliser(LineNormaliser):
    """vsftpd.log, or vsftpd through syslog."""

    kind = EventKind.LOGIN
    type_name = "vsftpd"
    COLUMNS = LOGIN_COLUMNS
    NEVER = frozenset(
        "user_known source_port source_mac source_domain session_id access_point nas_port terminal_name "
        "key_fingerprint target_user_name".split()
    )

    def _line(self, out: Collected, index: int, raw: bytes) -> None:
        text = raw.decode("utf-8", "backslashreplace")
        own = _OWN.match(text)
        if own is None:
            if _XFERLOG.match(text):
                out.ignored.append((index, Ignored.FILE_TRANSFER))
                return
            super()._line(out, index, raw)
            return
        timestamp = self._clock.micros(own[1])
        if timestamp is None:
            self._refuse(out, index, raw, Unreadable(Refused.BAD_TIME, f"no such time: {own[1]}"), None)
            return
        line = SyslogLine(own[1], None, "vsftpd", int(own[2]), own[3])
        self._add(out, index, raw, (timestamp, None, "vsftpd", line.pid), self._taken(line))

    def take(self, line: SyslogLine) -> Taken:
        """What a line says."""
        if line.program != "vsftpd":
            return Ignored.OTHER_PROGRAM
        message = line.message
        anonymous = _ANONYMOUS.match(message)
        if anonymous is not None:
            if _VERDICT.search(message, anonymous.end()):
                return Unreadable(Refused.BAD_FIELD, "two verdicts in a line")
            return _row("login", "success", anonymous[1], anonymous[2], None, "anonymous")
        login = _LOGIN.match(message)
        if login is not None:
            outcome = "success" if login[2] == "OK" else "failure"
            return _row("login", outcome, login[1], login[3], login[4], "password")
        denied = _DENIED.match(message)
        if denied is not None:
            return _row("refused", "failure", denied[1], denied[2], denied[3], None)
        connect = _CONNECT.match(message)
        if connect is not None:
            turned_away = connect[2] is not None
            action, outcome = ("refused", "failure") if turned_away else ("connection", "unknown")
            return _row(action, outcome, None, connect[1], connect[2], None)
        if "LOGIN: Client" in message and not _CHAT.match(message):
            return Unreadable(Refused.UNKNOWN_FORM, "a verdict of unknown form")
        return Ignored.FILE_TRANSFER if "LOAD: Client" in message else CloudIgnored.FTP_CHAT


def _row(action: str, outcome: str, user: str | None, ip: str, reason: str | None, method: str | None) -> Taken:
    fields: LoginFields = {"source_ip": addresses.ip(ip), "login_method": method, "event_reason": reason or None}
    put_account(fields, user)
    return login_row("vsftpd", action, outcome, "ftp", fields)
