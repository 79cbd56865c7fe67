"""Both contrastive terms and the superclasses as their formulas say: loops over samples, classes and entries."""

from __future__ import annotations

import math

import torch


def count_confusions(B, label, predicted):
    """Add one batch to the counts: B is a list of lists, label and predicted are lists."""
    for y, guess in zip(label, predicted):
        if guess != y:
            B[y][guess] += 1
        for other, other_guess in zip(label, predicted):
            if other_guess == y and other != y:
                B[y][other] += 1


def superclasses(B, num_neighbors=10, min_overlap=4):
    """List of sets: the superclass of every class."""
    classes = len(B)
    neighbours = []
    for i in range(classes):
        order = sorted(range(classes), key=lambda j: (-B[i][j], j))
        neighbours.append(set(order[: min(num_neighbors, classes)]))
    out = []
    for i in range(classes):
        members = set(neighbours[i])
        for j in range(classes):
            if j != i and len(neighbours[i] & neighbours[j]) > min_overlap:
                members.add(j)
        out.append(members)
    return out


class InterClass:
    """State and value of L_inter, fed with projected features."""

    def __init__(
        self,
        prototypes,
        momentum=0.9,
        start_epoch=30,
        num_neighbors=10,
        min_overlap=4,
        temperatures=((10, 0.1), (20, 0.5), (None, 1.0)),
    ):
        self.P = [row.clone() for row in prototypes]
        self.B = [[0] * len(prototypes) for _ in prototypes]
        self.momentum, self.start_epoch = momentum, start_epoch
        self.num_neighbors, self.min_overlap, self.temperatures = num_neighbors, min_overlap, temperatures
        self.supers, self.built_in = None, None

    def temperature(self, size):
        for limit, value in self.temperatures:
            if limit is None or size <= limit:
                return value

    def step(self, epoch, f, logits, label):
        label = label.tolist()
        predicted = [max(range(len(row)), key=lambda c: row[c]) for row in logits.tolist()]
        if epoch >= self.start_epoch:
            count_confusions(self.B, label, predicted)
        P = list(self.P)
        for c in range(len(P)):
            right = [f[i] for i in range(len(label)) if label[i] == c and predicted[i] == c]
            if right:
                P[c] = self.momentum * self.P[c] + (1 - self.momentum) * sum(right) / len(right)
        self.P = [row.detach() for row in P]
        if epoch <= self.start_epoch:
            return torch.zeros((), dtype=f.dtype)
        if self.built_in != epoch:
            self.supers, self.built_in = superclasses(self.B, self.num_neighbors, self.min_overlap), epoch
        total = 0
        for i, y in enumerate(label):
            members = sorted(self.supers[y])
            tau = self.temperature(len(members))
            terms = []
            for c in [y, *members]:
                cosine = (f[i] * P[c]).sum() / ((f[i].norm() + 1e-12) * (P[c].norm() + 1e-12))
                terms.append(cosine / tau)
            total = total - torch.log_softmax(torch.stack(terms), 0)[0]
        return total / len(label)


class IntraClass:
    """State and value of L_intra, fed with projected features."""

    def __init__(self, memory_size, temperature=0.1, margin=0.1):
        self.S, self.temperature, self.margin = memory_size, temperature, margin
        self.entries = []  # (feature, label), oldest first

    def step(self, f, label):
        label = label.tolist()
        f = [row / max(row.norm(), 1e-12) for row in f]
        queue = [(row, y, None) for row, y in self.entries]
        queue += [(row, y, i) for i, (row, y) in enumerate(zip(f, label))]
        queue = queue[-self.S :]
        self.entries = [(row.detach(), y) for row, y, _ in queue]
        if len(queue) < self.S:
            return torch.zeros((), dtype=f[0].dtype)
        total = torch.zeros((), dtype=f[0].dtype)
        for i, y in enumerate(label):
            s = [(f[i] * row).sum() / self.temperature for row, _, _ in queue]
            top = max(value.item() for value in s)
            s = [value - top for value in s]
            negatives = sum(
                (torch.exp(value) for value, (_, other, _) in zip(s, queue) if other != y),
                torch.zeros((), dtype=f[0].dtype),
            )
            positives = [value for value, (_, other, owner) in zip(s, queue) if other == y and owner != i]
            term = 0
            for value in positives:
                term = term + value - torch.log(math.exp(-self.margin) * torch.exp(value) + negatives + 1e-6)
            total = total - term / max(1, len(positives))
        return total / len(label)
