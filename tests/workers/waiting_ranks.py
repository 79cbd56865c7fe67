"""Training steps of two gloo ranks under ``NoWaiting``, with even and uneven batches.

python tests/workers/waiting_ranks.py PORT: prints for each rank how many operations were seen; fails where one waits.
"""

from __future__ import annotations

import os
import sys

import torch

from aclnet import distributed
from aclnet.engine import BatchProcessor
from aclnet.models import build_model
from tests.test_distributed import model_config
from tests.waiting import NoWaiting


def run(rank: int, port: str) -> None:
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), WORLD_SIZE='2', LOCAL_RANK=str(rank), MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    distributed.init('pytorch')
    torch.manual_seed(0)
    model = build_model(model_config(True)).train()
    process = BatchProcessor(torch.device('cpu'))
    for epoch, counts in ((1, [4, 4]), (2, [4, 4]), (3, [4, 4]), (3, [4, 3]), (3, [1, 2])):
        model.cls_head.inter_loss.set_epoch(epoch)
        batch = dict(keypoint=torch.randn(counts[rank], 1, 1, 6, 20, 3), label=torch.randint(4, (counts[rank],)))
        with distributed.known_rows(counts), NoWaiting() as watch:
            outputs = process(model, batch, True)
            outputs['loss'].backward()
        print(f'rank {rank}: {watch.seen} operations', flush=True)
    assert outputs['values']['loss_inter'] > 0 and outputs['values']['loss_intra'] > 0
    distributed.close()


if __name__ == '__main__':
    torch.multiprocessing.spawn(run, (sys.argv[1],), nprocs=2)
