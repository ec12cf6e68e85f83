"""Dovecot, the IMAP and POP3 server, to login events.

Read are the lines of versions 1.2 to 2.4, through syslog or from Dovecot's own log file.

- `login`: what the login processes (imap-login, pop3-login, managesieve-login, submission-login) decided: `Login:`, or
  a disconnect that says `auth failed, N attempts`, which is N failures (at most `MAX_REPEATS`).
- `authentication`, `unknown_user`: what the auth process says about one lookup; the login process has the verdict.
- `refused`: plain text without TLS, a certificate that is due, too many connections of the user.
- `handshake_failed`: TLS, or a mechanism that the server has not.
- `disconnect`: gone before any attempt was decided.
- `session_end`: the mailbox session ended.

`event_outcome` is `unknown` for a disconnect without an attempt. `event_reason` is the phrase in brackets. Passwords
that `auth_verbose_passwords` writes are dropped, and masked in dead letters.

Facts: Dovecot's login-common/client-common.c and sasl-server.c, auth/auth-request.c, and the documentation of
`login_log_format_elements`, `auth_verbose` and `auth_verbose_passwords`.
"""

from __future__ import annotations

import re
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import MAX_REPEATS, Collected, Fields, LineNormaliser, Taken, Unreadable
from streams.normalisers.login.login_fields import LOGIN_COLUMNS, LoginFields, login_row
from streams.normalisers.login.mail_account import put_account
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.masking import MASK
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import Splitter, SyslogLine

ACTIONS: Final = (
    "login", "authentication", "unknown_user", "refused", "handshake_failed", "disconnect", "session_end",
)  # fmt: skip

