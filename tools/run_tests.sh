#!/usr/bin/env bash
# Run the tests on a machine that has Python 3.10 to 3.12: run_tests.sh [pytest options]
# Makes the virtual environment .venv on the first run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/env.sh
make_env
exec python -m pytest "$@"
