"""Records of Exchange Online's message trace, one JSON object a line: a message and one recipient."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from infra.simulate.day import Day
from infra.simulate.draw import Draw
from infra.simulate.lines import LogFile


@dataclass(frozen=True)
class Trace:
    """Writer of one organisation's trace."""

    day: Day
    draw: Draw
    log: LogFile

    def send(self, at: int, sender: str, to: Sequence[str], *, through: str = "") -> None:
        """A message, and the record of the list that it went through."""
        number, trace = self.draw.digits(12), self.draw.digits(12)
        told = [(through, "Expanded")] if through else []
        for recipient, status in (*told, *((one, "Delivered") for one in to)):
            record = {
                "MessageId": f"<{number}@example-schools.org>",
                "Received": f"{datetime.fromtimestamp(self.day.midnight + at, UTC):%Y-%m-%dT%H:%M:%S}",
                "SenderAddress": sender,
                "RecipientAddress": recipient,
                "Subject": "news",
                "Status": status,
                "FromIP": "203.0.113.9",
                "Size": 9_000,
                "MessageTraceId": trace,
            }
            self.log.add(at, json.dumps(record, separators=(",", ":")))
