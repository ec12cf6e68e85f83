"""The grammar of the lines that Exim writes about messages.

Facts from the "Specification of the Exim Mail Transfer Agent" (4.98 and older), chapter "Log files", and from Exim's
sources: `receive.c` (`<=`, subjects in quotes), `deliver.c` (deliveries), `acl.c` and `smtp_in.c` (rejections),
`log.c` (times, the pieces of long lines).

Everything here is a pure function of text, in time linear in the line. "Only the final address in square brackets can
be relied on": names in HELO, Message-IDs and subjects are the sender's, and stand behind what Exim itself knows; a
field counts where it comes first, recipients and subject of an arrival are read from the right.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from streams.normalisers import addresses
from streams.normalisers.mail.parts import address, clipped, message_id, whole

LINE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?)(?: ([+-]\d{4}))?(?: \[(\d{1,18})\])? (.*)", re.DOTALL | re.ASCII
)
"""Time, zone (`log_timezone`), process id (log selector `pid`), rest."""

MESSAGE_ID = r"[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{11}-[0-9A-Za-z]{4})"
"""Seconds, process id, fraction in base 62; since 4.97 the last two are longer."""

WITH_ID = re.compile(rf"(?:\[\d{{1,18}}\] )?({MESSAGE_ID}) (\S+)(?: (.*))?\Z", re.DOTALL | re.ASCII)
PIECE = re.compile(r"\[\d{1,4}[/\\]\d{1,4}\] ?", re.ASCII)
HEADERS = re.compile(
    r"Envelope-(?:from|to): |Recipients: |[A-Z* ] [!-9;-~]{1,78}:|\t\S|-{8,}|\.\.\. more headers", re.ASCII
)

_QUOTED = r'"(?:[^"\\]|\\.){0,512}"'
_ADDRESS = rf"<((?:{_QUOTED})?[^>]*)>"
_HOST = r"(?:([^\s()\[\]]{1,256}) )?(?:\(([^\s]{0,256}?)\) )?\[(?:IPv6:)?([0-9A-Fa-f.:]{2,64})\](?::(\d{1,5}))?\*?"
HOST = re.compile(rf"(?:^| )H={_HOST}", re.ASCII)
_FIELD = re.compile(r"(?:^| )(U|P|X|A|S|id\*?)=(\S*)", re.ASCII)
_SUBJECT = re.compile(r' T="((?:[^"\\]|\\.)*)"(?: from <[^>]*>)?\Z', re.DOTALL)
_FROM = re.compile(rf"(?:{_ADDRESS}|((?:{_QUOTED})?\S*))(?= |$)", re.DOTALL)
_TO = re.compile(rf"(?:({_QUOTED}[^\s]*|[^\s|\"<][^\s]*)|(\|.{{0,1024}}?|\"\|.{{0,1024}}?)(?= <|\Z))", re.DOTALL)
_TO_WITH_BLANKS = re.compile(r"([^|\"<>].{0,512}?)()(?= <[^>]*>(?: [A-Z]\w{0,4}=| ?:| defer|$))", re.DOTALL | re.ASCII)
_BEHIND = re.compile(r"\Z| [A-Z]\w{0,4}=| ?:| <| \(| (?:routing )?defer \(", re.ASCII)
_PARENT = re.compile(r" \(([^\s]{1,512})\)(?= |$)")
_ORIGINAL = re.compile(rf" {_ADDRESS}(?= |:|$)", re.DOTALL)
_ROUTED = re.compile(
    r"(?: (?:F|P|R|T|S|ST|QT|DT|PRX|Ci|X|CV|DN|PS|SNI|I|A)=(?:<[^>]*>|\"[^\"]*\"|\S*?(?=:? |:?\Z))"
    r"| H=[^\[]{0,512}\[[^\]]{0,64}\](?::\d{1,5})?\*?)*",
    re.ASCII,
)
_DEFER = re.compile(r" (?:routing )?defer \((-?\w{1,6})\)(.*)", re.DOTALL | re.ASCII)
_DSN = re.compile(r"\b[245]\d\d[ -]([245]\.\d{1,3}\.\d{1,3})(?=\s|$)", re.ASCII)
_REJECTED = re.compile(
    r"(?P<before>.*?)(?P<temp>temporarily )?(?P<word>rejected|refused|discarded)"
    r" (?P<what>connection|RCPT|MAIL|DATA|VRFY|EXPN|ETRN|AUTH|STARTTLS|QUIT|EHLO or HELO|HELO|EHLO|BDAT|WELLKNOWN"
    r"|from(?= <)|after DATA|during \w+ ACL|by local_scan|by non-SMTP ACL|by \w+)\b(?P<rest>.*)",
    re.DOTALL | re.ASCII,
)
_ABOUT = re.compile(rf"(?: (?:TO|FROM):| )?(?:{_ADDRESS}|(\S+?))(?=:? |:?$)", re.DOTALL)
_SENDER = re.compile(rf"(?:^| )F={_ADDRESS}", re.DOTALL)
_VERIFY = re.compile(
    rf"(?P<before>.*?)sender verify (?P<how>fail|defer) for {_ADDRESS}(?::? (?P<words>.*))?", re.DOTALL
)
_AUTH_FAILED = re.compile(
    rf"(\S{{1,128}}) authenticator failed for(?: (?:H=)?{_HOST})?"
    r"(?: [A-Z]\w{0,3}=\S{0,140}?(?=:? )){0,6}: (.*)",  # fields are parted by blanks: one way to read them
    re.DOTALL | re.ASCII,
)
_HOST_BEHIND = re.compile(rf"(?: from)? (?:H=)?{_HOST}(?: I=\S{{0,128}})?", re.ASCII)
_ESCAPE = re.compile(r"((?:\\[0-3][0-7]{2})+)|\\(.)", re.DOTALL)
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}


class Client(NamedTuple):
    """Who is at the other end: verified name, name in HELO, address, port."""

    domain: str | None = None
    helo: str | None = None
    ip: str | None = None
    port: int | None = None


NOBODY = Client()


class Arrival(NamedTuple):
    """A `<=` line. `user` is who authenticated, or who called Exim on the machine itself."""

    sender: str
    client: Client
    user: str | None
    method: str | None
    protocol: str | None
    size: int | None
    message_id: str | None
    subject: str | None
    recipients: list[str]


class Delivery(NamedTuple):
    """A line about a delivery: the recipient, what it was before expansion (empty where the same), where to, the rest.

    `to` is empty where a filter made a reply, which is a message of its own.
    """

    to: str
    original: str
    relay: str
    discarded: bool
    rest: str


class Rejection(NamedTuple):
    """A line about something refused: what at (`RCPT`, `after DATA` …), by whom it was sent, to whom, and why."""

    stage: str
    client: Client
    user: str | None
    method: str | None
    sender: str | None
    to: str | None
    words: str


@lru_cache(maxsize=4096)
def _client(domain: str | None, helo: str | None, ip: str, port: str | None) -> Client:
    found = addresses.ip(ip)
    return Client(domain and domain.lower(), helo or None, found, addresses.port(port))


def client(text: str) -> Client:
    """The host of a line's `H=`; all null where it has none."""
    match = HOST.search(text)
    return NOBODY if match is None else _client(*match.groups())


