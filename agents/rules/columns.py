"""Which columns rules may name, of what type, and what Sigma calls them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache

from schemas.kinds import EventKind
from schemas.registry import schema


class ColumnType(Enum):
    """Type of a column as far as a condition needs to know it."""

    TEXT = "text"
    NUMBER = "number"
    BOOL = "bool"
    TEXTS = "list of texts"
    NUMBERS = "list of numbers"
    BOOLS = "list of booleans"
    TIME = "time"

    @property
    def element(self) -> ColumnType | None:
        """Type of the elements of a list; None for what is no list."""
        return _ELEMENTS.get(self)


_ELEMENTS = {
    ColumnType.TEXTS: ColumnType.TEXT,
    ColumnType.NUMBERS: ColumnType.NUMBER,
    ColumnType.BOOLS: ColumnType.BOOL,
}


@dataclass(frozen=True, slots=True)
class Derived:
    """A column that detect computes; never stored (see `agents.engine.enrich`).

    Attributes:
        name: Column name.
        type: Its type.
        kinds: Kinds of events that have it.
        reads: Columns of the schema that it is made of, as far as a kind has them.
        identity: True where it depends on whose device the source address was.
        takes: Columns of which it takes at least one to say anything, as often as there are such groups; none: one of
            those that it reads will do.
    """

    name: str
    type: ColumnType
    kinds: frozenset[EventKind]
    reads: tuple[str, ...]
    identity: bool = False
    takes: tuple[tuple[str, ...], ...] = ()

    @property
    def needs(self) -> tuple[tuple[str, ...], ...]:
        """Groups of columns: where all of one are missing in all of a log's events, it says nothing of that log."""
        return self.takes or (self.reads,)


_MAIL = frozenset({EventKind.MAIL})
_ALL = frozenset(EventKind)
_PROXY = frozenset({EventKind.PROXY})
_DEVICES = frozenset({EventKind.DHCP, EventKind.LOGIN, EventKind.PROXY})

_SENDER = ("email_from_address",)
_HANDED_IN = ("event_dataset", "event_action", "email_direction", "source_ip", "source_domain", "user_name",
              "login_method")  # fmt: skip
_SENT_BY = (*_SENDER, *_HANDED_IN)
_TO = ("email_to_address",)
_MESSAGE = (*_SENDER, "observer_hostname", "email_local_id", "email_message_id", "event_id")
_DELIVERED = (
    *_MESSAGE,
    *_HANDED_IN,
    *_TO,
    "email_to_original_address",
    "email_to_status",
    "email_to_filter",
    "timestamp",
    "timestamp_first",
    "email_subject",
)
_DHCP = frozenset({EventKind.DHCP})
_LOGIN = frozenset({EventKind.LOGIN})
_DEVICE = ("source_mac", "source_ip", "host_name")
_WHO = (*_DEVICE, *_SENT_BY, "user_domain")
_SITE = ("url_domain", "destination_domain", "url_path", "proxy_category")
_PAGE = (
    *_SITE, "url_extension", "http_request_method", "http_response_status_code", "http_response_mime_type",
    "http_response_bytes", "http_request_referrer", "event_action",
)  # fmt: skip

_FILED = ("url_domain", "destination_domain", "proxy_category")
_ASKED = ("http_request_method", "url_original")
_SORT = ("url_extension", "http_response_mime_type")
_CAME = ("http_response_status_code", "http_response_bytes")

