"""Why lines of identity providers and mail and file servers are ignored."""

from __future__ import annotations

from streams.normalisers.reasons import IgnoredReason


class CloudIgnored(IgnoredReason):
    """Reasons of these formats."""

    ADMINISTRATION = "administration"  # a change to accounts, policies or applications, by an administrator or the user
    DOVECOT_OTHER = "dovecot_other"  # mailbox work, delivery, the master process
    EXCHANGE_COMMAND = "exchange_command"  # an IMAP or POP command of somebody who is logged in
    NGINX_OTHER = "nginx_other"  # requests, resolver errors and all that is no mail session
    ZIMBRA_OTHER = "zimbra_other"  # mailbox work and what follows an exception
    CAS_RECORD_PART = "cas_record_part"  # a line of a record over several lines, whose event stands at another of them
    CAS_OTHER = "cas_other"  # proxy tickets, validation, services
    KEYCLOAK_OTHER = "keycloak_other"  # questions about tokens, and what the server says of itself
    SHIBBOLETH_OTHER = "shibboleth_other"  # metadata, attributes, messages, all that is no login and no session
    FTP_CHAT = "ftp_chat"  # commands, answers, directories, settings of an FTP server
    IMAP_OTHER = "imap_other"  # mailbox work and what an IMAP or POP server says of itself
    LDAP_OPERATION = "ldap_operation"  # searches, changes and their results
    SAMBA_OTHER = "samba_other"  # shares, authorisation, and what Samba says of itself
    WEB_LOGIN_OTHER = "web_login_other"  # pages, sessions without a verdict, and what the product says of itself
