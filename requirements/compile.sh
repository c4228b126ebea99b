#!/bin/sh
# Rewrites requirements/*.lock from pyproject.toml: every dependency with its exact version and hashes, for every
# platform and Python 3.11 or newer, and without the address of an index.
#
# usage: requirements/compile.sh [uv options, such as --upgrade or --upgrade-package NAME]
# Needs uv: the one that $UV names, on the PATH or in .venv/bin.
set -eu
cd "$(dirname "$0")/.."

uv=${UV:-$(command -v uv || echo .venv/bin/uv)}
if ! "$uv" --version >/dev/null 2>&1; then
    echo "requirements/compile.sh: uv is not there; install it (pipx install uv), or name it: UV=/path/to/uv" >&2
    exit 2
fi

compile() { # compile FILE [what to add to the runtime dependencies …]
    lock=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --output-file "$lock" "$@" pyproject.toml
}

compile requirements/runtime.lock "$@"
# The same versions in both: what is tested is what runs.
compile requirements/dev.lock --constraints requirements/runtime.lock --extra demo --extra testing --group dev "$@"
