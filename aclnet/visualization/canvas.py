"""What all pictures share: a figure without a display, its colours, and its way into a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from aclnet.errors import ACLNetError
from aclnet.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ['FORMATS', 'INK', 'LEFT', 'MUTED', 'RIGHT', 'check_format', 'new_figure', 'save_figure']

FORMATS = ('png', 'svg', 'pdf')
INK, MUTED, LEFT, RIGHT = '#22313f', '#8795a1', '#d1603d', '#2f6f9f'


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure of so many inches.

    Raises:
        ACLNetError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ACLNetError("pictures need matplotlib; install it with: pip install -e '.[viz]'") from None
    return Figure(figsize=(width, height), layout='constrained', facecolor='white')


def check_format(out: str | os.PathLike) -> str:
    """The format that a file's name asks for, or an ``ACLNetError``: worth asking before the work."""
    suffix = os.path.splitext(os.fspath(out))[1].lower().lstrip('.')
    if suffix not in FORMATS:
        raise ACLNetError(f"a picture's name ends in .{', .'.join(FORMATS)}; got {os.fspath(out)}")
    return suffix


def save_figure(figure: Figure, out: str | os.PathLike) -> None:
    """Write a figure whole or not at all; the name tells the format: .png, .svg or .pdf.

    Raises:
        ACLNetError: another suffix, or a file that cannot be written.
    """
    kind = check_format(out)
    with atomic_write(out) as stream:
        figure.savefig(stream, format=kind, dpi=120, bbox_inches='tight', pad_inches=0.15)
