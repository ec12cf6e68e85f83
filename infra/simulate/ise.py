"""Lines of Cisco ISE by syslog: passed and failed 802.1X logins, with the device's hardware and IP address.

Called-Station-ID is an access point's radio and network, as controllers send it: it is no name that a site could claim.
"""

from __future__ import annotations

from dataclasses import dataclass

from infra.simulate.day import Day
from infra.simulate.draw import Draw
from infra.simulate.lines import LogFile
from infra.simulate.world import Device

_WRONG = "24408 User authentication against Active Directory failed since user has entered the wrong password"


@dataclass
class Ise:
    """Writer of one node's log."""

    day: Day
    draw: Draw
    log: LogFile
    messages: int = 0

    def accept(self, at: int, user: str, device: Device, access_point: str) -> None:
        """A login of an account on a device."""
        passed = "5200 NOTICE Passed-Authentication: Authentication succeeded"
        eap = "EapTunnel=PEAP, EapAuthentication=EAP-MSCHAPv2"
        self._put(at, "CISE_Passed_Authentications", passed, user, device, access_point, eap)

    def fail(self, at: int, user: str, device: Device, access_point: str) -> None:
        """A wrong password."""
        failed = "5400 NOTICE Failed-Attempt: Authentication failed"
        self._put(at, "CISE_Failed_Attempts", failed, user, device, access_point, f"FailureReason={_WRONG}")

    def _put(self, at: int, log: str, said: str, user: str, device: Device, point: str, how: str) -> None:
        self.messages += 1
        hours, rest = divmod(at, 3600)
        clock = f"{self.day.date} {hours:02d}:{rest // 60:02d}:{rest % 60:02d}.{self.draw.below(1000):03d}"
        nas, card, port = f"10.{device.site.net}.0.2", device.mac.upper().replace(":", "-"), self.draw.below(64)
        facts = (
            f"ConfigVersionId=12, Device IP Address={nas}, UserName={user}, Protocol=Radius, "
            f"NetworkDeviceName={point}, User-Name=SCHOOLS\\\\{user}, NAS-IP-Address={nas}, NAS-Port={port}, "
            f"Framed-IP-Address={device.ip}, Called-Station-ID=00-1C-7E-{device.site.net:02X}-00-01:Schools, "
            f"Calling-Station-ID={card}, NAS-Port-Type=Wireless - IEEE 802.11, AuthenticationMethod=MSCHAPV2, {how},"
        )
        numbered = f"{self.messages:010d} 1 0 {clock} {self.day.offset} {self.messages:010d} {said}"
        self.log.add(at, f"<181>{self.day.syslog(at)} ise1 {log} {numbered}, {facts}")
