#!/usr/bin/env python3
"""Check a data set: structure, splits, labels, poses, duplicates, and what a benchmark's file should hold.

All that is wrong is reported, problems first. Exit code: 0 where nothing is to be mended, 1 where there are problems
(with --strict, notes too), 2 where the file cannot be read.
"""

from __future__ import annotations

import argparse

EXAMPLES = """examples:
  python tools/data/check.py data/nturgbd/ntu60_3danno.pkl
  python tools/data/check.py data/mine/mine.pkl --json report.json --strict
  python tools/data/check.py data/ntu_again.pkl --benchmark ntu120
  python tools/data/check.py data/k400/k400_hrnet.pkl --raw-files   # reads the poses in kpfiles too
"""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('file', help='annotation file (.pkl), or folder of a packed store')
    parser.add_argument('--json', metavar='F', help="write the report, with all samples' names, as JSON; - prints it")
    parser.add_argument('--strict', action='store_true', help='exit with 1 for notes too')
    parser.add_argument(
        '--benchmark',
        metavar='NAME',
        help='what it should be, such as ntu60, or none (default: recognised by its name or samples)',
    )
    parser.add_argument(
        '--raw-files', action='store_true', help='read the poses that annotations keep in other files too (Kinetics)'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    from aclnet.datasets.checks import check_data

    report = check_data(args.file, args.benchmark, args.raw_files)
    report.write(args.json)
    raise SystemExit(report.exit_code(args.strict))


if __name__ == '__main__':
    from aclnet.errors import run_tool

    run_tool(main)
