"""Gated recurrent units through time in C, where a compiler is at hand and the work is large.

What a step costs beside its products is small if a thread takes its rows through all times: its
states never leave its caches, and threads never wait for each other.
"""

from __future__ import annotations

import ctypes
import functools
import logging
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from glial.core.native import NoKernelsError, load_library

logger = logging.getLogger(__name__)

# Fewer states than this, and building the library costs more than it saves.
LEAST_STATES = 1 << 17
# Rows of a thread, at least; and units come in multiples of a vector.
LEAST_ROWS = 6
VECTOR = 16


class _Unit(ctypes.Structure):
    """What the functions of recurrent.c read."""

    _fields_: ClassVar = [
        *((name, ctypes.c_int64) for name in ("steps", "rows", "units", "threads")),
        *(
            (name, ctypes.c_void_p)
            for name in (
                *("panels", "gates", "candidates", "states"),
                *("grads", "slopes", "inner", "arrived"),
            )
        ),
    ]


class GRUKernels:
    """The built library. All tensors are of float32, without gaps, time first.

    Args:
        library: What was built of ``recurrent.c``.

    Example:
        >>> callable(GRUKernels.forward)
        True
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        whole, place = ctypes.c_int64, ctypes.c_void_p
        self._pack = library.pack
        self._pack.argtypes = [place, whole, whole, whole, whole, place]
        self._forward, self._backward = library.gru_forward, library.gru_backward
        for function in (self._pack, self._forward, self._backward):
            function.restype = None
        self._forward.argtypes = self._backward.argtypes = [ctypes.POINTER(_Unit)]

    def packed(self, matrix: Tensor) -> Tensor:
        """A matrix that others are multiplied by, in the order in which it is read.

        Args:
            matrix: [k, n], in any strides.
        """
        panels = matrix.new_empty(matrix.numel())
        self._pack(matrix.data_ptr(), *matrix.stride(), *matrix.shape, panels.data_ptr())
        return panels

    def forward(self, panels: Tensor, gates: Tensor, candidates: Tensor, states: Tensor) -> None:
        """Fill in gates, candidates and all states but the first.

        Args:
            panels: Of the state's weights, transposed, [unit, 3 * unit].
            gates: [time, row, 3 * unit]: what comes of inputs and biases to reset and update
                gates, and the state's bias of the candidate.
            candidates: [time, row, unit]: what comes of inputs.
            states: [time + 1, row, unit].
        """
        self._call(self._forward, candidates, panels, gates, candidates, states)

    def backward(self, panels: Tensor, gates: Tensor, candidates: Tensor, *others: Tensor) -> None:
        """Go back in time.

        Args:
            panels: Of the state's weights, [3 * unit, unit].
            gates: As `forward` leaves them.
            candidates: Likewise.
            others: The states before each time; the gradients of those after, all [time, row,
                unit]; what the gradients of the three sums with the state are written to, [time,
                row, 3 * unit], and of the candidate's own sum, [time, row, unit]; and what comes
                from later times, [row, unit], which is replaced by what goes to earlier ones.
        """
        self._call(self._backward, candidates, panels, gates, candidates, *others)

    def _call(self, function: Callable[..., Any], like: Tensor, *tensors: Tensor) -> None:
        steps, rows, units = like.shape
        threads = max(1, min(torch.get_num_threads(), rows // LEAST_ROWS))
        places = [tensor.data_ptr() for tensor in tensors]
        function(ctypes.byref(_Unit(steps, rows, units, threads, *places)))


def gru_kernels(steps: int, rows: int, units: int, dtype: torch.dtype) -> GRUKernels | None:
    """The library, where these sizes gain by it and it can be had.

    Example:
        >>> gru_kernels(2, 3, 4, torch.float32) is None
        True
    """
    large = steps * rows * units >= LEAST_STATES
    if dtype != torch.float32 or units % VECTOR or not large:
        return None
    return _found()


@functools.cache
def _found() -> GRUKernels | None:
    try:
        return GRUKernels(load_library("glial.functional", "recurrent.c"))
    except (NoKernelsError, AttributeError) as error:
        logger.info("no compiled recurrent units: %s", error)
        return None
