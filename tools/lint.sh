#!/usr/bin/env bash
# Check style, layout and type hints; continuous integration runs this before the tests.
set -euo pipefail
usage() {
    cat <<'TEXT'
usage: bash tools/lint.sh [--fix]

Check the whole repository with ruff (style, then layout) and the type hints of aclnet/ with mypy; stop at the first
that fails. The first call makes the virtual environment .venv, as tools/run_tests.sh --help says.

  --fix  let ruff mend what it can before the checks

examples:
  bash tools/lint.sh
  bash tools/lint.sh --fix
TEXT
}
case "$#:${1:-}" in
    0:) fix= ;;
    1:--fix) fix=yes ;;
    1:-h | 1:--help) usage; exit ;;
    *) usage >&2; exit 2 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/env.sh
make_env dev,viz
if [ -n "$fix" ]; then
    python -m ruff check --quiet --fix --exit-zero
    python -m ruff format --quiet
fi
python -m ruff check
python -m ruff format --check
python -m mypy
