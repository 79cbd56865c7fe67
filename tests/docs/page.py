"""Reading a page of docs/ and running its examples: ``python -m tests.docs.page PAGE`` in an empty folder.

The ```python blocks of a page run in order in one namespace. A block whose first line is a comment that names a file,
such as ``# mine/j.py``, is written there instead; where that is a config it is loaded, and its model and data sets are
built. What a block prints must stand in the comments behind its ``print`` lines, or in the ```text block that follows.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ['Block', 'blocks', 'run']

_FENCE = re.compile(r'^```(\w*)\n(.*?)^```[ ]*$', re.M | re.S)
_FILE = re.compile(r'# ([\w./-]+\.py)$')
_PRINTED = re.compile(r'^\s*print\(.*\)  # (.*)$')


@dataclass
class Block:
    """A fenced block: its language, text and first line's number, and the ```text block right behind it, if any."""

    language: str
    text: str
    line: int
    output: str | None = None

    @property
    def file(self) -> str | None:
        """The file that the block's first line names."""
        named = _FILE.match(self.text.partition('\n')[0])
        return named[1] if named else None

    @property
    def expected(self) -> list[str]:
        """The lines that the block should print."""
        if self.output is not None:
            return self.output.splitlines()
        return [found[1] for found in map(_PRINTED.match, self.text.splitlines()) if found]


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = page.read_text(encoding='utf-8')
    found, end = [], None
    for match in _FENCE.finditer(text):
        block = Block(match[1], match[2], text.count('\n', 0, match.start()) + 2)
        if found and block.language == 'text' and not text[end : match.start()].strip():
            found[-1].output = block.text
        found.append(block)
        end = match.end()
    return found


def run(page: Path) -> None:
    """Run a page's ```python blocks in the working directory; raises where one fails or prints something else."""
    sys.path.insert(0, os.getcwd())  # for the modules that the page writes
    names = {'__name__': 'page'}
    for block in blocks(page):
        if block.language != 'python':
            continue
        where = f'{page.name}, line {block.line}'
        if block.file:
            path = Path(block.file)
            text = block.text.partition('\n')[2]
            if path.exists() and path.read_text() != text:
                raise AssertionError(f'{where} is not what {path} holds')
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            _build(path)
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile('\n' * (block.line - 1) + block.text, str(page), 'exec'), names)
        lines = [line.rstrip() for line in printed.getvalue().splitlines()]
        if lines != [line.rstrip() for line in block.expected]:
            raise AssertionError(f'{where} prints\n' + '\n'.join(lines) + '\nand not\n' + '\n'.join(block.expected))


def _build(path: Path) -> None:
    """Load a config, build its model, its pipelines, and those of its data sets whose file is there."""
    if '_base_' in path.parts or not re.search(r'^(_base_|model) = ', path.read_text(), re.M):
        return  # a module, or a piece of configs
    from aclnet.apis import load_config
    from aclnet.datasets import build_dataset
    from aclnet.datasets.transforms import Compose
    from aclnet.models import build_model

    cfg = load_config(str(path))
    build_model(cfg.model)
    for name in ('train', 'val', 'test'):
        Compose(cfg.data[name].pipeline)
        if os.path.exists(cfg.data[name].ann_file):
            dataset = build_dataset(cfg.data[name], dict(test_mode=name != 'train'))
            assert dataset[0]['keypoint'].ndim == 5


if __name__ == '__main__':
    run(Path(sys.argv[1]))
