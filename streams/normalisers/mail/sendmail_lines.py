"""The grammar of the lines that sendmail writes about messages.

Facts from sendmail's own sources (8.8 to 8.18): `headers.c` logsender (`from=`), `deliver.c` logdelivery (`to=`) and
`clone:`, `parseaddr.c` rscheck (`ruleset=`), `milter.c`, `srvrsmtp.c` (AUTH), `savemail.c` (`DSN:` and alike), and from
the "Sendmail Installation and Operation Guide", section 2.1 (the log).

Everything here is a pure function of text, in time linear in the line. Senders choose addresses and Message-IDs: those
are read with their quotes and brackets, and what stands behind a Message-ID is found from the right.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from streams.normalisers import addresses
from streams.normalisers.mail.parts import MAX_INT32, address, clipped, message_id, whole

QUEUE_ID = r"[0-9A-Za-z]{2,12}\d{5,10}"
"""Eight letters for the time and the process id; older releases two or three letters."""

WITH_ID = re.compile(rf"({QUEUE_ID}|NOQUEUE): +(.*)", re.DOTALL | re.ASCII)
SECOND_ID = re.compile(rf"({QUEUE_ID}): (.*)", re.DOTALL | re.ASCII)

_ONE = r'<(?:"(?:[^"\\]|\\.){0,512}")?[^>]*>|"(?:[^"\\]|\\.){0,512}"[^,]*|[^,\s"<][^,]*'
_ADDRESS = re.compile(_ONE, re.DOTALL)
_RECIPIENTS = re.compile(
    rf"to=((?:{_ONE})?(?:,(?:{_ONE}))*)"
    rf"(?:, ctladdr=({_ONE})(?:(?<=>) \(-?\d{{1,10}}/-?\d{{1,10}}\))?)?, (?=[a-z_]+=)",
    re.DOTALL | re.ASCII,
)
_SENDER = re.compile(
    rf"from=({_ONE}|), size=(\d{{1,19}}), class=-?\d{{1,10}}, (?:pri=-?\d{{1,19}}, )?nrcpts=(\d{{1,10}})(?=,|$)",
    re.DOTALL | re.ASCII,
)
_SENDER_ALONE = re.compile(rf"from=({_ONE}|)\Z", re.DOTALL | re.ASCII)
_SIZE_ALONE = re.compile(r"size=(\d{1,19}), class=-?\d{1,10}, (?:pri=-?\d{1,19}, )?nrcpts=(\d{1,10})\Z", re.ASCII)
_OWNER = re.compile(r" \(-?\d{1,10}/-?\d{1,10}\)\Z", re.ASCII)
_AFTER_MSGID = frozenset({"bodytype", "proto", "daemon", "tls_verify", "auth"})
_RELAY = re.compile(r"(?:(\S{1,256})@)?([^\s\[\]@]{1,256})?(?: ?\[(?:IPv6:)?([^\]\s]{1,64})\])?(?: \([^)]{0,64}\))?\Z")
_REFUSED = re.compile(
    r"(?:ruleset=(\w{1,64}), arg1=(.{0,1024}?)(?:, arg2=[^,]{0,256})?(?:, relay=([^,]{0,512}))?"
    r"|(?:Milter(?: \([^)]{0,64}\))?: |milter=[^,]{0,64}, (?:action=[^,]{0,32}, )?)"
    r"(?:(from|to|connect|helo|data|eoh|body|header|eom)(?:[=:] ?(.{0,1024}?))?(?:, )?)?)"
    r"(?:, |(?<=, )|(?<=: ))(reject|discard|quarantine|rejecting commands|temp(?:failing commands|fail)?)"
    r"(?:=(.*))?\Z",
    re.DOTALL | re.ASCII,
)
_CODES = re.compile(r"(?:(\d{3})[ -])?(?:([245]\.\d{1,3}\.\d{1,3}) )?(.*)", re.DOTALL | re.ASCII)
_UNKNOWN = re.compile(rf"({_ONE})\.\.\. (.*)", re.DOTALL | re.ASCII)
_AUTHENTICATED = re.compile(
    r"AUTH=server, relay=(.{0,512}?), authid=(.{0,512}), mech=([\w.\-]{1,64})(?:, bits=\d{1,6})?\Z",
    re.DOTALL | re.ASCII,
)
_AUTH_FAILED = re.compile(r"AUTH failure(?: \(([^)]{1,64})\))?: (.*)", re.DOTALL | re.ASCII)
_ACCEPTED_HERE = re.compile(rf"\((?:{QUEUE_ID}) Message accepted|queued as ", re.ASCII)
_LOOPBACK = re.compile(r"\[(?:127\.|(?:IPv6:)?(?:::1|0:0:0:0:0:0:0:1)\])", re.ASCII)


class Client(NamedTuple):
    """Who stands in `relay=`: host name, address, and local user or answer of ident."""

    domain: str | None
    ip: str | None
    user: str | None


class Sender(NamedTuple):
    """A `from=` line. `client` is None where the message was made by sendmail itself."""

    sender: str
    size: int | None
    recipients: int | None
    message_id: str | None
    protocol: str | None
    method: str | None
    client: Client | None


class Delivery(NamedTuple):
    """A `to=` line: recipients, the address that they were expanded from (empty if none), how it ended."""

    to: list[str]
    control: str
    status: str
    dsn: str
    relay: str
    words: str
    to_filter: bool


class Refusal(NamedTuple):
    """A line of a ruleset or milter that refused, dropped or quarantined.

    Attributes:
        stage: `check_rcpt` …, of a milter `to`, `from`, `data` …; empty where not logged.
        about: What it looked at: an address, a host; empty where not logged.
        client: From `relay=`.
        action: `reject`, `discard`, `quarantine`, `temp`.
        dsn: Enhanced status code; empty where none.
        words: The answer; empty where none.
    """

    stage: str
    about: str
    client: Client | None
    action: str
    dsn: str
    words: str


@lru_cache(maxsize=16_384)
def bare(text: str) -> str:
    """An address without its angle brackets, its domain in lower case."""
    return address(text[1:-1] if text[:1] == "<" and text[-1:] == ">" else text)


@lru_cache(maxsize=4096)
def client(relay: str) -> Client | None:
    """Read what `relay=` says; None for `[RESPONSE]` and what is no host."""
    match = _RELAY.match(relay)
    if match is None or relay == "[RESPONSE]":
        return None
    user, domain, ip = match.groups()
    found = addresses.ip(ip) if ip else None
    return Client(domain and clipped(domain.rstrip(".")).lower(), found, user)


def sender(rest: str) -> Sender | None:
    """Read a `from=` line, also one of the short kind; None where it is none."""
    match = _SENDER.match(rest)
    if match is None:
        alone = _SENDER_ALONE.match(rest)
        return None if alone is None else Sender(bare(alone[1]), None, None, None, None, None, None)
    head, _, relay = rest[match.end() :].rpartition(", relay=")
    after: dict[str, str] = {}
    while head:
        rest_of_head, comma, last = head.rpartition(", ")
        key, sign, value = last.partition("=")
        if not (comma and sign and key in _AFTER_MSGID) or key in after:
            break
        after[key], head = value, rest_of_head
    found_id = message_id(head[8:]) if head[:8] == ", msgid=" else None
    method = after.get("auth")
    return Sender(
        bare(match[1]), whole(match[2]), whole(match[3], MAX_INT32), found_id, after.get("proto"),
        None if method in {None, "", "NONE"} else method, client(relay),
    )  # fmt: skip


def sizes(rest: str) -> tuple[int | None, int | None] | None:
    """Size and number of recipients from a line that holds these alone (builds with a short syslog buffer)."""
    match = _SIZE_ALONE.match(rest)
    return None if match is None else (whole(match[1]), whole(match[2], MAX_INT32))


def delivery(rest: str) -> Delivery | None:
    """Read a `to=` line; None where it is none."""
    match = _RECIPIENTS.match(rest)
    if match is None:
        return None
    middle, stat, words = rest[match.end() - 2 :].partition(", stat=")
    if not stat:
        return None
    dsn, relay = _value(middle, "dsn="), _value(middle, "relay=")
    status = _status(words, dsn)
    to_filter = status == "sent" and bool(_LOOPBACK.search(relay)) and bool(_ACCEPTED_HERE.search(words))
    named = match[1]
    to = [bare(one) for one in _ADDRESS.findall(named)] if "," in named else [bare(named)] if named else []
    control = match[2]
    return Delivery(
        to, bare(_OWNER.sub("", control)) if control else "", status, dsn, clipped(relay), words, to_filter
    )  # fmt: skip


def _value(text: str, key: str) -> str:
    """What stands behind a key, up to the next comma; empty where the key is missing."""
    start = text.find(f" {key}") + 1
    if not start:
        return ""
    start += len(key)
    end = text.find(",", start)
    return text[start:] if end < 0 else text[start:end]


def _status(words: str, dsn: str) -> str:
    """What became of a delivery: by its words, else by the class of its enhanced status code (RFC 3463)."""
    if words.startswith("Sent"):
        return "sent"
    if words.startswith("queued"):
        return "accepted"
    if words.startswith("quarantined"):
        return "quarantined"
    if words.startswith(("Deferred", "deferred")) or dsn[:1] == "4":
        return "deferred"
    return "sent" if dsn[:1] == "2" else "bounced"


def refusal(rest: str) -> Refusal | None:
    """Read a line of a ruleset or milter that refused something; None where it is none."""
    match = _REFUSED.match(rest)
    if match is None:
        return None
    ruleset, about, relay, stage, looked_at, action, answer = match.groups()
    codes = _CODES.match(answer or "")
    assert codes is not None
    word = "temp" if action.startswith("temp") else action.partition("ing")[0]
    host = client(relay) if relay else None
    return Refusal(ruleset or stage or "", about or looked_at or "", host, word, codes[2] or "", codes[3].strip())


def unknown(rest: str) -> tuple[str, str] | None:
    """Recipient and words of `<address>... User unknown`; None where it is no such line."""
    match = _UNKNOWN.match(rest)
    return None if match is None else (bare(match[1]), match[2])


def authenticated(rest: str) -> tuple[Client | None, str, str] | None:
    """Client, user and method of an `AUTH=server` line; None where it is none."""
    match = _AUTHENTICATED.match(rest)
    return None if match is None else (client(match[1]), clipped(match[2]), match[3])


def failed(rest: str) -> tuple[str | None, str, str | None, Client | None] | None:
    """Method, words, user and client of an `AUTH failure` line; None where it is none."""
    match = _AUTH_FAILED.match(rest)
    if match is None:
        return None
    before, relayed, relay = match[2].rpartition(", relay=")
    words, named, user = (before if relayed else relay).partition(", user=")
    return match[1], words.strip(), (clipped(user) or None) if named else None, client(relay) if relayed else None
