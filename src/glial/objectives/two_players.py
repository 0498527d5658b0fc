"""Two networks against each other: one makes rows up, the other tells them from real ones."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.data.batches import Batch
from glial.models.players import PenalizedPlayers, Players
from glial.training.schedules import Moment
from glial.training.settings import TrainSettings
from glial.training.updates import Updates

_NOT_HEEDED = ("accumulate", "group_rate", "freeze", "unfreeze_every")
_PLAYERS = ("discriminator", "generator")


class TwoPlayers:
    """Steps of a discriminator and a generator in turn, each with an optimiser of its own.

    Each batch is a step of the discriminator; every ``discriminator_steps``-th is one of the
    generator too, which answers the discriminator that has just learnt. What is made of a batch
    is made once: both players see it. The batch's loss is the discriminator's, its penalty left
    out.

    Args:
        network: A network that keeps `glial.models.players.Players`.
        settings: Optimiser, schedule, penalties and clipping, of each player alone.
        lr: The generator's base learning rate; the discriminator's is
            ``network.discriminator_lr_factor`` times that.

    Attributes:
        optimizers: The discriminator's and the generator's.
        losses: Their losses in the last step; the generator's is the last that there was, and NaN
            before. They are tensors, so that nothing waits for them.

    Raises:
        InputError: If the settings ask for what this objective does not do, or a parameter
            belongs to neither player.

    Source:
        Goodfellow et al. (2014), "Generative adversarial nets", arXiv 1406.2661, algorithm 1. Two
        rates: Heusel et al. (2017), arXiv 1706.08500, section 2. Penalties now and then: Karras
        et al. (2020), arXiv 1912.04958, appendix B.

    Example:
        >>> from glial.models.gan import GANSettings
        >>> network = GANSettings().build(2)
        >>> players = TwoPlayers(network, TrainSettings(), lr=1e-3)
        >>> drawn = network.draw(torch.randn(8, 2), generator=torch.Generator())
        >>> players.step(Batch(drawn.inputs, drawn.target), Moment(0, 0, 0.0)).shape
        torch.Size([])
    """

    def __init__(self, network: nn.Module, settings: TrainSettings, lr: float) -> None:
        _check(network, settings)
        if settings.layout == "channels_last":
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        penalized = isinstance(network, PenalizedPlayers) and network.penalty_every > 0
        self._penalized = cast("PenalizedPlayers", network) if penalized else None
        assert isinstance(network, Players)  # noqa: S101 - narrows the type
        self._network: Players = network
        factor = network.discriminator_lr_factor
        self._discriminator = Updates(network.discriminator, settings, lr * factor)
        self._generator = Updates(network.generator, settings, lr)
        self._both = dict(zip(_PLAYERS, (self._discriminator, self._generator), strict=True))
        self.optimizers = tuple(player.optimizer for player in self._both.values())
        nothing = torch.tensor(float("nan"))
        self.losses = dict.fromkeys(_PLAYERS, nothing)

    def step(self, batch: Batch, moment: Moment) -> Tensor:
        """One update of the discriminator, and of the generator where it is its turn.

        Raises:
            InputError: If rows have weights.
        """
        _check_rows(batch)
        network, inputs = self._network, batch.inputs
        answers = (moment.step + 1) % network.discriminator_steps == 0
        with torch.set_grad_enabled(answers):
            made = network.generate(*inputs)
        self._discriminator.begin(moment)
        self._judge(made, inputs, moment)
        self._discriminator.apply(moment)
        if answers:
            self._generator.begin(moment)
            self._deceive(made, inputs)
            self._generator.apply(moment)
        return self.losses["discriminator"]

    def make_passes(self, batch: Batch, moment: Moment) -> Tensor:
        """Both players' passes, without their updates: both gradients are left in the parameters.

        The generator's is the one against the discriminator as it stands before its update.
        """
        made = self._network.generate(*batch.inputs)
        for player in self._both.values():
            player.begin(moment)
        self._judge(made, batch.inputs, moment)
        self._deceive(made, batch.inputs)
        return self.losses["discriminator"]

    def _judge(self, made: tuple[Tensor, ...], inputs: tuple[Tensor, ...], moment: Moment) -> None:
        cut = tuple(part.detach() for part in made)
        penalized = self._penalized
        if penalized is None or moment.step % penalized.penalty_every:
            loss = self._network.discriminator_loss(cut, *inputs)
            self.losses["discriminator"] = loss.detach()
        else:
            loss, penalty = penalized.penalized_loss(cut, *inputs)
            self.losses["discriminator"] = loss.detach()
            loss = loss + penalized.penalty_every * penalty
        _descend(loss, self._discriminator.parameters)

    def _deceive(self, made: tuple[Tensor, ...], inputs: tuple[Tensor, ...]) -> None:
        loss = self._network.generator_loss(made, *inputs)
        self.losses["generator"] = loss.detach()
        _descend(loss, self._generator.parameters)

    def observe(self, value: float) -> None:
        """A discriminator's validation loss says nothing of how far training is."""

    def rate(self) -> float:
        """The generator's learning rate in its last step."""
        return self._generator.rate

    def damp(self, factor: float) -> None:
        """Multiply every rate by a factor, until another is given."""
        for player in self._both.values():
            player.damping = factor

    def tensors(self) -> dict[str, Tensor]:
        """Both optimisers' running averages."""
        return {
            f"{name}.{key}": value
            for name, player in self._both.items()
            for key, value in player.tensors().items()
        }

    def numbers(self) -> dict[str, Any]:
        """Nothing beside them: whose turn it is follows from the step."""
        return {}

    def load(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        for name, player in self._both.items():
            start = f"{name}."
            own = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
            player.load(own, {})


def _descend(loss: Tensor, parameters: list[Tensor]) -> None:
    """Leave a loss's gradient in some parameters; the others' is not even computed."""
    for parameter in parameters:
        parameter.grad = None
    loss.backward(inputs=parameters)  # type: ignore[no-untyped-call]


def _check_rows(batch: Batch) -> None:
    if batch.weight is not None:
        raise InputError(
            "two networks that learn from each other take every row alike",
            expected="rows without weights",
            got="weights",
            do="leave the column of weights out, or choose a model that is trained by descent",
        )


def _check(network: nn.Module, settings: TrainSettings) -> None:
    """Refuse settings that would be passed over, and a network that is not two players."""
    plain = TrainSettings()
    wrong = [key for key in _NOT_HEEDED if getattr(settings, key) != getattr(plain, key)]
    wrong += ["schedule"] if settings.schedule == "plateau" else []
    wrong += ["precision"] if settings.precision == "bfloat16" else []
    if wrong:
        key, value = wrong[0], getattr(settings, wrong[0])
        raise InputError(
            f"train.{key} does not go with two networks that learn from each other",
            expected="no freezing, no parts of batches, and a schedule that is known beforehand",
            got=f"train.{key}: {value}",
            do=f"leave train.{key} out of the plan",
        )
    belongs = tuple(f"{player}." for player in _PLAYERS)
    others = [name for name, _ in network.named_parameters() if not name.startswith(belongs)]
    if others or not isinstance(network, Players):
        raise InputError(
            "the network is not one of two players",
            expected="a generator and a discriminator that hold every parameter",
            got=others[0] if others else type(network).__name__,
            do="see glial.models.players.Players",
        )
