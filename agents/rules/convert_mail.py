"""Derived columns of mail as ClickHouse expressions: what `agents.engine.enrich_mail` makes of a message, in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from agents.context.district import TAG, District
from agents.context.handed_in import BY_RECIPIENT, INBOUND, LOCAL_USERS, NO_LOGINS, OUTSIDE, SERVERS, SERVICES
from agents.context.maillists import OF_A_LIST
from agents.rules.convert_values import in_network, quoted
from agents.rules.model import VALUE_SEPARATOR

MAX_MEMBERS = 20_000  # of mailing lists that are written into a query; with more what needs them cannot be said
_SEPARATOR = quoted(VALUE_SEPARATOR)
_SLOW = "ifNull(dateDiff('microsecond', timestamp_first, timestamp) >= 3600000000, false)"
_SENDER = "lowerUTF8(ifNull(email_from_address, ''))"
_DELIVERED = (
    "arrayFilter(i -> email_to_address[i] != '' AND email_to_status[i] = 'sent' AND NOT email_to_filter[i], "
    "arrayEnumerate(email_to_address))"
)


def mail_columns(district: District, internal: Callable[[str], str]) -> Mapping[str, str]:
    """Expressions of the derived columns, by name.

    Args:
        district: Its people and mailing lists.
        internal: Makes of an address an expression that is true for one of the district.
    """
    if sum(map(len, map(district.lists.behind, district.lists.lists))) > MAX_MEMBERS:
        return _of_senders(district, internal)
    plain = f"arrayDistinct(arrayMap(i -> {_clean('lowerUTF8(email_to_address[i])')}, {_DELIVERED}))"
    everybody, counted = _through_lists(district, internal) if district.lists else (plain, plain)
    sort = f"multiIf({_SLOW}, 'slow', {internal('a')}, 'internal', 'outside')"
    value = f"concat({sort}, {_SEPARATOR}, {_message()}, {_SEPARATOR}, a)"
    inside = f"ifNull({internal('a')}, false)"
    return {
        **_of_senders(district, internal),
        "delivered_recipients": f"arrayMap(a -> {value}, {counted})",
        "recipients_internal": f"toInt64(arrayCount(a -> {inside}, {everybody}))",
        "recipients_outside": f"toInt64(arrayCount(a -> NOT {inside}, {everybody}))",
    }


def _of_senders(district: District, internal: Callable[[str], str]) -> dict[str, str]:
    return {
        "sender_internal": f"ifNull({internal('email_from_address')}, false)",
        "sender_kind": _sender_kind(district, internal),
        "message_key": _message(),
    }


def _through_lists(district: District, internal: Callable[[str], str]) -> tuple[str, str]:
    """Recipients, those behind lists one by one: all, and without those of lists that the sender owns."""
    lists = district.lists
    known = _listed(lists.lists)
    reached = _clean("lowerUTF8(email_to_address[i])")
    pairs = f"arrayMap(i -> ({reached}, lowerUTF8(email_to_original_address[i])), {_DELIVERED})"
    first = "arrayFilter((p, i) -> indexOf(arrayMap(q -> q.1, pairs), p.1) = i, pairs, arrayEnumerate(pairs))"
    known_first = f"arrayMap(p -> (p.1, multiIf(p.2 IN {known}, p.2, p.1 IN {known}, p.1, '')), {first})"
    through = _let("pairs", pairs, known_first)
    unseen = [f"p.1 = {quoted(a)}, {_array(lists.behind(a))}, " for a in lists.lists if lists.behind(a)]
    members = f"multiIf(has(expanded, p.1), [p.1], {''.join(unseen)}[p.1])"
    opened = f"arrayFlatten(arrayMap(p -> arrayMap(a -> (a, p.2), {members}), through))"
    expanded = "arrayMap(p -> p.2, arrayFilter(p -> p.1 != p.2, through))"
    each = _let("through", through, _let("expanded", expanded, opened))
    owned = [
        f"((p.2 = {quoted(one.address)} OR p.1 IN {_listed(lists.behind(one.address))}) AND "
        f"{_sent_by(one.owners, district, internal)})"
        for one in lists.lists.values()
        if one.owners
    ]
    own = f"arrayMap(p -> p.1, arrayFilter(p -> {' OR '.join(owned) or 'false'}, each))"
    everybody = "arrayDistinct(arrayMap(p -> p.1, each))"
    foreign = _let("own", own, f"arrayFilter(a -> NOT has(own, a), {everybody})")
    return _let("each", each, everybody), _let("each", each, foreign)


def _let(name: str, value: str, body: str) -> str:
    """An expression in which a name stands for an array: written, and computed, once."""
    return f"arrayMap({name} -> {body}, [{value}])[1]"


def _sent_by(names: Iterable[str], district: District, internal: Callable[[str], str]) -> str:
    """True where the sender, with a tag behind the name or without, goes by any of those accounts and addresses.

    See `District.names_of_sender` for what the part before the @ says.
    """
    accounts = {name for name in names if "@" not in name}
    people = district.roster.people
    mails = {mail for account in accounts if account in people for mail in people[account].mail}
    others = {
        m for p in people.values() if p.account not in accounts for m in p.mail if m.partition("@")[0] in accounts
    }
    inside = f"ifNull({internal('email_from_address')}, false)"
    tests = []
    for sender in (_SENDER, f"replaceRegexpOne({_SENDER}, {quoted(TAG)}, '@')"):
        domain = f"replaceRegexpOne(substring({sender}, position({sender}, '@') + 1), '[.]+$', '')"
        here = f"(position({sender}, '@') = 0 OR {domain} IN {_listed(district.domains)})"
        by_local = (
            f"splitByChar('@', {sender})[1] IN {_listed(accounts)} AND {here} AND {sender} NOT IN {_listed(others)}"
        )
        tests.append(f"{sender} IN {_listed(names)} OR {inside} AND ({sender} IN {_listed(mails)} OR {by_local})")
    return f"({' OR '.join(tests)})"


def _sender_kind(district: District, internal: Callable[[str], str]) -> str:
    people, lists = district.roster.people.values(), district.lists
    services = [person.account for person in people if not person.is_human]
    tests = [_sent_by(services, district, internal), "'service'"] if services else []
    if lists:
        domains = {address.partition("@")[2] for address in lists.lists}
        alike = [p.account for p in people if any(map(lists.sends, (*p.mail, *(f"{p.account}@{d}" for d in domains))))]
        made = f"replaceRegexpOne({_SENDER}, {quoted(OF_A_LIST)}, {quoted(chr(92) + '1@' + chr(92) + '2')})"
        tests += [_sent_by(alike, district, internal), "'person'"] if alike else []
        tests += [f"{_SENDER} IN {_listed(lists.lists)} OR {made} IN {_listed(lists.lists)}", "'list'"]
    inside = f"ifNull({internal('email_from_address')}, false)"
    tests = [_from_outside(district), quoted(OUTSIDE), *tests]
    found = f"multiIf({', '.join([*tests, chr(39) + 'person' + chr(39)])})"
    return f"if({inside}, {found}, NULL)"


def _from_outside(district: District) -> str:
    """True where it is known that somebody outside handed the message in; see `agents.context.handed_in`."""
    dataset, host = "ifNull(event_dataset, '')", "concat('.', lowerUTF8(ifNull(source_domain, '')))"
    by_name = f"ifNull(user_name, '') != '' AND ifNull(event_action, '') NOT IN {_listed(NO_LOGINS)}"
    login = f"{by_name} AND NOT ({dataset} IN {_listed(LOCAL_USERS)} AND isNull(login_method))"
    stated = f"ifNull(email_direction, '') = {quoted(INBOUND)} AND {dataset} NOT IN {_listed(BY_RECIPIENT)}"
    inside = " OR ".join(f"ifNull({in_network('source_ip', network)}, false)" for network in district.own_networks)
    service = " OR ".join(f"endsWith({host}, {quoted('.' + name)})" for name in SERVICES)
    client = f"{dataset} IN {_listed(SERVERS)} AND isNotNull(source_ip) AND NOT ({service}) AND NOT ({inside})"
    known = f"({stated}) OR ({client})" if inside else stated
    return f"({known}) AND NOT ({login})"


def _listed(texts: Iterable[str]) -> str:
    """For IN; never empty, and no address is empty."""
    return f"({', '.join(map(quoted, sorted(texts))) or quoted('*')})"


def _array(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, texts))}]"


def _message() -> str:
    queue = "concat(ifNull(observer_hostname, ''), ' ', email_local_id, ' ', ifNull(email_from_address, ''))"
    return _clean(f"assumeNotNull(coalesce(nullIf(email_message_id, ''), {queue}, event_id))")


def _clean(text: str) -> str:
    return f"replaceAll({text}, {_SEPARATOR}, '')"
