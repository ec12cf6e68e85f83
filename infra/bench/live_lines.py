"""Lines of a made-up district that are stamped with the time at which they are made, and the violations in them.

Proxy lines are nine tenths of the load; renewed leases, logins by key and small messages are the rest. Nobody of the
background does anything that a rule looks for.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

RESULT = "injected.json"  # beside the logs
PEOPLE = 2_000
DOMAIN = "live.example"
MASS = 50  # recipients of a message that is a violation by itself
LOGS = {"proxy": "squid", "dhcp": "isc_dhcpd", "mail": "postfix", "logins": "openssh"}
_SENT = "relay=mx.away.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)"


@dataclass(frozen=True, slots=True)
class Injected:
    """A violation that was written.

    Attributes:
        rule: Rule id.
        key: The value of its group key.
        stamped: Time in the line that completes it, Unix seconds.
    """

    rule: str
    key: str
    stamped: float


@dataclass(frozen=True, slots=True)
class Portion:
    """Text to append to each log, by the log's name, and what is in it."""

    text: dict[str, bytes]
    injected: Sequence[Injected]
    lines: int


def mac_of(person: int) -> str:
    """Device of a person; all of them are in the inventory."""
    return f"3c:52:82:00:{person >> 8:02x}:{person & 255:02x}"


def ip_of(person: int) -> str:
    """Address of that device."""
    return f"10.1.{person >> 8}.{person & 255}"


def inventory() -> str:
    """`inventory.csv`."""
    rows = [f"{mac_of(n)},user{n},laptop,north" for n in range(PEOPLE)]
    return "\n".join(["mac,owner,kind,site", *rows, ""])


class Lines:
    """Makes portions of lines.

    Args:
        seed: Of the background.
    """

    def __init__(self, seed: int = 1) -> None:
        self._draw = random.Random(seed)
        self._number = 0  # of injected violations and of messages
        self._pages = [self._page() for _ in range(20_000)]
        self._at = 0

    def _page(self) -> str:
        draw, person = self._draw, self._draw.randrange(PEOPLE)
        site, size = f"www{draw.randrange(900)}.example", draw.randrange(300_000)
        head = f"{draw.randrange(9_000):6d} {ip_of(person)} "
        if draw.random() < 0.6:
            return head + f"TCP_TUNNEL/200 {size} CONNECT {site}:443 user{person} HIER_DIRECT/192.0.2.7 -\n"
        page = f"http://{site}/news/{draw.randrange(10_000)}.html"
        return head + f"TCP_MISS/200 {size} GET {page} user{person} HIER_DIRECT/192.0.2.7 text/html\n"

    def opening(self, now: float) -> Portion:
        """A lease for everybody, before anything else."""
        stamp = _iso(now)
        text = "".join(_ack(stamp, ip_of(n), mac_of(n)) for n in range(PEOPLE))
        return Portion({"dhcp": text.encode()}, (), PEOPLE)

    def portion(self, lines: int, now: float, *, inject: bool) -> Portion:
        """So many lines stamped `now` (Unix seconds), with one violation of each kind where asked for."""
        draw, stamp = self._draw, _iso(now)
        others = max(1, lines // 40)
        dhcp = [_ack(stamp, ip_of(n), mac_of(n)) for n in draw.choices(range(PEOPLE), k=others)]
        logins = [_key_login(stamp, n) for n in draw.choices(range(PEOPLE), k=others)]
        mail: list[str] = []
        for _ in range(max(1, lines // 160)):
            mail += self._message(stamp, f"user{draw.randrange(PEOPLE)}", 1)
        injected = self._violations(stamp, now, dhcp, mail, logins) if inject else []
        pages = self._some_pages(max(1, lines - len(dhcp) - len(logins) - len(mail)))
        front = f"{now:.3f} "
        proxy = front + front.join(pages)
        text = {"proxy": proxy, "dhcp": "".join(dhcp), "mail": "".join(mail), "logins": "".join(logins)}
        written = len(pages) + len(dhcp) + len(logins) + len(mail)
        return Portion({name: part.encode() for name, part in text.items()}, injected, written)

    def _some_pages(self, count: int) -> list[str]:
        pages: list[str] = []
        while len(pages) < count:
            more = self._pages[self._at : self._at + count - len(pages)]
            self._at = (self._at + len(more)) % len(self._pages)
            pages += more
        return pages

    def _message(self, stamp: str, sender: str, recipients: int) -> list[str]:
        self._number += 1
        queue = f"{0x4A0000000 + self._number:X}"
        head = f"{stamp} mail1 postfix/"
        return [
            f"{head}cleanup[11]: {queue}: message-id=<{queue}@{DOMAIN}>\n",
            f"{head}qmgr[12]: {queue}: from=<{sender}@{DOMAIN}>, size=900, nrcpt={recipients} (queue active)\n",
            *(f"{head}smtp[13]: {queue}: to=<p{i}@away.example>, {_SENT}\n" for i in range(recipients)),
            f"{head}qmgr[12]: {queue}: removed\n",
        ]

    def _violations(
        self, stamp: str, now: float, dhcp: list[str], mail: list[str], logins: list[str]
    ) -> list[Injected]:
        self._number += 1
        n = self._number
        stranger = f"e4:f0:42:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}:{n & 255:02x}"
        dhcp.append(_ack(stamp, f"10.2.{n >> 8 & 255}.{n & 255}", stranger))
        sender = f"sender{n}"
        mail += self._message(stamp, sender, MASS)
        laptop = n % PEOPLE
        logins += [_password_login(stamp, f"guest{n}-{i}", ip_of(laptop)) for i in range(3)]
        return [
            Injected("new-device", stranger, now),
            Injected("mass-mail", f"{sender}@{DOMAIN}", now),
            Injected("shared-device", mac_of(laptop), now),
        ]


def _iso(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds")


def _ack(stamp: str, ip: str, mac: str) -> str:
    return f"{stamp} dhcp1 dhcpd[8]: DHCPACK on {ip} to {mac} (pc) via 10.1.0.1\n"


def _key_login(stamp: str, person: int) -> str:
    who = f"user{person} from {ip_of(person)} port 5000 ssh2: ED25519 SHA256:abcdefgh"
    return f"{stamp} gate sshd[{person + 100}]: Accepted publickey for {who}\n"


def _password_login(stamp: str, user: str, ip: str) -> str:
    return f"{stamp} gate sshd[99]: Accepted password for {user} from {ip} port 5000 ssh2\n"
