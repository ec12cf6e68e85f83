"""UDP: a datagram is a message (RFC 5426 section 3.1). What the kernel dropped is counted too, where it says so."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

from schemas import metrics as names
from streams.listen.framing import one_line
from streams.listen.header import sender_of
from streams.listen.intake import Reception

RECEIVE_BUFFER = 32 << 20  # asked of the kernel: some seconds of a busy network while the disk is slow
_AT_ONCE = 256  # datagrams taken before others have their turn
_LARGEST = 65_535
_LAST_TURNS = 1_000  # of taking, before the socket is closed
_SO_RCVBUFFORCE = 33  # Linux, socket(7): beyond net.core.rmem_max where we may


class DatagramSocket:
    """One UDP socket in the event loop.

    Args:
        sock: Bound, not blocking.
        reception: Takes its messages.
    """

    def __init__(self, sock: socket.socket, reception: Reception) -> None:
        self._sock, self._reception = sock, reception
        self._kernel_drops: int | None = None
        enlarge(sock)

    def start(self) -> None:
        """Read from now on."""
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._read)

    def stop(self) -> None:
        """Take what is here, and close."""
        if self._sock.fileno() >= 0:
            for _ in range(_LAST_TURNS):
                if not self._read():
                    break
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()

    def _read(self) -> int:
        """Take what is here, within limits; gives the number of datagrams."""
        count = 0
        taken: dict[str, list[bytes]] = {}
        limit = self._reception.config.max_line_bytes
        for _ in range(_AT_ONCE):
            try:
                data, peer = self._sock.recvfrom(_LARGEST)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:  # an ICMP answer to somebody: the next datagram is none the worse
                continue
            count += 1
            message = one_line(data)
            if len(message) > limit:
                message = message[: limit + 1]
                self._reception.metrics.add(names.CUT, 1, listener=self._reception.config.name)
                self._reception.say("messages longer than max_line_bytes, cut")
            if message:
                taken.setdefault(sender_of(peer), []).append(message)
        for sender, messages in taken.items():
            self._reception.take_datagrams(messages, sender)
        return count

    def count_kernel_drops(self) -> None:
        """Count what the kernel had no room for since the last time; Linux alone tells."""
        if self._sock.fileno() < 0:
            return
        drops = kernel_drops(self._sock)
        if drops is None:
            return
        new = drops - (self._kernel_drops or 0)
        self._kernel_drops = drops
        if new > 0:
            self._reception.metrics.add(names.DROPPED, new, listener=self._reception.config.name, reason="kernel")
            self._reception.say("datagrams dropped by the kernel: its buffer was full", new)


def enlarge(sock: socket.socket) -> None:
    """Ask for a large receive buffer; the kernel gives what it permits."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)


def kernel_drops(sock: socket.socket) -> int | None:
    """Datagrams that the kernel dropped at this socket: last column of proc(5)'s net/udp. None where unknown."""
    table = Path("/proc/net/udp6" if sock.family == socket.AF_INET6 else "/proc/net/udp")
    try:
        inode = socket_inode(sock)
        rows = table.read_text("ascii").splitlines()[1:]
    except (OSError, ValueError):
        return None
    for row in rows:
        columns = row.split()
        if len(columns) > 12 and columns[9] == inode:
            return int(columns[12])
    return None


def socket_inode(sock: socket.socket) -> str:
    """Inode of a socket, as the kernel's tables have it."""
    link = Path(f"/proc/self/fd/{sock.fileno()}").readlink().name
    return link.removeprefix("socket:[").removesuffix("]")
