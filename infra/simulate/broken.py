"""A few lines that no normaliser can read: cut off, overwritten, or from somewhere else."""

from __future__ import annotations

from collections.abc import Mapping

from infra.simulate.lines import LogFile
from infra.simulate.scene import Scene

OF_EACH = 2  # broken lines in every log
PROXY_REASON = "unparsable"
SYSLOG_REASON = "no_syslog_header"


def add(scene: Scene, logs: Mapping[str, LogFile]) -> None:
    """Put broken lines between the others; the proxies' are made where their lines are."""
    for name, log in logs.items():
        for number in range(OF_EACH):
            text = ("#### rotated ####", f"\x00\x00\x00\x00{scene.draw.digits(20)}")[number % 2]
            reason = PROXY_REASON if name == "radius.log" else SYSLOG_REASON
            log.add_broken(scene.start(), text, reason)
