"""The variational autoencoder: rows as short codes with a spread, which can be drawn anew.

Variants by settings: a weight on the divergence (beta) that rises in training, free bits, classes
told to both halves, importance weighting, and likelihoods of numbers and pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.functional.gaussians import (
    gaussian_kl,
    gaussian_log_density,
    importance_weighted_bound,
)
from glial.functional.losses import reduce
from glial.models.anomalies import parts_of_way
from glial.models.conditioning import ToldClasses
from glial.models.likelihoods import LikelihoodName, Logistic, make_likelihood
from glial.models.settings import ScalingName
from glial.models.unlabelled import Drawn, UnlabelledSettings
from glial.models.vae_layers import BodyName, make_halves

LOG_VARIANCES = (-15.0, 8.0)


class VAESettings(UnlabelledSettings):
    """A variational autoencoder of numbers or of images.

    Attributes:
        latent_size: Numbers of a code; None chooses by the data.
        likelihood: Of rows around what is decoded: ``gaussian`` for numbers; for pixels also
            ``bernoulli``, of images drawn as black and white by their greys, and ``logistic``, of
            256 levels. ``auto`` is ``bernoulli`` for images of one channel, ``logistic`` for
            those of several, else ``gaussian``.
        variance: Of a Gaussian likelihood, in scaled units; None learns it.
        body: Dense layers, or convolutions for images; ``auto`` takes these from 12 pixels a side
            on.
        hidden_sizes: Units of the encoder's hidden layers, and in reverse of the decoder's; None
            chooses by the data. A convolutional body has one dense layer, of the last of these.
        widths: Channels of each stage of convolutions, each of which halves height and width; None
            chooses by the size of the images.
        activation: Between layers.
        beta: Weight of the divergence from the prior; 1 makes the loss a bound on the likelihood.
        warmup: Share of training in which that weight rises from 0: the defence against codes that
            are never used.
        free_bits: Divergence, in nats, that each number of a code has free of charge.
        importance_samples: Codes drawn for each row in training; more than one trains the
            importance-weighted bound.
        evaluation_samples: Codes drawn for each row where the bound is measured.

    Source:
        Kingma, Welling (2014), "Auto-encoding variational Bayes", arXiv 1312.6114; beta: Higgins et
        al. (2017), "beta-VAE"; rising weight: Bowman et al. (2016), arXiv 1511.06349; free bits:
        Kingma et al. (2016), arXiv 1606.04934, equation 15; importance weighting: Burda, Grosse,
        Salakhutdinov (2016), arXiv 1509.00519; classes: Sohn, Lee, Yan (2015), "Learning
        structured output representation using deep conditional generative models".

    Example:
        >>> network = VAESettings(latent_size=2, hidden_sizes=[8]).build(5, 0)
        >>> network.sample(3, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([3, 5])
    """

    tasks: ClassVar[tuple[str, ...]] = ("generate", "reduce", "anomaly")
    scaling: ClassVar[ScalingName] = "standard"
    conditional: ClassVar[bool] = True
    description: ClassVar[str] = "variational autoencoder: codes with a spread, drawn anew"
    source: ClassVar[str] = "Kingma, Welling (2014), arXiv 1312.6114"

    name: Literal["vae"] = "vae"
    latent_size: int | None = Field(default=None, ge=1)
    likelihood: LikelihoodName | Literal["auto"] = "auto"
    variance: float | None = Field(default=None, gt=0)
    body: BodyName = "auto"
    hidden_sizes: list[Annotated[int, Field(ge=1)]] | None = None
    widths: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None
    activation: str = "silu"
    beta: float = Field(default=1.0, ge=0)
    warmup: float = Field(default=0.1, ge=0, le=1)
    free_bits: float = Field(default=0.0, ge=0)
    importance_samples: int = Field(default=1, ge=1)
    evaluation_samples: int = Field(default=64, ge=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall; more epochs where there are fewer rows.

        Example:
            >>> VAESettings.train_defaults("generate", 60_000)["epochs"]
            20
        """
        return {
            "optimizer": "adamw",
            "lr": 0.002,
            "schedule": "cosine",
            "batch_size": 128 if num_rows >= 5_000 else 64,
            "epochs": max(20, min(300, 600_000 // max(1, num_rows))),
            "clip_norm": 1000.0,
        }

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "generate",
        images: Sequence[Sequence[int]] = (),
    ) -> VAESettings:
        """Codes of half as many numbers as a row has, 16 at most, of images 16 or 32.

        Example:
            >>> VAESettings().for_data(1000, 6, 0).latent_size
            3
            >>> VAESettings().for_data(60_000, 0, 0, images=[[1, 28, 28]]).latent_size
            32
        """
        numbers = math.prod(images[0]) if images else num_inputs
        latent_size = self.latent_size
        if latent_size is None and images:
            latent_size = 32 if numbers >= 400 else 16
        elif latent_size is None:
            latent_size = max(1, min(16, math.ceil(numbers / 2)))
        hidden_sizes = self.hidden_sizes
        if hidden_sizes is None:
            width = 2 ** round(math.log2(2 * math.sqrt(max(1, num_rows))))
            hidden_sizes = [min(512, max(64, width))] * 2
        return self.model_copy(update={"latent_size": latent_size, "hidden_sizes": hidden_sizes})

    def build(
        self,
        num_inputs: int,
        num_outputs: int = 0,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> VAE:
        """The network; without `for_data` it has codes and layers for few rows.

        Raises:
            InputError: If settings do not go together, or with the data.
        """
        shape = self.shape_of(num_inputs, num_outputs, cardinalities, images=images)
        if self.free_bits and self.importance_samples > 1:
            raise InputError(
                "free bits do not go with importance weighting",
                expected="model.free_bits: 0, or model.importance_samples: 1",
                got=f"{self.free_bits} nats and {self.importance_samples} samples",
                do="leave one of the two out",
            )
        return VAE(self.for_data(1000, num_inputs, num_outputs, images=images), shape, num_outputs)


class VAEOutputs(NamedTuple):
    """What a variational autoencoder makes of rows.

    Attributes:
        mean: Of each row's posterior, [row, latent].
        log_variance: Of it, [row, latent].
        codes: Drawn from it, [row, sample, latent].
        decoded: What the likelihood is told of each code, [row, sample, ...].
        spread: What the likelihood has learnt itself.
        beta: Weight that the divergence has by now, [].
        free_bits: Nats that each number of a code has free by now, [].

    Example:
        >>> VAEOutputs(*[torch.zeros(2, 1)] * 7)._fields[:4]
        ('mean', 'log_variance', 'codes', 'decoded')
    """

    mean: Tensor
    log_variance: Tensor
    codes: Tensor
    decoded: Tensor
    spread: Tensor
    beta: Tensor
    free_bits: Tensor


class VAE(nn.Module):
    """An encoder to the mean and the variance of a code, a decoder, and a likelihood.

    Rows are numbers [row, number] or images [row, channel, height, width] of -1 to 1; codes of
    classes [row] stand behind them where there are classes.

    Args:
        settings: The settings, every size chosen.
        shape: Of a row.
        num_classes: Classes that are told with rows; 0 of none.

    Example:
        >>> network = VAESettings(latent_size=2, hidden_sizes=[8]).build(5, 0)
        >>> rows, generator = torch.zeros(4, 5), torch.Generator().manual_seed(0)
        >>> drawn = network.draw(rows, generator=generator)
        >>> network.loss(network(*drawn.inputs), drawn.target).shape
        torch.Size([])
        >>> sorted(network.measure(rows, generator=generator))
        ['elbo', 'iwae_bound', 'kl', 'reconstruction_error']
    """

    def __init__(self, settings: VAESettings, shape: Sequence[int], num_classes: int = 0) -> None:
        super().__init__()
        self.shape, self.num_classes = tuple(shape), num_classes
        self.latent_size = settings.latent_size or 1
        self.settings = settings
        name = settings.likelihood
        if name == "auto":
            name = "gaussian" if len(shape) == 1 else "bernoulli" if shape[0] == 1 else "logistic"
        self.likelihood = make_likelihood(name, shape, settings.variance)
        self.encoder, self.decoder = make_halves(
            self.shape,
            self.latent_size,
            num_classes,
            body=settings.body,
            hidden_sizes=settings.hidden_sizes or [],
            widths=settings.widths,
            activation_name=settings.activation,
        )
        self.offset = nn.Parameter(torch.zeros(self.shape))
        self.told = ToldClasses(num_classes)
        self._progress = 1.0

    def start(self, *rows: Tensor) -> None:
        """Begin with what is best said of all rows, and note how common classes are."""
        with torch.no_grad():
            self.offset.copy_(self.likelihood.start_of(rows[0]))
        if self.num_classes:
            self.told.start(rows[1])

    def set_progress(self, fraction: float) -> None:
        """How much of training is done, from 0 to 1: the divergence weighs more and more."""
        self._progress = fraction

    @property
    def beta(self) -> float:
        """The weight of the divergence: now in training, and in the end in evaluation."""
        if not self.training or self._progress >= self.settings.warmup:
            return self.settings.beta
        return self.settings.beta * self._progress / self.settings.warmup

    def draw(self, *rows: Tensor, generator: torch.Generator) -> Drawn:
        """Rows as the likelihood takes them, the noise of their codes, and classes."""
        return self._drawn(rows, self.settings.importance_samples, generator)

    def _drawn(self, rows: Sequence[Tensor], num_samples: int, generator: torch.Generator) -> Drawn:
        seen = self.likelihood.drawn(rows[0], generator)
        noise = torch.randn(len(seen), num_samples, self.latent_size, generator=generator)
        return Drawn((seen, noise.to(seen), *rows[1:]), seen)

    def forward(self, seen: Tensor, noise: Tensor, classes: Tensor | None = None) -> VAEOutputs:
        """Posteriors, codes drawn by the noise, and what is decoded of them.

        Args:
            seen: Drawn rows.
            noise: Standard normal, [row, sample, latent].
            classes: Codes of classes, [row].
        """
        mean, log_variance = self._posterior(seen, classes)
        codes = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
        decoded, spread = self._decoded(codes, classes), self.likelihood.spread()
        beta = mean.new_tensor(self.beta)
        free = mean.new_tensor(self.settings.free_bits if self.training else 0.0)
        return VAEOutputs(mean, log_variance, codes, decoded, spread, beta, free)

    def _posterior(self, seen: Tensor, classes: Tensor | None) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(seen, self._told(classes)).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCES)

    def _decoded(self, codes: Tensor, classes: Tensor | None) -> Tensor:
        """Of [row, sample, latent]."""
        told = self._told(classes)
        if told is not None:
            told = told.repeat_interleave(codes.shape[1], dim=0)
        decoded: Tensor = self.decoder(codes.flatten(0, 1), told)
        return decoded.view(*codes.shape[:2], *self.shape) + self.offset

    def _told(self, classes: Tensor | None) -> Tensor | None:
        if not self.num_classes:
            return None
        if classes is None:
            raise InputError(
                "the network is told the classes of rows",
                expected=f"codes from 0 to {self.num_classes - 1}, one for each row",
                got="no classes",
                do="give them behind the rows, or as classes=",
            )
        return functional.one_hot(classes, self.num_classes).to(self.offset.dtype)

    def loss(self, outputs: VAEOutputs, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The negative bound, in nats a row, with the weight that the divergence has by now."""
        told = self.likelihood.log_likelihood(outputs.decoded, target, outputs.spread)
        if told.shape[1] > 1:
            bound = importance_weighted_bound(told + outputs.beta * _log_ratio(outputs))
            return reduce(-bound, weight)
        units = gaussian_kl(outputs.mean, outputs.log_variance)
        means = torch.stack([reduce(unit, weight) for unit in units.unbind(dim=1)])
        divergence = torch.maximum(means, outputs.free_bits).sum()
        return reduce(-told[:, 0], weight) + outputs.beta * divergence

    def measure(self, *rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Bounds in nats, the divergence that is part of them, and the error of rows given back.

        ``elbo`` and ``iwae_bound`` are of ``evaluation_samples`` codes, the mean and the logarithm
        of the mean weight; levels of brightness also have ``bits_per_dim``.
        """
        seen, *classes = self._drawn(rows, 1, generator).inputs[::2]
        told, ratios = [], []
        for _ in range(self.settings.evaluation_samples):
            noise = torch.randn(len(seen), 1, self.latent_size, generator=generator).to(seen)
            outputs = self(seen, noise, *classes)
            told.append(self.likelihood.log_likelihood(outputs.decoded, seen, outputs.spread))
            ratios.append(_log_ratio(outputs))
        likelihoods, kl = torch.cat(told, 1), gaussian_kl(*outputs[:2]).sum(dim=1)
        bound = importance_weighted_bound(likelihoods + torch.cat(ratios, 1))
        errors = (self.reconstruct(*rows) - rows[0]).square().flatten(1).mean(dim=1)
        found = {
            "elbo": likelihoods.mean(dim=1) - kl,
            "iwae_bound": bound,
            "kl": kl,
            "reconstruction_error": errors,
        }
        if isinstance(self.likelihood, Logistic):
            found["bits_per_dim"] = -bound / (math.prod(self.shape) * math.log(2))
        return found

    def scores(self, *rows: Tensor) -> Tensor:
        """Minus the bound with the mean of each posterior for its code: nats, [row]."""
        seen = self.likelihood.seen(rows[0])
        outputs = self(seen, seen.new_zeros(len(seen), 1, self.latent_size), *rows[1:])
        told = self.likelihood.log_likelihood(outputs.decoded, seen, outputs.spread)
        return gaussian_kl(outputs.mean, outputs.log_variance).sum(dim=1) - told[:, 0]

    def parts(self, *rows: Tensor) -> Tensor:
        """What each number adds to the score, on the way from a row of zeros."""
        return parts_of_way(self.scores, *rows)

    def encode(self, *rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of each row's posterior, [row, latent]."""
        return self._posterior(self.likelihood.seen(rows[0]), *(rows[1:] or [None]))

    def embed(self, *rows: Tensor) -> Tensor:
        """The posteriors' means, [row, latent]."""
        return self.encode(*rows)[0]

    def decode(self, codes: Tensor, classes: Tensor | None = None) -> Tensor:
        """The rows to expect of codes [row, latent]."""
        return self.likelihood.mean(self._decoded(codes[:, None], classes)[:, 0])

    def reconstruct(self, *rows: Tensor) -> Tensor:
        """The rows to expect of their own codes."""
        return self.decode(self.embed(*rows), *rows[1:])

    def sample(
        self,
        num_samples: int,
        *,
        generator: torch.Generator,
        classes: Tensor | None = None,
        noise: bool | None = None,
    ) -> Tensor:
        """New rows of codes drawn from the prior.

        Args:
            num_samples: How many.
            generator: Draws.
            classes: Codes of the classes to make; None draws them by how common they were.
            noise: Whether rows are drawn around what is expected of their codes; None draws
                numbers, and gives pixels as expected.
        """
        codes = torch.randn(num_samples, self.latent_size, generator=generator).to(self.offset)
        asked = self.told.codes(num_samples, classes, generator)
        asked = None if asked is None else asked.to(codes.device)
        decoded = self._decoded(codes[:, None], asked)[:, 0]
        draws = len(self.shape) == 1 if noise is None else noise
        if draws:
            return self.likelihood.sample(decoded, generator)
        return self.likelihood.mean(decoded)


def _log_ratio(outputs: VAEOutputs) -> Tensor:
    """How much likelier codes are under the prior than under the posterior, [row, sample]."""
    codes, zero = outputs.codes, torch.zeros_like(outputs.mean[:, None])
    own = gaussian_log_density(codes, outputs.mean[:, None], outputs.log_variance[:, None])
    return (gaussian_log_density(codes, zero, zero) - own).sum(dim=2)
