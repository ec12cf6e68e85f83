"""Rows of a Network Policy Server's file in the form IAS (database compatible): a request, and its answer.

The columns and their order are Microsoft's ("Interpret NPS Database Format Log Files"). An access point is a client of
the server by its own name.
"""

from __future__ import annotations

from dataclasses import dataclass

from infra.simulate.day import Day
from infra.simulate.draw import Draw
from infra.simulate.lines import LogFile
from infra.simulate.world import Device

_REQUEST, _ACCEPT, _REJECT = 1, 2, 3  # Packet-Type
_WRONG_PASSWORD = 16  # Reason-Code
_COLUMNS_AFTER = 38  # of a class up to the row's end; all empty here but the kind of EAP


@dataclass
class Nps:
    """Writer of one server's log."""

    day: Day
    draw: Draw
    log: LogFile
    sessions: int = 0

    def accept(self, at: int, user: str, device: Device, access_point: str) -> None:
        """A login of an account on a device."""
        self._pair(at, user, device, access_point, _ACCEPT, 0)

    def fail(self, at: int, user: str, device: Device, access_point: str) -> None:
        """A wrong password."""
        self._pair(at, user, device, access_point, _REJECT, _WRONG_PASSWORD)

    def _pair(self, at: int, user: str, device: Device, point: str, answer: int, reason: int) -> None:
        self.sessions += 1
        hours, rest = divmod(at, 3600)
        clock = f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
        head = f'"NPS1","IAS",{self.day.date:%m/%d/%Y},{clock}'
        card, nas = device.mac.upper().replace(":", "-"), f"10.{device.site.net}.0.2"
        session = f'"311 1 10.1.0.9 01/11/2026 13:00:00 {self.sessions}"'
        client, full = f'9,"{nas}","{point}"', f'"SCHOOLS\\{user}"'
        eap = '"Microsoft: Secured password (EAP-MSCHAP v2)"'
        rest_of = "," * _COLUMNS_AFTER
        port = self.draw.below(64)
        asked = f'{head},1,"{user}",{full},,"{card}",,,"{point}","{nas}",{port},{client},,,19,,,,11,,0,{session}'
        told = f"{head},{answer},,{full},,,,,,,,{client},,,,,,,11,,{reason},{session},,,,{eap}"
        self.log.add(at, f"{asked}{rest_of}")
        self.log.add(at, f"{told}{rest_of[4:]}")
