"""Normalising flows: rows are bent, step by step and without loss, until they are normal noise.

Source:
    Dinh, Sohl-Dickstein, Bengio (2017), "Density estimation using Real NVP", arXiv 1605.08803;
    Kingma, Dhariwal (2018), "Glow", arXiv 1807.03039; splines: Durkan, Bekasov, Murray,
    Papamakarios (2019), "Neural spline flows", arXiv 1906.04032.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.functional.losses import reduce
from glial.models.anomalies import parts_of_way
from glial.models.conditioning import ToldClasses
from glial.models.flow_layers import ActNorm, Coupling, Mixing
from glial.models.unlabelled import Drawn, UnlabelledSettings

BATCH_SIZE, STEPS, MOST_EPOCHS = 128, 3_000, 1_000
MANY_NUMBERS = 64
SQUEEZE = 0.05

Rows = Float[Tensor, "row *shape"]
OfRow = Float[Tensor, " row"]
Codes = Int[Tensor, " row"]


class FlowSettings(UnlabelledSettings):
    """A normalising flow of numbers or of one column of small images.

    Attributes:
        couplings: Steps, each a normalisation, a mixing of all numbers, and a coupling.
        coupling: ``spline`` bends numbers, ``affine`` scales and shifts them; "auto" is splines for
            at most 64 numbers.
        mixing: Whether numbers are mixed by a learnt matrix (``learnt``) or change places in a
            drawn order (``order``); "auto" learns for at most 64 numbers.
        hidden_sizes: Units of each coupling's network; None is 64 and 64 for at most 64 numbers,
            else 512.
        bins: Of each spline.
        least_noise: Noise put on numbers has at least this width, in standard deviations, so that
            no density grows without end on values that repeat.
        levels: Values that a pixel may have, evenly from -1 to 1.

    Example:
        >>> network = FlowSettings(couplings=2, hidden_sizes=[8]).build(3, 0)
        >>> network(torch.zeros(4, 3)).shape  # the logarithm of the density of each row
        torch.Size([4])
    """

    tasks: ClassVar[tuple[str, ...]] = ("generate", "anomaly")
    conditional: ClassVar[bool] = True
    description: ClassVar[str] = "normalising flow: exact densities, samples and codes of rows"
    source: ClassVar[str] = "Durkan, Bekasov, Murray, Papamakarios (2019), arXiv 1906.04032"

    name: Literal["flow"] = "flow"
    couplings: int = Field(default=6, ge=1)
    coupling: Literal["auto", "spline", "affine"] = "auto"
    mixing: Literal["auto", "learnt", "order"] = "auto"
    hidden_sizes: list[Annotated[int, Field(ge=1)]] | None = None
    bins: int = Field(default=8, ge=2, le=500)
    least_noise: float = Field(default=0.01, ge=0)
    levels: int = Field(default=256, ge=2)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cycle of the rate, about 3,000 steps whatever the rows; the best epoch.

        Example:
            >>> FlowSettings.train_defaults("generate", 42_000)["epochs"]
            10
        """
        return {
            "optimizer": "adamw",
            "lr": 0.003,
            "weight_decay": 0.01,
            "schedule": "one_cycle",
            "clip_norm": 1.0,
            "batch_size": BATCH_SIZE,
            "epochs": min(MOST_EPOCHS, math.ceil(STEPS * BATCH_SIZE / max(1, num_rows))),
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "generate",
        images: Sequence[Sequence[int]] = (),
    ) -> FlowSettings:
        """Couplings, mixing and widths by the numbers of a row.

        Example:
            >>> FlowSettings().for_data(1000, 5, 0).coupling
            'spline'
        """
        many = (math.prod(images[0]) if images else num_inputs) > MANY_NUMBERS
        changes = {
            "coupling": ("affine" if many else "spline")
            if self.coupling == "auto"
            else self.coupling,
            "mixing": ("order" if many else "learnt") if self.mixing == "auto" else self.mixing,
            "hidden_sizes": ([512] if many else [64, 64])
            if self.hidden_sizes is None
            else self.hidden_sizes,
        }
        return self.model_copy(update=changes)

    def build(
        self,
        num_inputs: int,
        num_outputs: int | None = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
        sequences: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; what is left open is chosen as `for_data` does."""
        shape = self.shape_of(
            num_inputs, num_outputs, cardinalities, images=images, sequences=sequences
        )
        return Flow(self.for_data(0, num_inputs, 0, images=images), shape, num_outputs or 0)


class Flow(nn.Module):
    """Layers that turn rows into standard normal numbers, and back.

    Parameters: ``layers.<i>.*``. Buffers: ``noise``, the width of what is put on each number so
    that values that repeat have a density; ``classes.shares``.

    Args:
        settings: The settings, everything chosen.
        shape: Of a row.
        num_classes: Classes that are told.

    Attributes:
        latent_size: Numbers of a code, as many as of a row.

    Example:
        >>> network = FlowSettings(couplings=2).build(2, 0)
        >>> rows = torch.tensor([[0.5, -1.0]])
        >>> torch.allclose(network.decode(network.embed(rows)), rows, atol=1e-5)
        True
    """

    noise: Tensor

    def __init__(self, settings: FlowSettings, shape: Sequence[int], num_classes: int = 0) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.num_classes = num_classes
        self.latent_size = size = math.prod(shape)
        self._least_noise = settings.least_noise
        hidden, kind, mixing = settings.hidden_sizes, settings.coupling, settings.mixing
        assert hidden is not None and kind != "auto"  # noqa: S101, PT018 - narrows the types
        self.classes = ToldClasses(num_classes)
        of_images = 2 / (settings.levels - 1)
        self.register_buffer("noise", torch.full((size,), of_images if len(shape) > 1 else 0.0))
        layers: list[nn.Module] = []
        for number in range(settings.couplings):
            layers += [
                ActNorm(size),
                Mixing(size, number, learns=mixing == "learnt"),
                Coupling(size, hidden, kind, num_classes, settings.bins),
            ]
        self.layers = nn.ModuleList([*layers, ActNorm(size)])

    @torch.no_grad()
    def start(self, *rows: Tensor) -> None:
        """Learn how far values of numbers lie apart, how common classes are, and first scales.

        Args:
            rows: The rows.
        """
        if self.num_classes:
            self.classes.start(rows[1])
        if len(self.shape) == 1:
            gaps = torch.stack([_least_gap(column) for column in rows[0].T])
            self.noise.copy_(gaps.clamp_min(self._least_noise))
        numbers, _ = self._unbounded(rows[0])
        told = self._told(rows[1] if self.num_classes else None)
        for layer in self._steps():
            if isinstance(layer, ActNorm):
                layer.start(numbers)
            numbers, _ = layer(numbers, told)

    def draw(self, *rows: Tensor, generator: torch.Generator) -> Drawn:
        """Rows with even noise between the values that their numbers may have.

        Args:
            rows: The rows, and codes of their classes where the network is told them.
            generator: Draws.

        Source:
            Theis, van den Oord, Bethge (2016), "A note on the evaluation of generative models",
            arXiv 1511.01844, section 3.1.
        """
        shares = torch.rand(rows[0].shape, generator=generator, dtype=rows[0].dtype).sub_(0.5)
        noisy = shares.to(rows[0].device).mul_(self.noise.reshape(self.shape)).add_(rows[0])
        return Drawn((noisy, *rows[1:]), noisy)

    def forward(self, rows: Rows, codes: Codes | None = None) -> OfRow:
        """The logarithm of the density of each row, in nats.

        Args:
            rows: The rows.
            codes: Of their classes, where the network is told them.
        """
        normal, log_determinant = self.normalized(rows, codes)
        score = normal.square().sum(dim=1) + self.latent_size * math.log(2 * math.pi)
        return log_determinant - score / 2

    def normalized(
        self, rows: Rows, codes: Codes | None = None
    ) -> tuple[Float[Tensor, "row latent"], OfRow]:
        """The numbers that rows become, and the logarithm of the determinant of the Jacobian."""
        numbers, log_determinant = self._unbounded(rows)
        told = self._told(codes)
        for layer in self._steps():
            numbers, more = layer(numbers, told)
            log_determinant = log_determinant + more
        return numbers, log_determinant

    def loss(self, outputs: OfRow, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Minus the mean log density, per number of a row."""
        return reduce(-outputs / self.latent_size, weight)

    @torch.no_grad()
    def measure(self, *rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The log likelihood of each row, in nats.

        Of numbers it is their density's, in the units in which they are given; of images it is a
        lower bound of their probability's, exact but for the noise, and ``bits_per_dim`` with it.

        Args:
            rows: The rows.
            generator: Draws the noise.
        """
        likelihood = self(*self.draw(*rows, generator=generator).inputs)
        if len(self.shape) == 1:
            return {"log_likelihood": likelihood}
        likelihood = likelihood + self.noise.log().sum()
        bits = -likelihood / (self.latent_size * math.log(2))
        return {"log_likelihood": likelihood, "bits_per_dim": bits}

    def scores(self, *rows: Tensor) -> OfRow:
        """Minus the logarithm of the density of each row, in nats."""
        return -self(*rows)  # type: ignore[no-any-return]

    def parts(self, *rows: Tensor) -> Rows:
        """What each number adds to the score, on the way from a row of zeros."""
        return parts_of_way(self.scores, *rows)

    def embed(self, *rows: Tensor) -> Float[Tensor, "row latent"]:
        """The normal numbers that rows become."""
        return self.normalized(*rows)[0]

    def decode(self, codes: Float[Tensor, "row latent"], classes: Codes | None = None) -> Rows:
        """The rows that normal numbers stand for.

        Args:
            codes: As many numbers as a row has.
            classes: Codes of the rows' classes, where the network is told them.
        """
        told = self._told(classes)
        for layer in reversed(list(self._steps())):
            codes = layer.inverse(codes, told)
        rows = codes.reshape(-1, *self.shape)
        if len(self.shape) == 1:
            return rows
        low, span = self._range()
        return low + span * (rows.sigmoid() - SQUEEZE) / (1 - 2 * SQUEEZE)

    @torch.no_grad()
    def sample(
        self,
        num_samples: int,
        *,
        generator: torch.Generator,
        classes: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """New rows.

        Args:
            num_samples: How many.
            generator: Draws.
            classes: Codes of the classes to make, [row]; None draws them by how common they were.
            temperature: Factor on the normal numbers; less than 1 makes likelier, less varied rows.

        Raises:
            InputError: If a number is out of its range, or a class is not known.
        """
        if num_samples < 1 or not 0 < temperature < math.inf:
            raise InputError(
                "rows cannot be made so",
                expected="num_samples of at least 1, and a temperature above 0",
                got=f"num_samples {num_samples}, temperature {temperature}",
                do="choose others",
            )
        told = self.classes.codes(num_samples, classes, generator)
        normal = torch.randn(num_samples, self.latent_size, generator=generator) * temperature
        rows = self.decode(
            normal.to(self.noise), None if told is None else told.to(self.noise.device)
        )
        return rows if len(self.shape) == 1 else rows.clamp(-1, 1)

    def _steps(self) -> Iterator[Any]:
        yield from self.layers

    def _told(self, codes: Tensor | None) -> Tensor | None:
        if codes is None:
            return None
        return functional.one_hot(codes, self.num_classes).to(self.noise)

    def _range(self) -> tuple[Tensor, Tensor]:
        """Where pixels begin, noise and all, and how far they reach."""
        return -1 - self.noise[0] / 2, 2 + self.noise[0]

    def _unbounded(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows as numbers without bounds, and how that stretches space."""
        if len(self.shape) == 1:
            return rows, rows.new_zeros(len(rows))
        low, span = self._range()
        shares = SQUEEZE + (1 - 2 * SQUEEZE) * ((rows.flatten(1) - low) / span).clamp(0, 1)
        stretched = ((1 - 2 * SQUEEZE) / span).log() - shares.log() - torch.log1p(-shares)
        return shares.logit(), stretched.sum(dim=1)


def _least_gap(values: Tensor) -> Tensor:
    """Between two different values; 1 where all are the same."""
    gaps = values.sort().values.diff()
    return gaps.where(gaps > 0, math.inf).amin().nan_to_num(posinf=1.0)
