"""The parts of the chaos runs: the plan, the proxy, the shim, and the judge, which must notice."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.plan import KINDS, PARTS, PRELOADED, by_kind, plan
from tests.chaos.proxy import SLOW_DELAY_S, Proxy
from tests.chaos.shim import Shim, compiler

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler, or no preloading here")


def test_the_same_seed_gives_the_same_plan_with_every_kind() -> None:
    assert plan(7, 180) == plan(7, 180)
    assert plan(7, 180) != plan(8, 180)
    assert set(by_kind(plan(7, 180))) == set(KINDS)
    assert [f.at_s for f in plan(7, 180)] == sorted(f.at_s for f in plan(7, 180))
    assert not set(by_kind(plan(7, 180, [k for k in KINDS if k not in PRELOADED]))) & set(PRELOADED)
    assert sum(len(plan(seed, 180)) for seed in range(20)) >= 200
    assert {f.victim for seed in range(20) for f in plan(seed, 180) if f.kind == "kill"} == set(PARTS)


@pytest.fixture
def echo() -> Iterator[int]:
    """A port that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with closing(connection):
                try:
                    while piece := connection.recv(1 << 16):
                        connection.sendall(piece)
                except OSError:
                    return

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _ask(connection: socket.socket, text: bytes = b"hello") -> bytes:
    connection.sendall(text)
    return connection.recv(100)


def test_a_proxy_passes_on_slows_holds_and_cuts(echo: int) -> None:
    proxy = Proxy(lambda: echo).start()
    try:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
            assert _ask(connection) == b"hello"
            proxy.mode("slow")
            began = time.monotonic()
            assert _ask(connection) == b"hello"
            assert time.monotonic() - began >= 2 * SLOW_DELAY_S
            proxy.mode("half-open")
            connection.settimeout(0.5)
            with pytest.raises(TimeoutError):
                _ask(connection, b"held")
            proxy.mode("open")
            connection.settimeout(5)
            assert connection.recv(100) == b"held"
            proxy.mode("cut")
            with pytest.raises(OSError), socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as second:  # noqa: PT012
                _refused(_ask(connection))
                _refused(_ask(second))
        proxy.mode("open")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
            assert _ask(connection) == b"hello"
    finally:
        proxy.stop()


def _refused(answer: bytes) -> None:
    """An end in place of an answer is a cut connection, too."""
    if not answer:
        raise ConnectionResetError
    raise AssertionError(answer)


_TELL = """
import sys, time
print(time.time(), flush=True)
sys.stdin.readline()
print(time.time(), flush=True)
try:
    open(sys.argv[1], "wb", buffering=0).write(b"x")
    print("written", flush=True)
except OSError as error:
    print(error.strerror, flush=True)
sys.stdin.readline()
open(sys.argv[1], "wb", buffering=0).write(b"x")
print(time.time(), flush=True)
"""


@needs_compiler
def test_a_shim_puts_a_clock_wrong_and_fills_a_disk_while_a_process_runs(tmp_path: Path) -> None:
    shim = Shim(tmp_path)
    command = [sys.executable, "-c", _TELL, str(tmp_path / "file")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=shim.environment, text=True, **pipes) as process:  # type: ignore[call-overload]
        said = process.stdout
        assert abs(float(said.readline()) - time.time()) < 5
        shim.clock(process.pid, -3_600)
        shim.full(process.pid, full=True)
        process.stdin.write("\n")
        process.stdin.flush()
        assert abs(float(said.readline()) + 3_600 - time.time()) < 5
        assert said.readline() == "No space left on device\n"
        shim.clock(process.pid, 0)
        shim.full(process.pid, full=False)
        process.stdin.write("\n")
        process.stdin.flush()
        assert abs(float(said.readline()) - time.time()) < 5
    shim.close()
