"""Transforms of proxy samples."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from streams.normalisers.addresses import ip
from tests.normalisers.transforms.common import NOT_STATED, Transform


def _clf(theirs: Any) -> Any:
    """`08/Jun/2020:06:49:01 +0000`, or HAProxy's with milliseconds and no zone."""
    if not theirs:
        return NOT_STATED
    form = "%d/%b/%Y:%H:%M:%S.%f" if "." in str(theirs) else "%d/%b/%Y:%H:%M:%S %z"
    moment = datetime.strptime(str(theirs), form)  # noqa: DTZ007 - HAProxy's zone is the source's
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _of_request(part: int) -> Transform:
    """A word of a whole first line of a request."""

    def theirs(value: Any) -> Any:
        words = str(value or "").split(" ")
        return words[part].removeprefix("HTTP/") if len(words) == 3 else NOT_STATED

    return theirs, lambda ours: ours


def _path_of(theirs: Any) -> Any:
    text = str(theirs or "")
    return text.partition("?")[0] if text.startswith("/") else NOT_STATED


def _url_like(theirs: Any) -> Any:
    """logstash's `original` is the URL's, or the agent's where that comes later."""
    text = str(theirs or "")
    return text if "/" in text[:1] or "://" in text[:12] or text.endswith(":8080") else NOT_STATED


def _of_hour(moment: Any) -> Any:
    if moment is None or isinstance(moment, str):
        digits = [int(number) for number in re.findall(r"\d+", str(moment or ""))]
        return (digits[4], digits[5]) if len(digits) > 5 else NOT_STATED
    return moment.minute, moment.second


TRANSFORMS: dict[str, Transform] = {
    "clf": (_clf, lambda ours: ours),
    "request_url": _of_request(1),
    "http_path": (_path_of, lambda ours: ours),
    "no_address": (lambda theirs: NOT_STATED if not theirs or ip(str(theirs)) else str(theirs), lambda ours: ours),
    "behind_slash": (lambda theirs: str(theirs).rpartition("/")[2], lambda ours: ours),
    "url_like": (_url_like, lambda ours: ours),
    "total_ms": (lambda theirs: NOT_STATED if not theirs else int(theirs) * 1_000_000, lambda ours: ours),
    "minute_and_second": (_of_hour, lambda ours: ours and _of_hour(ours)),  # of a peer that drops the zone
}
