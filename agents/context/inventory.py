"""The inventory: which devices are the district's, whose they are, and which are shared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from agents.context.csvfile import raise_all, read_text, rows
from agents.context.mac import normalise_mac
from agents.context.networks import parse_address
from agents.context.versions import content_version
from schemas.errors import ConfigError

COLUMNS = ("mac", "owner", "kind", "site")
OPTIONAL = ("host", "addresses")
SHARED = "shared"  # kind of a device that several people use by design: lab, cart, kiosk


@dataclass(frozen=True, slots=True)
class Device:
    """One row of the inventory.

    Attributes:
        mac: Lower case with colons.
        owner: Who it is given to; empty for nobody.
        kind: Lower case: laptop, phone, printer, `shared` …; empty where not said.
        site: Site it belongs to; empty where not said.
        host: Name that it gives of itself, lower case without domain; empty where not said.
        addresses: IP addresses that are always its own, canonical; where no lease says otherwise.
    """

    mac: str
    owner: str = ""
    kind: str = ""
    site: str = ""
    host: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inventory:
    """All devices by MAC address.

    Attributes:
        devices: By MAC, lower case with colons.
        present: False where the district keeps no inventory: then nothing can be called unknown.
    """

    devices: Mapping[str, Device] = field(default_factory=lambda: MappingProxyType({}))
    present: bool = True

    @staticmethod
    def none() -> Inventory:
        """A district without an inventory."""
        return Inventory(present=False)

    @staticmethod
    def of(devices: Iterable[Device]) -> Inventory:
        """An inventory of devices whose addresses are normalised already."""
        return Inventory(MappingProxyType({d.mac: d for d in devices}))

    @staticmethod
    def read(path: Path) -> Inventory:
        """Read a CSV file with the columns `mac,owner,kind,site` and, where wanted, `host,addresses`.

        Several addresses are parted by semicolons.

        Raises:
            ConfigError: the file cannot be read.
            Errors: of `ConfigError`, every row that is wrong; nothing is taken from such a file.
        """
        return Inventory.parse(read_text(path), str(path))

    @staticmethod
    def parse(text: str, file: str) -> Inventory:
        """`read` from a text; `file` is its name in errors."""
        errors: list[ConfigError] = []
        first: dict[str, str] = {}
        devices: list[Device] = []
        for where, row in rows(text, file, COLUMNS, errors, optional=OPTIONAL):
            mac = normalise_mac(row["mac"])
            if mac is None:
                hint = "write it like 3c:52:82:01:02:03"
                errors.append(ConfigError(f"{row['mac']!r} is no MAC address", where=where, hint=hint))
            elif mac in first:
                what = f"MAC {mac} stands at {first[mac]} already"
                errors.append(ConfigError(what, where=where, hint="keep one of the rows"))
            else:
                first[mac] = where
                addresses = _addresses(row["addresses"], where, errors)
                host = row["host"].lower().partition(".")[0]
                devices.append(Device(mac, row["owner"], row["kind"].lower(), row["site"], host, addresses))
        raise_all(errors)
        return Inventory.of(devices)

    @cached_property
    def version(self) -> str:
        """12 hexadecimal digits of a hash of its content."""
        listed = [
            [d.mac, d.owner, d.kind, d.site, *([d.host, list(d.addresses)] if d.host or d.addresses else [])]
            for _, d in sorted(self.devices.items())
        ]
        return content_version([self.present, listed])

    def device(self, mac: str) -> Device | None:
        """The device of a MAC address in lower case with colons; None for one that is not listed."""
        return self.devices.get(mac)

    @cached_property
    def _by_address(self) -> Mapping[str, str | None]:
        return _unique((address, d.mac) for d in self.devices.values() for address in d.addresses)

    @cached_property
    def _by_host(self) -> Mapping[str, str | None]:
        return _unique((d.host, d.mac) for d in self.devices.values() if d.host)

    def mac_of(self, address: str | None, host: str | None) -> str | None:
        """The device that has a name, or else an address, by itself; None where none has, or several do."""
        named = self._by_host.get(host.lower().partition(".")[0]) if host and self._by_host else None
        return named or (self._by_address.get(address) if address else None)


def _unique(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str | None]:
    """What stands for one thing only; None for what stands for several."""
    found: dict[str, str | None] = {}
    for key, value in pairs:
        found[key] = None if key in found else value
    return found


def _addresses(text: str, where: str, errors: list[ConfigError]) -> tuple[str, ...]:
    found = []
    for part in filter(None, (one.strip() for one in text.split(";"))):
        address = parse_address(part)
        if address is None:
            hint = "part several by semicolons"
            errors.append(ConfigError(f"{part!r} is no IP address", where=where, hint=hint))
        else:
            found.append(str(address))
    return tuple(found)
