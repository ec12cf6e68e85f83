"""One listener: its sockets, its connections and the spools that it fills."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

from schemas.errors import ServerError
from schemas.metrics import Metrics
from streams.listen.intake import Reception
from streams.listen.queue import SpoolQueue
from streams.listen.settings import Address, ListenerConfig
from streams.listen.sorting import Claims, Sorter
from streams.listen.spool_write import SpoolWriter
from streams.listen.tcp import Connection, Connections
from streams.listen.tls import Certificates
from streams.listen.udp import DatagramSocket

log = logging.getLogger(__name__)

SWEEP_S = 1.0
_BACKLOG = 1_024


class Listener:
    """See the module. Lives in one event loop.

    Args:
        config: What to listen on and whom to feed.
        claims_of: By a type's name, what says of a line that it is its.
        metrics: Counted into.
        clock: Wall clock, microseconds UTC.

    Raises:
        ConfigError: certificate or key cannot be used.
    """

    def __init__(
        self, config: ListenerConfig, claims_of: Callable[[str], Claims], metrics: Metrics, clock: Callable[[], int]
    ) -> None:
        self.config = config
        self.bound: list[Address] = []  # with the ports that were chosen
        writers = [SpoolWriter(r.folder, config.spool_bytes, durable=config.fsync != "never") for r in config.routes]
        self._queues = [
            SpoolQueue(r.source, w, config.fsync, config.fsync_interval_ms, metrics)
            for r, w in zip(config.routes, writers, strict=True)
        ]
        self._reception = Reception(config, Sorter(config.routes, claims_of), self._queues, metrics, clock)
        wants_tls = any(a.scheme == "tls" for a in config.addresses)
        self._certificates = Certificates(config) if wants_tls else None
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._datagrams: list[DatagramSocket] = []
        self._writing: list[asyncio.Task[None]] = []
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            ServerError: an address cannot be listened on; nothing is left open then.
        """
        try:
            for address in self.config.addresses:
                await self._listen(address)
        except BaseException:
            await self.stop()
            raise
        loop = asyncio.get_running_loop()
        self._writing = [loop.create_task(q.run()) for q in self._queues]
        for datagrams in self._datagrams:
            datagrams.start()
        self._sweeping = loop.create_task(self._sweep())

    async def stop(self) -> None:
        """Close everything; what was received by then is written."""
        for server in self._servers:
            server.close()
        for datagrams in self._datagrams:
            datagrams.stop()
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)  # connections hand over what had begun
        if self._sweeping is not None:
            self._sweeping.cancel()
        for queue in self._queues:
            queue.stop()
        await asyncio.gather(*self._writing)

    def check(self) -> None:
        """Raise what ended a writer, if one has ended: nothing goes on without it."""
        for task in self._writing:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def status(self) -> dict[str, Any]:
        """For the status file."""
        problems = [str(q.problem) for q in self._queues if q.problem is not None]
        if self._certificates is not None and self._certificates.problem is not None:
            problems.append(str(self._certificates.problem))
        return {
            "addresses": [str(a) for a in self.bound],
            "connections": len(self._connections),
            "sources": [r.source for r in self.config.routes],
            "problem": "; ".join(problems),
        }

    async def _listen(self, address: Address) -> None:
        where = f"listeners.{self.config.name}.addresses"
        kind = socket.SOCK_DGRAM if address.scheme == "udp" else socket.SOCK_STREAM
        try:
            family, _, _, _, place = socket.getaddrinfo(address.host, address.port, type=kind)[0]
            sock = socket.socket(family, kind)
            try:
                if kind == socket.SOCK_STREAM:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.setblocking(False)
                sock.bind(place)
                await self._serve(address, sock)
            except OSError:
                sock.close()
                raise
        except OSError as error:
            hint = "is another program listening there? Ports below 1024 need leave of the system"
            raise ServerError(f"{address} cannot be listened on: {error}", where=where, hint=hint) from error
        self.bound.append(Address(address.scheme, address.host, sock.getsockname()[1]))

    async def _serve(self, address: Address, sock: socket.socket) -> None:
        if address.scheme == "udp":
            self._datagrams.append(DatagramSocket(sock, self._reception))
            return
        context = self._certificates.context if self._certificates and address.scheme == "tls" else None
        connections = Connections(self._reception, context)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: connections.protocol(self._connections), sock=sock, backlog=_BACKLOG)
        self._servers.append(server)

    async def _sweep(self) -> None:
        """Close idle connections, and ask the kernel what it dropped."""
        while True:
            await asyncio.sleep(SWEEP_S)
            limit = self.config.idle_timeout_s
            if limit > 0:
                before = time.monotonic() - limit
                for connection in [c for c in self._connections if c.last_s < before]:
                    connection.close("idle")
            for datagrams in self._datagrams:
                datagrams.count_kernel_drops()
