"""What can go wrong while installing, and what the reader can do about it."""

from __future__ import annotations

import errno
import os
import re
import sys
import tempfile
from collections.abc import Mapping

from infra.bootstrap.clone import Clone, SetupError

NEEDED_MB = 2500  # .venv is 1.6 GB, and pip unpacks what it installs beside it

# What stands in pip's log, what that means, what to do. The first that is found counts.
FAULTS: tuple[tuple[str, str, str], ...] = (
    (
        r"No space left on device|Errno 28\b",
        "the disk is full",
        "free {needed} MB at {root} (and some in {temp}, or set TMPDIR) and run this again",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        "a downloaded package is not the one that the lock names",
        (
            "do not install it by hand. Run this again with PIP_NO_CACHE_DIR=1; if it stays, the registry or a proxy "
            "on the way alters packages: tell who runs it"
        ),
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerificationError",
        "the registry's certificate is not trusted here",
        (
            "a proxy that opens TLS needs its own certificate: set PIP_CERT=/path/to/ca.pem; also check this "
            "machine's clock"
        ),
    ),
    (
        (
            r"connection error|NewConnectionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|Read timed out|"
            r"Connection (?:refused|reset|aborted)|name resolution|Network is unreachable|RemoteDisconnected"
        ),
        "the package registry cannot be reached",
        (
            "check the network, and run this again; behind a proxy set HTTPS_PROXY, for a mirror set PIP_INDEX_URL. "
            "What pip has in its cache is not downloaded again"
        ),
    ),
    (
        r"Read-only file system|Permission denied|Errno 13\b|Errno 30\b",
        "a file cannot be written",
        "make {root} (and {temp}) writable for you, and if {root}/.venv belongs to somebody else, remove it",
    ),
    (
        r"No matching distribution found for",
        "the registry has no package for this machine ({machine}, Python {python})",
        (
            "supported are Linux with glibc on x86_64 and macOS on Apple silicon; a mirror (PIP_INDEX_URL) may also "
            "be incomplete"
        ),
    ),
)


def needed_mb(environ: Mapping[str, str]) -> int:
    """Free megabytes to ask for.

    Raises:
        SetupError: The environment's figure is no number.
    """
    text = environ.get("AUPSTREAM_SETUP_MB", "")
    if not text:
        return NEEDED_MB
    if not text.isdecimal():
        raise SetupError(f"AUPSTREAM_SETUP_MB={text} is no number", "give whole megabytes, or unset it")
    return int(text)


def fault(clone: Clone, env: Mapping[str, str], otherwise: str) -> SetupError:
    """Work out from the log what went wrong."""
    try:
        log = clone.pip_log.read_text("utf-8", errors="replace")
    except OSError:
        log = ""
    about = {
        "root": clone.root,
        "temp": env.get("TMPDIR", tempfile.gettempdir()),
        "needed": needed_mb(env),
        "machine": f"{os.uname().sysname} {os.uname().machine}",
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    said = [line for line in log.splitlines() if "ERROR" in line] or log.splitlines()
    # The errors first: the whole log also tells of what was tried in vain and then done without. But a registry that
    # cannot be reached ends in an error that only says "no matching distribution".
    for text, faults in (("\n".join(said), FAULTS[:-1]), (log, FAULTS)):
        for pattern, what, todo in faults:
            if re.search(pattern, text):
                return SetupError(what.format(**about), f"{todo.format(**about)}. pip's log: {clone.pip_log}")
    return SetupError("\n  ".join([f"{otherwise}:", *said[-8:]]), f"the whole log is {clone.pip_log}")


def os_fault(clone: Clone, error: OSError) -> SetupError:
    """An error of the file system, in the words of who has to mend it."""
    where = error.filename or clone.root
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SetupError(f"no space left while writing {where}", f"free about {NEEDED_MB} MB and run this again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return SetupError(f"{where} cannot be written", "clone into a folder of your own, or make this one writable")
    return SetupError(f"{where}: {error.strerror or error}", "mend that path and run this again")
