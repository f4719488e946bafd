#!/usr/bin/env bash
# Debian packages that no wheel carries: Triton's Python stub links the system's libpython, and with
# `--browser` the tests of the labeling UI get a Chromium (they are skipped where it cannot be had).
set -euo pipefail
if [ "${1:-}" = --browser ]; then
    if command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then exit 0; fi
    package=chromium wanted=Chromium
else
    version=$(${PYTHON:-python3.11} -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    library="libpython$version.so.1.0"
    if ldconfig -p | grep -q "$library"; then exit 0; fi
    package="libpython$version" wanted="$library"
fi
if [ "$(id -u)" -eq 0 ]; then sudo=; elif command -v sudo >/dev/null; then sudo=sudo; else
    echo "setup: expected $wanted, got none; install it with: apt-get install $package" >&2
    exit 1
fi
echo "setup: installing the Debian package $package"
$sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "$package"
