"""Four logs from a seed, with disorder, repeats, late and broken lines and rotation, and a writer that lets them grow.

Event time runs `PACE` times as fast as the clock. What is written, and in which order, depends on the seed and the
numbers alone; how fast it is written does not change what must come out.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

PACE = 12  # seconds of event time a second
LATENESS_S = 30
BEGIN = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
PIECES = 3  # contents a log, one after the other: it is rotated in between
TICK_S = 0.05

SHUFFLED, REPEATED, LATE, BROKEN = 0.3, 0.01, 0.01, 0.003  # shares of the lines
_DISPLACED_S = (1.0, 25.0)
_LATE_S = (45.0, 500.0)
_SHARES = {"proxy": 0.5, "logins": 0.3, "dhcp": 0.08, "mail": 0.12}
TYPES = {"proxy": "squid", "logins": "openssh", "dhcp": "isc_dhcpd", "mail": "postfix"}
_ADDRESSES, _DEVICES, _USERS, _SENDERS = 60, 90, 150, 40


PERMITTED = frozenset(f"user{n}" for n in range(0, 20, 2))  # who may fail to log in, for some minutes again and again
_PERMIT = (timedelta(minutes=3), timedelta(minutes=9), timedelta(minutes=12))  # from, to, and then again
_PERMITS = 30  # of each of them: six hours of event time


def permits() -> str:
    """The file of permits: of clause 13, for failures alone."""
    rows = [
        f"{who},13,{_iso(BEGIN + start + n * again)},{_iso(BEGIN + stop + n * again)},head,exam,chaos-failures"
        for who in sorted(PERMITTED)
        for start, stop, again in (_PERMIT,)
        for n in range(_PERMITS)
    ]
    return "\n".join(["who,clause,from,to,granted_by,reason,rule", *rows, ""])


def permitted(who: str, t_us: int) -> bool:
    """Whether a failure of somebody at a time (microseconds UTC) is permitted: the same without a file."""
    start, stop, again = _PERMIT
    number, past = divmod(timedelta(microseconds=t_us) - (BEGIN - datetime(1970, 1, 1, tzinfo=UTC)), again)
    return who in PERMITTED and 0 <= number < _PERMITS and start <= past < stop


@dataclass(frozen=True)
class Log:
    """One source.

    Attributes:
        name: Name of the source and, with `.log`, of its file.
        pieces: Contents in the order in which they are written: lines without their ends.
    """

    name: str
    pieces: tuple[tuple[bytes, ...], ...]

    @property
    def lines(self) -> int:
        """Of all pieces."""
        return sum(map(len, self.pieces))


def make_logs(seed: int, lines: int, seconds: float) -> tuple[Log, ...]:
    """The logs of a run.

    Args:
        seed: Any whole number.
        lines: Of all logs together, about.
        seconds: Of the clock that the workload takes.
    """
    span = seconds * PACE
    return tuple(
        _log(name, random.Random(f"{seed} {name}"), round(lines * share), span) for name, share in _SHARES.items()
    )


def _log(name: str, chance: random.Random, number: int, span: float) -> Log:
    made = sorted(_mail(chance, number // 4, span) if name == "mail" else _plain(name, chance, number, span))
    end = BEGIN + timedelta(seconds=span)
    written = [text for _, text in (made if name == "mail" else _disturbed(chance, made))]
    # Two days of silence, then a line: nothing before it is open any more when it has been judged.
    last = [text for _, text in sorted(_LAST.get(name, _LINES[name])(chance, end + timedelta(days=2)))]
    cuts = [round(len(written) * i / PIECES) for i in range(PIECES + 1)]
    pieces = [written[a:b] for a, b in pairwise(cuts)]
    pieces[-1] += last
    return Log(name, tuple(tuple(text.encode() for text in piece) for piece in pieces))


_SENT = "relay=mx.home.example[192.0.2.1]:25, delay=0.4, delays=0.1/0/0.1/0.2, dsn=2.0.0, status=sent (250 2.0.0 Ok)"
Line = tuple[datetime, str]


def _moment(chance: random.Random, span: float) -> datetime:
    return BEGIN + timedelta(microseconds=chance.randrange(round(span * 1e6)))


def _plain(name: str, chance: random.Random, number: int, span: float) -> Iterator[Line]:
    for _ in range(number):
        yield from _LINES[name](chance, _moment(chance, span))


def _mail(chance: random.Random, number: int, span: float) -> Iterator[Line]:
    for _ in range(number):
        yield from _message(chance, _moment(chance, span))


def _page(chance: random.Random, at: datetime) -> Iterator[Line]:
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    address = _address(chance)
    denied, large = chance.random() < 0.04, chance.random() < 0.03
    size = chance.randrange(100_000, 700_000) if large else chance.randrange(300, 90_000)
    what = f"TCP_DENIED/403 {size}" if denied else f"TCP_MISS/200 {size}"
    url = f"http://www{chance.randrange(90)}.example/p/{chance.randrange(10**6)}"
    front = f"{at.timestamp():.3f} {chance.randrange(900):6d} {address}"
    yield at, f"{front} {what} GET {url} - HIER_DIRECT/203.0.113.7 text/html"


def _login(chance: random.Random, at: datetime) -> Iterator[Line]:
    # Some are tried often, so that there is something to find.
    user = f"user{min(chance.randrange(_USERS), chance.randrange(_USERS), chance.randrange(_USERS))}"
    word = "Failed" if chance.random() < 0.4 else "Accepted"
    port = chance.randrange(1_024, 65_536)
    front = f"{_iso(at)} host1 sshd[{chance.randrange(99_999)}]"
    yield at, f"{front}: {word} password for {user} from {_address(chance)} port {port} ssh2"


def _lease(chance: random.Random, at: datetime) -> Iterator[Line]:
    number = chance.randrange(_DEVICES)
    mac = f"3c:52:82:00:00:{number:02x}"
    yield at, f"{_iso(at)} dhcp1 dhcpd[8]: DHCPACK on {_address(chance)} to {mac} (pc{number}) via eth0"


def _message(chance: random.Random, at: datetime) -> Iterator[Line]:
    sender = f"sender{min(chance.randrange(_SENDERS), chance.randrange(_SENDERS))}@school.example"
    queue = f"{chance.randrange(16**10):010X}"
    for i, text in enumerate(
        (
            f"postfix/cleanup[11]: {queue}: message-id=<{queue}@school.example>",
            f"postfix/qmgr[12]: {queue}: from=<{sender}>, size=900, nrcpt=1 (queue active)",
            f"postfix/smtp[13]: {queue}: to=<p{chance.randrange(99)}@home.example>, {_SENT}",
            f"postfix/qmgr[12]: {queue}: removed",
        )
    ):
        then = at + timedelta(milliseconds=200 * i)
        yield then, f"{_iso(then)} mail1 {text}"


def _session(chance: random.Random, at: datetime) -> Iterator[Line]:
    """A line that no rule asks for: a login would wait for leases of after it, and there are none."""
    number = chance.randrange(99_999)
    yield (
        at,
        f"{_iso(at)} host1 sshd[{number}]: pam_unix(sshd:session): session opened for user user1(uid=1000) by (uid=0)",
    )


_LAST = {"logins": _session}
_LINES = {"proxy": _page, "logins": _login, "dhcp": _lease, "mail": _message}


def _address(chance: random.Random) -> str:
    return f"10.1.0.{chance.randrange(_ADDRESSES) + 10}"


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def _disturbed(chance: random.Random, made: list[Line]) -> list[Line]:
    """In the order of writing: some displaced within the lateness, some beyond it, some twice, and some broken."""
    keyed: list[tuple[datetime, Line]] = []
    leases = made and "DHCPACK" in made[0][1]
    for at, text in made:
        draw = chance.random()
        moved = 0.0
        if draw < SHUFFLED:
            moved = chance.uniform(*_DISPLACED_S)
        elif draw < SHUFFLED + LATE and not leases:  # what a late lease changes is judged again, which is another test
            moved = chance.uniform(*_LATE_S)
        keyed.append((at + timedelta(seconds=moved), (at, text)))
        if chance.random() < REPEATED:
            keyed.append((at + timedelta(seconds=chance.uniform(0, 25)), (at, text)))
        if chance.random() < BROKEN:
            keyed.append((at, (at, f"{chance.randrange(10**9)} \x01 broken line")))
    return [line for _, line in sorted(keyed, key=lambda entry: entry[0])]


@dataclass
class Writer(threading.Thread):
    """Lets the logs of a folder grow at the pace of their share; `join` waits until all is written."""

    logs: tuple[Log, ...]
    folder: Path
    seconds: float
    written: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(name="writer", daemon=True)
        self._over = threading.Event()
        for log in self.logs:
            self._path(log).touch()
            self.written[log.name] = 0

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """Write until all is written."""
        began = time.monotonic()
        while not self._over.is_set() and any(self.written[log.name] < log.lines for log in self.logs):
            share = min(1.0, (time.monotonic() - began) / self.seconds)
            for log in self.logs:
                self._write(log, round(share * log.lines))
            time.sleep(TICK_S)

    def stop(self) -> None:
        """Write no more."""
        self._over.set()

    def _write(self, log: Log, upto: int) -> None:
        start = 0
        for number, piece in enumerate(log.pieces):
            at = self.written[log.name]
            if start <= at < min(upto, start + len(piece)):
                if number and at == start:
                    self._rotate(log)
                part = piece[at - start : upto - start]
                with self._path(log).open("ab", buffering=0) as file:
                    file.write(b"".join(line + b"\n" for line in part))
                self.written[log.name] = at + len(part)
            start += len(piece)

    def _rotate(self, log: Log) -> None:
        path = self._path(log)
        for number in range(PIECES - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.rename(path.with_name(f"{path.name}.{number + 1}"))
        path.rename(path.with_name(f"{path.name}.1"))
        path.touch()

    def _path(self, log: Log) -> Path:
        return self.folder / f"{log.name}.log"
