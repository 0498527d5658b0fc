"""The deep Boltzmann machine: layers of hidden units above a visible one, tied to their neighbours.

Every second layer can be drawn at once given the others. So it is a restricted machine whose layers
are these two halves: chains, their statistics, and the logarithm of the partition function are that
one's. Hidden units are not known given a row alone; a mean field stands for them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.functional import annealed_log_partition, exact_log_partition
from glial.functional.losses import reduce
from glial.functional.rbm import (
    RBMWeights,
    drawn,
    rbm_free_energy,
    rbm_gibbs_step,
    rbm_hidden_sums,
    rbm_statistics,
    rbm_visible_sums,
)
from glial.functional.rbm_partition import PartitionEstimate, rbm_chain
from glial.models.deep_layers import joined_halves, parts_of_halves, teach_layer
from glial.models.energy import Contrast
from glial.models.unlabelled import Drawn, UnlabelledSettings
from glial.models.visible_units import Visible, VisibleUnits

START_WEIGHT = 0.01
EXACT_UNITS = 12
PARTITION_SEED = 0
SAMPLING_STEPS = 500

Even = Float[Tensor, "row even"]
Odd = Float[Tensor, "row odd"]
EvenNoise = Float[Tensor, "row step even"]
OddNoise = Float[Tensor, "row step odd"]
PerRow = Float[Tensor, " row"]


class DBMSettings(UnlabelledSettings):
    """A deep Boltzmann machine of numbers or of images, all of whose units are 0 or 1.

    Attributes:
        hidden_sizes: Units of each hidden layer, the lowest first; None chooses two by the data.
        greys: Whether rows are learnt from as the chances that they are; else they are drawn anew,
            as 0 and 1, in every step.
        gibbs_steps: Steps of a chain from one update to the next; chains go on from batch to batch.
        mean_field_steps: Updates of the hidden units' chances, given a row.
        greedy_epochs: Passes over the first training rows by which each layer is taught at the
            start as a restricted machine of its own; 0 begins with small weights.
        partition_chains: Chains by which the partition function is estimated.
        partition_steps: Steps of each.

    Source:
        Salakhutdinov, Hinton (2009), "Deep Boltzmann machines", AISTATS (PMLR 5:448-455).

    Example:
        >>> network = DBMSettings(hidden_sizes=[4, 2]).build(3)
        >>> network.embed(torch.zeros(2, 3)).shape
        torch.Size([2, 6])
    """

    description: ClassVar[str] = "deep Boltzmann machine: undirected layers above each other"
    source: ClassVar[str] = "Salakhutdinov, Hinton (2009), PMLR 5:448-455"
    objective: ClassVar[str] = "contrastive_divergence"

    name: Literal["dbm"] = "dbm"
    hidden_sizes: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2)] | None = None
    greys: bool = False
    gibbs_steps: int = Field(default=5, ge=1)
    mean_field_steps: int = Field(default=10, ge=1)
    greedy_epochs: int = Field(default=10, ge=0)
    partition_chains: int = Field(default=100, ge=2)
    partition_steps: int = Field(default=1000, ge=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Adam of small steps that end at none; the last weights, as no loss tells the best.

        Example:
            >>> DBMSettings.train_defaults("generate")["restore_best"]
            False
        """
        return {
            "optimizer": "adam",
            "lr": 0.001,
            "batch_size": 100,
            "epochs": 20 if num_rows >= 30_000 else 40 if num_rows >= 5_000 else 150,
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
    ) -> DBMSettings:
        """Twice as many units in the first hidden layer as numbers, 16 to 256; half in the second.

        Example:
            >>> DBMSettings().for_data(1000, 13).hidden_sizes
            [26, 13]
        """
        first = min(256, max(16, 2 * (num_inputs + sum(math.prod(image) for image in images))))
        return self.model_copy(update={"hidden_sizes": self.hidden_sizes or [first, first // 2]})

    def build(
        self,
        num_inputs: int = 0,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> DeepBoltzmann:
        """The network; without `for_data` it is as for 1000 rows."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        return DeepBoltzmann(self.for_data(1000, num_inputs, images=images), shape)


class Bounds(NamedTuple):
    """What a machine makes of drawn rows.

    Attributes:
        of_rows: Energies of rows with what a mean field says of hidden units.
        of_chains: Free energies of the states at the ends of the chains.
        error: How unlikely each row is as it is given back, in nats.
    """

    of_rows: PerRow
    of_chains: PerRow
    error: PerRow


class DeepBoltzmann(nn.Module):
    """Layers of units, weights between neighbouring ones, and a bias each.

    Parameters: ``weights.<i>`` [upper, lower] and ``biases.<i>``, of the visible layer first.

    Args:
        settings: The settings, every size chosen.
        shape: Of one row.

    Attributes:
        sizes: Units of each layer, the visible one first.
        persistent: Always; chains go on from batch to batch.
        visible_units: What rows are to the machine.

    Example:
        >>> network = DBMSettings(hidden_sizes=[4, 2]).build(3)
        >>> sorted(network.measure(torch.zeros(2, 3), generator=torch.Generator()))
        ['log_probability_bound', 'reconstruction_error']
    """

    def __init__(self, settings: DBMSettings, shape: Sequence[int]) -> None:
        super().__init__()
        self.visible_units = VisibleUnits("bernoulli", shape)
        self.settings, self.persistent = settings, True
        self.sizes = [math.prod(shape), *(settings.hidden_sizes or [])]
        self.weights = nn.ParameterList(
            nn.Parameter(START_WEIGHT * torch.randn(upper, lower))
            for lower, upper in itertools.pairwise(self.sizes)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(size)) for size in self.sizes)
        self._partition: tuple[Any, float] | None = None

    @property
    def machine(self) -> RBMWeights:
        """The restricted machine of even layers, which it sees, and odd ones."""
        return joined_halves([*self.weights], [*self.biases])

    @property
    def base(self) -> Float[Tensor, " even"]:
        """Log odds of independent units of even layers, from which chains start."""
        above = self.visible_units.base.new_zeros(sum(self.sizes[2::2]))
        return torch.cat([self.visible_units.base, above])

    @torch.no_grad()
    def start(self, rows: Tensor) -> None:
        """Teach each layer as a restricted machine, what the one below makes of some rows.

        As a unit is told by two layers in the end, in the lowest machine what comes from below
        counts twice, in the highest what comes from above, and between them weights are halved.

        Args:
            rows: Training rows.

        Source:
            Salakhutdinov, Hinton (2009), section 3.2 and figure 2.
        """
        self.biases[0].copy_(self.visible_units.start(rows))
        states = self.visible_units.chances(rows)
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        top = len(self.weights) - 1
        for layer, weight in enumerate(self.weights):
            up, down = (2.0 if layer < top else 1.0), (2.0 if layer else 1.0)
            own = RBMWeights(weight, self.biases[layer], self.biases[layer + 1])
            if self.settings.greedy_epochs:
                teach_layer(own, states, (up, down), self.settings.greedy_epochs, generator)
            states = torch.sigmoid(up * states @ weight.t() + own.hidden_bias)

    def draw(self, rows: Tensor, *, generator: torch.Generator) -> Drawn:
        """States of visible units, and the noise of the chains."""
        units = self.visible_units
        seen = units.chances(rows) if self.settings.greys else units.states(rows, generator)
        steps = self.settings.gibbs_steps
        odd = drawn(seen.new_empty(len(seen), steps, sum(self.sizes[1::2])), generator)
        even = drawn(seen.new_empty(len(seen), steps, sum(self.sizes[::2])), generator)
        return Drawn((seen, odd, even), seen)

    @torch.no_grad()
    def mean_field(self, machine: RBMWeights, seen: Visible) -> tuple[Even, Odd]:
        """The chances of all units that fit each other and a row, of even layers and of odd ones.

        Args:
            machine: Of the two halves.
            seen: Rows.
        """
        # The lowest layer is all that speaks at first; it counts twice, for those that are silent.
        silent = seen.new_zeros(len(seen), sum(self.sizes[2::2]))
        even = torch.cat([seen, silent], dim=1)
        sums = 2 * rbm_hidden_sums(machine, even) - machine.hidden_bias
        odd = torch.sigmoid(sums)
        for _ in range(self.settings.mean_field_steps):
            told = torch.sigmoid(rbm_visible_sums(machine, odd))
            even = torch.cat([seen, told[:, self.sizes[0] :]], dim=1)
            odd = torch.sigmoid(rbm_hidden_sums(machine, even))
        return even, odd

    def contrast(
        self,
        chains: Mapping[str, Tensor],
        seen: Visible,
        odd_noise: OddNoise,
        even_noise: EvenNoise,
    ) -> Contrast:
        """The gradients of a batch, in closed form, and where its chains end.

        Args:
            chains: ``even`` states to go on from; those of the mean field where there are none.
            seen: Drawn rows.
            odd_noise: Even numbers of each step, for odd layers.
            even_noise: Likewise, for even layers.

        Source:
            Salakhutdinov, Hinton (2009), algorithm 1.
        """
        machine = self.machine
        even, odd = self.mean_field(machine, seen)
        ends = _walked(machine, chains.get("even", even), odd_noise, even_noise)
        others, count = rbm_statistics(machine, ends), len(seen)
        own = RBMWeights(odd.t() @ even / -count, -even.mean(dim=0), -odd.mean(dim=0))
        gap = RBMWeights(*(a - b for a, b in zip(own[:3], others[:3], strict=True)))
        error = self._error(machine, seen, odd).mean()
        return Contrast(error, parts_of_halves(gap, self.sizes), {"even": ends})

    def _error(self, machine: RBMWeights, seen: Visible, odd: Odd) -> PerRow:
        """How unlikely rows are given the layer above, in nats a row."""
        sums = rbm_visible_sums(machine, odd)[:, : self.sizes[0]]
        return (functional.softplus(sums) - sums * seen).sum(dim=1)

    def forward(self, seen: Visible, odd_noise: OddNoise, even_noise: EvenNoise) -> Bounds:
        """Energies of rows and of where chains from them end, which are taken as they are.

        Args:
            seen: Drawn rows.
            odd_noise: Even numbers of each step, for odd layers.
            even_noise: Likewise, for even layers.
        """
        machine = self.machine
        even, odd = self.mean_field(machine, seen)
        with torch.no_grad():
            ends = _walked(machine, even, odd_noise, even_noise)
            error = self._error(machine, seen, odd)
        return Bounds(_energy(machine, even, odd), rbm_free_energy(machine, ends), error)

    def loss(self, outputs: Bounds, target: Visible, weight: PerRow | None = None) -> Tensor:
        """How unlikely rows are as they are given back; its gradient is that of the contrast.

        Args:
            outputs: What was made of drawn rows.
            target: The rows.
            weight: Of each row.
        """
        gap = outputs.of_rows - outputs.of_chains
        return reduce(outputs.error + (gap - gap.detach()), weight)

    def measure(self, rows: Tensor, *, generator: torch.Generator) -> dict[str, Tensor]:
        """How likely rows are at least, and how far they are from what is given back.

        The bound is the mean field's, in nats. Its partition function is exact where one half has
        12 units at most, else an estimate, so that the bound is one but for that estimate.

        Args:
            rows: The rows.
            generator: Draws binary states of greys.
        """
        bound = self.bound(self.visible_units.states(rows, generator))
        error = (self.reconstruct(rows) - rows).square().flatten(1).mean(dim=1)
        return {"log_probability_bound": bound, "reconstruction_error": error}

    def bound(self, seen: Visible) -> PerRow:
        """What the logarithms of visible states' probabilities are at least.

        Args:
            seen: Of 0 and 1.

        Source:
            Salakhutdinov, Hinton (2009), equation 8.
        """
        machine = self.machine
        even, odd = self.mean_field(machine, seen)
        chances = torch.cat([even[:, self.sizes[0] :], odd], dim=1)
        entropy = -(chances.xlogy(chances) + (1 - chances).xlogy(1 - chances)).sum(dim=1)
        return entropy - _energy(machine, even, odd) - self.log_partition()

    def log_partition(self) -> float:
        """The logarithm of the partition function, exact for small machines, else estimated."""
        if min(self.machine.weight.shape) <= EXACT_UNITS:
            return exact_log_partition(self.machine)
        key = [(p.data_ptr(), p._version) for p in (*self.parameters(), *self.buffers())]
        if self._partition is None or self._partition[0] != key:
            generator = torch.Generator().manual_seed(PARTITION_SEED)
            self._partition = (key, self.estimate_partition(generator=generator).log_partition)
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
            base=self.base,
        )

    def embed(self, rows: Tensor) -> Float[Tensor, "row hidden"]:
        """The hidden units' chances, of even layers first."""
        even, odd = self.mean_field(self.machine, self.visible_units.chances(rows))
        return torch.cat([even[:, self.sizes[0] :], odd], dim=1)

    def reconstruct(self, rows: Tensor) -> Tensor:
        """The rows to expect of the layer above, as a mean field has it."""
        machine = self.machine
        _, odd = self.mean_field(machine, self.visible_units.chances(rows))
        sums = rbm_visible_sums(machine, odd)[:, : self.sizes[0]]
        return self.visible_units.rows(torch.sigmoid(sums))

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
            noise: Whether rows are as drawn, else as expected of the layer above; None draws
                numbers, and gives pixels as expected.
        """
        base, machine = self.base, self.machine
        even = rbm_chain(machine, num_samples, generator=generator, steps=steps, base=base)
        if not (len(self.visible_units.shape) == 1 if noise is None else noise):
            odd = torch.sigmoid(rbm_hidden_sums(machine, even))
            even = torch.sigmoid(rbm_visible_sums(machine, odd))
        return self.visible_units.rows(even[:, : self.sizes[0]])


def _energy(machine: RBMWeights, even: Even, odd: Odd) -> PerRow:
    pulled = (rbm_hidden_sums(machine, even) * odd).sum(dim=1)
    return -pulled - even @ machine.visible_bias


@torch.no_grad()
def _walked(machine: RBMWeights, even: Even, odd_noise: OddNoise, even_noise: EvenNoise) -> Even:
    for odd, other in zip(odd_noise.unbind(dim=1), even_noise.unbind(dim=1), strict=True):
        even = rbm_gibbs_step(machine, even, odd, other)
    return even
