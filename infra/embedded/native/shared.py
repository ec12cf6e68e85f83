"""What all connections of one server share."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from infra.embedded.native.constants import Code
from infra.embedded.native.faults import refuse
from infra.embedded.native.guard import AnalystGuard
from infra.embedded.native.packets import Identity
from infra.embedded.native.watcher import Watcher

MAX_CONNECTIONS: Final = 128
MAX_QUERIES: Final = 32


@dataclass(frozen=True)
class User:
    """Who may come in."""

    name: str
    password: str
    read_only: bool


@dataclass(frozen=True)
class Limits:
    """Bounds on memory, in bytes. Beyond them a query fails with the engine's code 241; nothing else is hurt."""

    query_memory: int
    server_memory: int


@dataclass
class QueryIds:
    """Ids of running queries, and how many run."""

    _running: set[str] = field(default_factory=set)
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self, query_id: str) -> Iterator[None]:
        """Count one. Raises `ServerError` 216 for an id in use and 202 beyond `MAX_QUERIES`."""
        with self._lock:
            if query_id and query_id in self._running:
                raise refuse(
                    Code.QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING, f"Query with id = {query_id} is already running."
                )
            if self._count >= MAX_QUERIES:
                raise refuse(
                    Code.TOO_MANY_SIMULTANEOUS_QUERIES, f"Too many simultaneous queries. Maximum: {MAX_QUERIES}"
                )
            self._running.add(query_id)
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(query_id)
                self._count -= 1


@dataclass(frozen=True)
class Shared:
    """Made once, used by every connection's thread."""

    data: Path
    users: Mapping[str, User]
    identity: Identity
    settings: Mapping[str, str]
    """Names of the engine's settings with their types."""
    guard: AnalystGuard
    watcher: Watcher
    limits: Limits
    default_database: str
    query_ids: QueryIds = field(default_factory=QueryIds)

    def admit(self, name: str, password: str) -> User:
        """The user. Raises a fatal `ServerError` 516, the same whether the name or the password is wrong."""
        user = self.users.get(name)
        expected = user.password if user is not None else ""
        # Compared even for unknown names: how long it takes tells nothing.
        same = hmac.compare_digest(expected.encode(), password.encode(errors="surrogateescape"))
        if user is None or not same:
            message = f"{name}: Authentication failed: password is incorrect, or there is no user with such name."
            raise refuse(Code.AUTHENTICATION_FAILED, message, fatal=True)
        return user
