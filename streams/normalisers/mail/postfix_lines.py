"""The grammar of the lines that Postfix writes about messages.

Facts from Postfix's own sources (3.11 snapshot, and older where a form changed): `global/log_adhoc.c` (deliveries),
`smtpd/smtpd.c` (`client=`, rejections and what follows their semicolon), `smtpd/smtpd_sasl_glue.c` (failed
authentications), `cleanup/cleanup_message.c` and `cleanup_milter.c` (Message-ID, header and milter actions),
`qmgr/qmgr_active.c` and `qmgr_message.c`, `pickup/pickup.c`, `global/mail_queue.h` (queue ids).

Everything here is a pure function of text. All expressions run in time linear in the line, or with a small constant
bound where a line is made by an enemy: what stands in a line between `<` and `>` is chosen by whoever talks to the
server, so addresses are read with their quotes and what follows is found from the left.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from streams.normalisers import addresses

_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_LONG = "0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y"

QUEUE_ID = rf"[0-9A-F]{{6,32}}|[{_LONG}]{{10,24}}z[{_LONG}]{{1,24}}"
"""Short ids are microseconds (5 hexadecimal digits) and inode; long ones (`enable_long_queue_ids`) seconds and
microseconds in base 52, a `z`, and the inode in base 51."""

ANY_ID = (
    rf"{QUEUE_ID}|(?=[A-Za-z]{{0,40}}\d)[0-9A-Za-z]{{5,40}}"
    r"(?=: (?:client=|uid=\d+ from=|(?:resent-)?message-id=|from=[<,\w]|to=[<,\w]|removed\s*$))"
)
"""Another build, or an anonymiser, may make ids of other letters: what is said behind one shows that it is one."""

NO_QUEUE = "NOQUEUE"

MAX_TEXT = 1_000
"""Addresses, names, reasons and Message-IDs are cut to this many characters. RFC 5321 allows a path 256, RFC 5322 a
line 998; what is longer was made to fill memory."""

HEAD = re.compile(
    rf"(?:<\d{{1,3}}>)?((?:{_MONTHS}) [ \d]\d \d\d:\d\d:\d\d|\d{{4}}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))"
    rf" ([^\s:]+) ([^\s:\[\]]+)(?:\[(\d{{1,18}})\])?: +(?:({ANY_ID}|{NO_QUEUE}): )?(.*)",
    re.DOTALL | re.ASCII,
)
"""The two commonest headers and the queue id in one go: time, host, program, process id, queue id, rest. What it does
not match is taken apart by `streams.normalisers.syslog.split` and `WITH_ID`."""

WITH_ID = re.compile(rf"({ANY_ID}|{NO_QUEUE}): (.*)", re.DOTALL | re.ASCII)
WARNED_ID = re.compile(rf"(?:warning|error|fatal|panic): ({QUEUE_ID}): ", re.ASCII)
REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*)\]\s*", re.DOTALL | re.ASCII)

MAIL_DAEMONS = frozenset({
    "bounce", "cleanup", "defer", "discard", "error", "lmtp", "local", "nqmgr", "oqmgr", "pickup", "pipe", "qmgr",
    "qmqpd", "retry", "smtp", "smtpd", "trace", "virtual",
})  # fmt: skip
OTHER_DAEMONS = frozenset({
    "anvil", "dnsblog", "flush", "master", "nbdb_reindexd", "postalias", "postcat", "postconf", "postdrop",
    "postfix", "postfix-script", "postfix-tls-script", "postkick", "postlock", "postlog", "postlogd", "postmap",
    "postmulti", "postqueue", "postscreen", "postsuper", "proxymap", "proxywrite", "scache", "script", "sendmail",
    "showq", "spawn", "tlsmgr", "tlsproxy", "trivial-rewrite", "verify",
})  # fmt: skip

_ADDRESS = r'<((?:"(?:[^"\\]|\\.){0,512}")?[^>]*)>'
_ADDRESS_SHORT = r'<((?:"(?:[^"\\]|\\.){0,512}")?[^<>]{0,1024})>'  # in searches: bounded, see above

DELIVERY = re.compile(
    rf"to=(?:{_ADDRESS}|([^,]*)), (?:orig_to=(?:{_ADDRESS}|([^,]*)), )?relay=([^,]*),(?: [a-z_]+=[^,]*,)*? "
    r"(?:dsn=([\d.]*), )?status=([\w-]+)(?: \((.*)\))?\s*$",
    re.DOTALL | re.ASCII,
)
ACTIVE = re.compile(rf"from=(?:{_ADDRESS}|([^,]*)), size=(\d{{1,18}}), nrcpt=(\d{{1,9}})", re.DOTALL | re.ASCII)
EXPIRED = re.compile(rf"from=(?:{_ADDRESS}|([^,]*)), status=([\w-]*expired, .*)", re.DOTALL | re.ASCII)
PICKUP = re.compile(rf"uid=(\d{{1,10}}) from=(?:{_ADDRESS}|(\S*))", re.DOTALL | re.ASCII)
_NAMED_ADDRESS = re.compile(r"([^\[\]\s]*)\[([^\]\s]*)\](?::(\d{1,5}))?", re.ASCII)
_VALUE = r"([^,]*(?:,(?! [a-z_]+=)[^,]*)*)"
CLIENT = re.compile(
    rf"client={_NAMED_ADDRESS.pattern}(?:, sasl_method={_VALUE})?(?:, sasl_username={_VALUE})?"
    rf"(?:, (?!orig_client=)[a-z_]+=[^,]*)*(?:, orig_client={_VALUE})?",
    re.ASCII,
)
SASL_FAILED = re.compile(
    r"(?:warning: )?([^\[\]\s]*)\[([^\]\s]*)\](?::(\d{1,5}))?: SASL (\S{1,100}) authentication (failed|aborted)"
    r"(?:: (.*?))?(?:, sasl_username=(.*))?\s*$",
    re.DOTALL | re.ASCII,
)
_CODES = r"(?:(\d{3})(?:[ -]|$))?(?:(\d\.\d{1,3}\.\d{1,3})(?: |$))?"
_REFUSAL = re.compile(
    r"([a-z_-]+): (\S+) from ([^\[\]\s]*)\[([^\]\s]*)\](?::(\d{1,5}))?: ?"
    rf"{_CODES}(?:{_ADDRESS}: )?(.*)",
    re.DOTALL | re.ASCII,
)
REFUSED_START = re.compile(r"(?:milter-)?(?:reject|discard)(?:_warning)?: ", re.ASCII)
_CONTENT = re.compile(r"([a-z_-]+): (header|body|content|mime-error) (.*)", re.DOTALL | re.ASCII)
_PROXY = re.compile(rf"(proxy-[a-z]+): (\S+?): {_CODES}(.*)", re.DOTALL | re.ASCII)
_TAIL = re.compile(
    rf";(?: from={_ADDRESS_SHORT},?)?(?: to={_ADDRESS_SHORT},?)?(?: proto=([^\s,]{{0,32}}),?)?"
    r"(?: helo=<(.{0,1024}?)>)?(?: sasl_username=<(.{0,256}?)>)?(?:: (.*))?\s*$",
    re.DOTALL | re.ASCII,
)
_TAIL_START = re.compile(r"; (?=from=<|to=<|proto=|helo=<)")
_TAIL_TRIES = 8  # how many semicolons may look like the start of a tail before a line is taken to have none
_ORIGIN = re.compile(r" from (?:([^\[\]\s]*)\[([^\]\s]*)\]|local|unknown)\s*$", re.ASCII)
_QUEUED_AS = re.compile(r"\bqueued as [0-9A-Za-z]{5,40}\b", re.ASCII)
_SWALLOWED = re.compile(r"Ok, (?:discarded, )?id=\S+,? (?:- |DISCARD|BOUNCE)|Ok, discarded, id=", re.ASCII)
_FILTER_NAME = re.compile(r"filter|amavis|spamass|clamsmtp|spampd|altermime|disclaimer|mailscanner", re.IGNORECASE)
_HOST_PORT = re.compile(r"[^\[\]]*\[([^\]]*)\](?::(\d+))?$", re.ASCII)


class Delivery(NamedTuple):
    """One delivery line: addresses with their domains in lower case, `response` None where the line has none."""

    to: str
    original: str
    relay: str
    dsn: str
    status: str
    response: str | None


class Submission(NamedTuple):
    """Who handed a message in: host name, address and port of the client, SASL method and user."""

    domain: str | None
    ip: str | None
    port: int | None
    method: str | None
    user: str | None


class Handling(NamedTuple):
    """What a server or filter did to a message or an attempt: a line with an action word.

    Attributes:
        action: `reject`, `milter-reject`, `warning`, `discard` … as logged.
        stage: `RCPT`, `END-OF-MESSAGE` …; of header and body checks `header`, `body`, `content`, `mime-error`.
        domain: Host name of the client; None where not known.
        ip: Its address; None where not known.
        port: Its port; None where not logged.
        dsn: Enhanced status code; empty where none.
        reason: The words; of header and body checks what the rule adds; empty where none.
        sender: Envelope sender; None where not logged.
        to: Recipient; None where not logged.
        protocol: ESMTP, SMTP …; None where not logged.
        helo: HELO name; None where not logged.
        user: `sasl_username`; None where not logged.
        content: Of header and body checks the line of the message that was looked at; else empty.
    """

    action: str
    stage: str
    domain: str | None
    ip: str | None
    port: int | None
    dsn: str
    reason: str
    sender: str | None
    to: str | None
    protocol: str | None
    helo: str | None
    user: str | None
    content: str


class _Tail(NamedTuple):
    sender: str | None
    to: str | None
    protocol: str | None
    helo: str | None
    user: str | None
    words: str


_NO_TAIL = _Tail(None, None, None, None, None, "")


def address(text: str) -> str:
    """An address with its domain in lower case, its local part as it is (RFC 5321 section 2.4)."""
    if len(text) > MAX_TEXT:
        return clipped(text)
    if text.islower():
        return text
    local, at, domain = text.rpartition("@")
    return f"{local}@{domain.lower()}" if at else text


def clipped(text: str) -> str:
    """A text of at most `MAX_TEXT` characters."""
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def client(domain: str | None, ip: str | None, port: str | None) -> tuple[str | None, str | None, int | None]:
    """Host name, address and port of a client; `unknown`, nothing and what is no address become None."""
    return (
        None if domain is None or domain in {"", "unknown"} else clipped(domain),
        addresses.ip(ip) if ip else None,
        addresses.port(port) if port else None,
    )


def submission(rest: str) -> Submission | None:
    """Read a `client=` line; None where it is none. Behind a proxy the client is `orig_client`, not the proxy."""
    match = CLIENT.match(rest)
    if match is None:
        return None
    domain, ip, port, method, user, original = match.groups()
    proxied_for = None if original is None else _NAMED_ADDRESS.match(original)
    if proxied_for is not None:
        domain, ip, port = proxied_for.groups()
    return Submission(*client(domain, ip, port), method and clipped(method), user and clipped(user))


def delivery(rest: str) -> Delivery | None:
    """Read what follows the queue id of a delivery line; None where it is none."""
    match = DELIVERY.match(rest)
    if match is None:
        return None
    to, bare, original, bare_original, relay, dsn, status, response = match.groups()
    first = address(to if to is not None else bare)
    before = original if original is not None else bare_original
    return Delivery(first, address(before) if before else "", relay, dsn or "", status, response)


def handed_to_filter(daemon: str, found: Delivery) -> bool:
    """Whether a delivery was a hand-over to something on the way that queues the message again, not to a person.

    True for a delivery that succeeded: over loopback or a Unix socket, with `queued as` in the answer or swallowed by
    amavisd-new; to a pipe named like a filter; to a port above 9999 of another host with `queued as` and either a name
    like a filter's or amavisd-new's `from MTA(`; and `forwarded as` another queue id by local(8), which expands an
    alias or a `.forward` to a new message.

    A tunnel on loopback to a smart host outside looks like a filter: name the tunnel in Postfix's transport instead.
    """
    place = _place(found.relay)
    if (place == "elsewhere" and daemon != "local") or found.status != "sent":
        return False
    response = found.response or ""
    if daemon == "local":
        return response.startswith("forwarded as ")
    if place == "named":
        return True
    if _QUEUED_AS.search(response) is not None:
        return place == "loopback" or _FILTER_NAME.search(found.relay) is not None or "from MTA(" in response
    return place == "loopback" and _SWALLOWED.search(response) is not None


@lru_cache(maxsize=4096)
def _place(relay: str) -> str:
    """`named` (a pipe that is named like a filter), `loopback`, `odd_port` or `elsewhere`."""
    place = _HOST_PORT.match(relay)
    if place is None:
        if relay.startswith("/"):
            return "loopback"
        return "named" if _FILTER_NAME.search(relay) is not None else "elsewhere"
    where, port = place.groups()
    if where.startswith("127.") or where == "::1" or "/" in where:
        return "loopback"
    return "odd_port" if port is not None and len(port) == 5 else "elsewhere"


def message_id(text: str) -> str | None:
    """A Message-ID as logged, without its angle brackets and what stands outside; None where it is empty."""
    text = text.strip()
    if text.startswith("<"):
        end = text.rfind(">")
        text = text[1:end] if end > 0 else text[1:]
    return clipped(text.strip()) or None


def handling(rest: str) -> Handling | None:
    """Read what follows the queue id (or `NOQUEUE`) of a line with an action word; None where it is none."""
    refusal = _REFUSAL.match(rest)
    if refusal is not None:
        action, stage, domain, ip, port, _, dsn, _, rest_words = refusal.groups()
        words, tail = _split_tail(rest_words)
        return Handling(action, stage, *client(domain, ip, port), dsn or "", words, *tail[:5], "")
    content = _CONTENT.match(rest)
    if content is not None:
        text, tail = _split_tail(content[3])
        origin = _ORIGIN.search(text)
        domain, ip = (origin[1], origin[2]) if origin else (None, None)
        looked_at = text[: origin.start()] if origin else text
        return Handling(content[1], content[2], *client(domain, ip, None), "", tail.words, *tail[:5], looked_at)
    return None


def proxied(body: str) -> Handling | None:
    """Read the verdict of a before-queue filter (`smtpd_proxy_filter`), a line without a queue id of its own."""
    match = _PROXY.match(body)
    if match is None:
        return None
    words, tail = _split_tail(match[5])
    return Handling(match[1], match[2], None, None, None, match[4] or "", words, *tail[:5], "")


def queued_as(words: str) -> str | None:
    """The queue id that a server's answer names; None where it names none."""
    match = _QUEUED_AS.search(words)
    return None if match is None else match[0][len("queued as ") :]


def _split_tail(text: str) -> tuple[str, _Tail]:
    """Words before the semicolon, and what follows it: sender, recipient, protocol, HELO name and more words."""
    for tried, start in enumerate(_TAIL_START.finditer(text)):
        if tried == _TAIL_TRIES:
            break
        match = _TAIL.match(text, start.start())
        if match is not None:
            sender, to, protocol, helo, user, words = match.groups()
            sender, to = (None if one is None else address(one) for one in (sender, to))
            return text[: start.start()].strip(), _Tail(sender, to, protocol, helo, user, words or "")
    return text.strip().removesuffix(";"), _NO_TAIL
