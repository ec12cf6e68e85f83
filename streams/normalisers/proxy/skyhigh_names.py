"""What Skyhigh's logs call their columns, and what `skyhigh` calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DEFAULT: Final = (
    *("time", "user", "source_ip", "status", "request_line", "categories", "reputation", "media_type"),
    *("response_bytes", "agent", "virus", "block_id", "application"),
)
"""Columns of the default access log; older releases lack the last."""

NAMES: Final[Mapping[str, str]] = {
    "time_stamp": "time", "auth_user": "user", "src_ip": "source_ip", "status_code": "status",
    "req_line": "request_line", "categories": "categories", "rep_level": "reputation", "media_type": "media_type",
    "bytes_to_client": "response_bytes", "bytes_from_client": "request_bytes", "user_agent": "agent",
    "virus_name": "virus", "block_res": "block_id", "block_reason": "block_reason", "application_name": "application",
    "referer": "referrer", "server_ip": "destination_ip", "dst_ip": "destination_ip", "dst_port": "destination_port",
    "rule_name": "rule", "filename": "file_name", "file_name": "file_name", "server_host": "host",
    "username": "user", "http_action": "method", "server_to_client_bytes": "response_bytes",
    "client_to_server_bytes": "request_bytes", "requested_host": "host", "requested_path": "path",
    "request_timestamp_epoch": "epoch", "uri_scheme": "scheme", "category": "categories",
    "application_type": "application", "last_rule": "rule", "http_status_code": "status",
    "user_agent_product": "agent_product", "user_agent_version": "agent_version",
    "user_agent_comment": "agent_comment", "client_system_name": "device",
}  # fmt: skip
"""Of the appliance's header line, and of the cloud's first line."""

_CLOUD = (
    *("user_id", "user", "source_ip", "method", "response_bytes", "request_bytes", "host", "path", "result", "virus"),
    *("epoch", "request_timestamp", "scheme", "categories", "media_type", "application", "reputation", "rule"),
    *("status", "client_ip", "location", "block_reason", "agent_product", "agent_version", "agent_comment"),
    *("process", "destination_ip", "destination_port"),
)
VERSIONS: Final[Mapping[int, tuple[str, ...]]] = {size: _CLOUD[:size] for size in (14, 16, 17, 25, 28)}
"""The cloud's columns by their number, as the versions 1 to 6 of its interface have them."""

PAIRS: Final[Mapping[str, str]] = {
    "status": "status", "srcip": "source_ip", "user": "user", "dhost": "host", "urlp": "destination_port",
    "mtd": "method", "urlc": "categories", "mt": "media_type", "mlwr": "virus", "app": "application",
    "bytes": "bytes", "ua": "agent", "http_referrer": "referrer", "rule": "rule", "url": "url",
    "file_name": "file_name", "destip": "destination_ip", "blockreason": "block_reason",
}  # fmt: skip

CEF: Final[Mapping[str, str]] = {
    "rt": "time", "src": "source_ip", "spt": "source_port", "suser": "user", "dst": "destination_ip",
    "dpt": "destination_port", "dhost": "host", "requestMethod": "method", "request": "url",
    "requestClientApplication": "agent", "requestContext": "referrer", "fileType": "media_type", "fname": "file_name",
    "in": "request_bytes", "out": "response_bytes", "reason": "block_reason", "shost": "device",
}  # fmt: skip

LABELS: Final[Mapping[str, str]] = {
    "virus": "virus", "malware": "virus", "block id": "block_id", "block res": "block_id",
    "block reason": "block_reason", "categor": "categories", "rule": "rule", "application": "application",
    "media type": "media_type",
}  # fmt: skip
"""Parts of the labels of CEF's custom fields, in small letters."""

LEEF: Final[Mapping[str, str]] = {
    "devTime": "time", "src": "source_ip", "usrName": "user", "httpStatus": "status", "dst": "destination_ip",
    "urlCategories": "categories", "blockReason": "block_reason", "url": "url", "Meth": "method",
    "agent": "agent", "usrAgent": "agent", "recv": "response_bytes", "dstBytes": "response_bytes",
    "srcBytes": "request_bytes", "policy": "rule", "virus": "virus", "mediaType": "media_type",
}  # fmt: skip
