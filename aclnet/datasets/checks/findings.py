"""What checks find, and the report that tells it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aclnet.files import atomic_write

__all__ = ['Finding', 'Report']

_SHOWN = 5  # samples of a finding that the text names; JSON names all


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or worth knowing.

    Attributes:
        check: the check's name.
        what: a sentence that says what was found.
        do: a sentence that says what to do about it, or why it matters.
        samples: identifiers of the samples, or names of what else is at fault.
        problem: whether it is to be mended; else it is a note.
    """

    check: str
    what: str
    do: str
    samples: Sequence[str] = ()
    problem: bool = True

    def as_dict(self) -> dict[str, Any]:
        return dict(check=self.check, what=self.what, do=self.do, count=len(self.samples), samples=list(self.samples))

    def __str__(self) -> str:
        lines = [f'{"PROBLEM" if self.problem else "note"} ({self.check}): {_printable(self.what, 600)}']
        if self.samples:
            few = ', '.join(_printable(name, 100) for name in self.samples[:_SHOWN])
            more = f', ... ({len(self.samples):,} in all)' if len(self.samples) > _SHOWN else ''
            lines.append(f'  which: {few}{more}')
        return '\n'.join([*lines, f'  do: {self.do}'])


@dataclass
class Report:
    """All findings of a data set. ``str()`` is what the tool prints, problems first; ``as_dict()`` is its JSON.

    Attributes:
        path: the file or store.
        benchmark: title of the benchmark that it was taken for, or None.
        summary: {what: value} of what is in it.
        findings: in the order of the checks.
    """

    path: str
    benchmark: str | None
    summary: dict[str, Any]
    findings: list[Finding] = field(default_factory=list)

    @property
    def problems(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.problem]

    @property
    def notes(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.problem]

    def exit_code(self, strict: bool = False) -> int:
        """0 where all is well, 1 where there is a problem, or, if ``strict``, a note."""
        return int(bool(self.findings if strict else self.problems))

    def write(self, json_path: str | None = None) -> None:
        """Print the text; write JSON to a file too, or, for ``-``, print that instead.

        Raises:
            ACLNetError: the file cannot be written.
        """
        print(json.dumps(self.as_dict(), indent=1) if json_path == '-' else self)
        if json_path not in (None, '-'):
            with atomic_write(str(json_path), 'w') as stream:
                json.dump(self.as_dict(), stream, indent=1)

    def as_dict(self) -> dict[str, Any]:
        return dict(
            path=self.path,
            benchmark=self.benchmark,
            summary=self.summary,
            problems=[finding.as_dict() for finding in self.problems],
            notes=[finding.as_dict() for finding in self.notes],
        )

    def __str__(self) -> str:
        problems, notes = len(self.problems), len(self.notes)
        found = [
            f'{problems or "no"} problem{"" if problems == 1 else "s"}',
            f'{notes or "no"} note{"" if notes == 1 else "s"}',
        ]
        title = f'{self.path}{f" ({self.benchmark})" if self.benchmark else ""}: {", ".join(found)}'
        width = max(map(len, self.summary), default=0)
        table = '\n'.join(f'{key:<{width}}  {_told(value)}' for key, value in self.summary.items())
        return '\n\n'.join([title, *map(str, self.problems), *map(str, self.notes), table])


def _printable(text: str, limit: int) -> str:
    """What comes from a file, so that it does nothing to a terminal."""
    return ''.join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:limit])


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ', '.join(f'{_printable(key, 100)} {_told(item)}' for key, item in value.items())
    if isinstance(value, list):
        return ', '.join(map(_told, value)) or 'none'
    return f'{value:,}' if isinstance(value, int) else _printable(str(value), 200)
