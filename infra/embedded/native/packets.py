"""What the server sends. Every function gives bytes; nothing here touches a socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from infra.embedded.native import constants
from infra.embedded.native.compression import compress
from infra.embedded.native.constants import ServerPacket
from infra.embedded.native.faults import ServerError
from infra.embedded.native.wire import i32, string, varuint

_NAME: Final = "ClickHouse"
# Fields of BlockInfo: 1 is_overflows = false, 2 bucket_num = -1, end.
_BLOCK_INFO: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"


@dataclass(frozen=True)
class Identity:
    """What the server says about itself."""

    version: tuple[int, int, int]
    timezone: str
    display_name: str = "aupstream embedded"


def hello(identity: Identity, revision: int) -> bytes:
    """The answer to a client's hello."""
    major, minor, patch = identity.version
    content = varuint(ServerPacket.HELLO) + string(_NAME) + varuint(major) + varuint(minor)
    content += varuint(constants.REVISION)
    if revision >= constants.SINCE_TIMEZONE:
        content += string(identity.timezone)
    if revision >= constants.SINCE_DISPLAY_NAME:
        content += string(identity.display_name)
    if revision >= constants.SINCE_VERSION_PATCH:
        content += varuint(patch)
    return content


def block(body: bytes, revision: int, *, compressed: bool, packet: ServerPacket = ServerPacket.DATA) -> bytes:
    """A block of Native bytes (from its column count on) as a packet without a table name."""
    head = varuint(packet)
    if revision >= constants.SINCE_TEMPORARY_TABLES:
        head += string("")
    content = _BLOCK_INFO + body if revision >= constants.SINCE_BLOCK_INFO else body
    return head + (compress(content) if compressed else content)


def exception(error: ServerError) -> bytes:
    """An error, without a stack trace: it would be of no use to who asked."""
    code, message = i32(error.code), string(error.message)
    return varuint(ServerPacket.EXCEPTION) + code + string("DB::Exception") + message + string("") + b"\0"


def progress(revision: int, *, rows: int = 0, size: int = 0, written_rows: int = 0, written_size: int = 0) -> bytes:
    """Rows and bytes read and written since the last one."""
    content = varuint(ServerPacket.PROGRESS) + varuint(rows) + varuint(size)
    if revision >= constants.SINCE_TOTAL_ROWS:
        content += varuint(0)
    if revision >= constants.SINCE_WRITE_INFO:
        content += varuint(written_rows) + varuint(written_size)
    return content


def profile_info(*, rows: int, blocks: int, size: int) -> bytes:
    """Size of the result; whether a limit was applied is not known and said so."""
    counts = varuint(rows) + varuint(blocks) + varuint(size)
    return varuint(ServerPacket.PROFILE_INFO) + counts + b"\0" + varuint(0) + b"\0"


def pong() -> bytes:
    """The answer to a ping."""
    return varuint(ServerPacket.PONG)


def end_of_stream() -> bytes:
    """The end of an answer."""
    return varuint(ServerPacket.END_OF_STREAM)


def tables_status(tables: list[tuple[str, str]]) -> bytes:
    """Tables that exist; none is replicated."""
    rows = b"".join(string(database) + string(name) + b"\0" for database, name in tables)
    return varuint(ServerPacket.TABLES_STATUS) + varuint(len(tables)) + rows
