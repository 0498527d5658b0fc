"""Layers learnt one by one from the bottom, as Boltzmann machines; then descent on one loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.data.batches import Batch, answers
from glial.functional.rbm import RBMWeights, below, rbm_contrast, rbm_hidden_sums, rbm_visible_step
from glial.models.energy import Stacked, StackedSettings
from glial.nn.dense import Dense
from glial.training.objective import Descent, LossFunction, Mass
from glial.training.schedules import Moment
from glial.training.settings import TrainSettings
from glial.training.updates import Updates

_GREEDY = TrainSettings(optimizer="adam", schedule="cosine")
_RATE = 0.25
_DESCENT, _LAYER, _BIAS = "descent.", "layer.{}.", "lower_bias.{}"


class GreedyDescent:
    """In a first share of training layers learn one after the other, in the rest all together.

    A layer learns what the one below says of rows, by contrastive divergence, in its own weights
    and biases; the biases of its lower units belong to the objective. A batch's loss is the
    network's in either part, so that one sees what learning layers alone was good for.

    Args:
        network: A network that keeps `glial.models.energy.Stacked`.
        loss: ``loss(outputs, target, weight)``, the mean over rows.
        settings: Optimiser, schedule, penalties and clipping of the second part; layers learn with
            Adam at a rate that falls to 0.
        lr: Base learning rate of the second part.
        mass: As for `glial.training.Descent`.

    Attributes:
        optimizers: The second part's.

    Raises:
        InputError: If the network does not keep the protocol.

    Source:
        Hinton, Osindero, Teh (2006), doi:10.1162/neco.2006.18.7.1527, section 4; numbers as the
        last layer's units: Hinton, Salakhutdinov (2006), doi:10.1126/science.1127647.

    Example:
        >>> from glial.models.dbn import DBNSettings
        >>> network = DBNSettings(hidden_sizes=[4]).build(3, 1)
        >>> squared = lambda outputs, target, weight: (outputs - target).square().mean()
        >>> objective = GreedyDescent(network, squared, TrainSettings(), lr=0.01)
        >>> before = network.head.weight.clone()
        >>> _ = objective.step(Batch((torch.randn(8, 3),), torch.ones(8, 1)), Moment(0, 0, 0.0))
        >>> bool((network.head.weight == before).all())  # the first layer learns by itself
        True
    """

    def __init__(
        self,
        network: nn.Module,
        loss: LossFunction,
        settings: TrainSettings,
        lr: float,
        mass: Mass | None = None,
    ) -> None:
        if not isinstance(network, Stacked):
            raise InputError(
                "the network has no layers to learn one by one",
                expected="a network that keeps glial.models.energy.Stacked",
                got=type(network).__name__,
                do="choose a model such as dbn, or train by descent",
            )
        self._network: Stacked = network
        self._module, self._loss = network, loss
        self._descent = Descent(network, loss, settings, lr, mass=mass)
        self.optimizers = self._descent.optimizers
        self._layers = _layers_of(network)
        self._unrolled = False

    def stage(self, moment: Moment) -> int:
        """The number of the layer that learns by itself; of layers, where all learn together.

        Args:
            moment: Where training stands.
        """
        share = self._network.settings.pretraining_share
        if moment.fraction >= share:
            return len(self._layers)
        return min(len(self._layers) - 1, int(moment.fraction / share * len(self._layers)))

    def step(self, batch: Batch, moment: Moment) -> Tensor:
        """One contrast of one layer, or one descent of all."""
        stage, count = self.stage(moment), len(self._layers)
        share = self._network.settings.pretraining_share
        if stage == count:
            self._unroll()
            fraction = (moment.fraction - share) / (1 - share)
            return self._descent.step(batch, moment._replace(fraction=fraction))
        part = min(1.0, moment.fraction / share * count - stage)
        with torch.no_grad():
            visible = self._network.visible_of(*batch.inputs)
            for layer in self._layers[:stage]:
                visible = layer.above(visible)
            layer = self._layers[stage]
            layer.learn(visible, moment._replace(fraction=part))
            return self._loss(self._module(*batch.inputs), *answers(batch))

    def make_passes(self, batch: Batch, moment: Moment) -> Tensor:
        """The passes of a descent on the loss, whichever part training is in."""
        return self._descent.make_passes(batch, moment)

    def _unroll(self) -> None:
        """Hand what was learnt of the ways back to the network, once."""
        if not self._unrolled and self._network.settings.pretraining_share:
            with torch.no_grad():
                self._network.unroll([layer.lower_bias.detach() for layer in self._layers])
        self._unrolled = True

    def observe(self, value: float) -> None:
        """Let the plateau schedule see the validation loss."""
        self._descent.observe(value)

    def rate(self) -> float:
        """The second part's learning rate of the last step, or at its start."""
        return self._descent.rate()

    def damp(self, factor: float) -> None:
        """Multiply every rate by a factor, until another is given."""
        self._descent.damp(factor)
        for layer in self._layers:
            layer.updates.damping = factor

    def tensors(self) -> dict[str, Tensor]:
        """The optimisers' running averages, and the biases of lower units."""
        found = {f"{_DESCENT}{key}": value for key, value in self._descent.tensors().items()}
        for number, layer in enumerate(self._layers):
            found[_BIAS.format(number)] = layer.lower_bias.detach()
            held = layer.updates.tensors().items()
            found |= {_LAYER.format(number) + key: value for key, value in held}
        return found

    def numbers(self) -> dict[str, Any]:
        """The descent's, and whether the ways back were handed over."""
        return {"descent": self._descent.numbers(), "unrolled": self._unrolled}

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._descent.load(_under(_DESCENT, tensors), numbers["descent"])
        self._unrolled = bool(numbers["unrolled"])
        for number, layer in enumerate(self._layers):
            with torch.no_grad():
                layer.lower_bias.copy_(tensors[_BIAS.format(number)])
            layer.updates.load(_under(_LAYER.format(number), tensors), {})


