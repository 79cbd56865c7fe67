"""The pages of docs/: their Python examples run, their commands can be given, and links lead somewhere."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from aclnet.apis import load_config
from aclnet.apis.cli import parse_options
from aclnet.conversion import SOURCES
from aclnet.launch import take_restarts
from tests.docs.page import blocks, run
from tests.run import ROOT, log_lines, shell

PAGES = sorted((ROOT / 'docs').glob('*.md'))
GUIDE = ROOT / 'data' / 'README.md'
TRAINED = {'configs.md': 'mine/j.py', 'extending.md': 'mine/parts.py'}  # configs that a page writes, to train
SKIPPED = {'work_dirs', 'node_modules', 'build', 'dist'}
EVERY_PAGE = sorted(
    path
    for path in ROOT.rglob('*.md')
    if not any(part.startswith('.') or part in SKIPPED for part in path.relative_to(ROOT).parts)
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture
def place(tmp_path) -> Path:
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs', ignore=shutil.ignore_patterns('__pycache__'))
    (tmp_path / 'tools').symlink_to(ROOT / 'tools')
    return tmp_path


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_the_examples_run(page, place):
    done = shell(sys.executable, '-m', 'tests.docs.page', page, cwd=place)
    assert done.returncode == 0, done.stderr[-3000:]
    if page.name in TRAINED:
        train(TRAINED[page.name], place)


def train(config: str, place: Path) -> None:
    done = shell(
        sys.executable, 'tools/train.py', config, '--validate', '--test-best', '--work-dir', 'work',
        '--cfg-options', 'total_epochs=2', 'model.cls_head.inter_loss.start_epoch=1', 'data.workers_per_gpu=0',
        cwd=place, PYTHONPATH=f'{ROOT}:.',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    last = log_lines(place / 'work')[-1]
    assert last['epoch'] == 2 and last['loss_inter'] > 0 and (place / 'work' / 'best_pred.pkl').exists()


@pytest.mark.parametrize(
    ('text', 'error'),
    [
        ('```python\nprint(1 + 1)  # 3\n```\n', 'prints'),
        ('```python\nprint(1 + 1)\n```\n', 'prints'),
        ('```python\nfor i in (1, 2):\n    print(i)\n```\n\n```text\n1\n```\n', 'prints'),
        ('```python\n1 / 0\n```\n', 'division by zero'),
        ("```python\n# mine.py\n_base_ = './configs/ntu60_xsub/x.py'\n```\n", 'does not exist'),
        ("```python\n# configs/ntu60_xsub/j.py\nstream = 'b'\n```\n", 'is not what'),
        ('```python\nprint(2)  # 2\n```\n\n```python\nprint(3)\n```\n\n```text\n3\n```\n', None),
    ],
)
def test_a_page_that_is_wrong_is_noticed(text, error, place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    (place / 'page.md').write_text(text)
    with pytest.raises(Exception, match=error) if error else contextlib.nullcontext():
        run(place / 'page.md')


# ---- commands
def commands(page: Path) -> list[str]:
    """The lines of a page's bash blocks, continued lines joined."""
    text = '\n'.join(block.text for block in blocks(page) if block.language == 'bash')
    return [line for line in text.replace('\\\n', ' ').splitlines() if line.strip() and not line.startswith('#')]


def parser_of(script: str):
    spec = importlib.util.spec_from_file_location(f'docs_tool_{Path(script).stem}', ROOT / script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, 'parse', None) or module.parse_args


def parsed(words: list[str]) -> argparse.Namespace | None:
    """What a tool's own parser makes of a command, or None for a command that is no tool's."""
    script = next((word for word in words if word.startswith('tools/')), None)
    if script is None:
        return None
    assert (ROOT / script).is_file(), script
    rest = words[words.index(script) + 1 :]
    if script == 'tools/dist_train.sh':
        assert rest[1].isdigit(), rest
        script, rest = 'tools/train.py', [rest[0], *take_restarts(rest[2:])[1]]
    elif script == 'tools/dist_test.sh':
        assert rest[2].isdigit(), rest
        script, rest = 'tools/test.py', [rest[0], '-C', rest[1], *rest[3:]]
    return parser_of(script)(rest) if script.endswith('.py') else None


@pytest.mark.parametrize('page', [*PAGES, GUIDE], ids=name)
def test_the_commands_can_be_given(page, place, monkeypatch):
    made = {block.file for block in blocks(page)}
    monkeypatch.chdir(place)
    for command in commands(page):
        words = shlex.split(command)
        try:
            args = parsed(words)
        except SystemExit:
            pytest.fail(f'{page.name}: {command}')
        if args is None or not hasattr(args, 'config'):
            continue
        if args.config in made:
            continue
        cfg = load_config(args.config)
        options = parse_options(args.cfg_options)
        for key in options:
            parent = cfg
            for part in key.split('.')[:-1]:
                parent = parent[int(part) if part.isdigit() else part]
        load_config(args.config, options)


def test_every_source_has_its_command_in_the_guide():
    given = {args.source for args in map(parsed, map(shlex.split, commands(GUIDE))) if hasattr(args, 'source')}
    assert given | {'custom'} == set(SOURCES)


def test_commands_are_found_and_wrong_ones_noticed(place):
    assert sum(len(commands(page)) for page in PAGES) > 10
    assert parsed(shlex.split('python tools/train.py configs/ntu60_xsub/j.py --amp bf16')).amp == 'bf16'
    with pytest.raises(SystemExit):
        parsed(shlex.split('python tools/train.py configs/ntu60_xsub/j.py --epochs 3'))
    with pytest.raises(AssertionError):
        parsed(['python', 'tools/trian.py'])


# ---- links
LINK = re.compile(r'(?<!!)\[[^\]]*\]\(([^)\s]+)\)')
FENCED = re.compile(r'^```.*?^```[ ]*$', re.M | re.S)


def anchors(page: Path) -> set[str]:
    """The anchors that the headings of a page get."""
    headings = re.findall(r'^#+ (.*)$', FENCED.sub('', page.read_text(encoding='utf-8')), re.M)
    return {re.sub(r'[^\w\- ]', '', heading.strip().lower()).replace(' ', '-') for heading in headings}


def broken(page: Path) -> list[str]:
    """The links of a page to files and headings that are not there."""
    found = []
    for target in LINK.findall(FENCED.sub('', page.read_text(encoding='utf-8'))):
        if re.match(r'\w+:', target):  # an address elsewhere
            continue
        path, _, anchor = target.partition('#')
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            found.append(target)
    return found


@pytest.mark.parametrize('page', EVERY_PAGE, ids=name)
def test_links_lead_somewhere(page):
    assert not broken(page)


def test_every_page_is_in_the_index():
    index = (ROOT / 'docs' / 'README.md').read_text()
    assert all(f'({page.name})' in index for page in PAGES if page.name != 'README.md')


def test_broken_links_are_noticed(tmp_path):
    page = tmp_path / 'a.md'
    page.write_text('# A (b), `c_d`\n[x](b.md) [y](#a-b-c_d) [z](#e) [w](https://example.org) [v](a.md#a-b-c_d)\n')
    assert broken(page) == ['b.md', '#e']


PATH = re.compile(r'`((?:aclnet|configs|tools|tests|docs|data)/[\w./-]+)`')


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_files_that_a_page_names_are_there(page):
    made = {block.file for block in blocks(page)}
    named = PATH.findall(FENCED.sub('', page.read_text(encoding='utf-8')))
    lost = [path for path in named if not (ROOT / path).exists() and path not in made]
    assert not [path for path in lost if Path(path).parts[0] != 'data' and path != 'configs/mine']
