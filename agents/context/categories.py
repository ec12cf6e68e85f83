"""Category lists of sites, in the layout of UT1 and squidGuard: a folder a category, with `domains` and `urls`.

`domains` has a domain a line and means everything below it, too; `urls` has a host and the beginning of a path. Either
may be packed by gzip (`domains.gz`). Lines that begin with # count for nothing, and neither do squidGuard's `.db` files
and `expressions`, which are told of. Domains are kept sorted as one column.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import polars as pl

from agents.context.category_names import MAP, ours, split
from agents.context.versions import content_version
from schemas.errors import AupstreamError, ConfigError, Errors

OWN = Path(__file__).resolve().parents[1] / "policy" / "categories"
MAX_DOMAINS = 20_000_000
CACHE_LIMIT = 200_000  # hosts remembered; at the limit the cache is emptied and fills again: only time is lost
_NONE: frozenset[str] = frozenset()

Prefixes = Mapping[str, Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class Categories:
    """Which categories a site is in.

    Attributes:
        domains: Sorted, each once, lower case.
        sets: For each domain the number of its set of categories.
        named: Sets of categories by number.
        prefixes: For a host the beginnings of paths with the category of each.
        names: Our name by another's, beside those that are known anyway.
        version: 12 hexadecimal digits of a hash of the content.
        passed_over: Files that were not read, for a person.
    """

    domains: pl.Series = field(default_factory=lambda: pl.Series("domain", [], dtype=pl.String))
    sets: pl.Series = field(default_factory=lambda: pl.Series("set", [], dtype=pl.UInt32))
    named: tuple[frozenset[str], ...] = ()
    prefixes: Prefixes = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=lambda: MAP)
    version: str = ""
    passed_over: tuple[str, ...] = ()
    _cache: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def read(folders: Iterable[Path], names: Mapping[str, str] | None = None) -> Categories:
        """Read folders of lists.

        Args:
            folders: Each with a folder a category.
            names: Our name by another's.

        Raises:
            Errors: of `ConfigError`, every file that cannot be read, and every line of `urls` that is none.
        """
        errors: list[AupstreamError] = []
        mapped = {key.lower(): value for key, value in (names or {}).items()}
        domains: list[pl.DataFrame] = []
        prefixes: dict[str, list[tuple[str, str]]] = {}
        passed_over: list[str] = []
        read: list[list[str]] = []
        for file in _files(folders, errors):
            category, kind = ours(file.parent.name, mapped), file.name.removesuffix(".gz")
            if kind not in ("domains", "urls"):
                passed_over += [str(file)] if kind == "expressions" else []
                continue
            lines, digest = _lines(file, errors)
            read.append([category, kind, digest])
            if kind == "domains":
                domains.append(_domains(lines, category))
            else:
                for host, path in _urls(lines, file, errors):
                    prefixes.setdefault(host, []).append((path, category))
        if errors:
            raise Errors(errors)
        version = content_version([sorted(read), sorted(mapped.items())])
        return _made(domains, prefixes, mapped, (version, tuple(passed_over)))

    @staticmethod
    def of(listed: Mapping[str, Sequence[str]]) -> Categories:
        """Categories of domains, and of hosts with the beginning of a path, by category."""
        domains = [_domains([d for d in some if "/" not in d], name) for name, some in listed.items()]
        prefixes: dict[str, list[tuple[str, str]]] = {}
        for name, some in listed.items():
            for host, slash, path in (one.partition("/") for one in some):
                if slash:
                    prefixes.setdefault(host, []).append((f"/{path}", name))
        version = content_version(sorted((name, sorted(some)) for name, some in listed.items()))
        return _made(domains, prefixes, MAP, (version, ()))

    def __bool__(self) -> bool:
        return bool(len(self.domains) or self.prefixes)

    def of_hosts(self, hosts: Sequence[str]) -> dict[str, frozenset[str]]:
        """Categories by host, of the host itself and of all domains above it."""
        missing = [host for host in dict.fromkeys(hosts) if host not in self._cache]
        if missing:
            if len(self._cache) + len(missing) > CACHE_LIMIT:
                self._cache.clear()
                missing = list(dict.fromkeys(hosts))
            self._cache.update(self._search(missing))
        return {host: self._cache[host] for host in hosts}

    def of_path(self, host: str, path: str) -> frozenset[str]:
        """Categories that hold for a part of a host's pages only."""
        listed = self.prefixes.get(host) or self.prefixes.get(host.removeprefix("www."))
        return frozenset(c for prefix, c in listed if path.startswith(prefix)) if listed else _NONE

    def of_page(self, host: str, path: str) -> frozenset[str]:
        """Categories of one page, by the lists; of none where there is no host."""
        return (self.of_hosts([host])[host] | self.of_path(host, path)) if host else _NONE

    def filed(self, text: str) -> frozenset[str]:
        """Our categories for what a filter logged, which may be several at once."""
        return frozenset(ours(one, self.names) for one in (text, *split(text)) if one.strip() not in ("", "-"))

    def _search(self, hosts: Sequence[str]) -> dict[str, frozenset[str]]:
        if not len(self.domains):
            return dict.fromkeys(hosts, _NONE)
        pairs = [(host, above) for host in hosts for above in _above(host)]
        asked = pl.Series([above for _, above in pairs], dtype=pl.String)
        places = self.domains.search_sorted(asked).clip(upper_bound=len(self.domains) - 1)
        hit = self.domains.gather(places) == asked
        numbers = self.sets.gather(places).to_list()
        found: dict[str, frozenset[str]] = dict.fromkeys(hosts, _NONE)
        for i in hit.arg_true().to_list():
            host = pairs[i][0]
            found[host] = found[host] | self.named[numbers[i]]
        return found