class _Layer:
    """A layer as a restricted Boltzmann machine, with biases of its lower units beside it.

    Args:
        layer: The layer.
        bias: Where the lower units' biases begin.
        settings: How it learns.
        numbers_below: Whether lower units are numbers, of variance 1.
        numbers_above: Whether upper units are, likewise.
    """

    def __init__(
        self,
        layer: Dense,
        bias: Tensor,
        settings: StackedSettings,
        *,
        numbers_below: bool,
        numbers_above: bool,
    ) -> None:
        self._layer, self._steps = layer, settings.gibbs_steps
        self._numbers_above = numbers_above
        self.lower_bias = nn.Parameter(bias.detach().clone())
        self._variance = torch.ones_like(self.lower_bias) if numbers_below else None
        assert layer.bias is not None  # noqa: S101 - narrows the type
        self._upper_bias = layer.bias
        own = {"weight": layer.weight, "lower": self.lower_bias, "upper": layer.bias}
        lr = settings.pretraining_lr or _RATE / math.sqrt(len(self.lower_bias))
        self.updates = Updates(nn.ParameterDict(own), _GREEDY, lr)

    def above(self, below_: Tensor) -> Tensor:
        """What the layer says of lower units: probabilities, or means of numbers."""
        return self._expected(below_, self._machine())

    def _machine(self) -> RBMWeights:
        return RBMWeights(self._layer.weight, self.lower_bias, self._upper_bias, self._variance)

    def _expected(self, visible: Tensor, machine: RBMWeights) -> Tensor:
        sums = rbm_hidden_sums(machine, visible)
        return sums if self._numbers_above else sums.sigmoid_()

    def learn(self, visible: Tensor, moment: Moment) -> None:
        """One step of contrastive divergence, by chains that start at rows."""
        machine = self._machine()
        hidden = self._expected(visible, machine)
        others, expected = visible, hidden
        for _ in range(self._steps):
            state = self._drawn(expected)
            noise = torch.rand if self._variance is None else torch.randn
            others = rbm_visible_step(machine, state, noise(visible.shape).to(visible))
            expected = self._expected(others, machine)
        found = rbm_contrast(machine, visible, hidden, others, expected)
        self.updates.begin(moment)
        self._layer.weight.grad = found.weight
        self.lower_bias.grad, self._upper_bias.grad = found.visible_bias, found.hidden_bias
        self.updates.apply(moment)

    def _drawn(self, expected: Tensor) -> Tensor:
        if self._numbers_above:
            return expected + torch.randn(expected.shape).to(expected)
        return below(torch.rand(expected.shape).to(expected), expected)


def _layers_of(network: Stacked) -> Sequence[_Layer]:
    """The layers as machines; lower biases begin as independent units like the rows, or at 0."""
    units, stack = network.visible_units, list(network.stack())
    biases = [units.base, *(torch.zeros_like(layer.weight[:, 0]) for layer in stack[:-1])]
    last = len(stack) - 1
    return [
        _Layer(
            layer,
            bias,
            network.settings,
            numbers_below=not number and not units.is_binary,
            numbers_above=network.linear_code and number == last,
        )
        for number, (layer, bias) in enumerate(zip(stack, biases, strict=True))
    ]


def _under(start: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
