#!/usr/bin/env bash
# Make the virtual environment that the one-command scripts use; sourced by them from the repository's root.
# ACLNET_VENV names another folder than .venv; ACLNET_PYTHON another interpreter.

find_python() {
    local candidate
    for candidate in ${ACLNET_PYTHON:-python3 python3.12 python3.11 python3.10 python}; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "error: no Python 3.10, 3.11 or 3.12 found; install one (Debian: apt install python3 python3-venv)" >&2
    return 1
}

make_env() {
    venv=${ACLNET_VENV:-.venv}
    if [ ! -e "$venv/.ready" ] || [ setup.py -nt "$venv/.ready" ] || [ constraints.txt -nt "$venv/.ready" ]; then
        if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then  # one that the user made is used as it is
            local interpreter
            interpreter=$(find_python)
            echo "making $venv with $("$interpreter" --version) (minutes, mostly downloads)"
            "$interpreter" -m venv "$venv" || {
                echo "error: $interpreter cannot make virtual environments; Debian: apt install python3-venv" >&2
                return 1
            }
        fi
        "$venv/bin/python" -m pip install --quiet --upgrade pip
        # mmcv-full builds with the older setuptools that constraints.txt names
        PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
            "$venv/bin/python" -m pip install --quiet -e '.[dev]'
        touch "$venv/.ready"
    fi
    # the tools call "python"
    PATH=$(cd "$venv/bin" && pwd):$PATH
    export PATH
}
