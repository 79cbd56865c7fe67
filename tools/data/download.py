#!/usr/bin/env python3
"""Download the files of a benchmark to where the configs expect them; say what only a person can fetch, and how.

A download that was interrupted goes on when the same command is given again.
"""

from __future__ import annotations

import argparse

EXAMPLES = """examples:
  python tools/data/download.py --list
  python tools/data/download.py ntu60
  python tools/data/download.py k400 --out /big/disk/k400
"""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument('name', nargs='?', metavar='NAME', help='data set, such as ntu60; --list shows all')
    wanted.add_argument('--list', action='store_true', help='show what there is, and where it goes')
    parser.add_argument('--out', metavar='DIR', help='folder to save into (default: where the configs expect it)')
    parser.add_argument('--sha256', metavar='HEX', help='checksum that the file must have')
    parser.add_argument(
        '--mirror', metavar='URL', help='address that stands in for https://download.openmmlab.com/mmaction/pyskl/data'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    from aclnet.datasets.download import download, listing

    if args.list:
        print(listing())
    else:
        download(args.name, args.out, args.sha256, args.mirror)


if __name__ == '__main__':
    from aclnet.errors import run_tool

    run_tool(main)
