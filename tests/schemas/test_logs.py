from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from schemas.logs import formatter, masked
from schemas.logsettings import LogSettings

PROGRAM = """
import logging, threading, warnings
from schemas.logs import configure
from schemas.logsettings import LogSettings
configure("detect-0", LogSettings(format={form!r}, level={level!r}))
logging.getLogger("aupstream.agent").info("two\\nlines", extra={{"topic": "t", "partition": 1, "offset": 7}})
logging.getLogger("aiokafka").info("chatter")
for _ in range(3):
    logging.getLogger("kafka").warning("at kafka://u:secret@host: away")
warnings.warn("old")
threading.Thread(target=lambda: 1 / 0).start()
raise ValueError("three\\nlines: clickhouse://u:secret@host/db")
"""


def _said(form: str, level: str = "info") -> list[str]:
    program = PROGRAM.format(form=form, level=level)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.stdout == ""
    return ran.stderr.splitlines()


def test_everything_a_process_says_is_one_json_object_a_line() -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in _said("json")]
    assert all(line["process"] == "detect-0" and line["time"].endswith("Z") for line in lines)
    first, kafka, warning, thread, last = lines
    about = {"logger": "aupstream.agent", "level": "info", "event": "two\nlines", "topic": "t", "offset": 7}
    assert about.items() <= first.items()
    assert kafka["event"] == "at kafka://u:***@host: away"
    assert "old" in warning["event"]
    assert "ZeroDivisionError" in thread["exception"]
    assert last["level"] == "critical"
    assert last["exception"].startswith("Traceback")
    assert "secret" not in last["exception"]


def test_text_is_for_people_and_hides_passwords_too() -> None:
    text = "\n".join(_said("text"))
    assert "INFO aupstream.agent two" in text
    assert "secret" not in text
    assert "chatter" not in text


def test_the_level_holds_for_all() -> None:
    lines = [json.loads(line) for line in _said("json", "error")]
    assert {line["level"] for line in lines} == {"critical"}


def test_a_field_cannot_take_the_place_of_what_every_line_has() -> None:
    record = logging.makeLogRecord({"msg": "x", "time": "never", "process": "other", "event": "y", "what": object})
    said = json.loads(formatter("collect", "json").format(record))
    assert (said["process"], said["event"]) == ("collect", "x")
    assert said["time"] != "never"
    assert isinstance(said["what"], str)


def test_children_are_told_the_same_and_what_is_no_setting_is_the_configurations_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = LogSettings(format="json", level="error")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert LogSettings.inherited() == settings
    for name in settings.environment():
        monkeypatch.setenv(name, "nonsense")
    assert LogSettings.inherited() == LogSettings()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("clickhouse://aup:p%40ss@host:9000/db", "clickhouse://aup:***@host:9000/db"),
        ("clickhouse://aup:p@ss@host:9000/db", "clickhouse://aup:***@host:9000/db"),
        ("https://host:443/a@b", "https://host:443/a@b"),
        ("mail to a@b.example: c", "mail to a@b.example: c"),
    ],
)
def test_only_passwords_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
