"""Mail servers and mail services."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType

TYPES: Final[Mapping[str, NormaliserType]] = {
    "exim": NormaliserType(
        EventKind.MAIL,
        "streams.normalisers.mail.exim:EximNormaliser",
        "Exim's main log, as a file or through syslog: mail, joined by message id",
        needs="log_selector = +received_recipients +subject +smtp_confirmation +millisec, log_timezone = true",
        claims=re.compile(
            rb"(?:^|\s)exim\d?(?:\[\d{1,10}\])?: "
            rb"|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?(?: [+-]\d{4})?(?: \[\d{1,18}\])? "
            rb"(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4} (?:<=|[=-]>|>>|\*[>*]|==|Completed)"
            rb"|(?:H=|U=)\S.{0,512}(?:rejected|sender verify) |\S{1,128} authenticator failed for )"
        ),
    ),
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
