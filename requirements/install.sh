#!/bin/sh
# Makes .venv/ from requirements/dev.lock, with retentiond installed from this checkout. Run by the Makefile.
#
# PYTHON names the interpreter to use; without it, python3 and python3.14 … python3.11 are tried.
# Exits with 3 and a remedy when there is no Python 3.11 with the module venv.
set -eu
cd "$(dirname "$0")/.."

incomplete=
usable() { # usable INTERPRETER: is it 3.11 or newer, and can it make a virtual environment?
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1 || return 1
    "$1" -c 'import ensurepip, venv' </dev/null >/dev/null 2>&1 && return 0
    incomplete=${incomplete:-$1}
    return 1
}

find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if usable "$candidate"; then
            python=$candidate
            return 0
        fi
    done
    return 1
}

give_up() {
    if [ -n "$incomplete" ]; then
        version=$("$incomplete" -c 'import sys; print("%d.%d" % sys.version_info[:2])' </dev/null)
        echo "set-up: $incomplete (Python $version) lacks the modules venv and ensurepip." >&2
        echo "set-up: on Debian or Ubuntu: apt-get install python$version-venv" >&2
    else
        echo "set-up: no Python 3.11 or newer was found (tried ${PYTHON:+$PYTHON, }python3, python3.14 … python3.11)." >&2
        echo "set-up: install one, or name it: make PYTHON=/path/to/python3" >&2
    fi
    exit 3
}

# An environment that works is kept, so that a changed lock costs only what changed.
if ! usable .venv/bin/python || ! .venv/bin/python -m pip --version </dev/null >/dev/null 2>&1; then
    incomplete=
    find_python || give_up
    "$python" -m venv --clear .venv </dev/null
fi

pip() {
    .venv/bin/python -m pip --disable-pip-version-check --no-input "$@" </dev/null
}

echo "set-up: installing into .venv/ what requirements/dev.lock names"
# The lock is complete, so nothing is resolved: a resolver may look past it for a package that another one asks for
# with an extra, and then a new release on the index breaks the set-up.
pip install --quiet --no-deps --require-hashes --requirement requirements/dev.lock
pip install --quiet --no-deps --no-build-isolation --editable .
pip check >/dev/null || { pip check >&2; exit 1; }
