"""mmcv imports without libGL and with a torchvision that doesn't fit."""

from __future__ import annotations

import pytest

from tests.run import shell

CHECK = """
import sys
from aclnet.apis import load_config, train_model
from mmcv import Config
assert 'torchvision' not in sys.modules, 'the placeholder stays'
print('a = 1' in Config(dict(a=1)).pretty_text)
"""


@pytest.mark.parametrize('broken', ['cv2', 'torchvision', None])
def test_imports_where_a_package_is_broken(tmp_path, broken):
    if broken:
        (tmp_path / f'{broken}.py').write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    (tmp_path / 'check.py').write_text(CHECK)
    done = shell('python', '-W', 'error::UserWarning:mmcv', tmp_path / 'check.py')
    assert done.stdout.split() == ['True'], done.stderr
    assert 'MMCV' not in done.stderr and 'CUDA' not in done.stderr
