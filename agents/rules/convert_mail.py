"""Derived columns of mail as ClickHouse expressions: what `agents.engine.enrich_mail` makes of a message, in SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agents.rules.convert_values import quoted
from agents.rules.model import VALUE_SEPARATOR

_SEPARATOR = quoted(VALUE_SEPARATOR)
_SLOW = "ifNull(dateDiff('microsecond', timestamp_first, timestamp) >= 3600000000, false)"


def mail_columns(internal: Callable[[str], str]) -> Mapping[str, str]:
    """Expressions of the derived columns, by name.

    Args:
        internal: Makes of an address an expression that is true for one of the district.
    """
    reached = (
        "arrayDistinct(arrayMap(a -> " + _clean("lowerUTF8(a)") + ", arrayFilter((a, i) -> a != '' "
        "AND email_to_status[i] = 'sent' AND NOT email_to_filter[i], "
        "email_to_address, arrayEnumerate(email_to_address))))"
    )
    sort = f"multiIf({_SLOW}, 'slow', {internal('a')}, 'internal', 'outside')"
    value = f"concat({sort}, {_SEPARATOR}, {_message()}, {_SEPARATOR}, a)"
    inside = f"ifNull({internal('a')}, false)"
    return {
        "sender_internal": f"ifNull({internal('email_from_address')}, false)",
        "message_key": _message(),
        "delivered_recipients": f"arrayMap(a -> {value}, {reached})",
        "recipients_internal": f"toInt64(arrayCount(a -> {inside}, {reached}))",
        "recipients_outside": f"toInt64(arrayCount(a -> NOT {inside}, {reached}))",
    }


def _message() -> str:
    queue = "concat(ifNull(observer_hostname, ''), ' ', email_local_id, ' ', ifNull(email_from_address, ''))"
    return _clean(f"assumeNotNull(coalesce(nullIf(email_message_id, ''), {queue}, event_id))")


def _clean(text: str) -> str:
    return f"replaceAll({text}, {_SEPARATOR}, '')"
