"""Proxy events from records: what follows from a URL, an action and a status is worked out for whole chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from schemas.kinds import EventKind
from streams.normalisers.columns import event_columns
from streams.normalisers.masking import Masker
from streams.normalisers.proxy.columns import masked, outcome, url_columns
from streams.normalisers.records import Fact

URL_FIELDS = (
    "url_original",
    "url_scheme",
    "url_domain",
    "url_port",
    "url_path",
    "url_query",
    "url_extension",
)


class ProxyFacts:
    """Mixed into a `RecordNormaliser` of proxy events, in front of it.

    A fact gives `url_original` as logged (with a scheme, or host:port with the method CONNECT; see `whole_url`) and
    `event_action`, `allowed` or `denied`. Credentials in URL, Referer and user agent are masked here, the URL's parts
    are cut from it, and `event_outcome` follows from action and status, unless the fact has them itself.
    """

    kind = EventKind.PROXY
    masker: Masker

    def columns(self, facts: Sequence[Fact]) -> Mapping[str, Sequence[Any] | pl.Series]:
        """See `RecordNormaliser.columns`."""
        types = event_columns(EventKind.PROXY)
        names = {name for fact in facts for name in fact} - {"timestamp"}
        made: dict[str, pl.Series] = {
            name: pl.Series(name, [fact.get(name) for fact in facts], dtype=types[name]) for name in names
        }
        return {"timestamp": [fact["timestamp"] for fact in facts], **completed(made, len(facts), self.masker)}


def completed(made: Mapping[str, pl.Series], height: int, masker: Masker) -> dict[str, pl.Series]:
    """Columns of proxy events, masked, with those that follow from others.

    Args:
        made: Columns that are given, of their schema's types; `url_original` and `event_action` as in `ProxyFacts`.
        height: Number of events.
        masker: The source's.
    """
    made = dict(made)
    empty = pl.repeat(None, height, dtype=pl.String, eager=True)
    for name in ("http_request_referrer", "user_agent_original", "url_query"):
        if name in made:
            made[name] = masked(made[name], masker)
    urls, methods = made.get("url_original", empty), made.get("http_request_method", empty)
    for name, column in url_columns(urls, methods, masker).items():
        given = made.get(name)
        made[name] = column if given is None or name == "url_original" else given.zip_with(given.is_not_null(), column)
    status = made.get("http_response_status_code", empty.cast(pl.Int32))
    derived = outcome(made.get("event_action", empty) == "denied", status)
    stated = made.get("event_outcome")
    made["event_outcome"] = derived if stated is None else stated.zip_with(stated.is_not_null(), derived)
    return made


def whole_url(
    scheme: str | None, host: str | None, port: int | None, path: str | None, query: str | None
) -> str | None:
    """A URL from the parts that some products log apart; None without a host. A default port is left out."""
    if not host:
        return None
    scheme = (scheme or "http").lower()
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    if port and port != {"http": 80, "https": 443}.get(scheme):
        shown += f":{port}"
    tail = path or "/"
    if not tail.startswith("/"):
        tail = f"/{tail}"
    return f"{scheme}://{shown}{tail}" + (f"?{query.removeprefix('?')}" if query else "")
