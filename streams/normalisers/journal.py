"""Lines of `journalctl -o json`: the systemd journal's own envelope.

Facts: systemd.journal-fields(7) and the "Journal JSON Format" of systemd: one object a line, values are strings, or
lists of byte numbers where they are no UTF-8 text; `__REALTIME_TIMESTAMP` is microseconds since 1970 UTC.
"""

from __future__ import annotations

from typing import Any

import msgspec

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def unwrap_journal(text: str) -> tuple[str, str | None, str | None, int | None, str] | None:
    """Time (seconds and microseconds since 1970 with a point), host, program, process id, message.

    None where the line is no journal entry. An entry without a message is one with an empty message.
    """
    if '"__REALTIME_TIMESTAMP"' not in text:
        return None
    try:
        entry = _decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    micros = _text(entry.get("__REALTIME_TIMESTAMP")) or ""
    if not (micros.isascii() and micros.isdigit() and len(micros) <= 18):
        return None
    pid = _text(entry.get("SYSLOG_PID")) or _text(entry.get("_PID")) or ""
    number = int(pid) if pid.isascii() and pid.isdigit() and len(pid) <= 18 else None
    program = _text(entry.get("SYSLOG_IDENTIFIER")) or _text(entry.get("_COMM"))
    stamp = f"@{micros.zfill(7)[:-6]}.{micros.zfill(7)[-6:]}"
    return stamp, _text(entry.get("_HOSTNAME")), program, number, _text(entry.get("MESSAGE")) or ""


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
        return bytes(value).decode("utf-8", "backslashreplace")
    return None
