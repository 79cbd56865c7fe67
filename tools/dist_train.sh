#!/usr/bin/env bash
# Train with several processes: dist_train.sh CONFIG GPUS [options of tools/train.py]
# GPUS is the number of processes on this node; without a GPU they run on the CPU.
# NNODES, NODE_RANK, MASTER_ADDR, MASTER_PORT and CUDA_VISIBLE_DEVICES are respected.
# example: bash tools/dist_train.sh configs/ntu60_xsub/j.py 4 --validate --test-last --test-best
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]" >&2
    exit 2
fi
here=$(dirname "${BASH_SOURCE[0]}")
config=$1 gpus=$2
shift 2
exec bash "$here/launch.sh" "$gpus" "$here/train.py" "$config" "$@"
