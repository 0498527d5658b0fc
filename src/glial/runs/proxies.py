"""Proxies of classes, put beside a network while it is trained and taken away when it was."""

from __future__ import annotations

from torch import nn

from glial.core.seeds import seeded
from glial.models.pretexts import Pretext
from glial.nn.carrying import Carrying
from glial.nn.proxies import WithProxies
from glial.tasks import Task


def with_proxies(network: nn.Module, task: Task, seed: int) -> nn.Module:
    """The network with the proxies that the task's loss learns, where it has any.

    Args:
        network: The network, with its first weights.
        task: What is learnt.
        seed: The experiment's seed.

    Example:
        >>> import polars as pl
        >>> from glial.tasks import TaskSettings, fit_task
        >>> settings = TaskSettings(name="embedding", loss="proxy", embedding_size=4)
        >>> task = fit_task(pl.DataFrame({"y": list("abab")}), ["y"], settings)
        >>> with_proxies(nn.Linear(2, 4), task, seed=0).proxies.shape
        torch.Size([2, 4])
    """
    count = getattr(task, "num_proxies", 0)
    if not count:
        return network
    with seeded(seed, "proxies"):
        return WithProxies(network, count, task.num_outputs)


def without_proxies(network: nn.Module) -> nn.Module:
    """The network alone, without what stood around it in training.

    Example:
        >>> without_proxies(WithProxies(nn.Linear(2, 4), 3, 4))
        Linear(in_features=2, out_features=4, bias=True)
    """
    if isinstance(network, Pretext):
        return network.released()
    return network.network if isinstance(network, (WithProxies, Carrying)) else network
