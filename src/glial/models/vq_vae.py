"""The vector-quantised autoencoder: rows as a few codes out of a book, and a prior over these."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.functional.losses import reduce
from glial.models.conditioning import ToldClasses
from glial.models.settings import ScalingName
from glial.models.unlabelled import Drawn, UnlabelledSettings
from glial.models.vae_layers import DenseBody, stage_sizes
from glial.models.vq_layers import Codebook, CodebookName, CodePrior, perplexity
from glial.nn.activations import activation
from glial.nn.blocks import Residual

LEAST_SIDE, MOST_STAGES = 4, 3


class VQVAESettings(UnlabelledSettings):
    """A vector-quantised autoencoder of numbers or of images.

    Attributes:
        num_codes: Vectors in the book.
        code_size: Numbers of each.
        num_places: Codes of a row of numbers; images have one for each place of the last maps.
        widths: Channels of each stage of convolutions, each of which halves height and width; None
            halves twice, where at least 4 pixels a side are left.
        hidden_sizes: Units of the encoder's hidden layers for numbers, and in reverse of the
            decoder's.
        activation: Between layers.
        codebook: Whether the book's vectors are moving ``averages`` of what they stand for, or
            learnt by a ``loss``.
        commitment: Weight of the distance from what is encoded to the book.
        prior_size: Units of the prior.

    Source:
        van den Oord, Vinyals, Kavukcuoglu (2017), "Neural discrete representation learning",
        arXiv 1711.00937, equation 3.

    Example:
        >>> network = VQVAESettings(num_codes=8, code_size=2, num_places=3).build(5, 0)
        >>> network.sample(2, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([2, 5])
    """

    scaling: ClassVar[ScalingName] = "standard"
    conditional: ClassVar[bool] = True
    description: ClassVar[str] = "vector-quantised autoencoder: rows as codes out of a book"
    source: ClassVar[str] = "van den Oord, Vinyals, Kavukcuoglu (2017), arXiv 1711.00937"

    name: Literal["vq_vae"] = "vq_vae"
    num_codes: int = Field(default=128, ge=2)
    code_size: int = Field(default=16, ge=1)
    num_places: int = Field(default=8, ge=1)
    widths: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None
    hidden_sizes: list[Annotated[int, Field(ge=1)]] = Field(default=[128])
    activation: str = "relu"
    codebook: CodebookName = "averages"
    commitment: float = Field(default=0.25, ge=0)
    prior_size: int = Field(default=128, ge=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall; more epochs where there are fewer rows.

        Example:
            >>> VQVAESettings.train_defaults("generate", 60_000)["epochs"]
            10
        """
        return {
            "optimizer": "adamw",
            "lr": 0.002,
            "schedule": "cosine",
            "batch_size": 64,
            "epochs": max(10, min(200, 300_000 // max(1, num_rows))),
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "generate",
        images: Sequence[Sequence[int]] = (),
    ) -> VQVAESettings:
        """Stages of convolutions by the size of the images.

        Example:
            >>> VQVAESettings().for_data(60_000, 0, 0, images=[[1, 28, 28]]).widths
            [32, 64]
        """
        if self.widths is not None or not images:
            return self.model_copy()
        side = min(images[0][1:])
        stages = int(math.log2(max(2, side / LEAST_SIDE)))
        widths = [32 << stage for stage in range(min(2 if side < 64 else MOST_STAGES, stages))]
        return self.model_copy(update={"widths": widths})

    def build(
        self,
        num_inputs: int,
        num_outputs: int = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> VQVAE:
        """The network."""
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        return VQVAE(
            self.for_data(1000, num_inputs, num_outputs, images=images), shape, num_outputs
        )


class VQOutputs(NamedTuple):
    """What a vector-quantised autoencoder makes of rows.

    Attributes:
        decoded: The rows given back, [row, ...].
        encoded: Vectors before they are looked up, [row, place, number].
        quantized: The book's vectors in their stead, [row, place, number].
        codes: Their numbers in the book, [row, place].
        logits: What the prior says of each code, [row, place, code].
        variance: Of all training rows' numbers, which errors are measured in, [].

    Example:
        >>> VQOutputs(*[torch.zeros(1)] * 6)._fields[:3]
        ('decoded', 'encoded', 'quantized')
    """

    decoded: Tensor
    encoded: Tensor
    quantized: Tensor
    codes: Tensor
    logits: Tensor
    variance: Tensor


class VQVAE(nn.Module):
    """An encoder, a book of vectors, a decoder, and a prior over the codes that is learnt beside.

    The prior sees codes alone, so it changes neither what they are nor how rows are given back. It
    alone is told the classes of rows.

    Args:
        settings: The settings, every size chosen.
        shape: Of a row.
        num_classes: Classes that are told with rows; 0 of none.

    Example:
        >>> network = VQVAESettings(num_codes=8).build(0, 0, images=[[1, 8, 8]])
        >>> rows, generator = torch.zeros(4, 1, 8, 8), torch.Generator().manual_seed(0)
        >>> drawn = network.draw(rows, generator=generator)
        >>> network.loss(network(*drawn.inputs), drawn.target).shape
        torch.Size([])
        >>> sorted(network.measure(rows, generator=generator))
        ['code_nats', 'perplexity', 'reconstruction_error']
    """

    variance: Tensor

    def __init__(self, settings: VQVAESettings, shape: Sequence[int], num_classes: int = 0) -> None:
        super().__init__()
        self.shape, self.settings = tuple(shape), settings
        self.grid, self.encoder, self.decoder = _halves(settings, self.shape)
        places = self.grid[0] * self.grid[1]
        self.latent_size = places * settings.code_size
        self.codebook = Codebook(settings.num_codes, settings.code_size, settings.codebook)
        self.prior = CodePrior(settings.num_codes, self.grid, settings.prior_size, num_classes)
        self.told = ToldClasses(num_classes)
        self.register_buffer("variance", torch.ones(()))

    def start(self, *rows: Tensor) -> None:
        """Measure the rows' variance, begin the book with encoded rows, and count classes."""
        with torch.no_grad():
            self.variance.copy_(rows[0].var().clamp_min(1e-4))
            some = self._encoded(rows[0][: self.settings.num_codes]).flatten(0, 1)
            first = some[torch.linspace(0, len(some) - 1, self.settings.num_codes).long()]
            self.codebook.vectors.data = first.clone()
            self.codebook.sums.copy_(first)
        if self.told.count:
            self.told.start(rows[1])

    def draw(self, *rows: Tensor, generator: torch.Generator) -> Drawn:
        """Rows as they are: nothing is drawn."""
        return Drawn(rows, rows[0])

    def forward(self, rows: Tensor, classes: Tensor | None = None) -> VQOutputs:
        """Codes, what is decoded of them, and what the prior says of them."""
        encoded = self._encoded(rows)
        quantized, codes = self.codebook(encoded)
        straight = encoded + (quantized - encoded).detach()
        logits = self.prior(codes, classes)
        decoded = self._decoded(straight)
        return VQOutputs(decoded, encoded, quantized, codes, logits, self.variance)

    def _encoded(self, rows: Tensor) -> Tensor:
        given: Tensor = self.encoder(rows)
        if given.ndim == 2:
            return given.view(len(given), -1, self.settings.code_size)
        return given.flatten(2).transpose(1, 2)

    def _decoded(self, vectors: Tensor) -> Tensor:
        """Of [row, place, number]."""
        if len(self.shape) == 1:
            flat: Tensor = self.decoder(vectors)
            return flat
        places = vectors.transpose(1, 2).reshape(len(vectors), -1, *self.grid)
        maps: Tensor = self.decoder(places)
        return maps

    def loss(self, outputs: VQOutputs, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Error of the rows given back, distances to the book, and nats of a code."""
        errors = (outputs.decoded - target).square().flatten(1).mean(dim=1) / outputs.variance
        away = (outputs.encoded - outputs.quantized.detach()).square().flatten(1).mean(dim=1)
        found = errors + self.settings.commitment * away
        if outputs.quantized.requires_grad:
            near = (outputs.quantized - outputs.encoded.detach()).square()
            found = found + near.flatten(1).mean(dim=1)
        return reduce(found + _nats(outputs) / outputs.codes.shape[1], weight)

    def measure(self, *rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The error of rows given back, nats of their codes, and how many codes all rows use.

        ``perplexity`` is that of all the given rows together, the same for each.
        """
        outputs = self(*rows)
        errors = (outputs.decoded - rows[0]).square().flatten(1).mean(dim=1)
        used = perplexity(outputs.codes, self.settings.num_codes)
        return {
            "reconstruction_error": errors,
            "code_nats": _nats(outputs),
            "perplexity": used.expand(len(errors)),
        }

    def encode(self, *rows: Tensor) -> Tensor:
        """The codes of rows, [row, place]."""
        codes: Tensor = self.codebook(self._encoded(rows[0])).codes
        return codes

    def embed(self, *rows: Tensor) -> Tensor:
        """The book's vectors of each row, [row, latent]."""
        vectors: Tensor = self.codebook(self._encoded(rows[0])).vectors.flatten(1)
        return vectors

    def decode(self, codes: Tensor, classes: Tensor | None = None) -> Tensor:
        """The rows of vectors [row, latent], which may lie between those of the book."""
        return self._decoded(codes.view(len(codes), -1, self.settings.code_size))

    def reconstruct(self, *rows: Tensor) -> Tensor:
        """The rows that their codes give back."""
        return self.decode(self.embed(*rows))

    def sample(
        self,
        num_samples: int,
        *,
        generator: torch.Generator,
        classes: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """New rows of codes that the prior draws.

        Args:
            num_samples: How many.
            generator: Draws.
            classes: Codes of the classes to make; None draws them by how common they were.
            temperature: Below 1 for likelier codes.
        """
        asked = self.told.codes(num_samples, classes, generator)
        asked = None if asked is None else asked.to(self.variance.device)
        codes = self.prior.sample(
            num_samples, generator=generator, classes=asked, temperature=temperature
        )
        return self._decoded(self.codebook.vectors[codes])


def _nats(outputs: VQOutputs) -> Tensor:
    """Of each row's codes under the prior."""
    logits = outputs.logits.transpose(1, 2)
    return functional.cross_entropy(logits, outputs.codes, reduction="none").sum(dim=1)


def _halves(
    settings: VQVAESettings, shape: Sequence[int]
) -> tuple[tuple[int, int], nn.Module, nn.Module]:
    """The grid of codes, the encoder and the decoder."""
    size, name = settings.code_size, settings.activation
    if len(shape) == 1:
        latent, hidden = settings.num_places * size, settings.hidden_sizes
        return (
            (1, settings.num_places),
            DenseBody(shape[0], hidden, latent, 0, name),
            DenseBody(latent, hidden[::-1], shape[0], 0, name),
        )
    widths = settings.widths or []
    sizes = stage_sizes(shape, len(widths))
    encoder, decoder = nn.Sequential(), nn.Sequential()
    for before, after in zip([shape[0], *widths], widths, strict=False):
        encoder.extend([nn.Conv2d(before, after, 4, 2, 1), activation(name)])
    encoder.extend([_block(widths[-1], name), nn.Conv2d(widths[-1], size, 1)])
    decoder.extend([nn.Conv2d(size, widths[-1], 3, 1, 1), _block(widths[-1], name)])
    channels = [*widths[::-1], shape[0]]
    for number, after in enumerate(channels[1:]):
        (high, wide), (higher, wider) = sizes[-1 - number], sizes[-2 - number]
        odd = (higher - 2 * high, wider - 2 * wide)
        decoder.append(activation(name))
        decoder.append(nn.ConvTranspose2d(channels[number], after, 4, 2, 1, odd))
    return sizes[-1], encoder, decoder


def _block(width: int, name: str) -> nn.Module:
    return Residual(
        nn.Sequential(
            activation(name),
            nn.Conv2d(width, width, 3, 1, 1),
            activation(name),
            nn.Conv2d(width, width, 1),
        )
    )
