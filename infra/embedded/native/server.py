"""The listening socket, the threads of the connections, and a stop that waits for them."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from infra.embedded.native.connection import Connection
from infra.embedded.native.constants import Code
from infra.embedded.native.engine import Session
from infra.embedded.native.faults import refuse
from infra.embedded.native.guard import AnalystGuard
from infra.embedded.native.packets import Identity, exception
from infra.embedded.native.shared import MAX_CONNECTIONS, Limits, Shared, User
from infra.embedded.native.sql import quote, quote_name
from infra.embedded.native.watcher import Watcher

_STOP_WITHIN_SEC: Final = 10.0
_LEAST_QUERY_MEMORY: Final = 512 * 1024 * 1024
_MOST_QUERY_MEMORY: Final = 4 * 1024 * 1024 * 1024


def default_limits() -> Limits:
    """A quarter of the machine's memory, at most 4 GiB, for one query; twice that for all together."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    query = max(min(total // 4, _MOST_QUERY_MEMORY), _LEAST_QUERY_MEMORY)
    return Limits(query, 2 * query)


class NativeServer:
    """One engine over ``data`` for many clients. `serve` blocks until `stop` is called."""

    def __init__(self, data: Path, users: Mapping[str, User], listener: socket.socket, database: str) -> None:
        self._admin = Session(data)
        self._admin_lock = threading.Lock()
        self._admin.run(f"CREATE DATABASE IF NOT EXISTS {quote_name(database)}")
        self._listener = listener
        self._connections: dict[Connection, threading.Thread] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._shared = Shared(
            data=data,
            users=users,
            identity=_identity(self._admin),
            settings={
                str(name): str(kind) for name, kind in self._admin.rows("SELECT name, type FROM system.settings")
            },
            guard=AnalystGuard(self._admin),
            watcher=Watcher(self._kill),
            limits=default_limits(),
            default_database=database,
        )

    def serve(self) -> None:
        """Accept until `stop`. Then end the queries, close the connections and the engine."""
        self._listener.listen(128)
        self._listener.settimeout(0.2)
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError as error:
                print(f"cannot accept: {error}", file=sys.stderr, flush=True)
                # Out of descriptors, say: clients that leave give some back.
                self._stopping.wait(0.1)
                continue
            self._admit(connection)
        self._close()

    def stop(self) -> None:
        """Ask for the end; returns at once. May be called from a signal handler."""
        self._stopping.set()

    def _admit(self, connection: socket.socket) -> None:
        with self._lock:
            if len(self._connections) < MAX_CONNECTIONS:
                client = Connection(self._shared, connection)
                thread = threading.Thread(target=self._run, args=(client,), daemon=True, name="client")
                self._connections[client] = thread
                thread.start()
                return
        message = f"Too many connections. Maximum: {MAX_CONNECTIONS}"
        with contextlib.suppress(OSError), connection:
            connection.settimeout(1.0)
            connection.sendall(exception(refuse(Code.TOO_MANY_SIMULTANEOUS_QUERIES, message)))

    def _run(self, client: Connection) -> None:
        try:
            client.serve()
        finally:
            with self._lock:
                self._connections.pop(client, None)

    def _kill(self, mark: str) -> None:
        with self._admin_lock:
            self._admin.run(f"KILL QUERY WHERE Settings['log_comment'] = {quote(mark)} ASYNC")

    def _close(self) -> None:
        self._listener.close()
        self._shared.watcher.close()
        with self._lock:
            left = dict(self._connections)
        for client in left:
            client.close()
        deadline = time.monotonic() + _STOP_WITHIN_SEC
        for thread in left.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._admin_lock:
            self._admin.close()


def _identity(session: Session) -> Identity:
    version, timezone = session.rows("SELECT version(), timezone()")[0]
    major, minor, patch = (int(part) for part in str(version).split(".")[:3])
    return Identity((major, minor, patch), str(timezone))
