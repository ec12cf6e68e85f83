"""Who sent a message as ClickHouse expressions: what `agents.context.senders` says of it, in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from agents.context.accounts import HIDDEN
from agents.context.district import TAG, District
from agents.context.handed_in import BY_RECIPIENT, INBOUND, LOCAL_USERS, NO_LOGINS, SERVERS, SERVICES
from agents.context.maillogins import CN_OF_DN, DOMAIN_AND_NAME, MACHINE, NO_ACCOUNT, ROOT, UID_OF_DN
from agents.context.maillogins import SERVICES as PRINCIPALS
from agents.context.senders import own_address, sender_of
from agents.rules.convert_values import bare_account, in_network, quoted, trimmed

_NOBODY = "'*'"  # no account
_WRITTEN = "lowerUTF8(ifNull(email_from_address, ''))"
_DATASET = "ifNull(event_dataset, '')"
_PLAIN = f"replaceRegexpOne(logged_in.1, {quoted(TAG)}, '@')"  # an address that was logged in with
_LOGIN = "ifNull(user_name, '')"
_BY_NAME = "ifNull(user_name, '') != '' AND ifNull(event_action, '') NOT IN "


MAIL_LOGIN, RELAYED_BY, SENT_BY = "sent.1", "sent.2", "sent.3"
"""Of the column of `with_senders`: name of who logged in, whether a service relayed, address of who sent (or empty)."""

OF_SENDERS = frozenset(
    "sender_address sender_internal sender_kind delivered_recipients mailed_recipients recipients_internal "
    "recipients_outside".split()
)


def with_senders(table: str, district: District, internal: Callable[[str], str]) -> str:
    """A table of mail with the column that expressions of `OF_SENDERS` read: written, and computed, once.

    It is one, of one subquery: through several in each other ClickHouse takes minutes to plan a rule with lists.
    """
    untagged = f"replaceRegexpOne({_WRITTEN}, {quoted(TAG)}, '@')"
    written = f"if(ifNull({internal(_WRITTEN)}, false), {untagged}, {_WRITTEN})"
    found = let("logged_in", _who(district, internal), let("envelope", written, _sender(district)))
    return f"(SELECT *, {found} AS sent FROM {table} FINAL)"  # noqa: S608 - all is quoted


def _who(district: District, internal: Callable[[str], str]) -> str:
    """Name and account of who logged in; empty for nobody. See `agents.context.maillogins.mail_login`."""
    people = among(district.roster.people)
    halves = "splitByChar('/', login_bare)"
    read = (
        f"match(login_bare, {quoted(DOMAIN_AND_NAME)}) AND {halves}[1] NOT IN {among(PRINCIPALS)} "
        f"AND {halves}[1] NOT IN {people} AND {halves}[2] IN {people}"
    )
    name = f"multiIf(login_uid != '', login_uid, login_cn IN {people}, login_cn, {read}, {halves}[2], login_bare)"
    unread = f"({_is_nobody('n')} OR match(n, {quoted(NO_ACCOUNT)}))"
    account = _account("n", district, internal)
    found = let("n", name, f"if({account} NOT IN {people} AND {unread}, ('', ''), (n, {account}))")
    whole = f"lowerUTF8({trimmed(_LOGIN)})"
    bare = f"replaceRegexpOne({bare_account(_LOGIN)}, {quoted(ROOT)}, {quoted(chr(92) + '1')})"
    found = let("login_uid", trimmed(f"extract({whole}, {quoted(UID_OF_DN)})"), found)
    found = let("login_cn", trimmed(f"extract({whole}, {quoted(CN_OF_DN)})"), found)
    found = let("login_bare", f"replaceRegexpOne({bare}, {quoted(MACHINE)}, '')", found)
    return f"if({_said_login()}, {found}, ('', ''))"


def _sender(district: District) -> str:
    """Address of who sent a message; empty for none. See `agents.context.senders.sender_of`."""
    people = district.roster.people.values()
    own = {p.account: known for p in people if (known := own_address(district, p))}
    accounts = _accounts(district)
    listed = {mail: own[account] for mail, account in accounts.items() if district.is_internal_address(mail)}
    theirs = {mail: own[account] for mail, account in accounts.items() if account in own}
    home = at_home("envelope", district)
    before = "substring(logged_in.2, 1, length(logged_in.2) - position(reverse(logged_in.2), '@'))"
    called = f"{before} IN (splitByChar('@', envelope)[1], {_mapped('envelope', accounts, _NOBODY)})"
    realm = f"if({home} AND {called}, {_mapped('envelope', theirs)}, logged_in.2)"
    made = "if(envelope != '', envelope, logged_in.2)"
    if district.domains:
        first = f"concat(logged_in.2, {quoted('@' + district.domains[0])})"
        made = f"if(splitByChar('@', envelope)[1] = logged_in.2 AND {home}, envelope, {first})"
        made = let("m", made, f"if(m IN {among(accounts)}, logged_in.2, m)")
    known = _mapped("logged_in.2", own, "''")
    relayed = f"envelope != '' AND {_of_service(district)}"
    address = (
        f"multiIf(logged_in.1 = '' OR {relayed}, {_mapped('envelope', listed)}, "
        f"{at_home('logged_in.1', district)}, {_mapped(_PLAIN, _of_addresses(district, own))}, "
        f"{known} != '', {known}, position(logged_in.2, '@') > 0, {realm}, {made})"
    )
    return f"(logged_in.1, {relayed}, {address})"


def _accounts(district: District) -> dict[str, str]:
    return {mail: p.account for p in district.roster.people.values() for mail in p.mail}


def _is_nobody(name: str) -> str:
    """True for a name that says nothing of who it is; see `agents.context.accounts.is_nobody`."""
    local = f"splitByChar('@', {name})[1]"
    digits = f"match(replaceRegexpAll({local}, '[:. -]', ''), '^[0-9a-f]{{12}}$')"
    device = f"{digits} AND (match({local}, '[:.-]') OR NOT match({local}, '^[0-9]+$'))"
    hidden = f"{local} IN {among(HIDDEN)} OR {local} = ''"
    return f"(startsWith({name}, 'host/') OR endsWith({local}, '$') OR {hidden} OR {device})"


def _account(name: str, district: District, internal: Callable[[str], str]) -> str:
    """Account of a name that somebody logged in with; see `District.account_of_login`."""
    account = f"if(ifNull({internal(name)}, false), replaceRegexpOne({name}, '@[^@]*$', ''), {name})"
    return _mapped(name, _accounts(district), account)


def _of_service(district: District) -> str:
    """True where a service logged in: by its account, or by an address of its own or that is called like it."""
    services = [p for p in district.roster.people.values() if not p.is_human]
    if not services:
        return "false"
    places = {d for p in services for d in (*district.domains, *(mail.partition("@")[2] for mail in p.mail))}
    called = {mail for p in services for mail in (*p.mail, *(f"{p.account}@{d}" for d in places))}
    theirs = {one for one in called if sender_of(district, "x", one).relayed}
    by_account = f"logged_in.2 IN {among(p.account for p in services)}"
    return f"if({at_home('logged_in.1', district)}, {_PLAIN} IN {among(theirs)}, {by_account})"


def _of_addresses(district: District, own: Mapping[str, str]) -> dict[str, str]:
    """Of who logs in with an address: one of theirs, or their account in its mail domain."""
    people = [p for p in district.roster.people.values() if p.account in own]
    called = {f"{p.account}@{mail.partition('@')[2]}": own[p.account] for p in people for mail in p.mail}
    return called | {mail: own[p.account] for p in people for mail in p.mail}


def _said_login() -> str:
    """True where the log says that the client of a message logged in; see `agents.context.handed_in.logins`."""
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
    return f"({known}) AND {MAIL_LOGIN} = ''"


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
