"""What OpenSSH's server says."""

from __future__ import annotations

import re
from collections.abc import Callable

from streams.normalisers import addresses
from streams.normalisers.lines import Fields, Taken, Unreadable, starts_with_any
from streams.normalisers.login.login_fields import LoginFields, login_row
from streams.normalisers.masking import masked_user
from streams.normalisers.reasons import Ignored, Refused

_PEER = r"from (\S+) port (\d{1,5})"

# The user name is the client's choice and may hold " from … port …": the last one is sshd's own.
_VERDICT = re.compile(
    r"(Accepted|Failed|Postponed|Partial) (\S+) for (?:(invalid user|illegal user) )?(.*) from (\S+)"
    r"(?: port (\d{1,5}))?(?: +ssh\d)?(?: \[preauth\])?(?:: (.*))?\Z",
    re.DOTALL | re.ASCII,
)
_INVALID = re.compile(
    r"(?:input_userauth_request: )?(?:[Ii]nvalid|[Ii]llegal) user (.*?)(?: from (\S+)(?: port (\d{1,5}))?)?"
    r"(?: \[preauth\])?\Z",
    re.DOTALL | re.ASCII,
)
_NOT_ALLOWED = re.compile(r"(?:User|Login of) (.*) from (\S+) not allowed because (.*)\Z", re.DOTALL)
_NOT_ALLOWED_LOCAL = re.compile(r"User (.*) not allowed because (.*)\Z", re.DOTALL)
_ROOT_REFUSED = re.compile(r"ROOT LOGIN REFUSED FROM (\S+)(?: port (\d{1,5}))?", re.ASCII)
_EXCEEDED = re.compile(
    r"(?:error: )?maximum authentication attempts exceeded for (invalid user )?(.*) from (\S+) port (\d{1,5})",
    re.DOTALL,
)
_CLOSED = re.compile(
    r"(?:Connection (?:closed|reset) by|Disconnected from|Disconnecting)(?: (invalid|authenticating))? (?:user (.*) )?"
    r"([0-9A-Fa-f]*[.:][\w:.%]*|UNKNOWN)(?: port (\d{1,5}))?(?:: (.*?))?(?: \[preauth\])?\Z",
    re.DOTALL | re.ASCII,
)
_RECEIVED = re.compile(
    r"(?:error: )?Received disconnect from ([^\s:]+(?::[0-9A-Fa-f:.]+)*?)(?: port (\d{1,5}))?: ?(\d{1,9}): ?(.*?)"
    r"(?: \[preauth\])?\Z",
    re.DOTALL | re.ASCII,
)
_CONNECTION = re.compile(rf"Connection {_PEER}(?: on (\S+) port (\d+))?", re.ASCII)
_CLOSING = re.compile(r"(?:Closing connection to|Connection closed to) (\S+)", re.ASCII)
_TIMEOUT = re.compile(r"Timeout, client not responding from (?:user (.*) )?(\S+) port (\d{1,5})", re.ASCII)
_SESSION = re.compile(
    r"(Starting|Close) session: (?:(\w+)(?: on (\S+))?(?: '.*?')? for |user )(.*) from (\S+) port (\d{1,5})"
    r"(?: id (\d+))?",
    re.DOTALL | re.ASCII,
)
_PAM_ERROR = re.compile(
    r"(?:error: )?PAM: (.*?) for (illegal user |invalid user )?(.*) from (\S+?)(?: via (\S+))?\Z", re.DOTALL
)
_REFUSED = re.compile(r"refused connect from (.*?) ?\(([^()\s]+)\)\Z", re.DOTALL)
_HANDSHAKE = re.compile(
    r"(?:fatal: )?(Unable to negotiate|Magic value check failed|banner exchange|ssh_dispatch_run_fatal|"
    r"Did not receive identification|Bad protocol version|Bad packet length|Timeout before authentication|"
    r"Protocol major versions differ|no matching|kex_exchange_identification|Corrupted MAC)"
    r".*?(?:from|with|for)(?: connection(?: from)?)? (\[?[0-9A-Fa-f:.]*[.:][\w:.%]*?\]?)"
    r"(?:,? port (\d{1,5}))?[:,]?(?: |\Z)",
    re.DOTALL | re.ASCII | re.IGNORECASE,
)
_PENALTY = re.compile(r"drop connection #\d+ from \[([^\]]+)\]:(\d{1,5})", re.ASCII)
_KEY = re.compile(r"(?:ID .* )?(?:\S+ )?((?:SHA256:|SHA1:|MD5:)[^\s,]+|(?:[0-9a-f]{2}:){15}[0-9a-f]{2})")

