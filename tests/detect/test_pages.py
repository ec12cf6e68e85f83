"""What tells a page that somebody went to from what pages and programmes load, where a log says little of either."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from agents.context.categories import Categories
from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.enrich import Enricher
from agents.rules.examples import frame_of
from schemas.kinds import EventKind
from streams.normalisers.masking import Masker
from streams.normalisers.proxy.columns import url_columns

LISTS = Categories.of({"adult": ["bare.example", "bare2.example"], "streaming": ["films.example"]})
ENRICHER = Enricher(District(categories=LISTS), Inventory.none())
AT = datetime(2026, 3, 2, 16, tzinfo=UTC)


def _asked(url: str, referrer: str | None = None) -> dict[str, object]:
    """Of a URL what a normaliser makes of it, by a log that says nothing else."""
    parts = url_columns(pl.Series([url]), pl.Series([None], dtype=pl.String), Masker())
    return {name: values.item() for name, values in parts.items()} | {"http_request_referrer": referrer}


def _column(name: str, *rows: dict[str, object]) -> list[object]:
    frame = frame_of(EventKind.PROXY, [{"event_id": f"e{i}", "timestamp": AT, **row} for i, row in enumerate(rows)])
    return ENRICHER.add(frame, EventKind.PROXY, [name])[name].to_list()


@pytest.mark.parametrize(
    ("path", "page"),
    [
        *[(f"/crack/office-0.{ending}", True) for ending in
          "html htm php php5 asp aspx jsp cgi shtml xhtml do action HTML".split()],
        ("/forum/thread.4821", True), ("/docs/v1.2", True), ("/about", True),
        *[(f"/a.{ending}", False) for ending in
          "js css png JPG svg ico woff2 json xml rss mp4 m3u8 ts pdf docx zip exe msi torrent cab crl axd".split()],
        ("/wp-admin/admin-ajax.php", False), ("/api/list.php", False), ("/pixel.php", False),
    ],
)  # fmt: skip
def test_a_log_without_types_tells_a_page_by_how_its_path_ends(path: str, page: bool) -> None:
    asked = _asked(f"https://www.a.example{path}") | {"http_response_status_code": 200}
    firewall = {"event_action": "denied", "http_response_bytes": 90_000}
    assert _column("navigation", asked | {"http_request_method": "GET"}, asked | firewall) == [page, page]
    typed = {"http_request_method": "GET", "http_response_mime_type": "text/html; charset=utf-8"}
    assert _column("navigation", asked | typed) == ["pixel" not in path]


@pytest.mark.parametrize(
    ("url", "referrer", "page"),
    [
        ("https://www.a.example/1", None, True), ("http://www.a.example/1?q=2", None, True),
        ("http://www.a.example/", None, False), ("https://www.a.example/", None, True),
        ("https://www.a.example/", "https://www.bing.com/", True),
        ("https://www.a.example/1", "https://a.example/", True),
        ("https://www.a.example/1", "https://www.google.com/", True),
        ("https://www.a.example/1", "https://user@Other.example:443/x", False),
        ("https://www.a.example/1", "https://google.other.example/", False),
        ("https://www.a.example/", "https://other.example/", False),
        ("https://www.a.example/api/v2/status", None, False), ("https://www.a.example/poll", None, False),
        ("www.a.example/1", None, False), ("/1", None, False),
    ],
)  # fmt: skip
def test_a_firewall_tells_of_a_page_that_no_other_site_led_to(url: str, referrer: str | None, page: bool) -> None:
    assert _column("navigation", _asked(url, referrer)) == [page]


def test_nobody_need_be_there_in_the_minute_of_a_page_that_a_firewall_logs() -> None:
    second = int(AT.timestamp())
    page, host = _asked("https://www.a.example/1?since=7"), _asked("https://www.a.example/")
    assert _column("active_minute", page) == [f"https://www.a.example/1\x1f{second}"]
    assert _column("active_minute", host) == [f"a.example\x1f{second}"], "a tunnel"


@pytest.mark.parametrize(
    ("referrer", "action", "view"),
    [
        (None, "allowed", "{url}"), ("-", "allowed", "{url}"), ("https://bare.example/", "allowed", "{url}"),
        ("https://films.example/1", "allowed", "films.example"), ("https://FILMS.example/", "denied", "films.example"),
        ("https://www.google.com/", "allowed", "{url}"), ("https://search.brave.com/", "allowed", "{url}"),
        ("https://google.films.example/", "allowed", "films.example"),
        ("https://m.bare2.example/list", "allowed", "{url}"), ("https://198.51.100.7/", "allowed", "198.51.100.7"),
    ],
)  # fmt: skip
def test_all_pages_that_another_site_led_to_are_one(referrer: str | None, action: str, view: str) -> None:
    url = "https://www.bare.example/in/7"
    row = _asked(url, referrer) | {"http_request_method": "GET", "event_action": action}
    picture = row | {"http_response_mime_type": "image/png"}
    assert _column("page_view", row, picture) == [view.format(url=url), "e1"]
