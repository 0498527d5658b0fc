"""The Boltzmann machine: visible and hidden units of 0 and 1, and a tie for every pair of them.

It is a Hopfield network whose units flip by chance, with hidden ones beside those that show rows.
It learns what units do together while rows are clamped to the visible ones, and forgets what they
do together while all are free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from glial.functional.boltzmann import binary_states, cooling, gibbs_sweep
from glial.functional.hopfield import pairwise_energy
from glial.functional.losses import reduce
from glial.models.energy import Contrast
from glial.models.unlabelled import Drawn, UnlabelledSettings
from glial.models.visible_units import Visible, VisibleUnits

EXACT_UNITS = 14  # machines of so many at most tell how likely rows are
START_TIE = 0.1
MEAN_FIELD_STEPS = 30
DEFAULT_HIDDEN_SIZE = 8

States = Float[Tensor, "row unit"]
Noise = Float[Tensor, "row sweep unit"]
PerRow = Float[Tensor, " row"]


class BoltzmannMachineSettings(UnlabelledSettings):
    """A Boltzmann machine of few numbers, or of small images.

    Its units are asked one after the other, so it is slow beside a restricted one.

    Attributes:
        hidden_size: Hidden units; None chooses by the data.
        sweeps: Times that each unit is asked before what units do together is counted.
        first_temperature: From which hidden units are cooled to 1 while rows are clamped, and all
            units while none are, unless their chains go on.
        persistent: Whether free chains go on from batch to batch, at temperature 1.
        sampling_sweeps: Times that each unit is asked before a row is made up.

    Source:
        Ackley, Hinton, Sejnowski (1985), "A learning algorithm for Boltzmann machines",
        doi:10.1207/s15516709cog0901_7; chains that go on: Tieleman (2008),
        doi:10.1145/1390156.1390290.

    Example:
        >>> network = BoltzmannMachineSettings(hidden_size=2).build(3)
        >>> network.couplings.shape
        torch.Size([5, 5])
    """

    description: ClassVar[str] = "Boltzmann machine: every pair of units tied, some of them hidden"
    source: ClassVar[str] = "Ackley, Hinton, Sejnowski (1985), doi:10.1207/s15516709cog0901_7"
    objective: ClassVar[str] = "contrastive_divergence"

    name: Literal["boltzmann_machine"] = "boltzmann_machine"
    hidden_size: int | None = Field(default=None, ge=1)
    sweeps: int = Field(default=5, ge=1)
    first_temperature: float = Field(default=2.0, ge=1)
    persistent: bool = True
    sampling_sweeps: int = Field(default=100, ge=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Adam of small steps that end at none; the last weights, as no loss tells the best.

        Example:
            >>> BoltzmannMachineSettings.train_defaults("generate")["batch_size"]
            100
        """
        return {
            "optimizer": "adam",
            "lr": 0.01,
            "batch_size": 100,
            "epochs": 10 if num_rows >= 5_000 else 60,
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
    ) -> BoltzmannMachineSettings:
        """Half as many hidden units as visible ones, from 4 to 32.

        Example:
            >>> BoltzmannMachineSettings().for_data(1000, 13).hidden_size
            6
        """
        numbers = num_inputs + sum(math.prod(image) for image in images)
        size = self.hidden_size or min(32, max(4, numbers // 2))
        return self.model_copy(update={"hidden_size": size})

    def build(
        self,
        num_inputs: int = 0,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> BoltzmannMachine:
        """The network; without `for_data` it has 8 hidden units."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        return BoltzmannMachine(self, shape)


class MachineEnergies(NamedTuple):
    """What a machine makes of drawn rows.

    Attributes:
        clamped: Energies of states whose visible units are the rows'.
        free: Of states of which no unit is clamped.
        error: How unlikely each unit of a row is given the others, in nats.
    """

    clamped: PerRow
    free: PerRow
    error: PerRow


class BoltzmannMachine(nn.Module):
    """Units, visible ones first, a tie for each pair, and a bias each.

    Parameters: ``ties`` [pair], of the units (0, 1), (0, 2) and so on, and ``biases`` [unit].

    Args:
        settings: The settings.
        shape: Of one row.

    Attributes:
        persistent: Whether free chains go on from batch to batch.
        visible_units: What rows are to the machine.

    Example:
        >>> network = BoltzmannMachineSettings(hidden_size=2).build(3)
        >>> rows, generator = torch.zeros(4, 3), torch.Generator().manual_seed(0)
        >>> sorted(network.measure(rows, generator=generator))
        ['log_probability', 'reconstruction_error']
    """

    def __init__(self, settings: BoltzmannMachineSettings, shape: Sequence[int]) -> None:
        super().__init__()
        self.visible_units = VisibleUnits("bernoulli", shape)
        self.settings, self.persistent = settings, settings.persistent
        self.num_visible = self.visible_units.size
        units = self.num_visible + (settings.hidden_size or DEFAULT_HIDDEN_SIZE)
        self.ties = nn.Parameter(START_TIE * torch.randn(units * (units - 1) // 2))
        self.biases = nn.Parameter(torch.zeros(units))
        self.register_buffer("pairs", torch.triu_indices(units, units, 1), persistent=False)

    @property
    def couplings(self) -> Float[Tensor, "unit unit"]:
        """The ties of all pairs, symmetric, with a diagonal of 0."""
        units = len(self.biases)
        pairs = self.get_buffer("pairs")
        upper = self.ties.new_zeros(units, units).index_put((pairs[0], pairs[1]), self.ties)
        return upper + upper.T

    @torch.no_grad()
    def start(self, rows: Tensor) -> None:
        """Begin with biases that make each visible unit as likely as it is in some rows.

        Args:
            rows: Training rows.
        """
        self.biases[: self.num_visible] = self.visible_units.start(rows)

    def draw(self, rows: Tensor, *, generator: torch.Generator) -> Drawn:
        """States of visible units, and the noise of hidden units and of free chains."""
        seen = self.visible_units.states(rows, generator)
        size = (len(seen), self.settings.sweeps, len(self.biases))
        noises = [torch.rand(size, generator=generator).to(seen) for _ in range(2)]
        return Drawn((seen, *noises), seen)

    def swept(
        self, states: States, noise: Noise, free: Bool[Tensor, " unit"] | None, *, cools: bool
    ) -> States:
        """States after as many sweeps as there is noise for.

        Args:
            states: Of all units.
            noise: Even numbers of each sweep.
            free: Units that may change; None is all, the others are clamped.
            cools: Whether the machine is cooled to 1 on the way.
        """
        sweeps = noise.shape[1]
        warmth = self.settings.first_temperature
        temperatures = cooling(sweeps, warmth, 1.0) if cools and sweeps > 1 else [1.0] * sweeps
        couplings, biases = self.couplings, self.biases
        for part, temperature in zip(noise.unbind(dim=1), temperatures, strict=True):
            states = gibbs_sweep(
                states, couplings, biases, part, temperature=temperature, free=free
            )
        return states

    @torch.no_grad()
    def _both(
        self, seen: Visible, clamped_noise: Noise, free_noise: Noise, chains: Tensor | None
    ) -> tuple[States, States]:
        """States with rows clamped, and states of free chains."""
        hidden = (clamped_noise[:, 0, self.num_visible :] < 0.5).to(seen)
        start = torch.cat([seen, hidden], dim=1)
        is_hidden = torch.arange(len(self.biases)) >= self.num_visible
        clamped = self.swept(start, clamped_noise, is_hidden, cools=True)
        begun = clamped if chains is None else chains
        return clamped, self.swept(begun, free_noise, None, cools=chains is None)

    def contrast(
        self, chains: Mapping[str, Tensor], seen: Visible, clamped_noise: Noise, free_noise: Noise
    ) -> Contrast:
        """What units do together while all are free, less that while rows are clamped.

        Args:
            chains: ``units`` to go on from; the clamped states themselves where there are none.
            seen: Drawn rows.
            clamped_noise: Even numbers, for hidden units.
            free_noise: Even numbers, for all.

        Source:
            Ackley, Hinton, Sejnowski (1985), equation 7.
        """
        clamped, free = self._both(seen, clamped_noise, free_noise, chains.get("units"))
        count = len(seen)
        together = (free.T @ free - clamped.T @ clamped) / count
        pairs = self.get_buffer("pairs")
        gradients = {
            "ties": together[pairs[0], pairs[1]],
            "biases": (free - clamped).mean(dim=0),
        }
        return Contrast(self._error(clamped).mean(), gradients, {"units": free})

    def forward(self, seen: Visible, clamped_noise: Noise, free_noise: Noise) -> MachineEnergies:
        """Energies of states with rows clamped and of free ones, which are taken as they are.

        Args:
            seen: Drawn rows.
            clamped_noise: Even numbers, for hidden units.
            free_noise: Even numbers, for all.
        """
        clamped, free = self._both(seen, clamped_noise, free_noise, None)
        couplings, biases = self.couplings, self.biases
        with torch.no_grad():
            error = self._error(clamped)
        return MachineEnergies(
            pairwise_energy(clamped, couplings, biases),
            pairwise_energy(free, couplings, biases),
            error,
        )

    def loss(
        self, outputs: MachineEnergies, target: Visible, weight: PerRow | None = None
    ) -> Tensor:
        """How unlikely visible units are given the others; its gradient is that of the contrast.

        Args:
            outputs: What was made of drawn rows.
            target: The rows.
            weight: Of each row.
        """
        gap = outputs.clamped - outputs.free
        return reduce(outputs.error + (gap - gap.detach()), weight)

    def _error(self, states: States) -> PerRow:
        """How unlikely visible units are, each given all others, in nats a row."""
        size = self.num_visible
        fields = states @ self.couplings[:, :size] + self.biases[:size]
        return (nn.functional.softplus(fields) - fields * states[:, :size]).sum(dim=1)

    def measure(self, rows: Tensor, *, generator: torch.Generator) -> dict[str, Tensor]:
        """How far rows are from what is given back and, of few units, how likely they are.

        Args:
            rows: The rows.
            generator: Draws binary states of greys.
        """
        error = (self.reconstruct(rows) - rows).square().flatten(1).mean(dim=1)
        if len(self.biases) > EXACT_UNITS:
            return {"reconstruction_error": error}
        told = self.log_probability(self.visible_units.states(rows, generator))
        return {"log_probability": told, "reconstruction_error": error}

    def log_probability(self, seen: Visible) -> PerRow:
        """The logarithm of how likely visible states are, by going through every state.

        Args:
            seen: Of 0 and 1.

        Raises:
            InputError: If there are too many units.
        """
        hidden = binary_states(len(self.biases) - self.num_visible).to(self.biases)
        both = torch.cat(
            [seen.repeat_interleave(len(hidden), dim=0), hidden.repeat(len(seen), 1)], dim=1
        )
        couplings, biases = self.couplings, self.biases
        sums = -pairwise_energy(both, couplings, biases).view(len(seen), -1)
        everything = binary_states(len(biases)).to(biases)
        partition = (-pairwise_energy(everything, couplings, biases)).logsumexp(dim=0)
        return sums.logsumexp(dim=1) - partition

    def _hidden(self, seen: Visible) -> Float[Tensor, "row hidden"]:
        """Chances of hidden units that fit each other, by a mean field."""
        size = self.num_visible
        couplings = self.couplings
        given = seen @ couplings[:size, size:] + self.biases[size:]
        chances = torch.sigmoid(given)
        for _ in range(MEAN_FIELD_STEPS):
            new = torch.sigmoid(given + chances @ couplings[size:, size:])
            chances = (chances + new) / 2
        return chances

    def embed(self, rows: Tensor) -> Float[Tensor, "row hidden"]:
        """Chances of the hidden units, with the row clamped, by a mean field."""
        return self._hidden(self.visible_units.chances(rows))

    def reconstruct(self, rows: Tensor) -> Tensor:
        """What to expect of each visible unit, given all others of its row."""
        seen = self.visible_units.chances(rows)
        states = torch.cat([seen, self._hidden(seen)], dim=1)
        size = self.num_visible
        fields = states @ self.couplings[:, :size] + self.biases[:size]
        return self.visible_units.rows(torch.sigmoid(fields))

    def complete(
        self,
        rows: Tensor,
        known: Bool[Tensor, " number"],
        *,
        generator: torch.Generator,
        sweeps: int | None = None,
    ) -> Tensor:
        """Rows whose unknown numbers are drawn, while the known ones are clamped.

        Args:
            rows: What is known of them; the other numbers are not looked at.
            known: Which numbers are clamped.
            generator: Draws.
            sweeps: Of each chain; None is as the settings say.
        """
        seen = self.visible_units.states(rows, generator)
        clamped = torch.zeros(len(self.biases), dtype=torch.bool)
        clamped[: self.num_visible] = known.flatten()
        states = torch.rand(len(seen), len(self.biases), generator=generator).round().to(seen)
        states[:, clamped] = seen[:, clamped[: self.num_visible]]
        return self.visible_units.rows(
            self._drawn(states, ~clamped, generator, sweeps or self.settings.sampling_sweeps)
        )

    def _drawn(
        self,
        states: States,
        free: Bool[Tensor, " unit"] | None,
        generator: torch.Generator,
        sweeps: int | None,
    ) -> Visible:
        """Visible states after sweeps, in the first half of which the machine is cooled to 1."""
        couplings, biases = self.couplings, self.biases
        sweeps = sweeps or self.settings.sampling_sweeps
        first = cooling(max(2, sweeps // 2), self.settings.first_temperature, 1.0)
        for number in range(sweeps):
            noise = torch.rand(states.shape, generator=generator).to(states)
            warmth = first[number] if number < len(first) else 1.0
            states = gibbs_sweep(states, couplings, biases, noise, temperature=warmth, free=free)
        return states[:, : self.num_visible]

    def sample(
        self,
        num_samples: int,
        *,
        generator: torch.Generator,
        classes: Tensor | None = None,
        steps: int | None = None,
    ) -> Tensor:
        """Rows at the ends of chains of which no unit is clamped.

        Args:
            num_samples: How many.
            generator: Draws.
            classes: None: the network is told no classes.
            steps: Sweeps of each chain; None is as the settings say.
        """
        states = torch.rand(num_samples, len(self.biases), generator=generator).round()
        free = torch.ones(len(self.biases), dtype=torch.bool)
        return self.visible_units.rows(
            self._drawn(
                states.to(self.biases), free, generator, steps or self.settings.sampling_sweeps
            )
        )
