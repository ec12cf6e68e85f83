"""Schools, people and devices of a district over a term.

A device has an address of its site's pool for a day and another one on the next, so that every address belongs to many
devices in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from infra.simulate import names
from infra.simulate.draw import Draw
from infra.simulate.world import RANDOM_FIRST, Device, Site, hardware_address

MOST_SCHOOLS = 100
SLOTS = 9_600  # addresses of a site's pool: 40 networks of 240
_STEP = 37  # places by which every device moves on each day
_STUDENTS, _TEACHERS, _CLASSES, _CARTS = 36, 12, 6, 4
STAFF = "teacher"


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody on the roster with a laptop of the district."""

    user: str
    address: str
    site: Site
    device: Device
    role: str
    supervisor: str
    classes: tuple[str, ...] = ()
    guardians: tuple[str, ...] = ()

    @property
    def is_student(self) -> bool:
        """True for a student."""
        return self.role == "student"


@dataclass
class Town:
    """Everybody and everything; who is hired stays.

    Attributes:
        sites: The office, then the schools.
        members: Everybody with an account, background first.
        devices: Devices that are in the inventory.
        by_address: Members by their mail address.
    """

    draw: Draw
    sites: tuple[Site, ...]
    members: list[Member] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    by_address: dict[str, Member] = field(default_factory=dict)
    _people: Iterator[int] = field(default_factory=count)
    _cards: Iterator[int] = field(default_factory=count)
    _places: dict[str, int] = field(default_factory=dict)
    _principals: dict[str, Member] = field(default_factory=dict)
    _in_site: dict[str, int] = field(default_factory=dict)
    _day: int = -1
    _today: dict[str, Device] = field(default_factory=dict)

    @staticmethod
    def of(seed: int, schools: int) -> Town:
        """A district of so many schools and their office."""
        sites = [Site("district-office", "do", 10)]
        sites += [Site(f"school-{n:02d}", f"s{n:02d}", 10 + n) for n in range(1, schools + 1)]
        town = Town(Draw(seed, "town"), tuple(sites))
        for site in sites:
            town.hire("principal", site)
            for i in range(_TEACHERS):
                town.hire(STAFF, site, classes=(f"{site.prefix}-c{i % _CLASSES}",))
            for i in range(_STUDENTS if site is not sites[0] else 0):
                town.hire("student", site, classes=(f"{site.prefix}-c{i % _CLASSES}",))
            for _ in range(_CARTS):
                town.add_device(site, "shared", "")
        return town

    @property
    def schools(self) -> Sequence[Site]:
        """Sites that have students."""
        return self.sites[1:]

    def principal(self, site: Site) -> Member:
        """Head of a site."""
        return self._principals[site.name]

    def hire(
        self,
        role: str,
        site: Site,
        *,
        classes: tuple[str, ...] = (),
        guardians: tuple[str, ...] = (),
    ) -> Member:
        """Somebody new with a laptop."""
        user = names.person(next(self._people))
        domain = names.STUDENT_DOMAIN if role == "student" else names.STAFF_DOMAIN
        head = self._principals.get(site.name) or next(iter(self._principals.values()), None)
        chief = "" if head is None else head.user
        device = self.add_device(site, "laptop", user)
        member = Member(user, f"{user}@{domain}", site, device, role, chief, classes, guardians)
        self.members.append(member)
        self.by_address[member.address] = member
        if role == "principal":
            self._principals[site.name] = member
        return member

    def add_device(self, site: Site, kind: str, owner: str) -> Device:
        """A device of the inventory."""
        device = self._make(site, kind, owner)
        self.devices.append(device)
        return device

    def add_foreign(self, site: Site, host: str, *, random: bool = False, maker: str = "") -> Device:
        """A device that is in no inventory; `random`: with an address that it made up; `maker`: its first octets."""
        made = self._make(site, "", "")
        mac = f"{self.draw.choice(RANDOM_FIRST)}{made.mac[2:]}" if random else made.mac
        mac = f"{maker}{mac[len(maker) :]}"
        self._places[mac] = self._places[made.mac]
        return replace(made, mac=mac, host=host, listed=False)

    def _make(self, site: Site, kind: str, owner: str) -> Device:
        mac = hardware_address(next(self._cards))
        place = self._in_site.get(site.prefix, 0)
        self._in_site[site.prefix] = place + 1
        self._places[mac] = place
        short = {"laptop": "lt", "shared": "cart"}.get(kind, "dev")
        arrives = self.draw.between(6 * 3600 + 2100, 7 * 3600 + 3000)
        return Device(mac, f"{site.prefix}-{short}-{place:04d}", "", site, owner, kind, arrives)

    def on(self, device: Device, day: int) -> Device:
        """A device with its address on day number `day`."""
        if day != self._day:
            self._day, self._today = day, {}
        here = self._today.get(device.mac)
        if here is None:
            slot = (self._places[device.mac] + day * _STEP) % SLOTS
            here = replace(device, ip=f"10.{device.site.net}.{4 + slot // 240}.{10 + slot % 240}")
            self._today[device.mac] = here
        return here
