"""One conversion: all recordings of a source, in parallel, in bounded memory, and restartable."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for

from tqdm import tqdm

from aclnet.conversion import output
from aclnet.conversion.base import Reader, Recording
from aclnet.conversion.options import Options
from aclnet.conversion.parts import Parts, converted
from aclnet.conversion.readers import reader_of
from aclnet.conversion.splits import from_options
from aclnet.conversion.summary import Summary
from aclnet.errors import ACLNetError
from aclnet.files import atomic_write

__all__ = ['convert']

Chunk = list[Recording]


def convert(
    source: str,
    path: str,
    out: str,
    options: Options | None = None,
    workers: int | None = None,
    strict: bool = False,
    summary: str | None = None,
    chunk: int | None = None,
    progress: bool = True,
) -> Summary:
    """Convert a source to an annotation file. The result does not depend on the number of processes.

    What is converted is kept in a hidden folder beside the output until all of it is; the same command goes on from
    there. Memory holds a chunk of recordings per process, and 300 bytes for every sample.

    Args:
        source: one of ``SOURCES``.
        path: the file or folder of the source.
        out: a name that ends in ``.pkl``, or else a store's folder. Names of classes that the source has go beside it,
            into ``<out without .pkl>_classes.txt``.
        options: see there.
        workers: processes; None for one per core.
        strict: whether a broken recording is an error; else it is dropped and named in the summary.
        summary: a file for the summary as JSON.
        chunk: recordings that are converted and kept together; None for what suits the source.
        progress: whether to show a bar.

    Raises:
        ACLNetError: the input is missing or none of this source, nothing is left of it, or the output cannot be
            written.
    """
    options = Options() if options is None else options
    if (workers is not None and workers < 1) or (chunk is not None and chunk < 1):
        raise ACLNetError(f'--workers and --chunk must be at least 1, got {workers} and {chunk}')
    if not os.path.exists(path):
        raise ACLNetError(f'{path} does not exist; it should hold the files of {source}')
    reader = reader_of(source, path, options)
    recordings = reader.recordings()
    chunk = chunk or reader.chunk
    chunks = [recordings[start : start + chunk] for start in range(0, len(recordings), chunk)]
    parts = Parts(out, repr((source, os.path.abspath(path), options)))
    result = Summary(out, reader.layout, len(recordings), notes=list(reader.notes))
    workers = (workers or len(os.sched_getaffinity(0))) if reader.parallel else 1
    with parts.opened():
        paths = [parts.path(number, part) for number, part in enumerate(chunks)]
        todo = {kept: part for kept, part in zip(paths, chunks) if not os.path.exists(kept)}
        result.resumed = len(recordings) - sum(map(len, todo.values()))
        with tqdm(
            total=len(recordings), initial=result.resumed, desc=source, unit='rec', disable=not progress, leave=False
        ) as bar:
            for done in _run(reader, todo, min(workers, len(todo)), strict):
                bar.update(done)
        _assemble(reader, paths, out, parts.folder, result)
        if reader.classes:
            with atomic_write(f'{out.removesuffix(".pkl")}_classes.txt', 'w') as stream:
                stream.write('\n'.join(reader.classes) + '\n')
        if summary is not None:
            with atomic_write(summary, 'w') as stream:
                json.dump(result.as_dict(), stream, indent=1)
    return result


def _assemble(reader: Reader, paths: list[str], out: str, scratch: str, result: Summary) -> None:
    """Write the output from all parts."""
    facts: dict[str, dict] = {}
    with output.opened(out, dict(layout=reader.layout, source=reader.source), scratch) as writer:
        for path in paths:
            part = Parts.read(path)
            for annotation, fact in zip(part.annotations, part.facts):
                name = annotation['frame_dir']
                if name in facts:
                    result.drop('name taken', f'{name}: another recording has the same name')
                    continue
                facts[name] = fact
                writer.add(annotation)
                result.add(annotation)
            for _, reason, detail in part.dropped:
                result.drop(reason, detail)
        if not facts:
            examples = [f'{reason}: {examples[0]}' for reason, examples in result.examples.items()]
            raise ACLNetError(f'nothing of {reader.path} became a sample; {"; ".join(examples[:3])}')
        asked = from_options(reader.options, facts)
        split = reader.splits(facts) if asked is None else asked
        writer.close(split)
    result.splits = {title: len(members) for title, members in split.items()}
    result.notes += [f"split '{title}' is empty" for title, members in split.items() if not members]


def _run(reader: Reader, todo: dict[str, Chunk], workers: int, strict: bool) -> Iterator[int]:
    """Convert chunks and keep their parts; yields how many recordings were done, chunk by chunk."""
    if workers <= 1:
        for path, chunk in todo.items():
            Parts.write(path, converted(reader, chunk, strict))
            yield len(chunk)
        return
    waiting = iter(todo.items())
    running: set[Future] = set()
    context = multiprocessing.get_context('fork')  # the reader goes along without being pickled
    with _pool(ProcessPoolExecutor(workers, context, _begin, (reader, strict))) as pool:
        while True:
            for path, chunk in waiting:
                running.add(pool.submit(_work, path, chunk))
                if len(running) >= 2 * workers:
                    break
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    yield future.result()
                except BrokenProcessPool:
                    raise ACLNetError(
                        'a process that converts was killed, perhaps for lack of memory; the same command goes on '
                        'from what is done, and --workers 1 takes the least memory'
                    ) from None


@contextlib.contextmanager
def _pool(executor: ProcessPoolExecutor) -> Iterator[ProcessPoolExecutor]:
    """The executor; what waits is not begun any more when the block ends with an error."""
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


_task: tuple[Reader, bool] | None = None  # of a worker


def _begin(reader: Reader, strict: bool) -> None:
    """Prepare a worker: Ctrl-C is its parent's business, and it ends with its parent, however that ends."""
    global _task
    _task = reader, strict
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _work(path: str, chunk: Chunk) -> int:
    assert _task is not None
    Parts.write(path, converted(_task[0], chunk, _task[1]))
    return len(chunk)
