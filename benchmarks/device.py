"""Training, testing and loading on the device that is there, NTU60 j as published beside the literal formulas.

First, outputs and gradients are held against the formulas in fp64 on fresh inputs; what disagrees is not measured. The
data are noise of NTU60's size and lengths. Without a GPU the sizes are those of --quick.
"""

from __future__ import annotations

import argparse
import logging
import os
import pickle
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from aclnet import compat, distributed  # noqa: E402, F401  before anything imports mmcv

# isort: split

import torch  # noqa: E402
from mmcv import Config  # noqa: E402
from mmcv.runner import HOOKS, Hook  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from aclnet.apis import evaluate_checkpoint, load_config, optimize_for_training, train_model  # noqa: E402
from aclnet.apis.data import build_loader, build_subset  # noqa: E402
from aclnet.apis.log import get_logger  # noqa: E402
from aclnet.datasets.loaders import Loader  # noqa: E402
from aclnet.datasets.transforms import STREAMS  # noqa: E402
from aclnet.engine import BatchProcessor  # noqa: E402
from aclnet.engine.batch import to_device  # noqa: E402
from aclnet.errors import ACLNetError, run_tool  # noqa: E402
from aclnet.models import build_model  # noqa: E402
from benchmarks.agreement import agreement  # noqa: E402
from benchmarks.data import ntu_like  # noqa: E402
from benchmarks.measure import Row, seconds  # noqa: E402
from benchmarks.run import complain, introduce, keep, machine, measured, show  # noqa: E402
from tests.oracles.backbone import backbone  # noqa: E402

WARM, TIMED = 2, 2  # epochs: all that is compiled is compiled in the first two


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        train, val: samples.
        few: samples of an epoch of the training at the published batch.
        batch, published: samples of a step, of the fast path and as published.
        steps: of the literal training that are timed.
        workers: of a loader.
        matrix, copied: width of the matrices and bytes by which peak and bandwidth are measured.
        changes: of the config.
        goals: whether the goals hold for this size.
    """

    train: int
    val: int
    few: int
    batch: int
    published: int
    steps: int
    workers: int
    matrix: int
    copied: int
    changes: dict[str, Any] = field(default_factory=dict)
    goals: bool = False

    def goal(self, value: float) -> float | None:
        return value if self.goals else None


PUBLISHED = Size(40_091, 16_487, 4_096, 64, 16, 30, 4, 8192, 1 << 31, goals=True)
_NARROW = {'model.backbone.base_channels': 16, 'model.backbone.num_stages': 2, 'model.backbone.down_stages': [2],
           'model.backbone.inflate_stages': [2], 'model.cls_head.in_channels': 32,
           'model.cls_head.intra_loss.memory_size': 16}  # fmt: skip
QUICK = Size(44, 12, 22, 8, 4, 3, 0, 512, 1 << 24, _NARROW)


@HOOKS.register_module()
class ClockHook(Hook):
    """When epochs began, when their last iteration had ended, and when the training had."""

    began: list[float] = []
    ended: list[float] = []

    def before_train_epoch(self, runner: Any) -> None:
        _finish()
        self.began.append(time.perf_counter())

    def after_train_epoch(self, runner: Any) -> None:  # by its priority before the validation
        _finish()
        self.ended.append(time.perf_counter())

    def after_run(self, runner: Any) -> None:
        self.before_train_epoch(runner)


def _finish() -> None:
    """Wait until the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def loader_of(cfg: Config, device: torch.device) -> Loader:
    """The training loader that a config asks for."""
    return build_loader(cfg, 'train', build_subset(cfg, 'train'), seed=0, shuffle=True)


