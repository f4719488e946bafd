#!/usr/bin/env bash
# Debian packages that no wheel carries: Triton's Python stub links the system's libpython. With
# `--browser`, `--proxy`, `--wrk`, `--promtool` or `--postgresql` the tests get Chromium, HAProxy,
# another load generator, Prometheus (with its checker of rules and node exporter) or a database
# server (they are skipped where it cannot be had).
set -euo pipefail
here() { command -v "$@" >/dev/null; }
case "${1:-}" in
--browser)
    if here chromium || here chromium-browser; then exit 0; fi
    package=chromium wanted=Chromium
    ;;
--proxy)
    if PATH="$PATH:/usr/sbin" here haproxy; then exit 0; fi
    package=haproxy wanted=HAProxy
    ;;
--wrk)
    if here wrk; then exit 0; fi
    package=wrk wanted=wrk
    ;;
--promtool)    # taken out of their packages: installed, those would start servers of their own
    folder=$(mktemp -d) place=$PWD/.vigil/bin
    trap 'rm -rf "$folder"' EXIT
    for package in prometheus prometheus-node-exporter; do
        if PATH="$PATH:.vigil/bin" here "$package"; then continue; fi
        echo "setup: fetching the Debian package $package"
        (cd "$folder" && apt-get download -qq "$package" && dpkg-deb -x "$package"_*.deb .) >&2
        mkdir -p "$place" && install "$folder"/usr/bin/* "$place"
    done
    exit 0
    ;;
--postgresql)    # its programs: no server starts by itself
    if compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null; then exit 0; fi
    package=postgresql wanted=PostgreSQL
    if [ "$(id -u)" -eq 0 ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    fi
    ;;
*)
    version=$(${PYTHON:-python3.11} -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    library="libpython$version.so.1.0"
    if ldconfig -p | grep -q "$library"; then exit 0; fi
    package="libpython$version" wanted="$library"
    ;;
esac
if [ "$(id -u)" -eq 0 ]; then sudo=; elif here sudo; then sudo=sudo; else
    echo "setup: expected $wanted, got none; install it with: apt-get install $package" >&2
    exit 1
fi
echo "setup: installing the Debian package $package"
$sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "$package"
