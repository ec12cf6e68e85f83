"""One running pair of embedded servers for a whole test session, whoever asks first.

Other folders write ``from tests.embedded.servers_fixture import embedded_servers`` into their ``conftest.py``. Every
test makes its own topics and its own ClickHouse database: nothing is cleaned up in between.
"""

from __future__ import annotations

import os
import tempfile
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.embedded import EmbeddedServers, Endpoints, Layout

_ROOT = Path(__file__).resolve().parents[2]


def jar_cache() -> Path:
    """Where the jars are kept between runs: ``AUPSTREAM_CACHE``, else ``.cache`` in the checkout."""
    return Path(os.environ.get("AUPSTREAM_CACHE") or _ROOT / ".cache")


@dataclass(frozen=True)
class RunningServers:
    """The servers with what tests need to reach them."""

    servers: EmbeddedServers
    endpoints: Endpoints
    folder: Path

    @property
    def layout(self) -> Layout:
        return Layout(self.folder)

    @property
    def clickhouse_port(self) -> int:
        return int(self.endpoints.clickhouse.rpartition(":")[2].partition("/")[0])

    def password(self, user: str = "aupstream") -> str:
        return self.layout.password(user).read_text().strip()

    @staticmethod
    def fresh_name(prefix: str = "t") -> str:
        """A name that no other test uses."""
        return f"{prefix}_{uuid.uuid4().hex[:10]}"


class _Shared:
    """The fixture may be registered by several conftest files; they all share this one pair."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._running: RunningServers | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def take(self) -> RunningServers:
        with self._lock:
            if self._running is None:
                self._folder = tempfile.TemporaryDirectory(prefix="aupstream-test-")
                folder = Path(self._folder.name) / "data"
                servers = EmbeddedServers(folder, cache=jar_cache(), say=print)
                self._running = RunningServers(servers, servers.start(), folder)
            self._users += 1
            return self._running

    def give_back(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._running is not None and self._folder is not None:
                self._running.servers.stop()
                self._folder.cleanup()
                self._running = None


_shared = _Shared()


@pytest.fixture(scope="session")
def embedded_servers() -> Iterator[RunningServers]:
    yield _shared.take()
    _shared.give_back()
