"""A coverage-guided fuzzer of the unpickler, to be run by hand: it feeds changed pickles to ``aclnet.files``.

Needs atheris (pip install atheris). What it looks for: an error other than ``ACLNetError``, anything executed, opened
for writing or imported, content other than data, a case above one second, memory above 4 GB, a crash. Each case goes
through the C unpickler, and both ways of reading it through the Python one, which tells the fuzzer what was covered.

Example: python tests/fuzz/unpickler.py --minutes 30 --corpus work_dirs/fuzz
"""

from __future__ import annotations

import argparse
import io
import os
import pickle
import sys
import threading
import time
from collections import OrderedDict, defaultdict

import atheris
import numpy as np

with atheris.instrument_imports(include=['pickle', 'aclnet.files', 'aclnet.unpickling', 'aclnet.errors']):
    pickle_in_python = sys.modules.pop('pickle')  # imported anew, so that it is instrumented
    import pickle  # noqa: F811

    from aclnet import files, unpickling
    from aclnet.errors import ACLNetError

DATA = (dict, list, tuple, set, frozenset, str, bytes, bytearray, int, float, complex, bool, type(None))
HARMLESS = {
    'builtins.id',
    'object.__getattr__',
    'pickle.find_class',
    'gc.get_objects',
    'resource.setrlimit',
    'sys._getframe',
}
counted = {'cases': 0, 'loaded': 0, 'refused': 0, 'slowest': 0.0}
watching = threading.local()


def watch(event: str, args: tuple) -> None:
    """Audit hook: while a pickle is read, nothing but the reading happens."""
    if not getattr(watching, 'on', False) or event in HARMLESS:
        return
    if event == 'open' and args[0] == '/proc/self/statm':
        return
    if event == 'sys.excepthook' and 'exported buffers' in str(args[2]):
        return  # CPython prints this where it finds no memory for a bytearray
    watching.on = False
    print(f'UNEXPECTED EVENT {event} {args!r:.300}', flush=True)
    os._exit(77)


def in_python(quick: bool) -> type:
    """The unpickler as a subclass of the Python one."""
    base = pickle._Unpickler

    class Traced(base):
        find_class = unpickling.DataUnpickler.find_class

        def __init__(self, stream: io.BufferedIOBase, size: int) -> None:
            base.__init__(self, stream)
            self._containers = unpickling._Containers(size)
            self.dtypes = unpickling._NativeDtypes(stream)
            self._numpy = dict(unpickling._NUMPY)
            if quick:
                self._numpy['numpy', 'dtype'] = unpickling._StandIn(self.dtypes.make)
                self._numpy['numpy.core.multiarray', '_reconstruct'] = unpickling._empty_array

    return Traced


QUICK, CHECKED = in_python(True), in_python(False)


def check_content(root: object) -> None:
    """Raise where content is anything but data; every array can be read through."""
    todo, seen = [root], set()
    while todo:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, np.ndarray):
            assert type(value) is np.ndarray and value.dtype.kind in 'biufcSU', value.dtype
            value.tobytes()
        elif isinstance(value, np.generic):
            value.tobytes()
        elif type(value) is dict:
            todo.extend([*value.keys(), *value.values()])
        elif type(value) in (list, tuple, set, frozenset):
            todo.extend(value)
        else:
            inert = (unpickling._StandIn, memoryview, np.dtype, type)  # of no use to anybody, and refused later
            assert isinstance(value, (*DATA, *inert)) or value is unpickling._empty_array, type(value)
            assert not isinstance(value, type) or value in (unpickling.PickledDtype, unpickling._PickledArray), value


