"""Records of a FortiGate's web filter, FortiOS 7.2, with users by single sign-on; many at a time, or one.

The firewall does not open encrypted connections: of these it logs the host, and no method. It logs no status, and as it
rates an address when it is asked for, the bytes that came back are few: what was loaded, and how much, it cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from infra.simulate.day import CLOCK, Day
from infra.simulate.draw import Draw, Ints
from infra.simulate.squid import CLOCKS, Clients, Picked, Squid, joined
from infra.simulate.squid_pools import Pools
from infra.simulate.world import Device

# Fortinet's numbers and names; what it has no name for it would not rate: "Unrated".
RATINGS = {
    "adult": (14, "Pornography"),
    "adverts": (17, "Advertising"),
    "drugs": (1, "Drug Abuse"),
    "bypass": (59, "Proxy Avoidance"),
    "filesharing": (72, "Peer-to-peer File Sharing"),
    "gambling": (11, "Gambling"),
    "weapons": (16, "Weapons (Sales)"),
    "games": (20, "Games"),
    "news": (36, "News and Media"),
    "shopping": (42, "Shopping"),
    "social": (37, "Social Networking"),
    "sports": (47, "Sports"),
    "streaming": (25, "Streaming Media and Download"),
}
_ORDINARY, _UNRATED = (30, "Education"), (0, "Unrated")
_MOST_PORTS = 16_384
_LEAST_PORT = 49_152
_FIRST_SESSION = 1_000_000


@dataclass(frozen=True)
class Asked:
    """One request, apart from who asked and when.

    Attributes:
        host: Name, or address with a port.
        url: Whole, with a scheme.
        rating: Number and name of the category.
        denied: It was blocked.
        agent: User agent; empty for none, as of encrypted connections.
    """

    host: str
    url: str
    rating: tuple[int, str]
    denied: bool = False
    agent: str = ""


def rating(category: str) -> tuple[int, str]:
    """What Fortinet calls a category; empty: of ordinary pages."""
    return RATINGS.get(category, _UNRATED) if category else _ORDINARY


def client(ip: str, user: str) -> str:
    """Who asked."""
    known = f'user="{user}" group="schools" authserver="FSSO" ' if user not in ("", "-") else ""
    return f'{known}srcip={ip} srcintf="lan" srcintfrole="lan" '


def request(asked: Asked) -> tuple[str, str]:
    """What was asked for: up to the address's end, and what stands behind the bytes."""
    secure = asked.url.startswith("https://")
    host, _, stated = asked.host.partition(":")
    port = stated or ("443" if secure else "80")
    action, event, log = ("blocked", "ftgd_blk", "denied") if asked.denied else ("passthrough", "ftgd_allow", "allowed")
    kind = f'logid="{"0316013056" if asked.denied else "0317013312"}" eventtype="{event}" action="{action}" '
    method = f'httpmethod="GET" agent="{asked.agent}" ' if asked.agent else ""
    before = (
        f'{kind}type="utm" subtype="webfilter" level="notice" vd="root" policyid=4 dstip=203.0.113.77 dstport={port} '
        f'dstintf="wan1" dstintfrole="wan" proto=6 {method}service="{"HTTPS" if secure else "HTTP"}" hostname="{host}" '
        f'profile="schools" reqtype="direct" url="{asked.url}'
    )
    number, name = asked.rating
    behind = (
        f' direction="outgoing" msg="URL belongs to an {log} category in policy" ratemethod="domain" '
        f'cat={number} catdesc="{name}"'
    )
    return before, behind


