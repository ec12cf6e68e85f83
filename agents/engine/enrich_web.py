"""Derived columns of pages: what sort of site it is, whether a person asked for it, and what was loaded.

`navigation` is a page that somebody went to, as far as a log can tell: a document and none of the parts, beacons and
adverts that pages load by themselves, nor what programmes fetch. Of an encrypted connection only the host is known: it
counts unless the host is one of those. A denied page counts, too; a redirect is none, since what it leads to is asked
for by itself. A log without types tells a page by its path: any ending but those of parts, feeds, media and files is
one, `.html`, `.php` and `thread.4821` alike. What a path calls a beacon is a page all the same where a document of some
size came back, or anything of that size by a log without types: `/events/` of a school. So is what has a name of its
own there, `/events/fair`, in a log that knows no sizes.

How often somebody went somewhere is counted by `visit`, `page_view` and `active_minute`, not by rows. What may be a
beat of nobody's has a place and a time there, of which `agents.engine.visits` makes visits: the domain of a tunnel, or
a page that may load itself. One page opens tunnels to several hosts, and opens them anew while it stands open: so all
tunnels are one place of `page_view`. A programme asks again and again for what is denied to it: so a denied address is
one `visit` and one `page_view`, however often and with whatever query it is asked for, and of tunnels a denied domain
is. Firewalls and web filters log no method, and of an encrypted connection a URL of nothing but the host: that is a
tunnel by another name, whose page is the host's first. A name without any URL, as a server of names logs it, is no
page. Where they read what is encrypted, a URL with a path is a page as a GET is, unless another site led to it or its
path says that a programme calls: without a method pictures and calls look alike. So its minutes count as a tunnel's do.

A page that another site led to may be a part of that site's page, a frame with an advert or a player, that loads with
each page there: of `page_view` all that one other site led to is one (see `agents.engine.web_referrers`).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from agents.context.categories import Categories
from agents.engine import web_referrers
from agents.engine.web_referrers import domain, host
from agents.rules.model import VALUE_SEPARATOR

COLUMNS = ("url_categories", "navigation", "visit", "page_view", "download_kind", "downloaded_file",
           "active_minute")  # fmt: skip
_SEEN = frozenset({"navigation", "visit", "page_view"})
BACKGROUND = frozenset({"adverts", "cdn", "updates"})  # what pages and programmes load by themselves
LEAST_BYTES = 20_000  # of an executable: less is a stub, an error page or a signature
LEAST_ALONE = 100_000  # of a file, where nothing but its size says that it came
NOT_MODIFIED = 304  # the one status of 3xx that shows a page: the browser has it already
LEAST_PAGE = 5_000  # bytes of a document that somebody reads: beacons answer with less

_BEACONS = (
    r"(?i)/(?:beacon|collect|pixel|ping|poll|heartbeat|keepalive|telemetry|metrics|track(?:ing)?|events?|log)"
    r"(?:[/.?]|$)"
)
_BELOW = r"(?i)/(?:collect|track(?:ing)?|events?|log)/[^/.]+/?$"  # what has a name of its own below such a word
_CALLS = (
    r"(?i)(?:/(?:api|graphql|ajax|xhr|rpc|oauth2?)(?:[/.?]|$)"
    r"|/(?:admin-ajax|xmlrpc|wp-cron|update|version)\.[^/]+$)"
)
_QUERY = r"(?s)[?#].*"
_EXTENSIONS = {
    "executable": "exe msi msix msixbundle appx dmg pkg deb rpm crx xpi apk jar scr bat cmd ps1 vbs com appimage",
    "torrent": "torrent",
    "archive": "zip 7z rar gz tgz tar bz2 xz iso",
}
_PARTS = (  # endings of what is no page: parts of pages, data and feeds, media, documents
    "js mjs cjs map css scss less wasm woff woff2 ttf otf eot axd ashx asmx svc swf "
    "json jsonp json5 ndjson xml xsl xsd wsdl rss atom ics vcf csv tsv txt yaml yml webmanifest appcache proto pbf "
    "png jpg jpeg jpe jfif gif svg svgz webp avif apng ico cur bmp tif tiff heic "
    "mp4 m4v m4s m4a mp3 mp2 mpg mpeg mpd m3u m3u8 ts webm ogg oga ogv opus wav flac aac avi mov mkv "
    "flv f4v wmv wma vtt srt "
    "pdf doc docx docm dot dotx xls xlsx xlsm ppt pptx pps ppsx odt ods odp rtf epub mobi psd ai "
    "cab dat bin db dll sys msu mui pak img vhd nupkg whl lzma zst br z sig asc crl crt cer der p7b p7c pem ocsp "
    "pac dict idx manifest cfg conf ini plist ipa aab dex sh py lua sql log bak tmp md5 sha1 sha256"
).split()
_TYPES = {
    "executable": "application/x-msdownload application/x-msdos-program application/x-dosexec application/x-msi "
    "application/vnd.microsoft.portable-executable application/x-apple-diskimage application/x-debian-package "
    "application/x-rpm application/x-chrome-extension application/x-xpinstall application/java-archive "
    "application/vnd.android.package-archive application/x-executable application/x-ms-installer",
    "torrent": "application/x-bittorrent",
}


def web_columns(frame: pl.DataFrame, wanted: Sequence[str], categories: Categories) -> pl.DataFrame:
    """The frame with the columns named of `COLUMNS`."""
    made: list[pl.Series] = []
    if {"url_categories", *_SEEN} & set(wanted):
        listed = _categories(frame, categories)
        if "url_categories" in wanted:
            made.append(listed.alias("url_categories"))
        if _SEEN & set(wanted):
            seen = frame.with_columns(navigation=_navigation(frame, listed))
            if "page_view" in wanted:
                seen = seen.with_columns(_elsewhere=web_referrers.unlike(frame, seen["navigation"], listed, categories))
            told = {"navigation": pl.col("navigation"), "visit": _visit(), "page_view": _page_view()}
            made += seen.select(told[name].alias(name) for name in wanted if name in told).get_columns()
    if "download_kind" in wanted:
        made.append(frame.select(download_kind=_download()).to_series())
    if "downloaded_file" in wanted:
        made.append(frame.select(downloaded_file=_downloaded_file()).to_series())
    if "active_minute" in wanted:
        made.append(frame.select(active_minute=_active()).to_series())
    return frame.with_columns(made)


def _categories(frame: pl.DataFrame, categories: Categories) -> pl.Series:
    """Categories of each row: of its host, of its path, and those that the filter logged."""
    asked = frame.select(
        host=pl.coalesce("url_domain", "destination_domain").str.to_lowercase(),
        filed="proxy_category",
    ).with_columns(path=_path(frame, categories))
    distinct = asked.unique()
    by_host = categories.of_hosts([host for host in distinct["host"].unique().to_list() if host is not None])
    filed = {text: categories.filed(text) for text in distinct["filed"].unique().to_list() if text is not None}
    none: frozenset[str] = frozenset()
    found = [
        sorted(
            (by_host[host] | (categories.of_path(host, path) if path else none) if host is not None else none)
            | (filed[text] if text is not None else none)
        )
        for host, path, text in distinct.select("host", "path", "filed").iter_rows()
    ]
    known = distinct.with_columns(url_categories=pl.Series(found, dtype=pl.List(pl.String)))
    keys = ["host", "path", "filed"]
    return asked.join(known, on=keys, how="left", nulls_equal=True, maintain_order="left")["url_categories"]


def _path(frame: pl.DataFrame, categories: Categories) -> pl.Series:
    """The path, where it may make a difference: of most hosts all pages are of one sort."""
    host = pl.coalesce("url_domain", "destination_domain").str.to_lowercase().str.strip_prefix("www.")
    asked = pl.when(_tunnel()).then(pl.lit("/")).otherwise("url_path").str.to_lowercase()
    path = pl.when(host.is_in(list(categories.prefixes))).then(asked)
    return frame.select(path=path).to_series()


def _navigation(frame: pl.DataFrame, listed: pl.Series) -> pl.Series:
    status = pl.col("http_response_status_code")
    mime = pl.col("http_response_mime_type").str.to_lowercase()
    answered = status.is_null() | status.is_between(200, 299) & (status != 204) | (status == NOT_MODIFIED)
    document = mime.str.starts_with("text/html") | mime.str.starts_with("application/xhtml")
    shown = document.fill_null(value=False) | mime.is_null() & ~_file() & ~(_ending().is_not_null() & _call())
    page = ((_method() == "GET") | _decrypted()) & shown
    sized = _method().is_not_null() | mime.is_not_null()  # without both it may be the size of a whole connection
    read = (page & sized & (pl.col("http_response_bytes") >= LEAST_PAGE)).fill_null(value=False)
    unsized = pl.col("http_response_bytes").fill_null(0) == 0  # a firewall rates a page before anything came back
    below = unsized & pl.col("url_path").str.contains(_BELOW)
    beacon = (pl.col("url_path").str.contains(_BEACONS) & ~below).fill_null(value=False) & ~read
    own = pl.col("_listed").list.eval(pl.element().is_in(list(BACKGROUND))).list.any().fill_null(value=False)
    asked = (page & ~beacon | _tunnel()).fill_null(value=False) & (answered | _denied()) & ~own
    found = frame.with_columns(_listed=listed).select(asked).to_series()
    alone = frame.select(_method().is_null() & ~_tunnel()).to_series()
    return found & ~(alone & web_referrers.elsewhere(frame, found & alone).is_not_null())


def _ending() -> pl.Expr:
    return pl.col("url_extension").str.to_lowercase().str.strip_chars(".")


def _file() -> pl.Expr:
    """By its ending no page, in a log that knows no types."""
    files = [*_PARTS, *" ".join(_EXTENSIONS.values()).split()]
    return _ending().is_in(files).fill_null(value=False)


def _call() -> pl.Expr:
    """By its path what a programme or a script asks for."""
    return pl.col("url_path").str.contains(_CALLS).fill_null(value=False)


def _decrypted() -> pl.Expr:
    """A page by the log of a firewall or web filter, which names no method. A host alone says too little."""
    whole = pl.col("url_original").str.contains(r"^(?i)https?://").fill_null(value=False)
    named = ~_name_alone() | pl.col("http_request_referrer").is_not_null()
    return _method().is_null() & whole & named & ~_call()


def _second() -> pl.Expr:
    return pl.col("timestamp").dt.timestamp("us") // 1_000_000


def _timed(place: pl.Expr) -> pl.Expr:
    """A place at a time: see `agents.engine.visits`."""
    return pl.concat_str(place, _second().cast(pl.String), separator=VALUE_SEPARATOR)


def _active() -> pl.Expr:
    """Of a page the minute, since 1970 UTC; of what may be nobody's the place and the time.

    That is a tunnel's domain, and the page, without its query, of a log without methods: what asks by itself asks for
    the same.
    """
    page = _timed(_address().str.replace(_QUERY, ""))
    timed = pl.when(_tunnel()).then(_timed(_domain())).when(_method().is_null()).then(page)
    return timed.otherwise((_second() // 60).cast(pl.String))


def _method() -> pl.Expr:
    return pl.col("http_request_method").str.to_uppercase()


def _tunnel() -> pl.Expr:
    """Nothing but the name of the host is known of what was asked for."""
    encrypted = pl.col("url_original").str.starts_with("https://") & pl.col("http_request_referrer").is_null()
    return ((_method() == "CONNECT") | encrypted & _name_alone()).fill_null(value=False)


def _name_alone() -> pl.Expr:
    no_page = pl.col("url_path").fill_null("/").is_in(["", "/"]) & pl.col("url_query").is_null()
    return _method().is_null() & no_page & pl.col("url_extension").is_null()


def _address() -> pl.Expr:
    return pl.coalesce("url_original", pl.concat_str(host(), pl.col("url_path").fill_null("")))


def _domain() -> pl.Expr:
    return domain(host())


def _denied() -> pl.Expr:
    return (pl.col("event_action") == "denied").fill_null(value=False)


def _asked_again(whole: pl.Expr) -> pl.Expr:
    """What stays the same where a programme asks again for what was denied."""
    return pl.when(_tunnel()).then(_domain()).otherwise(whole.str.replace(_QUERY, ""))


def _visit() -> pl.Expr:
    """A page, or the domain of a tunnel, and the time; where it was denied, at whatever time. Else the event itself."""
    where = pl.when(_tunnel() | _name_alone()).then(_domain()).otherwise(_address())
    visit = pl.when(_denied()).then(_asked_again(where)).otherwise(_timed(where))
    return pl.coalesce(pl.when(pl.col("navigation") | _method().is_null()).then(visit), "event_id")


def _page_view() -> pl.Expr:
    """A page, or the time of any tunnel: they hide how many pages there were; or the other site that led there.

    Else the event itself.

    Of what was denied the address, or the domain of a tunnel: nothing was shown that could have led to further ones.
    """
    seen = pl.when(_tunnel()).then(_timed(pl.lit(""))).otherwise(_address())
    own = pl.when(_denied()).then(_asked_again(_address())).otherwise(seen)
    view = pl.coalesce("_elsewhere", own)
    return pl.coalesce(pl.when("navigation").then(view), "event_id")


def _download() -> pl.Expr:
    """What sort of file was loaded; null for none, for what failed and for what is too small to be it.

    Of a log without a status only what is too large for a page that says so is known to have come.
    """
    extension = _ending()
    mime = pl.col("http_response_mime_type").str.to_lowercase().str.split(";").list.first().str.strip_chars()
    status, size = pl.col("http_response_status_code"), pl.col("http_response_bytes")
    loaded = (status.is_in([200, 206]) | status.is_null() & (size >= LEAST_ALONE)) & ~_denied()
    whole = (size >= LEAST_BYTES).fill_null(value=True)
    page = mime.str.starts_with("text/html").fill_null(value=False)
    kind = pl.lit(None, dtype=pl.String)
    for name in ("archive", "torrent", "executable"):
        by_name = extension.is_in(_EXTENSIONS[name].split()).fill_null(value=False) & ~page
        by_type = mime.is_in(_TYPES.get(name, "").split()).fill_null(value=False)
        enough = whole if name == "executable" else pl.lit(value=True)
        kind = pl.when((by_name | by_type) & enough).then(pl.lit(name)).otherwise(kind)
    return pl.when(loaded.fill_null(value=False)).then(kind)


def _downloaded_file() -> pl.Expr:
    """The address of what was loaded; without its query where the path names a file: signed ones change it."""
    files = " ".join(_EXTENSIONS.values()).split()
    named = _ending().is_in(files)
    address = _address()
    return pl.when(named).then(address.str.replace(_QUERY, "")).otherwise(address)