class Measurements:
    """All that is measured on a device, in a folder that holds made data.

    Args:
        size: how much.
        device: where.
        folder: for data and checkpoints.
        compile_options: of torch.compile.
    """

    def __init__(self, size: Size, device: torch.device, folder: Path, compile_options: dict[str, Any]) -> None:
        self.size, self.device, self.folder, self.compile_options = size, device, folder, compile_options
        annotations = ntu_like(size.train + size.val)
        names = [annotation['frame_dir'] for annotation in annotations]
        split = dict(xsub_train=names[: size.train], xsub_val=names[size.train :], few=names[: size.few])
        (folder / 'ntu60.pkl').write_bytes(pickle.dumps(dict(split=split, annotations=annotations), protocol=4))

    def config(self, batch: int, stream: str = 'j', split: str | None = None) -> Config:
        cfg = load_config(str(ROOT / 'configs' / 'ntu60_xsub' / f'{stream}.py'))
        cfg.merge_from_dict(
            {
                'data.videos_per_gpu': batch,
                'data.workers_per_gpu': self.size.workers,
                'data.loader': 'device',
                'model.cls_head.inter_loss.start_epoch': 0,  # both terms from the beginning
                'work_dir': str(self.folder / f'{stream}_{batch}'),
                'seed': 0,
                'total_epochs': WARM + TIMED,
                'custom_hooks': [dict(type='ClockHook', priority=44)],
                **self.size.changes,
            }
        )
        for name in ('train', 'val', 'test'):
            cfg.data[name].ann_file = str(self.folder / 'ntu60.pkl')
        cfg.data.train.split = split or cfg.data.train.split
        return cfg

    @cached_property
    def literal(self) -> float:
        """Seconds of a clip in a literal training run the published way: fp32, four data workers, the published batch.

        The contrastive terms are left out: their loops would take longer than the network.
        """
        size, cfg = self.size, self.config(self.size.published)
        cfg.data.loader = 'workers'
        torch.manual_seed(0)
        down = cfg.model.backbone.down_stages
        strides = [2 if stage in down else 1 for stage in range(1, cfg.model.backbone.num_stages + 1)]
        model = build_model(cfg.model).to(self.device)
        state = {name: value.detach().clone() for name, value in model.backbone.state_dict().items()}
        weights = [state[name].requires_grad_() for name, _ in model.backbone.named_parameters()]
        options = {key: value for key, value in cfg.optimizer.items() if key != 'type'}
        optimizer = torch.optim.SGD([*weights, *model.cls_head.fc_cls.parameters()], **options)
        loader = loader_of(cfg, self.device)
        times: list[float] = []
        for step, batch in enumerate(_endless(loader)):
            batch = to_device(batch, self.device)
            with torch.device(self.device):  # where the formulas make what they begin with
                feature, _ = backbone(state, batch['keypoint'][:, 0], True, strides)
            loss = F.cross_entropy(model.cls_head(feature), batch['label'])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step in (1, size.steps + 1):  # after one that is not timed, and the last
                _finish()
                times.append(time.perf_counter())
            if len(times) == 2:
                break
        return (times[1] - times[0]) / size.steps / size.published

    def training(self) -> list[Row]:
        """Steps against the literal ones, epochs with validation, memory."""
        size, literal = self.size, self.literal
        _forget_peak(self.device)
        clock, memory = self._trained(self.config(size.batch), validate=True)
        clip = sum(ended - began for began, ended in zip(clock.began[WARM:], clock.ended[WARM:])) / TIMED / size.train
        epoch = (clock.began[-1] - clock.began[WARM]) / TIMED
        floor, said = self._floor(size.batch)
        few = self.config(size.published, split='few')
        slow, _ = self._trained(few, validate=False)
        small = sum(ended - began for began, ended in zip(slow.began[WARM:], slow.ended[WARM:])) / TIMED / size.few
        how = 'bf16, compiled'
        rows = []
        for batch, own, goal in ((size.batch, clip, 10.0), (size.published, small, 8.0)):
            name, note = f'training step, batch {batch}, {how}', f'literal: batch {size.published}, fp32'
            rows.append(Row(name, own * batch, literal * batch, literal / own, size.goal(goal), note=note))
        rows.append(Row(f'training clips, batch {size.batch}', 1 / clip, reach=size.goal(5000), unit='clips/s'))
        rows.append(Row(f'training clips, batch {size.published}', 1 / small, unit='clips/s'))
        rows.append(
            Row(f'training step, batch {size.batch}, beside its floor', clip * size.batch, floor=floor, note=said)
        )
        note = f'from {TIMED} epochs of {size.train:,} clips and {size.val:,} of validation, {epoch:.3g} s each'
        rows.append(
            Row('150 epochs with validation', 150 * epoch / 60, reach=size.goal(25), unit='min', lower=True, note=note)
        )
        first = clock.began[1] - clock.began[0] - epoch
        rows.append(Row('compilation and the move of the data to the device, first epoch', max(first, 0.0)))
        note = 'what torch reserved at most' if self.device.type == 'cuda' else 'of the whole process'
        name = f'memory, training at batch {size.batch}'
        return [*rows, Row(name, memory, reach=size.goal(10), unit='GB', lower=True, note=note)]

    def testing(self) -> list[Row]:
        """The test of ten clips a sample, as tools/test.py runs it, not compiled."""
        cfg = self.config(self.size.batch)
        checkpoint = os.path.join(cfg.work_dir, 'latest.pth')
        taken = seconds(lambda: evaluate_checkpoint(cfg, checkpoint, amp='bf16'))
        name = f'10-clip test of {self.size.val:,} samples, bf16'
        return [Row(name, taken, reach=self.size.goal(60), lower=True, note='from the checkpoint to the metrics')]

    def loading(self) -> list[Row]:
        """The training loader of each stream, its batches on the device."""
        rows = []
        for stream in STREAMS:
            loader = loader_of(self.config(self.size.batch, stream), self.device)
            for epoch in (1, 2):
                loader.set_epoch(epoch)
                _finish()
                start = time.perf_counter()
                for batch in loader:
                    to_device(batch, self.device)
                _finish()
                taken = time.perf_counter() - start
            note = f'batches of {self.size.batch}, {type(loader).__name__}'
            name, rate = f'loader alone, {stream}', self.size.train / taken
            rows.append(Row(name, rate, reach=self.size.goal(50_000), unit='clips/s', note=note))
        return rows

    def _trained(self, cfg: Config, validate: bool) -> tuple[ClockHook, float]:
        """Its moments, and the most memory in GB, of a training from the beginning."""
        torch._dynamo.reset()
        ClockHook.began, ClockHook.ended = [], []
        torch.manual_seed(0)
        model, dataset = build_model(cfg.model), build_subset(cfg, 'train')
        train_model(model, dataset, cfg, validate=validate, compile=self.compile_options or True, amp='bf16')
        clock = ClockHook()
        clock.began, clock.ended = ClockHook.began, ClockHook.ended
        return clock, _peak(self.device)

    def _floor(self, batch: int) -> tuple[float, str]:
        """Seconds that a step cannot go below here: operations at the peak, or what the backward pass needs at the
        bandwidth, written once and read once."""
        cfg = self.config(batch)
        model = optimize_for_training(build_model(cfg.model).train()).to(self.device)
        clips = next(iter(loader_of(cfg, self.device)))
        own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        kept: dict[int, int] = {}

        def note(value: torch.Tensor) -> torch.Tensor:
            if (at := value.untyped_storage().data_ptr()) not in own:
                kept[at] = value.untyped_storage().nbytes()
            return value

        process = BatchProcessor(self.device, 'bf16')
        with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            process(model, clips, True)['loss'].backward()
        flops, moved = counter.get_total_flops(), 2 * sum(kept.values())
        a = torch.randn(self.size.matrix, self.size.matrix, device=self.device, dtype=torch.bfloat16)
        peak = 2 * self.size.matrix**3 / self._best(lambda: a @ a)
        source = torch.empty(self.size.copied, dtype=torch.uint8, device=self.device)
        target = torch.empty_like(source)
        bandwidth = 2 * self.size.copied / self._best(lambda: target.copy_(source))
        said = (
            f'{flops / 1e9:.3g} GFLOP at {peak / 1e12:.3g} TFLOP/s: {flops / peak * 1e3:.3g} ms; '
            f'{moved / 1e9:.3g} GB at {bandwidth / 1e9:.4g} GB/s: {moved / bandwidth * 1e3:.3g} ms'
        )
        return max(flops / peak, moved / bandwidth), said

    @staticmethod
    def _best(run: Callable[[], object]) -> float:
        def whole() -> None:
            run()
            _finish()

        whole()
        return min(seconds(whole) for _ in range(10))


