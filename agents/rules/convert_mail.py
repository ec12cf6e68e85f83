"""Derived columns of mail as ClickHouse expressions: what `agents.engine.enrich_mail` makes of a message, in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from agents.context.district import District
from agents.context.handed_in import OUTSIDE, PERSON, RELAYED
from agents.context.maillists import OF_A_LIST
from agents.context.subjects import ANSWER, FEW_OUTSIDE
from agents.rules.convert_senders import RELAYED_BY, SENT_BY, among, array, at_home, from_outside, let
from agents.rules.convert_values import quoted
from agents.rules.model import VALUE_SEPARATOR

MAX_PEOPLE = 20_000  # of a roster that is written into a query; with more what needs them cannot be said
MAX_MEMBERS = 20_000  # of mailing lists that are written into a query; with more what needs them cannot be said
_SEPARATOR = quoted(VALUE_SEPARATOR)
_SLOW = "ifNull(dateDiff('microsecond', timestamp_first, timestamp) >= 3600000000, false)"
_PERSON = f"if({RELAYED_BY}, {quoted(RELAYED)}, {quoted(PERSON)})"
_REPLY = f"if(isNull(email_subject), NULL, match(assumeNotNull(email_subject), {quoted(ANSWER)}))"
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
    outside = f"toInt64(arrayCount(a -> NOT {inside}, {everybody}))"
    once = f"concat({sort}, {_SEPARATOR}, a, {_SEPARATOR}, a)"
    answer = f"ifNull({_REPLY}, false) AND {outside} < {FEW_OUTSIDE}"
    each = f"if({answer}, arrayMap(a -> {once}, arrayFilter(a -> NOT {inside}, c)), arrayMap(a -> {value}, c))"
    return {
        **_of_senders(district, internal),
        "delivered_recipients": f"arrayMap(a -> {value}, {counted})",
        "mailed_recipients": let("c", counted, each),
        "recipients_internal": f"toInt64(arrayCount(a -> {inside}, {everybody}))",
        "recipients_outside": outside,
    }


def _of_senders(district: District, internal: Callable[[str], str]) -> dict[str, str]:
    if len(district.roster.people) > MAX_PEOPLE:
        return {"message_key": _message(), "email_reply": _REPLY}
    return {
        "sender_address": f"nullIf({SENT_BY}, '')",
        "sender_internal": f"ifNull({internal(SENT_BY)}, false)",
        "sender_kind": _sender_kind(district, internal),
        "message_key": _message(),
        "email_reply": _REPLY,
    }


def _through_lists(district: District, internal: Callable[[str], str]) -> tuple[str, str]:
    """Recipients, those behind lists one by one: all, and without those of lists that the sender owns."""
    lists = district.lists
    known = among(lists.lists)
    reached = _clean("lowerUTF8(email_to_address[i])")
    pairs = f"arrayMap(i -> ({reached}, lowerUTF8(email_to_original_address[i])), {_DELIVERED})"
    first = "arrayFilter((p, i) -> indexOf(arrayMap(q -> q.1, pairs), p.1) = i, pairs, arrayEnumerate(pairs))"
    known_first = f"arrayMap(p -> (p.1, multiIf(p.2 IN {known}, p.2, p.1 IN {known}, p.1, '')), {first})"
    through = let("pairs", pairs, known_first)
    unseen = [f"p.1 = {quoted(a)}, {array(lists.behind(a))}, " for a in lists.lists if lists.behind(a)]
    members = f"multiIf(has(expanded, p.1), [p.1], {''.join(unseen)}[p.1])"
    opened = f"arrayFlatten(arrayMap(p -> arrayMap(a -> (a, p.2), {members}), through))"
    expanded = "arrayMap(p -> p.2, arrayFilter(p -> p.1 != p.2, through))"
    each = let("through", through, let("expanded", expanded, opened))
    owned = [
        f"((p.2 = {quoted(one.address)} OR p.1 IN {among(lists.behind(one.address))}) AND "
        f"{_sent_by(one.owners, district, internal)})"
        for one in lists.lists.values()
        if one.owners
    ]
    own = f"arrayMap(p -> p.1, arrayFilter(p -> {' OR '.join(owned) or 'false'}, each))"
    everybody = "arrayDistinct(arrayMap(p -> p.1, each))"
    foreign = let("own", own, f"arrayFilter(a -> NOT has(own, a), {everybody})")
    return let("each", each, everybody), let("each", each, foreign)


def _sent_by(names: Iterable[str], district: District, internal: Callable[[str], str]) -> str:
    """True where the sender goes by any of those accounts and addresses.

    See `agents.context.senders.names_of`, and `District.names_of_sender` for what the part before the @ says.
    """
    accounts = {name for name in names if "@" not in name}
    people = [p for p in district.roster.people.values() if p.mail]
    mails = {m for p in people if p.account in accounts or not set(p.mail).isdisjoint(names) for m in p.mail}
    others = {m for p in people if p.account not in accounts for m in p.mail if m.partition("@")[0] in accounts}
    local = f"splitByChar('@', {SENT_BY})[1] IN {among(accounts)} AND {SENT_BY} NOT IN {among(others)}"
    by_local = f"{local} AND (position({SENT_BY}, '@') = 0 OR {at_home(SENT_BY, district)})"
    inside = f"ifNull({internal(SENT_BY)}, false) AND ({SENT_BY} IN {among(mails)} OR {by_local})"
    return f"({SENT_BY} IN {among(names)} OR {inside})"


def _sender_kind(district: District, internal: Callable[[str], str]) -> str:
    people, lists = district.roster.people.values(), district.lists
    services = [person.account for person in people if not person.is_human]
    tests = [_sent_by(services, district, internal), "'service'"] if services else []
    if lists:
        domains = {address.partition("@")[2] for address in lists.lists}
        alike = [p.account for p in people if any(map(lists.sends, (*p.mail, *(f"{p.account}@{d}" for d in domains))))]
        made = f"replaceRegexpOne({SENT_BY}, {quoted(OF_A_LIST)}, {quoted(chr(92) + '1@' + chr(92) + '2')})"
        tests += [_sent_by(alike, district, internal), _PERSON] if alike else []
        tests += [f"{SENT_BY} IN {among(lists.lists)} OR {made} IN {among(lists.lists)}", "'list'"]
    tests = [from_outside(district), quoted(OUTSIDE), *tests]
    found = f"multiIf({', '.join([*tests, _PERSON])})"
    return f"if(ifNull({internal(SENT_BY)}, false), {found}, NULL)"


def _message() -> str:
    queue = "concat(ifNull(observer_hostname, ''), ' ', email_local_id, ' ', ifNull(email_from_address, ''))"
    return _clean(f"assumeNotNull(coalesce(nullIf(email_message_id, ''), {queue}, event_id))")


def _clean(text: str) -> str:
    return f"replaceAll({text}, {_SEPARATOR}, '')"
