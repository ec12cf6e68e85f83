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
    "sendmail": NormaliserType(
        EventKind.MAIL,
        "streams.normalisers.mail.sendmail:SendmailNormaliser",
        "sendmail through syslog: mail, joined by queue id",
        needs="LogLevel 9 or higher in sendmail.cf (O LogLevel=9, the default)",
        claims=re.compile(rb"(?:^|[\s>])(?:sendmail|sm-mta|sm-msp-queue|sm-client)(?:\[\d{1,10}\])?: "),
    ),
}
