"""Running the project's tools, in this process or through the shell."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]


def tool(name: str, *argv: object):
    """Call ``main`` of tools/{name}.py with the given words."""
    spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main([str(word) for word in argv])


def shell(*words: object, cwd: Path = ROOT, timeout: int = 300, **env: str) -> subprocess.CompletedProcess:
    """Run a command as a user would, with this Python first on the PATH."""
    folder = os.path.dirname(sys.executable)
    variables = {
        **os.environ,
        'PATH': f'{folder}:{os.environ["PATH"]}',
        'PYTHON': sys.executable,
        'PYTHONPATH': str(ROOT),
        'OMP_NUM_THREADS': '1',
        **env,
    }
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=variables,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )


def checkpoint(path: Path | str) -> dict:
    return torch.load(path, weights_only=True)


def log_lines(work_dir: Path, mode: str = 'train') -> list[dict]:
    """Entries of the newest json log."""
    newest = sorted(Path(work_dir).glob('*.log.json'))[-1]
    lines = [json.loads(line) for line in newest.read_text().splitlines()]
    return [line for line in lines if line.get('mode') == mode]
