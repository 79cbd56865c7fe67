#!/usr/bin/env bash
# Start a tool in several processes: launch.sh PROCESSES SCRIPT ARGS... (used by dist_train.sh and dist_test.sh)
set -euo pipefail
case $1 in
    '' | *[!0-9]* | 0)
        echo "error: GPUS must be a number of processes of at least 1, got '$1'; see --help" >&2
        exit 2
        ;;
esac
python=${PYTHON:-$(command -v python || command -v python3)}
"$python" -c 'import aclnet, torch' 2>/dev/null || {
    echo "error: $python lacks aclnet or torch; activate their environment, or install with: pip install -e ." >&2
    exit 2
}
exec "$python" -m aclnet.launch "$@"
