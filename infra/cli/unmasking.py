"""What `aupstream unmask`, `privacy rotate` and `privacy find` do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from agents.build import district_of
from agents.privacy.columns import Names
from agents.privacy.keys import Keyring, ensure, read, rotate
from agents.privacy.pseudonyms import PATTERN, Kind, Pseudonymiser, guess, unseal
from infra.cli.configuration import Chosen, choose
from infra.cli.output import iso, json_line, line, printable, table, talk
from infra.cli.store import Store, dsn_of
from infra.privacy.unmasklog import Request, append, entries
from schemas.errors import AupstreamError, ConfigError, Errors, InputError

_AT_ONCE = 1_000  # pseudonyms looked up in one statement
MAX_ASKED = 10_000  # in one request


def run(
    pseudonyms: Sequence[str], reason: str, case: str, config: Path | None, data: Path | None, *, as_json: bool
) -> None:
    """Log a request, then print the names.

    Raises:
        ConfigError: there is no reason, no pseudonym, or no key.
        InputError: the log does not hold, or some pseudonyms are not known; the others are printed.
        ServerError: ClickHouse does not answer.
    """
    strange = [p for p in pseudonyms if not PATTERN.fullmatch(p)]
    if strange or not pseudonyms:
        hint = "take one as analysts see it, such as user-9c41-3f9a1c0d5be27a6401c8"
        what = f"{strange[0]!r} is no pseudonym" if strange else "there is no pseudonym to unmask"
        raise ConfigError(what, where="unmask", hint=hint)
    names = unmasked(choose(config, data), pseudonyms, reason, case)
    for pseudonym in dict.fromkeys(pseudonyms):
        if pseudonym in names and as_json:
            json_line({"pseudonym": pseudonym, "kind": pseudonym.partition("-")[0], "name": names[pseudonym]})
        elif pseudonym in names:
            line(f"{pseudonym}\t{printable(names[pseudonym])}")
    unknown: list[AupstreamError] = [
        InputError("this pseudonym is not known, or its key is not in the key file", where=p)
        for p in dict.fromkeys(pseudonyms)
        if p not in names
    ]
    if unknown:
        raise Errors(unknown)


def unmasked(chosen: Chosen, pseudonyms: Iterable[str], reason: str, case: str) -> dict[str, str]:
    """Names by pseudonym, after the request has been logged; what is not known is left out.

    Raises:
        ConfigError: there is no reason or no key.
        InputError: the log does not hold.
        ServerError: ClickHouse does not answer.
    """
    need_reason(reason, "unmask")
    asked = tuple(dict.fromkeys(pseudonyms))
    if len(asked) > MAX_ASKED:
        hint = "ask for fewer, for example with --since or --rule"
        raise InputError(f"{len(asked)} names in one request are more than {MAX_ASKED}", where="unmask", hint=hint)
    keys = chosen.config.privacy.keys(chosen.config.data)
    keyring = read(keys)
    store = Store(dsn_of(chosen))
    try:
        append(store, keys, Request("unmask", asked, reason.strip(), case.strip()))
        return opened(store, keyring, asked)
    finally:
        store.close()


def opened(store: Store, keyring: Keyring, pseudonyms: Sequence[str]) -> dict[str, str]:
    """Names by pseudonym, as far as they are stored and the keys are there; logs nothing."""
    made = {}
    for start in range(0, len(pseudonyms), _AT_ONCE):
        query = "SELECT pseudonym, any(sealed) AS sealed FROM sealed_names WHERE pseudonym IN %(some)s GROUP BY 1"
        for row in store.rows(query, {"some": tuple(pseudonyms[start : start + _AT_ONCE])}):
            name = unseal(keyring, row["pseudonym"], row["sealed"])
            if name is not None:
                made[row["pseudonym"]] = name
    return made


def in_text(text: str, names: dict[str, str]) -> str:
    """A text with names in place of the pseudonyms that are known."""
    return re.sub(PATTERN, lambda found: names.get(found[0], found[0]), text)


def need_reason(reason: str, where: str) -> None:
    """Raises `ConfigError` where there is none."""
    if not reason.strip():
        raise ConfigError("a reason is needed", where=where, hint='say why with --reason "…"; it is kept')


def listing(config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Print the unmask log, oldest first.

    Raises:
        ServerError: ClickHouse does not answer.
    """
    store = Store(dsn_of(choose(config, data)))
    try:
        found = entries(store)
    finally:
        store.close()
    if as_json:
        for e in found:
            plain = {"number": e.number, "at": iso(e.at), "who": e.who, "action": e.action, "reason": e.reason}
            json_line({**plain, "case": e.case_id, "asked": list(e.asked), "hash": e.hash})
        return
    rows = [(e.number, iso(e.at), e.who, e.action, e.reason, e.case_id, " ".join(e.asked)) for e in found]
    table(("number", "when", "who", "", "reason", "case", "what"), rows, empty="nobody was unmasked yet")


def rotate_keys(config: Path | None, data: Path | None, *, new: bool) -> None:
    """Add a key.

    Args:
        config: Configuration file.
        data: Data folder.
        new: Make the file, whatever names are sealed with keys that were in another.

    Raises:
        ConfigError: there is no key file to add it to; or, for a new one, there is.
    """
    chosen = choose(config, data)
    path = chosen.config.privacy.keys(chosen.config.data)
    if new and path.exists():
        raise ConfigError("the keys are here", where=str(path), hint="leave --new out: it adds a key to them")
    keyring = ensure(path) if new else rotate(path)
    line(keyring.newest.id)
    talk(f"new pseudonyms have key {keyring.newest.id}; {path} holds {len(keyring.keys)} keys: keep a copy of it")


def find_name(
    name: str, kind: str, reason: str, case: str, config: Path | None, data: Path | None, *, as_json: bool
) -> None:
    """Log the request, then print the pseudonyms of a name, oldest key first.

    Raises:
        ConfigError: there is no reason, no key, or no such kind.
        InputError: the log does not hold.
        ServerError: ClickHouse does not answer.
    """
    need_reason(reason, "privacy find")
    if kind and kind not in list(Kind):
        raise ConfigError(f"{kind!r} is no kind", where="--kind", hint=f"use {', '.join(Kind)}")
    chosen = choose(config, data)
    keys = chosen.config.privacy.keys(chosen.config.data)
    of, made = Kind(kind) if kind else guess(name), []
    for key in read(keys).keys:
        names = Names(Pseudonymiser(Keyring((key,))), district_of(chosen.config.district))
        made.append(names.user(name) if of is Kind.USER else names.pseudonyms.of(of, name))
    store = Store(dsn_of(chosen))
    try:
        append(store, keys, Request("find", tuple(made), reason.strip(), case.strip()))
    finally:
        store.close()
    for pseudonym in made:
        if as_json:
            json_line({"pseudonym": pseudonym, "kind": of.value, "name": name})
        else:
            line(pseudonym)
