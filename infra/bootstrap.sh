# Sourced by infra/demo and infra/test, which set `here`. Finds a Python that the lock supports and hands over to
# the package infra.bootstrap. Only the shell's own commands: on a bare machine there may be nothing else.

# -I keeps the current folder and the caller's Python settings out; so the clone is put on the path by hand.
enter='
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("infra.bootstrap", run_name="__main__", alter_sys=True)
'
supported='3.11 3.12 3.13 3.14'
found=''
python=''

tell() { printf 'aupstream: %s\n' "$*" >&2; }

# Sets `python` when the given one can be used, else notes in `found` what is wrong with it. A pyenv shim may stand on
# the PATH and yet fail, so each is run and not only looked at.
consider() {
    [ -x "$1" ] && [ ! -d "$1" ] || return 1
    version=$("$1" -E -s -c 'import sys; sys.stdout.write("%d.%d" % sys.version_info[:2])' 2>/dev/null </dev/null) ||
        version=''
    case " $supported " in
        *" ${version:-none} "*) ;;
        *) found="$found
  $1: ${version:-does not run}" && return 1 ;;
    esac
    if ! "$1" -E -s -c 'import ctypes, fcntl, ssl, venv, zlib' 2>/dev/null </dev/null; then
        found="$found
  $1: $version, but built without one of ctypes, ssl, venv or zlib"
        return 1
    fi
    python=$1
}

# Sets `python`: the first usable one on the PATH, then of pyenv's versions, then that of an earlier set-up.
find_python() {
    if [ -n "${AUPSTREAM_PYTHON:-}" ]; then
        case $AUPSTREAM_PYTHON in
            */*) consider "$AUPSTREAM_PYTHON" && return 0 ;;
            *) consider "$(command -v "$AUPSTREAM_PYTHON" || :)" && return 0 ;;
        esac
        found="$found
  AUPSTREAM_PYTHON=$AUPSTREAM_PYTHON is set, so no other was looked for"
        return 1
    fi
    old_ifs=$IFS
    IFS=:
    set -f
    for directory in ${PATH:-}; do
        IFS=$old_ifs
        for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
            consider "${directory:-.}/$name" && set +f && return 0
        done
    done
    IFS=$old_ifs
    set +f
    for candidate in "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[1-4]*/bin/python3 "$here/../.venv/bin/python"; do
        consider "$candidate" && return 0
    done
    return 1
}

set_up_and_run() {
    if find_python; then
        root=$(cd -- "$here/.." && pwd -P)
        exec "$python" -I -c "$enter" "$root" "$@"
    fi
    tell "no usable Python: one of $supported is needed. Found:${found:- none}"
    tell "Install one (Debian, Ubuntu: apt install python3 python3-venv; Fedora: dnf install python3.13;"
    tell "macOS: brew install python@3.13) and run this again, or name one: AUPSTREAM_PYTHON=/path/to/python3.13 $0"
    exit 4
}
