"""DHCP servers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType, program

_NIOS = rb" TransID [0-9A-Fa-f]{1,8}| lease-duration \d|DHCPEXPIRE on |r-l-e:"  # what Infoblox adds to ISC's lines

TYPES: Final[Mapping[str, NormaliserType]] = {
    "isc_dhcpd": NormaliserType(
        EventKind.DHCP,
        "streams.normalisers.dhcp.isc_dhcpd:IscDhcpdNormaliser",
        "ISC dhcpd through syslog, versions 4 and 6 (OPNsense, pfSense, EfficientIP SOLIDserver too)",
        needs="log-facility to syslog; a log() statement on commit for option 82, vendor class and fingerprint",
        claims=re.compile(
            rb"(?:(?:^|[\s/])dhcpd(?:\[[^\]\s]{0,20}\])?:\s|^<\d{1,3}>1 \S+ \S+ (?:\S{0,64}/)?dhcpd "
            rb'|"SYSLOG_IDENTIFIER":"dhcpd")(?!.*(?:' + _NIOS + rb"))"
        ),
    ),
    "kea": NormaliserType(
        EventKind.DHCP,
        "streams.normalisers.dhcp.kea:KeaNormaliser",
        "Kea: logger lines of kea-dhcp4 and kea-dhcp6, forensic log, lease files",
        needs="loggers at severity INFO (DEBUG, debuglevel 55, for refusals), or libdhcp_legal_log.so; or a lease file",
        claims=re.compile(
            rb"(?:FATAL|ERROR|WARN|INFO|DEBUG) {1,3}\[kea-dhcp[46]|(?:^| )LEGAL_LOG_SYSLOG "
            rb"|^\d{4}-\d\d-\d\d[ T][\d:.,]{8,18} (?:\S{1,6} )?(?:(?:Address|Prefix): |Administrator |HA partner )"
            rb"|^[0-9a-f.:]{3,45},(?:[0-9a-f:]{0,60},){1,2}\d{1,10},\d{1,13},\d{1,10},",
        ),
        preamble=re.compile(rb"address,(?:hwaddr,client_id|duid),"),
    ),
    "ms_dhcp": NormaliserType(
        EventKind.DHCP,
        "streams.normalisers.dhcp.ms_dhcp:MsDhcpNormaliser",
        "Microsoft DHCP server: audit logs of versions 4 and 6",
        needs="DHCP audit logging enabled, which is the default: DhcpSrvLog-*.log and DhcpV6SrvLog-*.log",
        claims=re.compile(
            rb'(?:^|[\s"])\d{2,5},\d{1,4}[/.\-]\d{1,2}[/.\-]\d{1,4},\d\d:\d\d:\d\d,[^,\d]'
            rb'|"I[Dd]":"?\d{2,5}"?,"Date":"[\d/.\-]{6,10}","Time":'
        ),
        preamble=re.compile(rb"(?!(?:\xef\xbb\xbf)?\d{2,5},|<\d{1,3}>|\{|\d{4}-\d\d-\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:)"),
        options={"date_order": "order of the numbers of a date: mdy (default), dmy or ymd"},
    ),
    "dnsmasq": NormaliserType(
        EventKind.DHCP,
        "streams.normalisers.dhcp.dnsmasq:DnsmasqNormaliser",
        "dnsmasq: leases, with log-dhcp fingerprints too (OpenWrt, ASUS, Pi-hole, libvirt)",
        needs="dhcp without quiet-dhcp; log-dhcp for vendor class, option 55 and lease time",
        claims=re.compile(
            rb"(?:^|[\s/])dnsmasq-dhcp(?:\[[^\]\s]{0,20}\])?:\s|^<\d{1,3}>1 \S+ \S+ dnsmasq-dhcp "
            rb'|"SYSLOG_IDENTIFIER":"dnsmasq-dhcp"'
            rb"|dnsmasq(?:\[\d{1,10}\])?: (?:\d{1,10} )?(?:DHCP[A-Z\-]{3,20}|RTR-[A-Z]{5,7}|SLAAC-CONFIRM)\("
        ),
    ),
    "infoblox": NormaliserType(
        EventKind.DHCP,
        "streams.normalisers.dhcp.infoblox:InfobloxNormaliser",
        "Infoblox NIOS: dhcpd and dhcpdv6 through syslog",
        needs="Grid properties, Monitoring: log to external syslog servers, category DHCP",
        claims=re.compile(
            rb"(?:^|[\s/])dhcpd(?:v6(?:\[\d{1,10}\])?: |(?:\[\d{1,10}\])?: .*(?:" + _NIOS + rb"))"
            rb"|^<\d{1,3}>1 \S+ \S+ dhcpd(?:v6 | .*(?:" + _NIOS + rb"))"
        ),
    ),
    "mikrotik": NormaliserType(
        EventKind.DHCP,
        "streams.normalisers.dhcp.mikrotik:MikrotikNormaliser",
        "MikroTik RouterOS: DHCP server",
        needs="/system logging topics=dhcp,!debug action=remote, with bsd-syslog=yes",
        claims=re.compile(rb"(?:^|[\s|])dhcp,(?:info|warning|error|critical|debug)[ ,|]"),
    ),
    "cisco_ios": NormaliserType(
        EventKind.DHCP,
        "streams.normalisers.dhcp.cisco_ios:CiscoIosNormaliser",
        "Cisco IOS and IOS XE: DHCP server and DHCP snooping",
        needs="service timestamps datetime msec year show-timezone; debug ip dhcp server events for leases",
        claims=re.compile(rb"%DHCPD-\d-[A-Z_]+:|%DHCP_SNOOPING-\d-[A-Z_]+:|: {1,3}DHCPD ?: "),
    ),
    "dhclient": NormaliserType(
        EventKind.DHCP,
        "streams.normalisers.dhcp.dhclient:DhclientNormaliser",
        "ISC dhclient: leases as a client sees them, and who offers them",
        claims=program("dhclient"),
    ),
    "isc_leases": NormaliserType(
        EventKind.DHCP,
        "streams.normalisers.dhcp.isc_leases:IscLeasesNormaliser",
        "ISC dhcpd: lease files of versions 4 and 6",
        claims=re.compile(
            rb'^lease [0-9.]{7,15} \{\s*$|^ia-(?:na|ta|pd) "|^ {2,4}(?:(?:starts|ends|tstp|cltt) (?:\d |epoch |never)'
            rb"|(?:next |rewind )?binding state )"
        ),
        preamble=re.compile(rb"#|\s*$|authoring-byte-order|server-duid|lease |ia-|\s*\}"),
    ),
}
