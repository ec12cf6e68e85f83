"""What people look at on a school day, as ready-made pieces of proxy log lines.

A line is put together from pieces: a request (method and URL), an outcome, and what follows from both. The pieces are
a few thousand; the lines are made of them by index, a column at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from infra.simulate.draw import Draw
from infra.simulate.names import words

REQUESTS = 3000
OUTCOMES = 16  # outcomes to choose from for each kind of request, by weight
NUMBERS = 4096  # endings of requests that ask for something by number

_SECURE = words(
    "classroom docs drive sso video cdn fonts updates library math-practice reading-club maps weather news encyclopedia"
    " coding museum science art music sports portal lunch calendar"
)
_PLAIN = ("ocsp", "updates", "packages", "detectportal", "time", "old-library", "printers", "media")
_FILES = (
    ("index.html", "text/html"),
    ("style.css", "text/css"),
    ("app.js", "application/javascript"),
    ("photo.jpg", "image/jpeg"),
    ("logo.png", "image/png"),
    ("api/items", "application/json"),
    ("update.bin", "application/octet-stream"),
    ("feed.xml", "application/xml"),
)
_TUNNELLED = ("TCP_TUNNEL/200",) * 15 + ("TCP_DENIED/403",)
_FETCHED = (
    ("TCP_MISS/200",) * 8
    + ("TCP_HIT/200", "TCP_MEM_HIT/200", "TCP_REFRESH_UNMODIFIED/304", "TCP_MISS/304")
    + ("TCP_MISS/404", "TCP_MISS/302", "TCP_DENIED/403", "TCP_MISS_ABORTED/000")
)
AGENTS = (
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605",
    "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "package-manager/2.4",
)


@dataclass(frozen=True)
class Pools:
    """Pieces of lines; every one but the last of a line ends in the blank that separates it.

    Attributes:
        method_url: `GET http://…` of each request, without what a number would add.
        numbered: 1 for a request that asks by number, else 0.
        number: Endings: the empty one, then `NUMBERS` others.
        referrer: Referrer of each request.
        result: `TCP_MISS/200 ` by request and outcome: request * OUTCOMES + outcome.
        server: `HIER_DIRECT/… text/html` by the same.
        status: `200 ` by the same.
        result_pair: `TCP_MISS:HIER_DIRECT` by the same.
    """

    method_url: pl.Series
    numbered: pl.Series
    number: pl.Series
    referrer: pl.Series
    result: pl.Series
    server: pl.Series
    status: pl.Series
    result_pair: pl.Series


def make_pools(draw: Draw) -> Pools:
    """The pieces of one day."""
    urls, numbered, referrers = [], [], []
    results, servers, statuses, pairs = [], [], [], []
    for i in range(REQUESTS):
        secure = i % 10 < 7
        url, kind, referrer = _secure(draw) if secure else _plain(draw, i)
        urls.append(url)
        numbered.append(int("?" in url))
        referrers.append(referrer)
        address = f"203.0.113.{draw.between(200, 254)}"
        for result in _TUNNELLED if secure else _FETCHED:
            asked = not result.startswith(("TCP_DENIED", "TCP_HIT", "TCP_MEM"))
            peer = f"HIER_DIRECT/{address}" if asked else "HIER_NONE/-"
            word, code = result.split("/")
            results.append(f"{result} ")
            servers.append(f" {peer} {kind if code in ('200', '404') else '-'}")
            statuses.append(f"{code} ")
            pairs.append(f"{word}:{peer.partition('/')[0]}")
    endings = ["", *(str(100 + n * 7) for n in range(NUMBERS))]
    texts = [pl.Series(x) for x in (urls, numbered, endings, referrers, results, servers, statuses, pairs)]
    return Pools(*texts)


def _secure(draw: Draw) -> tuple[str, str, str]:
    return f"CONNECT {draw.choice(_SECURE)}{draw.below(9)}.example:443", "-", "-"


def _plain(draw: Draw, number: int) -> tuple[str, str, str]:
    host = f"{draw.choice(_PLAIN)}{draw.below(5)}.example"
    name, kind = draw.choice(_FILES)
    url = f"GET http://{host}/{draw.digits(4)}/{name}"
    if number % 40 == 7:  # a quote is legal in what browsers send, and a trap for whoever splits at quotes
        url = f'GET http://{host}/search?q="{draw.digits(3)}"&page='
    elif draw.chance(40):
        url = f"{url}?v="
    return url, kind, f"http://{host}/" if draw.chance(60) else "-"
