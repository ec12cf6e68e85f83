"""Mail servers and mail services."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType

TYPES: Final[Mapping[str, NormaliserType]] = {
    "postfix": NormaliserType(
        EventKind.MAIL,
        "streams.normalisers.mail.postfix:PostfixNormaliser",
        "Postfix through syslog: mail, joined by queue id",
        claims=re.compile(rb"(?:^|\s)postfix[\w.\-]*/[\w/\-]+(?:\[\d+\])?:"),
    ),
}
