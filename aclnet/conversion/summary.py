"""What came of a conversion, for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

__all__ = ['Summary']

_EXAMPLES = 3


@dataclass
class Summary:
    """Counts of the samples that were written and of what was dropped.

    Attributes:
        output: what was written.
        layout: joint layout of the samples.
        recordings: how many the source has.
        resumed: how many of them had been converted before, by a conversion that was interrupted.
        samples: how many were written.
        labels: {class: samples}.
        persons: {persons: samples}.
        frames: lengths of the samples: {frames: samples}.
        dropped: {reason: number}.
        examples: {reason: the first sentences}.
        splits: {name: samples}.
        notes: what else there is to say.
    """

    output: str
    layout: str
    recordings: int = 0
    resumed: int = 0
    samples: int = 0
    labels: Counter = field(default_factory=Counter)
    persons: Counter = field(default_factory=Counter)
    frames: Counter = field(default_factory=Counter)
    dropped: Counter = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, annotation: dict) -> None:
        """Count a sample."""
        self.samples += 1
        self.labels[annotation['label']] += 1
        shape = annotation['keypoint'].shape
        self.persons[shape[0] if len(shape) == 4 else 'several'] += 1  # (n, V, C) is not told apart yet
        self.frames[int(annotation['total_frames'])] += 1

    def drop(self, reason: str, detail: str) -> None:
        """Count what became no sample."""
        self.dropped[reason] += 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append(detail)

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        return dict(
            output=self.output,
            layout=self.layout,
            recordings=self.recordings,
            samples=self.samples,
            classes=len(self.labels),
            samples_per_class={str(label): self.labels[label] for label in sorted(self.labels)},
            persons={str(persons): number for persons, number in sorted(self.persons.items(), key=str)},
            frames=self._lengths(),
            splits=self.splits,
            dropped={
                reason: dict(count=count, examples=self.examples[reason])
                for reason, count in self.dropped.most_common()
            },
            notes=self.notes,
        )

    def _lengths(self) -> dict[str, int]:
        lengths = sorted(self.frames)
        if not lengths:
            return dict(total=0, shortest=0, median=0, longest=0)
        seen, median = 0, lengths[0]
        for length in lengths:
            seen += self.frames[length]
            median = length
            if 2 * seen >= self.samples:
                break
        total = sum(length * number for length, number in self.frames.items())
        return dict(total=total, shortest=lengths[0], median=median, longest=lengths[-1])

    def __str__(self) -> str:
        numbers = sorted(self.labels.values())
        lengths = self._lengths()
        persons = ', '.join(f'{persons}: {count:,}' for persons, count in sorted(self.persons.items(), key=str))
        rows = [
            ('samples', f'{self.samples:,} of {self.recordings:,} recordings'),
            ('classes', f'{len(numbers)}, with {numbers[0]:,} to {numbers[-1]:,} samples' if numbers else '0'),
            ('persons', f'{persons} samples'),
            (
                'frames',
                '{shortest} to {longest}, half of the samples up to {median}; {total:,} in all'.format(**lengths),
            ),
            ('joints', self.layout),
            ('splits', ', '.join(f'{title} {count:,}' for title, count in self.splits.items()) or 'none'),
            ('dropped', f'{sum(self.dropped.values()):,}'),
        ]
        lines = [self.output, *(f'  {title:<9}{text}' for title, text in rows)]
        for reason, count in self.dropped.most_common():
            lines.append(f'    {count:,} × {reason}')
            lines += [f'        {example}' for example in self.examples[reason]]
            if count > len(self.examples[reason]):
                lines.append('        ...')
        if self.resumed:
            lines.append(f'  {self.resumed:,} recordings had been converted before the interruption')
        return '\n'.join(lines + [f'  {note}' for note in self.notes])
