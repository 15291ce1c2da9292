#!/bin/sh
# Installs what tests need and pip does not have: a Chromium for the pages, a PostgreSQL other than our own, and a Redis.
set -eu

missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
[ -n "$missing" ] || exit 0

# On a build machine a missing package must not turn into skipped tests.
give_up() {
    echo "system packages: $1; please install:$missing" >&2
    [ -z "${CI:-}" ] || exit 1
    echo "system packages: going on without; the tests that need them are skipped" >&2
    exit 0
}

command -v apt-get >/dev/null 2>&1 || give_up "this is not a Debian or Ubuntu"

if [ "$(id -u)" = 0 ]; then
    as_root="env"
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n env"
else
    give_up "apt-get needs root, and sudo would ask for a password"
fi

apt="$as_root DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3"
echo "Installing with apt-get:$missing"
$apt update || give_up "apt-get update failed"
case "$missing" in
*postgresql*)
    $apt install --yes --no-install-recommends postgresql-common >/dev/null || give_up "apt-get install failed"
    # Tests make clusters of their own, so Debian need not make and start one.
    $as_root sed -i "s/^#\\?create_main_cluster.*/create_main_cluster = false/" /etc/postgresql-common/createcluster.conf
    ;;
esac
# shellcheck disable=SC2086
$apt install --yes --no-install-recommends $missing >/dev/null || give_up "apt-get install failed"
