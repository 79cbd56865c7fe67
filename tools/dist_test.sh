#!/usr/bin/env bash
# Test with several processes: dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
# GPUS is the number of processes on this node; without a GPU they run on the CPU.
# example: bash tools/dist_test.sh configs/ntu60_xsub/j.py work_dirs/ntu60_xsub/j/latest.pth 4
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]" >&2
    exit 2
fi
here=$(dirname "${BASH_SOURCE[0]}")
config=$1 checkpoint=$2 gpus=$3
shift 3
exec bash "$here/launch.sh" "$gpus" "$here/test.py" "$config" -C "$checkpoint" "$@"
