"""Lines of ISC dhcpd by syslog, worded as its server/dhcp.c logs them."""

from __future__ import annotations

from dataclasses import dataclass

from infra.simulate.day import CLOSES, Day
from infra.simulate.draw import Draw
from infra.simulate.lines import LogFile, some_delay
from infra.simulate.world import Device

SERVER = "10.1.0.5"


@dataclass(frozen=True)
class Dhcpd:
    """Writer of one server's log."""

    day: Day
    draw: Draw
    log: LogFile

    def _put(self, second: int, delay: int, message: str) -> None:
        self.log.add(second + delay, f"{self.day.syslog(second)} dhcp1 dhcpd[812]: {message}")

    def lease(self, device: Device, at: int, *, answer_after: int = 0) -> None:
        """All four messages of a new lease; the answers come `answer_after` seconds later."""
        delay = some_delay(self.draw)
        via = f"via {device.site.relay}"
        who = f"{device.mac} ({device.host})" if device.host else device.mac
        then = at + answer_after
        self._put(at, delay, f"DHCPDISCOVER from {device.mac} {via}")
        self._put(then, delay, f"DHCPOFFER on {device.ip} to {who} {via}")
        self._put(then, delay, f"DHCPREQUEST for {device.ip} ({SERVER}) from {who} {via}")
        self._put(then, delay, f"DHCPACK on {device.ip} to {who} {via}")

    def asked_for(self, device: Device, at: int, ip: str, server: str) -> None:
        """A request for what another server offered: one message."""
        who, via = f"{device.mac} ({device.host})", f"via {device.site.relay}"
        self._put(at, 0, f"DHCPREQUEST for {ip} ({server}) from {who} {via}: wrong network.")

    def renew(self, device: Device, at: int) -> None:
        """A lease that goes on: two messages."""
        delay = some_delay(self.draw)
        who, via = f"{device.mac} ({device.host})", f"via {device.site.relay}"
        self._put(at, delay, f"DHCPREQUEST for {device.ip} from {who} {via}")
        self._put(at, delay, f"DHCPACK on {device.ip} to {who} {via}")

    def release(self, device: Device, at: int) -> None:
        """A lease given back."""
        self._put(
            at, 0, f"DHCPRELEASE of {device.ip} from {device.mac} ({device.host}) via {device.site.relay} (found)"
        )

    def inform(self, device: Device, at: int) -> None:
        """A device that asks for options only: two messages."""
        self._put(at, 0, f"DHCPINFORM from {device.ip} via {device.site.relay}")
        self._put(at, 0, f"DHCPACK to {device.ip} ({device.mac}) via {device.site.relay}")

    def housekeeping(self, at: int, leases: int) -> None:
        """What the server says of itself."""
        self._put(at, 0, f"Wrote {leases} leases to leases file.")


def background(dhcpd: Dhcpd, devices: list[Device], budget: int) -> None:
    """Leases of all devices for the day, and renewals up to about `budget` lines in the log.

    Every device gets its lease when it arrives, whatever the budget.
    """
    draw = dhcpd.draw
    for device in devices:
        dhcpd.lease(device, device.arrives, answer_after=draw.below(2))
    for hour in range(7, 18):
        dhcpd.housekeeping(hour * 3600 + draw.below(3600), len(devices))
    rounds, rest = divmod(max(budget - len(dhcpd.log), 0) // 2, len(devices))
    for i, device in enumerate(devices):
        renewals = rounds + (i < rest)
        for j in range(renewals):
            pause = (CLOSES - device.arrives) // (renewals + 1)
            at = device.arrives + (j + 1) * pause
            if device.kind == "laptop" and draw.chance(5):
                dhcpd.inform(device, at)
            else:
                dhcpd.renew(device, at)
