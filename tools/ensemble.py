"""Fuse the dumped scores of several streams."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

EXAMPLE = """examples:
  python tools/ensemble.py configs/utd_mhad
  python tools/ensemble.py ntu60_xsub --streams j b jm bm --weights 2 2 1 1 --out work_dirs/fused.pkl
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'dataset',
        nargs='?',
        default='ntu60_xsub',
        metavar='CONFIG_DIR|DATASET',
        help='config folder or name of a data set (default: ntu60_xsub)',
    )
    parser.add_argument(
        '--work-dirs',
        default='work_dirs',
        metavar='DIR',
        help='where WORK_DIRS/DATASET/STREAM/best_pred.pkl are (default: work_dirs)',
    )
    parser.add_argument(
        '--streams',
        nargs='+',
        metavar='S',
        help='fuse exactly these (default: the J+B, 4- and 6-stream fusions that are complete)',
    )
    parser.add_argument(
        '--weights',
        nargs='+',
        type=float,
        metavar='W',
        help='one per stream (default: as published, 2 for j b k and 1 for jm bm km)',
    )
    parser.add_argument('--file-name', default='best_pred.pkl', metavar='F', help="a stream's score file")
    parser.add_argument(
        '--metrics',
        nargs='+',
        default=[],
        metavar='M',
        help='top_k_accuracy, mean_class_accuracy, mean_average_precision, beside the top-1 accuracy',
    )
    parser.add_argument('--labels', metavar='F', help='annotation file, for scores without a .meta.json beside them')
    parser.add_argument('--split', metavar='NAME', help='its split')
    parser.add_argument('--out', metavar='F', help='write the last fusion to this .pkl, .json or .yaml')
    parser.add_argument('--json', action='store_true', help='print JSON')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = vars(parse_args(argv))
    as_json = args.pop('json')
    from aclnet.evaluation.ensemble import ensemble

    report = ensemble(**args, root=Path(__file__).resolve().parent.parent)
    print(json.dumps(report.as_dict(), indent=1) if as_json else report)


if __name__ == '__main__':
    from aclnet.errors import run_tool

    run_tool(main)