def _endless(loader: Loader) -> Iterator[dict]:
    epoch = 0
    while True:
        epoch += 1
        loader.set_epoch(epoch)
        yield from loader


def _forget_peak(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak(device: torch.device) -> float:
    if device.type == 'cuda':
        return torch.cuda.max_memory_reserved() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


@contextmanager
def _quiet() -> Iterator[None]:
    """Meanwhile the project logs warnings only."""
    logger = get_logger()
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quick', action='store_true', help='small sizes and a narrow network, under a minute')
    parser.add_argument(
        '--json', metavar='FILE', help='where to keep the figures (default: benchmarks/results/DEVICE.json)'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    device = distributed.local_device()
    size = QUICK if args.quick or device.type == 'cpu' else PUBLISHED
    options = dict(backend='eager') if device.type == 'cpu' else {}  # inductor takes minutes on a CPU
    facts = machine()
    introduce(facts)
    print(
        f'sizes {"as published" if size.goals else "of --quick"}, torch.compile {options or "by inductor"}', flush=True
    )
    rows = agreement(device, options)
    wrong = [row.name for row in rows if not row.reached]
    if wrong:
        show(rows)
        raise ACLNetError(f'the fast path does not give what the formulas give on {device}: {"; ".join(wrong)}')
    with tempfile.TemporaryDirectory() as folder, _quiet():
        found = Measurements(size, device, Path(folder), options)
        more, failed = measured(dict(training=found.training, testing=found.testing, loading=found.loading))
    show([*rows, *more])
    name = re.sub(r'\W+', '_', facts['gpu'] or 'cpu').strip('_').lower() + ('' if size.goals else '_quick')
    path = Path(args.json) if args.json else ROOT / 'benchmarks' / 'results' / f'{name}.json'
    keep(path, facts, [*rows, *more], failed)
    print(f'{path} keeps the figures')
    complain(failed)


if __name__ == '__main__':
    run_tool(main)