DERIVED: tuple[Derived, ...] = (
    Derived("sender_address", ColumnType.TEXT, _MAIL, _SENT_BY),
    Derived("sender_internal", ColumnType.BOOL, _MAIL, _SENT_BY),
    Derived("sender_kind", ColumnType.TEXT, _MAIL, _SENT_BY),
    Derived("message_key", ColumnType.TEXT, _MAIL, _MESSAGE),
    Derived("delivered_recipients", ColumnType.TEXTS, _MAIL, _DELIVERED, takes=(_TO,)),
    Derived("mailed_recipients", ColumnType.TEXTS, _MAIL, _DELIVERED, takes=(_TO,)),
    Derived("recipients_internal", ColumnType.NUMBER, _MAIL, _DELIVERED, takes=(_TO,)),
    Derived("recipients_outside", ColumnType.NUMBER, _MAIL, _DELIVERED, takes=(_TO,)),
    Derived("email_reply", ColumnType.BOOL, _MAIL, ("email_subject",)),
    Derived("email_lists", ColumnType.TEXT, _MAIL, ("email_to_original_address", "email_to_address")),
    Derived("source_site", ColumnType.TEXT, _DEVICES, ("source_ip", "dhcp_relay_ip", "access_point", "nas_ip")),
    Derived("source_device_kind", ColumnType.TEXT, _DEVICES, _DEVICE, identity=True),
    Derived("source_device_owner", ColumnType.TEXT, _DEVICES, _DEVICE, identity=True),
    Derived("source_mac_known", ColumnType.BOOL, _DEVICES, _DEVICE, identity=True),
    Derived("host_name_known", ColumnType.BOOL, _DHCP, ("host_name",)),
    Derived("source_mac_random", ColumnType.BOOL, _DEVICES, _DEVICE, identity=True),
    Derived("source_mac_vendor", ColumnType.TEXT, _DEVICES, _DEVICE, identity=True),
    Derived("source_device_own", ColumnType.BOOL, _LOGIN, (*_DEVICE, "user_name", "user_domain"), identity=True),
    Derived("login_source", ColumnType.TEXT, _LOGIN, _DEVICE, identity=True),
    Derived("dhcp_server_known", ColumnType.BOOL, _DHCP, ("dhcp_server_ip",)),
    Derived("source_address_shared", ColumnType.BOOL, _DEVICES, ("source_ip", "dhcp_relay_ip")),
    Derived("recipient_person", ColumnType.TEXT, _MAIL, _TO),
    Derived("untaught_student", ColumnType.TEXT, _MAIL, (*_TO, *_SENT_BY), takes=(_TO,)),
    Derived("outside_domain", ColumnType.TEXT, _MAIL, _TO),
    Derived("addressed_outside", ColumnType.NUMBER, _MAIL, _TO),
    Derived("disclosed_recipients", ColumnType.TEXTS, _MAIL, _TO),
    Derived("public_domains", ColumnType.TEXTS, _MAIL, _TO),
    Derived("executable_attachment", ColumnType.TEXT, _MAIL, ("email_attachment_name",)),
    Derived("url_categories", ColumnType.TEXTS, _PROXY, (*_PAGE, "url_original", "url_query"), takes=(_FILED,)),
    Derived("navigation", ColumnType.BOOL, _PROXY, (*_PAGE, "url_original", "url_query"), takes=(_ASKED,)),
    Derived("visit", ColumnType.TEXT, _PROXY, (*_PAGE, "url_original", "url_query", "timestamp", "event_id")),
    Derived("page_view", ColumnType.TEXT, _PROXY, (*_PAGE, "url_original", "url_query", "timestamp", "event_id")),
    Derived("download_kind", ColumnType.TEXT, _PROXY, _PAGE, takes=(_SORT, _CAME)),
    Derived("downloaded_file", ColumnType.TEXT, _PROXY, (*_SITE, "url_extension", "url_original")),
    Derived("active_minute", ColumnType.TEXT, _PROXY, (*_PAGE, "url_original", "url_query", "timestamp")),
    Derived("person", ColumnType.TEXT, _ALL, _WHO, identity=True),
    Derived("person_roles", ColumnType.TEXTS, _ALL, _WHO, identity=True),
    Derived("user_roles", ColumnType.TEXTS, _LOGIN, ("user_name", "user_domain")),
    Derived("person_site", ColumnType.TEXT, _ALL, _WHO, identity=True),
    Derived("subject", ColumnType.TEXT, _ALL, _WHO, identity=True),
)

MINUTES = frozenset({"active_minute"})
VISITS = MINUTES | {"visit", "page_view"}  # distinct values of which are counted as `agents.engine.visits` says

# No keyword is looked for in columns that say where a row stood, that are our own words and not the log's, or that are
# parts of a column which is looked in (of the URL).
NO_KEYWORDS = frozenset(
    "event_id log_source log_generation log_hash event_dataset event_action event_outcome "
    "url_scheme url_domain url_path url_query url_extension".split()
)

