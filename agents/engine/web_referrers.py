"""What led to a page: the referrer's host, and whether that is another site, which may have loaded the page by itself.

A frame within a page (an advert, a player) has that page for its referrer; so has a page that somebody clicked to. No
log tells them apart. But who clicked goes on within the new site, and search engines show no pages of others within
their own.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from agents.context.categories import Categories

# The domain that somebody registered, roughly: where it takes in more, visits can only be too few.
_REGISTERED = r"([^.]+\.(?:(?:ac|co|com|edu|gov|net|org)\.[a-z]{2}|[^.0-9][^.]*))$"
_REFERRER = r"^(?i)https?://(?:[^/?#@]*@)?([^/:?#]+)"
_SEARCH_ENGINES = (
    r"^(?:(?:www|m|images|search|[a-z]{2}\.search)\.)?"
    r"(?:google|bing|duckduckgo|yahoo|yandex|ecosia|qwant|startpage|baidu|brave)(?:\.[a-z]{2,3}){1,2}$"
)


def host() -> pl.Expr:
    """Of what was asked for."""
    return pl.coalesce("url_domain", "destination_domain").str.to_lowercase()


def domain(of: pl.Expr) -> pl.Expr:
    """The domain that somebody registered, of a host's name; of an address the address."""
    return pl.coalesce(of.str.extract(_REGISTERED), of)


def elsewhere(frame: pl.DataFrame, asked: pl.Series) -> pl.Series:
    """The domain of another site that led to each row asked about, and may show it within its own pages; else null."""
    return _scattered(frame, asked, lambda rows: rows.select(_elsewhere()).to_series())


def unlike(frame: pl.DataFrame, asked: pl.Series, listed: pl.Series, categories: Categories) -> pl.Series:
    """`elsewhere`, but null where the other site is of the same sort: its pages are such pages, too."""

    def found(rows: pl.DataFrame) -> pl.Series:
        led = rows.select(_referrer().alias("host"), _elsewhere().alias("elsewhere"), "listed")
        hosts = led.filter(pl.col("elsewhere").is_not_null())["host"].unique().to_list()
        of_host = {name: sorted(sorts) for name, sorts in categories.of_hosts(hosts).items()}
        sorts = pl.DataFrame(
            {"host": list(of_host), "sorts": list(of_host.values())},
            schema={"host": pl.String, "sorts": pl.List(pl.String)},
        )
        led = led.join(sorts, on="host", how="left", maintain_order="left")
        same = pl.col("sorts").list.set_intersection("listed").list.len() > 0
        return led.select(pl.when(~same.fill_null(value=False)).then("elsewhere")).to_series()

    return _scattered(frame.with_columns(listed=listed), asked, found)


def _scattered(frame: pl.DataFrame, asked: pl.Series, found: Callable[[pl.DataFrame], pl.Series]) -> pl.Series:
    """What is found of the rows asked about that a page led to; most rows need no search."""
    places = (asked & frame["http_request_referrer"].is_not_null()).arg_true()
    nothing = pl.repeat(None, frame.height, dtype=pl.String, eager=True)
    return nothing.scatter(places, found(frame[places])) if len(places) else nothing


def _referrer() -> pl.Expr:
    """The host of the page that led here; null where none is known."""
    return pl.col("http_request_referrer").str.extract(_REFERRER).str.to_lowercase()


def _elsewhere() -> pl.Expr:
    other = (domain(_referrer()) != domain(host())) & ~_referrer().str.contains(_SEARCH_ENGINES)
    return pl.when(other).then(domain(_referrer()))
