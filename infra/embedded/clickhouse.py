"""The ClickHouse server process: `infra.embedded.native` over a data folder, seen from the process that starts it."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import infra
from infra.embedded.child import ChildSpec
from infra.embedded.ports import LOOPBACK


@dataclass(frozen=True)
class ClickHouseConfig:
    """One server: where it keeps its data, where it listens, who may come in."""

    data: Path
    port: int
    password_file: Path
    analyst_password_file: Path
    log: Path
    pid_file: Path


def child_spec(config: ClickHouseConfig) -> ChildSpec:
    """How to run the server. Passwords go by file name only."""
    root = str(Path(infra.__file__).parent.parent)
    paths = os.environ.get("PYTHONPATH")
    return ChildSpec(
        name="clickhouse",
        command=(
            sys.executable,
            *("-m", "infra.embedded.native", "--data", str(config.data), "--port", str(config.port)),
            *("--password-file", str(config.password_file)),
            *("--analyst-password-file", str(config.analyst_password_file)),
        ),
        log=config.log,
        pid_file=config.pid_file,
        folder=config.data.parent,
        environment={"PYTHONPATH": f"{root}{os.pathsep}{paths}" if paths else root, "PYTHONUNBUFFERED": "1"},
        stop_within_sec=20.0,
    )


def is_ready(port: int, user: str, password: str, timeout_sec: float = 2.0) -> tuple[bool, str]:
    """Whether the server lets ``user`` in, answers a ping, and why not. Blocks at most a few ``timeout_sec``."""
    # Imported here: the wire format is the server's; this is its smallest client.
    from infra.embedded.native.probe import hello_and_ping  # noqa: PLC0415

    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_sec) as connection:
            connection.settimeout(timeout_sec)
            return hello_and_ping(connection, user, password)
    except (OSError, EOFError) as error:
        return False, f"no answer: {error}"
