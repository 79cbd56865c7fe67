"""The first run: demo data, two streams trained side by side, their fusion, and two pictures."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mmcv import Config
from tqdm import tqdm

from aclnet.apis.config import load_config
from aclnet.apis.draw import draw
from aclnet.datasets.demo import SIZES, make_demo
from aclnet.errors import ACLNetError
from aclnet.evaluation import ensemble

__all__ = ['quickstart']

STREAMS = dict(j='joints', b='bones')
_CONFIGS = 'configs/demo'
_POLL = 0.5  # seconds between two looks at a training's log


def quickstart() -> None:
    """Do, and say, everything of the first run that isn't done yet; a call after an interruption goes on.

    Raises:
        ACLNetError: a step failed; what a training said is in the file that the error names.
    """
    configs = {stream: load_config(f'{_CONFIGS}/{stream}.py') for stream in STREAMS}
    folder = os.path.dirname(configs['j'].work_dir)
    try:
        with _alone(folder) as lock:
            _make_data(configs['j'].data.test.ann_file)
            _train(configs, lock)
            print('[4/4] fusing and drawing', flush=True)
            _report(configs['j'], folder)
    except KeyboardInterrupt:
        print('the same command goes on where this one stopped', flush=True)
        raise


@contextlib.contextmanager
def _alone(folder: str) -> Iterator[int]:
    """Hold the folder for this run. Trainings hold it too, so that none of a run that was killed is overlooked."""
    try:
        os.makedirs(folder, exist_ok=True)
        lock = os.open(os.path.join(folder, '.lock'), os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise ACLNetError(f'{folder} cannot be written: {error.strerror}') from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield lock
    except BlockingIOError:
        raise ACLNetError(f'another quickstart, or a training that one started, is still at work in {folder}') from None
    finally:
        os.close(lock)


def _make_data(path: str) -> None:
    if os.path.exists(path):
        print(f'[2/4] demo data: {path} is there', flush=True)
        return
    size = SIZES['demo']
    print(
        f'[2/4] making demo data: {size.classes} everyday actions of {size.subjects} people before {size.views} cameras'
    )
    begin = time.monotonic()
    data = make_demo(path)
    print(f'      {path}: {len(data["annotations"])} clips in {time.monotonic() - begin:.0f} s', flush=True)


def _train(configs: dict[str, Config], lock: int) -> None:
    """Train and test the streams that have no scores yet, each in a process of its own."""
    wanted = {stream: cfg for stream, cfg in configs.items() if not _scores(cfg).exists()}
    if not wanted:
        print('[3/4] training: both streams are trained and tested', flush=True)
        return
    threads = max(1, min(_cores() // len(wanted), 4))
    names = ' and '.join(f'{stream} ({STREAMS[stream]})' for stream in wanted)
    print(f'[3/4] training {names}, then testing on ten clips of each sample: about 4 minutes on two cores', flush=True)
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        runs = {stream: stack.enter_context(_training(stream, cfg, threads, lock)) for stream, cfg in wanted.items()}
        bars = {s: stack.enter_context(_bar(s, cfg.total_epochs)) for s, cfg in wanted.items()}
        while any(run.poll() is None for run in runs.values()):
            time.sleep(_POLL)
            for stream, run in runs.items():
                _advance(bars[stream], Path(wanted[stream].work_dir))
                if run.poll():
                    raise ACLNetError(_complaint(stream, wanted[stream]))
    print(f'      done in {time.monotonic() - begin:.0f} s', flush=True)


def _scores(cfg: Config) -> Path:
    return Path(cfg.work_dir, 'best_pred.pkl')


def _output(cfg: Config) -> Path:
    return Path(cfg.work_dir, 'output.txt')


@contextlib.contextmanager
def _training(stream: str, cfg: Config, threads: int, lock: int) -> Iterator[subprocess.Popen]:
    """A training that ends with the block, if need be before it is done."""
    _output(cfg).parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, 'tools/train.py', f'{_CONFIGS}/{stream}.py', '--validate', '--test-best', '--seed', '0']
    with open(_output(cfg), 'a') as output:
        run = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'OMP_NUM_THREADS': str(threads)},
            pass_fds=[lock],
        )
    try:
        yield run
    finally:
        run.terminate()
        run.wait()


def _bar(stream: str, epochs: int) -> tqdm:
    return tqdm(
        total=epochs,
        desc=f'      {stream}',
        unit='epoch',
        bar_format='{desc} {bar:24} epoch {n_fmt}/{total_fmt}, {elapsed}{postfix}',
        mininterval=_POLL if sys.stderr.isatty() else 30,
    )


def _advance(bar: tqdm, work_dir: Path) -> None:
    """Show what the newest log of a training says."""
    epoch, accuracy = 0, None
    for log in sorted(work_dir.glob('*.log.json')):  # one per start
        with contextlib.suppress(OSError):
            for line in log.read_text().splitlines():
                with contextlib.suppress(ValueError):  # a line that is being written
                    entry = json.loads(line)
                    if entry.get('mode') == 'val':
                        accuracy = entry['top1_acc']
                    epoch = max(epoch, entry.get('epoch', 0))
    bar.n = min(epoch, bar.total)
    bar.set_postfix_str('' if accuracy is None else f'accuracy {100 * accuracy:.1f} %', refresh=False)
    bar.update(0)


def _complaint(stream: str, cfg: Config) -> str:
    lines = _output(cfg).read_text(errors='replace').splitlines()
    said = next((line for line in reversed(lines) if line.startswith('error: ')), lines[-1] if lines else 'nothing')
    return f'training stream {stream} failed; it said "{said.removeprefix("error: ")}"; all of it is in {_output(cfg)}'


def _cores() -> int:
    """Cores that this process may use; a container's share can be smaller than the machine."""
    cores = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path('/sys/fs/cgroup/cpu.max').read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


def _report(cfg: Config, folder: str) -> None:
    fused = os.path.join(folder, 'fused.pkl')
    report = ensemble(_CONFIGS, streams=list(STREAMS), out=fused)
    confusion = draw(
        'confusion', cfg.filename, fused, os.path.join(folder, 'confusion.png'), title='Joints and bones fused'
    )
    superclasses = draw('superclasses', cfg.filename, out=os.path.join(folder, 'superclasses.png'))
    rows = [(' + '.join(STREAMS[stream] for stream in row.streams), row.values['top1_acc']) for row in report.rows]
    people = SIZES['demo'].subjects // 2
    print(f'\nAccuracy on {report.num_samples} clips of {people} people who were not in the training set')
    for name, value in rows:
        print(f'  {name:<14} {100 * value:5.1f} %')
    print(f'\nPictures\n  what is taken for what   {confusion}\n  superclasses of stream j {superclasses}\n')
    print(_NEXT.format(venv=os.environ.get('ACLNET_VENV', '.venv')))


_NEXT = """\
What to try next, after: source {venv}/bin/activate
  python tools/draw.py clips configs/demo/j.py           draw the data
  python tools/train.py configs/demo/j.py --validate --work-dir work_dirs/demo_ce/j --cfg-options \\
      model.cls_head.inter_loss=None model.cls_head.intra_loss=None
                                                         train without the affinity terms, and compare
  data/README.md                                         get a real data set, or bring your own
  docs/README.md                                         how it works, and how to change it"""