# Sigma's field names (taxonomy appendix of the Sigma specification, and W3C extended log format for proxies).
_COMMON_FIELDS = {
    "src_ip": "source_ip",
    "SourceIp": "source_ip",
    "IpAddress": "source_ip",
    "src_port": "source_port",
    "SourcePort": "source_port",
    "IpPort": "source_port",
    "User": "user_name",
    "user": "user_name",
    "username": "user_name",
    "TargetUserName": "user_name",
    "cs-username": "user_name",
    "src_mac": "source_mac",
    "Computer": "observer_hostname",
    "hostname": "observer_hostname",
}
FIELDS: dict[EventKind, dict[str, str]] = {
    EventKind.PROXY: _COMMON_FIELDS
    | {
        "c-ip": "source_ip",
        "c-uri": "url_original",
        "c-uri-extension": "url_extension",
        "c-uri-query": "url_query",
        "c-uri-stem": "url_path",
        "cs-uri": "url_original",
        "cs-uri-stem": "url_path",
        "cs-uri-query": "url_query",
        "cs-uri-extension": "url_extension",
        "c-useragent": "user_agent_original",
        "cs-user-agent": "user_agent_original",
        "cs(User-Agent)": "user_agent_original",
        "cs-host": "url_domain",
        "r-dns": "url_domain",
        "cs-method": "http_request_method",
        "cs-referrer": "http_request_referrer",
        "cs-referer": "http_request_referrer",
        "cs-version": "http_version",
        "sc-status": "http_response_status_code",
        "sc-bytes": "http_response_bytes",
        "cs-bytes": "http_request_bytes",
        "cs-mime-type": "http_response_mime_type",
        "dst_ip": "destination_ip",
        "s-ip": "destination_ip",
        "r-ip": "destination_ip",
        "url_category": "proxy_category",
        "query": "url_domain",  # category dns: the name that was asked for
        "QueryName": "url_domain",
    },
    EventKind.DHCP: _COMMON_FIELDS,
    EventKind.MAIL: _COMMON_FIELDS | {"sender": "email_from_address", "recipient": "email_to_address"},
    EventKind.LOGIN: _COMMON_FIELDS | {"target_user": "target_user_name", "service": "service_name"},
}


def derived_columns(kind: EventKind) -> dict[str, Derived]:
    """Derived columns of a kind by name."""
    return {d.name: d for d in DERIVED if kind in d.kinds}


@cache
def identity_columns(kind: EventKind) -> frozenset[str]:
    """Columns of a kind that are known only once an address has been attributed to a device.

    A DHCP event names its device itself and a mail its sender, so none of their columns wait for identity.
    """
    if kind in (EventKind.DHCP, EventKind.MAIL):
        return frozenset()
    derived = {d.name for d in DERIVED if d.identity and kind in d.kinds}
    return frozenset(derived | ({"source_mac"} if derived else set()))


@cache
def column_types(kind: EventKind) -> dict[str, ColumnType]:
    """Every column that a rule over a kind may name, schema columns first, then derived ones."""
    types = {f["name"]: _type(f["type"]) for f in schema(kind.value)["fields"]}
    return types | {d.name: d.type for d in derived_columns(kind).values()}


@cache
def keyword_columns(kind: EventKind) -> tuple[str, ...]:
    """Columns that a value without a field is looked for in: all text that was logged."""
    return tuple(
        name
        for name, of_type in column_types(kind).items()
        if of_type in (ColumnType.TEXT, ColumnType.TEXTS)
        and name not in NO_KEYWORDS
        and name not in derived_columns(kind)
    )


def _type(avro: object) -> ColumnType:
    """Column type of an Avro type; a union counts as its member that is not null."""
    if isinstance(avro, list):
        return _type(next(member for member in avro if member != "null"))
    if isinstance(avro, dict):
        if avro.get("logicalType") == "timestamp-micros":
            return ColumnType.TIME
        if avro["type"] == "array":
            element = _type(avro["items"])
            return next(lists for lists, inner in _ELEMENTS.items() if inner is element)
        return _type(avro["type"])
    return {"string": ColumnType.TEXT, "boolean": ColumnType.BOOL}.get(str(avro), ColumnType.NUMBER)
