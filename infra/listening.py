"""The parts of the configuration that are about lines that come over the network: listeners, and topics of Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import AupstreamError, ConfigError, Errors
from streams.config import SourceConfig
from streams.listen.settings import ListenerConfig, Route, address_of, network_of
from streams.sources.kafka_topic import KAFKA
from streams.sources.kafka_topic import address_of as topic_of
from streams.sources.spool import SPOOL, spool_folder

if TYPE_CHECKING:
    from infra.config import Source


class Listener(BaseModel):
    """One `[[listeners]]` table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="syslog", min_length=1)
    addresses: tuple[str, ...] = Field(description="udp://, tcp:// or tls://, then HOST:PORT; :PORT alone is loopback.")
    certificate: Path | None = Field(default=None, description="PEM, the whole chain; for tls.")
    key: Path | None = Field(default=None, description="PEM.")
    client_ca: Path | None = Field(default=None, description="PEM; then client certificates are required.")
    max_connections: int = Field(default=1_024, ge=1, le=1_000_000)
    idle_timeout_s: float = Field(default=0.0, ge=0, description="0: an idle connection stays open.")
    max_line_bytes: int = Field(default=65_536, ge=480, le=16 << 20, description="Longer messages are dead letters.")
    spool_mb: int = Field(default=1_024, ge=1, description="Of each source's spool on disk at most.")
    fsync: Literal["always", "interval", "never"] = "interval"
    fsync_interval_ms: int = Field(default=1_000, ge=10, le=60_000)

    def config(self, sources: Sequence[Source], data: Path) -> ListenerConfig:
        """What the listener is told.

        Args:
            sources: All of the configuration.
            data: Data folder.

        Raises:
            ConfigError: something of it or of its sources is wrong.
        """
        where = f"listeners.{self.name}"
        routes = tuple(_route(s, data) for s in sources if s.listener == self.name)
        if not routes:
            hint = f'write listener = "{self.name}" into a [[sources]] table, in place of path'
            raise ConfigError("no source takes what it receives", where=where, hint=hint)
        return ListenerConfig(
            name=self.name,
            addresses=tuple(address_of(a, f"{where}.addresses") for a in self.addresses),
            routes=routes,
            certificate=self.certificate,
            key=self.key,
            client_ca=self.client_ca,
            max_connections=self.max_connections,
            idle_timeout_s=self.idle_timeout_s,
            max_line_bytes=self.max_line_bytes,
            spool_bytes=self.spool_mb << 20,
            fsync=self.fsync,
            fsync_interval_ms=self.fsync_interval_ms,
        )


def listening(listeners: Sequence[Listener], sources: Sequence[Source], data: Path) -> list[ListenerConfig]:
    """What every listener is told.

    Raises:
        Errors: everything that is wrong.
    """
    errors: list[AupstreamError] = []
    made: list[ListenerConfig] = []
    for i, listener in enumerate(listeners):
        if any(other.name == listener.name for other in listeners[:i]):
            where = f"listeners.{i + 1}.name"
            errors.append(ConfigError(f"two listeners are called {listener.name!r}", where=where, hint="name one anew"))
            continue
        try:
            made.append(listener.config(sources, data))
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise Errors(errors)
    return made


def expanded(
    source: Source, plain: SourceConfig, listeners: Sequence[Listener], data: Path, bootstrap: str
) -> list[SourceConfig]:
    """A source as collectors read it: from a listener's spool, or one for each partition of a topic.

    Args:
        source: As configured.
        plain: The same for a collector, but for path and mode.
        listeners: All of the configuration.
        data: Data folder.
        bootstrap: The configured Kafka; empty while it is the embedded one and not known.

    Raises:
        ConfigError: its keys do not fit each other.
    """
    where = f"sources.{plain.name}"
    if source.listener is not None:
        return [_spooled(source, plain, listeners, data, where)]
    for key in ("programs", "hosts", "senders", "otherwise"):
        if getattr(source, key):
            hint = "name the listener too, or remove it"
            raise ConfigError(f"{key} is given without listener", where=f"{where}.{key}", hint=hint)
    if not source.path.startswith(KAFKA):
        if source.partitions != 1:
            hint = "only a topic of Kafka has partitions"
            raise ConfigError("partitions is given without a kafka:// path", where=f"{where}.partitions", hint=hint)
        return [plain]
    address = topic_of(source.path)
    address = replace(address, bootstrap=address.bootstrap or bootstrap)
    if source.partitions == 1:
        return [replace(plain, path=address.path)]
    return [
        replace(plain, name=f"{plain.name}-{n}", path=replace(address, partition=n).path)
        for n in range(source.partitions)
    ]


def _spooled(
    source: Source, plain: SourceConfig, listeners: Sequence[Listener], data: Path, where: str
) -> SourceConfig:
    listener = next((each for each in listeners if each.name == source.listener), None)
    if listener is None:
        known = ", ".join(each.name for each in listeners) or "there is none"
        hint = f"name one of the [[listeners]]: {known}"
        raise ConfigError(f"there is no listener {source.listener!r}", where=f"{where}.listener", hint=hint)
    for key in ("path", "mode", "encoding", "partitions"):
        if key in source.model_fields_set:
            hint = f"remove {key}, or listener"
            raise ConfigError(f"{key} is given beside listener", where=f"{where}.{key}", hint=hint)
    path = f"{SPOOL}{spool_folder(data, plain.name)}"
    return replace(plain, path=path, mode="follow", max_line_bytes=listener.max_line_bytes)


def _route(source: Source, data: Path) -> Route:
    name = source.name or source.type
    return Route(
        source=name,
        type=source.type,
        folder=spool_folder(data, name),
        programs=source.programs,
        hosts=source.hosts,
        senders=tuple(network_of(text, f"sources.{name}.senders") for text in source.senders),
        otherwise=source.otherwise,
    )
