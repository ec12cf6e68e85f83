"""A Windows event taken out of what carries it: XML, or the JSON of a shipper.

- XML as `wevtutil`, the event viewer, Windows Event Forwarding and shippers write it, one or several `<Event>` in a
  record. Values are escaped in XML, so that a pattern over the fixed form reads them safely and fast; what does not fit
  it goes to a parser that refuses any document type, hence any entity.
- JSON: Winlogbeat and Elastic Agent 6 to 9 (`winlog.event_data`), NXLog (flat), Azure Monitor and Microsoft Sentinel
  (`SecurityEvent`, `WindowsEvent`), Wazuh (`data.win`), Fluent Bit, and XML turned to JSON (`Event.System`).

Facts: Microsoft's "Event Schema", Elastic's "Winlogbeat fields", NXLog's `im_msvistalog`, Microsoft's table references
of `SecurityEvent` and `WindowsEvent`, Wazuh's "Windows event channel".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from typing import Any, NamedTuple
from xml.parsers import expat

from streams.normalisers.json_records import at, text

_EVENT = re.compile(r"<(?:\w{1,16}:)?Event[\s>]", re.ASCII)
_PROVIDER = re.compile(r"<Provider\s[^<>]*?\bName=[\"']([^\"'<]*)[\"']")
_ID = re.compile(r"<EventID[^<>]*>\s*(\d{1,5})\s*</EventID>", re.ASCII)
_TIME = re.compile(r"<TimeCreated\s[^<>]*?\bSystemTime=[\"']([^\"'<]*)[\"']")
_COMPUTER = re.compile(r"<Computer>([^<]*)</Computer>")
_DATA = re.compile(r"<Data Name=[\"'](\w{1,64})[\"']>([^<]*)</Data>", re.ASCII)
_ANY_DATA = re.compile(r"<Data[\s>]")


class WinEvent(NamedTuple):
    """An event of the Windows log.

    Attributes:
        number: Event id.
        stamp: Time as written; None where only the record's header has one.
        computer: Computer that logged it.
        provider: Source of the event.
        data: Values by the names of the XML event data.
    """

    number: int
    stamp: str | None
    computer: str | None
    provider: str | None
    data: Mapping[str, Any]


def xml_events(record: str) -> list[WinEvent] | None:
    """All events of a record; None where it holds an `<Event` that cannot be read."""
    if record.count("</Event>") == 1:
        alone = _fast(record)
        if alone is not None:
            return [alone]
    starts = [match.start() for match in _EVENT.finditer(record)]
    ends = [*starts[1:], len(record)] if starts else []
    found: list[WinEvent] = []
    for start, end in zip(starts, ends, strict=True):
        part = record[start:end] if start or end < len(record) else record
        event = _fast(part) or _exact(part)
        if event is None:
            return None
        found.append(event)
    return found


def _fast(part: str) -> WinEvent | None:
    """The fixed form; None where anything is missing in it."""
    system = part.find("</System>")
    if system < 0 or "<!" in part or "</Event>" not in part:
        return None
    provider = _PROVIDER.search(part, 0, system)
    number = _ID.search(part, 0 if provider is None else provider.end(), system)
    if number is None:
        return None
    time = _TIME.search(part, number.end(), system)
    if time is None:
        return None
    computer = _COMPUTER.search(part, time.end(), system)
    data = dict(_DATA.findall(part, system))
    if not data and _ANY_DATA.search(part, system):
        return None
    if "&" in part:
        data = {name: unescape(value) if "&" in value else value for name, value in data.items()}
    return WinEvent(int(number[1]), time[1], computer[1] if computer else None, provider[1] if provider else None, data)


class _Reader:
    """What expat calls; keeps the text of the elements that count."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.data: dict[str, str] = {}
        self.ended = False
        self._path: list[str] = []
        self._name: str | None = None
        self._text: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        self._path.append(tag)
        self._text = []
        self._name = attributes.get("Name") if tag == "Data" else None
        if tag == "TimeCreated":
            self.names["time"] = attributes.get("SystemTime", "")
        elif tag == "Provider":
            self.names["provider"] = attributes.get("Name", "")

    def end(self, _: str) -> None:
        tag = self._path.pop() if self._path else ""
        said = "".join(self._text)
        if tag == "Data" and self._name:
            self.data.setdefault(self._name, said)
        elif tag in ("EventID", "Computer"):
            self.names.setdefault(tag, said.strip())
        self.ended = self.ended or not self._path
        self._text = []

    def text(self, said: str) -> None:
        self._text.append(said)


