#!/bin/sh
# Installs the systems that the benchmarks compare with, apart from what Switchboard itself needs: the Python ones
# into .venv-bench, the Node ones beside their programs. What cannot be installed is said, and absent in the results.
set -u

cd "$(dirname "$0")/.."
venv=.venv-bench
peers=bench/peers

is_whole=yes
skip() {
    echo "bench-install: $1; those peers will be absent, and are tried again the next time" >&2
    is_whole=no
}

install_python_peers() {
    [ -x "$venv/bin/python" ] || .venv/bin/python -m venv "$venv" || return 1
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input install -qq --require-hashes \
        --requirement requirements/bench.txt
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

install_node() {
    command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 && return
    command -v apt-get >/dev/null 2>&1 || return 1
    as_root apt-get -qq update && as_root apt-get -qq install --yes --no-install-recommends nodejs npm >/dev/null
}

# Nothing of these packages needs to be built: their native parts are optional, or come built.
install_node_peers() {
    npm ci --prefix "$peers" --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
}

install_python_peers || skip "the packages of requirements/bench.txt could not be installed"
if install_node; then
    install_node_peers || skip "npm could not install what $peers/package-lock.json names"
else
    skip "Node could not be installed: apt install nodejs npm"
fi
[ "$is_whole" = no ] || touch "$venv/.installed"
