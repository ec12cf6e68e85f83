"""Ask a broker whether it is ready, without a Kafka client: one Metadata request, version 1.

Field by field after https://kafka.apache.org/protocol#The_Messages_Metadata. A broker answers before it may be used;
it is ready when it lists itself, which a fenced one does not.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

from infra.embedded.ports import LOOPBACK

_METADATA: Final = 3
_CLIENT_ID: Final = b"aupstream-up"


def is_ready(port: int, timeout_sec: float = 1.0) -> tuple[bool, str]:
    """Whether the broker on loopback ``port`` takes work now, and why not. Blocks at most about ``timeout_sec``."""
    body = struct.pack(">hhih", _METADATA, 1, 1, len(_CLIENT_ID)) + _CLIENT_ID + struct.pack(">i", 0)
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_sec) as connection:
            connection.settimeout(timeout_sec)
            connection.sendall(struct.pack(">i", len(body)) + body)
            answer = _read_exactly(connection, struct.unpack(">i", _read_exactly(connection, 4))[0])
    except (OSError, EOFError) as error:
        return False, f"no answer: {error}"
    brokers = struct.unpack_from(">i", answer, 4)[0]
    return (True, "ready") if brokers > 0 else (False, "the broker is not registered yet")


def _read_exactly(connection: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        piece = connection.recv(count - len(content))
        if not piece:
            raise EOFError("the connection was closed")
        content += piece
    return content
