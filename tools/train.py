#!/usr/bin/env python3
"""Train a model by its config, in one process or as one process of a launcher."""

from __future__ import annotations

import argparse

from aclnet.errors import run_tool
from aclnet.options import parser

EXAMPLES = """\
  python tools/train.py configs/ntu60_xsub/j.py --validate --test-last --test-best
  python tools/train.py configs/utd_mhad/b.py --seed 0 --cfg-options total_epochs=20 optimizer.lr=0.05
  python tools/train.py configs/ntu60_xsub/j.py --resume-from work_dirs/ntu60_xsub/j/epoch_90.pth
  python tools/train.py configs/ntu60_xsub/j.py --amp bf16 --compile --batch-size 64   # on a GPU
  bash tools/dist_train.sh configs/ntu60_xsub/j.py 4 --validate          # four processes
"""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    options = parser(__doc__, EXAMPLES)
    options.add_argument(
        '--validate', action='store_true', help='score data.val as training goes, and keep the best checkpoint'
    )
    options.add_argument('--test-last', action='store_true', help='score data.test with the last checkpoint at the end')
    options.add_argument('--test-best', action='store_true', help='score data.test with the best checkpoint at the end')
    options.add_argument(
        '--seed', type=int, metavar='N', help='seed of weights, order and augmentation (default: drawn, and logged)'
    )
    options.add_argument('--deterministic', action='store_true', help='choose repeatable algorithms on a GPU')
    options.add_argument(
        '--work-dir', metavar='DIR', help="where logs and checkpoints go (default: the config's work_dir)"
    )
    options.add_argument(
        '--resume-from',
        metavar='CHECKPOINT',
        help="checkpoint to go on from (default: work_dir's latest.pth, if it is there)",
    )
    options.add_argument(
        '--batch-size',
        type=int,
        metavar='N',
        help="samples per process and step (default: the config's data.videos_per_gpu); optimizer.lr is scaled in "
        'proportion',
    )
    rate = options.add_mutually_exclusive_group()
    rate.add_argument('--keep-lr', action='store_true', help='take optimizer.lr as it stands, whatever --batch-size')
    rate.add_argument(
        '--autoscale-lr',
        action='store_true',
        help='scale optimizer.lr with the samples per update: from auto_scale_lr.base_batch_size to those of all '
        'processes',
    )
    options.add_argument('--no-auto-resume', action='store_true', help='start anew even if work_dir holds a latest.pth')
    return options.parse_args(argv)


def main(argv: list[str] | None = None) -> dict:
    args = parse(argv)
    from aclnet.apis.cli import train

    return train(args)


if __name__ == '__main__':
    run_tool(main)
