"""What processes write of themselves: as text, or as JSON, one line a fact.

A JSON line has `time` (UTC, ISO 8601 with Z), `level`, `logger`, `process` and `event`, then the fields that the fact
is about (`topic`, `partition`, `offset`, `source` …), as they were given: `log.warning("…", extra={"source": name})`.
An exception is one field, `exception`. Third parties' loggers and uncaught exceptions go the same way; what the
clients of Kafka repeat is said once, and when it has ended. A password in
an address is masked in both forms.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from schemas.logrepeats import Repeats

if TYPE_CHECKING:
    from types import TracebackType

    from schemas.logsettings import Format, LogSettings

_PASSWORD = re.compile(r"(\w://[^\s:/@]*):[^\s/]+@")  # to the last @, since a password may hold one
_CHATTY = ("aiokafka", "kafka", "faust", "mode", "httpx", "httpcore", "urllib3", "jgo")  # below warnings
_REPEATING = ("aiokafka", "kafka")  # several lines a second while Kafka is away
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_FIRST = ("time", "level", "logger", "process", "event")


class JsonFormatter(logging.Formatter):
    """One JSON object a record, on one line.

    Args:
        process: Name of the process: `collect`, `listen`, `run`, or a worker's such as `detect-0`.
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        at = datetime.fromtimestamp(record.created, UTC)
        said: dict[str, object] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            "event": masked(record.getMessage()),
        }
        said |= {key: _plain(value) for key, value in vars(record).items() if key not in _OWN and key not in _FIRST}
        if record.exc_info and record.exc_info[0] is not None:
            said["exception"] = masked(self.formatException(record.exc_info))
        if record.stack_info:
            said["stack"] = masked(self.formatStack(record.stack_info))
        return json.dumps(said, ensure_ascii=False, default=str)


class _TextFormatter(logging.Formatter):
    """For people; an exception follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The text."""
        return masked(super().format(record))


def masked(text: str) -> str:
    """A text without the passwords of addresses in it."""
    return _PASSWORD.sub(r"\1:***@", text)


def formatter(process: str, form: Format) -> logging.Formatter:
    """What writes the lines of a process."""
    if form == "json":
        return JsonFormatter(process)
    return _TextFormatter("%(asctime)s %(levelname)s %(name)s %(message)s")


def configure(process: str, settings: LogSettings) -> None:
    """Have this process log to standard error; replaces what was configured before.

    Also warnings of Python, and exceptions that nobody catches, in any thread.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(process, settings.format))
    handler.addFilter(Repeats(_REPEATING))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def as_json() -> bool:
    """True where this process was told to log JSON."""
    return any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("aupstream").critical("the process ends by an error of its own", exc_info=(kind, error, trace))


def _uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is None or issubclass(found.exc_type, SystemExit):
        return
    name = "" if found.thread is None else found.thread.name
    error = (found.exc_type, found.exc_value, found.exc_traceback)
    logging.getLogger("aupstream").critical("thread %s ends by an error of its own", name, exc_info=error)


def _plain(value: object) -> object:
    if isinstance(value, str):
        return masked(value)
    return value if isinstance(value, (int, float, bool, type(None), list, tuple, dict)) else masked(str(value))
