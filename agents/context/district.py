"""The district: its name, zone, mail domains and sites."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import translate
from functools import cached_property
from ipaddress import ip_network
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agents.context.calendar import Calendar
from agents.context.calendar_settings import CalendarSettings
from agents.context.categories import Categories
from agents.context.maillists import MailLists
from agents.context.networks import PRIVATE, Network, NetworkIndex
from agents.context.remembered import Remembered
from agents.context.roster import Person, Roster
from agents.context.versions import content_version
from schemas.errors import AupstreamError, ConfigError, Errors

TAG = r"\+[^@]*@"  # of an address: anna+shop@schools.example is anna@schools.example
ESCAPED = re.compile(r"[^\\]\\x[89a-f][0-9a-f]")  # a byte that was no UTF-8: what stands before it is no domain
_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Site:
    """A school or office.

    Attributes:
        name: Its name, unique in the district.
        networks: Address ranges in CIDR notation that are used at this site and nowhere else.
        access_points: Globs (`*`, `?`, `[...]`, case ignored) of access points and switches there, by the name or
            address that logins are logged with.
        latitude: Degrees; None where it is not said.
        longitude: Degrees; None where it is not said.
        also: Other names of it, such as a roster's.
    """

    name: str
    networks: tuple[str, ...] = ()
    access_points: tuple[str, ...] = ()
    latitude: float | None = None
    longitude: float | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class District:
    """What is inside and what is outside.

    Attributes:
        name: For people.
        timezone: Local zone; times in context files without a zone are in it.
        domains: Mail domains, lower case. Their sub-domains are the district's too.
        sites: Its sites.
        calendar: Its school days and hours, in its zone.
        roster: Its people.
        categories: Categories of sites.
        shared_networks: Address ranges (CIDR) whose addresses are many people's at once: NAT, VPN, proxies, guests.
        lists: Its mailing lists.
        dhcp_servers: Addresses or ranges (CIDR) of its DHCP servers; empty where it does not say.
    """

    name: str = "District"
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    domains: tuple[str, ...] = ()
    sites: tuple[Site, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
    roster: Roster = field(default_factory=Roster)
    shared_networks: tuple[str, ...] = ()
    categories: Categories = field(default_factory=Categories)
    lists: MailLists = field(default_factory=MailLists)
    dhcp_servers: tuple[str, ...] = ()

    @staticmethod
    def of(
        name: str,
        timezone: str,
        domains: Iterable[str],
        sites: Sequence[Site] = (),
        calendar: CalendarSettings | None = None,
        *,
        where: str = "[district]",
    ) -> District:
        """A district from configuration values.

        Raises:
            Errors: of `ConfigError`, every value that is wrong.
        """
        lowered = tuple(d.strip().lower().strip(".").removeprefix("@") for d in domains)
        errors: list[AupstreamError] = [
            ConfigError(f"{d!r} is no mail domain", where=f"{where}.domains", hint="write it like schools.example")
            for d in lowered
            if not _DOMAIN.fullmatch(d)
        ]
        try:
            zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            zone = ZoneInfo("UTC")
            hint = "use a name of the time zone database such as America/Denver"
            errors.append(ConfigError(f"time zone {timezone!r} is not known", where=f"{where}.timezone", hint=hint))
        errors.extend(_site_errors(sites, where))
        days = (calendar or CalendarSettings()).read(zone, errors, f"{where}.calendar")
        if errors:
            raise Errors(errors)
        return District(name, zone, lowered, tuple(sites), days)

    def knowing(
        self,
        roster: Roster,
        shared_networks: Sequence[str] = (),
        categories: Categories | None = None,
        lists: MailLists | None = None,
        dhcp_servers: Sequence[str] = (),
        *,
        where: str = "[district]",
    ) -> District:
        """The same district with its people, shared addresses, categories of sites, mailing lists and DHCP servers.

        Raises:
            Errors: of `ConfigError`, every network that is none.
        """
        errors = _network_errors(shared_networks, f"{where}.shared_networks")
        errors += _network_errors(dhcp_servers, f"{where}.dhcp_servers")
        if errors:
            raise Errors(errors)
        named = roster.at_sites({other: site.name for site in self.sites for other in site.also})
        sites = self.categories if categories is None else categories
        return replace(
            self,
            roster=named,
            shared_networks=tuple(shared_networks),
            categories=sites,
            lists=self.lists if lists is None else lists,
            dhcp_servers=tuple(dhcp_servers),
        )

    @cached_property
    def version(self) -> str:
        """12 hexadecimal digits of a hash of its content."""
        more: list[object] = [self.roster.version, list(self.shared_networks)]
        if not (self.roster.present or self.shared_networks or self.categories.version):
            more = []
        elif self.categories.version:
            more.append(self.categories.version)
        if self.lists or self.dhcp_servers:
            more.append([self.lists.version, list(self.dhcp_servers)])
        sites = [[s.name, list(s.networks), list(s.access_points), s.latitude, s.longitude] for s in self.sites]
        return content_version(
            [self.name, self.timezone.key, list(self.domains), sites, self.calendar.content(), *more]
        )

    @cached_property
    def network_index(self) -> NetworkIndex:
        """Sites by address."""
        return NetworkIndex((network, site.name) for site in self.sites for network in _networks(site))

    @cached_property
    def shared_index(self) -> NetworkIndex:
        """Which addresses are many people's at once."""
        return NetworkIndex((ip_network(text, strict=False), text) for text in self.shared_networks)

    @cached_property
    def own_networks(self) -> tuple[str, ...]:
        """Its networks and all private ones; none where it names none: then no address is known to be outside."""
        named = [*(network for site in self.sites for network in site.networks), *self.shared_networks]
        return (*named, *PRIVATE) if named else ()

    @cached_property
    def own_index(self) -> NetworkIndex:
        """Which addresses are the district's or private; false where it names no network."""
        return NetworkIndex((ip_network(text, strict=False), text) for text in self.own_networks)

    @cached_property
    def dhcp_server_index(self) -> NetworkIndex:
        """Which addresses are the district's DHCP servers."""
        return NetworkIndex((ip_network(text, strict=False), text) for text in self.dhcp_servers)

    @cached_property
    def _access_point_patterns(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        return tuple((re.compile(translate(g.lower())), s.name) for s in self.sites for g in s.access_points)

    @property
    def has_access_points(self) -> bool:
        """True where any site names its access points."""
        return bool(self._access_point_patterns)

    def site_of_access_point(self, name: str) -> str | None:
        """Site of an access point or switch: by glob in the order of the sites, else by its address."""
        lowered = name.lower()
        for pattern, site in self._access_point_patterns:
            if pattern.fullmatch(lowered):
                return site
        return self.network_index.name_of(name)

    def names_of_sender(self, address: str) -> tuple[str, ...]:
        """What a sender may go by, where it speaks in somebody's favour: a permit, a list of their own, their child.

        The address in lower case, without a tag too (`anna+x@`), a district's account, and what stands before the @ in
        its mail domains, though the roster may give that account another address: for what speaks against somebody see
        `account_of`.
        """
        lowered = address.lower()
        spelled = (lowered, re.sub(TAG, "@", lowered))
        if not self.is_internal_address(lowered):
            return tuple(dict.fromkeys(spelled))
        locals_ = (one.partition("@")[0] for one in spelled if self._is_nobody_elses(one))
        return tuple(dict.fromkeys((*spelled, *map(self.account_of, spelled), *locals_)))

    def _is_nobody_elses(self, address: str) -> bool:
        domain = address.partition("@")[2].rstrip(".")
        return domain in self.domains and self.roster.by_mail(address) is None

    def account_of(self, address: str) -> str:
        """Account of an address of the district, lower case; the address itself where nothing says whose it is.

        It is told by the roster, a tag behind the name (`anna+x@`) aside. Else it is what stands before the @, but only
        in the mail domains that the district names, and not where the roster gives that account another address: two
        people may be called alike.
        """
        return self._accounts[address]

    def _account(self, address: str) -> str:
        lowered = address.lower()
        spelled = (lowered, re.sub(TAG, "@", lowered))
        for one in spelled:
            if (listed := self.roster.by_mail(one)) is not None:
                return listed.account
        plain = lowered if lowered.partition("@")[0] in self.roster.people else spelled[1]
        name, at, domain = plain.partition("@")
        if not at:
            return name
        person = self.roster.person(name)
        here = domain.rstrip(".") in self.domains
        return name if here and (person is None or not self._reached(person)) else lowered

    def _reached(self, person: Person) -> bool:
        """True where the roster says by which addresses of the district somebody writes."""
        return any(map(self.is_internal_address, person.mail))

    def account_of_login(self, name: str) -> str:
        """Account of a name that somebody logged in with, lower case, as group keys spell it (see `Enricher.keys`).

        Who logs in with their mail address has the account that the roster gives it. A name of another organisation
        stays as it is.
        """
        return self._logins[name]

    def _login(self, name: str) -> str:
        bare = bare_account(name)
        listed = self.roster.by_mail(bare) if "@" in bare else None
        if listed is not None:
            return listed.account
        return bare.rpartition("@")[0] if "@" in bare and self.is_internal_address(bare) else bare

    @cached_property
    def _accounts(self) -> Remembered[str, str]:
        return Remembered(self._account)

    @cached_property
    def _logins(self) -> Remembered[str, str]:
        return Remembered(self._login)

    @cached_property
    def _kinds(self) -> Remembered[str, str | None]:
        return Remembered(self._sender_kind)

    @cached_property
    def insiders(self) -> Remembered[str, bool]:
        """Of addresses `is_internal_address`, remembered."""
        return Remembered(self.is_internal_address)

    def sender_kind(self, address: str) -> str | None:
        """`person`, `service` or `list`: who sends from an address of the district; None for one of elsewhere."""
        return self._kinds[address]

    def _sender_kind(self, address: str) -> str | None:
        if not self.is_internal_address(address):
            return None
        known = [p for name in self.names_of_sender(address) if (p := self.roster.person(name)) is not None]
        if known:  # before the lists: somebody may be called like one
            return "person" if all(person.is_human for person in known) else "service"
        return "list" if self.lists.sends(address) else "person"

    def is_internal_domain(self, domain: str) -> bool:
        """True for the district's mail domains and everything below them."""
        lowered = domain.lower().rstrip(".")
        return any(lowered == d or lowered.endswith(f".{d}") for d in self.domains)

    def is_internal_address(self, address: str) -> bool:
        """True for an address of the district, and for one without a domain, which is local to its mail server."""
        if not address:
            return False
        _, at, domain = address.rpartition("@")
        return not at or self.is_internal_domain(domain)


def bare_account(name: str) -> str:
    """An account as logged, lower case, without the Windows domain before it."""
    whole = name.strip().lower()
    return whole if ESCAPED.search(whole) else whole.rpartition("\\")[2]


def _networks(site: Site) -> Iterable[Network]:
    return (ip_network(n, strict=False) for n in site.networks)


def _network_errors(networks: Iterable[str], where: str) -> list[AupstreamError]:
    errors: list[AupstreamError] = []
    for text in networks:
        try:
            ip_network(text, strict=False)
        except ValueError:
            hint = "write it in CIDR notation such as 10.20.0.0/16"
            errors.append(ConfigError(f"{text!r} is no network", where=where, hint=hint))
    return errors


def _on_earth(site: Site) -> bool:
    if site.latitude is None or site.longitude is None:
        return site.latitude is site.longitude
    return abs(site.latitude) <= 90 and abs(site.longitude) <= 180


def _site_errors(sites: Sequence[Site], where: str) -> list[AupstreamError]:
    errors: list[AupstreamError] = []
    owner: dict[Network, str] = {}
    names: set[str] = set()
    for i, site in enumerate(sites):
        place = f"{where}.sites[{i}]"
        if not site.name or site.name in names:
            what = f"site name {site.name!r} stands here twice" if site.name else "the site has no name"
            errors.append(ConfigError(what, where=f"{place}.name", hint="give every site a name of its own"))
        names.add(site.name)
        if not _on_earth(site):
            hint = "give latitude (-90 to 90) and longitude (-180 to 180), or neither"
            errors.append(ConfigError(f"site {site.name!r} is at no place", where=f"{place}.latitude", hint=hint))
        for text in site.networks:
            try:
                network = ip_network(text, strict=False)
            except ValueError:
                hint = "write it in CIDR notation such as 10.20.0.0/16"
                errors.append(ConfigError(f"{text!r} is no network", where=f"{place}.networks", hint=hint))
                continue
            other = owner.setdefault(network, site.name)
            if other != site.name:
                what = f"network {text} belongs to site {other!r} already"
                errors.append(ConfigError(what, where=f"{place}.networks", hint="a network can be at one site only"))
    return errors
