#!/usr/bin/env python3
"""Pack an annotation file, and the raw files that hold its poses if there are any, into a store.

The store lies beside the file, where every config that names the file finds it, and is read instead: no cache server is
needed, and Kinetics' raw files are not any more. When this is interrupted, the same command goes on.
"""

from __future__ import annotations

import argparse

EXAMPLES = """examples:
  python tools/data/pack.py data/k400/k400_hrnet.pkl                          # with the poses of data/k400/kpfiles
  python tools/data/pack.py data/k400/k400_hrnet.pkl --poses /mnt/disk/kpfiles --drop-broken
  python tools/data/pack.py data/nturgbd/ntu60_3danno.pkl --out data/ntu60.store
"""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('ann_file', metavar='FILE', help='annotation pickle')
    parser.add_argument(
        '--poses', metavar='DIR', help='folder of raw files (default: as the annotations say, from here or from FILE)'
    )
    parser.add_argument('--out', metavar='DIR', help='store to write (default: FILE.store)')
    parser.add_argument(
        '--drop-broken', action='store_true', help='leave out samples whose poses are missing or damaged'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    from aclnet.datasets.annotations.kinetics import pack_kinetics

    summary = pack_kinetics(args.ann_file, args.poses, args.out, args.drop_broken)
    resumed = f', gone on with after {summary.resumed:,}' if summary.resumed else ''
    print(f'{summary.path}: {summary.samples:,} samples{resumed}; {len(summary.dropped):,} dropped')
    for name, reason in summary.dropped[:10]:
        print(f'  {name}: {reason}')
    if len(summary.dropped) > 10:
        print(f'  and {len(summary.dropped) - 10:,} more')


if __name__ == '__main__':
    from aclnet.errors import run_tool

    run_tool(main)
