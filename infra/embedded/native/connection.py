"""One client: hello, then packets until it leaves. One thread, one session of the engine."""

from __future__ import annotations

import contextlib
import socket
import sys
import uuid
from typing import Final

from infra.embedded.native import messages, packets
from infra.embedded.native.constants import ClientPacket, Code
from infra.embedded.native.engine import Session
from infra.embedded.native.faults import ServerError, from_engine, refuse
from infra.embedded.native.query import QueryRunner
from infra.embedded.native.settings import QuerySettings
from infra.embedded.native.shared import Shared, User
from infra.embedded.native.sql import quote_name
from infra.embedded.native.transport import Transport

_HELLO_WITHIN_SEC: Final = 10.0
_IDLE_SEC: Final = 3600.0
_TELNET_OR_HTTP: Final = 0x20


class Connection:
    """Serves one socket; `serve` returns when the client is gone or had to be sent away."""

    def __init__(self, shared: Shared, connection: socket.socket) -> None:
        self._shared = shared
        self._socket = connection
        self._transport = Transport(connection)

    def serve(self) -> None:
        """Run until the end of the connection. Never raises; what is unexpected goes to the log."""
        session = None
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(_HELLO_WITHIN_SEC)
            hello, user = self._greet()
            session = Session(self._shared.data)
            runner = self._open(session, hello, user)
            self._transport.send(packets.hello(self._shared.identity, hello.revision))
            self._socket.settimeout(_IDLE_SEC)
            while self._serve_packet(runner):
                self._transport.reader.forget()
        except ServerError as error:
            self._say_last_words(error)
        except (EOFError, OSError):
            pass
        except Exception as error:  # noqa: BLE001 - one client's trouble must not end the server
            print(f"connection ended by {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            self._say_last_words(from_engine(error))
        finally:
            if session is not None:
                session.close()
            self._socket.close()

    def close(self) -> None:
        """End it from another thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _greet(self) -> tuple[messages.ClientHello, User]:
        first = self._transport.reader.u8()
        if first >= _TELNET_OR_HTTP:
            raise EOFError("not a native client")
        if first != ClientPacket.HELLO:
            raise refuse(Code.UNEXPECTED_PACKET_FROM_CLIENT, f"Unexpected packet {first} instead of hello", fatal=True)
        hello = messages.read_hello(self._transport.reader)
        self._transport.revision = hello.revision
        return hello, self._shared.admit(hello.user, hello.password)

    def _open(self, session: Session, hello: messages.ClientHello, user: User) -> QueryRunner:
        """Make the session this user's. The engine says 81 for an unknown database."""
        mark = uuid.uuid4().hex
        limits = self._shared.limits
        database = hello.database or self._shared.default_database
        session.run(f"USE {quote_name(database)}")
        for name, value in (
            ("implicit_select", "0"),
            ("allow_introspection_functions", "0"),
            ("log_comment", mark),
            ("max_memory_usage", str(limits.query_memory)),
            ("max_memory_usage_for_user", str(limits.server_memory)),
        ):
            session.set(name, value)
        if user.read_only:
            # The last of all: from here on the session refuses to change anything.
            session.set("readonly", "1")
        settings = QuerySettings(session, self._shared.settings)
        return QueryRunner(self._shared, self._transport, session, settings, user, mark, database)

    def _serve_packet(self, runner: QueryRunner) -> bool:
        """One packet; False at the regular end."""
        reader = self._transport.reader
        try:
            packet = reader.varuint()
        except EOFError:
            return False
        if packet == ClientPacket.PING:
            self._transport.send(packets.pong())
        elif packet == ClientPacket.QUERY:
            runner.serve()
        elif packet == ClientPacket.DATA:
            # Left over from an insert that failed before the client was told.
            self._transport.read_block(compressed=runner.compressed)
        elif packet == ClientPacket.TABLES_STATUS:
            self._transport.send(packets.tables_status(runner.existing(messages.read_tables(reader))))
        elif packet not in (ClientPacket.CANCEL, ClientPacket.KEEP_ALIVE):
            raise refuse(Code.UNEXPECTED_PACKET_FROM_CLIENT, f"Unexpected packet {packet} from client", fatal=True)
        return True

    def _say_last_words(self, error: ServerError) -> None:
        try:
            self._transport.send(packets.exception(error))
            # Without this the error may be lost: closing with unread input resets the connection.
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(1.0)
            while self._socket.recv(65_536):
                pass
        except OSError:
            pass
