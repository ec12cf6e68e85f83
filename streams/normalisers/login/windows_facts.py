"""What an event of Windows' security log says, as a login event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas.windows_codes import (
    KERBEROS,
    KERBEROS_NO_SUCH_USER,
    LOGON_TYPES,
    MESSAGES,
    NO_SUCH_USER,
    NTSTATUS,
    in_words,
    kerberos_method,
    number,
)
from streams.normalisers import addresses
from streams.normalisers.login.login_fields import MAX_REASON
from streams.normalisers.login.network_fields import reason, stated, user
from streams.normalisers.records import Fact

Data = Mapping[str, Any]

DETAILS: Final = (
    "CertThumbprint", "ImpersonationLevel", "KeyLength", "LogonProcessName", "PreAuthType", "SubjectUserName",
    "SubjectUserSid", "TargetInfo", "TargetServerName", "TargetUserSid", "TicketEncryptionType", "TicketOptions",
)  # fmt: skip
"""What goes to `event_details`: no column has it, and rules ask for it."""

_OF_THE_SYSTEM = frozenset(
    {"S-1-5-18", "S-1-5-19", "S-1-5-20", "S-1-5-7", "SYSTEM", "LOCAL SERVICE", "NETWORK SERVICE"}
)
_OF_THE_DESKTOP = ("S-1-5-90-", "S-1-5-96-")  # window manager and font driver, one account a session
_OF_THE_SYSTEM_NAMES = frozenset({"SYSTEM", "LOCAL SERVICE", "NETWORK SERVICE", "ANONYMOUS LOGON"})
_NO = frozenset({"%%1843", "No"})


def logon_id(text: str | None) -> str | None:
    """A logon id in one spelling: hexadecimal, lower case, no leading zeros; None for zero and for none."""
    value = number(text)
    return None if not value else f"{value:#x}"


def _account(fact: Fact, data: Data, prefix: str, *, unknown: bool = False) -> None:
    user(fact, stated(data.get(f"{prefix}UserName")), unknown=unknown)
    domain = stated(data.get(f"{prefix}DomainName"))
    if domain is not None and fact.get("user_name") is not None:
        fact.setdefault("user_domain", domain)


def _place(fact: Fact, data: Data) -> None:
    """Where it came from."""
    address = stated(data.get("IpAddress")) or stated(data.get("ClientAddress"))
    if address is not None:
        fact["source_ip"] = addresses.ip(address)
        port = addresses.port(stated(data.get("IpPort")))
        if port:
            fact["source_port"] = port
    name = stated(data.get("WorkstationName")) or stated(data.get("Workstation")) or stated(data.get("ClientName"))
    if name is not None:
        fact["host_name"] = name.lstrip("\\")


def _how(fact: Fact, data: Data) -> None:
    package = stated(data.get("LmPackageName")) or stated(data.get("AuthenticationPackageName"))
    if package is not None:
        fact["login_method"] = "ntlm" if package.startswith("MICROSOFT_AUTHENTICATION_PACKAGE") else package.lower()
    kind = stated(data.get("LogonType"))
    if kind is not None:
        fact["login_type"] = LOGON_TYPES.get(kind, kind)
    process = stated(data.get("ProcessName"))
    if process is not None:
        fact["application_name"] = process


def details(data: Data) -> list[str]:
    """`event_details` of an event; what it leaves empty is not told."""
    said = ((name, stated(data.get(name))) for name in DETAILS)
    return [f"{name}={value.strip()[:MAX_REASON]}" for name, value in said if value is not None]


def _of_the_system(data: Data) -> bool:
    sid, name = stated(data.get("TargetUserSid")) or "", stated(data.get("TargetUserName"))
    if sid in _OF_THE_SYSTEM or sid.startswith(_OF_THE_DESKTOP) or name in _OF_THE_SYSTEM_NAMES:
        return True
    return stated(data.get("LogonType")) in ("0", "5")


def _logged_on(data: Data) -> Fact:
    fact: Fact = {"event_action": "login", "event_outcome": "success", "service_name": "windows"}
    _account(fact, data, "Target")
    _place(fact, data)
    _how(fact, data)
    fact["session_id"] = logon_id(stated(data.get("TargetLogonId")))
    linked = logon_id(stated(data.get("TargetLinkedLogonId")))
    if _of_the_system(data) or (linked and stated(data.get("ElevatedToken")) in _NO):
        fact["event_action"] = "session_start"
    elif fact.get("login_type") == "new_credentials":
        fact["event_action"], fact["event_outcome"] = "login_step", "unknown"
        fact["target_user_name"] = stated(data.get("TargetOutboundUserName"))
    return fact


def _failed(data: Data) -> Fact:
    status, sub = number(stated(data.get("Status"))), number(stated(data.get("SubStatus")))
    code = sub or status
    fact: Fact = {"event_action": "login", "event_outcome": "failure", "service_name": "windows"}
    _account(fact, data, "Target", unknown=code == NO_SUCH_USER)
    _place(fact, data)
    _how(fact, data)
    why = stated(data.get("FailureReason"))
    if code:
        fact["event_reason"] = in_words(code, NTSTATUS)
    elif why is not None:
        fact["event_reason"] = reason(MESSAGES.get(why, why))
    if fact.get("login_type") == "service":
        fact["event_action"] = "authentication"
    return fact


def _logged_off(data: Data) -> Fact:
    fact: Fact = {"event_action": "session_end", "event_outcome": "unknown", "service_name": "windows"}
    _account(fact, data, "Target")
    _how(fact, data)
    fact["session_id"] = logon_id(stated(data.get("TargetLogonId")))
    return fact


def _explicit(data: Data) -> Fact:
    fact: Fact = {"event_action": "login_step", "event_outcome": "unknown", "service_name": "windows"}
    _account(fact, data, "Subject")
    _place(fact, data)
    fact["target_user_name"] = stated(data.get("TargetUserName"))
    fact["application_name"] = stated(data.get("ProcessName"))
    fact["session_id"] = logon_id(stated(data.get("SubjectLogonId")))
    return fact


def _locked_out(data: Data) -> Fact:
    fact: Fact = {"event_action": "attempts_exceeded", "event_outcome": "failure", "service_name": "windows"}
    user(fact, stated(data.get("TargetUserName")))
    fact["event_reason"] = "account locked out"
    caller = stated(data.get("TargetDomainName"))  # Microsoft's name for the caller's computer in this event
    if caller is not None:
        fact["host_name"] = caller.lstrip("\\")
    return fact


def _kerberos(data: Data) -> Fact:
    code = number(stated(data.get("Status")) or stated(data.get("FailureCode")))
    fact: Fact = {"event_action": "authentication", "service_name": "kerberos"}
    fact["event_outcome"] = "success" if code == 0 else "failure" if code is not None else "unknown"
    _account(fact, data, "Target", unknown=code == KERBEROS_NO_SUCH_USER)
    _place(fact, data)
    fact["login_method"] = kerberos_method(stated(data.get("PreAuthType")))
    if code:
        fact["event_reason"] = in_words(code, KERBEROS)
    return fact


def _service_ticket(data: Data) -> Fact:
    fact = _kerberos(data)
    fact["event_action"] = "service_ticket"
    fact["login_method"] = "kerberos"
    fact["application_name"] = stated(data.get("ServiceName"))
    return fact


def _ntlm(data: Data) -> Fact:
    code = number(stated(data.get("Status")))
    fact: Fact = {"event_action": "authentication", "service_name": "ntlm", "login_method": "ntlm"}
    fact["event_outcome"] = "success" if code == 0 else "failure" if code is not None else "unknown"
    user(fact, stated(data.get("TargetUserName")), unknown=code == NO_SUCH_USER)
    _place(fact, data)
    if code:
        fact["event_reason"] = in_words(code, NTSTATUS)
    return fact


def _station(action: str) -> Callable[[Data], Fact]:
    """Sessions of a window station: their event data have names of their own."""

    def read(data: Data) -> Fact:
        fact: Fact = {"event_action": action, "event_outcome": "unknown", "service_name": "windows"}
        for prefix in ("Target", "Subject"):
            if "user_name" not in fact:
                _account(fact, data, prefix)
        if "user_name" not in fact:
            user(fact, stated(data.get("AccountName")))
            domain = stated(data.get("AccountDomain"))
            if domain is not None:
                fact.setdefault("user_domain", domain)
        _place(fact, data)
        ids = (logon_id(stated(data.get(name))) for name in ("TargetLogonId", "SubjectLogonId", "LogonID", "LogonId"))
        fact["session_id"] = next((found for found in ids if found is not None), None)
        fact["terminal_name"] = stated(data.get("SessionName"))
        return fact

    return read


READERS: Final[Mapping[int, Callable[[Data], Fact]]] = {
    4624: _logged_on,
    4625: _failed,
    4634: _logged_off,
    4647: _logged_off,
    4648: _explicit,
    4740: _locked_out,
    4768: _kerberos,
    4769: _service_ticket,
    4771: _kerberos,
    4776: _ntlm,
    4777: _ntlm,
    4778: _station("reconnect"),
    4779: _station("disconnect"),
    4800: _station("lock"),
    4801: _station("unlock"),
}
"""What an event id means."""

_ON_HOSTS = frozenset({4624, 4625})
_ON_CONTROLLERS = frozenset({4768, 4771, 4776, 4777})


def by_domain(event_number: int, fact: Fact) -> Fact:
    """The same fact where only domain controllers' logs are read: theirs is the verdict, a host's is beside it."""
    if event_number in _ON_CONTROLLERS:
        fact["event_action"] = "login"
    elif event_number in _ON_HOSTS and fact["event_action"] == "login":
        fact["event_action"] = "session_start" if fact["event_outcome"] == "success" else "authentication"
    return fact
