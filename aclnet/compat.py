"""What lets mmcv 1.7 live with today's torch and numpy; the only file that patches anything.

Import this module before the first ``import mmcv`` (``aclnet.registry`` does):

- mmcv imports cv2, whose wheel needs the system's libGL; nothing here draws or decodes images, so where cv2 cannot be
  imported a placeholder stands in for it.
- ``mmcv.runner`` imports torchvision for a list of model names only; a placeholder stands in during that one import.
- mmcv announces its version 2 at every import, and what it imports of torch that there is a CUDA compiler and no GPU;
  these two warnings are silenced.
- mmcv's ``Config.pretty_text`` passes yapf an argument that yapf 0.40 removed.
"""

from __future__ import annotations

import logging
import sys
import types
import warnings
from typing import Any

__all__: list[str] = []


class _Placeholder(types.ModuleType):
    """A module that has every constant (0) and no behaviour."""

    def __getattr__(self, name: str) -> int:
        if name.startswith('__'):
            raise AttributeError(name)
        return 0


def _stand_in_for_cv2() -> None:
    path = list(sys.path)
    try:
        import cv2  # noqa: F401
    except Exception:  # a missing libGL raises ImportError, an ABI mismatch with numpy AttributeError
        sys.path[:] = (
            path  # cv2 puts its own folder there, whose 'typing' processes started later would take for Python's
        )
        for name in [name for name in sys.modules if name.startswith('cv2.')]:
            del sys.modules[name]
        cv2 = _Placeholder('cv2')
        vars(cv2)['__version__'] = '0.0.0'
        sys.modules['cv2'] = cv2


def _import_mmcv() -> None:
    borrowed = 'torchvision' not in sys.modules
    if borrowed:
        placeholder = types.ModuleType('torchvision')
        vars(placeholder)['__version__'] = '0.0.0'
        sys.modules['torchvision'] = placeholder
    extensions = logging.getLogger('torch.utils.cpp_extension')
    quiet = 'torch.utils.cpp_extension' not in sys.modules
    if quiet:
        extensions.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', message='On January 1, 2023, MMCV')
            import mmcv.runner  # noqa: F401
    finally:
        if quiet:
            extensions.disabled = False
        if borrowed:
            del sys.modules['torchvision']


def _let_config_format_itself() -> None:
    """Drop ``verify=True`` for yapf ≥ 0.40 where mmcv's version check of the installed yapf misses it."""
    import inspect

    from mmcv.utils import config

    formatter = config.FormatCode
    if 'verify' not in inspect.signature(formatter).parameters:

        def format_code(text: str, style_config: Any = None, verify: bool = True) -> Any:
            return formatter(text, style_config=style_config)

        config.FormatCode = format_code


_stand_in_for_cv2()
_import_mmcv()
_let_config_format_itself()
