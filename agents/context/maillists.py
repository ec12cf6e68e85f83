"""Mailing lists of the district: whose they are, and how many a message to one reaches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from unicodedata import normalize

from agents.context.csvfile import raise_all, read_text, rows
from agents.context.versions import content_version
from schemas.errors import ConfigError

COLUMNS = ("address", "owners")
OPTIONAL = ("size", "members")
MAX_SIZE = 100_000
_ADDRESS = re.compile(r"[^@\s;,<>|:*]+@[^@\s;,<>|:*]+")
_ACCOUNT = re.compile(r"[^@\s;,<>|:*]+")
# What list managers send in a list's name: LIST-bounces, LIST-owner, LIST-request, LIST-admin (Mailman), owner-LIST
# (Majordomo), and LIST+anything for bounces of one recipient each.
OF_A_LIST = r"^(?:owner-)?([^@+]+?)(?:-(?:bounces|owner|request|admin))?(?:\+[^@]*)?@([^@]+)$"
_OF_A_LIST = re.compile(OF_A_LIST)


@dataclass(frozen=True, slots=True)
class MailList:
    """One row of the file.

    Attributes:
        address: Lower case.
        owners: Accounts or addresses, lower case: who may write to all of it without asking.
        size: How many a message to it reaches, where logs never show its members; 0: they do.
        members: Addresses, lower case, without its own; empty where they are not said.
    """

    address: str
    owners: tuple[str, ...] = ()
    size: int = 0
    members: tuple[str, ...] = ()

    @property
    def unnamed(self) -> tuple[str, ...]:
        """So many members as its size has more than are named, each by a name of our own."""
        local, _, domain = self.address.partition("@")
        return tuple(f"{local}#{n}@{domain}" for n in range(len(self.members) + 1, self.size + 1))


@dataclass(frozen=True)
class MailLists:
    """All mailing lists, by address."""

    lists: Mapping[str, MailList] = field(default_factory=lambda: MappingProxyType({}))

    def __bool__(self) -> bool:
        return bool(self.lists)

    @staticmethod
    def read(path: Path) -> MailLists:
        """Read a CSV file with the columns `address,owners` and, where wanted, `size` and `members`.

        Several owners or members are parted by semicolons.

        Raises:
            ConfigError: the file cannot be read.
            Errors: of `ConfigError`, every row that is wrong; nothing is taken from such a file.
        """
        return MailLists.parse(read_text(path), str(path))

    @staticmethod
    def parse(text: str, file: str) -> MailLists:
        """`read` from a text; `file` is its name in errors."""
        errors: list[ConfigError] = []
        found: dict[str, MailList] = {}
        for where, row in rows(text, file, COLUMNS, errors, optional=OPTIONAL):
            address, size = _spelled(row["address"]), row["size"] or "0"
            owners, members = _parted(row["owners"]), _parted(row["members"])
            if wrong := _wrong(address, owners, members):
                hint = "write them like staff@schools.example and part several by semicolons"
                errors.append(ConfigError(f"{wrong!r} is no mail address or account", where=where, hint=hint))
            elif address in found:
                errors.append(
                    ConfigError(f"list {address} stands here twice", where=where, hint="keep one of the rows")
                )
            elif not size.isascii() or not size.isdigit() or int(size) > MAX_SIZE:
                hint = f"give a number up to {MAX_SIZE}, or nothing where logs show the members"
                errors.append(ConfigError(f"{size!r} is no size", where=where, hint=hint))
            else:
                found[address] = MailList(address, owners, int(size), tuple(m for m in members if m != address))
        raise_all(errors)
        return MailLists(MappingProxyType(found))

    @cached_property
    def version(self) -> str:
        """12 hexadecimal digits of a hash of its content; empty without lists."""
        listed = [[o.address, list(o.owners), o.size, list(o.members)] for _, o in sorted(self.lists.items())]
        return content_version(listed) if listed else ""

    def behind(self, address: str) -> tuple[str, ...]:
        """Whom a message to a list reaches, lists in it opened; empty where nothing is known of its members."""
        return self._behind.get(address, ())

    @cached_property
    def nameless(self) -> frozenset[str]:
        """Names of our own that `behind` gives members that are only counted."""
        return frozenset(name for one in self.lists.values() for name in one.unnamed)

    @cached_property
    def _behind(self) -> Mapping[str, tuple[str, ...]]:
        return {address: tuple(self._opened(address, {address})) for address in self.lists}

    def _opened(self, address: str, seen: set[str]) -> dict[str, None]:
        found: dict[str, None] = {}
        for member in (*self.lists[address].members, *self.lists[address].unnamed):
            if member not in self.lists:
                found[member] = None
            elif member not in seen:
                seen.add(member)
                found |= self._opened(member, seen) or {member: None}
        return found

    def sends(self, address: str) -> bool:
        """True for an address that a list's own software sends from: the list's, or one that is made of it."""
        lowered = address.lower()
        found = _OF_A_LIST.match(lowered)
        return lowered in self.lists or (found is not None and f"{found[1]}@{found[2]}" in self.lists)

    def of_owner(self, names: Iterable[str]) -> list[MailList]:
        """Lists that any of those names (accounts, addresses; lower case) owns."""
        return [self.lists[address] for address in dict.fromkeys(a for n in names for a in self._owned.get(n, ()))]

    @cached_property
    def _owned(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for one in self.lists.values():
            for owner in one.owners:
                found.setdefault(owner, []).append(one.address)
        return found


def _spelled(text: str) -> str:
    return normalize("NFC", text.strip().lower())


def _parted(cell: str) -> tuple[str, ...]:
    return tuple(filter(None, map(_spelled, cell.split(";"))))


def _wrong(address: str, owners: Iterable[str], members: Iterable[str]) -> str | None:
    """The first that is not what it should be: a list or owner that nobody is would accuse or excuse in silence."""
    addresses = (address, *members, *(o for o in owners if "@" in o))
    accounts = (o for o in owners if "@" not in o)
    wrong = [a for a in addresses if not (_ADDRESS.fullmatch(a) and a.isprintable())]
    return next(iter(wrong + [a for a in accounts if not (_ACCOUNT.fullmatch(a) and a.isprintable())]), None)
