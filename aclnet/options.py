"""Options that several commands share; light to import, so that --help is quick."""

from __future__ import annotations

import argparse

__all__ = ['parser']


def parser(description: str, examples: str) -> argparse.ArgumentParser:
    """A parser with the config and the options of everything that runs a model.

    Args:
        description: what the tool does.
        examples: shown at the end of its help.
    """
    made = argparse.ArgumentParser(
        description=description, epilog=f'examples:\n{examples}', formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument('config', help='config file, such as configs/ntu60_xsub/j.py')
    made.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm'],
        default='none',
        help='who started the processes (default: none, one process)',
    )
    made.add_argument(
        '--compile', action='store_true', help='run the model through torch.compile; on a GPU as CUDA graphs'
    )
    made.add_argument(
        '--amp',
        nargs='?',
        const='bf16',
        choices=['bf16', 'fp16'],
        help="mixed precision, bf16 where no type is named (default: the config's amp, else none)",
    )
    made.add_argument(
        '--loader',
        choices=['device', 'workers'],
        help="who makes batches: the device, from a data set that lies on it, or data workers (default: the config's "
        'data.loader, else the GPU where there is one)',
    )
    made.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help="values that replace the config's, such as optimizer.lr=0.1",
    )
    made.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return made
