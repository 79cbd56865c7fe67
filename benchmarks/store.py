"""What the packed store costs beside the pickle: at the size of NTU RGB+D 120, of made-up clips.

Opening, a worker's memory and reading samples at random. The other side unpickles with plain ``pickle.load``, which
trusts the file. Each side runs in processes of its own; files are in the system's memory, as they are after a first
epoch, and reading is timed by the processor's clock.

Example: python benchmarks/store.py --samples 20000
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import Row

SAMPLES, FRAMES, WORKERS, READS = 114_480, 72, 4, 20_000  # NTU120 has 114,480 clips, with 2 persons in a quarter


def write(folder: str, samples: int) -> tuple[str, str]:
    """(pickle, store) of noise in float16, the splits halves of it."""
    from aclnet.datasets.annotations import StoreWriter

    rng = np.random.default_rng(0)
    frames = rng.integers(FRAMES // 2, FRAMES * 3 // 2, samples)
    noise = rng.standard_normal((2, FRAMES * 2, 25, 3), np.float32).astype(np.float16)
    names = [f'S001C001P001R001A{number:06d}' for number in range(samples)]
    annotations = [
        dict(
            frame_dir=names[number],
            label=number % 120,
            total_frames=int(count),
            keypoint=noise[: 1 + (number % 4 == 0), number % FRAMES // 2 :][:, :count].copy(),
        )
        for number, count in enumerate(frames)
    ]
    split = dict(xsub_train=names[::2], xsub_val=names[1::2])
    paths = os.path.join(folder, 'made.pkl'), os.path.join(folder, 'made.store')
    with open(paths[0], 'wb') as stream:
        pickle.dump(dict(split=split, annotations=annotations), stream, 4)
    with StoreWriter(paths[1], dict(layout='nturgb+d')) as store:
        for annotation in annotations:
            store.add(annotation)
        store.close(split)
    return paths


CODE = """
import json, os, sys, time
import numpy as np
from aclnet.datasets import PoseDataset
from aclnet.datasets.annotations import Store

kind, path, ranks, workers, reads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])


def opened():
    start = time.perf_counter()
    if kind == 'pickle':
        import pickle
        with open(path, 'rb') as stream:
            content = pickle.load(stream)
    else:
        content = Store.open(path).select('xsub_train')
    return time.perf_counter() - start


def data_set():
    start = time.perf_counter()
    dataset = PoseDataset(path, [], pack=False)
    return dataset, time.perf_counter() - start


def work(dataset, number):
    order = np.random.default_rng(number).permutation(len(dataset))[:reads].tolist()
    start = time.process_time()
    for index in order:
        dataset[index]['keypoint'].astype('f4')
    return time.process_time() - start


def memory():
    with open('/proc/self/smaps_rollup') as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith('Pss:')) * 1024


first = opened() if ranks == 0 else None
dataset, built = data_set() if ranks == 0 else (None, None)
done, go, leave, answers = os.pipe(), os.pipe(), os.pipe(), os.pipe()
children = ranks or workers
for number in range(children):
    if not os.fork():
        mine = data_set()[0] if ranks else dataset
        took = work(mine, number)
        os.write(done[1], b'.')
        os.read(go[0], 1)  # when all have read
        os.write(answers[1], b'%20d%20f' % (memory(), took))
        os.read(leave[0], 1)  # nobody leaves before all have said
        os._exit(0)
for _ in range(children):
    os.read(done[0], 1)
os.write(go[1], b'.' * children)
said = [os.read(answers[0], 40) for _ in range(children)]
os.write(leave[1], b'.' * children)
for _ in range(children):
    os.wait()
print(json.dumps(dict(
    opened=first,
    built=built,
    memory=sum(int(text[:20]) for text in said),
    read=sum(float(text[20:]) for text in said) / children / min(reads, len(dataset or '') or reads),
)))
"""


def measured(kind: str, path: str, ranks: int, workers: int, reads: int = READS) -> dict[str, float]:
    """A process that opens ``path`` for its workers, or (``ranks`` > 0) processes that each open it."""
    words = [sys.executable, '-c', CODE, kind, path, str(ranks), str(workers), str(reads)]
    env = {**os.environ, 'PYTHONPATH': str(Path(__file__).resolve().parents[1]), 'OMP_NUM_THREADS': '1'}
    return json.loads(subprocess.run(words, env=env, check=True, stdout=subprocess.PIPE, text=True, timeout=600).stdout)


def rows(samples: int = SAMPLES, repeats: int = 3) -> list[Row]:
    """Opening, memory of workers, reading; medians of processes that take turns."""
    with tempfile.TemporaryDirectory() as folder:
        paths = dict(zip(('pickle', 'store'), write(folder, samples)))
        size = os.path.getsize(paths['pickle'])
        runs: dict[str, dict[str, list[dict]]] = {}
        for _ in range(repeats):
            for kind, path in paths.items():
                for name, ranks, workers in (('one', 0, 1), ('workers', 0, WORKERS), ('ranks', WORKERS, 0)):
                    runs.setdefault(name, {}).setdefault(kind, []).append(measured(kind, path, ranks, workers))
    note = f'{samples:,} clips, {size / 1e9:.2f} GB'
    found = []
    for name, run, key, reach, unit in (
        ('opening the file', 'one', 'opened', 100, 's'),
        ('opening a PoseDataset', 'one', 'built', None, 's'),
        (f'PSS of {WORKERS} workers of a process, {READS:,} clips read by each', 'workers', 'memory', 4, 'B'),
        (f'PSS of {WORKERS} processes that open it themselves, likewise', 'ranks', 'memory', 4, 'B'),
        ('reading a clip at random into float32, 1 worker', 'one', 'read', 1, 's'),
        (f'reading a clip at random into float32, {WORKERS} workers', 'workers', 'read', 1, 's'),
    ):
        theirs, ours = ([one[key] for one in runs[run][kind]] for kind in ('pickle', 'store'))
        ratio = statistics.median(a / b for a, b in zip(theirs, ours))
        row = Row(name, statistics.median(ours), statistics.median(theirs), ratio, reach, unit=unit, note=note)
        found.append(row)
    return found


BENCHMARKS: dict[str, Callable[[], list[Row]]] = {'store': rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--samples', type=int, default=SAMPLES, help='clips (default: %(default)s)')
    parser.add_argument('--repeats', type=int, default=3, help='turns of each side (default: %(default)s)')
    args = parser.parse_args()
    for row in functools.partial(rows, args.samples, args.repeats)():
        print(
            f'{row.name}: pickle {row.literal:.3g} {row.unit}, store {row.ours:.3g} {row.unit}, ratio {row.ratio:.3g} '
            f'({"at least " + str(row.reach) if row.reach else "no goal"}); {row.note}'
        )


if __name__ == '__main__':
    main()
