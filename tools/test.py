#!/usr/bin/env python3
"""Score a test set with a checkpoint; write the scores and print the metrics."""

from __future__ import annotations

import argparse

EXAMPLE = """\
examples:
  python tools/test.py configs/ntu60_xsub/j.py -C work_dirs/ntu60_xsub/j/latest.pth
  python tools/test.py configs/ntu60_xsub/j.py -C j.pth --out result.pkl --eval top_k_accuracy mean_class_accuracy
  bash tools/dist_test.sh configs/ntu60_xsub/j.py j.pth 4                 # four processes
"""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config', help='config file, such as configs/ntu60_xsub/j.py')
    parser.add_argument('-C', '--checkpoint', help="file or http(s) address (default: latest.pth in the config's work_dir)")
    parser.add_argument('--out', help='score file, .pkl, .json or .yaml (default: result.pkl in work_dir)')
    parser.add_argument('--eval', nargs='+', metavar='METRIC', help='top_k_accuracy, mean_class_accuracy, '
                        "mean_average_precision (default: the config's)")
    parser.add_argument('--fuse-conv-bn', action='store_true', help='kept for old scripts: it is always done')
    parser.add_argument('--average-clips', choices=['score', 'prob'], help='average logits or probabilities of the clips')
    parser.add_argument('--tmpdir', help='kept for old scripts: processes exchange scores without files')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='who started the processes')
    parser.add_argument('--compile', action='store_true', help='run the model through torch.compile')
    parser.add_argument('--amp', nargs='?', const='bf16', choices=['bf16', 'fp16'], help='mixed precision (default bf16)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='values that replace the config\'s')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> dict:
    args = parse(argv)
    from aclnet.apis.cli import test
    return test(args)


if __name__ == '__main__':
    from aclnet.errors import run_tool
    run_tool(main)
