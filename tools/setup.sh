#!/bin/sh
# Installs Microzoo and everything it needs, pinned by hash, into a virtual environment.
# Usage: sh tools/setup.sh [FOLDER]      (default .venv; PYTHON=... chooses the interpreter for a new one)
set -eu
cd "$(dirname "$0")/.."
venv=${1:-.venv}

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

fits() { # is $1 a Python that we support?
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" || fail "PYTHON=$PYTHON is no Python 3.11 or newer; name another, or leave PYTHON unset"
        printf '%s\n' "$PYTHON"
        return
    fi
    for name in python3 python3.13 python3.12 python3.11; do
        if fits "$name"; then
            printf '%s\n' "$name"
            return
        fi
    done
    fail "no Python 3.11 or newer found; install one (Debian 12 and Ubuntu 24.04 have it as python3), or name it: PYTHON=/path/to/python3"
}

if ! fits "$venv/bin/python"; then
    python=$(find_python)
    printf 'setup: %s for %s (%s)\n' "$("$python" --version)" "$venv" "$(command -v "$python")"
    "$python" -m venv --clear "$venv" || fail "$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"
fi
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null \
    || fail "$venv has no pip and cannot get one; remove the folder and run this again"

"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt

if ! "$venv/bin/python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)'; then
    printf 'setup: installing the locked requirements.'
    if [ "$(uname -s)" = Linux ]; then
        printf ' PyTorch comes with its CUDA libraries: about 3 GB to download and 6 GB on disk, once.'
        free_kb=$(df -Pk "$venv" | awk 'NR == 2 { print $4 }')
        [ "$free_kb" -ge 8000000 ] || printf '\nsetup: only %s MB are free here; if the disk fills up, make room and run this again.' "$((free_kb / 1000))"
    fi
    printf '\n'
fi
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes --requirement requirements/all.txt
# hatchling and editables are among the locked requirements, so the project itself needs nothing more from anywhere.
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
# Python keeps what it compiles, save where it is told not to, as many images of containers do: every start would compile all anew.
if [ -n "${PYTHONDONTWRITEBYTECODE:-}" ]; then
    printf 'setup: compiling, since PYTHONDONTWRITEBYTECODE is set; half a minute\n'
    # Some packages bring templates that are no Python: those fail, and nobody imports them.
    "$venv/bin/python" -m compileall -qq -j 0 -x '/tests?/' "$venv"/lib/python3*/site-packages generator || true
fi
printf 'setup: ready; the program is %s/bin/zoo\n' "$venv"
