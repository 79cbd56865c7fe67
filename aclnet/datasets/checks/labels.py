"""Whether labels are classes, and every class can be learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from aclnet.datasets.checks.data import Data
from aclnet.datasets.checks.findings import Finding
from aclnet.datasets.checks.splits import protocol_of
from aclnet.limits import MAX_CLASSES

__all__ = ['class_balance', 'class_gaps', 'count_classes', 'label_range', 'untrained_classes']

_IMBALANCE = 20  # times; NTU's classes differ by less than 2, FineGYM's by more


def count_classes(data: Data) -> Counter[int]:
    """{class: samples}."""
    return Counter(label for sample in data.samples for label in sample.labels)


def label_range(data: Data) -> Iterator[Finding]:
    """Labels are whole numbers from 0, below the number of classes."""
    bad = [sample for sample in data.samples if sample.bad_label is not None]
    if bad:
        yield Finding(
            'labels',
            f'{len(bad):,} labels are no classes from 0 up to {MAX_CLASSES - 1:,}, the first is {bad[0].bad_label}',
            'number the classes 0, 1, 2, ... with Python or numpy integers',
            [sample.name for sample in bad],
        )
    if data.benchmark is None:
        return
    last = data.benchmark.classes - 1
    beyond = [sample.name for sample in data.samples if sample.labels and max(sample.labels) > last]
    if beyond:
        yield Finding(
            'labels',
            f'{len(beyond):,} labels are beyond the {last + 1} classes of {data.benchmark.title}, 0 to {last}',
            'subtract 1 if the labels count from 1; else this is another data set',
            beyond,
        )


def class_gaps(data: Data) -> Iterator[Finding]:
    """Every class up to the last has a sample."""
    count = count_classes(data)
    classes = data.benchmark.classes if data.benchmark else max(count, default=-1) + 1
    unseen = [label for label in range(classes) if not count[label]]
    if unseen and count:
        yield Finding(
            'labels',
            f'{len(unseen)} of {classes} classes have no sample',
            'samples of this benchmark are lost: make or download the file again'
            if data.benchmark
            else 'number the classes without gaps, unless they are kept free on purpose',
            [data.class_name(label) for label in unseen],
            problem=data.benchmark is not None,
        )


def untrained_classes(data: Data) -> Iterator[Finding]:
    """Whatever is tested was trained."""
    splits = data.splits or {}
    labels = {sample.name: sample.labels for sample in data.samples if sample.named}
    of_split = {name: {label for m in members for label in labels.get(m, ())} for name, members in splits.items()}
    for name, tested in of_split.items():
        trained = next(
            (k for k in splits if 'train' in k and 'train' not in name and protocol_of(k) == protocol_of(name)), None
        )
        lacking = sorted(tested - of_split[trained]) if trained is not None else []
        if lacking:
            yield Finding(
                'labels',
                f"{len(lacking)} classes of '{name}' never occur in '{trained}'",
                'move samples of these classes into training: what is never seen is always wrong',
                [data.class_name(label) for label in lacking],
            )


def class_balance(data: Data) -> Iterator[Finding]:
    """No class has many times the samples of another."""
    count = count_classes(data)
    if not count:
        return
    (most, many), (fewest, few) = count.most_common()[0], count.most_common()[-1]
    if many > _IMBALANCE * few:
        yield Finding(
            'labels',
            f'class {data.class_name(most)} has {many:,} samples, class {data.class_name(fewest)} has {few:,}',
            'look at mean_class_accuracy too, and let class_prob of PoseDataset show rare classes more often',
            [data.class_name(label) for label, times in count.items() if many > _IMBALANCE * times],
            problem=False,
        )
