"""The restricted Boltzmann machine: a layer that is seen, one that is not, and ties between them.

It is an undirected model of an energy, not a perceptron of two layers: no unit is tied to another
of its own layer, so that each layer can be drawn at once given the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.functional import annealed_log_partition, exact_log_partition
from glial.functional.gaussians import gaussian_log_density
from glial.functional.losses import reduce
from glial.functional.rbm import (
    RBMWeights,
    below,
    drawn,
    rbm_contrast,
    rbm_free_energy,
    rbm_hidden_sums,
    rbm_visible_step,
    rbm_visible_sums,
)
from glial.functional.rbm_partition import PartitionEstimate, rbm_chain
from glial.models.energy import Contrast
from glial.models.unlabelled import Drawn, UnlabelledSettings
from glial.models.visible_units import VisibleName, VisibleUnits

START_WEIGHT = 0.01
EXACT_UNITS = 12
LOG_VARIANCES = (-7.0, 3.0)
PARTITION_SEED = 0
DEFAULT_HIDDEN_SIZE = 256
SAMPLING_STEPS = 500
EPOCHS = ((30_000, 30), (5_000, 60), (1_000, 200), (0, 600))  # for so many rows
WATCHED_ROWS = 16  # of a batch, by which one sees how far training is
PARAMETERS = ("weight", "visible_bias", "hidden_bias", "log_variance")  # as RBMWeights has them

Visible = Float[Tensor, "row visible"]
Hidden = Float[Tensor, "row hidden"]
HiddenNoise = Float[Tensor, "row _ hidden"]
VisibleNoise = Float[Tensor, "row step visible"]
PerRow = Float[Tensor, " row"]


class RBMSettings(UnlabelledSettings):
    """A restricted Boltzmann machine of numbers or of images.

    Attributes:
        hidden_size: Hidden units; None chooses by the data.
        visible: ``bernoulli`` units are 0 or 1: pixels by their greys, numbers between the least
            and the greatest that training showed. ``gaussian`` units are numbers. ``auto`` is
            ``bernoulli`` for images of one channel, else ``gaussian``.
        variance: Of each ``gaussian`` unit given the hidden ones, in scaled units; None learns
            one each.
        greys: Whether rows of ``bernoulli`` units are learnt from as the chances that they are;
            else they are drawn anew, as 0 and 1, in every step.
        gibbs_steps: Steps of a chain from one update to the next.
        persistent: Whether chains go on from batch to batch, else each starts from a row; None
            lets them go on where rows are to be made up.
        partition_chains: Chains by which the partition function is estimated, where it cannot be
            enumerated.
        partition_steps: Steps of each.

    Source:
        Hinton (2002), doi:10.1162/089976602760128018; Tieleman (2008),
        doi:10.1145/1390156.1390290; first weights: Hinton (2012), "A practical guide to training
        restricted Boltzmann machines", doi:10.1007/978-3-642-35289-8_32, section 8.

    Example:
        >>> network = RBMSettings(hidden_size=4).build(3)
        >>> network.embed(torch.zeros(2, 3)).shape
        torch.Size([2, 4])
    """

    description: ClassVar[str] = "restricted Boltzmann machine: energies of two tied layers"
    source: ClassVar[str] = "Hinton (2002), doi:10.1162/089976602760128018"
    objective: ClassVar[str] = "contrastive_divergence"

    name: Literal["rbm"] = "rbm"
    hidden_size: int | None = Field(default=None, ge=1)
    visible: VisibleName = "auto"
    variance: float | None = Field(default=None, gt=0)
    greys: bool = False
    gibbs_steps: int = Field(default=1, ge=1)
    persistent: bool | None = None
    partition_chains: int = Field(default=100, ge=2)
    partition_steps: int = Field(default=1000, ge=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Adam to a rate of 0, some thousand steps; the last weights, as no loss tells the best.

        Example:
            >>> RBMSettings.train_defaults("generate", 60_000)["epochs"]
            30
        """
        return {
            "optimizer": "adam",
            "lr": 0.005,
            "batch_size": 20 if num_rows < 1_000 else 50 if num_rows < 5_000 else 100,
            "epochs": next(n for least, n in EPOCHS if num_rows >= least),
            "schedule": "cosine",
            "restore_best": False,
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int = 0,
        task: str = "generate",
        images: Sequence[Sequence[int]] = (),
    ) -> RBMSettings:
        """Twice as many hidden units as numbers, from 16 to 256; chains by the task.

        Example:
            >>> chosen = RBMSettings().for_data(1000, 13)
            >>> chosen.hidden_size, chosen.persistent
            (26, True)
        """
        numbers = num_inputs + sum(math.prod(image) for image in images)
        size = self.hidden_size or min(256, max(16, 2 * numbers))
        persistent = task == "generate" if self.persistent is None else self.persistent
        return self.model_copy(update={"hidden_size": size, "persistent": persistent})

    def build(
        self,
        num_inputs: int = 0,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> RestrictedBoltzmann:
        """The network; without `for_data` it has 256 hidden units, and chains start from rows."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        return RestrictedBoltzmann(self, shape)


class Energies(NamedTuple):
    """What a machine makes of drawn rows.

    Attributes:
        of_rows: Their free energies.
        of_chains: Those of the states at the ends of the chains.
        error: How unlikely each row is given its hidden units' probabilities, in nats.
    """

    of_rows: PerRow
    of_chains: PerRow
    error: PerRow


class RestrictedBoltzmann(nn.Module):
    """Visible and hidden units, a weight for each pair, and a bias each.

    Parameters: ``weight`` [hidden, visible], ``visible_bias``, ``hidden_bias`` and, of numbers
    whose variance is learnt, ``log_variance`` [visible].

    Args:
        settings: The settings.
        shape: Of one row: (number,) or (channel, height, width).

    Attributes:
        persistent: Whether chains go on from batch to batch.
        visible_units: What rows are to the machine.

    Example:
        >>> network = RBMSettings(hidden_size=4).build(3)
        >>> rows, generator = torch.zeros(2, 3), torch.Generator().manual_seed(0)
        >>> drawn = network.draw(rows, generator=generator)
        >>> sorted(network.contrast({}, *drawn.inputs).gradients)
        ['hidden_bias', 'log_variance', 'visible_bias', 'weight']
        >>> sorted(network.measure(rows, generator=generator))
        ['log_likelihood', 'reconstruction_error']
    """

    def __init__(self, settings: RBMSettings, shape: Sequence[int]) -> None:
        super().__init__()
        self.settings, self.shape = settings, tuple(shape)
        self.persistent = bool(settings.persistent)
        self.visible_units = VisibleUnits(settings.visible, shape)
        visible, hidden = self.visible_units.size, settings.hidden_size or DEFAULT_HIDDEN_SIZE
        is_binary = self.visible_units.is_binary
        self.weight = nn.Parameter(START_WEIGHT * torch.randn(hidden, visible))
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        if not is_binary and settings.variance is None:
            self.log_variance = nn.Parameter(torch.zeros(visible))
        elif not is_binary:
            assert settings.variance is not None  # noqa: S101 - narrows the type
            fixed = torch.full((visible,), math.log(settings.variance))
            self.register_buffer("log_variance", fixed)
        self._partition: tuple[Any, float] | None = None

    @property
    def machine(self) -> RBMWeights:
        """Weights, biases and variances, as `glial.functional` takes them."""
        variance = None
        if not self.visible_units.is_binary:
            held: Tensor = self.log_variance
            variance = held.clamp(*LOG_VARIANCES).exp()
        return RBMWeights(self.weight, self.visible_bias, self.hidden_bias, variance)

    @torch.no_grad()
    def start(self, rows: Tensor) -> None:
        """Begin with biases that make each unit as likely as it is in some rows.

        Args:
            rows: Training rows.
        """
        self.visible_bias.copy_(self.visible_units.start(rows))

    def draw(self, rows: Tensor, *, generator: torch.Generator) -> Drawn:
        """States of visible units, and the noise of the chains.

        Args:
            rows: The rows.
            generator: Draws.
        """
        units = self.visible_units
        seen = units.chances(rows) if self.settings.greys else units.states(rows, generator)
        count, steps = len(seen), self.settings.gibbs_steps
        hidden = drawn(seen.new_empty(count, steps + 1, len(self.hidden_bias)), generator)
        visible = units.noise(seen.new_empty(count, steps, units.size), generator)
        return Drawn((seen, hidden, visible), seen)

    def contrast(
        self,
        chains: Mapping[str, Tensor],
        seen: Visible,
        hidden_noise: HiddenNoise,
        visible_noise: VisibleNoise,
    ) -> Contrast:
        """The gradients of a batch, in closed form, and where its chains end.

        Args:
            chains: ``hidden`` states to go on from; drawn given the rows where there are none.
            seen: Drawn rows.
            hidden_noise: Even numbers, of the start and of each step.
            visible_noise: Likewise of each step, or normal ones.
        """
        machine = self.machine
        hidden = rbm_hidden_sums(machine, seen).sigmoid_()
        start = chains.get("hidden")
        if start is None:
            start = below(hidden_noise[:, 0], hidden)
        ends, chances = self._walked(machine, start, hidden_noise, visible_noise)
        gradients = rbm_contrast(machine, seen, hidden, ends, chances)
        found = {
            name: gradient
            for name, gradient in zip(PARAMETERS, gradients, strict=True)
            if gradient is not None and name in self._parameters
        }
        few = seen[:WATCHED_ROWS]
        error = self._error(machine, few, hidden[:WATCHED_ROWS]).mean()
        if not self.persistent:
            return Contrast(error, found, {})
        return Contrast(error, found, {"hidden": below(hidden_noise[:, -1], chances)})

    def _walked(
        self, machine: RBMWeights, hidden: Tensor, hidden_noise: Tensor, visible_noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Visible states after all steps, and the hidden units' probabilities given these."""
        visible = chances = hidden
        for number, noise in enumerate(visible_noise.unbind(dim=1)):
            if number:
                hidden = below(hidden_noise[:, number], chances)
            visible = rbm_visible_step(machine, hidden, noise)
            chances = rbm_hidden_sums(machine, visible).sigmoid_()
        return visible, chances

    def _error(self, machine: RBMWeights, seen: Tensor, hidden: Tensor) -> Tensor:
        """How unlikely rows are given their hidden units' probabilities, in nats a row."""
        sums = rbm_visible_sums(machine, hidden)
        if machine.variance is None:
            return (functional.softplus(sums) - sums * seen).sum(dim=1)
        return -gaussian_log_density(seen, sums, machine.variance.log()).sum(dim=1)

    def forward(
        self, seen: Visible, hidden_noise: HiddenNoise, visible_noise: VisibleNoise
    ) -> Energies:
        """Free energies of rows and of where chains from them end, which are taken as they are.

        Args:
            seen: Drawn rows.
            hidden_noise: Even numbers, of the start and of each step.
            visible_noise: Likewise of each step, or normal ones.
        """
        machine = self.machine
        with torch.no_grad():
            hidden = rbm_hidden_sums(machine, seen).sigmoid_()
            start = below(hidden_noise[:, 0], hidden)
            ends, _ = self._walked(machine, start, hidden_noise, visible_noise)
            error = self._error(machine, seen, hidden)
        return Energies(rbm_free_energy(machine, seen), rbm_free_energy(machine, ends), error)

    def loss(self, outputs: Energies, target: Visible, weight: PerRow | None = None) -> Tensor:
        """How unlikely rows are as they are given back; its gradient is that of the contrast.

        The difference of free energies itself says nothing of how far training is: it is taken
        for its slope alone.

        Args:
            outputs: What the network made of drawn rows.
            target: The rows.
            weight: Of each row.
        """
        gap = outputs.of_rows - outputs.of_chains
        return reduce(outputs.error + (gap - gap.detach()), weight)

    def measure(self, rows: Tensor, *, generator: torch.Generator) -> dict[str, Tensor]:
        """How likely rows are, and how far they are from what is given back.

        ``log_probability`` of binary units, ``log_likelihood`` of numbers, in nats: with the exact
        partition function where one layer has 12 units at most, else with an estimate.

        Args:
            rows: The rows.
            generator: Draws binary states of greys.
        """
        seen = self.visible_units.states(rows, generator)
        told = -rbm_free_energy(self.machine, seen) - self.log_partition()
        name = "log_probability" if self.visible_units.is_binary else "log_likelihood"
        error = (self.reconstruct(rows) - rows).square().flatten(1).mean(dim=1)
        return {name: told, "reconstruction_error": error}

    def log_partition(self) -> float:
        """The logarithm of the partition function, exact for small machines, else estimated."""
        key = [(p.data_ptr(), p._version) for p in (*self.parameters(), *self.buffers())]
        if self._partition is None or self._partition[0] != key:
            units = self.weight.shape
            small = min(units) if self.visible_units.is_binary else units[0]
            if small <= EXACT_UNITS:
                value = exact_log_partition(self.machine)
            else:
                generator = torch.Generator().manual_seed(PARTITION_SEED)
                value = self.estimate_partition(generator=generator).log_partition
            self._partition = (key, value)
        return self._partition[1]

    def estimate_partition(self, *, generator: torch.Generator) -> PartitionEstimate:
        """The logarithm of the partition function with an interval, by annealed chains.

        Args:
            generator: Draws.
        """
        return annealed_log_partition(
            self.machine,
            generator=generator,
            chains=self.settings.partition_chains,
            temperatures=self.settings.partition_steps,
            base=self.visible_units.base,
        )

    def embed(self, rows: Tensor) -> Hidden:
        """The hidden units' probabilities."""
        return torch.sigmoid(rbm_hidden_sums(self.machine, self.visible_units.chances(rows)))

    def reconstruct(self, rows: Tensor) -> Tensor:
        """The rows to expect of their hidden units' probabilities."""
        sums = rbm_visible_sums(self.machine, self.embed(rows))
        return self.visible_units.rows(self.visible_units.mean(sums))

    def sample(
        self,
        num_samples: int,
        *,
        generator: torch.Generator,
        classes: Tensor | None = None,
        steps: int = SAMPLING_STEPS,
        noise: bool | None = None,
    ) -> Tensor:
        """Rows at the ends of long chains, which start from independent units.

        Args:
            num_samples: How many.
            generator: Draws.
            classes: None: the network is told no classes.
            steps: Of each chain.
            noise: Whether rows are as drawn, else as expected of the hidden units; None draws
                numbers, and gives pixels as expected.
        """
        machine = self.machine
        visible = rbm_chain(
            machine, num_samples, generator=generator, steps=steps, base=self.visible_units.base
        )
        draws = len(self.shape) == 1 if noise is None else noise
        if not draws:
            sums = rbm_visible_sums(machine, torch.sigmoid(rbm_hidden_sums(machine, visible)))
            visible = self.visible_units.mean(sums)
        return self.visible_units.rows(visible)
