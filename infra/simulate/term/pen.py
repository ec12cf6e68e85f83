"""What the deeds of a term are written with: the logs of a day, the town, and what is to be found in the end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infra.simulate.day import CLOCK, Day
from infra.simulate.dhcpd import Dhcpd
from infra.simulate.draw import Draw
from infra.simulate.entra import Entra
from infra.simulate.exchange import Exchange
from infra.simulate.fortigate import Asked, client, one, rating
from infra.simulate.ise import Ise
from infra.simulate.kea import Kea
from infra.simulate.lines import LogFile
from infra.simulate.logins import Radius
from infra.simulate.m365 import Trace
from infra.simulate.msdhcp import MsDhcp
from infra.simulate.names import STAFF_DOMAIN, outside_address
from infra.simulate.nps import Nps
from infra.simulate.postfix import Postfix, Sender
from infra.simulate.scene import EARLIEST, LATEST, Permit
from infra.simulate.term.hosts import LISTS
from infra.simulate.term.sites import (
    BRANCH,
    CLOUD,
    DHCP,
    ENTRA,
    EXCHANGE,
    FIREWALL,
    GMAIL,
    ISE,
    KEA,
    MAIL,
    MAIN,
    NPS,
    PROXIES,
    RADIUS,
    SMALL,
    TRACE,
    WINDOWS,
    WINDOWS_DHCP,
    cloud_of,
    dhcp_of,
    mail_of,
    proxy_of,
    radius_of,
)
from infra.simulate.term.town import Member, Town
from infra.simulate.truth import Expected, Lookalike
from infra.simulate.windows import Windows
from infra.simulate.world import Device, Site

CLAUSES = {
    "file-sharing": 1,
    "peer-fan-out": 1,
    "illegal-pages": 1,
    "adult-pages": 2,
    "private-mail-to-student": 3,
    "selling": 4,
    "commercial-mail": 4,
    "personal-time": 4,
    "personal-volume": 4,
    "soliciting": 5,
    "addresses-given-away": 6,
    "mail-to-media": 7,
    "new-device": 8,
    "network-hardware": 8,
    "own-printer": 8,
    "rogue-dhcp-server": 8,
    "many-devices-on-a-port": 8,
    "loaded-programs": 9,
    "attachment-passed-on": 10,
    "mass-mail": 11,
    "reply-all": 11,
    "mass-mail-relayed": 11,
    "filter-bypass": 12,
    "crypto-mining": 12,
    "scanning": 12,
    "guessed-password": 13,
    "impossible-travel": 13,
    "shared-device": 13,
    "two-sites": 13,
}
AGENT = "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"


_DENIED = 403
_CATEGORY = {host: name for name, hosts in LISTS.items() for host in hosts}


@dataclass(frozen=True, slots=True)
class Page:
    """A request, apart from who asked and when.

    Attributes:
        url: With scheme; of a CONNECT host:port.
        method: GET, CONNECT …
        status: HTTP status.
        mime: Type of the answer.
        size: Bytes of the answer.
        agent: User agent; only the branch's proxy logs it.
    """

    url: str
    method: str = "GET"
    status: int = 200
    mime: str = "text/html"
    size: int = 24_000
    agent: str = AGENT


@dataclass
class Pen:
    """Everything a deed needs; `turn` gives it the next day with empty logs.

    Attributes:
        town: People and devices.
        draw: Chance for deeds alone.
        day: Today.
        number: Number of the school day in the term, from 0; of a day off that of the last school day.
        serial: Number of the day, those off counted, too.
        logs: Today's small logs by file name.
        web: Today's requests of deeds by proxy log: milliseconds since midnight and line.
        lists: Owners and members of mailing lists by address.
    """

    town: Town
    draw: Draw
    day: Day
    number: int = 0
    serial: int = -1
    expected: list[Expected] = field(default_factory=list)
    lookalikes: list[Lookalike] = field(default_factory=list)
    permits: list[Permit] = field(default_factory=list)
    logs: dict[str, LogFile] = field(default_factory=dict)
    web: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    lists: dict[str, tuple[str, str]] = field(default_factory=dict)
    _messages: int = 0
    _sources: int = 0
    _ports: int = 0

    def turn(self, day: Day, number: int) -> None:
        """Begin a day."""
        self.day, self.number, self.serial = day, number, self.serial + 1
        self.logs = {name: LogFile(name) for name in SMALL}
        self.web = {name: [] for name in PROXIES}
        draws = {name: Draw(self.draw.below(1 << 30), f"{self.serial}") for name in SMALL}
        logs, first = self.logs, self.serial * 100_000
        self.dhcpd = Dhcpd(day, draws[DHCP], logs[DHCP])
        self.msdhcp = MsDhcp(day, draws[WINDOWS_DHCP], logs[WINDOWS_DHCP])
        self.kea = Kea(day, draws[KEA], logs[KEA])
        self.windows = Windows(day, draws[WINDOWS], logs[WINDOWS], first)
        self.trace = Trace(day, draws[TRACE], logs[TRACE])
        self.exchange = Exchange(day, draws[EXCHANGE], logs[EXCHANGE], first)
        self.entra = Entra(day, draws[ENTRA], logs[ENTRA])
        self.radius: dict[str, Radius | Ise | Nps] = {
            RADIUS: Radius(day, draws[RADIUS], logs[RADIUS]),
            ISE: Ise(day, draws[ISE], logs[ISE], first),
            NPS: Nps(day, draws[NPS], logs[NPS], first),
        }
        if self.serial == 0:
            self.msdhcp.header()
            self.exchange.header()
            self.postfix = Postfix(day, draws[MAIL], logs[MAIL])
        self.postfix.day, self.postfix.log = day, logs[MAIL]

    def start(self, latest: int = LATEST) -> int:
        """A second of the day to begin at."""
        return self.draw.between(EARLIEST, latest)

    def school(self) -> Site:
        """Any school."""
        return self.draw.choice(self.town.schools)

    def staff(self, role: str = "teacher", site: Site | None = None) -> Member:
        """Somebody new of the staff, who is on the network today."""
        return self.town.hire(role, site or self.school())

    def student(self, site: Site | None = None, classes: tuple[str, ...] = ()) -> Member:
        """A new student, who is on the network today."""
        return self.town.hire("student", site or self.school(), classes=classes)

    def anybody(self) -> Member:
        """A new teacher or student."""
        return self.student() if self.draw.chance(40) else self.staff()

    def here(self, device: Device) -> Device:
        """A device with today's address."""
        return self.town.on(device, self.number)

    def lease(self, device: Device, at: int, *, answer_after: int = 0) -> None:
        """A lease for a device, as it stands, by the server of its site."""
        self._server(device.site).lease(device, at, answer_after=answer_after)

    def renew(self, device: Device, at: int) -> None:
        """A lease that goes on."""
        self._server(device.site).renew(device, at)

    def release(self, device: Device, at: int) -> None:
        """A lease given back."""
        self._server(device.site).release(device, at)

    def _server(self, site: Site) -> Dhcpd | Kea | MsDhcp:
        servers: dict[str, Dhcpd | Kea | MsDhcp] = {DHCP: self.dhcpd, KEA: self.kea, WINDOWS_DHCP: self.msdhcp}
        return servers[dhcp_of(site)]

    def sign_on(self, at: int, user: str, device: Device, *, good: bool = True) -> None:
        """A wireless login on a device as it stands, where it is; not `good`: with a wrong password."""
        server, point = self.radius[radius_of(device.site)], device.site.access_point(self.draw.below(24))
        (server.accept if good else server.fail)(at, user, device, point)

    def visit(self, who: Member | Device, at: int, page: Page, *, ip: str = "") -> None:
        """A request by somebody on their laptop, or by a device that is nobody's, at a second of the day."""
        device = self.here(who if isinstance(who, Device) else who.device)
        user = who.user if isinstance(who, Member) else "-"
        ms, source, log = at * 1000 + self.draw.below(1000), ip or device.ip, proxy_of(device.site)
        write = {MAIN: self._native, BRANCH: self._combined, FIREWALL: self._filtered}[log]
        self.web[log].append((ms, write(page, ms, source, user)))

    def _native(self, page: Page, ms: int, source: str, user: str) -> str:
        denied = page.status == _DENIED
        result = "TCP_DENIED" if denied else "TCP_TUNNEL" if page.method == "CONNECT" else "TCP_MISS"
        peer = "HIER_NONE/-" if denied else "HIER_DIRECT/203.0.113.77"
        mime = "-" if page.method == "CONNECT" else page.mime
        stamp = f"{self.day.midnight + ms // 1000}.{ms % 1000:03d} {self.draw.between(20, 900):6d} {source}"
        return f"{stamp} {result}/{page.status} {page.size} {page.method} {page.url} {user} {peer} {mime}"

    def _combined(self, page: Page, ms: int, source: str, _: str) -> str:
        result = "TCP_DENIED:HIER_NONE" if page.status == _DENIED else "TCP_MISS:HIER_DIRECT"
        asked = f'"{page.method} {page.url} HTTP/1.1" {page.status} {page.size} "-" "{page.agent}" {result}'
        before, behind = self.day.clf
        return f"{source} - - [{before}{CLOCK[ms // 1000]}{behind}] {asked}"

    def _filtered(self, page: Page, ms: int, source: str, user: str) -> str:
        secure = page.method == "CONNECT"
        host = page.url.removesuffix(":443") if secure else page.url.split("/")[2]
        url = f"https://{host}/" if secure else page.url
        agent = "" if secure else page.agent
        asked = Asked(host, url, rating(_CATEGORY.get(host, "")), page.status == _DENIED, agent)
        return one(self.day, self.draw, client(source, user), asked, ms)

    def mail(
        self,
        at: int,
        sender: str,
        to: Sequence[str],
        subject: str,
        *,
        attachments: Sequence[str] = (),
        inbound: bool = False,
    ) -> None:
        """A message by the mail service of the sender's site; only Gmail's log tells attachments."""
        writer = self.town.by_address.get(sender)
        if writer is not None and not attachments and mail_of(writer.site) == EXCHANGE:
            self.exchange.send(at, sender, self.here(writer.device).ip, to, subject)
            return
        self._messages += 1
        digest = self.draw.digits(64)
        files = [{"file_name": n, "file_extension_type": n.rpartition(".")[2], "sha256": digest} for n in attachments]
        message = {
            "action_type": 3,
            "rfc2822_message_id": f"<{self._messages}.{self.day.midnight + at}@mail.example>",
            "subject": subject,
            "payload_size": 4_000 + self.draw.below(90_000),
            "source": {"address": sender, "service": "smtp-inbound" if inbound else "gmail-ui"},
            "destination": [{"address": one, "service": "gmail-ui"} for one in to],
            "connection_info": {"client_ip": "203.0.113.7" if inbound else "10.10.4.20"},
            "is_spam": False,
            "num_message_attachments": len(files),
            "attachment": files,
        }
        micros = (self.day.midnight + at) * 1_000_000 + self.draw.below(1_000_000)
        event = {"timestamp_usec": micros, "elapsed_time_usec": 40, "success": True}
        event["mail_event_type"] = 2 if inbound else 1
        self.logs[GMAIL].add(at, json.dumps({"event_info": event, "message_info": message}, separators=(",", ":")))

    def cloud(
        self, at: int, member: Member, place: tuple[float, float], ip: str, *, proxy: bool = False, good: bool = True
    ) -> None:
        """A login to the cloud from a place (latitude, longitude) in degrees; not `good`: with a wrong password."""
        if cloud_of(member.site) == ENTRA:
            self.entra.sign_in(at, member.address, place, ip, proxy=proxy, good=good)
            return
        event = {
            "actor": {"id": f"00u{member.user}", "type": "User", "alternateId": member.address},
            "client": {
                "userAgent": {"rawUserAgent": AGENT},
                "ipAddress": ip,
                "geographicalContext": {"geolocation": {"lat": place[0], "lon": place[1]}},
            },
            "authenticationContext": {"externalSessionId": self.draw.digits(12), "credentialType": "PASSWORD"},
            "eventType": "user.session.start",
            "outcome": {"result": "SUCCESS"} if good else {"result": "FAILURE", "reason": "INVALID_CREDENTIALS"},
            "published": self.day.utc(at),
            "securityContext": {"isProxy": proxy},
            "uuid": self.draw.digits(16),
        }
        self.logs[CLOUD].add(at, json.dumps(event, separators=(",", ":")))

    def sender(self, member: Member) -> Sender:
        """Somebody at their own device, for the mail server's log."""
        device = self.here(member.device)
        return Sender(member.address, f"{device.host}.example-schools.org", device.ip, member.user)

    def port(self) -> int:
        """A switch's port that is nobody else's for long."""
        self._ports = (self._ports + 1) % 250
        return self._ports

    def outside_ip(self) -> str:
        """An address outside the district; the next one is of another /24, as another place's would be."""
        self._sources += 1
        return f"198.{18 + self._sources // 250 % 2}.{self._sources % 250}.{self._sources // 500 % 250 + 1}"

    def expect(self, rule: str, who: Member | Device, at: int, why: str, *, status: str = "violation") -> None:
        """Note what must be found, about somebody (or their device, where nobody can be named) or a device."""
        device = who if isinstance(who, Device) else who.device
        key = {"source_mac": device.mac, "source_ip": self.here(device).ip}
        if isinstance(who, Member):
            key |= {"user_name": who.user, "email_from_address": who.address}
        self.expected.append(Expected(rule, CLAUSES[rule], key, self.day.utc(at), status, why))

    def expect_about(self, rule: str, key: Mapping[str, str], at: int, why: str) -> None:
        """Note a violation about something that is no person's and no device's."""
        self.expected.append(Expected(rule, CLAUSES[rule], dict(key), self.day.utc(at), "violation", why))

    def innocent(self, kind: str, rule: str, who: Member | Device, why: str) -> None:
        """Note a look-alike, by person and by device."""
        if isinstance(who, Member):
            self.lookalikes.append(Lookalike(kind, rule, who.user, why))
        device = who if isinstance(who, Device) else who.device
        self.lookalikes.append(Lookalike(kind, rule, device.mac, why))

    def permit(self, who: str, clause: int, start: int, stop: int, granted_by: str, reason: str, **more: str) -> None:
        """Give a permit from second `start` to second `stop` of the day (may be of other days)."""
        times = self.day.local(start), self.day.local(stop)
        self.permits.append(Permit(who, clause, *times, granted_by, reason, **more))

    def mailing_list(self, owner: Member, members: Sequence[str]) -> str:
        """Address of a new list of somebody's."""
        address = f"list-{len(self.lists)}@{STAFF_DOMAIN}"
        self.lists[address] = (owner.user, ";".join(members))
        return address

    def strangers(self, count: int) -> list[str]:
        """So many different addresses outside the district."""
        return [outside_address(n) for n in self.draw.sample(20_000, count)]

    def mailboxes(self, count: int) -> list[str]:
        """So many different addresses of the district; there are as many as people of the background at most."""
        members = self.town.members
        return [members[i].address for i in self.draw.sample(len(members), count)]
