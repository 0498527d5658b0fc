"""Dropout kept on in a network that is otherwise evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from glial.nn.summary import evaluating


def dropping_modules(model: nn.Module) -> list[nn.Module]:
    """The modules of a network that drop something in training mode.

    These are torch's dropout layers, and modules that hold a rate above 0 as their own number,
    called ``rate`` or ``dropout`` or with a name that ends so: attention, recurrent layers and
    functional dropout, torch's own included. Normalisation is never among them.

    Example:
        >>> model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.0), nn.LSTM(2, 3, 2, dropout=0.1))
        >>> [type(module).__name__ for module in dropping_modules(model)]
        ['Dropout', 'LSTM']
    """
    return [module for module in model.modules() if _drops(module)]


def _drops(module: nn.Module) -> bool:
    if isinstance(module, _DropoutNd):
        return module.p > 0
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return False
    return any(
        isinstance(value, float) and value > 0
        for name, value in vars(module).items()
        if name == "rate" or name.endswith("dropout")
    )


@contextmanager
def dropping(model: nn.Module) -> Iterator[None]:
    """Evaluate a network with its dropout on; every part has its own mode back afterwards.

    Nothing else is in training mode, so that no statistics of a normalisation change.

    Source:
        Gal, Ghahramani (2016), "Dropout as a Bayesian approximation", arXiv 1506.02142.

    Example:
        >>> model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5))
        >>> with dropping(model):
        ...     [part.training for part in model]
        [False, True]
        >>> model.training
        True
    """
    with evaluating(model):
        for module in dropping_modules(model):
            module.training = True
        yield
