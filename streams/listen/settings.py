"""What a listener's configuration tells it. Frozen."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from schemas.errors import ConfigError

Network = IPv4Network | IPv6Network
Fsync = Literal["always", "interval", "never"]
LOOPBACK = "127.0.0.1"
SCHEMES = ("udp", "tcp", "tls")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen.

    Attributes:
        scheme: `udp`, `tcp` or `tls`.
        host: Address or name of an interface.
        port: 0: any that is free.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def address_of(text: str, where: str) -> Address:
    """Read `udp://host:port`; without a host it is the loopback interface.

    Raises:
        ConfigError: it is something else.
    """
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        parts, scheme, host, port = urlsplit(""), "", None, None
    if scheme not in SCHEMES or port is None or parts.path or parts.query:
        hint = "write udp://, tcp:// or tls://, then HOST:PORT; :PORT alone is loopback, 0.0.0.0 is every interface"
        raise ConfigError(f"{text!r} is no address to listen on", where=where, hint=hint)
    return Address(scheme, host or LOOPBACK, port)


def network_of(text: str, where: str) -> Network:
    """Read an address or a network such as 10.1.0.0/16.

    Raises:
        ConfigError: it is neither.
    """
    try:
        return ip_network(text)
    except ValueError as error:
        hint = "write e.g. 10.1.0.0/16, 10.1.2.3 or 2001:db8::/32"
        raise ConfigError(f"{text!r} is no network: {error}", where=where, hint=hint) from error


@dataclass(frozen=True, slots=True)
class Route:
    """A source that takes messages of a listener.

    Attributes:
        source: Its name.
        type: Its type.
        folder: Of its spool.
        programs: Patterns (`postfix/*`) of the program in the syslog header; empty: any.
        hosts: Patterns of the host in it, whatever their case; empty: any.
        senders: Networks that the sender is in; empty: any.
        otherwise: Whether it takes what no source takes.
    """

    source: str
    type: str
    folder: Path
    programs: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    senders: tuple[Network, ...] = ()
    otherwise: bool = False

    @property
    def has_conditions(self) -> bool:
        """False where its type says what is its."""
        return bool(self.programs or self.hosts or self.senders)


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """One listener.

    Attributes:
        name: For people, and what sources name.
        addresses: Where it listens.
        routes: Sources that it feeds, in the configuration's order.
        certificate: PEM file with the server's certificate and those between it and the root; for tls.
        key: PEM file with its key.
        client_ca: PEM file with the authorities of client certificates; then every client must have one.
        max_connections: TCP and TLS connections at a time; a further one is closed at once.
        idle_timeout_s: A connection on which nothing comes for so long is closed; 0: never.
        max_line_bytes: A longer message is cut one byte beyond it, and becomes a dead letter.
        spool_bytes: Of each source's spool at most.
        fsync: When what is received is made safe against a loss of power: before more of a connection is read, every
            `fsync_interval_ms`, or when the system likes.
        fsync_interval_ms: See there.
    """

    name: str
    addresses: tuple[Address, ...]
    routes: tuple[Route, ...]
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    max_connections: int = 1_024
    idle_timeout_s: float = 0.0
    max_line_bytes: int = 65_536
    spool_bytes: int = 1 << 30
    fsync: Fsync = "interval"
    fsync_interval_ms: int = 1_000

    def __post_init__(self) -> None:
        where = f"listeners.{self.name or '?'}"
        if not self.name:
            raise ConfigError("a listener has no name", where=where, hint="give it one, e.g. syslog")
        if not self.addresses:
            raise ConfigError("it listens nowhere", where=f"{where}.addresses", hint='write e.g. ["udp://:5514"]')
        wants_tls = any(a.scheme == "tls" for a in self.addresses)
        if wants_tls and (self.certificate is None or self.key is None):
            hint = "name the PEM files of the server's certificate and of its key"
            raise ConfigError("tls needs certificate and key", where=where, hint=hint)
        if self.client_ca is not None and not wants_tls:
            hint = "listen on tls://, or remove client_ca: udp and tcp know no certificates"
            raise ConfigError("client_ca is given, but no tls address", where=f"{where}.client_ca", hint=hint)
        if sum(r.otherwise for r in self.routes) > 1:
            hint = "mark one source only"
            raise ConfigError("more than one source is marked otherwise", where=where, hint=hint)
