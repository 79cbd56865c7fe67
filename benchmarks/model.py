"""The network as published (2 persons, 100 frames, 25 joints, width 96): a training step, a forward pass, their memory.

The literal side is the formulas of ``tests/oracles/backbone.py``; rows that say 'units in the published order' have the
general forms of the units, which training takes with ``fast=False``, on the other side. A step is the backbone, the
mean, a classifier, cross-entropy, and their gradients.
"""

from __future__ import annotations

import argparse
import copy
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))  # for tests.oracles, which is no part of the package

from aclnet.allocator import keep_freed_memory  # noqa: E402
from aclnet.apis import optimize_for_inference, optimize_for_training  # noqa: E402
from aclnet.models import DynamicGCN  # noqa: E402
from benchmarks.measure import Row, seconds  # noqa: E402
from tests.oracles.backbone import backbone  # noqa: E402

__all__ = ['BENCHMARKS', 'inference', 'memory', 'training']

CLASSES, BATCH, REPEATS = 60, 16, 5
MEMORY_BATCH = 4  # the literal step of 16 clips needs 16 GB
STRIDES = [1, 1, 1, 1, 2, 1, 1, 2, 1, 1]


def network() -> DynamicGCN:
    torch.manual_seed(0)
    graph = dict(layout='nturgb+d', mode='random', num_filter=8, init_off=0.04, init_std=0.02)
    return DynamicGCN(graph, gcn_ratio=0.125)


def literally(net: DynamicGCN) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The formulas with the weights of a network."""
    state = {name: value.detach().clone() for name, value in net.state_dict().items()}
    for name, _ in net.named_parameters():
        state[name].requires_grad_(net.training)
    return lambda x: backbone(state, x, net.training, STRIDES)


def step(net: Callable, clips: int, amp: bool = False) -> Callable[[], None]:
    """A training step without the optimizer's, which is the same for all."""
    x, label = torch.randn(clips, 2, 100, 25, 3), torch.randint(CLASSES, (clips,))
    classifier = nn.Linear(384, CLASSES)

    def run() -> None:
        with torch.autocast('cpu', torch.bfloat16, enabled=amp):
            logits = classifier(net(x)[0].mean((3, 4)).mean(1))
        F.cross_entropy(logits.float(), label).backward()

    return run


def forward(net: Callable, clips: int, amp: bool = False) -> Callable[[], None]:
    x = torch.randn(clips, 2, 100, 25, 3)

    def run() -> None:
        with torch.inference_mode(), torch.autocast('cpu', torch.bfloat16, enabled=amp):
            net(x)

    return run


def floor(run: Callable[[], None], dtype: torch.dtype) -> float:
    """Seconds of the products alone, at the rate at which this machine multiplies large matrices."""
    with FlopCounterMode(display=False) as counter:
        run()
    a = torch.randn(2048, 2048, dtype=dtype)
    a @ a
    return counter.get_total_flops() * min(seconds(lambda: a @ a) for _ in range(10)) / (2 * 2048**3)


def compare(name: str, sides: dict[str, Callable[[], None]], reach: dict[str, float]) -> list[Row]:
    """Rows of 'fp32' and 'bf16' against 'literal' and 'published', all timed in turns."""
    floors = {'fp32': floor(sides['fp32'], torch.float32), 'bf16': floor(sides['bf16'], torch.bfloat16)}
    for run in sides.values():
        run()
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(REPEATS):
        for side, run in sides.items():
            times[side].append(seconds(run))
    middle = {side: statistics.median(values) for side, values in times.items()}
    rows = []
    for other, words in (('literal', ''), ('published', ' against units in the published order')):
        for kind in ('fp32', 'bf16'):
            ratio = statistics.median(a / b for a, b in zip(times[other], times[kind]))
            goal = reach[kind] if other == 'literal' else None
            rows.append(Row(f'{name}, {kind}{words}', middle[kind], middle[other], ratio, goal, floors[kind]))
    return rows


