"""The ClickHouse server process: ``python -m infra.embedded.native --data DIR --port N --password-file …``.

Started by `infra.embedded.EmbeddedServers`. Ends cleanly on SIGTERM. Exit codes: 0 stopped, 3 port taken, 4 the engine
failed its self-test or does not open the folder.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from pathlib import Path

from infra.embedded.endpoints import ANALYST, DATABASE, USER
from infra.embedded.errors import SelfTestError
from infra.embedded.native.faults import ServerError
from infra.embedded.native.shared import User
from infra.embedded.ports import LOOPBACK

_PORT_TAKEN = 3
_ENGINE_FAILED = 4


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM; the exit code."""
    options = _parse(arguments)
    users = {
        USER: User(USER, options.password_file.read_text().strip(), read_only=False),
        ANALYST: User(ANALYST, options.analyst_password_file.read_text().strip(), read_only=True),
    }
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, options.port))
    except OSError as error:
        print(f"cannot listen on {LOOPBACK}:{options.port}: {error}", file=sys.stderr)
        return _PORT_TAKEN
    return _serve(options.data, users, listener)


def _serve(data: Path, users: dict[str, User], listener: socket.socket) -> int:
    # These start the engine, which takes a second; a taken port is known before.
    from infra.embedded.native.server import NativeServer  # noqa: PLC0415
    from infra.embedded.selftest import verify  # noqa: PLC0415

    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        server = NativeServer(data, users, listener, DATABASE)
        verify(data)
    except (ServerError, SelfTestError) as error:
        print(f"the engine cannot be used: {error}", file=sys.stderr)
        return _ENGINE_FAILED
    # Set after the engine has started, which has its own ideas about signals.
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(f"process {os.getpid()} serves {data} on {listener.getsockname()}", file=sys.stderr, flush=True)
    server.serve()
    print("stopped", file=sys.stderr, flush=True)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.embedded.native", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--analyst-password-file", type=Path, required=True)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
