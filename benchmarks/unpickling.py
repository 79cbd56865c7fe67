"""What loading an annotation file costs beside plain ``pickle.load``, which runs whatever the file says.

Times are those of the processor, so that neighbours on the machine disturb them less; files are read from memory, where
the system keeps what was just written. Both sides take turns in one process.

Example: python benchmarks/unpickling.py
"""

from __future__ import annotations

import argparse
import gc
import os
import pickle
import platform
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np

from aclnet.files import load_pickle

CASES = {'NTU': (20_000, (1, 84, 25, 3)), 'tiny clips': (20_000, (1, 4, 5, 3))}  # annotations, M T V C


def write(path: str, count: int, shape: tuple[int, ...], protocol: int) -> None:
    """An annotation file of noise in float16."""
    rng = np.random.default_rng(0)
    annotations = [
        dict(
            frame_dir=f'S001C001P001R001A{i:06d}',
            label=i % 60,
            total_frames=shape[1],
            keypoint=rng.random(shape, np.float32).astype(np.float16),
        )
        for i in range(count)
    ]
    names = [annotation['frame_dir'] for annotation in annotations]
    with open(path, 'wb') as stream:
        pickle.dump(dict(split=dict(train=names), annotations=annotations), stream, protocol)


def plain(path: str) -> object:
    with open(path, 'rb') as stream:
        return pickle.load(stream)


def seconds(load: Callable[[str], object], path: str) -> float:
    gc.collect()
    start = time.process_time()
    content = load(path)
    taken = time.process_time() - start
    del content
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--repeats', type=int, default=11, help='loads of each kind, one after the other in turns')
    parser.add_argument('--annotations', type=int, help='of each case (default: 20,000)')
    args = parser.parse_args()
    print(f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}')
    print(f'numpy {np.__version__}; medians of {args.repeats}')
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'made.pkl')
        for name, (count, shape) in CASES.items():
            for protocol in (2, 4, 5):
                write(path, args.annotations or count, shape, protocol)
                pairs = [(seconds(plain, path), seconds(load_pickle, path)) for _ in range(args.repeats)]
                theirs, ours = (statistics.median(column) for column in zip(*pairs))
                ratio = statistics.median(b / a for a, b in pairs)
                print(
                    f'{name:10} protocol {protocol} {os.path.getsize(path) / 1e6:6.0f} MB: '
                    f'pickle {theirs:.3f} s, aclnet {ours:.3f} s, ratio {ratio:.2f}',
                    flush=True,
                )


if __name__ == '__main__':
    main()
