"""The spool between listener and collector: every line once, in order, whatever is killed; removed when it is safe."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.kinds import EventKind
from streams.listen.spool_write import SpoolWriter
from streams.memory import MemorySink
from streams.sources.spool import SPOOL, SpoolSource, segments
from tests.streams.listening import HEADER, running, spooled, wait_for
from tests.streams.small import World, assert_conserved, collector, config

ROOT = Path(__file__).parents[2]


def writer(folder: Path, segment_bytes: int = 60) -> SpoolWriter:
    made = SpoolWriter(folder, 1 << 20, durable=False, segment_bytes=segment_bytes)
    made.open()
    return made


def test_lines_are_read_in_order_over_segments_and_restarts_of_both_sides(tmp_path: Path) -> None:
    sent: list[bytes] = []
    got: list[bytes] = []
    source = SpoolSource(tmp_path, 1_000)
    place: tuple[str, int] | None = None
    for turn in range(12):
        out = writer(tmp_path)
        for n in range(7):
            line = b"%d.%d of the lines" % (turn, n)
            sent.append(line)
            out.write(line + b"\n")
        out.close()
        while (chunk := source.read(3, 0)) is not None:
            got += chunk.lines
            place = (chunk.generation, chunk.end_offset)
            if turn % 2:
                state = source.save()
                source.close()
                source = SpoolSource(tmp_path, 1_000)
                source.load(state)
                assert source.seek(*place)
        assert source.at_end
    assert got == sent
    assert place is not None
    assert len(segments(tmp_path)) > 20
    source.saved(*place)
    assert [s.generation for s in segments(tmp_path)] == [place[0]]


@given(st.binary(max_size=80))
def test_what_a_crash_left_without_a_line_end_is_cut_off(rest: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out = writer(folder, 1 << 16)
        out.write(b"whole\n")
        out.close()
        source = SpoolSource(folder, 1_000)
        first = source.read(10, 0)  # the reader is here before the crash
        with segments(folder)[0].path.open("ab") as file:
            file.write(rest)
        read = [line for c in iter(lambda: source.read(10, 0), None) for line in c.lines]
        again = writer(folder)
        again.write(b"after\n")
        again.close()
        read += [line for c in iter(lambda: source.read(10, 0), None) for line in c.lines]
        source.close()
        assert first is not None
        assert segments(folder)[0].path.read_bytes() == b"whole\n" + rest[: rest.rfind(b"\n") + 1]
        assert [*first.lines, *read][-1] == b"after"
        assert spooled(folder) == [*first.lines, *read]


def test_a_full_disk_is_said_holds_up_and_goes_on_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("streams.listen.queue.RETRY_S", 0.05)
    write, full = os.write, threading.Event()
    full.set()

    def half_written(fd: int, data: bytes) -> int:
        if full.is_set() and threading.current_thread().name.startswith("asyncio"):
            write(fd, bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data)

    monkeypatch.setattr("streams.listen.spool_write.os.write", half_written)
    sent = [HEADER + b"a: %d" % i for i in range(100)]
    with running(tmp_path) as made:
        made.send(b"".join(line + b"\n" for line in sent))
        wait_for(lambda: "No space left" in made.listener.status()["problem"])
        assert spooled(tmp_path / "mail") == []
        full.clear()
        wait_for(lambda: not made.listener.status()["problem"])
    assert spooled(tmp_path / "mail") == sent
    assert "is written again" in caplog.text


def test_a_disk_that_does_not_sync_is_asked_again_and_nothing_is_written_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.listen.queue.RETRY_S", 0.05)
    fsync, tries = os.fsync, []

    def fails_at_first(fd: int) -> None:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            tries.append(fd)
            if len(tries) < 4:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(fd)

    monkeypatch.setattr("streams.listen.spool_write.os.fsync", fails_at_first)
    with running(tmp_path, fsync="always") as made, made.connect() as connection:
        connection.sendall(HEADER + b"a: one\n")
        wait_for(lambda: len(tries) >= 4)
        connection.sendall(HEADER + b"a: two\n")
        wait_for(lambda: len(tries) >= 5)
    assert spooled(tmp_path / "mail") == [HEADER + b"a: one", HEADER + b"a: two"]


def test_a_spool_that_somebody_emptied_is_read_on(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    out = writer(spool)
    for n in range(20):
        out.write(b"line %d of the old\n" % n)
    out.close()
    source = SpoolSource(spool, 1_000)
    place = ("", 0)
    while (chunk := source.read(100, 0)) is not None:
        place = (chunk.generation, chunk.end_offset)
    shutil.rmtree(spool)
    again = SpoolSource(spool, 1_000)
    again.load(source.save())
    new = writer(spool)
    new.write(b"new\n")
    assert not again.seek(*place)
    chunk = again.read(100, 0)
    assert chunk is not None
    assert list(chunk.lines) == [b"new"]


# with a collector


class NeverSafe(MemorySink):
    """Takes messages and acknowledges none."""

    @property
    def acknowledged(self) -> int:
        return 0


def test_segments_are_removed_only_when_a_position_behind_them_is_saved(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    made = replace(config(tmp_path, mode="follow", block_bytes=1 << 20), path=f"{SPOOL}{spool}")
    world, out, now = World(), writer(spool), 0

    def run(sink: MemorySink) -> None:
        nonlocal now
        running_one = collector(made, sink, tmp_path / "state")
        for _ in range(60):
            running_one.step(now)
            now += 250_000
            world.take(sink.take())
        running_one.close()  # as a kill would

    for n in range(60):
        out.write(b"%d ev\n" % (100 + n))
    before = len(segments(spool))
    run(NeverSafe(3))
    assert len(segments(spool)) == before > 5
    run(MemorySink(3))
    assert len(segments(spool)) == 1
    assert world.events(EventKind.LOGIN).height == 60
    assert world.repeats
    assert_conserved(world, 60)
    out.write(b"500 ev\n")
    run(MemorySink(3))
    assert world.events(EventKind.LOGIN).height == 61
    assert_conserved(world, 61)


# killed


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "infra.run.listen", str(folder / "aupstream.toml")],
        cwd=ROOT,
        stderr=(folder / f"log-{port}").open("ab"),
    )


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def connected(port: int) -> socket.socket:
    made: list[socket.socket] = []

    def there() -> bool:
        try:
            made.append(socket.create_connection(("127.0.0.1", port), timeout=10))
        except OSError:
            return False
        return True

    wait_for(there)
    return made[0]


class Kept:
    """A reader of a spool that is not stopped when the listener is."""

    def __init__(self, folder: Path) -> None:
        self._source = SpoolSource(folder, 65_536)
        self.lines: list[bytes] = []

    def read(self) -> int:
        while (chunk := self._source.read(10_000, 0)) is not None:
            self.lines.extend(chunk.lines)
        return len(self.lines)


def sent_until_killed(process: subprocess.Popen[bytes], port: int, reader: Kept, wanted: int) -> None:
    """Send on from what the reader has, and kill the listener when so many lines are there."""
    with connected(port) as connection:
        first = reader.read()  # what is in the spool now is all that the one before took
        rest = b"".join(HEADER + b"a: %d\n" % i for i in range(first, wanted + 50_000))
        sending = threading.Thread(target=_send, args=(connection, rest))
        sending.start()
        wait_for(lambda: reader.read() >= wanted)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        sending.join(30)


def test_a_listener_that_is_killed_again_and_again_leaves_every_line_once_and_in_order(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "data" / "spool" / "mail"
    (tmp_path / "aupstream.toml").write_text(
        f'[[listeners]]\naddresses = ["tcp://:{port}"]\nfsync = "always"\n'
        '[[sources]]\nname = "mail"\ntype = "postfix"\nlistener = "syslog"\n'
    )
    reader = Kept(folder)
    for kill in range(4):
        process = start(tmp_path, port)
        try:
            sent_until_killed(process, port, reader, (kill + 1) * 10_000)
        finally:
            process.kill()
            process.wait(30)
    process = start(tmp_path, port)
    try:
        connected(port).close()
        status = tmp_path / "data" / "status" / "listen.json"
        wait_for(lambda: json.loads(status.read_text())["pid"] == process.pid)
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert reader.read() >= 40_000
    assert reader.lines == [HEADER + b"a: %d" % i for i in range(len(reader.lines))]
    assert reader.lines == spooled(folder)


def _send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        return  # it was killed, as it should be
