"""Logins to the network: RADIUS, 802.1X, VPN."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType

TYPES: Final[Mapping[str, NormaliserType]] = {
    "freeradius": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.freeradius:FreeradiusNormaliser",
        "FreeRADIUS radius.log: 802.1X and VPN logins",
        needs="auth = yes in the log section of radiusd.conf; auth_badpass and auth_goodpass = no",
        claims=re.compile(rb"radiusd(?:\[\d+\])?: |: Auth: (?:\(\d+\) )?(?:Login|Invalid user|Rejected|Multiple)"),
    ),
}
