#!/usr/bin/env python3
"""Fuse the scores that several streams have dumped, and print the accuracy of each stream and each fusion."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

EXAMPLE = """examples:
  python tools/ensemble.py configs/utd_mhad
  python tools/ensemble.py ntu60_xsub --streams j b jm bm --weights 2 2 1 1 --out work_dirs/fused.pkl
  python tools/ensemble.py nw_ucla --labels data/nw_ucla/nw_ucla.pkl --split xview_val
"""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
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
    parser.add_argument(
        '--file-name', default='best_pred.pkl', metavar='F', help="a stream's score file (default: best_pred.pkl)"
    )
    parser.add_argument(
        '--metrics',
        nargs='+',
        default=[],
        metavar='M',
        help='report these beside the top-1 accuracy: top_k_accuracy, mean_class_accuracy, mean_average_precision',
    )
    parser.add_argument('--labels', metavar='F', help='annotation file, for scores without a .meta.json beside them')
    parser.add_argument('--split', metavar='NAME', help='split of that file (default: the one that the config tests)')
    parser.add_argument(
        '--out', metavar='F', help='score file to write the last fusion to, .pkl, .json or .yaml (default: none)'
    )
    parser.add_argument('--json', action='store_true', help='print JSON instead of a table')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = vars(parse(argv))
    as_json = args.pop('json')
    from aclnet.evaluation.ensemble import ensemble

    report = ensemble(**args, root=Path(__file__).resolve().parent.parent)
    print(json.dumps(report.as_dict(), indent=1) if as_json else report)


if __name__ == '__main__':
    from aclnet.errors import run_tool

    run_tool(main)
