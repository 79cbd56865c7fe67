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


def test_a_cv2_that_fails_half_way_leaves_no_trace(tmp_path):
    """opencv's loader puts its folder on sys.path and fails at libGL; processes started later inherit that path."""
    (tmp_path / 'cv2').mkdir()
    (tmp_path / 'cv2/__init__.py').write_text(
        'import os, sys\nimport cv2.part\nsys.path.insert(1, os.path.dirname(__file__))\n'
        "raise ImportError('libGL.so.1: cannot open shared object file')\n"
    )
    (tmp_path / 'cv2/part.py').write_text('')
    (tmp_path / 'cv2/typing.py').write_text("raise ImportError('not Python's typing')")
    (tmp_path / 'check.py').write_text(
        'import multiprocessing, sys\n'
        'import aclnet.compat\n'
        'def work():\n'
        "    print('at work')\n"
        "if __name__ == '__main__':\n"
        "    assert not [p for p in sys.path if p.endswith('cv2')] and 'cv2.part' not in sys.modules\n"
        "    process = multiprocessing.get_context('spawn').Process(target=work)\n"
        '    process.start()\n'
        '    process.join()\n'
    )
    done = shell('python', tmp_path / 'check.py')
    assert done.stdout == 'at work\n', done.stderr
