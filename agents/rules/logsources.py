"""Which events a rule's `logsource` means: a kind, and of that kind all log formats or some.

A format is what `event_dataset` says. What Sigma calls a product and a service is a format here, so a rule about Okta
reads Okta's events and no others. `category: proxy` means everything of the kind proxy but logs of web servers, whose
visitors are not the district's people; `category: webserver` means those. `category: dns` means proxies too: they log
the name that was asked for, nothing else of DNS.

Facts: Sigma specification 2.1.0, appendix "Sigma taxonomy"; the log sources that SigmaHQ's rules use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.kinds import EventKind

WEB_SERVERS = frozenset(
    {"web.access", "apache.access", "nginx.access", "haproxy.http", "iis.access", "cloudfront.access"}
)
_LINUX = frozenset({"openssh", "pam", "vsftpd", "proftpd", "pure_ftpd", "dovecot", "samba", "openldap"})


@dataclass(frozen=True, slots=True)
class Route:
    """Events that a rule reads.

    Attributes:
        kind: Their kind.
        only: Formats it is about; empty for all.
        never: Formats it is not about.
    """

    kind: EventKind
    only: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()

    def takes(self, dataset: str | None) -> bool:
        """True where the rule reads events of a format; None: of a format that is not known."""
        return (not self.only or dataset in self.only) and dataset not in self.never


def _login(*datasets: str) -> Route:
    return Route(EventKind.LOGIN, frozenset(datasets))


CATEGORIES: Mapping[str, Route] = {
    "proxy": Route(EventKind.PROXY, never=WEB_SERVERS),
    "webserver": Route(EventKind.PROXY, only=WEB_SERVERS),
    "dns": Route(EventKind.PROXY, never=WEB_SERVERS),
    "dhcp": Route(EventKind.DHCP),
    "email": Route(EventKind.MAIL),
    "mail": Route(EventKind.MAIL),
    "authentication": Route(EventKind.LOGIN),
    "login": Route(EventKind.LOGIN),
}
"""By `category`, where nothing more is said."""

SERVICES: Mapping[tuple[str, str], Route] = {
    ("", "apache"): Route(EventKind.PROXY, only=frozenset({"apache.access", "web.access"})),
    ("", "nginx"): Route(EventKind.PROXY, only=frozenset({"nginx.access", "web.access"})),
    ("apache", ""): Route(EventKind.PROXY, only=frozenset({"apache.access", "web.access"})),
    ("nginx", ""): Route(EventKind.PROXY, only=frozenset({"nginx.access", "web.access"})),
    ("azure", "signinlogs"): _login("entra_signin"),
    ("m365", "audit"): _login("m365_audit"),
    ("cisco", "duo"): _login("duo"),
    ("gcp", "google_workspace.login"): _login("google_login"),
    ("google_workspace", "google_workspace.login"): _login("google_login"),
    ("linux", ""): _login(*_LINUX),
    ("linux", "auth"): _login("openssh", "pam"),
    ("linux", "sshd"): _login("openssh"),
    ("linux", "sudo"): _login("pam"),
    ("linux", "vsftpd"): _login("vsftpd"),
    ("okta", "okta"): _login("okta"),
    ("onelogin", "onelogin.events"): _login("onelogin"),
    ("paloalto", "globalprotect"): _login("globalprotect"),
    ("windows", "security"): _login("windows_security"),
}
"""By (product, service), where no category is said."""

# What no log that is read holds, though its product is known: said in words rather than left to a guess.
NOT_COLLECTED: Mapping[tuple[str, str], str] = {
    ("linux", "auditd"): "system calls are not collected, only logins",
    ("azure", "auditlogs"): "of Entra ID sign-ins are collected, not changes",
    ("azure", "activitylogs"): "of Azure sign-ins are collected, not changes",
    ("azure", "riskdetection"): "of Entra ID sign-ins are collected; their risk stands in event_reason",
    ("gcp", "google_workspace.admin"): "of Google Workspace logins are collected, not changes",
}


@dataclass(frozen=True, slots=True)
class Unknown:
    """A log source that nothing here is.

    Attributes:
        label: product/category/service, as the rule has them.
        why: What there is instead, if that can be said.
    """

    label: str
    why: str


def route_of(source: Mapping[str, object]) -> Route | Unknown:
    """What a rule's `logsource` means.

    Args:
        source: The mapping of the document; values that are no texts count as missing.
    """
    product, category, service = (
        value if isinstance(value := source.get(key), str) else "" for key in ("product", "category", "service")
    )
    if category:
        found = CATEGORIES.get(category)
        if found is not None and (product or service):
            found = _narrowed(found, product, service)
    else:
        found = SERVICES.get((product, service))
    if found is not None:
        return found
    label = "/".join(part for part in (product, category, service) if part) or "no log source"
    return Unknown(label, NOT_COLLECTED.get((product, service), "") if not category else "")


def _narrowed(wide: Route, product: str, service: str) -> Route | None:
    """A category together with a product or service: their formats, where they are of that category.

    A product that none of the services above is of leaves the category as it is: it may be whose proxy it is.
    """
    named = [r for (p, s), r in SERVICES.items() if (not product or p == product) and (not service or s == service)]
    if not named:
        return None if service else wide
    taken = frozenset(name for r in named if r.kind is wide.kind for name in r.only if wide.takes(name))
    return Route(wide.kind, taken) if taken else None
