"""Hopfield networks of rows: a continuous one, which is a mixture, and the classical one.

Both begin with training rows as their memories, and then make these better. What they give back
for a row is what it calls up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.functional.hopfield import pseudo_inverse_couplings, recall
from glial.functional.losses import reduce
from glial.models.unlabelled import Drawn, UnlabelledSettings

MOST_MEMORIES = 256
LOG_BETAS = (-7.0, 12.0)
START_SHARE = 0.5  # of the units, the most that are stored at the start as patterns
SWEEPS = 30

States = Float[Tensor, "row unit"]
PerRow = Float[Tensor, " row"]


class HopfieldSettings(UnlabelledSettings):
    """A Hopfield network of numbers or of images.

    Attributes:
        kind: ``continuous`` keeps memories as they are, and what is called up is their softmax:
            its density is a mixture of Gaussians about the memories. ``classical`` has units of
            -1 and 1, one for each number (below or above its mean), and a tie for each pair.
        num_memories: Memories of the continuous network; None is a quarter of the rows, 256 at
            most.
        steps: Updates by which the continuous one calls up a row.

    Source:
        Hopfield (1982), doi:10.1073/pnas.79.8.2554; continuous: Ramsauer et al. (2021), arXiv
        2008.02217; patterns learnt by how likely a unit is given the others: Besag (1975),
        doi:10.2307/2987782.

    Example:
        >>> network = HopfieldSettings(num_memories=3).build(5)
        >>> network.reconstruct(torch.zeros(2, 5)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "Hopfield network: rows that call up stored ones"
    source: ClassVar[str] = "Ramsauer et al. (2021), arXiv 2008.02217; Hopfield (1982)"

    name: Literal["hopfield"] = "hopfield"
    kind: Literal["continuous", "classical"] = "continuous"
    num_memories: int | None = Field(default=None, ge=1)
    steps: int = Field(default=1, ge=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Adam with one cosine fall; what is stored at the start is not far from the end.

        Example:
            >>> HopfieldSettings.train_defaults("reduce")["epochs"]
            30
        """
        return {
            "optimizer": "adam",
            "lr": 0.01,
            "schedule": "cosine",
            "batch_size": 128 if num_rows >= 5_000 else 64,
            "epochs": 10 if num_rows >= 30_000 else 30,
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int = 0,
        task: str = "reduce",
        images: Sequence[Sequence[int]] = (),
    ) -> HopfieldSettings:
        """A memory for each four rows.

        Example:
            >>> HopfieldSettings().for_data(1000, 13).num_memories
            250
        """
        count = self.num_memories or max(1, min(MOST_MEMORIES, num_rows // 4))
        return self.model_copy(update={"num_memories": count})

    def build(
        self,
        num_inputs: int = 0,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; without `for_data` it has 256 memories."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        if self.kind == "classical":
            return ClassicalHopfield(shape)
        return ContinuousHopfield(shape, self.num_memories or MOST_MEMORIES, self.steps)


class ContinuousHopfield(nn.Module):
    """Memories, and how sharply they are told apart.

    The energy of the paper is of dot products, so that long memories are called up more than short
    ones. Here each memory also has the half of its squared length taken off: the nearest is called
    up, and exp(-beta energy) is a mixture of Gaussians of equal shares, of variance 1 / beta.

    Parameters: ``memories`` [memory, number] and ``log_beta`` [].

    Args:
        shape: Of a row.
        num_memories: How many.
        steps: Updates that call up a row.

    Example:
        >>> network, rows = ContinuousHopfield((2,), 3), torch.randn(8, 2)
        >>> network.start(rows)
        >>> network.measure(rows, generator=torch.Generator())["log_likelihood"].shape
        torch.Size([8])
    """

    def __init__(self, shape: Sequence[int], num_memories: int, steps: int = 1) -> None:
        super().__init__()
        self.shape, self.steps = tuple(shape), steps
        self.memories = nn.Parameter(torch.randn(num_memories, math.prod(shape)))
        self.log_beta = nn.Parameter(torch.zeros(()))

    @property
    def beta(self) -> Tensor:
        """How sharply memories are told apart."""
        return self.log_beta.clamp(*LOG_BETAS).exp()

    @torch.no_grad()
    def start(self, rows: Tensor) -> None:
        """Store rows, and tell them apart as far as each is from the next.

        Args:
            rows: Training rows; where there are fewer than memories, they are stored more than
                once, a bit apart.
        """
        flat, count = rows.flatten(1), len(self.memories)
        chosen = torch.randperm(len(flat))[:count].repeat(-(-count // len(flat)))[:count]
        spread = float(flat.std(dim=0, correction=0).mean())
        stored = flat[chosen]
        stored[len(flat) :] += 0.1 * spread * torch.randn_like(stored[len(flat) :])
        self.memories.copy_(stored)
        apart = torch.cdist(flat[:count], flat[:count]).fill_diagonal_(torch.inf)
        squared = apart.amin(dim=1).square()
        mean = float(squared[squared.isfinite()].mean()) / flat.shape[1] if len(squared) > 1 else 1
        self.log_beta.fill_(-math.log(max(mean, 1e-4)))

    def _with_length(self, flat: States) -> tuple[Tensor, Tensor]:
        """States and memories with a number more, by which the nearest has the least energy."""
        lengths = -0.5 * self.memories.square().sum(dim=1, keepdim=True)
        memories = torch.cat([self.memories, lengths], dim=1)
        return torch.cat([flat, torch.ones_like(flat[:, :1])], dim=1), memories

    def shares(self, rows: Tensor) -> Float[Tensor, "row memory"]:
        """How much of each memory a row calls up, adding up to 1."""
        flat, memories = self._with_length(rows.flatten(1))
        return (self.beta * flat @ memories.T).softmax(dim=1)

    def draw(self, rows: Tensor, *, generator: torch.Generator) -> Drawn:
        """The rows themselves; nothing is drawn."""
        return Drawn((rows,), rows)

    def forward(self, rows: Tensor) -> PerRow:
        """The logarithm of each row's density.

        Args:
            rows: The rows.
        """
        flat = rows.flatten(1)
        squares = torch.cdist(flat, self.memories, compute_mode="use_mm_for_euclid_dist").square()
        told = (-0.5 * self.beta * squares).logsumexp(dim=1) - math.log(len(self.memories))
        return told - 0.5 * flat.shape[1] * (2 * math.pi / self.beta).log()

    def loss(self, outputs: PerRow, target: Tensor, weight: PerRow | None = None) -> Tensor:
        """How unlikely rows are, in nats.

        Args:
            outputs: Logarithms of densities.
            target: Is not used.
            weight: Of each row.
        """
        return reduce(-outputs, weight)

    def measure(self, rows: Tensor, *, generator: torch.Generator) -> dict[str, Tensor]:
        """How likely rows are, and how far from what they call up.

        Args:
            rows: The rows.
            generator: Is not used.
        """
        back = self.reconstruct(rows)
        error = (back - rows).square().flatten(1).mean(dim=1)
        return {"reconstruction_error": error, "log_likelihood": self(rows)}

    def embed(self, rows: Tensor) -> Float[Tensor, "row memory"]:
        """How much of each memory a row calls up."""
        return self.shares(rows)

    def reconstruct(self, rows: Tensor) -> Tensor:
        """What rows call up."""
        flat = rows.flatten(1)
        for _ in range(self.steps):
            flat = self.shares(flat) @ self.memories
        return flat.reshape(-1, *self.shape)

    def sample(
        self,
        num_samples: int,
        *,
        generator: torch.Generator,
        classes: Tensor | None = None,
        noise: bool | None = None,
    ) -> Tensor:
        """Rows of the mixture.

        Args:
            num_samples: How many.
            generator: Draws.
            classes: None: the network is told no classes.
            noise: Whether they lie about memories; else they are what these call up. None adds
                noise to numbers, and none to images.
        """
        chosen = torch.randint(len(self.memories), (num_samples,), generator=generator)
        noises = torch.randn(num_samples, self.memories.shape[1], generator=generator)
        states = self.memories[chosen] + noises.to(self.memories) / self.beta.sqrt()
        if noise if noise is not None else len(self.shape) == 1:
            return states.reshape(-1, *self.shape)
        return self.reconstruct(states.reshape(-1, *self.shape))


class Fields(NamedTuple):
    """What a classical network makes of rows.

    Attributes:
        states: Of -1 and 1.
        fields: What the other units pull each to.
    """

    states: States
    fields: States


class ClassicalHopfield(nn.Module):
    """Units of -1 and 1, a tie for each pair, and a bias each.

    A number is a unit that says whether it is above its mean over training rows. Ties begin with
    some rows stored by their projection; training makes each unit likely given the others of its
    row, which stores rows that are alike where Hebb's rule does not.

    Parameters: ``ties`` [pair], of the units (0, 1), (0, 2) and so on, and ``biases`` [unit].

    Args:
        shape: Of a row.

    Example:
        >>> network = ClassicalHopfield((4,))
        >>> network.couplings.shape
        torch.Size([4, 4])
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        units = math.prod(shape)
        self.ties = nn.Parameter(torch.zeros(units * (units - 1) // 2))
        self.biases = nn.Parameter(torch.zeros(units))
        self.register_buffer("pairs", torch.triu_indices(units, units, 1), persistent=False)
        # What is above and what is below, and the two numbers that these stand for.
        self.register_buffer("edge", torch.zeros(units))
        self.register_buffer("levels", torch.stack([-torch.ones(units), torch.ones(units)]))

    @property
    def couplings(self) -> Float[Tensor, "unit unit"]:
        """The ties of all pairs, symmetric, with a diagonal of 0."""
        units = len(self.biases)
        pairs = self.get_buffer("pairs")
        upper = self.ties.new_zeros(units, units).index_put((pairs[0], pairs[1]), self.ties)
        return upper + upper.T

    @torch.no_grad()
    def start(self, rows: Tensor) -> None:
        """Find what is above and below, and store some rows.

        Args:
            rows: Training rows.
        """
        flat = rows.flatten(1)
        edge = flat.mean(dim=0)
        above = flat > edge
        count = above.sum(dim=0).clamp_min(1)
        high = torch.where(above, flat, 0.0).sum(dim=0) / count
        low = torch.where(above, 0.0, flat).sum(dim=0) / (~above).sum(dim=0).clamp_min(1)
        self.get_buffer("edge").copy_(edge)
        self.get_buffer("levels").copy_(
            torch.stack([low, torch.where(above.any(dim=0), high, low)])
        )
        some = self.states_of(rows)[: max(1, int(START_SHARE * flat.shape[1]))]
        pairs = self.get_buffer("pairs")
        self.ties.copy_(pseudo_inverse_couplings(some)[pairs[0], pairs[1]])

    def states_of(self, rows: Tensor) -> States:
        """Rows as -1 and 1."""
        flat = rows.flatten(1)
        return torch.where(flat > self.get_buffer("edge"), 1.0, -1.0).to(flat)

    def rows_of(self, states: States) -> Tensor:
        """What states stand for: the mean of what was below, or of what was above."""
        low, high = self.get_buffer("levels")
        return torch.where(states > 0, high, low).reshape(-1, *self.shape)

    def draw(self, rows: Tensor, *, generator: torch.Generator) -> Drawn:
        """The rows' states; nothing is drawn."""
        states = self.states_of(rows)
        return Drawn((states,), states)

    def forward(self, states: States) -> Fields:
        """The field of each unit.

        Args:
            states: Of -1 and 1.
        """
        return Fields(states, states @ self.couplings + self.biases)

    def loss(self, outputs: Fields, target: States, weight: PerRow | None = None) -> Tensor:
        """How unlikely units are given the others, in nats a row: the pseudo-likelihood.

        Args:
            outputs: What was made of states.
            target: The states.
            weight: Of each row.
        """
        return reduce(functional.softplus(-2 * target * outputs.fields).sum(dim=1), weight)

    def measure(self, rows: Tensor, *, generator: torch.Generator) -> dict[str, Tensor]:
        """How far rows are from what they call up, and what share of units that has turned.

        Args:
            rows: The rows.
            generator: Is not used.
        """
        states = self.states_of(rows)
        called = self._recalled(states)
        error = (self.rows_of(called) - rows).square().flatten(1).mean(dim=1)
        turned = (called != states).to(error).mean(dim=1)
        return {"reconstruction_error": error, "turned": turned}

    def _recalled(self, states: States) -> States:
        return recall(states, self.couplings, self.biases, sweeps=SWEEPS).states

    def reconstruct(self, rows: Tensor) -> Tensor:
        """The stored rows that rows call up."""
        return self.rows_of(self._recalled(self.states_of(rows)))

    def sample(
        self,
        num_samples: int,
        *,
        generator: torch.Generator,
        classes: Tensor | None = None,
    ) -> Tensor:
        """What is called up by states at random.

        Args:
            num_samples: How many.
            generator: Draws.
            classes: None: the network is told no classes.
        """
        drawn = torch.rand(num_samples, len(self.biases), generator=generator).to(self.biases)
        return self.rows_of(self._recalled(torch.where(drawn < 0.5, -1.0, 1.0).to(drawn)))
