"""All benchmarks in one table: ours against the literal formulas, in turns in one process, and against their goals.

A benchmark that fails is named below the table and the others go on; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from aclnet.errors import ACLNetError, nearest, run_tool  # noqa: E402
from aclnet.files import atomic_write  # noqa: E402
from aclnet.visualization.canvas import check_format  # noqa: E402
from benchmarks.measure import Row  # noqa: E402

EXAMPLES = """examples:
  python benchmarks/run.py                                  # all; needs half an hour and an idle machine
  python benchmarks/run.py loss_step start_help             # these
  python benchmarks/run.py losses --json before.json        # those of benchmarks/losses.py, kept
  python benchmarks/run.py losses --compare before.json     # what has become slower
"""
Benchmark = Callable[[], list[Row]]


def find(files: Iterable[Path]) -> dict[str, dict[str, Benchmark]]:
    """File stem → name → benchmark, of the files that have BENCHMARKS."""
    found = {}
    for path in files:
        if path.suffix != '.py' or not path.is_file():
            raise ACLNetError(f'{path} is no Python file with BENCHMARKS')
        if 'BENCHMARKS' not in path.read_text(encoding='utf-8'):
            continue
        spec = importlib.util.spec_from_file_location(f'benchmarks.{path.stem}', path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # for dataclasses and data loaders' workers
        try:
            spec.loader.exec_module(module)
            if getattr(module, 'BENCHMARKS', None):
                found[path.stem] = dict(module.BENCHMARKS)
        except Exception as error:  # the others go on
            found[path.stem] = {path.stem: _raising(error)}
    return found


def _raising(error: Exception) -> Benchmark:
    def run() -> list[Row]:
        raise error

    return run


def chosen(found: dict[str, dict[str, Benchmark]], names: list[str]) -> dict[str, Benchmark]:
    """The benchmarks of these names, or of the files of these names; all where there are none."""
    every = {name: run for topic in found.values() for name, run in topic.items()}
    picked: dict[str, Benchmark] = {} if names else every
    for name in names:
        if name not in every and name not in found:
            known = [*found, *every]
            raise ACLNetError(f"there is no benchmark '{name}'{nearest(name, known)} (known: {', '.join(known)})")
        picked.update(found.get(name) or {name: every[name]})
    return picked


def machine() -> dict[str, Any]:
    """What the figures depend on, beside the code."""
    import mmcv
    import numpy as np
    import torch

    import aclnet

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return dict(
        processor=_processor(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        gpu=gpu,
        load=round(os.getloadavg()[0], 1),  # others' processes disturb
        versions=dict(
            aclnet=aclnet.__version__,
            python=platform.python_version(),
            torch=torch.__version__,
            numpy=np.__version__,
            mmcv=mmcv.__version__,
        ),
        date=datetime.datetime.now().astimezone().isoformat(timespec='minutes'),
    )


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return named[0] if named else platform.processor() or platform.machine()


def amount(value: float | None, unit: str = 's') -> str:
    """A figure with its unit; seconds as s, ms or µs."""
    if value is None:
        return ''
    if unit != 's':
        return f'{value:.3g} {unit}' if value < 1000 else f'{value:,.0f} {unit}'
    factor, shown = next(((f, u) for f, u in ((1, 's'), (1e3, 'ms')) if value * f >= 1), (1e6, 'µs'))
    return f'{value * factor:.3g} {shown}' if value < 1000 else f'{value:,.0f} s'


def _goal(row: Row) -> str:
    if row.reach is None:
        return ''
    sign = '≤' if row.lower else '≥'
    return f'{sign} {amount(row.reach, row.unit)}' if row.ratio is None else f'{sign} {row.reach:g} ×'


def _line(row: Row) -> list[str]:
    ratio = '' if row.ratio is None else f'{row.ratio:.3g} ×' if row.ratio < 1000 else f'{row.ratio:,.0f} ×'
    floor = '' if row.floor is None else f'{amount(row.floor, row.unit)} ({row.floor / row.ours:.0%})'
    reached = {True: 'yes', False: 'NO', None: ''}[row.reached]
    ours, literal = amount(row.ours, row.unit), amount(row.literal, row.unit)
    return [row.name, ours, literal, ratio, _goal(row), reached, floor, row.note]


def table(head: list[str], lines: list[list[str]]) -> str:
    """A Markdown table whose columns stand below each other."""
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    rule = ['-' * width for width in widths]
    return '\n'.join(
        '| ' + ' | '.join(cell.ljust(width) for cell, width in zip(line, widths)) + ' |'
        for line in [head, rule, *lines]
    )


def compared(rows: list[Row], before: dict[str, Any], here: dict[str, Any], margin: float) -> str:
    """What has become slower or faster than in a kept file, by more than the margin.

    On the machine of the kept file a time and, where there is one, its ratio must both have changed, since neighbours
    on the machine slow both sides; on another one only ratios are compared.
    """
    kept = {row['name']: row for row in before['rows']}
    same = all(before['machine'].get(key) == here[key] for key in ('processor', 'cores', 'threads', 'gpu'))
    lines = []
    for row in rows:
        old = kept.get(row.name)
        if old is None:
            lines.append([row.name, '', amount(row.ours, row.unit), '', 'new'])
            continue
        changes = []
        if same or row.unit != 's':
            better = -1 if row.unit == 's' or row.lower else 1
            changes.append((row.ours / old['ours']) ** better if row.ours > 0 < old['ours'] else 1.0)
        if row.ratio is not None and old['ratio'] is not None:
            changes.append(row.ratio / old['ratio'])
        verdict = 'slower' if changes and max(changes) < 1 / (1 + margin) else ''
        verdict = 'faster' if changes and min(changes) > 1 + margin else verdict
        ratios = '' if row.ratio is None or old['ratio'] is None else f'{old["ratio"]:.3g} × → {row.ratio:.3g} ×'
        lines.append([row.name, amount(old['ours'], row.unit), amount(row.ours, row.unit), ratios, verdict])
    said = f'against {before["machine"]["date"]}' + ('' if same else ', on another machine: only ratios are compared')
    gone = [name for name in kept if name not in {row.name for row in rows}]
    return (
        f'{said}; margin {margin:.0%}\n'
        + table(['benchmark', 'then', 'now', 'ratio', ''], lines)
        + (f'\nnot measured now: {", ".join(gone)}' if gone else '')
    )


def _read(path: str) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
        content['machine']['date'], [(row['name'], row['ours'], row['ratio']) for row in content['rows']]
    except OSError as error:
        raise ACLNetError(f'{path} cannot be read: {error.strerror}') from None
    except (ValueError, KeyError, TypeError):
        raise ACLNetError(f'{path} is no file that --json wrote') from None
    return content


def introduce(facts: dict[str, Any]) -> None:
    """Print what the figures depend on."""
    versions = ', '.join(f'{name} {version}' for name, version in facts['versions'].items())
    print(
        f'{facts["processor"]}, {facts["cores"]} cores, {facts["threads"]} threads, load {facts["load"]}'
        + (f', {facts["gpu"]}' if facts['gpu'] else '')
    )
    print(f'{versions}; {facts["date"]}', flush=True)


def measured(picked: dict[str, Benchmark]) -> tuple[list[Row], dict[str, str]]:
    """The rows of the benchmarks, and of each that failed its name and why."""
    rows: list[Row] = []
    failed: dict[str, str] = {}
    for name, run in picked.items():
        print(f'{name} …', file=sys.stderr, flush=True)
        try:
            rows += run()
        except Exception as error:  # the others' figures stay
            failed[name] = f'{type(error).__name__}: {error}'.partition('\n')[0]
    return rows, failed


def measured_apart(names: Iterable[str], args: argparse.Namespace) -> tuple[list[Row], dict[str, str]]:
    """What ``measured`` gives, each benchmark in a process of its own: none finds the memory that another left."""
    rows: list[Row] = []
    failed: dict[str, str] = {}
    files = ['--files', *args.files] if args.files else []
    for name in names:
        print(f'{name} …', file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) / 'kept.json'
            command = [sys.executable, __file__, name, '--here', '--threads', str(args.threads), '--json', str(kept)]
            done = subprocess.run([*command, *files], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if not kept.exists():
                said = done.stderr.strip().rpartition('\n')[2]
                ending = f'signal {-done.returncode}' if done.returncode < 0 else f'status {done.returncode}: {said}'
                failed[name] = f'its process ended with {ending}'
                continue
            content = json.loads(kept.read_text(encoding='utf-8'))
        failed.update(content['failed'])
        known = {field.name for field in fields(Row)}
        rows += [Row(**{key: value for key, value in row.items() if key in known}) for row in content['rows']]
    return rows, failed


def show(rows: list[Row]) -> None:
    """Print the table and how many goals are reached."""
    head = ['benchmark', 'ours', 'literal', 'ratio', 'goal', 'reached', 'floor (of ours)', 'note']
    print(table(head, [_line(row) for row in rows]))
    with_goal = [row for row in rows if row.reached is not None]
    print(f'{sum(bool(row.reached) for row in with_goal)} of {len(with_goal)} goals reached')


def keep(path: str | Path, facts: dict[str, Any], rows: list[Row], failed: dict[str, str]) -> None:
    """Write the figures as JSON."""
    content = dict(machine=facts, rows=[dict(asdict(row), reached=row.reached) for row in rows], failed=failed)
    with atomic_write(path, 'w') as stream:
        stream.write(json.dumps(content, indent=1, ensure_ascii=False) + '\n')


def complain(failed: dict[str, str]) -> None:
    """Name what failed, and end with status 1 if anything did."""
    for name, reason in failed.items():
        print(f'{name} failed: {reason}', file=sys.stderr)
    if failed:
        sys.exit(1)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('names', nargs='*', help='benchmarks, or files of benchmarks/ without .py (default: all)')
    parser.add_argument('--list', action='store_true', help='only say which there are')
    parser.add_argument('--json', metavar='FILE', help='keep the figures')
    parser.add_argument('--compare', metavar='FILE', help='show what became slower since these were kept')
    parser.add_argument(
        '--margin', type=float, default=0.15, help='change that is taken for noise by --compare (default: 0.15)'
    )
    parser.add_argument('--plot', metavar='FILE', help='draw the figures against their goals; needs matplotlib')
    parser.add_argument('--threads', type=int, default=2, help="of torch; the goals' is 2 (default: 2)")
    parser.add_argument('--files', nargs='+', metavar='FILE', help='files with BENCHMARKS (default: those beside this)')
    parser.add_argument('--here', action='store_true', help=argparse.SUPPRESS)  # what measured_apart runs
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    before = _read(args.compare) if args.compare else None
    here = Path(__file__)
    if args.plot:
        check_format(args.plot)
    files = [Path(name) for name in args.files or ()] or sorted(p for p in here.parent.glob('*.py') if p != here)
    found = find(files)
    picked = chosen(found, args.names)
    if args.list:
        print('\n'.join(f'{topic}: {" ".join(names)}' for topic, names in found.items()))
        return
    import torch

    torch.set_num_threads(args.threads)
    facts = machine()
    introduce(facts)
    rows, failed = measured(picked) if args.here or len(picked) == 1 else measured_apart(picked, args)
    show(rows)
    if args.json:
        keep(args.json, facts, rows, failed)
    if before is not None:
        print(compared(rows, before, facts, args.margin))
    if args.plot:
        from benchmarks.picture import draw

        draw(rows, args.plot)
    complain(failed)


if __name__ == '__main__':
    run_tool(main)
