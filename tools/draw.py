#!/usr/bin/env python3
"""Draw a confusion matrix, the superclasses that a training formed, or clips of a data set. Needs matplotlib."""

from __future__ import annotations

import argparse

EXAMPLES = """examples:
  python tools/draw.py confusion configs/demo/j.py
  python tools/draw.py confusion configs/demo/j.py --input work_dirs/demo/fused.pkl --out fused.svg
  python tools/draw.py superclasses configs/demo/j.py
  python tools/draw.py clips configs/demo/j.py --samples S001C001P001R001A001 S001C001P001R001A002
"""
INPUTS = dict(
    confusion="score file (default: best_pred.pkl in the config's work_dir)",
    superclasses="checkpoint (default: latest.pth in the config's work_dir)",
    clips="annotation file (default: the config's data.test)",
)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('picture', choices=list(INPUTS), help='what to draw')
    parser.add_argument('config', help='config file, such as configs/demo/j.py')
    parser.add_argument('--input', metavar='F', help='; '.join(f'{name}: {text}' for name, text in INPUTS.items()))
    parser.add_argument(
        '--out', metavar='F', help='picture to write, .png, .svg or .pdf (default: PICTURE.png in the work_dir)'
    )
    parser.add_argument(
        '--names',
        metavar='F',
        help='class names, one per line (default: ANN_FILE_classes.txt, else those of the benchmark, else numbers)',
    )
    parser.add_argument('--title', metavar='T', help='what stands above a confusion matrix')
    parser.add_argument(
        '--samples', nargs='+', metavar='ID', help='clips to draw (default: one of each of eight classes)'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    from aclnet.apis.draw import draw

    print(draw(**vars(args)))


if __name__ == '__main__':
    from aclnet.errors import run_tool

    run_tool(main)
