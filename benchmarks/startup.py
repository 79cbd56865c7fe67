"""What surrounds the iterations: help, the way to the first one, and validation between epochs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from aclnet.apis import load_config
from aclnet.apis.data import build_loader, build_subset
from aclnet.engine import BatchProcessor, collect_scores
from aclnet.errors import ACLNetError
from aclnet.evaluation import average_clips, evaluate
from aclnet.models import build_model
from benchmarks.measure import Row, seconds, single

__all__ = ['BENCHMARKS']

ROOT = Path(__file__).resolve().parents[1]
CONFIG = 'configs/utd_mhad/j.py'


def _command(*words: str) -> list[str]:
    return [sys.executable, 'tools/train.py', *words]


def _environment() -> dict[str, str]:
    return {**os.environ, 'PYTHONPATH': str(ROOT)}


def _config() -> str:
    """The config of UTD-MHAD; raises ``ACLNetError`` where its data set is not there."""
    if not (ROOT / 'data/utd_mhad/utd_mhad.pkl').exists():
        raise ACLNetError('data/utd_mhad/utd_mhad.pkl is not there; data/README.md says where to get it')
    return CONFIG


def show_help() -> list[Row]:
    def run() -> None:
        subprocess.run(_command('--help'), cwd=ROOT, env=_environment(), check=True, capture_output=True)

    return [single('tools/train.py --help', run, 1.5)]


def first_iteration() -> list[Row]:
    """From the command to the line of the log on the first iteration, update included."""
    taken = [_to_first_iteration(_config()) for _ in range(4)][1:]  # the first reads files into the system's cache
    wall, processor = (statistics.median(column) for column in zip(*taken))
    note = f'utd_mhad j, validating; {processor:.1f} s of the main process on its processors'
    return [Row('from the command to the first iteration', wall, reach=8, lower=True, note=note)]


def _to_first_iteration(config: str) -> tuple[float, float]:
    """Seconds on the clock, and of the processors as Linux counts them."""
    work = tempfile.mkdtemp()
    words = _command(config, '--validate', '--seed', '0', '--work-dir', work, '--cfg-options', 'log_config.interval=1')
    start = time.perf_counter()
    process = subprocess.Popen(words, cwd=ROOT, env=_environment(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if re.search(r'Epoch \[1\]\[1/', line):
                taken = time.perf_counter() - start
                return taken, _processor_seconds(process.pid)
        raise ACLNetError(f'the training ended before its first iteration: {"".join(said[-3:])}')
    finally:
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        process.wait()
        shutil.rmtree(work)


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    except OSError:
        return float('nan')
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def validation() -> list[Row]:
    """A validation as training does it, after the first, beside the forward passes that it consists of."""
    cfg = load_config(_config())
    torch.manual_seed(0)
    model = build_model(cfg.model).eval()
    dataset = build_subset(cfg, 'val')
    loader = build_loader(cfg, 'val', dataset, seed=0)
    process = BatchProcessor(torch.device('cpu'))
    batches = [batch['keypoint'] for batch in loader]  # and starts the workers

    def forward() -> None:
        with torch.no_grad():
            for batch in batches:
                model(keypoint=batch, return_loss=False)

    def ours() -> None:
        scores = collect_scores(model, loader, process)
        evaluate(average_clips(scores), np.asarray(dataset.labels), metrics=['top_k_accuracy'])

    forward()
    ours()
    turns = [(seconds(forward), seconds(ours)) for _ in range(5)]
    theirs, own = (statistics.median(side) for side in zip(*turns))
    share = 100 * (statistics.median(b / a for a, b in turns) - 1)
    note = (
        f'utd_mhad j, {len(dataset)} samples: {own:.2f} s, forward alone {theirs:.2f} s, {loader.num_workers} workers'
    )
    return [Row('validation beyond its forward passes', share, reach=10, unit='%', lower=True, note=note)]


BENCHMARKS: dict[str, Callable[[], list[Row]]] = dict(
    start_help=show_help, start_first_iteration=first_iteration, start_validation=validation
)