def _exact(part: str) -> WinEvent | None:
    """By a parser, without document types and entities; None where it is no well-formed event."""
    reader, parser = _Reader(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text

    def refuse(*_: object) -> None:
        raise ValueError("a document type")

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(part, False)
    except (expat.ExpatError, ValueError):
        if not reader.ended:
            return None
    number = reader.names.get("EventID", "")
    if not (reader.ended and number.isascii() and number.isdigit() and len(number) <= 5):
        return None
    names = reader.names
    return WinEvent(int(number), names.get("time"), names.get("Computer"), names.get("provider"), reader.data)


def is_event(obj: Mapping[str, Any]) -> bool:
    """Whether an object of JSON is a Windows event, not a wrapper around one."""
    if "EventID" in obj or "event_data" in obj:
        return True
    if isinstance(obj.get("winlog"), dict) or at(obj, "data", "win") is not None or "win" in obj:
        return True
    return isinstance(at(obj, "Event", "System"), dict)


def json_event(obj: Mapping[str, Any]) -> WinEvent | None:
    """The event in an object; None where it has no event id."""
    winlog = obj.get("winlog")
    if isinstance(winlog, dict):
        return _beat(winlog, obj, "event_id", "provider_name")
    if "event_data" in obj:
        return _beat(obj, obj, "event_id", "source_name")
    if isinstance(at(obj, "Event", "System"), dict):
        return _converted(obj["Event"])
    wazuh = at(obj, "data", "win") or obj.get("win")
    return _wazuh(wazuh) if isinstance(wazuh, dict) else _flat(obj)


def _number(value: Any) -> int | None:
    said = text(value) or ""
    return int(said) if said.isascii() and said.isdigit() and len(said) <= 5 else None


def _beat(inner: Mapping[str, Any], obj: Mapping[str, Any], number_key: str, provider_key: str) -> WinEvent | None:
    number = _number(inner.get(number_key)) or _number(at(obj, "event", "code"))
    if number is None:
        return None
    data = inner.get("event_data")
    computer = text(inner.get("computer_name")) or text(at(obj, "host", "name"))
    provider = text(inner.get(provider_key)) or text(inner.get("source_name"))
    return WinEvent(number, text(obj.get("@timestamp")), computer, provider, data if isinstance(data, dict) else {})


def _wazuh(win: Mapping[str, Any]) -> WinEvent | None:
    number = _number(at(win, "system", "eventID"))
    if number is None:
        return None
    said = win.get("eventdata")
    data = {name[:1].upper() + name[1:]: value for name, value in said.items()} if isinstance(said, dict) else {}
    time, computer, provider = (text(at(win, "system", name)) for name in ("systemTime", "computer", "providerName"))
    return WinEvent(number, time, computer, provider, data)


def _converted(event: Mapping[str, Any]) -> WinEvent | None:
    """XML turned to JSON: attributes under `#attributes` or `@name`, text under `#text`."""
    system = event["System"]
    number = _number(_leaf(system.get("EventID")))
    if number is None:
        return None
    time, provider = _attribute(system.get("TimeCreated"), "SystemTime"), _attribute(system.get("Provider"), "Name")
    said = event.get("EventData")
    data = said if isinstance(said, dict) else {}
    listed = data.get("Data")
    if isinstance(listed, list):
        data = {_attribute(one, "Name") or "": _leaf(one) for one in listed}
    return WinEvent(number, time, text(_leaf(system.get("Computer"))), provider, data)


def _leaf(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return value.get("#text", value.get("Value", value.get("_")))


def _attribute(value: Any, name: str) -> str | None:
    for path in ((name,), (f"@{name}",), ("#attributes", name), ("$", name), (f"#{name}",)):
        found = text(at(value, *path))
        if found is not None:
            return found
    return None


_FLAT_TIMES = ("EventTime", "TimeCreated", "TimeGenerated", "EventTimeUTC", "@timestamp", "timestamp")
_FLAT_COMPUTERS = ("Hostname", "Computer", "MachineName", "ComputerName", "host")
_FLAT_PROVIDERS = ("SourceName", "ProviderName", "EventSourceName", "Provider")


def _first(obj: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        found = text(obj.get(name))
        if found is not None:
            return found
    return None


def _flat(obj: Mapping[str, Any]) -> WinEvent | None:
    """NXLog's, Azure's and Fluent Bit's objects: the event data beside the rest, or in `EventData`."""
    number = _number(obj.get("EventID"))
    if number is None:
        return None
    data: Mapping[str, Any] = obj
    said = obj.get("EventData")
    if isinstance(said, dict):
        data = {**obj, **said}
    elif isinstance(said, str) and "<Data" in said:
        data = {**obj, **{name: unescape(value) for name, value in _DATA.findall(said)}}
    return WinEvent(number, _first(obj, _FLAT_TIMES), _first(obj, _FLAT_COMPUTERS), _first(obj, _FLAT_PROVIDERS), data)