_CHATTER = starts_with_any(
    {
        Ignored.DEBUG: "debug",
        Ignored.SERVICE_STATE: (
            "Server listening|Received signal|Received SIGHUP|Exiting on|Generating|Sighup|RSA key|"
            "error: Bind to|fatal: Cannot bind|Could not load host key|error: Could not load|sshd version|"
            "/etc/ssh|/usr/|Set /proc|rexec|Deprecated option|WARNING|nss|beginning MaxStartups|"
            "exited MaxStartups|Missing privilege|PAM unable|PAM adding|PAM [|srclimit"
        ),
        Ignored.SSH_KEY_CHECK: (
            "Found matching|Accepted key|Accepted certificate|matching key found|Certificate |"
            "userauth_pubkey|Could not open authorized|Authentication refused: bad|key_read|error: key_"
        ),
        Ignored.SSH_NAME_LOOKUP: (
            "reverse mapping|Address |Nasty PTR|Could not get shadow|getnameinfo|warning: |Could not reverse"
        ),
        Ignored.SSH_HANDSHAKE: (
            "error: kex|kex_|error: kex_exchange|error: Protocol|error: Hm|error: buffer|padding error|"
            "Bad packet|ssh_packet|Corrupted|error: ssh|error: send|Protocol |Protocol|banner |"
            "message authentication code|error: no supported|fatal: no matching|fatal: ssh|Read error|"
            "fatal: Read|Write failed|fatal: Write|packet_write|ssh_dispatch"
        ),
        Ignored.SSH_OTHER: (
            "subsystem request|User child|Transferred:|Environment:|syslogin_perform|Postponed|"
            "forced-command|open |close |sent status|opendir|session opened for local|"
            "session closed for local"
        ),
    }
)

_NOWHERE = frozenset({"UNKNOWN", "?"})
_FIRST_WORDS = ("Accepted ", "Failed ", "Invalid user", "Illegal user", "Postponed ", "Partial ")


def _who(name: str | None, *, known: bool | None) -> tuple[str | None, bool | None]:
    """User name and whether it exists; a name that no account has is masked where it looks like a password."""
    if not name:
        return None, known
    return (masked_user(name) if known is False else name), known


def _row(action: str, outcome: str, source: str | None, fields: LoginFields) -> Fields:
    if source and source not in _NOWHERE:
        ip = addresses.ip(source)
        fields["source_ip"] = ip
        fields["source_domain"] = source if ip is None else None
    return login_row("openssh", action, outcome, "sshd", fields)


def sshd(message: str) -> Taken:
    """What a message of sshd, sshd-session or sshd-auth says."""
    message = message.rstrip()
    start = message[:3]
    verdict = _VERDICT.match(message) if start in ("Acc", "Fai", "Pos", "Par") else None
    if verdict is not None:
        return _verdict(verdict)
    for first, read in _READERS:
        if message.startswith(first):
            found = read(message)
            if found is not None:
                return found
    found = _handshake(message)
    if found is not None:
        return found
    ignored = _CHATTER(message)
    if ignored is not None:
        return ignored
    if message.startswith(_FIRST_WORDS):
        return Unreadable(Refused.UNKNOWN_FORM, "an sshd verdict of unknown form")
    return Ignored.SSH_OTHER if message else Ignored.BLANK_LINE


def _verdict(match: re.Match[str]) -> Fields:
    word, method, invalid, name, source, port, trail = match.groups()
    user, known = _who(name, known=False if invalid else None)
    if word in ("Postponed", "Partial") or method == "none":
        action, outcome = "login_step", "unknown"
    else:
        action, outcome = "login", "success" if word == "Accepted" else "failure"
    key = _KEY.match(trail) if trail else None
    ip = addresses.ip(source)
    domain, name_of_host = None, None if ip is not None or source in _NOWHERE else source
    if user is not None and ("@" in user or "\\" in user):
        user, domain = addresses.account(user)
    # Written out, not by `login_row`: these are most lines of a busy server. In the order of LOGIN_COLUMNS.
    return (
        "openssh", action, outcome, None, user, domain, known, ip, addresses.port(port), None, name_of_host,
        method.lower(), "sshd", None, None, None, None, key[1] if key else None, None,
    )  # fmt: skip


def _invalid(message: str) -> Fields | None:
    match = _INVALID.match(message)
    if match is None:
        return None
    user, known = _who(match[1], known=False)
    return _row(
        "unknown_user", "failure", match[2],
        {"user_name": user, "user_known": known, "source_port": addresses.port(match[3])},
    )  # fmt: skip


