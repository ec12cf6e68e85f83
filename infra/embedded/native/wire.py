"""Bytes in and out: numbers, strings, and a buffer that keeps a block together while its end is looked for."""

from __future__ import annotations

import socket
import struct
from abc import ABC, abstractmethod
from typing import Final

from infra.embedded.native.constants import Code
from infra.embedded.native.faults import refuse

MAX_BLOCK_BYTES: Final = 256 * 1024 * 1024
"""Largest block or text taken from a client. A larger one ends the connection with an error, before memory does."""
MAX_STRING_BYTES: Final = 256 * 1024 * 1024
_RECEIVE_BYTES: Final = 256 * 1024


class Reader(ABC):
    """A growing buffer with a position. Everything before the position may be dropped by `forget`."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.position = 0

    @abstractmethod
    def fill(self) -> None:
        """Append at least one byte to ``buffer``; blocks. Raises `EOFError` at the end and `OSError`."""

    def need(self, count: int) -> int:
        """Have ``count`` bytes from the position on; the position. Raises as `fill`, or a fatal `ServerError`."""
        if count > MAX_BLOCK_BYTES:
            raise refuse(Code.TOO_MANY_BYTES, f"More than {MAX_BLOCK_BYTES} bytes in one piece", fatal=True)
        end = self.position + count
        while len(self.buffer) < end:
            if len(self.buffer) > MAX_BLOCK_BYTES:
                message = f"The block is larger than {MAX_BLOCK_BYTES} bytes: send smaller blocks"
                raise refuse(Code.TOO_MANY_BYTES, message, fatal=True)
            self.fill()
        return self.position

    def skip(self, count: int) -> None:
        """Move on by ``count`` bytes."""
        self.need(count)
        self.position += count

    def forget(self) -> None:
        """Drop what lies before the position."""
        if self.position == len(self.buffer):
            self.buffer = bytearray()
        elif self.position:
            del self.buffer[: self.position]
        self.position = 0

    def u8(self) -> int:
        """One byte."""
        value = self.buffer[self.need(1)]
        self.position += 1
        return value

    def u64(self) -> int:
        """Eight bytes, little endian."""
        value = int.from_bytes(self.buffer[self.need(8) : self.position + 8], "little")
        self.position += 8
        return value

    def varuint(self) -> int:
        """A variable-length number of at most 64 bits (LEB128)."""
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise refuse(Code.INCORRECT_DATA, "A variable-length number is longer than 64 bits", fatal=True)

    def string_bytes(self) -> bytes:
        """A string with its length before it."""
        length = self.varuint()
        start = self.need(length)
        self.position += length
        return bytes(self.buffer[start : start + length])

    def string(self) -> str:
        """A string as text; bytes that are not UTF-8 stay recognisable and go back unchanged."""
        return self.string_bytes().decode(errors="surrogateescape")

    def skip_strings(self, count: int) -> None:
        """Move over ``count`` strings. This is where inserts spend their time, hence the local names."""
        buffer, position, left = self.buffer, self.position, count
        end = len(buffer)
        while left:
            # A length below 128 is one byte: the usual string needs one index and one addition.
            if position < end and (length := buffer[position]) < 0x80:
                position += length + 1
                left -= 1
                continue
            self.position = position
            self.skip(self.varuint())
            left -= 1
            buffer, position, end = self.buffer, self.position, len(self.buffer)
        self.position = position
        self.need(0)


class SocketReader(Reader):
    """Reads from a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection = connection

    def fill(self) -> None:
        """Wait for more from the socket."""
        piece = self._connection.recv(_RECEIVE_BYTES)
        if not piece:
            raise EOFError("the client closed the connection")
        self.buffer += piece


class BytesReader(Reader):
    """Reads what is already there."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.buffer = bytearray(content)

    def fill(self) -> None:
        """There is no more."""
        raise EOFError("the content ends in the middle of a value")


def varuint(value: int) -> bytes:
    """``value`` (0 to 2**64-1) as LEB128."""
    content = bytearray()
    while value > 0x7F:
        content.append((value & 0x7F) | 0x80)
        value >>= 7
    content.append(value)
    return bytes(content)


def string(value: str | bytes) -> bytes:
    """A string with its length before it."""
    content = value.encode(errors="surrogateescape") if isinstance(value, str) else value
    return varuint(len(content)) + content


def i32(value: int) -> bytes:
    """Four bytes, little endian, signed."""
    return struct.pack("<i", value)
