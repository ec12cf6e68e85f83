"""What `aupstream hold`, `release` and `privacy purge` do."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from pathlib import Path

from agents.sinks.clickhouse import ClickHouse
from infra.cli.configuration import choose
from infra.cli.output import line, talk
from infra.cli.store import Store, dsn_of
from infra.cli.unmasking import need_reason
from infra.privacy.retention import purge
from infra.privacy.unmasklog import who
from infra.privacy.versions import purge_context
from schemas.errors import ConfigError, InputError

_ID = re.compile(r"[0-9a-f]{4,32}")


def run(violation: str, reason: str, config: Path | None, data: Path | None, *, held: bool) -> None:
    """Hold a violation, or release it.

    Raises:
        ConfigError: there is no reason, or this is no id.
        InputError: there is no such violation, or nothing to release.
        ServerError: ClickHouse does not answer.
    """
    where = "hold" if held else "release"
    need_reason(reason, where)
    if not _ID.fullmatch(violation):
        raise ConfigError(f"{violation!r} is no id", where=where, hint="take one from `aupstream violations --json`")
    store = Store(dsn_of(choose(config, data)))
    try:
        found = [r["id"] for r in store.rows("SELECT id FROM violations_now WHERE startsWith(id, %(id)s) LIMIT 2",
                                             {"id": violation})]  # fmt: skip
        if len(found) != 1:
            what = "several violations' ids begin so" if found else "there is no such violation"
            raise InputError(what, where=violation, hint="take an id from `aupstream violations --json`")
        on_hold = {r["violation_id"] for r in store.rows("SELECT violation_id FROM holds_now")}
        if (found[0] in on_hold) == held:
            raise InputError("it is on hold already" if held else "it is not on hold", where=found[0])
        columns = ("violation_id", "held", "at", "who", "reason")
        store.insert("holds", columns, [(found[0], held, datetime.now(UTC), who(), reason.strip())])
    finally:
        store.close()
    line(f"{found[0]} is {'on hold' if held else 'released'}")


def purge_now(config: Path | None, data: Path | None) -> None:
    """Delete what is too old.

    Raises:
        ServerError: ClickHouse does not answer or refuses.
    """
    chosen = choose(config, data)
    retention = chosen.config.privacy.retention
    dsn = dsn_of(chosen)
    Store(dsn).rows("SELECT 1 AS one")  # the other connection would wait for ever where nobody answers
    store = ClickHouse(dsn, threading.Event())
    try:
        said = [*purge(store, retention, datetime.now(UTC)), *purge_context(chosen.config, store)]
    finally:
        store.close()
    for sentence in said:
        line(sentence)
    if not said:
        talk("nothing is older than [privacy.retention] says")
