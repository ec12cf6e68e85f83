"""The inventory: which devices are the district's, whose they are, and which are shared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from agents.context.csvfile import raise_all, read_text, rows
from agents.context.mac import normalise_mac
from agents.context.versions import content_version
from schemas.errors import ConfigError

COLUMNS = ("mac", "owner", "kind", "site")
SHARED = "shared"  # kind of a device that several people use by design: lab, cart, kiosk


@dataclass(frozen=True, slots=True)
class Device:
    """One row of the inventory.

    Attributes:
        mac: Lower case with colons.
        owner: Who it is given to; empty for nobody.
        kind: Lower case: laptop, phone, printer, `shared` …; empty where not said.
        site: Site it belongs to; empty where not said.
    """

    mac: str
    owner: str = ""
    kind: str = ""
    site: str = ""


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
        """Read a CSV file with the columns `mac,owner,kind,site`.

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
        for where, row in rows(text, file, COLUMNS, errors):
            mac = normalise_mac(row["mac"])
            if mac is None:
                hint = "write it like 3c:52:82:01:02:03"
                errors.append(ConfigError(f"{row['mac']!r} is no MAC address", where=where, hint=hint))
            elif mac in first:
                what = f"MAC {mac} stands at {first[mac]} already"
                errors.append(ConfigError(what, where=where, hint="keep one of the rows"))
            else:
                first[mac] = where
                devices.append(Device(mac, row["owner"], row["kind"].lower(), row["site"]))
        raise_all(errors)
        return Inventory.of(devices)

    @cached_property
    def version(self) -> str:
        """12 hexadecimal digits of a hash of its content."""
        listed = [[d.mac, d.owner, d.kind, d.site] for _, d in sorted(self.devices.items())]
        return content_version([self.present, listed])

    def device(self, mac: str) -> Device | None:
        """The device of a MAC address in lower case with colons; None for one that is not listed."""
        return self.devices.get(mac)
