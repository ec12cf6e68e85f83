"""The district's people and devices: who works where, on what, with which address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from infra.simulate import names
from infra.simulate.draw import Draw

BLOCK = 20  # devices are made in blocks of one site: the same mixture at every site
FEWEST_DEVICES = 40
MOST_DEVICES = 15_000
_LINES_A_DEVICE = 500
_FEWEST_MAILBOXES = 400

# First halves of hardware addresses; the two lowest bits of the first byte are 0: global, one device.
_MAKERS = ("00:1c:7e", "3c:a8:2a", "48:5f:99", "74:e5:0b", "a4:34:d9", "d4:81:d7", "f8:0f:41")
RANDOM_FIRST = ("02", "16", "3a", "5e", "8a", "9e", "b2", "d6", "fa")  # locally administered, one device


def hardware_address(number: int) -> str:
    """Built-in address of card number `number`: each number another one."""
    scattered = number * 9_377_377 % (1 << 24)  # odd factor: each number another card
    card = f"{scattered >> 16:02x}:{scattered >> 8 & 255:02x}:{scattered & 255:02x}"
    return f"{_MAKERS[number % len(_MAKERS)]}:{card}"


@dataclass(frozen=True, slots=True)
class Site:
    """A school or the office, with the second byte of its /16 network and the prefix of its names."""

    name: str
    prefix: str
    net: int

    def access_point(self, number: int) -> str:
        """Name of an access point."""
        return f"{self.prefix}-ap-{number + 1:02d}"

    @property
    def relay(self) -> str:
        """Address of its DHCP relay."""
        return f"10.{self.net}.0.1"


SITES = (
    Site("north-high", "nh", 10),
    Site("south-middle", "sm", 20),
    Site("east-elementary", "ee", 30),
    Site("district-office", "do", 40),
)


@dataclass(frozen=True, slots=True)
class Device:
    """A device with the address that it has all day.

    Attributes:
        mac: Lower case with colons.
        host: Name that it gives of itself.
        ip: Its address, inside its site's network.
        site: Where it is.
        owner: Account; empty for nobody.
        kind: laptop, phone, printer, `shared`.
        arrives: Second of the day at which it first asks for an address.
        listed: True where it stands in the inventory.
    """

    mac: str
    host: str
    ip: str
    site: Site
    owner: str
    kind: str
    arrives: int
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account and a device of their own."""

    user: str
    address: str
    site: Site
    device: Device


@dataclass
class World:
    """Everybody and everything.

    People and devices of the background are made at once; those of scenarios are added with `hire` and `add_device`,
    and do nothing else all day, so that what they do is all that a rule sees of them.

    Attributes:
        devices: All devices that are there all day with one address, background first.
        staff: Background staff.
        students: Background students with devices.
        others: Devices that come and go: the scenario writes their leases itself.
    """

    draw: Draw
    devices: list[Device] = field(default_factory=list)
    staff: list[Person] = field(default_factory=list)
    students: list[Person] = field(default_factory=list)
    others: list[Device] = field(default_factory=list)
    _people: Iterator[int] = field(default_factory=count)
    _cards: Iterator[int] = field(default_factory=count)
    _hosts: dict[str, int] = field(default_factory=dict)
    background: int = 0

    @staticmethod
    def of_size(draw: Draw, lines: int) -> World:
        """A district that fits a day of so many lines."""
        world = World(draw)
        wanted = min(max(lines // _LINES_A_DEVICE, FEWEST_DEVICES), MOST_DEVICES)
        for block in range(-(-wanted // BLOCK)):
            world._add_block(SITES[block % len(SITES)])
        world.background = len(world.devices)
        return world

    def _add_block(self, site: Site) -> None:
        for i in range(6):
            person = self._join(site, names.STAFF_DOMAIN, "laptop", (6 * 3600 + 2100, 7 * 3600 + 2400))
            self.staff.append(person)
            if i == 0:
                self.add_device(site, "phone", person.user, person.device.arrives + 60)
        for _ in range(9):
            self.students.append(self._join(site, names.STUDENT_DOMAIN, "laptop", (7 * 3600, 8 * 3600)))
        for i in range(4):
            self.add_device(site, "printer" if i == 3 else "shared", "", self.draw.between(23_520, 25_000))

    def _join(self, site: Site, domain: str, kind: str, arrival: tuple[int, int]) -> Person:
        user = names.person(next(self._people))
        device = self.add_device(site, kind, user, self.draw.between(*arrival))
        return Person(user, f"{user}@{domain}", site, device)

    def hire(self, site: Site, *, student: bool = False) -> Person:
        """Somebody new with an inventory laptop, for a scenario."""
        domain = names.STUDENT_DOMAIN if student else names.STAFF_DOMAIN
        return self._join(site, domain, "laptop", (6 * 3600 + 2100, 8 * 3600))

    def account(self) -> str:
        """An account of somebody new without a device."""
        return names.person(next(self._people))

    def add_device(self, site: Site, kind: str, owner: str, arrives: int) -> Device:
        """A device of the inventory that is there from then on with one address."""
        device = self._make(site, kind, owner, arrives)
        self.devices.append(device)
        return device

    def add_visitor(self, site: Site, kind: str, owner: str, arrives: int, *, listed: bool, host: str = "") -> Device:
        """A device whose leases the scenario writes itself; `listed`: it stands in the inventory."""
        device = replace(self._make(site, kind, owner, arrives), listed=listed)
        device = replace(device, host=host) if host else device
        self.others.append(device)
        return device

    def move(self, visitor: Device, ip: str) -> Device:
        """Give a visitor that another one's address."""
        moved = replace(visitor, ip=ip)
        self.others[self.others.index(visitor)] = moved
        return moved

    def add_random(self, site: Site, host: str, arrives: int) -> Device:
        """A private phone with a randomised hardware address that is in no inventory."""
        made = self._make(site, "phone", "", arrives)
        mac = f"{self.draw.choice(RANDOM_FIRST)}{made.mac[2:]}"
        device = replace(made, mac=mac, host=host, listed=False)
        self.others.append(device)
        return device

    def _make(self, site: Site, kind: str, owner: str, arrives: int) -> Device:
        number = next(self._cards)
        in_site = self._hosts.get(site.prefix, 0)
        self._hosts[site.prefix] = in_site + 1
        ip = f"10.{site.net}.{4 + in_site // 240}.{10 + in_site % 240}"
        short = {"laptop": "lt", "phone": "ph", "printer": "pr", "shared": "cart"}[kind]
        return Device(
            mac=hardware_address(number),
            host=f"{site.prefix}-{short}-{in_site:04d}",
            ip=ip,
            site=site,
            owner=owner,
            kind=kind,
            arrives=arrives,
        )

    def mailboxes(self, draw: Draw, wanted: int) -> list[str]:
        """So many different addresses of the district, of staff and students."""
        known = max(len(self.staff) + len(self.students), _FEWEST_MAILBOXES)
        domains = (names.STAFF_DOMAIN, names.STUDENT_DOMAIN, names.STAFF_DOMAIN)
        return [f"{names.person(n)}@{domains[n % 3]}" for n in draw.sample(known, wanted)]
