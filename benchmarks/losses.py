"""The two contrastive terms: against loops over samples and classes, within a training step, and as sizes grow."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from aclnet.apis import load_config
from aclnet.engine import BatchProcessor
from aclnet.models import build_model
from aclnet.models.losses import InterClassAffinityLoss, IntraClassMarginLoss
from benchmarks.measure import Row, pair, seconds
from tests.oracles import losses as oracle

__all__ = ['BENCHMARKS']

CHANNELS, EMBED = 400, 256  # V·V of 20 joints → the projection
CLASSES, BATCH, MEMORY = 400, 64, 2048  # of Kinetics as published
CALLS = 20  # of ours in a turn
GROWTH = dict(
    classes=(60, 120, 400, 1000, 2000), batch=(16, 64, 256, 1024), memory=(512, 2048, 8192, 32768, 65536)
)  # fmt: skip


def _terms(classes: int, memory: int) -> tuple[InterClassAffinityLoss, IntraClassMarginLoss]:
    """Both terms in the midst of a training: counts, superclasses and a full memory."""
    torch.manual_seed(0)
    inter = InterClassAffinityLoss(classes, CHANNELS, EMBED).train()
    inter.confusion.random_(20)
    inter.superclass_epoch.fill_(31)
    inter.superclass_mask.copy_(torch.rand(classes, classes) < 12 / classes)
    inter.read_buffers()
    inter.set_epoch(31)
    intra = IntraClassMarginLoss(CHANNELS, memory, EMBED).train()
    intra.memory.copy_(torch.nn.functional.normalize(torch.randn(memory, EMBED), dim=1))
    intra.memory_label.random_(classes)
    intra.memory_count.fill_(memory)
    intra.read_buffers()
    return inter, intra


def _batch(classes: int, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features, logits that are right for about every second sample, and labels."""
    label = torch.randint(classes, (batch,))
    logits = torch.randn(batch, classes)
    logits[torch.arange(batch // 2), label[: batch // 2]] += 10
    return torch.randn(batch, CHANNELS, requires_grad=True), logits, label


def _literal(inter: InterClassAffinityLoss, intra: IntraClassMarginLoss) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """A step by the loops of tests/oracles, from the same state."""
    first = oracle.InterClass(inter.prototypes, start_epoch=30)
    first.B = inter.confusion.tolist()
    first.supers = [set(row.nonzero().flatten().tolist()) for row in inter.superclass_mask]
    first.built_in = 31
    second = oracle.IntraClass(intra.memory_size)
    second.entries = list(zip(intra.memory.clone(), intra.memory_label.tolist()))

    def step(x: Tensor, logits: Tensor, label: Tensor) -> Tensor:
        return first.step(31, inter.cl_fc(x), logits, label) + second.step(intra.cl_fc(x), label)

    return step


def step() -> list[Row]:
    inter, intra = _terms(CLASSES, MEMORY)
    literal = _literal(inter, intra)
    batch = _batch(CLASSES, BATCH)
    expected, value = literal(*batch), inter(*batch) + intra(batch[0], batch[2])
    slopes = [torch.autograd.grad(total, batch[0])[0] for total in (expected, value)]
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-4)  # both sides do the same
    torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-5)

    def loops() -> None:
        literal(*batch).backward()

    def ours() -> None:
        for _ in range(CALLS):
            (inter(*batch) + intra(batch[0], batch[2])).backward()

    multiplications = 2 * 3 * BATCH * CHANNELS * EMBED + 2 * BATCH * EMBED * (3 * CLASSES + 2 * MEMORY)
    name = f'step of both terms, batch {BATCH}, {CLASSES} classes, memory {MEMORY}'
    return [_of_one(pair(name, loops, ours, 20, floor=2 * multiplications / _operations()))]


def _of_one(row: Row) -> Row:
    """The row of one call, from turns with ``CALLS`` of ours: milliseconds after seconds of loops, when threads sleep,
    are no measure of a training step."""
    assert row.ratio is not None
    note = f'ours {CALLS} times in a turn'
    return replace(row, ours=row.ours / CALLS, ratio=row.ratio * CALLS, note=note)


