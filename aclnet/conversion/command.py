"""What the command tools/data/convert.py does with its options."""

from __future__ import annotations

import argparse

from aclnet.conversion.convert import convert
from aclnet.conversion.declaration import read_declaration
from aclnet.conversion.options import Options
from aclnet.conversion.summary import Summary
from aclnet.errors import ACLNetError

__all__ = ['convert_by']

_OF_SOME = dict(
    missing=('ntu60', 'ntu120'),
    no_denoise=('ntu60', 'ntu120'),
    labels=('pku_mmd', 'kinetics_openpose', 'custom'),
    keep_splits=('hrnet', 'kinetics'),
    declare=('custom',),
)


def convert_by(args: argparse.Namespace) -> Summary:
    """Convert as the tool's options say; see there.

    Raises:
        ACLNetError: an option is of another source, or as ``convert`` raises it.
    """
    for name, sources in _OF_SOME.items():
        if getattr(args, name) and args.source not in sources:
            option = f'--{name.replace("_", "-")}'
            raise ACLNetError(f'{option} is for {", ".join(sources)}, and not for {args.source}; leave it out')
    lists = {}
    for word in args.split:
        title, sign, path = word.partition('=')
        if not title or not path:
            raise ACLNetError(f'--split takes NAME=FILE such as train=train.txt, got {word!r}')
        if title in lists:
            raise ACLNetError(f"--split names '{title}' twice; put its identifiers into one file")
        lists[title] = path
    options = Options(
        missing=args.missing,
        denoise=not args.no_denoise,
        labels=args.labels,
        keep_splits=tuple(args.keep_splits),
        persons=args.persons,
        custom=read_declaration(args.declare),
        lists=lists,
        by=args.by,
        val_share=args.val_share,
        val_subjects=tuple(args.val_subjects),
        seed=args.seed,
    )
    return convert(args.source, args.path, args.out, options, args.workers, args.strict, args.summary, args.chunk)
