"""What Faust is set to, and how it is given a bearer token; Faust itself is imported by one module alone."""

from __future__ import annotations

from typing import Any

from aiokafka.abc import AbstractTokenProvider

from agents.settings import AgentSettings
from schemas.kafkaaddress import KafkaAddress


def faust_settings(name: str, settings: AgentSettings) -> dict[str, Any]:
    """Faust's settings, as far as they are not its defaults; `name` is that of the worker on its machine."""
    member = f"{name}@{settings.machine}" if settings.machine else name  # Kafka lets one of a name in
    session = settings.session_timeout_s
    address = KafkaAddress.of(settings.kafka)
    return {
        "broker": f"kafka://{address.servers.replace(',', ';')}",
        "store": "memory://",
        "key_serializer": "raw",
        "value_serializer": "raw",
        "web_enabled": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        # A static member that starts again is given what it had, and so none of the partitions that a topic has got
        # since: with another number of them it is another member, and the group is shared out anew.
        "consumer_group_instance_id": f"{member}-{settings.event_partitions}",
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": 4_194_304,
        "consumer_metadata_max_age_ms": 10_000,
        "broker_session_timeout": session,
        "broker_heartbeat_interval": session / 5,
        "broker_request_timeout": session * 1.5,
        "broker_rebalance_timeout": session * 2,
        "broker_max_poll_interval": 3_600.0,
        "broker_commit_interval": 1e9,
        "broker_commit_every": None,
        "stream_buffer_maxsize": 64,
        "stream_wait_empty": False,
        "producer_acks": -1,
        "producer_linger": 0.005,
        "producer_max_batch_size": 1_048_576,
        "producer_max_request_size": 8_388_608,
        "producer_request_timeout": 60.0,
    }


class Token(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka's are untyped
    """Reads the file whenever a connection asks."""

    def __init__(self, address: KafkaAddress) -> None:
        self._address = address

    async def token(self) -> str:
        """The token, read anew."""
        return self._address.token()
