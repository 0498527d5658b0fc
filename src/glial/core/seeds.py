"""Random numbers: every use has its own stream, drawn from one seed by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed for one purpose, independent of every other purpose's.

    Args:
        seed: The experiment's seed.
        purpose: Words and numbers that name the use, such as ``"shuffle", epoch``.

    Returns:
        An integer in ``[0, 2**63)``, the same on every machine.

    Example:
        >>> derive_seed(0, "split") == derive_seed(0, "split")
        True
        >>> derive_seed(0, "split") == derive_seed(0, "shuffle")
        False
    """
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A NumPy generator for one purpose.

    Example:
        >>> int(numpy_generator(0, "split").integers(10)) in range(10)
        True
    """
    import numpy as np

    return np.random.default_rng(derive_seed(seed, *purpose))


def torch_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A torch generator on the CPU for one purpose.

    Example:
        >>> import torch
        >>> torch.randperm(3, generator=torch_generator(0, "shuffle", 1)).sort().values.tolist()
        [0, 1, 2]
    """
    import torch

    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


@contextmanager
def seeded(seed: int, *purpose: str | int) -> Iterator[None]:
    """Run a block under torch's global generators seeded for one purpose; restore them after.

    Example:
        >>> import torch
        >>> with seeded(0, "initial weights"):
        ...     first = torch.rand(2)
        >>> with seeded(0, "initial weights"):
        ...     second = torch.rand(2)
        >>> bool((first == second).all())
        True
    """
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(seed, *purpose))
        yield
