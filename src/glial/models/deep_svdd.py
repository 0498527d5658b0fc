"""Deep support vector data description: normal rows are brought near one point."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.functional.losses import reduce
from glial.models.anomalies import parts_of_way
from glial.models.unlabelled import Drawn, UnlabelledSettings
from glial.nn.activations import activation
from glial.nn.dense import Dense
from glial.nn.initialization import best_for

Rows = Float[Tensor, "row ..."]
OfRow = Float[Tensor, " row"]

LEAST_COORDINATE = 0.1


class DeepSVDDSettings(UnlabelledSettings):
    """A network that brings normal rows near a centre, of numbers or of pixels as such.

    Attributes:
        hidden_sizes: Units of the hidden layers.
        code_size: Numbers of the space that holds the centre.
        activation: Of hidden layers; one without a bound, so that no unit can be held constant.
        boundary: ``mean`` brings all rows near the centre; ``soft`` those that lie outside a
            sphere around it, while the sphere is made small.
        outside: Share of rows that a soft sphere may leave outside.

    Example:
        >>> network = DeepSVDDSettings(hidden_sizes=[8], code_size=4).build(3, 0)
        >>> network(torch.zeros(2, 3)).shape  # squared distances
        torch.Size([2])
    """

    tasks: ClassVar[tuple[str, ...]] = ("anomaly",)
    description: ClassVar[str] = "deep support vector data description: normal rows near a centre"
    source: ClassVar[str] = "Ruff et al. (2018), ICML, PMLR 80:4393"

    name: Literal["deep_svdd"] = "deep_svdd"
    hidden_sizes: list[Annotated[int, Field(ge=1)]] = Field(default=[128, 64], min_length=1)
    code_size: int = Field(default=32, ge=1)
    activation: str = "leaky_relu"
    boundary: Literal["mean", "soft"] = "mean"
    outside: float = Field(default=0.05, gt=0, lt=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with weight decay, which is part of the objective; few epochs.

        Example:
            >>> DeepSVDDSettings.train_defaults("anomaly")["optimizer"]
            'adamw'
        """
        return {
            "optimizer": "adamw",
            "lr": 0.001,
            "weight_decay": 0.01,
            "batch_size": 128,
            "epochs": 20 if num_rows >= 30_000 else 50,
            "schedule": "cosine",
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int = 0,
        task: str = "anomaly",
        images: Sequence[Sequence[int]] = (),
    ) -> DeepSVDDSettings:
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
        return DeepSVDD(self, shape)


class DeepSVDD(nn.Module):
    """Layers without biases, which could else bring every row to the centre by themselves.

    Parameters: ``layers.<i>.weight``. Buffer: ``centre``.

    Args:
        settings: The settings.
        shape: Of a row.

    Attributes:
        latent_size: Numbers of the space of the centre.

    Source:
        Ruff, Vandermeulen, Görnitz, Deecke, Siddiqui, Binder, Müller, Kloft (2018), "Deep one-class
        classification", ICML, PMLR 80:4393; mean: equation 4, soft: equation 3, no biases and no
        bounded activations: propositions 2 and 3.

    Example:
        >>> network = DeepSVDD(DeepSVDDSettings(hidden_sizes=[4]), (3,))
        >>> [name for name, _ in network.named_parameters()]
        ['layers.0.weight', 'layers.2.weight']
    """

    centre: Tensor

    def __init__(self, settings: DeepSVDDSettings, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.settings = settings
        self.shape = shape
        self.latent_size = settings.code_size
        sizes = [prod(shape), *settings.hidden_sizes, settings.code_size]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            start = best_for(settings.activation)
            layers += [
                Dense(before, after, bias="none", initialization=start),
                activation(settings.activation),
            ]
        self.layers = nn.Sequential(*layers[:-1])
        self.register_buffer("centre", torch.zeros(settings.code_size))

    @torch.no_grad()
    def start(self, rows: Rows) -> None:
        """Put the centre where rows lie in the mean before anything is learnt, away from 0.

        Args:
            rows: Training rows.
        """
        mean = self.embed(rows).mean(dim=0)
        away = torch.where(mean < 0, -LEAST_COORDINATE, LEAST_COORDINATE)
        self.centre.copy_(torch.where(mean.abs() < LEAST_COORDINATE, away, mean))

    def embed(self, rows: Rows) -> Float[Tensor, "row latent"]:
        """Where rows lie in the space of the centre."""
        codes: Tensor = self.layers(rows.flatten(1))
        return codes

    def draw(self, rows: Rows, *, generator: torch.Generator) -> Drawn:
        """The rows as they are.

        Args:
            rows: The rows.
            generator: Is not used.
        """
        return Drawn((rows,), rows)

    def forward(self, rows: Rows) -> OfRow:
        """The squared distances of rows from the centre."""
        return (self.embed(rows) - self.centre).square().sum(dim=1)

    def loss(self, outputs: OfRow, target: Tensor, weight: OfRow | None = None) -> Tensor:
        """The mean squared distance, or the sphere's and what lies outside of it.

        The squared radius is, of each batch, what the share of rows that may lie outside exceeds:
        the best for the distances there are.

        Args:
            outputs: Squared distances.
            target: Is not used.
            weight: Of each row.
        """
        if self.settings.boundary == "mean":
            return reduce(outputs, weight)
        share = self.settings.outside
        radius = torch.quantile(outputs.detach(), 1 - share)
        return radius + reduce((outputs - radius).clamp_min(0), weight) / share

    def measure(self, rows: Rows, *, generator: torch.Generator) -> dict[str, Tensor]:
        """``distance``, the squared distance from the centre.

        Args:
            rows: The rows.
            generator: Is not used.
        """
        return {"distance": self(rows)}

    def scores(self, rows: Rows) -> OfRow:
        """The squared distances of rows from the centre."""
        return self(rows)  # type: ignore[no-any-return]

    def parts(self, rows: Rows) -> Rows:
        """What each number adds to the distance, on the way from a row of zeros."""
        return parts_of_way(self.scores, rows)
