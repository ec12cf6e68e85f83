"""`aupstream deadletters list` and `show`: lines that could not be read, and messages that an agent refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.privacy.keys import read
from infra.cli.configuration import Chosen, choose
from infra.cli.output import cell, json_line, line, on_terminal, printable, table, warn
from infra.cli.store import Store, dsn_of
from infra.cli.unmasking import need_reason
from infra.privacy.unmasklog import Request, append
from schemas.errors import ConfigError, CorruptBatchError, InputError

COLUMNS = (
    "event_id log_source format stage reason detail timestamp log_generation log_offset raw_length masked "
    "stored_at sealed_with raw"
).split()
_SHORT = 100  # characters of a line that a list shows
_AT_ONCE = 10_000  # ids in one entry of the unmask log
_ID = re.compile(r"[0-9a-f]{4,32}")
# Bytes that are no UTF-8 would make the whole answer bytes: they travel as hexadecimal digits.
_SELECT = ", ".join("hex(raw) AS raw" if c == "raw" else c for c in COLUMNS)


@dataclass(frozen=True, slots=True)
class Letter:
    """A row of `dead_letters`.

    Attributes:
        told: All columns but the line.
        stored: The line, or what it is sealed as; empty where lines were not asked for.
        length: Bytes of that, whether asked for or not.
    """

    told: dict[str, Any]
    stored: bytes
    length: int

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.told["event_id"])

    @property
    def sealed(self) -> bool:
        """Whether it takes a key to read it."""
        return bool(self.told["sealed_with"])

    def shown(self, raw: bytes | None) -> dict[str, Any]:
        """For people, with a line or without."""
        return {**self.told, "raw": None if raw is None else raw.decode("utf-8", "backslashreplace")}


def list_all(
    sources: Sequence[str], reasons: Sequence[str], limit: int, config: Path | None, data: Path | None, *, as_json: bool
) -> None:
    """Print dead letters by source and position.

    Raises:
        ServerError: ClickHouse does not answer.
    """
    store = Store(dsn_of(choose(config, data)))
    try:
        found = letters(store, limit=limit + 1 if limit else 0, log_source=sources, reason=reasons)
    finally:
        store.close()
    if limit and len(found) > limit:
        warn(f"there are more than {limit} (see --limit)")
        found = found[:limit]
    rows = [letter.shown(None if letter.sealed else letter.stored) for letter in found]
    if as_json:
        for row in rows:
            json_line(row)
        return
    columns = ("id", "source", "reason", "detail", "offset", "line")
    cells = [
        (
            *(r[c] for c in ("event_id", "log_source", "reason", "detail", "log_offset")),
            "(sealed)" if r["raw"] is None else r["raw"][:_SHORT],
        )
        for r in rows
    ]
    table(columns, cells, empty="no dead letters")


def show(event_id: str, why: tuple[str, str], config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Print one dead letter.

    Args:
        event_id: Its id, or the start of it.
        why: Reason and case; without a reason a sealed line stays sealed.
        config: Configuration file.
        data: Data folder.
        as_json: As an object.

    Raises:
        ConfigError: this is no id, or there are no keys.
        InputError: there is none of this id, or several begin so; or the unmask log does not hold. Or its line was
            asked for and cannot be opened: the rest of it is printed before.
    """
    if not _ID.fullmatch(event_id):
        hint = "take one from `aupstream deadletters list`"
        raise ConfigError(f"{event_id!r} is no id", where="deadletters show", hint=hint)
    chosen = choose(config, data)
    store = Store(dsn_of(chosen))
    try:
        found = letters(store, limit=2, start=event_id)
        if len(found) != 1:
            what = "several dead letters' ids begin so" if found else "there is no dead letter of this id"
            raise InputError(what, where=event_id, hint="take one from `aupstream deadletters list`")
        [letter] = found
        raw: bytes | None = letter.stored
        if letter.sealed and not why[0].strip():
            warn('the line is sealed: say why it is to be read, with --reason "…"; that is kept')
            raw = None
        elif letter.sealed:
            [raw] = opened(store, chosen, found, "read dead letter", why)
    finally:
        store.close()
    _print(letter.shown(raw), as_json=as_json)
    if raw is None and why[0].strip():
        raise _not_opened(letter, chosen)


