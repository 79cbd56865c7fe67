"""A recognizer through torch.compile: for batches of one size, and as CUDA graphs on a GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from aclnet import distributed
from aclnet.errors import ACLNetError

__all__ = ['compile_model']

# a step whose numbers still change (a memory fills) is not recorded: each number would be a recording of its own
_OPTIONS: dict[str, Any] = dict(
    options={'triton.cudagraphs': True, 'triton.cudagraph_skip_dynamic_graphs': True},
)


def compile_model(model: nn.Module, rows: int | None = None, **options: Any) -> nn.Module:
    """Have torch.compile run a recognizer, in place: its ``network`` as one graph, and its head's ``loss`` as another.

    The loss is apart because it changes as epochs pass and memories fill, and the network, which takes minutes to
    compile, does not. Batches of another size than the usual one, such as an epoch's last, go through the model as it
    is: they compile nothing, and their results are those of an uncompiled step.

    Args:
        model: a recognizer. One without ``network`` and ``cls_head.loss`` is compiled as torch does it.
        rows: samples of a training batch; None takes those of the first one. In eval mode it is always the first one's.
        **options: of ``torch.compile``, in the place of inductor with CUDA graphs.

    Returns:
        the same model.

    Example:
        >>> model = compile_model(build_model(cfg.model), rows=16)
    """
    options = options or _OPTIONS
    found: Any = model
    if not hasattr(model, 'network') or not hasattr(getattr(model, 'cls_head', None), 'loss'):
        model.compile(**options)
        return model
    found.network = _OneSize(model, found.network, rows, options, begins=True)
    # what several ranks exchange for the loss lies between graphs
    alone = distributed.get_dist_info()[1] == 1
    found.cls_head.loss = _OneSize(model, found.cls_head.loss, rows, options, whole=alone)
    return model


class _OneSize:
    """A function of a batch that is compiled for one size of it in training, and one in eval mode."""

    def __init__(
        self,
        model: nn.Module,
        function: Callable[..., Any],
        rows: int | None,
        options: dict[str, Any],
        whole: bool = True,
        begins: bool = False,
    ) -> None:
        self.model, self.function, self.options, self.begins = model, function, options, begins
        self.rows = {True: rows, False: None}
        self._compile(whole)

    def _compile(self, whole: bool) -> None:
        self.whole = whole
        self.compiled = torch.compile(self.function, fullgraph=whole, **self.options)

    def __call__(self, first: Tensor, *args: Any) -> Any:
        training = self.model.training
        if self.rows[training] is None:
            self.rows[training] = len(first)
        if len(first) != self.rows[training]:
            return self.function(first, *args)
        if self.begins and first.is_cuda:
            torch.compiler.cudagraph_mark_step_begin()  # what the graphs of the last step gave may be written over
        try:
            return self.compiled(first, *args)
        except Exception as error:
            exc: Any = torch._dynamo.exc
            pieces = (exc.Unsupported, exc.UserError, getattr(exc, 'FailOnRecompileLimitHit', exc.Unsupported))
            if not isinstance(error, (exc.TorchDynamoException, *pieces)):
                raise
            said = str(getattr(error, 'inner_exception', error)).strip() or type(error).__name__
            reason = said.splitlines()[0]
            if not self.whole or not isinstance(error, pieces):
                raise ACLNetError(f'--compile: torch cannot compile the model here ({reason}); leave it out') from error
        logging.getLogger('aclnet').warning('--compile: not in one piece (%s); compiled in several', reason)
        self._compile(whole=False)
        return self.compiled(first, *args)
