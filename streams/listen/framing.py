r"""Bytes of a TCP connection to syslog messages: RFC 6587, both framings, recognised for each frame anew.

- *Octet counting* (section 3.4.1): `LENGTH SP MESSAGE`, where the message begins with `<` as a syslog message must, or
  with `{` as JSON does: a message that begins with a number and a blank is otherwise taken as it is.
- *Non-transparent framing* (section 3.4.2): a message up to LF or NUL; a CR before the LF is no part of it.

Line ends and NULs between frames are skipped. A line end within a counted message is written as `#012`, the way rsyslog
does it, so that a message is one line. A message over the limit is given one byte beyond it, and the rest is skipped.
"""

from __future__ import annotations

import re

_BETWEEN = re.compile(rb"[\n\r\0]*")
_COUNT = re.compile(rb"([1-9]\d{0,8}) (?=[<{])")
_MAY_COUNT = re.compile(rb"[1-9]\d{0,8} ?\Z")
_END = re.compile(rb"[\n\0]")
_ENDS = b"\n\r\0"


class Framer:
    """One connection's frames. Memory: a message and what was fed at once.

    Args:
        max_line_bytes: The limit.
    """

    def __init__(self, max_line_bytes: int) -> None:
        self.cut = 0  # messages that were too long
        self._max = max_line_bytes
        self._rest = b""
        self._skip = 0  # bytes of a counted message still to be skipped
        self._skip_line = False  # until the next line end

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes, give the messages that they complete; none is empty."""
        data = self._rest + data
        out: list[bytes] = []
        at = self._skipped(data)
        while at < len(data):
            at = _BETWEEN.match(data, at).end()  # type: ignore[union-attr]  # it matches nothing too
            counted = _COUNT.match(data, at)
            if counted is not None:
                end = self._counted(data, counted.end(), int(counted[1]), out)
            elif _MAY_COUNT.match(data, at):
                break
            else:
                end = self._line(data, at, out)
            if end < 0:
                break
            at = end
        self._rest = data[at:]
        return out

    def finish(self) -> list[bytes]:
        """The connection has ended: what had begun is all that there will be of it."""
        rest, self._rest = self._rest, b""
        counted = _COUNT.match(rest)
        message = one_line(rest[counted.end() :] if counted else rest)[: self._max + 1]
        return [message] if message else []

    def _skipped(self, data: bytes) -> int:
        """Where the next frame begins after one that was too long."""
        if self._skip:
            count = min(self._skip, len(data))
            self._skip -= count
            return count
        if self._skip_line:
            end = _END.search(data)
            self._skip_line = end is None
            return len(data) if end is None else end.end()
        return 0

    def _counted(self, data: bytes, start: int, length: int, out: list[bytes]) -> int:
        """Take a counted message; where it ends, or -1 while it is not whole."""
        if length > self._max:
            if len(data) - start <= self._max:
                return -1
            self._give(data[start : start + self._max + 1].replace(b"\n", b"#012"), out)
            self._skip = max(0, start + length - len(data))
            return min(start + length, len(data))
        if len(data) - start < length:
            return -1
        self._give(one_line(data[start : start + length]), out)
        return start + length

    def _give(self, message: bytes, out: list[bytes]) -> None:
        """Give a message, cut where it is over the limit; `#012` for a line end may have made it so."""
        self.cut += len(message) > self._max
        if message:
            out.append(message[: self._max + 1])

    def _line(self, data: bytes, start: int, out: list[bytes]) -> int:
        """Take a message that a line end closes; where the next begins, or -1 while it is not whole."""
        found = _END.search(data, start)
        if found is None:
            if len(data) - start <= self._max + 1:
                return -1
            self._skip_line = True
        end = len(data) if found is None else found.start()
        message = data[start:end]
        if found is not None and found[0] == b"\n":
            message = message.removesuffix(b"\r")
        self._give(message, out)
        return end + (found is not None)


def one_line(message: bytes) -> bytes:
    """A message without the line ends and NULs behind it, those within it as `#012`."""
    return message.rstrip(_ENDS).replace(b"\n", b"#012")
