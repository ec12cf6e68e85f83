"""Sign-ins of Microsoft Entra ID as Microsoft Graph's `signIn` gives them, one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from infra.simulate.day import Day
from infra.simulate.draw import Draw
from infra.simulate.lines import LogFile

_WRONG = {"errorCode": 50126, "failureReason": "Error validating credentials due to invalid username or password."}


@dataclass(frozen=True)
class Entra:
    """Writer of one tenant's log."""

    day: Day
    draw: Draw
    log: LogFile

    def sign_in(
        self, at: int, address: str, place: tuple[float, float], ip: str, *, proxy: bool = False, good: bool = True
    ) -> None:
        """A sign-in with a password from a place (latitude, longitude); `proxy`: by an anonymiser that Entra knows."""
        method = {"authenticationMethod": "Password", "succeeded": good}
        record: dict[str, Any] = {
            "id": f"{self.draw.digits(8)}-{self.draw.digits(12)}",
            "createdDateTime": self.day.utc(at),
            "userPrincipalName": address,
            "appDisplayName": "Office 365 Exchange Online",
            "ipAddress": ip,
            "clientAppUsed": "Browser",
            "conditionalAccessStatus": "success",
            "isInteractive": True,
            "riskLevelDuringSignIn": "medium" if proxy else "none",
            "riskEventTypes_v2": ["anonymizedIPAddress"] if proxy else [],
            "resourceDisplayName": "Office 365 Exchange Online",
            "status": {"errorCode": 0, "failureReason": "Other."} if good else _WRONG,
            "deviceDetail": {"deviceId": "", "operatingSystem": "Windows 11", "browser": "Edge 122.0.0"},
            "location": {"countryOrRegion": "", "geoCoordinates": {"latitude": place[0], "longitude": place[1]}},
            "authenticationDetails": [method],
        }
        self.log.add(at, json.dumps(record, separators=(",", ":")))
