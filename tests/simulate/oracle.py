"""An obvious, slow reading of raw logs and rules, that shares no code with what it checks.

Times are whole seconds since 1970 UTC. A window is (t - length, t] in order of time, then of line.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

HOUR, HALF_HOUR, TEN_MINUTES, FIVE_MINUTES = 3600, 1800, 600, 300

SYSLOG = re.compile(r"([A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d) (\S+) ([^\s\[:]+)(?:\[\d+\])?: (.*)")
CTIME = re.compile(r"[A-Z][a-z][a-z] ([A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d \d{4}) : (Auth|Info): (.*)")
DHCP_REQUEST = re.compile(r"DHCPREQUEST for (\S+)(?: \(\S+\))? from (\S+) ")
DHCP_ACK = re.compile(r"DHCPACK on (\S+) to (\S+) ")
DHCP_RELEASE = re.compile(r"DHCPRELEASE of (\S+) from (\S+) ")
ACCEPTED = re.compile(r"Accepted \S+ for (\S+) from (\S+) port \d+ ssh2")
FAILED = re.compile(r"Failed password for (?:invalid user )?(\S+) from (\S+) port \d+ ssh2")
REPEATED = re.compile(r"message repeated (\d+) times: \[ (.*)\]")
RADIUS = re.compile(
    r"\(\d+\) Login (OK|incorrect \(.*\)): \[([^/\]]+)/[^\]]*\] \(from client (\S+) port \d+ cli (\S+)\)"
)
QUEUED = re.compile(r"([0-9A-F]{6,}): (.*)")
DELIVERY = re.compile(r"to=<([^>]*)>,(?: orig_to=<[^>]*>,)? relay=(\S+), .*status=(\w+) ")


@dataclass(frozen=True)
class Login:
    """One try to log in."""

    at: int
    good: bool
    user: str
    ip: str
    mac: str
    point: str


@dataclass(frozen=True)
class Lease:
    """What the DHCP server said of an address: whose it is, or nobody's."""

    at: int
    kind: str
    ip: str
    mac: str


@dataclass
class Entry:
    """One queue entry of the mail server."""

    queue_id: str
    message_id: str = ""
    sender: str = ""
    at: int = 0
    named: set[str] = field(default_factory=set)  # everybody it was to go to
    reached: set[str] = field(default_factory=set)  # everybody who got it from here
    sent_lines: int = 0
    delivery_lines: int = 0


@dataclass(frozen=True)
class Mail:
    """Deliveries to people of one queue entry: (message, recipient) pairs."""

    at: int
    sender: str
    pairs: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Found:
    """An episode."""

    rule_id: str
    key: str
    first_seen: int
    status: str


