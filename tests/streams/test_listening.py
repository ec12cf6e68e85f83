"""Listeners over real sockets: what is received is in the spool, and nobody can hold up anybody else."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from schemas import metrics as names
from schemas.errors import ServerError
from schemas.metrics import Metrics
from streams.listen.header import sender_of
from streams.listen.settings import Address, ListenerConfig, Route, network_of
from streams.listen.udp import DatagramSocket, kernel_drops
from tests.streams.listening import HEADER, Authority, Running, routes, running, spooled, total_bytes, wait_for


def lines(count: int, text: bytes = b"line") -> list[bytes]:
    return [HEADER + b"postfix/smtpd[1]: %b %d" % (text, i) for i in range(count)]


def test_a_datagram_is_a_message_and_its_inner_line_ends_are_written_out(tmp_path: Path) -> None:
    with running(tmp_path, "udp") as made, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for message in (HEADER + b"a: one\n", HEADER + b"a: two\nand a half\0", b"\n", HEADER + b"a: three"):
            sender.sendto(message, made.place("udp"))
        wait_for(lambda: made.value(names.RECEIVED, source="mail") == 3)
    assert spooled(tmp_path / "mail") == [HEADER + b"a: one", HEADER + b"a: two#012and a half", HEADER + b"a: three"]


def test_both_framings_in_one_connection_split_at_every_byte(tmp_path: Path) -> None:
    counted = HEADER + b"a: counted"
    with running(tmp_path) as made, made.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in HEADER + b"a: plain\n" + b"%d %b" % (len(counted), counted) + HEADER + b"a: last\r\n":
            connection.sendall(bytes((byte,)))
        wait_for(lambda: made.value(names.RECEIVED, source="mail") == 3)
    assert spooled(tmp_path / "mail") == [HEADER + b"a: plain", counted, HEADER + b"a: last"]


def test_a_message_without_header_gets_one_with_time_and_sender_and_others_stay_as_they_are(tmp_path: Path) -> None:
    given = [
        b"no header at all",
        b"<189>123: %SYS-5-CONFIG_I: configured",
        b"<13>1 2026-05-04T10:00:00Z mx1 postfix 77 - - text",
        b"<13>May  4 10:00:00 mx1 postfix[1]: text \xff",
    ]
    with running(tmp_path) as made:
        made.send(b"".join(m + b"\n" for m in given))
        wait_for(lambda: made.value(names.RECEIVED, source="mail") == 4)
    when = b"2026-05-04T10:03:19.000000Z 127.0.0.1 "
    assert spooled(tmp_path / "mail") == [
        b"<13>" + when + given[0],
        b"<189>" + when + given[1].removeprefix(b"<189>"),
        *given[2:],
    ]


def test_messages_are_sorted_by_program_host_sender_and_shape_and_the_rest_is_not_lost(tmp_path: Path) -> None:
    def claims(type_name: str) -> object:
        return lambda line: b"TCP_" in line if type_name == "squid" else False

    to = (
        Route("mail", "postfix", tmp_path / "mail", programs=("postfix/*",), hosts=("MX*",)),
        Route("far", "postfix", tmp_path / "far", senders=(network_of("10.0.0.0/8", "x"),)),
        Route("proxy", "squid", tmp_path / "proxy"),
        Route("rest", "openssh", tmp_path / "rest", programs=("sshd",), otherwise=True),
    )
    given = {
        "mail": b"<13>May  4 10:00:00 mx1 postfix/smtpd[1]: a",
        "proxy": b"<13>May  4 10:00:00 px squid[1]: 1714811413.1 5 10.0.0.1 TCP_MISS/200 0 GET http://a/ - - -",
        "rest": b"<13>May  4 10:00:00 other postfix/smtpd[1]: of another host",
    }
    with running(tmp_path, to=to, claims=claims) as made:  # type: ignore[arg-type]
        made.send(b"".join(m + b"\n" for m in given.values()))
        wait_for(lambda: sum(made.value(names.RECEIVED, source=name) for name in given) == 3)
    assert {name: spooled(tmp_path / name) for name in given} == {name: [line] for name, line in given.items()}


def test_a_line_of_a_hundred_megabytes_is_cut_while_another_sender_is_heard(tmp_path: Path) -> None:
    with running(tmp_path) as made, made.connect() as long, made.connect() as other:
        long.sendall(HEADER + b"a: ")
        for turn in range(100):
            long.sendall(b"x" * 1_000_000)
            if turn == 50:
                other.sendall(HEADER + b"b: heard\n")
                wait_for(lambda: made.value(names.RECEIVED, source="mail") == 2)
        long.sendall(b"\n" + HEADER + b"a: next\n")
        wait_for(lambda: made.value(names.RECEIVED, source="mail") == 3)
        assert made.value(names.CUT) == 1
    got = spooled(tmp_path / "mail")
    assert max(map(len, got)) == 65_537
    assert got[1:] == [HEADER + b"b: heard", HEADER + b"a: next"]


IDLE = """
import resource, socket, sys
host, port, wanted = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
opened = [socket.create_connection((host, port), timeout=30) for _ in range(wanted)]
print("open", flush=True)
sys.stdin.read()
"""


def test_ten_thousand_idle_connections_do_not_keep_another_sender_from_being_heard(tmp_path: Path) -> None:
    """As many as the limit of open files allows, ten thousand at the most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 10_000 if hard == resource.RLIM_INFINITY else min(10_000, hard - 300)
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted + 300), hard))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with running(tmp_path, max_connections=wanted + 1) as made:
        command = [sys.executable, "-c", IDLE, *map(str, made.place("tcp")), str(wanted)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as idle:
            assert idle.stdout is not None
            assert idle.stdout.readline() == b"open\n"
            wait_for(lambda: made.value(names.CONNECTIONS) == wanted)
            started = time.monotonic()
            made.send(b"".join(line + b"\n" for line in lines(1_000)))
            wait_for(lambda: made.value(names.RECEIVED, source="mail") == 1_000)
            took = time.monotonic() - started
            idle.communicate()
    assert spooled(tmp_path / "mail") == lines(1_000)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // (1024 if sys.platform == "darwin" else 1)
    print(f"{wanted} idle connections, {grown} KiB, 1,000 lines in {took:.2f} s")  # noqa: T201 - figures of this machine
    assert wanted >= 1_000
    assert took < 10
    assert grown < 20 * wanted  # KiB


def test_a_connection_beyond_the_limit_is_closed_at_once_and_counted(tmp_path: Path) -> None:
    with running(tmp_path, max_connections=2) as made, made.connect() as first, made.connect() as second:
        for connection in (first, second):
            connection.sendall(lines(1)[0] + b"\n")
        wait_for(lambda: made.value(names.RECEIVED, source="mail") == 2)
        with made.connect() as third, contextlib.suppress(ConnectionError):
            assert third.recv(1) == b""
        wait_for(lambda: made.value(names.REFUSED, reason="too_many_connections") == 1)
        first.close()
        wait_for(lambda: made.value(names.CONNECTIONS) == 1)
        made.send(lines(1)[0] + b"\n")
        wait_for(lambda: made.value(names.RECEIVED, source="mail") == 3)


def test_an_idle_connection_is_closed_where_that_is_configured(tmp_path: Path) -> None:
    with running(tmp_path, idle_timeout_s=0.2) as made, made.connect() as connection:
        with contextlib.suppress(ConnectionError):
            assert connection.recv(1) == b""
        wait_for(lambda: made.value(names.REFUSED, reason="idle") == 1)


def test_a_full_spool_holds_up_connections_and_drops_datagrams_until_the_reader_has_removed_some(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from streams.sources.spool import SpoolSource

    sent = lines(40_000, b"x" * 50)
    with running(tmp_path, "tcp", "udp", spool_bytes=1 << 20) as made, made.connect() as connection:
        connection.setblocking(False)
        data, at = b"".join(line + b"\n" for line in sent), 0

        def push() -> bool:
            nonlocal at
            with contextlib.suppress(BlockingIOError):
                at += connection.send(data[at : at + 65_536])
            return at >= len(data)

        wait_for(lambda: push() or "is full" in made.listener.status()["problem"])
        assert at < len(data)
        assert total_bytes(tmp_path / "mail") < (1 << 20) + 100_000
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(HEADER + b"a: lost", made.place("udp"))
        wait_for(lambda: made.value(names.DROPPED, reason="disk_or_spool_full") == 1)
        source = SpoolSource(tmp_path / "mail", 65_536)
        got: list[bytes] = []

        def read() -> bool:
            push()
            chunk = source.read(5_000, 0)
            if chunk is not None:
                got.extend(chunk.lines)
                source.saved(chunk.generation, chunk.end_offset)
            return len(got) >= len(sent)

        wait_for(read)
    assert got == sent
    assert "is full" in caplog.text
    assert "datagrams dropped" in caplog.text


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
def test_what_was_received_is_there_after_a_stop_whatever_the_policy(tmp_path: Path, fsync: str) -> None:
    sent = lines(5_000)
    with running(tmp_path, fsync=fsync, fsync_interval_ms=20) as made:
        made.send(b"".join(line + b"\n" for line in sent), b"<13>May  4 10:00:00 mx1 a: begun and not ended")
        wait_for(lambda: made.value(names.RECEIVED, source="mail") == 5_001)
    assert spooled(tmp_path / "mail") == [*sent, b"<13>May  4 10:00:00 mx1 a: begun and not ended"]


def test_with_always_no_more_of_a_connection_is_read_before_what_was_read_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, may_end, begun = os.fsync, threading.Event(), threading.Event()

    def slow(fd: int) -> None:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            begun.set()
            assert may_end.wait(30)
        fsync(fd)

    monkeypatch.setattr("streams.listen.spool_write.os.fsync", slow)
    one, two, three = (HEADER + b"a: %d\n" % i for i in range(3))
    with running(tmp_path, fsync="always") as made, made.connect() as connection, made.connect() as other:
        connection.sendall(one)
        assert begun.wait(30)
        connection.sendall(two)
        other.sendall(three)
        wait_for(lambda: made.value(names.RECEIVED, source="mail") == 2)  # the first one's, and the other's
        assert not made.value(names.RECEIVED, source="mail") > 2
        may_end.set()
        wait_for(lambda: made.value(names.RECEIVED, source="mail") == 3)
    assert spooled(tmp_path / "mail") == [line.rstrip() for line in (one, three, two)]


def test_what_the_kernel_dropped_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.listen.udp.RECEIVE_BUFFER", 4_096)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(type=socket.SOCK_DGRAM) as sender:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        made = DatagramSocket(sock, reception := Dropping())  # type: ignore[arg-type]
        if kernel_drops(sock) is None:
            pytest.skip("this system does not tell")
        made.count_kernel_drops()
        for _ in range(500):
            sender.sendto(b"x" * 1_000, sock.getsockname())
        made.count_kernel_drops()
        made.count_kernel_drops()
    assert 400 < reception.metrics.value(names.DROPPED, listener="syslog", reason="kernel") < 500


class Dropping:
    """As much of a `Reception` as counting needs."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.config = ListenerConfig("syslog", (Address("udp", "127.0.0.1", 0),), ())

    def say(self, what: str, count: int = 1) -> None:
        assert "kernel" in what
        assert count


def test_the_sender_is_an_address_without_zone_and_an_old_one_is_shown_as_such() -> None:
    assert sender_of(("::ffff:10.0.0.1", 1, 0, 0)) == "10.0.0.1"
    assert sender_of(("fe80::1%eth0", 1, 0, 2)) == "fe80::1"
    assert sender_of(("10.0.0.1", 1)) == "10.0.0.1"


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with running(tmp_path) as made:
        config = ListenerConfig("syslog", (Address("tcp", *made.place("tcp")),), routes(tmp_path))
        with pytest.raises(ServerError, match=r"tcp://127\.0\.0\.1:\d+ cannot be listened on"):
            Running(config, lambda _: lambda _: False)


# TLS


def secured(made: Running, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(made.place("tls"), timeout=30)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_a_client_with_a_certificate_of_ours_is_heard_and_others_are_refused_with_a_word(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, "other")
    certificate, key = ours.server()
    with running(tmp_path, "tls", certificate=certificate, key=key, client_ca=ours.file) as made:
        for client in (ours.client(theirs.ca), ours.client(None)):
            with contextlib.suppress(OSError), secured(made, client) as wrong:  # TLS 1.3 tells of it at the first read
                wrong.sendall(lines(1)[0] + b"\n")
                assert wrong.recv(1) == b""
        with contextlib.suppress(OSError), socket.create_connection(made.place("tls"), timeout=30) as plain:
            plain.sendall(lines(1)[0] + b"\n" * 100)
            assert plain.recv(100)[:1] in (b"", b"\x15")  # an alert
        with secured(made, ours.client(ours.ca)) as right:
            right.sendall(lines(1)[0] + b"\n")
            wait_for(lambda: made.value(names.RECEIVED, source="mail") == 1)
        for reason in ("client_certificate_not_trusted", "no_client_certificate", "no_tls"):
            wait_for(lambda reason=reason: made.value(names.REFUSED, reason=reason) == 1)  # type: ignore[misc]
        wait_for(lambda: made.value(names.CONNECTIONS) == 0)
    assert spooled(tmp_path / "mail") == lines(1)


def test_a_line_in_the_last_flight_of_a_handshake_does_not_silence_its_connection(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    certificate, key = ours.server()
    with (
        running(tmp_path, "tls", certificate=certificate, key=key) as made,
        socket.create_connection(made.place("tls"), timeout=30) as plain,
    ):
        theirs, mine = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = ours.client().wrap_bio(theirs, mine, server_hostname="127.0.0.1")
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(mine.read())
                theirs.write(plain.recv(1 << 16))
        first, second = lines(2)
        client.write(first + b"\n")
        plain.sendall(mine.read())  # the client's Finished and a line, in one segment
        wait_for(lambda: made.value(names.RECEIVED, source="mail") == 1)
        client.write(second + b"\n")
        plain.sendall(mine.read())
        wait_for(lambda: made.value(names.RECEIVED, source="mail") == 2)
        plain.close()
        wait_for(lambda: made.value(names.CONNECTIONS) == 0)
    assert spooled(tmp_path / "mail") == lines(2)


def test_a_certificate_is_read_again_when_its_file_changes_and_a_bad_one_is_not_taken(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    certificate, key = ours.server()
    with running(tmp_path, "tls", certificate=certificate, key=key) as made:

        def serial() -> object:
            with secured(made, ours.client()) as connection:
                return (connection.getpeercert() or {})["serialNumber"]

        first = serial()
        ours.server()
        wait_for(lambda: serial() != first)
        second = serial()
        certificate.write_bytes(b"no certificate")
        wait_for(lambda: serial() == second and "cannot be used" in made.listener.status()["problem"])


def test_who_opens_a_tls_connection_and_says_nothing_holds_up_nobody(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    certificate, key = ours.server()
    with (
        running(tmp_path, "tls", certificate=certificate, key=key, max_connections=200) as made,
        contextlib.ExitStack() as silent,
    ):
        for _ in range(150):
            silent.enter_context(socket.create_connection(made.place("tls"), timeout=30))
        with secured(made, ours.client()) as connection:
            connection.sendall(lines(1)[0] + b"\n")
            wait_for(lambda: made.value(names.RECEIVED, source="mail") == 1)
