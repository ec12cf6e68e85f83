"""The socket of one client: packets out, blocks in."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass

from infra.embedded.native import constants
from infra.embedded.native.columns import BlockShape, walk_block
from infra.embedded.native.compression import FrameReader
from infra.embedded.native.constants import ClientPacket, Code
from infra.embedded.native.faults import refuse
from infra.embedded.native.wire import Reader, SocketReader


@dataclass(frozen=True)
class ClientBlock:
    """A block as it came: its name (of an external table, else empty), its shape, its Native bytes."""

    name: str
    shape: BlockShape
    body: bytes

    @property
    def is_end(self) -> bool:
        """Whether it is the empty block that ends a client's data."""
        return not self.shape.columns and not self.shape.rows


class Transport:
    """Used by the connection's own thread; only `lock` is for the watcher's as well."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.reader = SocketReader(connection)
        self.revision = constants.REVISION
        self.lock = threading.Lock()

    def send(self, *pieces: bytes) -> None:
        """Send all of it; blocks while the client does not read. Raises `OSError`."""
        with self.lock:
            for piece in pieces:
                self.socket.sendall(piece)

    def take_early_cancel(self) -> bool:
        """Whether a cancel was received together with the query; it is taken out then.

        The watcher looks at the socket and would never see it.
        """
        reader = self.reader
        if len(reader.buffer) > reader.position and reader.buffer[reader.position] == ClientPacket.CANCEL:
            reader.position += 1
            return True
        return False

    def read_block(self, *, compressed: bool) -> ClientBlock:
        """The block after a data packet's number. Raises a fatal `ServerError` when its end cannot be found."""
        name = self.reader.string() if self.revision >= constants.SINCE_TEMPORARY_TABLES else ""
        self.reader.forget()
        if not compressed:
            return self._read_body(name, self.reader)
        frames = FrameReader(self.reader)
        block = self._read_body(name, frames)
        if len(frames.buffer) != frames.position:
            raise refuse(Code.INCORRECT_DATA, "A compressed block does not end with its frame", fatal=True)
        return block

    def _read_body(self, name: str, reader: Reader) -> ClientBlock:
        if self.revision >= constants.SINCE_BLOCK_INFO:
            _skip_block_info(reader)
        reader.forget()
        shape = walk_block(reader)
        body = bytes(reader.buffer[: reader.position])
        reader.forget()
        return ClientBlock(name, shape, body)


def _skip_block_info(reader: Reader) -> None:
    while field := reader.varuint():
        if field not in (1, 2):
            raise refuse(Code.INCORRECT_DATA, f"Unknown field {field} in BlockInfo", fatal=True)
        reader.skip(1 if field == 1 else 4)
