"""How an epoch is dealt out to ranks, one position at a time."""

from __future__ import annotations


def deal(order, batch_size, ranks, drop_last=False):
    """[step][rank] -> list of entries of ``order``: steps of ranks · batch_size positions, each dealt in blocks."""
    steps = []
    position = 0
    while position < len(order):
        block = list(order[position : position + ranks * batch_size])
        position += ranks * batch_size
        if len(block) == ranks * batch_size:
            steps.append([block[rank * batch_size : (rank + 1) * batch_size] for rank in range(ranks)])
        elif not drop_last:
            extra = 0
            while len(block) < ranks:
                block.append(order[extra % len(order)])
                extra += 1
            share, more = divmod(len(block), ranks)
            dealt = []
            for rank in range(ranks):
                size = share + (rank < more)
                dealt.append(block[:size])
                block = block[size:]
            steps.append(dealt)
    return steps


def repeats(weights_by_class, labels):
    """How often an epoch shows the samples of each class in all: ⌊w⌋ times each, ⌊frac(w) · n⌋ of them once more."""
    totals = {}
    for label in sorted(set(labels)):
        n = sum(other == label for other in labels)
        weight = weights_by_class[label]
        whole = int(weight)
        totals[label] = whole * n + int(round((weight - whole) * n, 9))
    return totals
