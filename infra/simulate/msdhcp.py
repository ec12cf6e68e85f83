"""Rows of a Microsoft DHCP server's audit log, with the columns that it has since Windows Server 2008."""

from __future__ import annotations

from dataclasses import dataclass

from infra.simulate.day import Day
from infra.simulate.draw import Draw
from infra.simulate.lines import LogFile
from infra.simulate.world import Device

COLUMNS = (
    "ID,Date,Time,Description,IP Address,Host Name,MAC Address,User Name, TransactionID, QResult,Probationtime, "
    "CorrelationID,Dhcid,VendorClass(Hex),VendorClass(ASCII),UserClass(Hex),UserClass(ASCII),RelayAgentInformation,"
    "DnsRegError."
)
_MICROSOFT = ("0x4D53465420352E30", "MSFT 5.0")


@dataclass(frozen=True)
class MsDhcp:
    """Writer of one server's log; the same questions as `Dhcpd` is asked."""

    day: Day
    draw: Draw
    log: LogFile

    def header(self) -> None:
        """What stands before a file's first row."""
        self.log.add(0, "\t\tMicrosoft DHCP Service Activity Log")
        self.log.add(0, COLUMNS)

    def _put(self, at: int, code: int, said: str, device: Device, port: int | None) -> None:
        hours, rest = divmod(at, 3600)
        mac = device.mac.replace(":", "").upper()
        relay = "" if port is None else f"0x{_port(device, port)}"
        vendor = ",".join(_MICROSOFT) if device.kind == "laptop" else ","
        clock = f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
        name = f"{device.host}.example-schools.org" if device.host else ""
        transaction = self.draw.below(1 << 32)
        row = f"{code},{self.day.date:%m/%d/%y},{clock},{said},{device.ip},{name},{mac},,{transaction},0,,,,{vendor},,"
        self.log.add(at, f"{row},{relay},0")

    def lease(self, device: Device, at: int, *, answer_after: int = 0, port: int | None = None) -> None:
        """A new lease: one row, of the time at which it was given. `port`: of a switch that tells it (option 82)."""
        self._put(at + answer_after, 10, "Assign", device, port)

    def renew(self, device: Device, at: int) -> None:
        """A lease that goes on: one row."""
        self._put(at, 11, "Renew", device, None)

    def release(self, device: Device, at: int) -> None:
        """A lease given back: one row."""
        self._put(at, 12, "Release", device, None)


def _port(device: Device, port: int) -> str:
    """Circuit id (1) and remote id (2) of a switch of the device's site, as Cisco's switches write them."""
    circuit, remote = f"00040001{device.site.net:02X}{port:02X}", f"0006001C7E{device.site.net:02X}0001"
    return f"0106{circuit}0208{remote}"
