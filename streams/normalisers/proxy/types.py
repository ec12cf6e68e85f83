"""Proxies and filters that write access logs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType

TYPES: Final[Mapping[str, NormaliserType]] = {
    "squid": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.squid:SquidNormaliser",
        "Squid access.log: native, combined, common or a logformat of the site's own, also behind a syslog header",
        claims=re.compile(rb"(?:squid|\(squid-\d+\))(?:\[\d+\])?: |(?:TCP|UDP|NONE|TAG)_[A-Z_]+[/:]"),
        options={
            "logformat": "the site's own format: a line `logformat` of squid.conf, its format alone, or the name of a "
            "built-in one (squid, common, combined, referrer, useragent)"
        },
    ),
}
