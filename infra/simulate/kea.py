"""Lines of a Kea DHCPv4 server's logger `kea-dhcp4.leases` at INFO, as Kea 2.4 words them. It names no host."""

from __future__ import annotations

from dataclasses import dataclass

from infra.simulate.day import Day
from infra.simulate.draw import Draw
from infra.simulate.lines import LogFile, some_delay
from infra.simulate.world import Device

_LEASE_S = 43_200  # what is renewed at noon lasts for the evening, too


@dataclass(frozen=True)
class Kea:
    """Writer of one server's log; the same questions as `Dhcpd` is asked."""

    day: Day
    draw: Draw
    log: LogFile

    def _put(self, second: int, place: int, device: Device, transaction: int, code: str, said: str) -> None:
        hours, rest = divmod(second, 3600)
        clock = f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}.{transaction % 1000:03d}"
        who = f"[hwtype=1 {device.mac}], cid=[01:{device.mac}], tid=0x{transaction:x}"
        logger = "INFO  [kea-dhcp4.leases/771.140213370001280]"
        self.log.add(place, f"{self.day.date} {clock} {logger} {code} {who}: {said}")

    def lease(self, device: Device, at: int, *, answer_after: int = 0) -> None:
        """A new lease: what is offered, and what is given `answer_after` seconds later."""
        delay, transaction = some_delay(self.draw), self.draw.below(1 << 32)
        offered = f"lease {device.ip} will be offered"
        self._put(at, at + delay, device, transaction, "DHCP4_LEASE_OFFER", offered)
        then = at + answer_after
        given = f"lease {device.ip} has been allocated for {_LEASE_S} seconds"
        self._put(then, then + delay, device, transaction, "DHCP4_LEASE_ALLOC", given)

    def renew(self, device: Device, at: int) -> None:
        """A lease that goes on: one line."""
        given = f"lease {device.ip} has been allocated for {_LEASE_S} seconds"
        self._put(at, at + some_delay(self.draw), device, self.draw.below(1 << 32), "DHCP4_LEASE_ALLOC", given)

    def release(self, device: Device, at: int) -> None:
        """A lease given back."""
        given = f"address {device.ip} was released properly."
        self._put(at, at, device, self.draw.below(1 << 32), "DHCP4_RELEASE", given)
