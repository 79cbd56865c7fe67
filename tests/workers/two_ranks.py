"""Run a model on given batches, alone or as one of several gloo processes that share each batch out.

python tests/workers/two_ranks.py RANKS FOLDER PORT: reads FOLDER/job.pt, rank r writes FOLDER/{RANKS}_{r}.pt. One rank
takes the share of the job that ``only``, (rank, ranks), names, if it does.
"""

from __future__ import annotations

import os
import sys

import torch
from torch.nn.parallel import DistributedDataParallel

from aclnet import distributed
from aclnet.engine import BatchProcessor
from aclnet.models import build_model
from aclnet.models.sync_batch_norm import synchronized


def run(rank: int, ranks: int, folder: str, port: int) -> None:
    torch.set_num_threads(1)
    if ranks > 1:
        os.environ.update(
            RANK=str(rank), WORLD_SIZE=str(ranks), LOCAL_RANK=str(rank), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port)
        )
        distributed.init('pytorch', backend='gloo')
    job = torch.load(f'{folder}/job.pt', weights_only=True)
    model = build_model(job['model']).double()
    model.load_state_dict(job['state'])
    if job['sync_bn']:
        model = synchronized(model).train()
    else:
        model.eval()  # batch norms would see each rank's own batch
        model.cls_head.train()
    parallel = (
        DistributedDataParallel(model, broadcast_buffers=False, find_unused_parameters=True) if ranks > 1 else model
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=job['lr'], momentum=0.9, weight_decay=5e-4, nesterov=True)
    process = BatchProcessor(torch.device('cpu'))
    trace = []
    for epoch, keypoint, label in job['batches']:
        model.cls_head.inter_loss.set_epoch(epoch)
        share, of = job['only'] or (rank, ranks)
        mine = torch.tensor_split(torch.arange(len(label)), of)[share]
        outputs = process(parallel, dict(keypoint=keypoint[mine], label=label[mine]), True)
        optimizer.zero_grad()
        outputs['loss'].backward()
        idle = [name for name, p in model.named_parameters() if p.grad is None]
        grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        optimizer.step()
        log = {name: float(value) for name, value in outputs['values'].items()}
        superclasses = model.cls_head.inter_loss.superclasses
        trace.append(dict(log=log, idle=idle, grads=grads, superclasses=superclasses))
    torch.save(dict(state=model.state_dict(), trace=trace), f'{folder}/{ranks}_{rank}.pt')
    distributed.close()


if __name__ == '__main__':
    ranks = int(sys.argv[1])
    if ranks == 1:
        run(0, 1, sys.argv[2], 0)
    else:
        torch.multiprocessing.spawn(run, (ranks, sys.argv[2], int(sys.argv[3])), nprocs=ranks)
