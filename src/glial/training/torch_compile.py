"""A network's passes through torch.compile, which runs as one what stands between its products.

A convolutional network on a processor spends a good part of a step on carrying maps to and from
memory for normalisations and activations; compiled, neighbours are computed in one go. Compiling
takes a minute or more, so it pays for long trainings only.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from glial.core.devices import is_out_of_memory
from glial.core.files import cache_folder, private_folder

logger = logging.getLogger(__name__)

# Networks of one process that are compiled at a time, before torch runs the next as it is.
MOST_NETWORKS = 64


class TorchCompiled:
    """A forward pass, and with it the backward pass, compiled for inputs of one shape.

    Compiled at the first call. What torch cannot compile here, for want of a compiler say, runs as
    it is from then on, and a warning says so. Torch builds in ``inductor`` of the cache, a folder
    that nobody else may write to, and keeps no graphs there, which it would unpickle.

    Args:
        passes: How the network is called.

    Example:
        >>> passes = TorchCompiled(torch.nn.Linear(2, 1))
        >>> passes.is_compiled
        False
    """

    def __init__(self, passes: Callable[..., Any]) -> None:
        self._plain = passes
        self._compiled: Callable[..., Any] | None = None
        self._failed = False

    @property
    def is_compiled(self) -> bool:
        """Whether it has been compiled."""
        return self._compiled is not None

    def __call__(self, *inputs: Tensor) -> Any:
        """What the passes give."""
        if self._compiled is not None:
            return self._compiled(*inputs)
        if self._failed:
            return self._plain(*inputs)
        logger.info("torch compiles the steps, which may take minutes")
        try:
            compiled, outputs = self._compile(*inputs)
        except Exception as error:  # torch's compilers fail in ways of their own
            if is_out_of_memory(error):
                raise
            self._failed = True
            lines = str(error).splitlines()
            logger.warning(
                "steps are not compiled: %s", lines[0] if lines else type(error).__name__
            )
            return self._plain(*inputs)
        self._compiled = compiled
        return outputs

    def _compile(self, *inputs: Tensor) -> tuple[Callable[..., Any], Any]:
        # Read whenever torch compiles, which it does again for the backward pass.
        folder = private_folder(cache_folder() / "inductor")
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
        compiled = torch.compile(self._plain, dynamic=False, options={"fx_graph_cache": False})
        with torch._dynamo.config.patch(recompile_limit=MOST_NETWORKS):
            return compiled, compiled(*inputs)