def _above(host: str) -> Iterator[str]:
    """A host and every domain above it."""
    at = host.lower().strip(".")
    while at:
        yield at
        at = at.partition(".")[2]


def _files(folders: Iterable[Path], errors: list[AupstreamError]) -> Iterator[Path]:
    for folder in folders:
        if not folder.is_dir():
            hint = "name the folder that holds a folder for each category"
            errors.append(ConfigError("there is no such folder of category lists", where=str(folder), hint=hint))
            continue
        yield from sorted(file for file in folder.glob("*/*") if file.is_file())


def _lines(file: Path, errors: list[AupstreamError]) -> tuple[list[str], str]:
    """Lines of a list, packed or not, and a hash of them."""
    try:
        data = file.read_bytes()
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        lines = text.decode("utf-8", "replace").lower().splitlines()
    except (OSError, EOFError, zlib.error) as error:
        errors.append(ConfigError(f"cannot be read: {error}", where=str(file), hint="load the list again"))
        return [], ""
    kept = [stripped for line in lines if (stripped := line.strip()) and not stripped.startswith("#")]
    return kept, blake2b(text, digest_size=16, person=b"aup-categories").hexdigest()


def _domains(lines: Sequence[str], category: str) -> pl.DataFrame:
    domain = pl.col("domain").str.strip_chars(".")
    frame = pl.DataFrame({"domain": pl.Series(lines, dtype=pl.String)}).select(domain)
    return frame.filter(pl.col("domain") != "").with_columns(category=pl.lit(category))


def _urls(lines: Sequence[str], file: Path, errors: list[AupstreamError]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, 1):
        host, slash, path = line.partition("://")[2].partition("/") if "://" in line else line.partition("/")
        if not host or not slash:
            hint = "write host/path; whole hosts belong to `domains`"
            errors.append(ConfigError(f"{line[:100]!r} is no part of a site", where=f"{file}:{number}", hint=hint))
            continue
        yield host.removeprefix("www."), f"/{path}"


def _made(
    listed: Sequence[pl.DataFrame],
    prefixes: Mapping[str, Sequence[tuple[str, str]]],
    names: Mapping[str, str],
    told: tuple[str, tuple[str, ...]],
) -> Categories:
    empty = pl.DataFrame(schema={"domain": pl.String, "category": pl.String})
    frame = pl.concat([empty, *listed]).unique().sort("domain", "category")
    sets = frame.group_by("domain", maintain_order=True).agg(pl.col("category").str.join("\n"))
    if sets.height > MAX_DOMAINS:
        raise ConfigError(f"category lists have more than {MAX_DOMAINS} domains", where="[district] categories")
    named = sets["category"].unique(maintain_order=True)
    numbers = sets.join(
        pl.DataFrame({"category": named, "set": pl.Series(range(len(named)), dtype=pl.UInt32)}),
        on="category",
        how="left",
        maintain_order="left",
    )
    return Categories(
        sets["domain"],
        numbers["set"],
        tuple(frozenset(text.split("\n")) for text in named.to_list()),
        prefixes,
        names,
        *told,
    )
