#!/usr/bin/env bash
# Make a virtual environment on a machine whose Python may lack ensurepip (Debian keeps it in
# python3-venv, which a bare system does not have). Usage: PYTHON=python3 make-venv.sh DIRECTORY
set -euo pipefail

directory=$1
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Labelbridge needs Python 3.11 or newer; '$python' is not. Say which: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
        echo "Python's venv module is incomplete. Install it first: apt-get install python3-venv" >&2
        exit 1
    fi
    echo "Installing python3-venv"
    install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq)
    "${install[@]}" "python${version}-venv" >/dev/null 2>&1 || {
        "${as_root[@]}" apt-get update -qq
        "${install[@]}" "python${version}-venv" >/dev/null || "${install[@]}" python3-venv >/dev/null
    }
fi

echo "Making the virtual environment in $directory"
"$python" -m venv "$directory"
