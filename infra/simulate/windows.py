"""Logons in a domain controller's security log, as event XML, one event a line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from infra.simulate.day import Day
from infra.simulate.draw import Draw
from infra.simulate.lines import LogFile

_HEAD = (
    '<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System>'
    '<Provider Name="Microsoft-Windows-Security-Auditing" Guid="{{54849625-5478-4994-a5ba-3e3b0328c30d}}"/>'
    '<EventID>{code}</EventID><Version>2</Version><Level>0</Level><TimeCreated SystemTime="{at}Z"/>'
    "<EventRecordID>{record}</EventRecordID><Channel>Security</Channel>"
    "<Computer>files.example-schools.org</Computer><Security/></System><EventData>"
)
_BAD_PASSWORD = ("0xc000006d", "0xc000006a")  # status and sub-status of a wrong password


@dataclass
class Windows:
    """Writer of one server's log."""

    day: Day
    draw: Draw
    log: LogFile
    records: int = 0

    def logon(self, at: int, user: str, ip: str, *, good: bool) -> None:
        """A logon over the network with a password: event 4624, or 4625 with a wrong one."""
        self.records += 1
        data = {
            "SubjectUserName": "-",
            "TargetUserName": user,
            "TargetDomainName": "SCHOOLS",
            "LogonType": "3",
            "AuthenticationPackageName": "NTLM",
            "WorkstationName": "-",
            "IpAddress": ip,
            "IpPort": str(self.draw.between(40_000, 60_000)),
        }
        if good:
            data["TargetLogonId"] = f"0x{self.records:x}{self.draw.digits(4)}"
        else:
            data |= {"Status": _BAD_PASSWORD[0], "FailureReason": "%%2313", "SubStatus": _BAD_PASSWORD[1]}
        moment = datetime.fromtimestamp(self.day.midnight + at, UTC)
        head = _HEAD.format(code=4624 if good else 4625, at=f"{moment:%Y-%m-%dT%H:%M:%S}.0000000", record=self.records)
        fields = "".join(f'<Data Name="{name}">{escape(text)}</Data>' for name, text in data.items())
        self.log.add(at, f"{head}{fields}</EventData></Event>")
