#!/usr/bin/env bash
# Start a tool in several processes: launch.sh PROCESSES SCRIPT ARGS... (used by dist_train.sh and dist_test.sh)
set -euo pipefail
processes=$1
shift
case $processes in
    '' | *[!0-9]* | 0)
        echo "error: GPUS must be a number of processes of at least 1, got '$processes'; see --help" >&2
        exit 2
        ;;
esac
python=${PYTHON:-$(command -v python || command -v python3)}
"$python" -c 'import aclnet, torch' 2>/dev/null || {
    echo "error: $python lacks aclnet or torch; activate their environment, or install with: pip install -e ." >&2
    exit 2
}
nodes=${NNODES:-1}
if [ "$processes" = 1 ] && [ "$nodes" = 1 ]; then
    exec "$python" "$@" --launcher none
fi
# processes on one machine share its cores
cores=$(getconf _NPROCESSORS_ONLN)
export TORCH_CPP_LOG_LEVEL=${TORCH_CPP_LOG_LEVEL:-ERROR}  # DDP notes each time that a projection is or isn't idle
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores / processes > 0 ? cores / processes : 1))}
port=${MASTER_PORT:-}
if [ -z "$port" ]; then
    port=29500
    if [ "$nodes" = 1 ]; then  # several trainings may share a machine
        port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    fi
fi
exec "$python" -m aclnet.launch --nproc_per_node="$processes" --nnodes="$nodes" \
    --node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="$port" \
    "$@" --launcher pytorch
