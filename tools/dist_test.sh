#!/usr/bin/env bash
# Test with several processes.
set -euo pipefail
usage() {
    cat <<'TEXT'
usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]

Score a test set with several processes on this node, one per GPU, or on the CPU where there is no GPU.

  CONFIG      config file, such as configs/ntu60_xsub/j.py
  CHECKPOINT  file or http(s) address, such as work_dirs/ntu60_xsub/j/latest.pth
  GPUS        number of processes on this node

Options are those of tools/test.py; python tools/test.py --help lists them.

environment:
  CUDA_VISIBLE_DEVICES      GPUs to choose from
  NNODES, NODE_RANK         number of nodes, and this one's number from 0 (default: 1 and 0)
  MASTER_ADDR, MASTER_PORT  where the processes meet: the first node, and a port that is free there
                            (default: this node and a free port; 29500 with several nodes)
  RDZV_TIMEOUT              seconds that nodes wait for each other (default: 600)
  PYTHON                    interpreter to run with (default: python)

examples:
  bash tools/dist_test.sh configs/ntu60_xsub/j.py work_dirs/ntu60_xsub/j/latest.pth 4
  bash tools/dist_test.sh configs/utd_mhad/b.py work_dirs/utd_mhad/b/latest.pth 2 --eval mean_class_accuracy
TEXT
}
case " $* " in *' -h '* | *' --help '*) usage; exit ;; esac
if [ $# -lt 3 ]; then
    usage >&2
    exit 2
fi
here=$(dirname "${BASH_SOURCE[0]}")
config=$1 checkpoint=$2 gpus=$3
shift 3
exec bash "$here/launch.sh" "$gpus" "$here/test.py" "$config" -C "$checkpoint" "$@"