def _not_opened(letter: Letter, chosen: Chosen) -> InputError:
    key, file = str(letter.told["sealed_with"]), chosen.config.privacy.keys(chosen.config.data)
    if read(file).by_id(key) is not None:
        return InputError("what the line is sealed as is damaged", where=letter.id, hint="take a copy of ClickHouse")
    hint = f"bring back the keys that have {key}; they are read from {file}"
    return InputError(f"the line is sealed with {key}, which is not here", where=letter.id, hint=hint)


def _print(shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        json_line(shown)
        return
    width = max(map(len, COLUMNS)) if on_terminal() else 0
    for name, value in shown.items():
        line(f"{name.ljust(width)}\t{printable(cell(value))}")


def letters(
    store: Store,
    *,
    limit: int = 0,
    start: str = "",
    log_source: Sequence[str] = (),
    reason: Sequence[str] = (),
    ids: Sequence[str] = (),
    lines: bool = True,
) -> list[Letter]:
    """Dead letters by source and position.

    Args:
        store: ClickHouse.
        limit: So many at the most; 0: all.
        start: How their ids begin.
        log_source: Only of these sources; none: all.
        reason: Only for these reasons; none: all.
        ids: Only these; none: all. Not more than some thousands: they are part of the statement.
        lines: Whether their lines are wanted: of very many letters they do not fit into memory.
    """
    parts, values = ["startsWith(event_id, %(start)s)"], dict[str, object](start=start)
    for column, wanted in (
        ("log_source", tuple(log_source)),
        ("reason", tuple(reason)),
        ("event_id", tuple(ids)),
    ):
        if wanted:
            parts.append(f"{column} IN %({column})s")
            values[column] = wanted
    shown = _SELECT if lines else _SELECT.replace("hex(raw)", "''")
    query = (
        f"SELECT {shown}, length(dead_letters.raw) AS stored_length FROM dead_letters FINAL "  # noqa: S608
        f"WHERE {' AND '.join(parts)} ORDER BY log_source, event_id"
    )
    rows = store.rows(query + (f" LIMIT {limit}" if limit else ""), values)
    told = [c for c in COLUMNS if c != "raw"]
    return [Letter({c: row[c] for c in told}, bytes.fromhex(row["raw"]), row["stored_length"]) for row in rows]


def opened(
    store: Store, chosen: Chosen, wanted: Iterable[Letter], action: str, why: tuple[str, str]
) -> list[bytes | None]:
    """The lines of dead letters, once it is written down who reads them and why; None: its key is not here.

    Raises:
        ConfigError: there is no reason, or there are no keys.
        InputError: the unmask log does not hold.
    """
    wanted = list(wanted)
    sealed = [letter.id for letter in wanted if letter.sealed]
    if not sealed:
        return [letter.stored for letter in wanted]
    need_reason(why[0], "--reason")
    keys = chosen.config.privacy.keys(chosen.config.data)
    keyring = read(keys)
    for i in range(0, len(sealed), _AT_ONCE):
        append(store, keys, Request(action, tuple(sealed[i : i + _AT_ONCE]), why[0].strip(), why[1].strip()))
    made: list[bytes | None] = []
    for letter in wanted:
        sealer = keyring.sealer(str(letter.told["sealed_with"])) if letter.sealed else None
        try:
            made.append(sealer.open(letter.id, letter.stored) if sealer is not None else None)
        except CorruptBatchError as error:
            warn(str(error))
            made.append(None)
        if not letter.sealed:
            made[-1] = letter.stored
    return made