class Logs:
    """A simulated folder, read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: dict[str, Any] = tomllib.loads((folder / "aupstream.toml").read_text())
        self.zone = ZoneInfo(self.config["district"]["timezone"])
        self.files = {s["type"] if s["name"] != "proxy-branch" else "branch": s for s in self.config["sources"]}
        self.unread: dict[str, list[int]] = defaultdict(list)
        self.kinds = {r["mac"].lower().replace("-", ":"): r["kind"] for r in self._csv("inventory")}
        self.owners = {r["mac"].lower().replace("-", ":"): r["owner"] for r in self._csv("inventory")}
        self.permits = list(self._csv("permits"))
        self.leases = list(self._dhcp())
        self.leases_of: dict[str, list[Lease]] = defaultdict(list)
        for lease in sorted((x for x in self.leases if x.kind != "request"), key=lambda x: x.at):
            self.leases_of[lease.ip].append(lease)
        self.cron_sessions: list[int] = []
        self.logins = sorted([*self._ssh(), *self._radius()], key=lambda x: (x.at, x.good))
        self.entries = list(self._postfix())

    def _csv(self, name: str) -> Iterator[dict[str, str]]:
        path = self.folder / self.config["district"][name]
        yield from csv.DictReader(path.read_text().splitlines())

    def lines(self, kind: str) -> Iterator[tuple[int, str]]:
        """Lines of a source, numbered from 1."""
        text = (self.folder / self.files[kind]["path"]).read_text()
        assert text.endswith("\n")
        yield from enumerate(text[:-1].split("\n"), start=1)

    def _syslog(self, kind: str) -> Iterator[tuple[int, str, str]]:
        year = self.files[kind]["year"]
        for number, line in self.lines(kind):
            parts = SYSLOG.fullmatch(line)
            at = self.local(f"{parts[1]} {year}") if parts else None
            if parts is None or at is None:
                self.unread[self.files[kind]["path"]].append(number)
            else:
                yield at, parts[3], parts[4]

    def local(self, text: str) -> int | None:
        """Seconds of a local time such as `Mar  3 08:00:00 2026`; None for one that does not exist."""
        try:
            moment = datetime.strptime(text, "%b %d %H:%M:%S %Y").replace(tzinfo=self.zone)
        except ValueError:
            return None
        return int(moment.timestamp())

    def _dhcp(self) -> Iterator[Lease]:
        forms = (("request", DHCP_REQUEST), ("ack", DHCP_ACK), ("release", DHCP_RELEASE))
        for at, _, message in self._syslog("isc_dhcpd"):
            for kind, form in forms:
                if parts := form.match(message):
                    yield Lease(at, kind, parts[1], parts[2])

    def mac_of(self, ip: str, at: int) -> str:
        """Device that held an address; empty for none."""
        before = [x for x in self.leases_of[ip] if x.at <= at]
        return before[-1].mac if before and before[-1].kind == "ack" else ""

    def _ssh(self) -> Iterator[Login]:
        for at, program, message in self._syslog("openssh"):
            if program == "CRON" and "session opened for user root" in message:
                self.cron_sessions.append(at)
            repeated = REPEATED.fullmatch(message)
            times, inner = (int(repeated[1]), repeated[2]) if repeated else (1, message)
            for good, form in ((True, ACCEPTED), (False, FAILED)):
                if parts := form.match(inner):
                    login = Login(at, good, parts[1], parts[2], self.mac_of(parts[2], at), "")
                    yield from [login] * times

    def _radius(self) -> Iterator[Login]:
        for number, line in self.lines("freeradius"):
            head = CTIME.fullmatch(line)
            at = self.local(head[1]) if head else None
            if head is None or at is None:
                self.unread[self.files["freeradius"]["path"]].append(number)
            elif parts := RADIUS.fullmatch(head[3]):
                yield Login(at, parts[1] == "OK", parts[2], "", parts[4].lower().replace("-", ":"), parts[3])

    def site(self, login: Login) -> str:
        """Site that a login came from; empty for none."""
        for site in self.config["district"]["sites"]:
            near = login.ip and any(ip_address(login.ip) in ip_network(n) for n in site["networks"])
            if near or any(fnmatchcase(login.point, glob) for glob in site["access_points"]):
                return str(site["name"])
        return ""

    def _postfix(self) -> Iterator[Entry]:
        entries: dict[str, Entry] = {}
        for at, _, message in self._syslog("postfix"):
            queued = QUEUED.match(message)
            if queued is None:
                continue
            entry = entries.setdefault(queued[1], Entry(queued[1]))
            entry.at, rest = at, queued[2]
            if rest.startswith("message-id=<"):
                entry.message_id = rest[12:-1]
            elif rest.startswith("from=<"):
                entry.sender = rest[6:].partition(">")[0]
            elif parts := DELIVERY.match(rest):
                entry.named.add(parts[1])
                entry.delivery_lines += 1
                entry.sent_lines += parts[3] == "sent"
                if parts[3] == "sent" and not parts[2].startswith("127.0.0.1["):
                    entry.reached.add(parts[1])
        yield from entries.values()

    def internal(self, address: str) -> bool:
        """True for the district's own addresses."""
        domain = address.rpartition("@")[2]
        return any(domain == d or domain.endswith(f".{d}") for d in self.config["district"]["domains"])

    def mails(self) -> dict[str, list[Mail]]:
        """Deliveries by sender, senders outside the district included."""
        by_sender: dict[str, list[Mail]] = defaultdict(list)
        for e in self.entries:
            if e.sender and e.reached:
                pairs = frozenset((e.message_id, r) for r in e.reached)
                by_sender[e.sender].append(Mail(e.at, e.sender, pairs))
        return by_sender

    def permitted(self, holder: str, clause: int, at: int) -> bool:
        """True where a permit of the holder covers the time."""
        for p in self.permits:
            mine = p["who"] in (holder, holder.partition("@")[0]) and int(p["clause"]) == clause
            first, last = (datetime.fromisoformat(p[x]).timestamp() for x in ("from", "to"))
            if mine and first <= at < last:
                return True
        return False


