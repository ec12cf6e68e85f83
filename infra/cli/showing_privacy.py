"""`aupstream privacy show`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.privacy.keys import read
from infra.cli.configuration import Chosen, choose
from infra.cli.output import iso, json_line, table, warn
from infra.cli.store import Store, dsn_of
from infra.privacy.unmasklog import audited
from schemas.errors import AupstreamError, ConfigError

_WITH_NAMES = """
SELECT (SELECT count() FROM sealed_names FINAL) AS names,
    (SELECT count() FROM events_proxy WHERE source_ip IS NOT NULL AND NOT startsWith(source_ip, 'address-'))
    + (SELECT count() FROM events_dhcp WHERE source_ip IS NOT NULL AND NOT startsWith(source_ip, 'address-'))
    + (SELECT count() FROM events_login WHERE user_name != '(masked)' AND NOT startsWith(user_name, 'user-'))
    + (SELECT count() FROM events_mail WHERE email_from_address != '' AND NOT startsWith(email_from_address, 'mail-'))
    AS rows_with_names
"""


def run(config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Print it; what a server would know is left out where none answers."""
    chosen = choose(config, data)
    report = report_of(chosen)
    if as_json:
        json_line(report)
        return
    table(("pseudonyms", ""), [(k, report[k]) for k in ("on", "key_file", "newest_key", "keys")])
    retention = [(k, v or "for ever") for k, v in report["retention"].items()]
    table(("retention", "days"), retention)
    if report["stored"]:
        table(("stored", ""), list(report["stored"].items()))
    if report["holds"]:
        table(("on hold", "since"), [(h["violation_id"], h["since"]) for h in report["holds"]])
    for doubt in report["doubts"]:
        warn(doubt)


def report_of(chosen: Chosen) -> dict[str, Any]:
    """What the configuration says and what is stored."""
    privacy = chosen.config.privacy
    report: dict[str, Any] = {"on": privacy.on, "key_file": "", "newest_key": "", "keys": 0, "stored": {}, "holds": []}
    retention = privacy.retention
    report["retention"] = {**retention.model_dump(), "names_days": retention.names_days}
    doubts = list(retention.doubts())
    kept = [k for k in ("events_days", "violations_days", "evidence_days", "dead_letters_days")
            if not getattr(retention, k)]  # fmt: skip
    if kept:
        doubts.append(f"kept for ever: {', '.join(kept)} of [privacy.retention] are not set")
    keys = None
    try:
        keys = privacy.keys(chosen.config.data)
        report["key_file"] = str(keys)
        keyring = read(keys)
        report |= {"newest_key": keyring.newest.id, "keys": len(keyring.keys)}
    except ConfigError as error:
        doubts.append(str(error))
    try:
        report |= _stored(chosen, keys, doubts)
    except AupstreamError as error:
        doubts.append(str(error))
    if not privacy.on:
        doubts.append("pseudonyms are off: analysts see names")
    return report | {"doubts": doubts}


def _stored(chosen: Chosen, keys: Path | None, doubts: list[str]) -> dict[str, Any]:
    store = Store(dsn_of(chosen))
    try:
        stored = store.rows(_WITH_NAMES)[0]
        stored["unmask_requests"], problems = audited(store, keys)
        doubts += [f"unmask log: {problem}" for problem in problems]
        if stored["rows_with_names"] and chosen.config.privacy.on:
            doubts.append(f"{stored['rows_with_names']} rows were stored before pseudonyms were on: they show names")
        holds = store.rows("SELECT violation_id, since FROM holds_now ORDER BY since")
        return {"stored": stored, "holds": [{**h, "since": iso(h["since"])} for h in holds]}
    finally:
        store.close()
