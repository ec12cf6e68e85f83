"""Transforms that several kinds need, and those of the first formats."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from streams.normalisers.addresses import ip, mac

NOT_STATED = object()
"""What a transform gives where the peer states nothing."""

Transform = tuple[Callable[[Any], Any], Callable[[Any], Any]]


def _same(value: Any) -> Any:
    return value


def _stated(read: Callable[[str], Any], *nothing: str) -> Callable[[Any], Any]:
    """`read`, except that the empty text, null and the given words state nothing."""

    def to_ours(value: Any) -> Any:
        return NOT_STATED if value is None or str(value) in ("", *nothing) else read(str(value))

    return to_ours


def _moment(text: str) -> Any:
    return (
        datetime.fromisoformat(text).replace(tzinfo=UTC)
        if "+" not in text and "Z" not in text
        else datetime.fromisoformat(text)
    )


def _epoch(scale: float) -> Callable[[str], Any]:
    return lambda text: datetime.fromtimestamp(round(float(text) / scale * 1000) / 1000, UTC)


def _to_millisecond(moment: datetime | None) -> Any:
    return moment and moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _month_to_second(moment: datetime | None) -> Any:
    return moment and (moment.month, moment.day, moment.hour, moment.minute, moment.second)


def _bsd_stamp(text: str) -> Any:
    return _month_to_second(datetime.strptime(f"2000 {text}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC))


def _iso_without_year(text: str) -> Any:
    month, day, clock = (
        text.partition("T")[0].split("-")[-2],
        text.partition("T")[0].split("-")[-1],
        text.partition("T")[2],
    )
    hour, minute, second = clock.rstrip("Z").split(":")
    return int(month), int(day), int(hour), int(minute), int(second)


TRANSFORMS: dict[str, Transform] = {
    "text": (_stated(_same, "-"), _same),
    "lower": (_stated(str.lower, "-"), lambda ours: ours and str(ours).lower()),
    "upper": (_stated(str.upper, "-"), lambda ours: ours and str(ours).upper()),
    "integer": (_stated(lambda text: int(float(text)), "-"), _same),
    "status": (_stated(lambda text: int(text) or None, "-"), _same),  # 000 is no status: null
    "ip": (_stated(lambda text: ip(text) or text, "-"), _same),
    "mac": (_stated(lambda text: mac(text) or text, "-"), _same),
    "milliseconds": (_stated(lambda text: int(float(text) * 1_000_000), "-"), _same),
    "nanoseconds": (_stated(lambda text: int(float(text)), "-"), _same),
    "iso": (_stated(_moment), lambda ours: ours and ours.replace(microsecond=ours.microsecond)),
    "iso_seconds": (_stated(_moment), lambda ours: ours and ours.replace(microsecond=0)),
    "epoch_seconds": (_stated(_epoch(1)), _to_millisecond),
    "epoch_milliseconds": (_stated(_epoch(1000)), _to_millisecond),
    "bsd_stamp": (_stated(_bsd_stamp), _month_to_second),
    "iso_without_year": (_stated(_iso_without_year), _month_to_second),
}


def words(**meaning: Any) -> Transform:
    """A transform of a closed set of the peer's words; a word that is not in it is compared as it is."""
    return _stated(lambda text: meaning.get(text, text)), _same


def _query(name: str) -> Transform:
    return _stated(_same), lambda ours: ours and (parse_qs(ours).get(name) or [None])[0]


def _wallix_date(text: str) -> Any:
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if text.startswith("datetime.utc"):
        return datetime.fromtimestamp(numbers[0], UTC).replace(microsecond=numbers[1] * 1000)
    return datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type,misc]


def _category(status: int | None) -> Any:
    names = {2: "Success", 3: "Notice", 4: "Warning", 5: "Error"}
    return status and names[status // 100]


def _level(status: int | None) -> Any:
    return status and {2: "ok", 3: "notice", 4: "warn", 5: "error"}[status // 100]


def _pam_type(action: str | None) -> Any:
    return {"authentication": "auth", "session_start": "session", "session_end": "session"}.get(action or "", action)


_CROWDSEC_SUCCESS = {"auth_success": "success"}
_PLASO = {
    "syslog:ssh:login": "login", "syslog:ssh:failed_connection": "login", "syslog:ssh:opened_connection": "connection",
}  # fmt: skip

TRANSFORMS |= {
    "may_be_empty": (lambda theirs: theirs or None, _same),
    "lower_theirs": (_stated(str.lower), _same),
    "dhcp_type": (_stated(lambda text: text.removeprefix("DHCP").lower()), _same),
    "wallix_date": (_stated(_wallix_date), _to_millisecond),
    "usiem_outcome": words(ALLOW="success", BLOCK="failure"),
    "datadog_category": (_stated(_same), _category),
    "datadog_level": (_stated(_same), _level),
    "before_underscore": (_stated(_same), lambda ours: ours and ours.partition("_")[0]),
    "after_underscore": (_stated(_same), lambda ours: ours and ours.partition("_")[2]),
    "query_queryParam1": _query("queryParam1"),
    "query_queryParam2": _query("queryParam2"),
    "last_word": (_stated(lambda text: text.split()[-1]), _same),
    "accepted": words(Accepted="success", Failed="failure"),
    "wallix_action": words(accept="success", fail="failure", open="success"),
    "pam_component": words(pam_unix="pam"),
    "pam_type": (_stated(_same), _pam_type),
    "crowdsec_service": (_stated(_same), lambda ours: {"sshd": "ssh", "sudo": "pam"}.get(ours, ours)),
    "crowdsec_log_type": (_stated(lambda text: _CROWDSEC_SUCCESS.get(text, "failure")), _same),
    "plaso_type": (_stated(lambda text: _PLASO.get(text, text)), _same),
}  # fmt: skip
