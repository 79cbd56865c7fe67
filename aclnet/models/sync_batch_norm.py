"""Batch norms whose statistics are those of all ranks' samples, on GPUs and on CPUs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aclnet import distributed

__all__ = ['SyncBatchNorm', 'synchronized']


class SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """torch's own by its definition, for CPUs, which torch's refuses.

    Input (N, C, ...) of any number of samples per rank, at least one value per channel over all ranks.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        world = distributed.get_dist_info()[1]
        if world == 1 or not self.training:
            return super().forward(input)
        others = [dim for dim in range(input.dim()) if dim != 1]
        shape = [1, -1] + [1] * (input.dim() - 2)
        count = input.numel() // input.shape[1]
        total = float(sum(distributed.row_counts(count)))

        def over_ranks(value: Tensor) -> Tensor:  # (C,) sums of this rank → of all, with gradient
            return distributed.gather_rows(value[None], [1] * world).sum(0)

        mean = over_ranks(input.sum(others)) / total
        centred = input - mean.view(shape)
        variance = over_ranks(centred.square().sum(others)) / total
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                assert self.num_batches_tracked is not None  # there with the others
                self.num_batches_tracked.add_(1)
                share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean, share)
                self.running_var.lerp_(variance * (total / max(1.0, total - 1)), share)
        out = centred * torch.rsqrt(variance + self.eps).view(shape)
        return out * self.weight.view(shape) + self.bias.view(shape) if self.affine else out


def synchronized(model: nn.Module) -> nn.Module:
    """The model with a synchronised norm in the place of each batch norm, of the same names and values.

    Where the model is on GPUs, they are torch's ``SyncBatchNorm``.
    """
    if next(model.parameters()).is_cuda:
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for name, part in list(model.named_modules()):
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            norm = SyncBatchNorm(part.num_features, part.eps, part.momentum, part.affine, part.track_running_stats)
            for parameter in part.parameters():
                norm.to(parameter)  # device and type
            norm.load_state_dict(part.state_dict())
            home, _, name = name.rpartition('.')
            setattr(model.get_submodule(home), name, norm.train(part.training))
    return model
