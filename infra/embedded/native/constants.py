"""Numbers of the native protocol (ClickHouse ``src/Core/Protocol.h``, ``ProtocolDefines.h``, ``ErrorCodes.cpp``)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

REVISION: Final = 54440
"""What this server announces. 54441 brings interserver secrets, 54454 a serialisation byte for each column."""

SINCE_TEMPORARY_TABLES: Final = 50264
SINCE_TOTAL_ROWS: Final = 51554
SINCE_BLOCK_INFO: Final = 51903
SINCE_CLIENT_INFO: Final = 54032
SINCE_TIMEZONE: Final = 54058
SINCE_QUOTA_KEY: Final = 54060
SINCE_DISPLAY_NAME: Final = 54372
SINCE_VERSION_PATCH: Final = 54401
SINCE_WRITE_INFO: Final = 54420
SINCE_SETTINGS_AS_STRINGS: Final = 54429


class ClientPacket(IntEnum):
    """First number of what a client sends."""

    HELLO = 0
    QUERY = 1
    DATA = 2
    CANCEL = 3
    PING = 4
    TABLES_STATUS = 5
    KEEP_ALIVE = 6
    SCALAR = 7


class ServerPacket(IntEnum):
    """First number of what a server sends."""

    HELLO = 0
    DATA = 1
    EXCEPTION = 2
    PROGRESS = 3
    PONG = 4
    END_OF_STREAM = 5
    PROFILE_INFO = 6
    TOTALS = 7
    EXTREMES = 8
    TABLES_STATUS = 9


class Code(IntEnum):
    """Error codes that this server gives by itself; all others come from the engine."""

    NOT_IMPLEMENTED = 48
    SYNTAX_ERROR = 62
    UNKNOWN_DATABASE = 81
    UNEXPECTED_PACKET_FROM_CLIENT = 101
    UNKNOWN_SETTING = 115
    READONLY = 164
    TOO_MANY_SIMULTANEOUS_QUERIES = 202
    QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING = 216
    INCORRECT_DATA = 117
    TOO_MANY_BYTES = 307
    QUERY_WAS_CANCELLED = 394
    ACCESS_DENIED = 497
    AUTHENTICATION_FAILED = 516
    UNKNOWN_EXCEPTION = 1002


COMPLETE_STAGE: Final = 2
"""``QueryProcessingStage::Complete``: the server does all of the query."""
