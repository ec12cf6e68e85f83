"""Group keys and derived columns as ClickHouse expressions: what `agents.engine.enrich` makes of an event, in SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.rules.columns import ColumnType, column_types
from agents.rules.convert_logins import login_source, own_device
from agents.rules.convert_mail import mail_columns
from agents.rules.convert_values import Unsayable, bare_account, in_network, quoted
from schemas.kinds import EventKind

MAX_DEVICES = 20_000  # of an inventory, or people of a roster, that are written into a query; more are refused
_MASKED = "'(masked)'"


@dataclass(frozen=True)
class Keys:
    """Writes keys and derived columns of one district.

    Attributes:
        district: Mail domains and sites.
        inventory: Known devices.
    """

    district: District
    inventory: Inventory

    def derived(self, kind: EventKind) -> Mapping[str, str]:
        """Expressions of those derived columns of a kind that can be said."""
        if kind is EventKind.MAIL:
            return mail_columns(self.district, self.internal)
        site = {
            EventKind.DHCP: f"coalesce({self._site('source_ip')}, {self._site('dhcp_relay_ip')})",
            EventKind.LOGIN: self._login_site(),
        }.get(kind, self._site("source_ip"))
        shared = self._shared("coalesce(source_ip, dhcp_relay_ip)" if kind is EventKind.DHCP else "source_ip")
        more = {**self._roles(), **self._logins()} if kind is EventKind.LOGIN else {}
        return {"source_site": site, "source_address_shared": shared, **self._devices(), **more}

    def _devices(self) -> dict[str, str]:
        made = {"source_mac_random": "substring(source_mac, 2, 1) IN ('2', '6', 'a', 'e')"}
        devices = self.inventory.devices
        if len(devices) > MAX_DEVICES:
            return made
        listed = ", ".join(quoted(mac) for mac in sorted(devices)) or "''"
        made["source_mac_known"] = f"if(isNull(source_mac), NULL, source_mac IN ({listed}))"
        names = Counter(d.host for d in devices.values() if d.host)
        once = ", ".join(quoted(name) for name in sorted(names) if names[name] == 1) or "''"
        made["host_name_known"] = f"if(isNull(host_name), NULL, splitByChar('.', lower(host_name))[1] IN ({once}))"
        for attribute in ("kind", "owner"):
            known = {mac: value for mac, d in sorted(devices.items()) if (value := getattr(d, attribute))}
            macs = "[" + ", ".join(map(quoted, known)) + "]"
            values = "[" + ", ".join(map(quoted, known.values())) + "]"
            found = f"transform(ifNull(source_mac, ''), {macs}, {values}, '')" if known else "''"
            made[f"source_device_{attribute}"] = f"nullIf({found}, '')"
        return made

    def _logins(self) -> dict[str, str]:
        """Where a login came from, and whether on the account's own device."""
        made = {"login_source": login_source()}
        if len(self.inventory.devices) <= MAX_DEVICES:
            account = self.of(EventKind.LOGIN, "user_name", "user_name")
            made["source_device_own"] = own_device(account, self.inventory, self.district)
        return made

    def _roles(self) -> dict[str, str]:
        """Roles of the account that logged in: all of the roster in the query, one text each."""
        people = sorted((p.account, "\n".join(p.roles)) for p in self.district.roster.people.values() if p.roles)
        if len(people) > MAX_DEVICES:
            return {}
        if not people:
            return {"user_roles": "CAST([] AS Array(String))"}
        accounts, roles = ("[" + ", ".join(map(quoted, some)) + "]" for some in zip(*people, strict=True))
        name = f"ifNull({self.of(EventKind.LOGIN, 'user_name', 'user_name')}, '')"
        found = f"splitByChar('\n', transform({name}, {accounts}, {roles}, ''))"
        return {"user_roles": f"arrayFilter(x -> x != '', {found})"}

    def _shared(self, address: str) -> str:
        """Whether an address is in one of the networks that many people share; never null."""
        tests = [f"ifNull({in_network(address, network)}, false)" for network in self.district.shared_networks]
        return f"({' OR '.join(tests) or 'false'})"

    def _site(self, address: str) -> str:
        """Site of the smallest network that holds an address."""
        networks = sorted(
            ((n, site.name) for site in self.district.sites for n in site.networks),
            key=lambda pair: -int(pair[0].rpartition("/")[2]) if "/" in pair[0] else -128,
        )
        if not networks:
            return "CAST(NULL AS Nullable(String))"
        tests = ", ".join(f"ifNull({in_network(address, n)}, false), {quoted(name)}" for n, name in networks)
        return f"multiIf({tests}, NULL)"

    def _login_site(self) -> str:
        globs = [(g, s.name) for s in self.district.sites for g in s.access_points]
        tests = [f"match(lowerUTF8(access_point), {quoted(_glob(g))}), {quoted(name)}" for g, name in globs]
        by_address = self._site("access_point")
        by_point = f"multiIf({', '.join(tests)}, {by_address})" if tests else by_address
        by_point = f"if(isNull(access_point), NULL, {by_point})"
        server = self._site("nas_ip")
        if globs:
            server = f"if(isNull(access_point), {server}, NULL)"
        many = " OR ".join(self._shared(address) for address in ("source_ip", "nas_ip"))
        return f"coalesce({by_point}, if({many}, NULL, coalesce({self._site('source_ip')}, {server})))"

    def internal(self, address: str) -> str:
        """True for an address of the district, and for one without a domain; null stays null."""
        domain = f"extract(lowerUTF8(assumeNotNull({address})), '@([^@]*?)[.]?$')"
        tests = [f"{domain} = {quoted(d)} OR endsWith({domain}, {quoted('.' + d)})" for d in self.district.domains]
        inside = " OR ".join(tests) or "false"
        at = f"position({address}, '@') > 0"
        return f"if(isNull({address}), NULL, if({at}, {inside}, {address} != ''))"

    def of(self, kind: EventKind, column: str, sql: str) -> str:
        """A column as it goes into a group key or a counted value: text, or null for none.

        Raises:
            Unsayable: the column is a list.
        """
        of_type = column_types(kind)[column]
        if of_type.element is not None:
            raise Unsayable(f"{column} is a {of_type.value} and no key")
        text = sql if of_type is ColumnType.TEXT else f"toString({sql})"
        if column in ("user_name", "target_user_name"):
            realm = "user_domain" if column == "user_name" and "user_domain" in column_types(kind) else None
            text = self._account(text, realm)
        elif column.startswith("email_") and column.endswith("_address"):
            text = f"lowerUTF8({text})"
        return f"nullIf({text}, '')"

    def _account(self, text: str, realm: str | None) -> str:
        name = bare_account(text)
        named = f"if({self.internal(name)}, replaceRegexpOne({name}, '@[^@]*$', ''), {name})"
        if realm is not None:
            low = f"lowerUTF8({realm})"
            somebody = f"concat('x@', {low})"
            away = f"position({low}, '.') > 0 AND NOT {self.internal(somebody)}"
            named = f"if(ifNull({away}, false) AND position({name}, '@') = 0, concat({name}, '@', {low}), {named})"
        return f"if({name} = {_MASKED}, NULL, {named})"


def _glob(pattern: str) -> str:
    """A glob for a whole name, as a pattern for RE2."""
    return "\\A" + translate(pattern.lower()).replace("\\Z", "\\z").replace("(?>", "(?:")
