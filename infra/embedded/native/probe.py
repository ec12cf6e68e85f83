"""The smallest client of the native protocol: log in and ping. Says whether the server works, without a driver."""

from __future__ import annotations

import socket

from infra.embedded.native import constants
from infra.embedded.native.constants import ClientPacket, ServerPacket
from infra.embedded.native.wire import SocketReader, string, varuint


def hello_and_ping(connection: socket.socket, user: str, password: str) -> tuple[bool, str]:
    """Whether the server behind a connected socket lets ``user`` in and answers; and why not.

    Raises `OSError` and `EOFError`.
    """
    hello = varuint(ClientPacket.HELLO) + string("aupstream up") + varuint(1) + varuint(0)
    hello += varuint(constants.REVISION) + string("") + string(user) + string(password)
    connection.sendall(hello)
    reader = SocketReader(connection)
    answer = reader.varuint()
    if answer == ServerPacket.EXCEPTION:
        reader.skip(4)
        reader.string()
        return False, reader.string()
    if answer != ServerPacket.HELLO:
        return False, f"packet {answer} instead of hello: something else listens on this port"
    reader.string()
    for _ in range(3):
        reader.varuint()
    reader.string(), reader.string()
    reader.varuint()
    connection.sendall(varuint(ClientPacket.PING))
    answered = reader.varuint() == ServerPacket.PONG
    return (True, "ready") if answered else (False, "no answer to a ping")
