"""A recognizer through torch.compile: whole, for batches of one size, and as CUDA graphs on a GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from aclnet import distributed
from aclnet.errors import ACLNetError

__all__ = ['compile_model']

# a step whose numbers still change (the memory fills) is not recorded: each number would be a recording of its own
_OPTIONS: dict[str, Any] = dict(
    options={'triton.cudagraphs': True, 'triton.cudagraph_skip_dynamic_graphs': True},
)


def compile_model(model: nn.Module, rows: int | None = None, **options: Any) -> nn.Module:
    """Have torch.compile run a recognizer's losses and scores, in place.

    Batches of another size than the usual one, such as an epoch's last, go through the model as it is: they compile
    nothing, and their results are those of an uncompiled step.

    Args:
        model: a recognizer. One without ``forward_train`` and ``forward_test`` is compiled as torch does it.
        rows: samples of a training batch; None takes those of the first one. Scoring takes those of its first batch.
        **options: of ``torch.compile``, in the place of inductor with CUDA graphs.

    Returns:
        the same model.

    Example:
        >>> model = compile_model(build_model(cfg.model), rows=16)
    """
    options = options or _OPTIONS
    names = ('forward_train', 'forward_test')
    if not all(callable(getattr(model, name, None)) for name in names):
        model.compile(**options)
        return model
    for name, size in zip(names, (rows, None)):
        setattr(model, name, _OneSize(getattr(model, name), size, options))
    return model


class _OneSize:
    """A function of a batch that is compiled for batches of one size."""

    def __init__(self, function: Callable[..., Any], rows: int | None, options: dict[str, Any]) -> None:
        self.function, self.rows, self.options = function, rows, options
        # what several ranks exchange lies between graphs
        self._compile(whole=distributed.get_dist_info()[1] == 1)

    def _compile(self, whole: bool) -> None:
        self.whole = whole
        self.compiled = torch.compile(self.function, fullgraph=whole, **self.options)

    def __call__(self, keypoint: Tensor, *args: Any) -> Any:
        if self.rows is None:
            self.rows = len(keypoint)
        if len(keypoint) != self.rows:
            return self.function(keypoint, *args)
        if keypoint.is_cuda:
            torch.compiler.cudagraph_mark_step_begin()  # what the last step gave may be written over now
        try:
            return self.compiled(keypoint, *args)
        except RuntimeError as error:
            exc = torch._dynamo.exc
            if not isinstance(error, exc.TorchDynamoException):
                raise
            said = str(getattr(error, 'inner_exception', error)).strip() or type(error).__name__
            reason = said.splitlines()[0]
            if not self.whole or not isinstance(error, (exc.Unsupported, exc.UserError)):
                raise ACLNetError(f'--compile: torch cannot compile the model here ({reason}); leave it out') from error
        logging.getLogger('aclnet').warning('--compile: not in one piece (%s); compiled in several', reason)
        self._compile(whole=False)
        return self.compiled(keypoint, *args)
