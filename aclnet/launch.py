"""``python -m aclnet.launch``: torchrun, ending in a line instead of a traceback when a process fails."""

from __future__ import annotations

import logging
import sys

from torch.distributed import DistError, run
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

__all__ = ['main']


def main() -> None:
    """Run torchrun's main; exit with the code of the process that failed first."""
    logging.getLogger('torch.distributed.elastic').setLevel(logging.CRITICAL)  # it repeats what the line below says
    try:
        run.main()
    except DistError as error:  # no port to listen on, or nobody to meet
        print(
            f'error: the processes cannot meet: {" ".join(str(error).split())}; choose another MASTER_PORT, or see to '
            'MASTER_ADDR',
            file=sys.stderr,
        )
        sys.exit(2)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        print(
            f'error: the process of rank {rank} failed first, with exit code {failure.exitcode}; what it said stands '
            'above',
            file=sys.stderr,
        )
        sys.exit(failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode)


if __name__ == '__main__':
    main()
