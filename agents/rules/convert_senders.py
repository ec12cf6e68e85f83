"""Who sent a message as ClickHouse expressions: what `agents.context.senders` says of it, in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from agents.context.district import TAG, District
from agents.context.handed_in import BY_RECIPIENT, INBOUND, LOCAL_USERS, NO_LOGINS, SERVERS, SERVICES
from agents.context.senders import MACHINE, own_address
from agents.rules.convert_values import bare_account, in_network, quoted

_NOBODY = "'*'"  # no account
_WRITTEN = "lowerUTF8(ifNull(email_from_address, ''))"
_DATASET = "ifNull(event_dataset, '')"
_BY_NAME = "ifNull(user_name, '') != '' AND ifNull(event_action, '') NOT IN "


SENT_BY = "sent_by"  # column of `with_senders`: address of who sent a message; empty for none
OF_SENDERS = frozenset(
    "sender_address sender_internal sender_kind delivered_recipients mailed_recipients recipients_internal "
    "recipients_outside".split()
)


def with_senders(table: str, district: District, internal: Callable[[str], str]) -> str:
    """A table of mail with the column that expressions of `OF_SENDERS` read: written, and computed, once."""
    return f"(SELECT *, {sender(district, internal)} AS {SENT_BY} FROM {table} FINAL)"  # noqa: S608 - all is quoted


def sender(district: District, internal: Callable[[str], str]) -> str:
    """Address of who sent a message; empty for none."""
    people = district.roster.people.values()
    own = {p.account: known for p in people if (known := own_address(district, p))}
    accounts = {mail: p.account for p in people for mail in p.mail}
    listed = {mail: own[account] for mail, account in accounts.items() if district.is_internal_address(mail)}
    inside = f"ifNull({internal('w')}, false)"
    written = let("w", _WRITTEN, f"if({inside}, replaceRegexpOne(w, {quoted(TAG)}, '@'), w)")
    return let(
        "w", written, f"if({logged_in()}, {_of_login(district, internal, own, accounts)}, {_mapped('w', listed)})"
    )


def _of_login(
    district: District, internal: Callable[[str], str], own: Mapping[str, str], accounts: Mapping[str, str]
) -> str:
    """Address of who logged in; `w` is what they gave as theirs."""
    bare = bare_account("ifNull(user_name, '')")
    inside = f"ifNull({internal('b')}, false)"
    account = f"if({inside}, replaceRegexpOne(b, '@[^@]*$', ''), b)"
    account = f"transform(b, {array(accounts)}, {array(accounts.values())}, {account})" if accounts else account
    if district.domains:
        alike = f"splitByChar('@', w)[1] = a AND {at_home('w', district)}"
        made = f"if({alike}, w, concat(a, {quoted('@' + district.domains[0])}))"
        made = let("m", made, f"if(m IN {among(accounts)}, a, m)")
    else:
        made = "if(w != '', w, a)"
    known = _mapped("a", own, "''")
    before = "substring(a, 1, length(a) - position(reverse(a), '@'))"
    called = f"{before} IN (splitByChar('@', w)[1], {_mapped('w', accounts, _NOBODY)})"
    theirs = {mail: own[account] for mail, account in accounts.items() if account in own}
    realm = f"if({at_home('w', district)} AND {called}, {_mapped('w', theirs)}, a)"
    told = f"multiIf({known} != '', {known}, position(a, '@') > 0, {realm}, {made})"
    plain = let("p", f"replaceRegexpOne(b, {quoted(TAG)}, '@')", _mapped("p", _of_addresses(district, own)))
    machine = f"replaceRegexpOne({bare}, {quoted(MACHINE)}, '')"
    return let("b", machine, f"if({at_home('b', district)}, {plain}, {let('a', account, told)})")


def _of_addresses(district: District, own: Mapping[str, str]) -> dict[str, str]:
    """Of who logs in with an address: one of theirs, or their account in its mail domain."""
    people = [p for p in district.roster.people.values() if p.account in own]
    called = {f"{p.account}@{mail.partition('@')[2]}": own[p.account] for p in people for mail in p.mail}
    return called | {mail: own[p.account] for p in people for mail in p.mail}


def logged_in() -> str:
    """True where the client of a message logged in; see `agents.context.handed_in.logins`."""
    by_name = f"{_BY_NAME}{among(NO_LOGINS)}"
    return f"({by_name} AND NOT ({_DATASET} IN {among(LOCAL_USERS)} AND isNull(login_method)))"


def from_outside(district: District) -> str:
    """True where it is known that somebody outside handed the message in; see `agents.context.handed_in`."""
    host = "concat('.', lowerUTF8(ifNull(source_domain, '')))"
    stated = f"ifNull(email_direction, '') = {quoted(INBOUND)} AND {_DATASET} NOT IN {among(BY_RECIPIENT)}"
    inside = " OR ".join(f"ifNull({in_network('source_ip', network)}, false)" for network in district.own_networks)
    service = " OR ".join(f"endsWith({host}, {quoted('.' + name)})" for name in SERVICES)
    client = f"{_DATASET} IN {among(SERVERS)} AND isNotNull(source_ip) AND NOT ({service}) AND NOT ({inside})"
    known = f"({stated}) OR ({client})" if inside else stated
    return f"({known}) AND NOT {logged_in()}"


def at_home(address: str, district: District) -> str:
    """True for an address in one of the mail domains that the district names."""
    domain = f"replaceRegexpOne(substring({address}, position({address}, '@') + 1), '[.]+$', '')"
    return f"(position({address}, '@') > 0 AND {domain} IN {among(district.domains)})"


def let(name: str, value: str, body: str) -> str:
    """An expression in which a name stands for a value: written, and computed, once."""
    return f"arrayMap({name} -> {body}, [{value}])[1]"


def among(texts: Iterable[str]) -> str:
    """For IN; never empty, and no address is empty."""
    return f"({', '.join(map(quoted, sorted(texts))) or quoted('*')})"


def array(texts: Iterable[str]) -> str:
    """An array of texts."""
    return f"[{', '.join(map(quoted, texts))}]"


def _mapped(name: str, known: Mapping[str, str], otherwise: str | None = None) -> str:
    """What a text stands for, else itself or what is given."""
    other = name if otherwise is None else otherwise
    return f"transform({name}, {array(known)}, {array(known.values())}, {other})" if known else other
