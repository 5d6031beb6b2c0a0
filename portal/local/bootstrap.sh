#!/bin/sh
# Prints the path of a uv: the one on PATH, else a pinned one of our own in .uv/. Needs python3 with venv or pip.
set -eu
version=$1
if uv --version >/dev/null 2>&1; then command -v uv; exit 0; fi
if [ -x .uv/bin/uv ] && .uv/bin/uv --version | grep -qF "uv $version"; then echo .uv/bin/uv; exit 0; fi

complain() {
    echo >&2
    echo "$1" >&2
    echo "On Debian or Ubuntu:  apt-get update && apt-get install -y python3-venv" >&2
    echo >&2
    exit 1
}
command -v python3 >/dev/null || complain "Python 3.11 or newer is needed, and there is no python3 here."

rm -rf .uv
if python3 -m venv .uv >/dev/null 2>&1; then
    .uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$version" >&2 ||
        complain "uv $version could not be installed from the package index; the lines above say why."
else
    # Debian's python3 without python3-venv: pip alone may still install into a directory of ours.
    rm -rf .uv
    python3 -m pip --version >/dev/null 2>&1 || complain "This python3 has neither venv nor pip."
    python3 -m pip install --quiet --disable-pip-version-check --target .uv "uv==$version" >&2 ||
        complain "uv $version could not be installed from the package index; the lines above say why."
fi
echo .uv/bin/uv