def _not_allowed(message: str) -> Fields | None:
    match = _NOT_ALLOWED.match(message)
    if match is not None:
        return _row("refused", "failure", match[2], {"user_name": match[1], "event_reason": match[3]})
    local = _NOT_ALLOWED_LOCAL.match(message)
    return local and _row("refused", "failure", None, {"user_name": local[1], "event_reason": local[2]})


def _root_refused(message: str) -> Fields | None:
    match = _ROOT_REFUSED.match(message)
    return match and _row(
        "refused", "failure", match[1],
        {"user_name": "root", "source_port": addresses.port(match[2]), "event_reason": "root login refused"},
    )  # fmt: skip


def _exceeded(message: str) -> Fields | None:
    match = _EXCEEDED.match(message)
    if match is None:
        return None
    user, known = _who(match[2], known=False if match[1] else None)
    return _row(
        "attempts_exceeded", "failure", match[3],
        {"user_name": user, "user_known": known, "source_port": addresses.port(match[4]),
         "event_reason": "maximum authentication attempts exceeded"},
    )  # fmt: skip


def _closed(message: str) -> Fields | None:
    match = _CLOSED.match(message)
    if match is None:
        return None
    state, name, source, port, reason = match.groups()
    user, known = _who(name, known=False if state == "invalid" else None)
    return _row(
        "disconnect", "failure" if state else "unknown", source,
        {"user_name": user, "user_known": known, "source_port": addresses.port(port), "event_reason": reason or None},
    )  # fmt: skip


def _received(message: str) -> Fields | None:
    match = _RECEIVED.match(message)
    return match and _row(
        "disconnect", "unknown", match[1],
        {"source_port": addresses.port(match[2]), "event_reason": match[4].strip() or None},
    )  # fmt: skip


def _connection(message: str) -> Fields | None:
    match = _CONNECTION.match(message)
    return match and _row("connection", "unknown", match[1], {"source_port": addresses.port(match[2])})


def _closing(message: str) -> Fields | None:
    match = _CLOSING.match(message)
    return match and _row("disconnect", "unknown", match[1], {})


def _timeout(message: str) -> Fields | None:
    match = _TIMEOUT.match(message)
    return match and _row(
        "disconnect", "unknown", match[2],
        {"user_name": match[1], "source_port": addresses.port(match[3]), "event_reason": "client not responding"},
    )  # fmt: skip


def _session(message: str) -> Fields | None:
    match = _SESSION.match(message)
    if match is None:
        return None
    word, what, terminal, user, source, port, number = match.groups()
    return _row(
        "session_start" if word == "Starting" else "session_end", "success", source,
        {"user_name": user, "source_port": addresses.port(port), "terminal_name": terminal, "session_id": number,
         "event_reason": what},
    )  # fmt: skip


def _pam_error(message: str) -> Fields | None:
    match = _PAM_ERROR.match(message)
    if match is None:
        return None
    user, known = _who(match[3], known=False if match[2] else None)
    return _row(
        "authentication", "failure", match[4], {"user_name": user, "user_known": known, "event_reason": match[1]}
    )


def _refused(message: str) -> Fields | None:
    match = _REFUSED.match(message)
    if match is None:
        return None
    fields: LoginFields = {"event_reason": "refused connect", "source_ip": addresses.ip(match[2])}
    if match[1] and addresses.ip(match[1]) is None and "@" not in match[1]:
        fields["source_domain"] = match[1]
    return _row("refused", "failure", None, fields)


def _penalty(message: str) -> Fields | None:
    match = _PENALTY.match(message)
    return match and _row(
        "refused", "failure", match[1], {"source_port": addresses.port(match[2]), "event_reason": "connection dropped"}
    )


def _handshake(message: str) -> Fields | None:
    match = _HANDSHAKE.match(message)
    if match is None:
        return None
    return _row(
        "handshake_failed", "failure", match[2],
        {"source_port": addresses.port(match[3]), "event_reason": match[1]},
    )  # fmt: skip


_READERS: tuple[tuple[tuple[str, ...], Callable[[str], Fields | None]], ...] = (
    (("Invalid user", "Illegal user", "input_userauth_request"), _invalid),
    (("Received disconnect", "error: Received disconnect"), _received),
    (("Connection from",), _connection),
    (("Connection ", "Disconnect"), _closed),
    (("Closing connection", "Connection closed to"), _closing),
    (("Starting session", "Close session"), _session),
    (("error: PAM: ", "PAM: "), _pam_error),
    (("User ", "Login of"), _not_allowed),
    (("error: maximum", "maximum"), _exceeded),
    (("Timeout, client",), _timeout),
    (("refused connect",), _refused),
    (("ROOT LOGIN",), _root_refused),
    (("drop connection",), _penalty),
)
