"""Metrics by the letter of their definitions, one sample and one class at a time."""

from __future__ import annotations

import numpy as np


def top_k_accuracy(scores, labels, k):
    hits = 0
    for row, label in zip(scores, labels):
        best = list(np.argsort(row)[-k:][::-1])
        hits += label in best
    return hits / len(labels)


def mean_class_accuracy(scores, labels):
    accuracies = []
    for c in sorted(set(labels)):
        members = [row for row, label in zip(scores, labels) if label == c]
        accuracies.append(sum(int(np.argmax(row)) == c for row in members) / len(members))
    return sum(accuracies) / len(accuracies)


def mean_average_precision(scores, multi_hot):
    values = []
    for c in range(len(scores[0])):
        positives = sum(row[c] for row in multi_hot)
        if positives == 0:
            continue
        area, recall_before = 0.0, 0.0
        for threshold in sorted({row[c] for row in scores}, reverse=True):
            taken = [labels[c] for row, labels in zip(scores, multi_hot) if row[c] >= threshold]
            recall = sum(taken) / positives
            area += (recall - recall_before) * sum(taken) / len(taken)
            recall_before = recall
        values.append(area)
    return sum(values) / len(values)
