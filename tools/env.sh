#!/usr/bin/env bash
# Make the virtual environment that the one-command scripts use; sourced by them from the repository's root.
# ACLNET_VENV names another folder than .venv; ACLNET_PYTHON another interpreter than the first that fits;
# ACLNET_TORCH_INDEX another index of torch's CPU builds, or none if empty.

find_python() {
    local candidate lacking=
    for candidate in ${ACLNET_PYTHON:-python3 python3.12 python3.11 python3.10 python}; do
        "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))' 2>/dev/null || continue
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            echo "$candidate"
            return
        fi
        lacking=${lacking:-$("$candidate" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')}
    done
    if [ -n "$lacking" ]; then
        echo "error: $lacking lacks venv or ensurepip, which virtual environments need; install them" \
            "(Debian, Ubuntu: apt install $lacking-venv)" >&2
    elif [ -n "${ACLNET_PYTHON:-}" ]; then
        echo "error: ACLNET_PYTHON=$ACLNET_PYTHON is no Python 3.10, 3.11 or 3.12" >&2
    else
        echo "error: there is no Python 3.10, 3.11 or 3.12 on PATH; install one (Debian, Ubuntu: apt install python3" \
            "python3-venv), or name one: ACLNET_PYTHON=/path/to/python3" >&2
    fi
    return 1
}

# torch's own index has a build without CUDA, a tenth of the download, for machines that have no NVIDIA GPU
torch_index() {
    local index=${ACLNET_TORCH_INDEX-https://download.pytorch.org/whl/cpu}
    if [ -n "$index" ] && [ ! -e /proc/driver/nvidia/version ] && ! command -v nvidia-smi >/dev/null 2>&1 &&
        "$1" -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1] + "/torch/", timeout=5)' "$index" 2>/dev/null; then
        echo "$index"
    fi
}

# make_env EXTRAS: install the package with these extras, unless that was done since setup.py last changed
make_env() {
    venv=${ACLNET_VENV:-.venv}
    local done=$venv/.has-$1 interpreter index
    if [ ! -e "$done" ] || [ setup.py -nt "$done" ] || [ constraints.txt -nt "$done" ]; then
        if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then # one that the user made is used as it is
            interpreter=$(find_python) || return
            echo "making the virtual environment $venv with $("$interpreter" --version)"
            "$interpreter" -m venv --clear "$venv"
        fi
        echo "installing into $venv: the first time this downloads torch and takes minutes"
        index=$(torch_index "$venv/bin/python")
        (
            export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
            if [ -n "$index" ]; then
                export PIP_EXTRA_INDEX_URL="${PIP_EXTRA_INDEX_URL:+$PIP_EXTRA_INDEX_URL }$index"
            fi
            "$venv/bin/python" -m pip install --quiet --upgrade pip
            # mmcv-full builds with the older setuptools that constraints.txt names
            export PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt
            "$venv/bin/python" -m pip install --quiet -e ".[$1]"
        )
        touch "$done"
    fi
    # the tools call "python"
    PATH=$(cd "$venv/bin" && pwd):$PATH
    export PATH
}
