"""A few lines that no normaliser can read: cut off, overwritten, or from somewhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from infra.simulate import context
from infra.simulate.draw import Draw
from infra.simulate.lines import LogFile
from infra.simulate.scene import Scene

OF_EACH = 2  # broken lines in every log
PROXY_REASON = "unknown_form"


def add(scene: Scene, logs: Mapping[str, LogFile]) -> None:
    """Put broken lines between the others; the proxies' are made where their lines are."""
    put(scene.draw, scene.start, scene.day.date.year, logs)


def put(draw: Draw, at: Callable[[], int], year: int, logs: Mapping[str, LogFile]) -> None:
    """Two broken lines into each of these logs, at times that are drawn."""
    impossible = {
        context.DHCP: "Feb 30 10:00:00 dhcp1 dhcpd[812]: DHCPACK on 10.10.4.10 to 00:1c:7e:00:00:00 via 10.10.0.1",
        context.MAIL: "Feb 30 10:00:00 mail1 postfix/qmgr[901]: 0A1B2C3D4E5: removed",
        context.AUTH: "Feb 30 10:00:00 shell1 sshd[99]: Accepted password for ada.abel from 10.10.4.10 port 40000 ssh2",
        context.RADIUS: f"Mon Feb 30 10:00:00 {year} : Auth: (1) Login OK: [ada.abel] (from client nh-ap-01 port 1)",
    }
    for name, log in logs.items():
        log.add_broken(at(), f"\x00\x00\x00\x00{draw.digits(20)}", "no_header")
        log.add_broken(at(), impossible[name], "bad_time")
