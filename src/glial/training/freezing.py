"""Layers that are kept as they are: some for good, some until it is their turn."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from glial.core.errors import InputError
from glial.training.settings import TrainSettings


def layer_groups(model: nn.Module) -> list[list[str]]:
    """The layers of a network from its input to its head, as prefixes of parameters' names.

    A network may say them itself by a method ``layer_groups()``; otherwise each of its direct
    parts that has parameters is a group.

    Example:
        >>> layer_groups(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)))
        [['0'], ['2']]
    """
    own = getattr(model, "layer_groups", None)
    if callable(own):
        groups: list[list[str]] = own()
        return groups
    first = [name.partition(".")[0] for name, _ in model.named_parameters()]
    return [[name] for name in dict.fromkeys(first)]


def belongs_to(name: str, group: Sequence[str]) -> bool:
    """Whether a parameter or module stands in a group of layers.

    Example:
        >>> belongs_to("layer1.0.weight", ["layer1"]), belongs_to("layer10.weight", ["layer1"])
        (True, False)
    """
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in group)


class Freezing:
    """Which layers of a network learn in which epoch.

    Frozen layers get no gradient, and their normalisations and dropouts stand in evaluation mode,
    so that nothing in them changes. What is frozen depends on the epoch alone.

    Args:
        model: The network.
        settings: Says how many groups are frozen at the start, and how often one is set free.

    Raises:
        InputError: If there are fewer groups than are to be frozen.

    Source:
        Yosinski et al. (2014), "How transferable are features in deep neural networks?", arXiv
        1411.1792; setting free one group after the other from the head down: Howard and Ruder
        (2018), "Universal language model fine-tuning for text classification", arXiv 1801.06146,
        section 3.3.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
        >>> freezing = Freezing(model, TrainSettings(freeze="body", unfreeze_every=3))
        >>> [freezing.num_frozen(epoch) for epoch in (0, 2, 3, 6, 9)]
        [2, 2, 1, 0, 0]
        >>> freezing.apply(epoch=3)
        >>> [p.requires_grad for p in model.parameters()]
        [False, False, True, True, True, True]
    """

    def __init__(self, model: nn.Module, settings: TrainSettings) -> None:
        self._model = model
        self._every = settings.unfreeze_every
        self._groups = layer_groups(model) if self.is_asked(settings) else []
        body = max(0, len(self._groups) - 1)
        asked = settings.freeze
        if asked == "none" and self._every is not None:
            asked = "body"
        self._first = 0 if asked == "none" else body if asked == "body" else int(asked)
        if self._first > body:
            raise InputError(
                f"{self._first} groups of layers cannot be frozen",
                expected=f"at most {body}: this network has {len(self._groups)}, the head included",
                got=f"train.freeze: {self._first}",
                do="set train.freeze to fewer, or to body",
            )

    @staticmethod
    def is_asked(settings: TrainSettings) -> bool:
        """Whether anything is ever frozen.

        Example:
            >>> Freezing.is_asked(TrainSettings())
            False
        """
        return settings.freeze not in ("none", 0) or settings.unfreeze_every is not None

    def num_frozen(self, epoch: int) -> int:
        """Groups that are frozen in an epoch, counted from 0, from the input on."""
        freed = 0 if self._every is None else epoch // self._every
        return max(0, self._first - freed)

    def apply(self, epoch: int) -> None:
        """Freeze and set free what the epoch says; the network is in training mode before.

        Args:
            epoch: Number of the epoch, from 0.
        """
        if not self._groups:
            return
        frozen = [prefix for group in self._groups[: self.num_frozen(epoch)] for prefix in group]
        for name, parameter in self._model.named_parameters():
            parameter.requires_grad_(not belongs_to(name, frozen))
            if not parameter.requires_grad:
                parameter.grad = None
        for name, module in self._model.named_modules():
            if belongs_to(name, frozen):
                module.training = False
