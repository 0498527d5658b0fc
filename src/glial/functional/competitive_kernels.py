"""Online steps of self-organising maps in C, where a compiler is at hand."""

from __future__ import annotations

import ctypes
import functools
import logging

import torch
from torch import Tensor

from glial.core.native import NoKernelsError, load_library

logger = logging.getLogger(__name__)

KEPT_CELLS = 1024  # whose influences on each other are kept: 8 MB


class CompetitiveKernels:
    """The built library. All tensors are on the processor.

    Args:
        library: What was built of ``competitive.c``.

    Example:
        >>> callable(CompetitiveKernels.online)
        True
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        whole, place = ctypes.c_int64, ctypes.c_void_p
        self._functions = {
            torch.float32: library.online_float,
            torch.float64: library.online_double,
        }
        for function in self._functions.values():
            function.restype = None
            function.argtypes = [*[whole] * 3, *[place] * 5, ctypes.c_int, whole, *[place] * 3]

    def online(
        self,
        prototypes: Tensor,
        rows: Tensor,
        places: Tensor,
        radii: Tensor,
        rates: Tensor,
        *,
        bubble: bool,
    ) -> Tensor:
        """Change vectors row by row, as `glial.functional.online_map_steps` says.

        Args:
            prototypes: [cell, number], without gaps.
            rows: [row, number].
            places: [cell, 2].
            radii: [row].
            rates: [row].
            bubble: Whether the neighbourhood is a square in place of a Gaussian.

        Returns:
            The squared distance of each row to the nearest vector before its step, [row].
        """
        rows = rows.to(prototypes.dtype).contiguous()
        exact = [part.to(torch.float64).contiguous() for part in (places, radii, rates)]
        found = torch.empty_like(rows[:, 0])
        cells = len(prototypes)
        lines = cells if cells <= KEPT_CELLS and bool((radii[1:] == radii[:-1]).any()) else 1
        influence = torch.empty(lines, cells, dtype=torch.float64)
        known = torch.empty(lines, dtype=torch.int8)
        self._functions[prototypes.dtype](
            *(len(rows), *prototypes.shape, rows.data_ptr(), prototypes.data_ptr()),
            *(part.data_ptr() for part in exact),
            *(int(bubble), lines),
            *(part.data_ptr() for part in (influence, known, found)),
        )
        return found


def find_competitive_kernels(prototypes: Tensor) -> CompetitiveKernels | None:
    """The library, where vectors are such as it changes and it can be had.

    Args:
        prototypes: The vectors.

    Example:
        >>> find_competitive_kernels(torch.zeros(2, 3, dtype=torch.bfloat16)) is None
        True
    """
    own = prototypes.dtype in (torch.float32, torch.float64) and prototypes.is_contiguous()
    return _found() if own and prototypes.device.type == "cpu" else None


@functools.cache
def _found() -> CompetitiveKernels | None:
    try:
        return CompetitiveKernels(load_library("glial.functional", "competitive.c"))
    except (NoKernelsError, AttributeError) as error:
        logger.info("no compiled steps of maps: %s", error)
        return None
