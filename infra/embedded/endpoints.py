"""Where a running ``up`` can be reached, and the paths inside its data folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.embedded import lock, password, ports

DATABASE: Final = "aupstream"
USER: Final = "aupstream"
ANALYST: Final = "analyst"


@dataclass(frozen=True)
class Endpoints:
    """Addresses of the two servers."""

    kafka: str
    """Bootstrap server, ``127.0.0.1:PORT``."""
    clickhouse: str
    """A clickhouse-driver DSN with the password: never log it."""
    clickhouse_redacted: str
    """The same without the password, for logs."""


@dataclass(frozen=True)
class Layout:
    """Paths inside a data folder."""

    folder: Path

    @property
    def lock(self) -> Path:
        """Held while an `up` runs."""
        return self.folder / "up.lock"

    @property
    def ports(self) -> Path:
        """The remembered port numbers."""
        return self.folder / "ports.json"

    @property
    def running(self) -> Path:
        """Exists while both parts are up: process id and ports, no password."""
        return self.folder / "running.json"

    @property
    def logs(self) -> Path:
        """``kafka.log`` and ``clickhouse.log``, with one older file each."""
        return self.folder / "logs"

    @property
    def kafka(self) -> Path:
        """Kafka's configuration and data."""
        return self.folder / "kafka"

    @property
    def clickhouse(self) -> Path:
        """ClickHouse's data."""
        return self.folder / "clickhouse"

    def password(self, user: str) -> Path:
        """The file, mode 0600, with the password of ``aupstream`` or ``analyst``."""
        return self.folder / "secrets" / f"{user}.password"

    def pid_file(self, part: str) -> Path:
        """Process id of a part and when it started."""
        return self.folder / "run" / f"{part}.pid"


def build(layout: Layout, numbers: ports.Ports) -> Endpoints:
    """The endpoints for these ports. Raises `FolderError` when the password cannot be read."""
    secret = password.ensure(layout.password(USER))
    address = f"{ports.LOOPBACK}:{numbers.clickhouse}/{DATABASE}"
    return Endpoints(
        kafka=f"{ports.LOOPBACK}:{numbers.kafka}",
        clickhouse=f"clickhouse://{USER}:{secret}@{address}",
        clickhouse_redacted=f"clickhouse://{USER}@{address}",
    )


def write_running(layout: Layout) -> None:
    """Note that both parts are up."""
    part = layout.running.with_suffix(".part")
    part.write_text(json.dumps({"pid": os.getpid()}))
    os.replace(part, layout.running)


def read_endpoints(folder: Path) -> Endpoints | None:
    """Endpoints of the ``up`` that runs on ``folder`` in any process; None when none runs or it is still starting.

    Raises `FolderError` when the folder's files are damaged or not readable for this user.
    """
    layout = Layout(folder.absolute())
    # A dead `up` leaves its note behind; it counts only if its writer is the one who holds the lock now.
    if not lock.is_held(layout.lock) or _noted_pid(layout.running) != lock.holder(layout.lock):
        return None
    numbers = ports.load(layout.ports)
    return None if numbers is None else build(layout, numbers)


def _noted_pid(path: Path) -> int:
    try:
        return int(json.loads(path.read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1
