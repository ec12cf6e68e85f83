"""Certificates of a listener, read again when their files change."""

from __future__ import annotations

import logging
import ssl
import time
from pathlib import Path

from schemas.errors import ConfigError
from streams.listen.settings import ListenerConfig

log = logging.getLogger(__name__)

LOOK_S = 1.0


class Certificates:
    """Gives the TLS context for the next connection. TLS 1.2 and 1.3 (RFC 8446), as Python's defaults for servers.

    Args:
        config: With certificate and key.

    Raises:
        ConfigError: they cannot be read, or do not belong together.
    """

    def __init__(self, config: ListenerConfig) -> None:
        assert config.certificate is not None
        assert config.key is not None
        self.problem: ConfigError | None = None
        self._name, self._certificate, self._key, self._ca = (
            config.name,
            config.certificate,
            config.key,
            config.client_ca,
        )
        self._seen = self._stamps()
        self._context = self._read()
        self._looked_s = time.monotonic()

    def context(self) -> ssl.SSLContext:
        """The context of the files as they are; of the last good ones where the new ones cannot be used."""
        now = time.monotonic()
        if now - self._looked_s >= LOOK_S:
            self._looked_s = now
            stamps = self._stamps()
            if stamps != self._seen:
                self._seen = stamps
                self._renew()
        return self._context

    def _renew(self) -> None:
        try:
            self._context = self._read()
        except ConfigError as error:
            self.problem = error
            log.warning("listener %s goes on with the certificate that it has: %s", self._name, error)
        else:
            self.problem = None
            log.info("listener %s has read its certificates again", self._name)

    def _read(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self._ca)
            context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"certificate, key or client_ca cannot be used: {error}",
                where=f"listeners.{self._name}",
                hint="name PEM files that the listener's user may read: certificate chain, its key, the clients' CA",
            ) from error
        if self._ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _stamps(self) -> tuple[tuple[int, int, int], ...]:
        """What tells that a file was replaced."""
        return tuple(_stamp(path) for path in (self._certificate, self._key, self._ca) if path is not None)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_size, status.st_mtime_ns)
