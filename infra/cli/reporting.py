"""`aupstream status`: what runs, and how far it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from kafka import KafkaConsumer
from kafka.errors import KafkaError

from infra.cli.configuration import Chosen, choose
from infra.cli.failures import TROUBLE
from infra.cli.output import json_line, table, talk
from infra.cli.store import Store, dsn_of, embedded
from infra.run.announcing import registry
from infra.run.drain import Drain, agent_partitions, statuses
from infra.run.health import newest_of, time_lags
from infra.run.knock import knock
from infra.run.lastwords import stopped
from infra.run.paths import DataPaths
from schemas.errors import AupstreamError
from schemas.kafkaaddress import kafka_options
from schemas.kinds import SOURCES

_ANSWER_MS = 3_000
_SOURCES = """
SELECT source, log_type, lines, events, dead_letters, open_joins, late FROM ledger_sources ORDER BY source
"""
_LETTERS = "SELECT reason, count() AS rows FROM dead_letters FINAL GROUP BY reason ORDER BY reason"
_VIOLATIONS = "SELECT status, count() AS rows FROM violations_now GROUP BY status ORDER BY status"


def run(config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Print the state of everything; end with 4 where a server does not answer."""
    report = _report(choose(config, data))
    if as_json:
        json_line(report)
    else:
        _show(report)
    if not all(server["ok"] for server in report["servers"].values()):
        raise typer.Exit(TROUBLE)


def _report(chosen: Chosen) -> dict[str, Any]:
    paths = DataPaths(chosen.config.data.absolute())
    own = embedded(chosen)
    kafka = chosen.config.kafka.address or ("" if own is None else own.kafka)
    told = list(statuses(paths.status))
    workers = [_worker(s, newest_of(told)) for s in told]
    broker, topics = _kafka(kafka)
    servers = {"kafka": broker, "clickhouse": {"address": "", "ok": False, "detail": ""}}
    report: dict[str, Any] = {"data": str(paths.folder), "servers": servers, "workers": workers, "to_do": {}}
    away = stopped(paths, {str(s["worker"]) for s in told})
    report["stopped"] = [{"worker": name, "log": str(log), "error": why} for name, log, why in away]
    report["absent"] = []
    if SOURCES in topics:  # before the first start there is none, and Kafka's clients wait half a minute for one
        left = _to_do(chosen, kafka, paths.status)
        # Without a worker nobody says how far it was, and everything since the topic's beginning would count.
        running = {s["agent"] for s in statuses(paths.status)}
        report["to_do"] = {agent: n for agent, n in left.items() if agent in running}
        report["absent"] = _absent(kafka)
    report |= {"sources": [], "dead_letters": {}, "violations": {}}
    try:
        report |= _stored(chosen, servers["clickhouse"])
    except AupstreamError as error:
        servers["clickhouse"]["detail"] = str(error)
    reading = next((s for s in statuses(paths.status) if s["agent"] == "collect"), None)
    if reading is not None:
        report["reading"] = reading["sources"]
    listening = next((s for s in statuses(paths.status) if s["agent"] == "listen"), None)
    report["listening"] = {} if listening is None else listening["listeners"]
    return report


def _worker(status: dict[str, Any], newest: dict[str, float]) -> dict[str, Any]:
    """`lag_s`: event time that collectors are ahead, by source; `saved_s`: age of its last checkpoint."""
    behind = sum(
        max(0, (place.get("end") or 0) - place.get("applied", -1) - 1) for place in status.get("inputs", {}).values()
    )
    return {
        "worker": status["worker"],
        "pid": status["pid"],
        "inputs": len(status.get("inputs", {})),
        "behind": behind,
        "lag_s": time_lags(status.get("inputs", {}).values(), newest),
        "saved_s": round(status["at"] - status["checkpoint_at"], 1) if "checkpoint_at" in status else None,
        "age_s": round(status["age_s"], 1),
    }


