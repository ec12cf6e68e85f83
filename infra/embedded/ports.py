"""Loopback ports: chosen free on the first start, remembered in the data folder, the same ever after.

Clients keep the addresses in their configuration, so a port only changes when ``up`` starts with nothing running and
finds it taken, and then it says so.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import psutil

from infra.embedded.errors import FolderError

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """TCP ports on loopback, one for each listener."""

    kafka: int
    kafka_controller: int
    clickhouse: int


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` now (connections in TIME_WAIT do not count)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """``count`` different free ports, all held open until the last is found so that none comes twice."""
    probes = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def settle(path: Path, say: Callable[[str], None]) -> Ports:
    """The ports in ``path``, made new where there are none, replaced (and said) where one is taken.

    Call it only while no part of this folder runs. Raises `FolderError` when the file is damaged.
    """
    known = load(path)
    if known is None:
        known = Ports(*free_ports(3))
    for name, port in asdict(known).items():
        if not is_free(port):
            other = free_ports(1)[0]
            say(f"port {port} of {name} is taken by {holder_of(port)}; using {other} from now on")
            known = replace(known, **{name: other})
    save(path, known)
    return known


def load(path: Path) -> Ports | None:
    """The remembered ports, or None before the first start. Raises `FolderError` when the file is damaged."""
    try:
        return Ports(**{name: int(port) for name, port in json.loads(path.read_text()).items()})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError) as error:
        raise FolderError(
            f"the remembered ports cannot be read: {error}",
            where=str(path),
            todo="Delete the file; new ports are chosen at the next start.",
        ) from error


def save(path: Path, ports: Ports) -> None:
    """Write the ports so that a crash leaves the old file or the new one, never half of one."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(ports), indent=2) + "\n")
    os.replace(part, path)


def holder_of(port: int) -> str:
    """Who listens on ``port``, as well as can be told: the system may not show other users' processes."""
    try:
        for found in psutil.net_connections("tcp"):
            listens_there = found.status == psutil.CONN_LISTEN and tuple(found.laddr)[1:] == (port,)
            if listens_there and found.pid is not None:
                command = " ".join(psutil.Process(found.pid).cmdline())
                return f"process {found.pid} ({command[:120]})"
    except psutil.Error:
        pass
    return "a process that cannot be named from here"