@dataclass(frozen=True)
class Fortigate:
    """Writer of one firewall's log for a day.

    Attributes:
        asks: Who asks for what and when; its pools are those of `of_pools`.
        ratings: What `of_pools` made of them.
    """

    asks: Squid
    ratings: Ratings

    def piece(self, first: int, last: int, lines: int) -> tuple[Ints, pl.Series]:
        """See `Squid.piece`."""
        picked = self.asks.pick(first, last, lines)
        return picked.at, self._compose(picked)

    def _compose(self, picked: Picked) -> pl.Series:
        day, seconds = self.asks.day, picked.at // 1000
        before, behind = head(day)
        number = pl.Series(picked.number)
        return joined(
            pl.Series([before]),
            CLOCKS.gather(pl.Series(seconds)),
            pl.Series([behind]),
            pl.Series(day.midnight + seconds).cast(pl.String),
            _NANOS.gather(pl.Series(picked.at - seconds * 1000)),
            pl.Series([f'tz="{day.offset.replace(":", "")}" sessionid=']),
            pl.Series(_FIRST_SESSION + picked.elapsed).cast(pl.String),
            pl.Series([" "]),
            self.asks.clients.ip.gather(pl.Series(picked.client)),
            _PORTS.gather(pl.Series(picked.size % _MOST_PORTS)),
            self.ratings.before.gather(pl.Series(picked.both)),
            self.asks.pools.number.gather(number),
            pl.Series(['" sentbyte=']),
            pl.Series(200 + picked.size % 900).cast(pl.String),
            pl.Series([" rcvdbyte=0"]),
            self.ratings.behind.gather(pl.Series(picked.both)),
        )

    @staticmethod
    def known(devices: list[Device]) -> Clients:
        """Clients as this log writes them."""
        found = Clients.of(devices)
        ips, users = (s.str.strip_chars_end(" ") for s in (found.ip, found.user))
        texts = [client(ip, user) for ip, user in zip(ips, users, strict=True)]
        return Clients(found.arrivals, pl.Series(texts), found.user)


@dataclass(frozen=True)
class Ratings:
    """The two parts of `request` by request and outcome, as `Pools.result` has them."""

    before: pl.Series
    behind: pl.Series

    @staticmethod
    def of_pools(pools: Pools, agent: str) -> Ratings:
        """The same requests as a proxy would log them."""
        outcomes = len(pools.result) // len(pools.method_url)
        parts = []
        for i, line in enumerate(pools.method_url):
            method, _, target = line.replace('"', "%22").partition(" ")
            secure = method == "CONNECT"
            host = target.rpartition(":")[0] if secure else target.split("/")[2]
            url = f"https://{host}/" if secure else target
            made = [request(Asked(host, url, _ORDINARY, denied, "" if secure else agent)) for denied in (False, True)]
            results = pools.result.slice(i * outcomes, outcomes)
            parts += [made[result.startswith("TCP_DENIED")] for result in results]
        return Ratings(pl.Series([p[0] for p in parts]), pl.Series([p[1] for p in parts]))


def head(day: Day) -> tuple[str, str]:
    """What stands before the clock of a record, and behind it up to its nanoseconds since 1970."""
    return f"date={day.date} time=", ' devname="FGT-1" devid="FG100F0000000001" eventtime='


def one(day: Day, draw: Draw, who: str, asked: Asked, ms: int) -> str:
    """A single record of milliseconds since midnight; `who`: what `client` gave."""
    start, eventtime = head(day)
    second = ms // 1000
    before, behind = request(asked)
    moment = f"{day.midnight + second}{ms % 1000:03d}000000"
    stamp = f'{start}{CLOCK[second]}{eventtime}{moment} tz="{day.offset.replace(":", "")}"'
    session = f"sessionid={_FIRST_SESSION + draw.below(20_000)} {who}srcport={_LEAST_PORT + draw.below(_MOST_PORTS)}"
    return f'{stamp} {session} {before}" sentbyte={200 + draw.below(900)} rcvdbyte=0{behind}'


_NANOS = pl.Series([f"{n:03d}000000 " for n in range(1000)])
_PORTS = pl.Series([f"srcport={_LEAST_PORT + n} " for n in range(_MOST_PORTS)])
