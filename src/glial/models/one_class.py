"""The one-class network: normal rows told from made-up ones, which lie all around them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from math import prod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.functional.losses import reduce
from glial.models.anomalies import parts_of_way
from glial.models.unlabelled import Drawn, UnlabelledSettings
from glial.nn.dense import DenseBlock
from glial.nn.initialization import best_for

Rows = Float[Tensor, "row ..."]
OfRow = Float[Tensor, " row"]

LEAST_DISTANCE = 1e-6


class OneClassSettings(UnlabelledSettings):
    """A classifier of one class, of numbers or of pixels as such.

    Others than normal rows are made up in every step, one for each row: half of them by noise, half
    of numbers that belong to different rows of the batch, with noise too. So the network learns
    where rows are denser than what surrounds them, and which numbers go together. Normal rows are
    to lie near the origin of a space, others away from it: so rows far from all that was learnt
    from are no more normal than made-up ones.

    Attributes:
        hidden_sizes: Units of the hidden layers.
        code_size: Numbers of that space.
        activation: Of hidden layers.
        noise: The least and the greatest standard deviation of the noise, in scaled units; each
            made-up row's is drawn between them, evenly on a logarithmic scale.

    Example:
        >>> network = OneClassSettings(hidden_sizes=[8]).build(3, 0)
        >>> network.scores(torch.zeros(2, 3)).shape
        torch.Size([2])
    """

    tasks: ClassVar[tuple[str, ...]] = ("anomaly",)
    description: ClassVar[str] = "one-class network: normal rows told from what is made up of them"
    source: ClassVar[str] = "Ruff, Vandermeulen, Franks, Müller, Kloft (2020), arXiv 2006.00339"

    name: Literal["one_class"] = "one_class"
    hidden_sizes: list[Annotated[int, Field(ge=1)]] = Field(default=[128, 64], min_length=1)
    code_size: int = Field(default=32, ge=1)
    activation: str = "silu"
    noise: list[Annotated[float, Field(gt=0)]] = Field(
        default=[0.5, 5.0], min_length=2, max_length=2
    )

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall; more epochs where there are fewer rows.

        Example:
            >>> OneClassSettings.train_defaults("anomaly")["optimizer"]
            'adamw'
        """
        return {
            "optimizer": "adamw",
            "lr": 0.002,
            "weight_decay": 0.01,
            "batch_size": 128,
            "epochs": 20 if num_rows >= 30_000 else 60 if num_rows >= 5_000 else 200,
            "schedule": "cosine",
            "patience": 20,
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int = 0,
        task: str = "anomaly",
        images: Sequence[Sequence[int]] = (),
    ) -> OneClassSettings:
        """The settings as they are."""
        return self.model_copy()

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        return OneClass(self, shape)


class ToldApart(NamedTuple):
    """Distances of normal rows and of as many made-up ones from the origin, [row] each.

    Example:
        >>> ToldApart(torch.zeros(2), torch.ones(2)).made.shape
        torch.Size([2])
    """

    normal: Tensor
    made: Tensor


class OneClass(nn.Module):
    """Dense layers to a space in which normal rows lie near the origin.

    Parameters: ``body.<i>.linear.weight``, ``.bias``, ``head.weight`` and ``head.bias``.

    Args:
        settings: The settings.
        shape: Of a row.

    Source:
        The sphere: Ruff, Vandermeulen, Franks, Müller, Kloft (2020), "Rethinking assumptions in
        deep anomaly detection", arXiv 2006.00339, equation 3; made-up rows: Steinwart, Hush, Scovel
        (2005), "A classification framework for anomaly detection", JMLR 6:211, section 2.

    Example:
        >>> network = OneClass(OneClassSettings(hidden_sizes=[2]), (3,))
        >>> network(torch.zeros(4, 3), torch.ones(4, 3)).made.shape
        torch.Size([4])
    """

    def __init__(self, settings: OneClassSettings, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.settings = settings
        self.shape = shape
        self.latent_size = settings.code_size
        name, sizes = settings.activation, [prod(shape), *settings.hidden_sizes]
        self.body = nn.Sequential(
            *(
                DenseBlock(before, after, name, initialization=best_for(name))
                for before, after in itertools.pairwise(sizes)
            )
        )
        self.head = nn.Linear(sizes[-1], settings.code_size)

    def embed(self, rows: Rows) -> Float[Tensor, "row latent"]:
        """Where rows lie in the space."""
        codes: Tensor = self.head(self.body(rows.flatten(1)))
        return codes

    def draw(self, rows: Rows, *, generator: torch.Generator) -> Drawn:
        """Rows, and as many made-up ones.

        Args:
            rows: The rows.
            generator: Draws.
        """
        flat = rows.flatten(1)
        low, high = (math.log(end) for end in self.settings.noise)
        spread = torch.rand(len(flat), 1, generator=generator).mul(high - low).add(low).exp()
        noise = torch.randn(flat.shape, generator=generator) * spread
        order = torch.rand(flat.shape, generator=generator).argsort(dim=0).to(flat.device)
        mixes = torch.rand(len(flat), 1, generator=generator) < 0.5
        basis = torch.where(mixes.to(flat.device), flat.gather(0, order), flat)
        return Drawn((rows, (basis + noise.to(flat)).reshape(rows.shape)), rows)

    def forward(self, rows: Rows, made: Rows) -> ToldApart:
        """The distances of rows and of made-up ones.

        Args:
            rows: Normal rows.
            made: As many made-up ones.
        """
        return ToldApart(*self.scores(torch.cat([rows, made])).chunk(2))

    def loss(self, outputs: ToldApart, target: Tensor, weight: OfRow | None = None) -> Tensor:
        """The mean cross entropy of telling the two apart.

        At a distance h a row is normal with the probability exp(-h).

        Args:
            outputs: The distances.
            target: Is not used.
            weight: Of each row, and of the one that was made up for it.
        """
        of_made = -torch.log(-torch.expm1(-outputs.made.clamp_min(LEAST_DISTANCE)))
        return reduce((outputs.normal + of_made) / 2, weight)

    def measure(self, rows: Rows, *, generator: torch.Generator) -> dict[str, Tensor]:
        """``told_apart``: whether a row seems more normal than the one made up for it.

        Args:
            rows: The rows.
            generator: Draws.
        """
        found = self(*self.draw(rows, generator=generator).inputs)
        return {"told_apart": (found.normal < found.made).to(rows.dtype)}

    def scores(self, rows: Rows) -> OfRow:
        """How far rows lie from the origin: squared near it, and else plainly (Huber's)."""
        return (self.embed(rows).square().sum(dim=1) + 1).sqrt() - 1

    def parts(self, rows: Rows) -> Rows:
        """What each number adds to the score, on the way from a row of zeros."""
        return parts_of_way(self.scores, rows)
