"""Products of small matrices and Adam's update in C, built once for the processor at hand.

A general library of matrix products prepares each call for sizes that small networks do not have,
and none of the general ones is at its best on every maker's processors. The little that a small
network needs is built from ``kernels.c`` by the machine's own compiler, which knows the processor.
"""

from __future__ import annotations

import ctypes
import functools
import logging
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.core.native import NoKernelsError, load_library
from glial.training.optimizers import DirectAdam

logger = logging.getLogger(__name__)

# Fewer multiplications and additions than this, and a second thread costs more than it saves.
SHARED_OPERATIONS = 4_000_000
# The sums of a block run over all of k, whose panel of COLUMNS floats a row must stay in a cache.
LONGEST_SUM = 4096
COLUMNS = 64
_POINTERS = {"a", "b", "c", "bias", "gate", "space"}


class _Product(ctypes.Structure):
    """What ``multiply`` of kernels.c reads; ``tensors`` keeps the memory behind the pointers."""

    _fields_: ClassVar = [
        (name, ctypes.c_void_p if name in _POINTERS else ctypes.c_int64)
        for name in (
            *("m", "n", "k", "a", "a_row", "a_column", "b", "b_row", "b_column"),
            *("c", "bias", "relu", "gate", "space", "threads"),
        )
    ]
    tensors: tuple[Tensor | None, ...]


class _Update(ctypes.Structure):
    """What ``adam`` of kernels.c reads for one parameter."""

    _fields_: ClassVar = [("size", ctypes.c_int64)] + [
        (name, ctypes.c_void_p) for name in ("weight", "gradient", "mean", "square", "step")
    ]


class Kernels:
    """The built library.

    Args:
        library: What `load_library` opened.

    Raises:
        NoKernelsError: If it is another library.

    Example:
        >>> callable(Kernels.product)
        True
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        try:
            self._multiply, self._adam = library.multiply, library.adam
        except AttributeError as error:
            raise NoKernelsError(f"the library cannot be used: {error}") from error
        self._multiply.restype = self._adam.restype = None
        self._multiply.argtypes = [ctypes.POINTER(_Product)]
        whole, real = ctypes.c_int64, ctypes.c_double
        self._adam.argtypes = [whole, ctypes.POINTER(_Update), *[real] * 5, whole]

    def product(
        self, a: Tensor, b: Tensor, bias: Tensor | None, relu: bool, gate: Tensor | None = None
    ) -> tuple[Tensor, Callable[[], object]] | None:
        """``a @ b + bias``, with ReLU or a gate or not, as memory and the call that fills it.

        A rule on types and sizes says which products torch is left with, never a clock, so that
        the numbers are the same in every run. They differ from torch's in their last bits.

        Args:
            a: Shape (m, k), in any strides.
            b: Shape (k, n), with stride 1 along one dimension.
            bias: Shape (n,), or None.
            relu: Whether negative results become zero.
            gate: Shape (m, n): where it is not above 0, results become zero. None for no gate.

        Returns:
            The place of the result, shape (m, n), and the call; None for torch's products.
        """
        given = [value for value in (a, b, bias, gate) if value is not None]
        plain = all(
            value.dtype == torch.float32 and value.device.type == "cpu" and value.numel()
            for value in given
        )
        if not plain or 1 not in b.stride() or len(a) == 0 or not a.shape[1] <= LONGEST_SUM:
            return None
        if bias is not None and (bias.shape != b.shape[1:] or not bias.is_contiguous()):
            return None
        (m, k), n = a.shape, b.shape[1]
        if gate is not None and (gate.shape != (m, n) or not gate.is_contiguous()):
            return None
        threads = torch.get_num_threads() if 2 * m * n * k > SHARED_OPERATIONS else 1
        place, space = torch.empty(m, n), torch.empty(k * COLUMNS * threads)
        task = _Product(
            *(m, n, k, a.data_ptr(), *a.stride(), b.data_ptr(), *b.stride(), place.data_ptr()),
            *(None if bias is None else bias.data_ptr(), relu),
            *(None if gate is None else gate.data_ptr(), space.data_ptr(), threads),
        )
        task.tensors = (a, b, bias, gate, place, space)
        return place, functools.partial(self._multiply, task)

    def adam(self, table: Any, settings: tuple[float, ...]) -> None:
        """Update what a table lists, by ``settings``: rate, two betas, decay and epsilon."""
        lr, beta1, beta2, decay, eps = settings
        threads = torch.get_num_threads()
        self._adam(len(table), table, lr, beta1, beta2, eps, decay, threads)


class CompiledAdam(DirectAdam):
    """Adam or AdamW in C, on an optimiser's own state.

    The numbers are torch's but for their last bits, the state is torch's, so that either goes on
    where the other stopped.

    Args:
        optimizer: An optimiser that :class:`DirectAdam` suits.
        kernels: The built library.

    Example:
        >>> issubclass(CompiledAdam, DirectAdam)
        True
    """

    def __init__(self, optimizer: torch.optim.Optimizer, kernels: Kernels) -> None:
        super().__init__(optimizer)
        self._kernels = kernels
        self._tables: dict[int, tuple[list[Tensor], Any]] = {}

    def _step(self, tensors: Any, gradients: Any, settings: tuple[float, ...]) -> None:
        known, table = self._tables.get(id(tensors), ([], None))
        if len(known) != len(gradients) or any(map(_differ, known, gradients)):
            table = _table(tensors, gradients)
            self._tables[id(tensors)] = gradients, table  # held, so that the memory stays theirs
        decays = settings[3] != 0 and not self._decoupled
        if table is None or decays:
            super()._step(tensors, gradients, settings)
        else:
            self._kernels.adam(table, settings)


def _differ(one: Any, other: Any) -> bool:
    return one is not other


def _table(tensors: Any, gradients: Any) -> Any:
    """The pointers of an update; None where the memory is not laid out as C reads it."""
    weights, steps, *averages = tensors
    rows = list(zip(weights, gradients, *averages, strict=True))
    for weight, *others in rows:
        for value in (weight, *others):
            if value is None or value.dtype != torch.float32 or value.shape != weight.shape:
                return None
            if not value.is_contiguous():
                return None
    return (_Update * len(rows))(
        *(
            _Update(row[0].numel(), *(value.data_ptr() for value in row), step.data_ptr())
            for row, step in zip(rows, steps, strict=True)
        )
    )


def find_kernels(*, required: bool = False) -> Kernels | None:
    """The library for this processor, built if need be.

    Args:
        required: Whether it is an error if there is none.

    Returns:
        The library; None where it cannot be had, and a line has said why.

    Raises:
        InputError: If it is required and cannot be had.

    Example:
        >>> find_kernels() is find_kernels()
        True
    """
    found = _found()
    if isinstance(found, Kernels):
        return found
    if required:
        raise InputError(
            "steps cannot be compiled here",
            expected="GCC on Linux, and a cache folder that nobody else can write to",
            got=str(found),
            do="install GCC, or set train.step to auto",
        ) from found
    return None


@functools.cache
def _found() -> Kernels | NoKernelsError:
    try:
        return Kernels(load_library("glial.training", "kernels.c"))
    except NoKernelsError as error:
        logger.info("no compiled kernels: %s", error)
        return error
