"""The syslog header of a received message: read, or put before it where there is none."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from streams.normalisers.syslog import Splitter, SyslogLine

_PRI = re.compile(rb"<\d{1,3}>")
_DEFAULT_PRI = b"<13>"  # user.notice, RFC 3164 section 4.3.3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Received(NamedTuple):
    """A message as it goes to the spool.

    Attributes:
        line: With a header.
        host: Host in it; where it had none, the sender's address.
        program: Program in it, or empty.
    """

    line: bytes
    host: str
    program: str


class Headers:
    """Reads the headers of a listener's messages; remembers the hosts and programs that come again, a few thousand."""

    def __init__(self) -> None:
        self._splitter = Splitter()

    def received(self, message: bytes, sender: str, now_us: int) -> Received:
        """Read a message's header; one without gets one, as a relay does it (RFC 3164 section 4.3.3).

        The header that is put before it has the time of reception (RFC 3339, UTC) and the sender's address as host, so
        that it is known whose message it is. A message with a header stays as it is, byte for byte.

        Args:
            message: One line.
            sender: IP address.
            now_us: Wall clock, microseconds UTC.
        """
        found = self._split(message)
        if found is not None:
            return Received(message, found.host or sender, found.program or "")
        pri = _PRI.match(message)
        head, body = (pri[0], message[pri.end() :]) if pri else (_DEFAULT_PRI, message)
        line = b"%b%b %b %b" % (head, stamp(now_us), sender.encode(), body.lstrip(b" "))
        made = self._split(line)
        return Received(line, sender, (made.program or "") if made else "")

    def _split(self, message: bytes) -> SyslogLine | None:
        return self._splitter.split(message.decode("latin-1"))  # a header is ASCII; what follows does not matter here


def sender_of(peer: object) -> str:
    """IP address of a socket's peer, without a zone; an IPv4 one as such, also at a socket for both versions."""
    text = str(peer[0]).partition("%")[0] if isinstance(peer, tuple) and peer else ""
    return text.removeprefix("::ffff:") if "." in text else text


def stamp(now_us: int) -> bytes:
    """A time as RFC 3339 has it, with microseconds, UTC."""
    return (_EPOCH + timedelta(microseconds=now_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
