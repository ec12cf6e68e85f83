"""Exceptions as they travel to a client: code, and the text that ClickHouse gives."""

from __future__ import annotations

import re
from typing import Final

from infra.embedded.native.constants import Code

_ENGINE: Final = re.compile(r"Code: (\d+)\. (DB::[\w:]*Exception: .*)", re.DOTALL)


class ServerError(Exception):
    """An error that the client is told; the connection stays usable unless ``fatal``."""

    def __init__(self, code: int, message: str, *, fatal: bool = False) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.fatal = fatal

    def __str__(self) -> str:
        return f"Code: {int(self.code)}. {self.message}"


def refuse(code: Code, message: str, *, fatal: bool = False) -> ServerError:
    """An error of this server, worded like the engine's."""
    return ServerError(code, f"DB::Exception: {message} ({code.name})", fatal=fatal)


def from_engine(error: BaseException) -> ServerError:
    """What chdb raised (always text) as code and message. Unknown text becomes code 1002."""
    if isinstance(error, ServerError):
        return error
    found = _ENGINE.search(str(error))
    if found is None:
        return refuse(Code.UNKNOWN_EXCEPTION, f"{type(error).__name__}: {error}")
    return ServerError(int(found[1]), found[2].strip())
