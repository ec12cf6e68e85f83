"""Lines of Postfix that are no facts about a message: each is ignored under one of a closed list of reasons."""

from __future__ import annotations

import re
from collections.abc import Mapping

from streams.normalisers.mail.postfix_lines import MAIL_DAEMONS, OTHER_DAEMONS
from streams.normalisers.reasons import Ignored, IgnoredReason


class PostfixIgnored(IgnoredReason):
    """Postfix's own reasons; `IGNORED` says what each is."""

    CONNECTION = "connection"
    TLS = "tls"
    STATISTICS = "statistics"
    POSTSCREEN = "postscreen"
    DNS_BLOCKLIST = "dns_blocklist"
    PROTOCOL_VIOLATION = "protocol_violation"
    WARNING = "warning"
    UNATTACHED = "unattached"
    POSTFIX_OTHER = "postfix_other"


IGNORED: Mapping[str, str] = {
    "connection": "a client or server came, went, timed out or could not be reached, outside any message",
    "tls": "set-up and verification of an encrypted connection",
    "statistics": "counters that a daemon writes from time to time",
    "postscreen": "tests before the SMTP server proper, other than a rejection",
    "dns_blocklist": "what a DNS list says of a client",
    "protocol_violation": "a client that does not speak SMTP",
    "warning": "a warning or error about Postfix itself, its tables or a client's name",
    "unattached": "about a message of which no line is open, and saying nothing that an event has a field for",
    "postfix_other": "Postfix's further messages without a queue id",
    Ignored.SERVICE_STATE: "start, stop, reload and the work of administrative commands",
    Ignored.DEBUG: "debugging output (`-v`, `debug_peer_list`), which may hold passwords",
    Ignored.OTHER_PROGRAM: "written by a program that is not Postfix",
    Ignored.BLANK_LINE: "nothing, or nothing behind the header",
    Ignored.REPEATED_OTHER: "syslogd's `last message repeated`",
}
"""Reason -> what such lines are. The list is closed."""

COMMONEST = ("connect from ", "disconnect from ")
"""Starts of the lines that are a quarter of a log: `connection`."""

_LEVELS = r"(?:warning|error|fatal|panic|info): "
_PATTERNS = {
    "protocol_violation": rf"(?:{_LEVELS})?(?:non-SMTP command|improper command pipelining|Illegal address syntax"
    r"|bare <LF>|too many errors)",
    "tls": r"(?:\S+ TLS connection (?:established|reused)|SSL_(?:accept|connect) error|setting up TLS|TLS SNI"
    r"|certificate (?:verification|peer)|(?:Server|Client) certificate|starting TLS|Reusing old session"
    r"|initializing the (?:client|server)-side TLS|save session|looking up session|subject_CN=|Cannot start TLS"
    rf"|Peer (?:cert|verification)|Host offered STARTTLS|(?:Unv|V)erified:)|{_LEVELS}(?:TLS |.{{0,200}}?\bTLS\b)",
    "connection": r"client=|(?:dis)?connect(?:ion)? (?:from|to|rate|caching)"
    r"|(?:lost connection|timeout) (?:after|with|from)"
    r"|discarding EHLO keywords|idle timeout|Connection (?:rate|concurrency) limit|haproxy"
    r"|host \S+ (?:said|refused)|conversation with|using backwards-compatible|enabling PIX",
    "statistics": r"statistics: ",
    "service_state": r"table \S+ has changed|daemon started|reload|refreshing|terminating|starting the|stopping the"
    r"|master |watchdog|Postfix is |(?:Deleted|Requeued|Placed on hold|Released from hold|Expired): \d+ message"
    r"|cache \S+.{0,200}? cleanup",
    "warning": _LEVELS,
    "debug": r"[<>]{1,3} |[a-z][a-z0-9_]*(?:\[\d+\])?: |(?:send|recv|input|read|write|name|rec) (?:attr|attribute|mask)"
    r"|[+-]{2,3} |auto_clnt|trying\.\.\.|generic_checks|maps_find|dict_|smtpd_|smtp_|master_|private/",
}
_ONE_OF = "|".join(f"(?P<{reason}>{pattern})" for reason, pattern in _PATTERNS.items())
_CHATTER = re.compile(_ONE_OF, re.ASCII | re.DOTALL)

_OF_DAEMON = {
    "anvil": "statistics",
    "scache": "statistics",
    "postscreen": "postscreen",
    "dnsblog": "dns_blocklist",
    "tlsproxy": "tls",
    "tlsmgr": "tls",
}


def daemon_of(program: str | None) -> str | None:
    """Name of the Postfix daemon that writes under a program name; None where it is another program.

    `postfix/smtpd`, `postfix/submission/smtpd` and, of a second instance, `postfix-in/smtpd` are all `smtpd`: the name
    before the daemon's is the configured `syslog_name`.
    """
    if program is None:
        return None
    instance, slash, daemon = program.rpartition("/")
    if not slash:
        return "postfix" if daemon == "postfix" or daemon.startswith("postfix-") else None
    return daemon if instance and (daemon in MAIL_DAEMONS or daemon in OTHER_DAEMONS) else None


def reason_of(daemon: str, body: str) -> str:
    """Why a line without a queue id is ignored.

    Args:
        daemon: As `daemon_of` gives it.
        body: All behind the syslog header.
    """
    if not body:
        return Ignored.BLANK_LINE.value
    match = _CHATTER.match(body)
    found = None if match is None else match.lastgroup
    if daemon in MAIL_DAEMONS:
        return found or "postfix_other"
    fixed = _OF_DAEMON.get(daemon)
    return fixed if fixed is not None and found != "warning" else (found or Ignored.SERVICE_STATE.value)
