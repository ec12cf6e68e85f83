"""Transforms of samples of Windows and of network access."""

from __future__ import annotations

from typing import Any

from schemas.windows_codes import LOGON_TYPES, NTSTATUS, number
from tests.normalisers.transforms.common import NOT_STATED, Transform


def _same(value: Any) -> Any:
    return value


def _port(value: Any) -> Any:
    return NOT_STATED if value in ("-", "0") else int(value)


def _sub_status(value: Any) -> Any:
    return NTSTATUS.get(number(str(value)) or 0, NOT_STATED)


def _words(value: Any) -> Any:
    """`RemoteInteractive` as `remote_interactive`."""
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in str(value)).removeprefix("_")


TRANSFORMS: dict[str, Transform] = {
    "year": (int, lambda ours: ours and ours.year),
    "logon_type": (lambda value: LOGON_TYPES.get(str(value), value), _same),
    "logon_method": (_words, _same),
    "port_number": (_port, _same),
    "sub_status": (_sub_status, _same),
}
