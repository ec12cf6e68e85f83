"""What scenarios write on: the logs, the world, and what is to be found in the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from infra.simulate.day import Day
from infra.simulate.dhcpd import Dhcpd
from infra.simulate.draw import Draw
from infra.simulate.logins import Radius, Sshd
from infra.simulate.postfix import Postfix
from infra.simulate.truth import Expected, Lookalike
from infra.simulate.world import SITES, Device, Site, World

MAIL, DEVICE, SHARED, SITES_RULE, GUESSED = (
    "mass-mail",
    "new-device",
    "shared-device",
    "two-sites",
    "guessed-password",
)
CLAUSES = {MAIL: 11, DEVICE: 8, SHARED: 13, SITES_RULE: 13, GUESSED: 13}
GROUPED_BY = {
    MAIL: "email_from_address",
    DEVICE: "source_mac",
    SHARED: "source_mac",
    SITES_RULE: "user_name",
    GUESSED: "user_name",
}

EARLIEST = 8 * 3600 + 2700  # scenarios start after everybody has arrived …
LATEST = 15 * 3600 + 1800  # … and early enough to end within the day


@dataclass(frozen=True, slots=True)
class Permit:
    """A row of the permits file; times ISO 8601 with offset. The last three stand in a term's file only."""

    who: str
    clause: int
    start: str
    stop: str
    granted_by: str
    reason: str
    recipients: str = ""
    revoked: str = ""
    revoked_by: str = ""


@dataclass
class Scene:
    """Everything a scenario needs.

    Attributes:
        day: The day.
        draw: Chance for scenarios alone.
        world: People and devices.
        postfix: Mail log.
        sshd: Auth log.
        radius: RADIUS log.
        dhcpd: DHCP log.
        expected: Violations so far.
        lookalikes: Look-alikes so far.
        permits: Permits so far.
    """

    day: Day
    draw: Draw
    world: World
    postfix: Postfix
    sshd: Sshd
    radius: Radius
    dhcpd: Dhcpd
    expected: list[Expected] = field(default_factory=list)
    lookalikes: list[Lookalike] = field(default_factory=list)
    permits: list[Permit] = field(default_factory=list)
    _strangers: Iterator[int] = field(default_factory=count)

    def start(self) -> int:
        """A second of the day to begin a scenario at."""
        return self.draw.between(EARLIEST, LATEST)

    def site(self) -> Site:
        """Any site."""
        return self.draw.choice(SITES)

    def outside_ip(self) -> str:
        """An address outside the district that nothing else in the day uses (RFC 2544 keeps the network for tests)."""
        number = next(self._strangers)
        return f"198.18.{number // 250}.{number % 250 + 1}"

    def point(self, site: Site) -> str:
        """Any access point of a site."""
        return site.access_point(self.draw.below(24))

    def online(self, device: Device, at: int) -> None:
        """Renew a device's lease some minutes before it is used, as its log of that hour would show."""
        self.dhcpd.renew(device, at - self.draw.between(300, 900))

    def expect(self, rule: str, key: str, first: int, why: str, *, status: str = "violation") -> None:
        """Note a violation whose first event is at second `first` of the day."""
        group_key = {GROUPED_BY[rule]: key}
        self.expected.append(Expected(rule, CLAUSES[rule], group_key, self.day.utc(first), status, why))

    def innocent(self, kind: str, rule: str, who: str, why: str) -> None:
        """Note a look-alike."""
        self.lookalikes.append(Lookalike(kind, rule, who, why))

    def permit(self, who: str, clause: int, start: int, stop: int, reason: str) -> None:
        """Give a permit from second `start` to second `stop` of the day (may be of other days)."""
        row = Permit(who, clause, self.day.local(start), self.day.local(stop), "principal.office", reason)
        self.permits.append(row)
