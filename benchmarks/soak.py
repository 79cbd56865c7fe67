"""Kill a training again and again with SIGKILL at random moments, begin it anew, and compare its end with one that was
never killed: weights, buffers, optimizer, random states, average, best validation score, what was logged.

python benchmarks/soak.py --kills 50 [--seed 0]; run from the repository's root. Ends with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.engine.resuming import difference, logged  # noqa: E402
from tests.made import write_config  # noqa: E402
from tests.run import checkpoint  # noqa: E402

EXTRA = """
checkpoint_config = dict(interval=5, by_epoch=False, max_keep_ckpts=3)
optimizer_config = dict(grad_clip=None, cumulative_iters=2)
custom_hooks = [dict(type='EMAHook', momentum=0.02)]
evaluation = dict(interval=4, metrics=['top_k_accuracy'], topk=(1, 5))
log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook')])
"""


def start(config: str, work: Path) -> subprocess.Popen:
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    words = [sys.executable, 'tools/train.py', config, '--work-dir', str(work), '--validate', '--seed', '3']
    return subprocess.Popen(
        words, cwd=ROOT, env=env, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=50)
    parser.add_argument('--seed', type=int, default=0, help='of the moments')
    parser.add_argument('--epochs', type=int, default=150, help='of 6 iterations each')
    args = parser.parse_args()
    moments = random.Random(args.seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_config(folder, epochs=args.epochs, workers=1, extra=EXTRA)
        whole = start(config, folder / 'whole')
        said = whole.communicate()[1]
        assert whole.returncode == 0, said
        kills = early = 0
        while True:
            process = start(config, folder / 'cut')
            if kills < args.kills:
                for line in process.stderr or ():
                    if 'training on' in line or (moments.random() < 0.02 and 'aclnet' in line):
                        break
                time.sleep(moments.random() * 0.9)
                early += process.poll() is not None
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                kills += 1
                listed = len(list((folder / 'cut').glob('iter_*.pth')))
                print(f'kill {kills} of {args.kills}, {listed} checkpoints there', flush=True)
                if early:
                    raise SystemExit('the training ended before its kills; more --epochs')
                continue
            said = process.communicate()[1]
            assert process.returncode == 0, said
            break
        one, two = (checkpoint(folder / name / 'latest.pth') for name in ('whole', 'cut'))
        for key in ('state_dict', 'optimizer', 'training'):
            assert not difference(one[key], two[key]), difference(one[key], two[key])
        assert one['meta']['hook_msgs']['best_score'] == two['meta']['hook_msgs']['best_score']
        lines, again = logged(folder / 'whole'), logged(folder / 'cut')
        assert all(lines[place] == line for place, line in again.items())
        lost = len(lines) - len(again)  # of iterations whose checkpoint was whole, killed before they were logged
    took = time.monotonic() - began
    print(
        f'{args.kills} kills, {args.epochs * 6} iterations: the same to the bit, {lost} log lines lost ({took:.0f} s)'
    )


if __name__ == '__main__':
    main()