def one(data: bytes) -> None:
    start = time.process_time()  # reading memory waits for nothing, and neighbours don't count
    watching.on = True
    try:
        content = files.loads_pickle(data, 'fuzz')
        loaded = True
    except ACLNetError as error:
        assert '\n' not in str(error) and len(str(error)) < 1000
        loaded = False
    finally:
        watching.on = False
    taken = time.process_time() - start
    counted['cases'] += 1
    counted['loaded' if loaded else 'refused'] += 1
    counted['slowest'] = max(counted['slowest'], taken)
    assert taken < 1, f'{taken:.2f} s'
    if loaded:
        check_content(content)
    for kind in (QUICK, CHECKED):
        watching.on = True
        try:
            with unpickling._bounded_memory(unpickling.SLACK):
                content = kind(io.BufferedReader(io.BytesIO(data)), len(data)).load()
                if kind is CHECKED:
                    unpickling._settled(content)
        except (Exception, unpickling._Unusual):  # the sentences are those of the C unpickler
            pass
        finally:
            watching.on = False


def seeds() -> list[bytes]:
    """Small pickles of everything that is admitted, and of some that is not, in every protocol."""
    clip = dict(frame_dir='a', label=1, total_frames=2, keypoint=np.ones((1, 2, 3, 3), np.float16))
    values = [
        dict(split=dict(train=['a']), annotations=[clip]),
        {'a': dict(keypoint=np.ones((2, 3, 3), np.float16), frame_inds=np.arange(2))},
        [np.ones(3, np.float32), np.ones(3, np.float32)],
        [np.arange(3, dtype='>f4'), np.asfortranarray(np.ones((2, 2))), np.ones((2, 3, 2)).transpose(1, 0, 2)],
        [np.array(['a', 'bc']), np.array([b'q']), np.str_('x'), np.float64(2), np.int64(3), np.bool_(True)],
        np.arange(300),
        [{1, 2}, frozenset([3]), bytearray(b'q'), b'', b'abc', 2j, 1.5, 10**30, -1, None, True, (1, (2, 3))],
        [OrderedDict(a=1), defaultdict(None, a=[1])],
        np.array([1, 'a'], object),
        np.zeros(2, 'f4,i2'),
        range(5),
        os.system,
        np.dtype('f4'),
    ]
    return [pickle.dumps(value, protocol) for value in values for protocol in range(6)] + [
        b'Nr\xff\xff\xff\xff.',
        b'\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00a\x98.',
        b'cnumpy\nndarray\nN}\x8c\x01aK\x01s\x86b.',
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--minutes', type=float, default=30)
    parser.add_argument('--corpus', default='work_dirs/fuzz', help='folder of interesting pickles, kept between runs')
    args = parser.parse_args()
    os.makedirs(args.corpus, exist_ok=True)
    for number, data in enumerate(seeds()):
        with open(os.path.join(args.corpus, f'seed{number:03d}'), 'wb') as stream:
            stream.write(data)
    for data in seeds():
        one(data)  # imports what numpy imports late
    sys.addaudithook(watch)
    start = time.time()

    def report() -> None:
        while True:
            time.sleep(60)
            rate = counted['cases'] / (time.time() - start)
            print(f'{time.time() - start:.0f} s: {counted}, {rate:.0f} cases/s', flush=True)

    threading.Thread(target=report, daemon=True).start()
    opcodes = os.path.join(args.corpus, '.opcodes')
    import pickletools

    words = [*(op.code.encode('latin1') for op in pickletools.opcodes), b'numpy\nndarray\n', b'_reconstruct', b'scalar']
    with open(opcodes, 'w', encoding='ascii') as stream:
        stream.writelines('"' + ''.join(f'\\x{byte:02x}' for byte in word) + '"\n' for word in words)
    options = [f'-max_total_time={args.minutes * 60:.0f}', '-max_len=4096', '-rss_limit_mb=4096', '-timeout=30']
    options += [f'-dict={opcodes}', f'-artifact_prefix={args.corpus}/found-', '-print_final_stats=1']
    atheris.Setup([sys.argv[0], *options, args.corpus], one)
    atheris.Fuzz()


if __name__ == '__main__':
    main()
