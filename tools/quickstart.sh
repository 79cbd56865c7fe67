#!/usr/bin/env bash
# From a fresh clone to two trained, tested and fused streams.
set -euo pipefail
usage() {
    cat <<'TEXT'
usage: bash tools/quickstart.sh

The first run, on a machine that has nothing but Python 3.10, 3.11 or 3.12: make the virtual environment .venv and
install into it, make demo data, train two streams on it (on a GPU if there is one), test them on ten clips, fuse them,
and draw a confusion matrix and the superclasses. About 6 minutes on 2 cores, the download of torch apart.
A second call reuses everything; one after an interruption goes on where it was. rm -r work_dirs/demo starts anew.

environment:
  ACLNET_VENV         another folder than .venv
  ACLNET_PYTHON       interpreter to make it with (default: the first that fits)
  ACLNET_TORCH_INDEX  where torch's build without CUDA comes from if there is no NVIDIA GPU; empty for pip's default

examples:
  bash tools/quickstart.sh
  ACLNET_PYTHON=python3.11 ACLNET_VENV=/tmp/aclnet bash tools/quickstart.sh
TEXT
}
case "$#:${1:-}" in
    0:) ;;
    1:-h | 1:--help) usage; exit ;;
    *) usage >&2; exit 2 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
echo 'ACLNet quickstart: about 6 minutes on 2 cores, the download of torch apart'
echo '[1/4] environment'
source tools/env.sh
make_env viz
exec python tools/quickstart.py
