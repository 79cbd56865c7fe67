#!/usr/bin/env bash
# Run the tests on a machine that has Python 3.10 to 3.12.
set -euo pipefail
usage() {
    cat <<'TEXT'
usage: bash tools/run_tests.sh [pytest options]

Run the tests. The first call makes the virtual environment .venv, which needs Python 3.10, 3.11 or 3.12 with venv.
Options go to pytest; .venv/bin/python -m pytest --help lists them.

environment:
  ACLNET_VENV         another folder than .venv
  ACLNET_PYTHON       interpreter to make it with (default: the first that fits)
  ACLNET_TEST_PROCESSES
                      processes that share all tests (default: 2); with options given, there is one
  ACLNET_TORCH_INDEX  where torch's build without CUDA comes from if there is no NVIDIA GPU; empty for pip's default

examples:
  bash tools/run_tests.sh
  bash tools/run_tests.sh tests/evaluation -k ensemble
  bash tools/run_tests.sh -m slow          # those that wait for real timeouts
TEXT
}
case ${1:-} in -h | --help) usage; exit ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/env.sh
make_env dev,viz
if [ $# = 0 ]; then # all of them, shared by processes of one thread each, the files that take minutes first
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
    set -- --numprocesses "${ACLNET_TEST_PROCESSES:-2}" --dist loadfile --no-loadscope-reorder --durations 15
fi
exec python -m pytest "$@"
