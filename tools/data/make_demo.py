#!/usr/bin/env python3
"""Make the demo data: people of 25 joints who do everyday actions before three depth cameras.

The result is an annotation pickle like that of NTU RGB+D (splits xsub and xview), and beside it the names of the
classes. Nothing is downloaded; the same options give the same file.
"""

from __future__ import annotations

import argparse

EXAMPLES = """examples:
  python tools/data/make_demo.py                                    # what configs/demo trains on, 7 MB in seconds
  python tools/data/make_demo.py --noise 2 --seed 1 --out data/demo/noisy.pkl
  python tools/data/make_demo.py --size ntu60 --out data/demo/ntu60.pkl  # as many samples as NTU RGB+D 60
"""


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    from aclnet.datasets.demo import SIZES

    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', default='data/demo/demo.pkl', metavar='F', help='file to write (default: %(default)s)')
    parser.add_argument(
        '--size',
        choices=list(SIZES),
        default='demo',
        help='preset of the next four: '
        + '; '.join(f'{name}: {s.classes} classes, {s.samples:,} samples' for name, s in SIZES.items()),
    )
    parser.add_argument('--classes', type=int, metavar='N', help='actions: 2 to 128, pairs of neighbours are alike')
    parser.add_argument('--subjects', type=int, metavar='N', help='people; the odd ones are xsub_train')
    parser.add_argument('--repetitions', type=int, metavar='N', help='times that each subject does each action')
    parser.add_argument(
        '--views', type=int, metavar='N', help='cameras, 1 to 3: in front, left, right; 2 and 3 are xview_train'
    )
    parser.add_argument(
        '--noise', type=float, default=1.0, metavar='X', help='factor of the sensor noise (default: %(default)s)'
    )
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='(default: %(default)s)')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    from dataclasses import replace

    from aclnet.datasets.demo import SIZES, make_demo

    knobs = {name: getattr(args, name) for name in ('classes', 'subjects', 'repetitions', 'views')}
    size = replace(SIZES[args.size], **{name: value for name, value in knobs.items() if value is not None})
    data = make_demo(args.out, size, args.noise, args.seed)
    counts = ', '.join(f'{name} {len(members)}' for name, members in data['split'].items())
    print(f'{args.out}: {len(data["annotations"]):,} samples of {size.classes} classes ({counts})')


if __name__ == '__main__':
    from aclnet.errors import run_tool

    run_tool(main)