def _kafka(address: str) -> tuple[dict[str, Any], set[str]]:
    """Whether it answers, and its topics."""
    if not address:
        return {"address": "", "ok": False, "detail": "not running"}, set()
    servers = address.partition("?")[0]
    try:
        knock(address)
        consumer = KafkaConsumer(**kafka_options(address), bootstrap_timeout_ms=_ANSWER_MS)
        topics = set(consumer.topics())
        consumer.close()
    except AupstreamError as error:
        return {"address": servers, "ok": False, "detail": str(error)}, set()
    except (KafkaError, OSError) as error:
        return {"address": servers, "ok": False, "detail": f"does not answer: {error}"}, set()
    ours = sum(name.startswith("aup.") for name in topics)
    return {"address": servers, "ok": True, "detail": f"{ours} topics"}, topics


def _absent(kafka: str) -> list[str]:
    """Sources that were declared absent, by name; nothing where the topics are not made yet."""
    try:
        return sorted(source.name for source in registry(kafka).sources.values() if source.absent)
    except (KafkaError, KeyError, TypeError):
        return []


def _to_do(chosen: Chosen, kafka: str, status: Path) -> dict[str, int]:
    """Messages not applied yet, by agent; nothing where the topics are not made yet."""
    settings = chosen.config.kafka
    try:
        drain = Drain(kafka, status, agent_partitions(settings.event_partitions, settings.detection_partitions))
        try:
            return drain.left()
        finally:
            drain.close()
    except (KafkaError, KeyError):
        return {}


def _stored(chosen: Chosen, server: dict[str, Any]) -> dict[str, Any]:
    dsn = dsn_of(chosen)
    server["address"] = dsn.rpartition("@")[2].partition("?")[0]
    store = Store(dsn)
    try:
        version = store.rows("SELECT version() AS version")[0]["version"]
        server |= {"ok": True, "detail": f"version {version}"}
        sources = [{"type" if k == "log_type" else k: v for k, v in row.items()} for row in store.rows(_SOURCES)]
        letters = {row["reason"]: row["rows"] for row in store.rows(_LETTERS)}
        return {
            "sources": sources,
            "dead_letters": letters,
            "violations": {row["status"]: row["rows"] for row in store.rows(_VIOLATIONS)},
        }
    finally:
        store.close()


def _show(report: dict[str, Any]) -> None:
    servers = report["servers"].items()
    table(("server", "address", "answers", ""), [(n, s["address"], s["ok"], s["detail"]) for n, s in servers])
    if report["workers"]:
        columns = ("worker", "pid", "inputs", "behind", "lag_s", "saved_s", "age_s")
        shown = [w | {"lag_s": max(w["lag_s"].values(), default=None)} for w in report["workers"]]
        table(columns, [[w[c] for c in columns] for w in shown], title="workers")
    else:
        talk("no worker runs on this data folder")
    for away in report["stopped"]:
        why = f"; its last error: {away['error']}" if away["error"] else ""
        talk(f"{away['worker']} ought to run and does not tell of itself{why} (log: {away['log']})")
    if report["sources"]:
        names = ("source", "type", "lines", "events", "dead_letters", "open_joins", "late")
        table(names, [[s[n] for n in names] for s in report["sources"]], title="sources")
    for name in ("to_do", "dead_letters", "violations"):
        if report[name]:
            table((name.replace("_", " "), ""), list(report[name].items()))
    for name in report["absent"]:
        talk(f"{name}: absent; rules that read it go on without it, and what they say is marked incomplete")
    if report["listening"]:
        rows = [(n, " ".join(x["addresses"]), x["connections"]) for n, x in report["listening"].items()]
        table(("listener", "addresses", "connections"), rows, title="listeners")
    for name, source in (report.get("reading", {}) | report["listening"]).items():
        if source["problem"]:
            talk(f"{name}: {source['problem']}")
