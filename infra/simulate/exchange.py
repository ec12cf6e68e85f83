"""Exchange's message tracking log of one mailbox server, with the columns of Exchange 2016 and later.

A message leaves a `RECEIVE` with all recipients, a `DELIVER` for those of the organisation, a `SEND` for each domain
outside; one to a list also an `EXPAND`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from infra.simulate.day import Day
from infra.simulate.draw import Draw
from infra.simulate.lines import LogFile

COLUMNS = (
    "date-time,client-ip,client-hostname,server-ip,server-hostname,source-context,connector-id,source,event-id,"
    "internal-message-id,message-id,network-message-id,recipient-address,recipient-status,total-bytes,recipient-count,"
    "related-recipient-address,reference,message-subject,sender-address,return-path,message-info,directionality,"
    "tenant-id,original-client-ip,original-server-ip,custom-data,transport-traffic-type,log-id,schema-version"
)
_INSIDE = "example-schools.org"
_VERSION = "15.02.1118.007"


@dataclass
class Exchange:
    """Writer of one server's log."""

    day: Day
    draw: Draw
    log: LogFile
    messages: int = 0

    def header(self) -> None:
        """What stands before a file's first row."""
        self.log.add(0, "#Software: Microsoft Exchange Server")
        self.log.add(0, f"#Version: {_VERSION}")
        self.log.add(0, "#Log-type: Message Tracking Log")
        self.log.add(0, f"#Date: {self.day.utc(0)}")
        self.log.add(0, f"#Fields: {COLUMNS}")

    def send(self, at: int, sender: str, ip: str, to: Sequence[str], subject: str, *, through: str = "") -> None:
        """A message; `through`: address of a list whose members `to` are."""
        self.messages += 1
        size = 3_000 + self.draw.below(90_000)
        message = _Message(self, at, sender, ip, subject, self.messages, size)
        typed = (through,) if through else to
        message.put(0, "SMTP", "RECEIVE", typed)
        if through:
            message.put(0, "ROUTING", "EXPAND", to, related=through)
        inside = [one for one in to if one.endswith(_INSIDE)]
        outside: dict[str, list[str]] = {}
        for one in to:
            if not one.endswith(_INSIDE):
                outside.setdefault(one.rpartition("@")[2], []).append(one)
        if inside:
            message.put(1, "STOREDRIVER", "DELIVER", inside)
        for domain, those in outside.items():
            message.put(1, "SMTP", "SEND", those, host=f"mx.{domain}")


@dataclass(frozen=True)
class _Message:
    """What all rows of a message have."""

    log: Exchange
    at: int
    sender: str
    ip: str
    subject: str
    number: int
    size: int

    def put(self, after: int, source: str, event: str, to: Sequence[str], *, host: str = "", related: str = "") -> None:
        """One row."""
        day, second = self.log.day, self.at + after
        stamp = datetime.fromtimestamp(day.midnight + second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        client, server = ("10.1.0.20,EX1", f"203.0.113.25,{host}") if host else (f"{self.ip},", "10.1.0.20,EX1")
        connector = "Outbound to Internet" if host else "EX1\\Default EX1" if event == "RECEIVE" else ""
        status = ";".join(["250 2.1.5 Recipient OK"] * len(to)) if host else ""
        subject = f'"{self.subject}"' if "," in self.subject else self.subject
        row = (
            f"{stamp}.{self.number % 1000:03d}Z", client, server, "", connector, source, event, str(self.number),
            f"<{day.date:%y%m%d}.{self.number}@ex1.{_INSIDE}>", f"{self.number:08x}-0001", ";".join(to), status,
            str(self.size), str(len(to)), related, "", subject, self.sender, self.sender, "", "Originating", "",
            self.ip, "10.1.0.20", "", "Email", f"{self.number:x}", _VERSION,
        )  # fmt: skip
        self.log.log.add(second, ",".join(row))
