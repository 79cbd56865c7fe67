"""How one's own recordings look: what the source 'custom' is told by a file or on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from aclnet import skeletons
from aclnet.errors import ACLNetError, names, nearest, shown
from aclnet.files import read_text
from aclnet.limits import MAX_CLASSES, MAX_PIXELS

__all__ = ['INPUT_JOINTS', 'Declaration', 'read_declaration']

#: known orders of joints, and which of them become the joints of a layout
INPUT_JOINTS: dict[str, tuple[str, tuple[int, ...]]] = dict(
    mediapipe33=('coco', (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)),
    body25=('openpose', (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)),
    head_first20=('kinect20', (3, 2, 1, 0, *range(4, 20))),
)
FORMATS = ('npy', 'npz', 'csv', 'openpose', 'coco')
_TEXTS = ('files', 'layout', 'key', 'axes')  # what stands on the command line as it is
_CHANNELS = ('xyz', 'xyzs', 'xy', 'xys')


@dataclass(frozen=True)
class Declaration:
    """What can be declared; everything but ``layout`` and ``files`` has a default.

    Attributes:
        layout: joint layout of the samples, a key of ``skeletons.LAYOUTS`` or one of the user's own.
        files: what the recordings are called below the input, with ``{label}``, ``{subject}`` and other words in
            braces, each standing for any text without a slash. Where there is a file per frame: their folders.
        format: 'npy', 'npz', 'csv' (long: a line per joint), or a JSON file per frame, 'openpose' or 'coco'; None for
            the ending of ``files``.
        axes: of an array, the letters M persons, T frames, V joints, C channels; None for TVC or MTVC.
        channels: 'xyz' or 'xy', an s behind where there is a score; None for what fits ``layout``.
        key: of the array in an npz file; None where there is one alone.
        joints: the input's joint for each joint of the layout, or one of ``INPUT_JOINTS``.
        num_joints: of a layout that is the user's own.
        classes: names of the classes in their order; None for all labels, sorted.
        size: (height, width) of the pictures of 2D poses.
        normalised: whether 2D coordinates are shares of the picture.
        scale: factor of the coordinates, 0.001 for millimetres.
    """

    layout: str
    files: str
    format: str | None = None
    axes: str | None = None
    channels: str | None = None
    key: str | None = None
    joints: str | tuple[int, ...] | None = None
    num_joints: int | None = None
    classes: tuple[str, ...] | None = None
    size: tuple[int, int] | None = None
    normalised: bool = False
    scale: float = 1.0

    @classmethod
    def of(cls, values: dict[str, Any]) -> Declaration:
        """The declaration that a file or the command line holds; lists become tuples.

        Raises:
            ACLNetError: a key is unknown or lacking, or a value makes no sense.
        """
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                raise ACLNetError(
                    f"nothing of a custom source is called '{key}'{nearest(key, known)} (known: {', '.join(known)})"
                )
        lacking = [key for key in ('layout', 'files') if key not in values]
        if lacking:
            raise ACLNetError(
                f"a custom source needs '{lacking[0]}': --declare layout=kinect20 'files={{label}}/{{subject}}_*.npy', "
                'or a file with these keys'
            )
        made: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        if isinstance(made.get('classes'), tuple):
            made['classes'] = tuple(map(str, made['classes']))
        declared = cls(**made)
        declared._check()
        return declared

    def _check(self) -> None:
        self._need('layout', isinstance(self.layout, str), 'the name of a joint layout')
        self._need('files', isinstance(self.files, str) and bool(self.files), "a pattern such as '{label}/{name}.npy'")
        self._need('format', self.format is None or self.format in FORMATS, f'one of {names(FORMATS)}')
        letters = None if self.axes is None else sorted(str(self.axes))
        self._need(
            'axes', letters in (None, sorted('TVC'), sorted('MTVC')), "the letters of 'TVC' or 'MTVC' in any order"
        )
        self._need('channels', self.channels is None or self.channels in _CHANNELS, f'one of {names(_CHANNELS)}')
        self._need('key', self.key is None or isinstance(self.key, str), 'a string')
        self._need('normalised', isinstance(self.normalised, bool), 'true or false')
        is_number = isinstance(self.scale, (int, float)) and not isinstance(self.scale, bool)
        self._need('scale', is_number and 0 < self.scale < float('inf'), 'a number above 0')
        classes = self.classes
        self._need(
            'classes',
            classes is None or (isinstance(classes, tuple) and 0 < len(set(classes)) == len(classes) <= MAX_CLASSES),
            'a list of different names',
        )
        size = self.size
        are_pixels = isinstance(size, tuple) and len(size) == 2 and all(_is_whole(s, 1, MAX_PIXELS) for s in size)
        self._need('size', size is None or are_pixels, '[height, width] in pixels')
        self._need('num_joints', self.num_joints is None or _is_whole(self.num_joints, 1, 10_000), 'a whole number')
        count = self.joint_count
        chosen = self.joints
        if isinstance(chosen, str):
            self._need('joints', chosen in INPUT_JOINTS, f'a list, or one of {names(INPUT_JOINTS)}')
            layout = INPUT_JOINTS[chosen][0]
            self._need('layout', self.layout == layout, f"'{layout}', which {chosen} becomes")
        elif chosen is not None:
            fits = isinstance(chosen, tuple) and len(chosen) == count and all(_is_whole(j, 0, 10_000) for j in chosen)
            self._need('joints', fits, f"a joint's number for each of the {count} joints of {self.layout}")
        if self.is_2d and self.size is None:
            raise ACLNetError(f"2D poses of layout '{self.layout}' need the pictures' size, such as size=[1080,1920]")
        _ = self.pattern

    def _need(self, key: str, fits: bool, wanted: str) -> None:
        if not fits:
            raise ACLNetError(f"'{key}' of a custom source must be {wanted}, got {shown(getattr(self, key))}")

    @cached_property
    def joint_count(self) -> int:
        """Joints of the layout."""
        if self.layout in skeletons.LAYOUTS:
            count = skeletons.get(self.layout).num_joints
            self._need('num_joints', self.num_joints in (None, count), f'{count} as in layout {self.layout}')
            return count
        if self.num_joints is None:
            raise ACLNetError(
                f"there is no joint layout '{self.layout}'{nearest(self.layout, skeletons.LAYOUTS)} (known: "
                f'{", ".join(skeletons.LAYOUTS)}); a layout of your own, as docs/extending.md declares it, needs '
                'num_joints beside its name'
            )
        return self.num_joints

    @property
    def selection(self) -> tuple[int, ...] | None:
        """The input's joint for each joint of the layout; None for the same order."""
        return INPUT_JOINTS[self.joints][1] if isinstance(self.joints, str) else self.joints

    @property
    def is_2d(self) -> bool:
        """Whether the samples are 2D poses with scores."""
        if self.channels is not None:
            return not self.channels.startswith('xyz')
        scored = self.layout in skeletons.LAYOUTS and skeletons.get(self.layout).scored
        return scored or self.kind in ('openpose', 'coco')

    @property
    def kind(self) -> str:
        """One of ``FORMATS``."""
        if self.format is not None:
            return self.format
        ending = self.files.rpartition('.')[2].lower()
        if ending not in FORMATS:
            raise ACLNetError(
                f"'format' of a custom source must be one of {names(FORMATS)}, since files='{self.files}' doesn't tell"
            )
        return ending

    @property
    def per_frame(self) -> bool:
        """Whether a recording is a folder of files, one per frame."""
        return self.kind in ('openpose', 'coco')

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Of the paths of recordings below the input."""
        text, seen = '', set()
        for word, star, plain in re.findall(r'\{(\w+)\}|(\*)|([^*{]+|\{)', self.files):
            if word and word in seen:
                text += f'(?P={word})'
            elif word:
                if not word.isidentifier():
                    raise ACLNetError(
                        f"'files' of a custom source has {{{word}}}, which must be a word such as {{label}}"
                    )
                seen.add(word)
                text += f'(?P<{word}>[^/]+?)'
            else:
                text += '[^/]*' if star else re.escape(plain)
        return re.compile(text)


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def read_declaration(words: list[str]) -> dict[str, Any]:
    """What ``KEY=VALUE`` words declare, values as in YAML; a word without ``=`` names a YAML or JSON file of them.

    Raises:
        ACLNetError: a file is missing or holds no such thing, or a value cannot be read.
    """
    import yaml  # here: it comes with mmcv, and only this source needs it

    declared: dict[str, Any] = {}
    for word in words:
        key, sign, value = word.partition('=')
        if key in _TEXTS and sign:
            declared[key] = value
            continue
        where = f'declaration {word}'
        try:
            content = yaml.safe_load(value if sign else read_text(word, where))
        except (yaml.YAMLError, RecursionError, ValueError):
            raise ACLNetError(
                f'{where} cannot be read; it must be YAML or JSON, where a value with braces stands in quotes'
            ) from None
        if sign:
            declared[key] = content
        elif isinstance(content, dict) and all(isinstance(name, str) for name in content):
            declared.update(content)
        else:
            raise ACLNetError(f"{where} must hold keys and values such as 'layout: kinect20'")
    return declared