def _fields(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in _FIELD.findall(text):
        if key not in found:
            found[key] = value
    return found


def _user(fields: dict[str, str], found: Client) -> tuple[str | None, str | None]:
    """User and method: of `A=authenticator:id`, else the caller on the machine itself (ident answers prove nothing)."""
    method, _, user = fields.get("A", "").partition(":")
    if method:
        return clipped(user.partition(":")[0]) or None, method
    return (fields.get("U") or None) if found.ip is None else None, None


def arrival(rest: str) -> Arrival | None:
    """Read what follows `<=`; None where it is none."""
    match = _FROM.match(rest)
    if match is None:
        return None
    sender = match[1] if match[1] is not None else match[2]
    text = rest[match.end() :]
    head, found, tail = text.rpartition(" for ")
    recipients = tail.split(" ") if found and '="' not in tail else []
    text = head if recipients else text
    subject = _SUBJECT.search(text) if ' T="' in text else None
    if subject is not None:
        text = text[: subject.start()]
    host, fields = client(text), _fields(text)
    user, method = _user(fields, host)
    named = fields.get("id") or fields.get("id*")
    return Arrival(
        address(sender), host, user, method, fields.get("P"), whole(fields.get("S")), named and message_id(named),
        unescaped(subject[1]) if subject is not None else None, [address(to) for to in recipients if to],
    )  # fmt: skip


def unescaped(text: str) -> str:
    r"""A subject as it was: `\"` and `\\` unquoted, `\303\244` (bytes in octal) put together."""
    if "\\" not in text:
        return text

    def plain(match: re.Match[str]) -> str:
        if match[1]:
            return bytes(int(octet, 8) for octet in match[1].split("\\")[1:]).decode("utf-8", "backslashreplace")
        return _CONTROL.get(match[2], match[2])

    return _ESCAPE.sub(plain, text)


def delivery(rest: str) -> Delivery | None:
    """Read what follows `=>`, `->`, `>>`, `*>`, `**` or `==`; None where it names no recipient."""
    match = _TO.match(rest)
    if match is None or _BEHIND.match(rest, match.end()) is None:
        match = _TO_WITH_BLANKS.match(rest) or match
    if match is None:
        return None
    final, end = match[1] if match[1] is not None else match[2], match.end()
    parents = []
    while (parent := _PARENT.match(rest, end)) is not None:
        parents.append(parent[1])
        end = parent.end()
    first = _ORIGINAL.match(rest, end)
    original, end = ("", end) if first is None else (address(first[1]), first.end())
    final = final.removesuffix(":") if first is None else final
    to, discarded = _recipient(final, original, parents)
    host = HOST.search(rest, end)
    relay = "" if host is None else host[0].removeprefix(" ")[2:]
    if not relay and (final[:1] in "/|" or final[:2] == '"|'):
        relay = clipped(final)
    return Delivery(to, original if original != to else "", relay, discarded, rest[end:])


def _recipient(final: str, original: str, parents: list[str]) -> tuple[str, bool]:
    """The recipient's address, and whether the message was dropped.

    A local delivery is logged by its local part alone: its domain is that of the address before it. Files, pipes and
    what was discarded have no other recipient than that address.
    """
    if final[:1] == ">":
        return "", False
    if not original:
        return address(final), False
    if final in {":blackhole:", "discarded"}:
        return original, True
    if final[:1] in "/|" or final[:2] == '"|' or "/" in final or " " in final:
        return original, False
    if "@" in final:
        return address(final), False
    before = address(parents[0]) if parents and "@" in parents[0] else original
    local, _, domain = before.rpartition("@")
    return before if local.lower() == final.lower() else f"{final}@{domain}", False


def failure(rest: str) -> tuple[str, str]:
    """Words and enhanced status code of a `**` line, from what follows its addresses."""
    routed = _ROUTED.match(rest)
    end = 0 if routed is None else routed.end()
    words = rest[end:].lstrip(" :").rstrip()
    return words, dsn(words)


def deferral(rest: str) -> tuple[str, str] | None:
    """Words and enhanced status code of a `==` line; None where it names no reason."""
    routed = _ROUTED.match(rest)
    match = _DEFER.match(rest, 0 if routed is None else routed.end())
    if match is None:
        return None
    words = match[2].lstrip(": ").strip()
    return words, dsn(words)


def dsn(words: str) -> str:
    """The enhanced status code (RFC 3463) in an answer; empty where there is none."""
    match = _DSN.search(words)
    return "" if match is None else match[1]


def rejection(text: str) -> Rejection | None:
    """Read a line about something refused; None where it is none."""
    match = _REJECTED.match(text)
    if match is None or "Warning: " in match["before"]:
        return None
    before, what, rest = match["before"], match["what"], match["rest"]
    host, fields = client(before), _fields(before)
    user, method = _user(fields, host)
    said = _SENDER.search(before)
    sender, to = (None if said is None else address(said[1])), None
    if what in {"RCPT", "MAIL", "from"}:
        about = _ABOUT.match(rest)
        if about is not None:
            found = address(about[1] if about[1] is not None else about[2])
            sender, to = (sender, found) if what == "RCPT" else (found if sender is None else sender, None)
            rest = rest[about.end() :]
    if host.ip is None and (behind := _HOST_BEHIND.match(rest)) is not None:
        host, rest = _client(*behind.groups()), rest[behind.end() :]
    words = rest.lstrip(": ").strip()
    stage = f"{match['temp'] or ''}{match['word']} {what}"
    return Rejection(stage, host, user, method, sender, to, words)


def verification(text: str) -> Rejection | None:
    """Read a line about a sender that could not be verified; None where it is none."""
    match = _VERIFY.match(text)
    if match is None:
        return None
    sender = address(match[3])
    return Rejection(f"sender verify {match['how']}", client(match["before"]), None, None, sender, None,
                     match["words"] or "")  # fmt: skip


def failed(text: str) -> tuple[str, Client, str, str | None] | None:
    """Authenticator, client, words and user of a failed authentication; None where it is none."""
    match = _AUTH_FAILED.match(text)
    if match is None:
        return None
    method, domain, helo, ip, port, text = match.groups()
    host = NOBODY if ip is None else _client(domain, helo, ip, port)
    words, _, named = text.partition(" (set_id=")
    return method, host, words.strip(), clipped(named.rstrip().removesuffix(")")) or None
