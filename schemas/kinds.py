"""Names that everything agrees on: the kinds of event and the topics."""

from __future__ import annotations

from enum import StrEnum


class EventKind(StrEnum):
    """What an event is about; one Avro schema and one Kafka topic each."""

    PROXY = "proxy"
    DHCP = "dhcp"
    MAIL = "mail"
    LOGIN = "login"

    @property
    def topic(self) -> str:
        """Topic of this kind's batches."""
        return f"aup.events.{self.value}"


# Types of logs whose logins are to the network itself: they say who is on a device, or on an address. Their events bear
# the type's name as `event_dataset`.
NETWORK_LOGINS = frozenset(
    "anyconnect cisco_ise clearpass freeradius freeradius_detail freeradius_linelog globalprotect nps openvpn".split()
)

DEAD_LETTERS = "aup.dead-letters"  # batches of dead letters, same headers as events
LEDGER = "aup.ledger"  # one JSON record a chunk, written once all its lines are decided
SOURCES = "aup.sources"  # one partition: registrations and absences; its offsets are the registry epochs
HEARTBEATS = "aup.heartbeats"  # one partition, compacted: which collectors live, and how far their sources are
RULES = "aup.rules"  # one partition: the files of announced rule sets, in pieces, keyed by version and number
IDENTITY = "aup.identity"  # facts and their progress, one partition, read whole by every worker
DETECTIONS = "aup.detections"  # batches of detections, internal
VIOLATIONS = "aup.violations"  # one Avro single-object record a message, keyed by violation id


def state_topic(agent: str) -> str:
    """Compacted topic of an agent's checkpoints."""
    return f"aup.state.{agent}"
