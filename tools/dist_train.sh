#!/usr/bin/env bash
# Train with several processes.
set -euo pipefail
usage() {
    cat <<'TEXT'
usage: bash tools/dist_train.sh CONFIG GPUS [--max-restarts N] [options of tools/train.py]

Train with several processes on this node, one per GPU, or on the CPU where there is no GPU.

  CONFIG            config file, such as configs/ntu60_xsub/j.py
  GPUS              number of processes on this node
  --max-restarts N  start all processes again, up to N times, when one dies (default: 0)

Options are those of tools/train.py; python tools/train.py --help lists them.

environment:
  CUDA_VISIBLE_DEVICES      GPUs to choose from
  NNODES, NODE_RANK         number of nodes, and this one's number from 0 (default: 1 and 0)
  MASTER_ADDR, MASTER_PORT  where the processes meet: the first node, and a port that is free there
                            (default: this node and a free port; 29500 with several nodes)
  NNODES=MIN:MAX            elastic: train with MIN to MAX nodes, as they come and go; without NODE_RANK
  RDZV_ENDPOINT=HOST:PORT   elastic, in place of MASTER_ADDR and MASTER_PORT
  RDZV_ID                   name of an elastic job, for several at one endpoint (default: aclnet)
  RDZV_TIMEOUT              seconds that nodes wait for each other (default: 600)
  STOP_TIMEOUT              seconds that processes have to end after Ctrl-C or SIGTERM (default: 60)
  PYTHON                    interpreter to run with (default: python)

examples:
  bash tools/dist_train.sh configs/ntu60_xsub/j.py 4 --validate --test-last --test-best
  CUDA_VISIBLE_DEVICES=2,3 bash tools/dist_train.sh configs/utd_mhad/b.py 2 --seed 0
  NNODES=2 NODE_RANK=0 MASTER_ADDR=10.0.0.1 bash tools/dist_train.sh configs/k400/j.py 8 --validate
  NNODES=1:4 RDZV_ENDPOINT=10.0.0.1:29500 bash tools/dist_train.sh configs/k400/j.py 8 --max-restarts 3
TEXT
}
case " $* " in *' -h '* | *' --help '*) usage; exit ;; esac
if [ $# -lt 2 ]; then
    usage >&2
    exit 2
fi
here=$(dirname "${BASH_SOURCE[0]}")
config=$1 gpus=$2
shift 2
exec bash "$here/launch.sh" "$gpus" "$here/train.py" "$config" "$@"