def rebuild() -> list[Row]:
    inter, _ = _terms(CLASSES, 1)
    counts = inter.confusion.tolist()
    wanted = oracle.superclasses(counts)
    inter._rebuild_superclasses()
    assert [set(row.nonzero().flatten().tolist()) for row in inter.superclasses] == wanted
    name = f'superclass rebuild, {CLASSES} classes'

    def ours() -> None:
        for _ in range(CALLS):
            inter._rebuild_superclasses()

    return [_of_one(pair(name, lambda: oracle.superclasses(counts), ours, 200, repeats=11))]


def _operations() -> float:
    """Operations per second of a matrix multiplication here, the best of ten."""
    a = torch.randn(1024, 1024)
    return 2 * 1024**3 / min(seconds(lambda: a @ a) for _ in range(10))


def share() -> list[Row]:
    """What both terms cost in a training step of the published model: their own time beside the step's."""
    cfg = load_config('configs/ntu60_xsub/j.py')
    torch.manual_seed(0)
    model = build_model(cfg.model).train()
    head = model.cls_head
    process = BatchProcessor(torch.device('cpu'))
    batch = dict(keypoint=torch.randn(16, 1, 2, 100, 25, 3), label=torch.randint(60, (16,)))
    graph = torch.randn(16, 625, requires_grad=True)
    logits = torch.randn(16, 60)
    for term in (head.inter_loss, head.intra_loss):
        term.train()
    head.inter_loss.set_epoch(31)
    for _ in range(head.intra_loss.memory_size // 16):  # until it is full
        head.intra_loss(graph.detach(), batch['label'])

    def whole() -> None:
        model.zero_grad()
        process(model, batch, True)['loss'].backward()

    def terms() -> None:
        inter, intra = head.inter_loss(graph, logits, batch['label']), head.intra_loss(graph, batch['label'])
        (0.1 * inter + 0.1 * intra).backward()

    whole()
    terms()
    turns = [(seconds(whole), statistics.median(seconds(terms) for _ in range(5))) for _ in range(5)]
    shares = [own / (all_ - own) for all_, own in turns]
    note = f'terms {statistics.median(own for _, own in turns) * 1e3:.1f} ms of {turns[-1][0]:.2f} s'
    name = 'both terms in a training step (ntu60 j, batch 16)'
    return [Row(name, 100 * statistics.median(shares), reach=3, unit='%', lower=True, note=note)]


def growth() -> list[Row]:
    """Times as one of three sizes grows, and all together against a growth that is linear in memory × batch."""
    usual = dict(classes=CLASSES, batch=BATCH, memory=MEMORY)
    grown = [{**usual, name: value} for name, values in GROWTH.items() for value in values]
    largest = {name: values[-1] for name, values in GROWTH.items()}
    rows = {_named(sizes): _timed(sizes) for sizes in [*grown, largest]}
    times = rows[_named(largest)].ours / rows[_named(usual)].ours
    work = largest['batch'] * largest['memory'] / (BATCH * MEMORY)
    note = f'{times:.0f} × the time for {work:.0f} × memory × batch and 5 × the classes'
    share = Row('growth of time over that of memory × batch', times / work, reach=1, unit='×', lower=True, note=note)
    return [*rows.values(), share]


def _named(sizes: dict[str, int]) -> str:
    return 'both terms, batch {batch}, {classes} classes, memory {memory}'.format(**sizes)


def _timed(sizes: dict[str, int]) -> Row:
    inter, intra = _terms(sizes['classes'], sizes['memory'])
    batch = _batch(sizes['classes'], sizes['batch'])

    def run() -> None:
        (inter(*batch) + intra(batch[0], batch[2])).backward()

    run()
    calls = max(1, min(CALLS, 2**24 // (sizes['batch'] * sizes['memory'])))

    def several() -> None:
        for _ in range(calls):
            run()

    return Row(_named(sizes), statistics.median(seconds(several) / calls for _ in range(5)))


BENCHMARKS: dict[str, Callable[[], list[Row]]] = dict(
    loss_step=step, loss_rebuild=rebuild, loss_share=share, loss_growth=growth
)
