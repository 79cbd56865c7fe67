"""Transforms and loading: the fast pipelines against loops over persons, frames and joints, and samples a second."""

from __future__ import annotations

import contextlib
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from aclnet.apis import load_config  # noqa: E402
from aclnet.datasets import PoseDataset, SampleKey, build_dataloader  # noqa: E402
from aclnet.datasets.transforms import STREAMS  # noqa: E402
from aclnet.engine.batch import to_device  # noqa: E402
from benchmarks.measure import Row, pair  # noqa: E402
from tests.oracles import pipelines as oracle  # noqa: E402

__all__ = ['BENCHMARKS']

EXTRA = {stream: 'spatial_flip' for stream in ('b', 'k', 'bm', 'km')}  # of ntu60_xsub


def ntu_like(count: int) -> list[dict]:
    """Annotations as those of NTU: 40 to 200 frames, one or two persons, 25 joints, float16."""
    rng = np.random.default_rng(0)
    annotations = []
    for i in range(count):
        frames, persons = int(rng.integers(40, 201)), int(rng.integers(1, 3))
        keypoint = rng.uniform(-1.5, 1.5, (persons, frames, 25, 3)).astype(np.float16)
        annotations.append(dict(frame_dir=f'clip{i}', label=i % 60, total_frames=frames, keypoint=keypoint))
    return annotations


def kinetics_like(folder: Path, count: int) -> tuple[list[dict], dict[str, dict]]:
    """Annotations as those of Kinetics, 300 frames with one to five persons each, and their poses in a raw file."""
    rng = np.random.default_rng(0)
    annotations, raw = [], {}
    for i in range(count):
        frames = np.repeat(np.arange(300), rng.integers(1, 6, 300)).astype(np.int16)
        keypoint = (rng.random((len(frames), 17, 3)) * (340, 256, 1)).astype(np.float16)
        raw[f'video{i}'] = dict(keypoint=keypoint, frame_inds=frames)
        annotations.append(
            dict(
                frame_dir=f'video{i}',
                label=i,
                total_frames=300,
                img_shape=(256, 340),
                original_shape=(256, 340),
                raw_file=str(folder / 'raw.pkl'),
                box_score=np.ones(len(frames), np.float16),
            )
        )
    (folder / 'raw.pkl').write_bytes(pickle.dumps(raw))
    return annotations, raw


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def dataset_of(annotations: list[dict], config: str, phase: str, **options: object) -> Iterator[PoseDataset]:
    """A data set of the annotations with a published pipeline."""
    pipeline = load_config(str(ROOT / 'configs' / f'{config}.py')).data[phase].pipeline
    with tempfile.NamedTemporaryFile(suffix='.pkl') as file:
        pickle.dump(annotations, file)
        file.flush()
        yield PoseDataset(file.name, pipeline, test_mode=phase != 'train', **options)


def rate(dataset: PoseDataset, passes: int = 7) -> float:
    """Samples a second of one core: the median of the passes after the first, by this process's CPU time."""
    seconds = []
    for epoch in range(1, passes + 2):
        start = time.process_time()
        for index in range(len(dataset)):
            dataset[SampleKey(epoch, index, index)]
        seconds.append(time.process_time() - start)
    return len(dataset) / statistics.median(seconds[1:])


def against_loops(
    name: str, dataset: PoseDataset, literal: Callable[[int], object], count: int, reach: float, times: int = 20
) -> Row:
    """The first ``count`` samples by loops, and by the data set's own path; seconds of one sample.

    Ours are drawn ``times`` times in other epochs, since one pass is too short to be timed.
    """

    def ours() -> None:
        for epoch in range(1, times + 1):
            for index in range(count):
                dataset[SampleKey(epoch, index, index)]

    row = pair(name, lambda: [literal(index) for index in range(count)], ours)
    assert row.literal is not None and row.ratio is not None
    return Row(
        name,
        row.ours / times / count,
        row.literal / count,
        row.ratio * times,
        reach,
        note='seconds a sample, without anything kept',
    )


