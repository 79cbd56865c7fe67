#!/usr/bin/env python3
"""Train a model by its config, in one process or as one process of a launcher."""

from __future__ import annotations

import argparse

EXAMPLE = """\
examples:
  python tools/train.py configs/ntu60_xsub/j.py --validate --test-last --test-best
  python tools/train.py configs/utd_mhad/b.py --seed 0 --cfg-options total_epochs=20 optimizer.lr=0.05
  bash tools/dist_train.sh configs/ntu60_xsub/j.py 4 --validate        # four processes
"""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config', help='config file, such as configs/ntu60_xsub/j.py')
    parser.add_argument('--validate', action='store_true', help='score data.val during training, keep the best checkpoint')
    parser.add_argument('--test-last', action='store_true', help='score data.test with the last checkpoint at the end')
    parser.add_argument('--test-best', action='store_true', help='score data.test with the best checkpoint at the end')
    parser.add_argument('--seed', type=int, help='seed of weights, order and augmentation (default: drawn, and logged)')
    parser.add_argument('--deterministic', action='store_true', help='choose repeatable algorithms on a GPU')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='who started the processes')
    parser.add_argument('--compile', action='store_true', help='run the model through torch.compile')
    parser.add_argument('--amp', nargs='?', const='bf16', choices=['bf16', 'fp16'], help='mixed precision (default bf16)')
    parser.add_argument('--work-dir', help="where logs and checkpoints go (default: the config's work_dir)")
    parser.add_argument('--resume-from', help='checkpoint to go on from')
    parser.add_argument('--no-auto-resume', action='store_true', help='start anew even if work_dir holds a checkpoint')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='values that replace the config\'s')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> dict:
    args = parse(argv)
    from aclnet.apis.cli import train
    return train(args)


if __name__ == '__main__':
    from aclnet.errors import run_tool
    run_tool(main)