_PROCESS = re.compile(
    r"(imap-login|pop3-login|managesieve-login|submission-login|sieve-login|auth-worker|auth|imap|pop3|managesieve|"
    r"submission|lmtp|lda|doveadm|master|config|stats|anvil|log|indexer|indexer-worker|ssl-params|director|replicator|"
    r"dict|ipc|old-stats|imap-urlauth(?:-login)?|imap-hibernate|quota-status|script-login|health-check|dns-client)"
    r"(?=[(<:\[])",
    re.ASCII,
)
_LEVEL = re.compile(r"(?:Info|Warning|Error|Fatal|Debug): ")
_VERDICT = re.compile(
    r"(?:Login|Logged in|Disconnected|Aborted login|Login aborted|Remote closed connection|Client has quit|"
    r"Maximum number of connections|proxy\(|Too many invalid|Connection closed)"
)
_ELEMENTS = re.compile(
    r"user=<(.*)>(?:, method=([^,]{0,64}))?, rip=([^\s,]{1,64})(?:, rport=(\d{1,5}))?(?:, lip=[^\s,]{1,64})?(.*)\Z",
    re.DOTALL | re.ASCII,
)
_NO_USER = re.compile(r"(?:^|, |: )(?:method=([^,]{0,64}), )?rip=([^\s,]{1,64})(.*)\Z", re.DOTALL | re.ASCII)
_SESSION = re.compile(r"session=<([^>]{1,128})>")
_WHY = re.compile(
    r"\((no auth attempts|auth failed, (\d{1,9}) attempts|tried to use disallowed plaintext auth|tried to use disabled|"
    r"cert required|client sent an invalid cert|client didn't (?:send|present)|tried to use unsupported auth mechanism|"
    r"client didn't finish|disconnected (?:while|before)|aborted authentication|auth process communication|"
    r"internal failure|user disabled|password expired|proxy dest auth failed|authorization failed|user not authorized)"
    r"[^()]{0,80}\)"
)
_LOOKUP = re.compile(
    r"(?:conn unix:[^)]{0,128}\): auth-worker<\d+>: )?"
    r"([a-z0-9\-]{2,24})\((.*),([0-9A-Fa-f.:]{2,45})(?:,<([^>]{0,128})>)?"
    r"(?:,[a-z\-]{1,16})?\): (.*)\Z",
    re.DOTALL | re.ASCII,
)
_FAILED = re.compile(
    r"(?:unknown user|user unknown|pam_authenticate\(\) failed|[Pp]assword mismatch|invalid (?:credentials|password)|"
    r"Authentication failure|authentication failed|CRYPT|Login attempted with password having|oauth2 failed|"
    r"Empty username|Username character disallowed|User is disabled|Password expired|allow_nets check failed|"
    r"auth failed|account (?:is )?(?:disabled|expired|locked))",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(r"unknown user|user unknown|User not known", re.IGNORECASE)
_SESSION_END = re.compile(
    r"(imap|pop3|managesieve|submission)\((.*)\)(?:<\d{1,18}><([^>]{1,128})>)?: (?:Info: )?"
    r"((?:Disconnected|Logged out|Connection closed|Server shutting down|Inactivity|Too many invalid).*)\Z",
    re.DOTALL | re.ASCII,
)
_BARE = re.compile(r"(?:method|rip)=")
_DECIDED = frozenset(
    {"user disabled", "password expired", "proxy dest auth failed", "authorization failed", "user not authorized"}
)
_TURNED_AWAY = ("tried to use dis", "cert required", "client sent", "client didn't send", "client didn't present")
_COUNTS = re.compile(r" (?:in=\d|top=\d|bytes=\d)")
_GIVEN = re.compile(r" \((?:[A-Z0-9\-]{1,12} of )?given password:")
_GIVEN_BYTES = re.compile(rb"(given password: ).*", re.DOTALL)


class _TagSplitter(Splitter):
    """A tag such as `imap(bob)<12><session>` names a person: it goes to the message, the program is Dovecot."""

    def split(self, line: str) -> SyslogLine | None:
        """See `Splitter.split`."""
        found = super().split(line)
        if found is None or found.program is None or "(" not in found.program:
            return found
        return found._replace(program="dovecot", message=f"{found.program}: {found.message}")


class DovecotNormaliser(LineNormaliser):
    """Dovecot through syslog, or its own log file."""

    kind = EventKind.LOGIN
    type_name = "dovecot"
    COLUMNS = LOGIN_COLUMNS
    NEVER = frozenset(
        "source_mac source_domain access_point nas_port terminal_name key_fingerprint target_user_name".split()
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._splitter = _TagSplitter()

    def take(self, line: SyslogLine) -> Taken:
        """What a line says."""
        program, text = line.program, line.message
        if program is not None and program != "dovecot":
            if _PROCESS.match(f"{program}:") is None:
                return Ignored.OTHER_PROGRAM
            text = f"{program}: {text}"
        named = _PROCESS.match(text)
        if named is None:
            return CloudIgnored.DOVECOT_OTHER
        process = named[1]
        if process.endswith("-login"):
            return _login(process.removesuffix("-login"), _behind(text, len(process)))
        if process in ("auth", "auth-worker"):
            return _lookup(_behind(text, len(process)))
        return _session_end(text)

    def _refuse(self, out: Collected, index: int, raw: bytes, why: Unreadable, timestamp: int | None) -> None:
        super()._refuse(out, index, _GIVEN_BYTES.sub(rb"\1" + MASK.encode(), raw), why, timestamp)


def _behind(text: str, start: int) -> str:
    """What stands behind the name of the process and the level."""
    cut = text.find(": ", start)
    message = text[cut + 2 :] if cut >= 0 else ""
    level = _LEVEL.match(message)
    return message if level is None else message[level.end() :]


def _login(service: str, message: str) -> Taken:
    """What a login process says."""
    if _VERDICT.match(message) is None:
        return CloudIgnored.DOVECOT_OTHER
    cut = message.find("user=<")
    phrase = message[: cut if cut >= 0 else len(message)]
    fields, tail = _elements(message if cut < 0 else message[cut:])
    if message.startswith(("Login: ", "Logged in: ")) or (
        message.startswith("proxy(") and "started proxying" in phrase
    ):
        if "source_ip" not in fields and "user_name" not in fields:
            return Unreadable(Refused.UNKNOWN_FORM, "a login without user and address")
        return login_row("dovecot", "login", "success", service, fields)
    if message.startswith("proxy("):
        return CloudIgnored.DOVECOT_OTHER
    if message.startswith("Maximum number of connections"):
        fields["event_reason"] = phrase.rstrip(": ")
        return login_row("dovecot", "refused", "failure", service, fields)
    why = _WHY.search(phrase)
    reason = why[0][1:-1] if why is not None else _BARE.split(phrase)[0].rstrip(": ").removeprefix("Disconnected: ")
    fields["event_reason"] = reason or None
    return _ended(service, why, fields, tail)


def _ended(service: str, why: re.Match[str] | None, fields: LoginFields, tail: str) -> Taken:
    """A connection that ended without a login."""
    word = why[1] if why is not None else ""
    if word.startswith("auth failed"):
        attempts = max(1, min(int(why[2]) if why is not None else 1, MAX_REPEATS))
        row = login_row("dovecot", "login", "failure", service, fields)
        return row if attempts == 1 else [row] * attempts
    if word in (
        "user disabled",
        "password expired",
        "proxy dest auth failed",
        "authorization failed",
        "user not authorized",
    ):
        return login_row("dovecot", "login", "failure", service, fields)
    if word.startswith(
        ("tried to use dis", "cert required", "client sent", "client didn't send", "client didn't present")
    ):
        return login_row("dovecot", "refused", "failure", service, fields)
    if word.startswith("tried to use unsupported") or "TLS handshaking" in tail:
        if "TLS handshaking" in tail:
            fields["event_reason"] = tail[tail.find("TLS handshaking") :].partition(", session=")[0]
        return login_row("dovecot", "handshake_failed", "failure", service, fields)
    return login_row("dovecot", "disconnect", "failure" if word == "internal failure" else "unknown", service, fields)


def _elements(text: str) -> tuple[LoginFields, str]:
    """User, method, address and session (`login_log_format_elements`), and what stands behind the addresses.

    The user name is the client's choice and may hold `>, rip=…`: the last one is Dovecot's own.
    """
    fields: LoginFields = {}
    found = _ELEMENTS.match(text)
    if found is not None:
        user, method, address, port, tail = found.groups()
        put_account(fields, user)
        fields["source_port"] = addresses.port(port)
    else:
        bare = _NO_USER.search(text)
        if bare is None:
            return fields, ""
        method, address, tail = bare.groups()
    fields["login_method"] = method.lower() if method else None
    fields["source_ip"] = addresses.ip(address)
    session = _SESSION.search(tail)
    fields["session_id"] = session[1] if session is not None else None
    return fields, tail


def _lookup(message: str) -> Taken:
    """What the auth process says of a lookup: `pam(bob,192.0.2.1,<session>): unknown user`."""
    given = _GIVEN.search(message)
    found = _LOOKUP.match(message if given is None else message[: given.start()])
    if found is None or _FAILED.match(found[5]) is None:
        return CloudIgnored.DOVECOT_OTHER
    _, user, address, session, reason = found.groups()
    unknown = _UNKNOWN.search(reason) is not None
    fields: LoginFields = {"source_ip": addresses.ip(address), "session_id": session or None, "event_reason": reason}
    put_account(fields, None if user == "?" else user, unknown=unknown)
    return login_row("dovecot", "unknown_user" if unknown else "authentication", "failure", "dovecot", fields)


def _session_end(text: str) -> Fields | CloudIgnored:
    """The end of a mailbox session: `imap(bob)<123><session>: Logged out in=10 out=600`."""
    found = _SESSION_END.match(text)
    if found is None:
        return CloudIgnored.DOVECOT_OTHER
    service, user, session, reason = found.groups()
    counts = _COUNTS.search(reason)
    fields: LoginFields = {
        "event_reason": reason[: counts.start()] if counts is not None else reason,
        "session_id": session,
    }
    put_account(fields, user)
    return login_row("dovecot", "session_end", "success", service, fields)
