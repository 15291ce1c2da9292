#!/bin/sh
# Makes .venv and installs a requirements file into it, then Switchboard itself in place.
# Usage: tools/install.sh runtime|dev. PYTHON names the interpreter to use, if the right one is not found.
set -eu

cd "$(dirname "$0")/.."
kind=$1
venv=.venv

fail() {
    echo "install: $1" >&2
    exit 1
}

is_recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if is_recent "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and was not found: install it (Debian: apt install python3 python3-venv), or name it: make install PYTHON=/path/to/python3"
}

make_venv() {
    python=$(find_python)
    if ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        fail "$python has no venv module: apt install $(package_of "$python")-venv, or use another Python: make install PYTHON=/path/to/python3"
    fi
    echo "Making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
}

package_of() {
    "$1" -c 'import sys; print("python%d.%d" % sys.version_info[:2])'
}

# An interrupted installation can leave an environment without pip, and an upgrade of the system one without Python.
if ! is_recent "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    make_venv
fi

echo "Installing from requirements/$kind.txt (about half a minute; again only when it changes)"
pip="$venv/bin/python -m pip --disable-pip-version-check --no-input"
$pip install -qq --require-hashes --requirement "requirements/$kind.txt" ||
    fail "the packages could not be installed, pip says why above: check the network or the package index, then run make again"
# The build back end is pinned among the requirements, so nothing is fetched unpinned to build Switchboard itself.
$pip install -qq --no-deps --no-build-isolation --editable .
