"""The types of log that there are, by the name that a source's configuration gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple, cast

from schemas.errors import ConfigError
from schemas.kinds import EventKind
from streams.normalisers.abstract import Normaliser, NormaliserSettings


class NormaliserType(NamedTuple):
    """What a type of log is.

    Attributes:
        kind: Kind of its events.
        made_by: Class of its normalisers, made with `NormaliserSettings`.
        description: One line, for lists of types.
    """

    kind: EventKind
    made_by: type[Normaliser]
    description: str


@cache
def types() -> Mapping[str, NormaliserType]:
    """All types, in alphabetical order of their names."""
    from streams.normalisers.dhcp.isc_dhcpd import IscDhcpdNormaliser  # noqa: PLC0415
    from streams.normalisers.login.freeradius import FreeradiusNormaliser  # noqa: PLC0415 - normalisers only where used
    from streams.normalisers.login.openssh import OpensshNormaliser  # noqa: PLC0415
    from streams.normalisers.mail.postfix import PostfixNormaliser  # noqa: PLC0415
    from streams.normalisers.proxy.squid import SquidNormaliser  # noqa: PLC0415

    described: dict[type[Normaliser], str] = {
        FreeradiusNormaliser: "FreeRADIUS radius.log: 802.1X and VPN logins",
        IscDhcpdNormaliser: "ISC dhcpd through syslog: leases",
        OpensshNormaliser: "auth.log or secure: OpenSSH, Dropbear, PAM, su, sudo, login",
        PostfixNormaliser: "Postfix through syslog: mail, joined by queue id",
        SquidNormaliser: "Squid access.log: native, combined or common, also behind a syslog header",
    }
    found = {made_by.type_name: NormaliserType(made_by.kind, made_by, text) for made_by, text in described.items()}
    return MappingProxyType(dict(sorted(found.items())))


def make(type_name: str, settings: NormaliserSettings) -> Normaliser:
    """A normaliser without state.

    Raises:
        ConfigError: there is no such type.
    """
    known = types()
    if type_name not in known:
        raise ConfigError(
            f"there is no log type {type_name!r}", where="type", hint=f"use one of {', '.join(known)}, or auto"
        )
    made_by = cast("Callable[[NormaliserSettings], Normaliser]", known[type_name].made_by)
    return made_by(settings)
