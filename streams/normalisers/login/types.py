"""Logins to hosts, services and domains."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType, enveloped, program

TYPES: Final[Mapping[str, NormaliserType]] = {
    "openssh": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.openssh:OpensshNormaliser",
        "auth.log or secure: OpenSSH, Dropbear, PAM, su, sudo, login",
        needs="LogLevel VERBOSE in sshd_config to see the keys that failed; UseDNS no",
        claims=re.compile(
            program("sshd|sshd-session|sshd-auth|dropbear|sudo|systemd-logind").pattern
            + rb"|\d\d:\d\d:\d\d\S{0,40} (?:\S{1,255} )?(?:su|login)(?:\[\d{1,10}\])?: "  # words that others use too
        ),
    ),
    "dovecot": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.dovecot:DovecotNormaliser",
        "Dovecot: IMAP, POP3, ManageSieve and submission logins, through syslog or its own log file",
        needs="login_log_format_elements with user, method, rip and session; auth_verbose_passwords = no",
        claims=re.compile(
            rb"(?:^|[ /])dovecot(?:\[\d+\])?: |"
            rb"(?:^|[\d\s])(?:imap|pop3|managesieve|submission)-login: (?:Info: )?(?:Login|Disconnected|Aborted login)"
            + enveloped("dovecot")
        ),
    ),
    "exchange_imap_pop": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.exchange_imap_pop:ExchangeImapPopNormaliser",
        "Microsoft Exchange: protocol logs of IMAP4 and POP3",
        needs="Set-ImapSettings and Set-PopSettings -ProtocolLogEnabled $true, then restart the services",
        claims=re.compile(
            rb"^\d{4}-\d\d-\d\dT[\d:.]{8,16}Z,[0-9A-Fa-f]{16},\d{1,9},[^,]{0,64},[^,]{0,64},[^,]{0,256},\d*,\d*,\d*,"
        ),
        preamble=re.compile(rb"(?:\xef\xbb\xbf)?#(?:Software|Version|Log-type|Fields): "),
    ),
    "nginx_mail": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.nginx_mail:NginxMailNormaliser",
        "nginx as mail proxy (IMAP, POP3, SMTP): its error log",
        needs="error_log … info in the mail block of nginx.conf",
        claims=re.compile(rb"\d#\d+: \*\d+ (?:client logged in|client login failed|proxied session done), "),
    ),
    "zimbra": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.zimbra:ZimbraNormaliser",
        "Zimbra audit.log and mailbox.log",
        needs="audit.log (it has the verdicts); mailbox.log adds nothing that is counted",
        claims=re.compile(rb";\] security - cmd=|;\] SoapEngine - |;\] imap - "),
    ),
    "proftpd": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.proftpd:ProftpdNormaliser",
        "ProFTPD, through syslog or its SystemLog",
        needs="UseReverseDNS off, so that addresses stay addresses",
        claims=re.compile(rb"(?:^|[ /])proftpd\[\d+\]:? " + enveloped("proftpd")),
    ),
    "pure_ftpd": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.pure_ftpd:PureFtpdNormaliser",
        "Pure-FTPd, through syslog",
        needs="DontResolve yes (-H), so that addresses stay addresses; VerboseLog no will do",
        claims=re.compile(rb"(?:^|[ /])pure-ftpd(?:-\w+)?(?:\[\d+\])?: " + enveloped(r"pure-ftpd(?:-\w+)?")),
    ),
    "vsftpd": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.vsftpd:VsftpdNormaliser",
        "vsftpd, its own log or through syslog",
        needs="xferlog_enable=YES, xferlog_std_format=NO; log_ftp_protocol=YES to see users whom the list denies",
        claims=re.compile(
            rb"^[A-Z][a-z]{2} [A-Z][a-z]{2} {1,2}\d{1,2} [\d:]{8} \d{4} \[pid \d+\] |(?:^|[ /])vsftpd(?:\[\d+\])?: "
            + enveloped("vsftpd")
        ),
    ),
    "imap_pop": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.imap_pop:ImapPopNormaliser",
        "Courier, Cyrus and UW IMAP and POP3 servers, through syslog",
        needs="syslog facility mail in a file; Cyrus: syslog at info",
        claims=re.compile(
            rb"(?:imapd|pop3d)(?:-ssl)?(?:\[\d+\])?: (?:LOGIN|LOGOUT|DISCONNECTED|TIMEOUT|Connection), |"
            rb"(?:imaps?|pop3s?|sieve)\[\d+\]: (?:bad)?login: |(?:imapd|ipop3d)\[\d+\]: (?:Login|Logout|Autologout) "
        ),
    ),
    "openldap": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.openldap:OpenldapNormaliser",
        "OpenLDAP slapd: binds",
        needs="olcLogLevel: stats (256)",
        claims=re.compile(
            rb"(?:^|[ /])slapd\[\d+\]: |conn=\d+ (?:op|fd)=\d+ (?:BIND|ACCEPT|RESULT tag=97|UNBIND|SRCH)"
            + enveloped("slapd")
        ),
    ),
    "samba": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.samba:SambaNormaliser",
        "Samba: authentication audit, text and JSON",
        needs="log level = 1 auth_audit:3 auth_json_audit:3 in smb.conf",
        claims=re.compile(
            rb"Auth: \[[^\]]{1,120}\] user \[|Successful AuthZ: \[|JSON Auth(?:entication|orization): |"
            rb'"type" ?: ?"Auth(?:entication|orization)"'
        ),
    ),
    "routeros": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.routeros:RouterosNormaliser",
        "MikroTik RouterOS: logins to the router, hotspot and PPP",
        needs="/system logging add action=remote topics=system,account (and hotspot,account; ppp,account)",
        claims=re.compile(
            rb"(?:system,(?:error,critical|info,account)|hotspot,[a-z,]{4,40}|"
            rb"(?:l2tp|pptp|sstp|ppp|pppoe|ovpn),[a-z,]{3,40}):? "
        ),
    ),
    "web_login": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.web_login:WebLoginNormaliser",
        "Smaller sign-on products: Authelia, authentik, LemonLDAP::NG, Mailu, Teleport",
        needs="Authelia: log.level debug for successes; Teleport: the audit log as JSON lines",
        claims=re.compile(
            rb"FA authentication attempt |details for user with username input|\"logger\" ?: ?\"authentik\\.|"
            rb"WARNING in limiter: Authentication|: Login attempt for: |\"event\" ?: ?\"user\\.login\"|"
            rb"(?:LLNG|lemonldap-ng)\[\d+\]: | authentication attempt (?:made )?by user '"
        ),
    ),
}
