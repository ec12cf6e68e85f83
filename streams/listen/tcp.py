"""TCP and TLS: connections that are counted, framed, held up while the spool is, and closed when idle."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import cast

from schemas import metrics as names
from streams.listen.framing import Framer
from streams.listen.header import sender_of
from streams.listen.intake import Reception

HANDSHAKE_S = 10.0
PORTION = 1 << 16  # bytes taken of a connection at a time; what one has on its way to the disk at most
_KEEPALIVE = (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))  # a dead peer is noticed in 4 minutes

# One for all connections: it is emptied before anything else is read.
_portion = bytearray(PORTION)


class Connections:
    """The open connections of one listener.

    Args:
        reception: Takes their messages, and counts what is refused.
        context: TLS context for the next connection; None: plain TCP.
    """

    def __init__(self, reception: Reception, context: Callable[[], ssl.SSLContext] | None = None) -> None:
        self.reception, self.context = reception, context

    def protocol(self, shared: set[Connection]) -> Connection:
        """For a connection that has just come."""
        return Connection(self.reception, self.context, shared)


class Connection(asyncio.BufferedProtocol):
    """One connection: while a portion of it is on its way to the disk, no more of it is read.

    Args:
        reception: Takes its messages.
        context: See `Connections`.
        shared: All connections of the listener; this one is in it while it is open.
    """

    def __init__(
        self, reception: Reception, context: Callable[[], ssl.SSLContext] | None, shared: set[Connection]
    ) -> None:
        self._reception, self._context, self._all = reception, context, shared
        self._framer = Framer(reception.config.max_line_bytes)
        self._transport: asyncio.Transport | None = None
        self._sender = ""
        self._task: asyncio.Task[None] | None = None
        self._cut = 0
        self.last_s = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`; of a TLS connection too this is before the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        if len(self._all) >= self._reception.config.max_connections:
            self._reception.refused("too_many_connections")
            self._transport.abort()
            return
        self._sender = sender_of(transport.get_extra_info("peername"))
        _keep_alive(transport.get_extra_info("socket"))
        self._all.add(self)
        self._count()
        if self._context is not None:
            self._transport.pause_reading()
            self._task = asyncio.get_running_loop().create_task(self._shake_hands(self._transport, self._context()))

    async def _shake_hands(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                transport, self, context, server_side=True, ssl_handshake_timeout=HANDSHAKE_S
            )
        except (OSError, TimeoutError) as error:
            self._reception.refused(_why(error))
            transport.abort()
            self._gone()
        else:
            if secured is None or transport.is_closing():
                self._gone()
            self._transport = secured

    def get_buffer(self, sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol`."""
        del sizehint
        return memoryview(_portion)

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        self.last_s = time.monotonic()
        messages = self._framer.feed(bytes(memoryview(_portion)[:nbytes]))
        if self._framer.cut != self._cut:
            config = self._reception.config
            self._reception.metrics.add(names.CUT, self._framer.cut - self._cut, listener=config.name)
            self._reception.say("messages longer than max_line_bytes, cut", self._framer.cut - self._cut)
            self._cut = self._framer.cut
        # What comes with the end of a handshake is handed over before `start_tls` has returned, while this is still
        # the plain transport: the one that is paused must be the one that is resumed, or nothing more is ever read.
        transport = self._transport
        if self._reception.take(messages, self._sender, lambda: _resume(transport)) and transport is not None:
            transport.pause_reading()

    def eof_received(self) -> bool:
        """See `asyncio.BaseProtocol`."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`. What had begun is taken as it is: there will be no more of it."""
        del exc
        if self in self._all:
            self._reception.take(self._framer.finish(), self._sender)
        self._gone()

    def close(self, reason: str = "") -> None:
        """End the connection; with a reason it is counted as refused."""
        if reason:
            self._reception.refused(reason)
        if self._transport is not None:
            self._transport.abort()

    def _gone(self) -> None:
        self._all.discard(self)
        self._count()

    def _count(self) -> None:
        self._reception.metrics.set(names.CONNECTIONS, len(self._all), listener=self._reception.config.name)


def _resume(transport: asyncio.Transport | None) -> None:
    if transport is not None and not transport.is_closing():
        transport.resume_reading()


def _keep_alive(sock: socket.socket | None) -> None:
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            if hasattr(socket, option):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _why(error: BaseException) -> str:
    """A handshake's failure in a word."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "client_certificate_not_trusted"
    reason = getattr(error, "reason", None) or ""
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "no_client_certificate"
    if reason in ("HTTP_REQUEST", "WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE", "PACKET_LENGTH_TOO_LONG"):
        return "no_tls"
    if "ALERT" in reason:
        return "client_refused_our_certificate"
    if isinstance(error, ssl.SSLError):
        return "tls_handshake_failed"
    return (
        "tls_handshake_timed_out" if isinstance(error, TimeoutError | ConnectionAbortedError) else "closed_in_handshake"
    )
