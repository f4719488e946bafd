#!/usr/bin/env bash
# Debian packages that no wheel carries: Triton's Python stub links the system's libpython.
set -euo pipefail
version=$(${PYTHON:-python3.11} -c 'import sys; print("%d.%d" % sys.version_info[:2])')
library="libpython$version.so.1.0"
if ldconfig -p | grep -q "$library"; then exit 0; fi
package="libpython$version"
if [ "$(id -u)" -eq 0 ]; then sudo=; elif command -v sudo >/dev/null; then sudo=sudo; else
    echo "setup: expected $library, got none; install it with: apt-get install $package" >&2
    exit 1
fi
echo "setup: installing the Debian package $package"
$sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "$package"