def window(rows: Sequence[Any], at: int, length: int) -> list[Any]:
    """Rows in (at - length, at]."""
    return [r for r in rows if at - length < r.at <= at]


def mail_figures(logs: Logs, rows: Iterable[Mail]) -> tuple[int, int, int]:
    """Internal pairs, pairs outside, and recipients of the largest message."""
    pairs = {p for row in rows for p in row.pairs}
    inside = sum(logs.internal(r) for _, r in pairs)
    messages: dict[str, int] = defaultdict(int)
    for message, _ in pairs:
        messages[message] += 1
    return inside, len(pairs) - inside, max(messages.values(), default=0)


def guessed(rows: Sequence[Login]) -> bool:
    """Eight failures and then a success."""
    good = [i for i, r in enumerate(rows) if r.good]
    return bool(good) and sum(not r.good for r in rows[: good[-1]]) >= 8


def source(login: Login) -> str:
    """Device of a login, else the network of its address."""
    local = login.ip and ip_address(login.ip) in ip_network("10.0.0.0/8")
    return login.mac or (login.ip if local or not login.ip else str(ip_network(f"{login.ip}/24", strict=False)))


def episodes(rows: Sequence[Any], length: int, holds: Callable[[list[Any]], bool]) -> list[int]:
    """Time of the oldest row in the window at the start of every episode; rows of an episode start no other."""
    found, open_now, used = [], False, -1
    ordered = sorted(rows, key=lambda r: r.at)
    for i, row in enumerate(ordered):
        inside = window(ordered[: i + 1], row.at, length)
        if holds(inside) and not open_now:
            fresh = [r for r in inside if r.at > used]
            found.append(fresh[0].at)
        open_now = holds(inside)
        used = row.at if open_now else used
    return found


def by_key(rows: Iterable[Login], key: Callable[[Login], str]) -> dict[str, list[Login]]:
    """Rows by a key; those without one are left out."""
    groups: dict[str, list[Login]] = defaultdict(list)
    for row in rows:
        if key(row):
            groups[key(row)].append(row)
    return groups


def judge(logs: Logs) -> list[Found]:
    """All episodes of all rules."""
    found = [*_mass_mail(logs), *_new_device(logs)]
    good = [x for x in logs.logins if x.good]
    for mac, rows in by_key(good, lambda x: x.mac).items():
        if logs.kinds.get(mac) != "shared":
            starts = episodes(rows, HALF_HOUR, lambda w: len({r.user for r in w}) >= 3)
            found += [Found("shared-device", mac, at, "violation") for at in starts]
    for user, rows in by_key((x for x in good if logs.site(x)), lambda x: x.user).items():
        starts = episodes(rows, TEN_MINUTES, lambda w: len({logs.site(r) for r in w}) >= 2)
        found += [Found("two-sites", user, at, "violation") for at in starts]
    tried = [x for x in logs.logins if x.good or not x.mac or logs.owners.get(x.mac) != x.user]
    for key, rows in by_key(tried, lambda x: f"{x.user} {source(x)}").items():
        starts = episodes(rows, FIVE_MINUTES, guessed)
        found += [Found("guessed-password", key.partition(" ")[0], at, "violation") for at in starts]
    return found


def _mass_mail(logs: Logs) -> Iterator[Found]:
    def holds(rows: list[Mail]) -> bool:
        inside, outside, largest = mail_figures(logs, rows)
        return inside >= 100 or outside >= 50 or largest >= 50

    for sender, rows in logs.mails().items():
        if logs.internal(sender):
            for at in episodes(rows, HOUR, holds):
                status = "permitted" if logs.permitted(sender, 11, at) else "violation"
                yield Found("mass-mail", sender, at, status)


def _new_device(logs: Logs) -> Iterator[Found]:
    seen: set[str] = set()
    for lease in sorted(logs.leases, key=lambda x: x.at):
        if lease.kind in ("request", "ack") and lease.mac not in seen:
            seen.add(lease.mac)
            if lease.mac not in logs.kinds:
                random = bool(int(lease.mac[:2], 16) & 2)
                permitted = logs.permitted(lease.mac, 8, lease.at)
                status = "informational" if random else "permitted" if permitted else "violation"
                yield Found("new-device", lease.mac, lease.at, status)
