"""Learning by contrast: rows against what the network itself takes for rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.data.batches import Batch
from glial.models.energy import Contrast, EnergyBased
from glial.training.schedules import Moment
from glial.training.settings import TrainSettings
from glial.training.updates import Updates

_NOT_HEEDED = ("accumulate", "group_rate", "freeze", "unfreeze_every")
_CHAIN, _OPTIMIZER = "chain.", "optimizer."


class ContrastiveDivergence:
    """Steps down the energy of rows and up the energy of the network's own states.

    There is no loss whose gradient that is: the network gives the gradients in closed form, and
    nothing goes back through it. Chains start at each batch's rows, or go on from where the last
    batch left them (``network.persistent``): then there are as many as the first batch has rows,
    of which a smaller batch moves the first.

    Args:
        network: A network that keeps `glial.models.energy.EnergyBased`.
        settings: Optimiser, schedule, penalties and clipping.
        lr: Base learning rate.

    Attributes:
        optimizers: The one optimiser.

    Raises:
        InputError: If the settings ask for what this objective does not do, or the network does
            not keep the protocol.

    Source:
        Hinton (2002), "Training products of experts by minimizing contrastive divergence",
        doi:10.1162/089976602760128018; chains that go on: Tieleman (2008), "Training restricted
        Boltzmann machines using approximations to the likelihood gradient",
        doi:10.1145/1390156.1390290.

    Example:
        >>> from glial.models.rbm import RBMSettings
        >>> network = RBMSettings(hidden_size=2).build(3)
        >>> objective = ContrastiveDivergence(network, TrainSettings(), lr=1e-3)
        >>> drawn = network.draw(torch.randn(8, 3), generator=torch.Generator())
        >>> objective.step(Batch(drawn.inputs, drawn.target), Moment(0, 0, 0.0)).shape
        torch.Size([])
    """

    def __init__(self, network: nn.Module, settings: TrainSettings, lr: float) -> None:
        _check(network, settings)
        assert isinstance(network, EnergyBased)  # noqa: S101 - narrows the type
        self._network: EnergyBased = network
        self._parameters = dict(network.named_parameters())
        self._updates = Updates(network, settings, lr)
        self._chains: dict[str, Tensor] = {}
        self.optimizers = (self._updates.optimizer,)

    def step(self, batch: Batch, moment: Moment) -> Tensor:
        """One contrast, and one update.

        Raises:
            InputError: If rows have weights.
        """
        if batch.weight is not None:
            raise InputError(
                "learning by contrast takes every row alike",
                expected="rows without weights",
                got="weights",
                do="leave the column of weights out, or choose a model that is trained by descent",
            )
        self._updates.begin(moment)
        found = self._contrast(batch)
        if self._network.persistent:
            self._go_on(found.chains)
        self._updates.apply(moment)
        return found.loss

    def make_passes(self, batch: Batch, moment: Moment) -> Tensor:
        """The contrast of a step without its update; chains stay where they are."""
        self._updates.begin(moment)
        return self._contrast(batch).loss

    @torch.no_grad()
    def _contrast(self, batch: Batch) -> Contrast:
        """What is learnt of a batch; its gradients are left in the parameters."""
        count = len(batch.target)
        held = {name: states[:count] for name, states in self._chains.items()}
        # A batch larger than the first has rows for which there is no chain yet.
        enough = all(len(states) == count for states in held.values())
        found = self._network.contrast(held if enough else {}, *batch.inputs)
        for name, parameter in self._parameters.items():
            # Fused optimisers read a gradient as it lies, and take it to lie as the parameter does.
            parameter.grad = found.gradients[name].contiguous()
        return found

    def _go_on(self, chains: dict[str, Tensor]) -> None:
        for name, states in chains.items():
            held = self._chains.get(name)
            rest = states[:0] if held is None else held[len(states) :]
            self._chains[name] = torch.cat([states, rest]) if len(rest) else states

    def observe(self, value: float) -> None:
        """Let the plateau schedule see the validation loss."""
        self._updates.observe(value)

    def rate(self) -> float:
        """The learning rate of the last step."""
        return self._updates.rate

    def damp(self, factor: float) -> None:
        """Multiply every rate by a factor, until another is given."""
        self._updates.damping = factor

    def tensors(self) -> dict[str, Tensor]:
        """The optimiser's running averages, and the chains' states."""
        own = {f"{_OPTIMIZER}{key}": value for key, value in self._updates.tensors().items()}
        return own | {f"{_CHAIN}{name}": states for name, states in self._chains.items()}

    def numbers(self) -> dict[str, Any]:
        """The plateau's state."""
        return self._updates.numbers()

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._updates.load(_under(_OPTIMIZER, tensors), numbers)
        device = next(iter(self._parameters.values())).device
        held = _under(_CHAIN, tensors)
        self._chains = {name: states.to(device) for name, states in held.items()}


def _under(start: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def _check(network: nn.Module, settings: TrainSettings) -> None:
    """Refuse settings that would be passed over, and a network that has no energy."""
    plain = TrainSettings()
    wrong = [key for key in _NOT_HEEDED if getattr(settings, key) != getattr(plain, key)]
    wrong += ["precision"] if settings.precision == "bfloat16" else []
    if wrong:
        key, value = wrong[0], getattr(settings, wrong[0])
        raise InputError(
            f"train.{key} does not go with learning by contrast",
            expected="no freezing, no parts of batches, and full precision",
            got=f"train.{key}: {value}",
            do=f"leave train.{key} out of the plan",
        )
    if not isinstance(network, EnergyBased):
        raise InputError(
            "the network has no energy to learn by contrast",
            expected="a network that keeps glial.models.energy.EnergyBased",
            got=type(network).__name__,
            do="choose a model such as rbm, or train by descent",
        )
