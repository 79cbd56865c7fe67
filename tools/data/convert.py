#!/usr/bin/env python3
"""Convert the files of a benchmark, or your own recordings, to an annotation file that can be trained on.

What cannot be used is dropped, counted and named in the summary. An interrupted conversion goes on where it was when
the same command is given again.
"""

from __future__ import annotations

import argparse

EXAMPLES = """examples:
  python tools/data/convert.py ntu60 nturgb+d_skeletons data/nturgbd/ntu60_3danno.pkl
  python tools/data/convert.py ntu120 nturgb+d_skeletons data/nturgbd/ntu120 --missing missing.txt --summary ntu120.json
  python tools/data/convert.py pku_mmd PKU_MMD data/pku/pku_mmd.pkl
  python tools/data/convert.py kinetics data/k400/k400_hrnet.pkl data/k400/k400_hrnet_poses
  python tools/data/convert.py hrnet gym_hrnet.pkl data/finegym/gym_hrnet.pkl
  python tools/data/convert.py utd_mhad Skeleton data/utd_mhad/utd_mhad.pkl --strict
  python tools/data/convert.py sbu SBU data/sbu.pkl --split train=train.txt --split val=val.txt
  python tools/data/convert.py custom recordings data/mine.pkl --declare mine.yaml --by subject --val-subjects 2 4
"""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    from aclnet.conversion.options import SPLIT_RULES
    from aclnet.conversion.readers import SOURCES

    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', metavar='SOURCE', choices=list(SOURCES), help=', '.join(SOURCES))
    parser.add_argument('path', metavar='INPUT', help='folder of the files; for hrnet and kinetics the pickle')
    parser.add_argument('out', metavar='OUTPUT', help='a name that ends in .pkl, or else the folder of a packed store')
    common = parser.add_argument_group('all sources')
    common.add_argument('--workers', type=int, metavar='N', help='processes (default: one per core)')
    common.add_argument('--chunk', type=int, metavar='N', help='recordings kept together (default: as the source)')
    common.add_argument('--strict', action='store_true', help='end at the first broken recording, rather than drop it')
    common.add_argument('--summary', metavar='F', help='write the summary as JSON too')
    splits = parser.add_argument_group("splits instead of the source's own")
    splits.add_argument(
        '--split', action='append', default=[], metavar='NAME=F', help='file of the identifiers of a split; repeat it'
    )
    splits.add_argument(
        '--by', choices=SPLIT_RULES, help='make train and val: other subjects, or of each class a share'
    )
    splits.add_argument('--val-share', type=float, default=0.2, metavar='X', help='(default: %(default)s)')
    splits.add_argument('--val-subjects', nargs='+', default=[], metavar='S', help='subjects of val, with --by subject')
    splits.add_argument('--seed', type=int, default=0, metavar='N', help='of the draw (default: %(default)s)')
    some = parser.add_argument_group('some sources')
    some.add_argument('--missing', metavar='F', help='ntu60, ntu120: list of recordings to leave out')
    some.add_argument('--no-denoise', action='store_true', help='ntu60, ntu120: keep tracks that are no body')
    some.add_argument(
        '--labels', metavar='F', help='pku_mmd, kinetics_openpose: folder of the label files; custom: CSV of name,label'
    )
    some.add_argument('--keep-splits', nargs='+', default=[], metavar='S', help='hrnet, kinetics: only these')
    some.add_argument(
        '--persons', type=int, default=2, metavar='N', help='kinetics_openpose, custom: per frame (default: 2)'
    )
    some.add_argument(
        '--declare',
        nargs='+',
        default=[],
        metavar='F|KEY=VALUE',
        help='custom: how the files look, from a YAML or JSON file or one by one; see docs/custom_data.md',
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    from aclnet.conversion import convert_by

    print(convert_by(args))


if __name__ == '__main__':
    from aclnet.errors import run_tool

    run_tool(main)
