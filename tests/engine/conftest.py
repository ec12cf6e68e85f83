from __future__ import annotations

from tests.embedded.servers_fixture import embedded_servers

__all__ = ["embedded_servers"]