def training() -> list[Row]:
    annotations, rows = ntu_like(256), []
    for stream in STREAMS:
        with one_core(), dataset_of(annotations, f'ntu60_xsub/{stream}', 'train', keep_bytes=0) as dataset:

            def literal(index: int, stream: str = stream) -> object:
                rng = np.random.default_rng((0, 1, index))
                return oracle.ntu(annotations[index]['keypoint'], stream, rng, EXTRA.get(stream))

            rows.append(against_loops(f'training pipeline, ntu60 {stream}', dataset, literal, 2, reach=10))
            note = 'one core by CPU time, nothing kept'
            rows.append(
                Row(f'training samples, ntu60 {stream}', rate(dataset), reach=4000, unit='samples/s', note=note)
            )
        with one_core(), dataset_of(annotations, f'ntu60_xsub/{stream}', 'train') as dataset:
            note = 'one core by CPU time, PreNormalize3D kept'
            name = f'training samples, ntu60 {stream}, kept'
            rows.append(Row(name, rate(dataset), reach=4000, unit='samples/s', note=note))
    return rows


def testing() -> list[Row]:
    annotations, rows = ntu_like(64), []
    for stream in ('j', 'bm'):
        with one_core(), dataset_of(annotations, f'ntu60_xsub/{stream}', 'test', keep_bytes=0) as dataset:

            def literal(index: int, stream: str = stream) -> object:
                return oracle.ntu(annotations[index]['keypoint'], stream, clips=10)

            rows.append(against_loops(f'test pipeline of 10 clips, ntu60 {stream}', dataset, literal, 2, reach=5))
            name, note = f'test samples of 10 clips, ntu60 {stream}', 'one core by CPU time, nothing kept'
            rows.append(Row(name, rate(dataset), unit='samples/s', note=note))
    return rows


def kinetics() -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        annotations, raw = kinetics_like(Path(folder), 32)
        for stream in STREAMS:
            with one_core(), dataset_of(annotations, f'k400/{stream}', 'train', keep_bytes=0) as dataset:

                def literal(index: int, stream: str = stream) -> object:
                    return oracle.kinetics(raw[f'video{index}'], stream, np.random.default_rng((0, 1, index)))

                rows.append(against_loops(f'training pipeline, k400 {stream}', dataset, literal, 2, reach=10))
            for keep_bytes, note in ((0, 'nothing kept'), (2**28, 'decompressed poses kept')):
                with (
                    one_core(),
                    dataset_of(annotations, f'k400/{stream}', 'train', keep_bytes=keep_bytes) as dataset,
                ):
                    name = f'training samples, k400 {stream}{", kept" if keep_bytes else ""}'
                    rows.append(Row(name, rate(dataset), unit='samples/s', note=f'one core by CPU time, {note}'))
    return rows


def loading() -> list[Row]:
    device, rows = torch.device('cuda' if torch.cuda.is_available() else 'cpu'), []
    with dataset_of(ntu_like(1024), 'ntu60_xsub/j', 'train') as dataset:
        for batch in (16, 64):
            for workers in (0, 1, 2):
                loader = build_dataloader(dataset, batch, workers, seed=0, persistent_workers=True)
                seconds = []
                for epoch in range(1, 7):
                    loader.set_epoch(epoch)
                    start = time.perf_counter()
                    for samples in loader:
                        to_device(samples, device)
                    if device.type == 'cuda':
                        torch.cuda.synchronize()
                    seconds.append(time.perf_counter() - start)
                name = f'data set to {device.type}, batches of {batch}, {workers} workers'
                note = 'wall time' + (', pinned' if loader.pin_memory else '')
                rows.append(Row(name, len(dataset) / statistics.median(seconds[1:]), unit='samples/s', note=note))
                del loader
    return rows


BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    'data_training': training,
    'data_testing': testing,
    'data_kinetics': kinetics,
    'data_loading': loading,
}
