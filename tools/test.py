#!/usr/bin/env python3
"""Score a test set with a checkpoint; write the scores and print the metrics."""

from __future__ import annotations

import argparse

from aclnet.errors import run_tool
from aclnet.options import parser

EXAMPLES = """\
  python tools/test.py configs/ntu60_xsub/j.py -C work_dirs/ntu60_xsub/j/latest.pth
  python tools/test.py configs/utd_mhad/b.py --out work_dirs/utd_mhad/b/result.json --eval mean_class_accuracy
  bash tools/dist_test.sh configs/ntu60_xsub/j.py work_dirs/ntu60_xsub/j/latest.pth 4   # four processes
"""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    options = parser(__doc__, EXAMPLES)
    options.add_argument('-C', '--checkpoint', help='file or http(s) address (default: latest.pth in work_dir)')
    options.add_argument(
        '--out', metavar='FILE', help='score file to write, .pkl, .json or .yaml (default: result.pkl in work_dir)'
    )
    options.add_argument(
        '--eval',
        nargs='+',
        metavar='METRIC',
        help="top_k_accuracy, mean_class_accuracy, mean_average_precision (default: the config's)",
    )
    options.add_argument(
        '--average-clips',
        choices=['score', 'prob'],
        help="average the clips' logits or their probabilities (default: the config's, else prob)",
    )
    options.add_argument('--fuse-conv-bn', action='store_true', help='kept for old scripts: it is always done')
    options.add_argument(
        '--tmpdir', metavar='DIR', help='kept for old scripts: processes exchange scores without files'
    )
    return options.parse_args(argv)


def main(argv: list[str] | None = None) -> dict:
    args = parse(argv)
    from aclnet.apis.cli import test

    return test(args)


if __name__ == '__main__':
    run_tool(main)