def training() -> list[Row]:
    """A training step of 16 clips."""
    net = network()
    fast = optimize_for_training(copy.deepcopy(net))
    sides = dict(
        literal=step(literally(net), BATCH),
        published=step(net, BATCH),
        fp32=step(fast, BATCH),
        bf16=step(fast, BATCH, amp=True),
    )
    return compare(f'training step, batch {BATCH}', sides, dict(fp32=2.2, bf16=4.0))


def inference() -> list[Row]:
    """A forward pass of one clip and of 16, after ``optimize_for_inference``."""
    net = network().eval()
    fast, half = optimize_for_inference(net), optimize_for_inference(net, torch.bfloat16)
    rows = []
    for clips, name in ((1, 'forward, one clip'), (BATCH, f'forward, {BATCH} clips')):
        sides = dict(
            literal=forward(literally(net), clips),
            published=forward(net, clips),
            fp32=forward(fast, clips),
            bf16=forward(half, clips, amp=True),
        )
        rows += compare(name, sides, dict(fp32=2.5, bf16=5.0))
    return rows


def peak(side: str, clips: int) -> float:
    """GB that a step needs at its peak beyond what the process had; call it in a process of its own."""
    net = network()
    sides = dict(literal=lambda: literally(net), published=lambda: net, fp32=lambda: optimize_for_training(net))
    net_of_side = sides.get(side, sides['fp32'])()
    step(net_of_side, 1, side == 'bf16')()  # what libraries keep for themselves
    run, before = step(net_of_side, clips, side == 'bf16'), _resident()
    run()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / 1e9


def _resident() -> int:
    return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()


def memory() -> list[Row]:
    """Peak memory of a training step, each side in a process of its own."""
    found = {}
    for side in ('literal', 'published', 'fp32', 'bf16'):
        words = [sys.executable, __file__, '--memory', side]
        found[side] = float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    rows = []
    for other, words in (('literal', ''), ('published', ' against units in the published order')):
        for kind in ('fp32', 'bf16'):
            goal = 0.6 if (other, kind) == ('literal', 'fp32') else None
            rows.append(
                Row(
                    f'peak memory of a training step, batch {MEMORY_BATCH}, {kind}{words}',
                    found[kind],
                    found[other],
                    found[kind] / found[other],
                    goal,
                    unit='GB',
                    lower=True,
                    note='the ratio is ours / other',
                )
            )
    return rows


def kept_step(keep: bool) -> float:
    """Seconds of a training step of the fast form, the best of three; call it in a process of its own."""
    if keep:
        keep_freed_memory()
    run = step(optimize_for_training(network()), BATCH)
    run()
    return min(seconds(run) for _ in range(3))


def allocator() -> list[Row]:
    """A training step where freed memory is kept, as the tools have it on a CPU, and where it isn't, as above."""
    turns = []
    for _ in range(3):
        for words in (['--step', 'default'], ['--step', 'kept']):
            done = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True)
            turns.append(float(done.stdout))
    default, kept = turns[::2], turns[1::2]
    ratio = statistics.median(a / b for a, b in zip(default, kept))
    name, note = f'training step, batch {BATCH}, fp32, freed memory kept', 'against the same with what glibc does'
    return [Row(name, statistics.median(kept), statistics.median(default), ratio, note=note)]


BENCHMARKS: dict[str, Callable[[], list[Row]]] = dict(
    training=training, inference=inference, memory=memory, allocator=allocator
)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='One side of a comparison whose sides need processes of their own.')
    parser.add_argument('--memory', choices=['literal', 'published', 'fp32', 'bf16'], help='peak of a step in GB')
    parser.add_argument('--step', choices=['default', 'kept'], help='seconds of a step')
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(peak(args.memory, MEMORY_BATCH) if args.memory else kept_step(args.step == 'kept'))
