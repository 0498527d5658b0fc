"""What generative adversarial networks have in common, whatever their rows are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from glial.functional.adversarial_losses import (
    AdversarialLoss,
    between,
    discriminator_loss,
    generator_loss,
    slope_penalty,
    squared_slope,
)
from glial.models.code_search import nearest_codes
from glial.models.conditioning import ToldClasses
from glial.models.unlabelled import Drawn, UnlabelledSettings

MOST_LATENT = 64
CANDIDATES = 256  # codes that the search for a row's own begins from
DOUBT_WEIGHT = 0.1  # of the discriminator's judgement beside the error of a row made again
Penalty = Literal["none", "r1", "r1_r2", "slope_1"]


class AdversarialSettings(UnlabelledSettings):
    """A generator and a discriminator.

    Attributes:
        adversarial_loss: What the two want: see `glial.functional.discriminator_loss`.
        penalty: On the discriminator's slope: ``r1`` at real rows, ``r1_r2`` at real and made
            ones, ``slope_1`` for its distance from 1 between them (Wasserstein's), or none.
        penalty_weight: Its factor; R1 and R2 are halved besides.
        penalty_every: Updates of the discriminator for one with the penalty.
        spectral_norm: Whether each of the discriminator's layers is held at a slope of 1.
        latent_size: Numbers of the noise that a row is made of; None is as many as the row has, up
            to 64. More than a row has fold many ways into one, which is slow to learn.
        discriminator_steps: Updates of the discriminator for one of the generator.
        discriminator_lr_factor: Its learning rate in units of the generator's.

    Example:
        >>> AdversarialSettings().penalty
        'r1_r2'
    """

    objective: ClassVar[str] = "two_players"
    conditional: ClassVar[bool] = True
    tasks: ClassVar[tuple[str, ...]] = ("generate",)

    adversarial_loss: AdversarialLoss = "relativistic"
    penalty: Penalty = "r1_r2"
    penalty_weight: float = Field(default=0.1, ge=0)
    penalty_every: int = Field(default=1, ge=1)
    spectral_norm: bool = False
    latent_size: Annotated[int, Field(ge=1)] | None = None
    discriminator_steps: int = Field(default=1, ge=1)
    discriminator_lr_factor: float = Field(default=1.0, gt=0)

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "generate",
        images: Sequence[Sequence[int]] = (),
    ) -> AdversarialSettings:
        """The settings as they are: no size depends on how many rows there are."""
        return self.model_copy()

    def latent_size_of(self, shape: Sequence[int]) -> int:
        """Numbers of the noise that a row of a shape is made of.

        Example:
            >>> AdversarialSettings().latent_size_of([2])
            2
        """
        return self.latent_size or min(MOST_LATENT, math.prod(shape))


class Judged(NamedTuple):
    """Judgements of real rows and of as many made ones, [row] each; the larger, the more real.

    Example:
        >>> Judged(torch.zeros(2), torch.ones(2)).made.shape
        torch.Size([2])
    """

    real: Tensor
    made: Tensor


class Generator(nn.Module):
    """Makes rows of noise, and of classes where it is told them.

    Args:
        body: From noise, with the class's place set to 1 behind it, to rows.
        num_classes: Classes; 0 is of none.

    Example:
        >>> Generator(nn.Linear(5, 2), 3)(torch.zeros(4, 2), torch.tensor([0, 1, 2, 2])).shape
        torch.Size([4, 2])
    """

    def __init__(self, body: nn.Module, num_classes: int = 0) -> None:
        super().__init__()
        self.body = body
        self._num_classes = num_classes

    def forward(
        self, noise: Float[Tensor, "row latent"], classes: Int[Tensor, " row"] | None = None
    ) -> Float[Tensor, "row ..."]:
        """The rows."""
        if classes is not None:
            told = nn.functional.one_hot(classes, self._num_classes).to(noise)
            noise = torch.cat([noise, told], dim=1)
        rows: Tensor = self.body(noise)
        return rows


class Discriminator(nn.Module):
    """Judges rows, and whether they are of their classes where it is told them.

    Args:
        body: From rows to features, [row, feature].
        num_features: How many.
        num_classes: Classes; 0 is of none.
        spectral_norm: Whether each layer is held at a slope of 1.

    Source:
        Classes: Miyato and Koyama (2018), "cGANs with projection discriminator", arXiv
        1802.05637, eq. (3). Slopes: Miyato et al. (2018), arXiv 1802.05957, section 2.1.

    Example:
        >>> Discriminator(nn.Linear(2, 4), 4)(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def __init__(
        self,
        body: nn.Module,
        num_features: int,
        num_classes: int = 0,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(num_features, 1)
        self.classes = nn.Embedding(num_classes, num_features) if num_classes else None
        if self.classes is not None:
            nn.init.normal_(self.classes.weight, std=num_features**-0.5)
        if spectral_norm:
            for module in [*self.modules()]:
                if isinstance(module, (nn.Linear, nn.Conv2d, nn.Embedding)):
                    parametrizations.spectral_norm(module)

    def embed(self, rows: Float[Tensor, "row ..."]) -> Float[Tensor, "row feature"]:
        """What the judgement is made of."""
        features: Tensor = self.body(rows)
        return features

    def forward(
        self, rows: Float[Tensor, "row ..."], classes: Int[Tensor, " row"] | None = None
    ) -> Float[Tensor, " row"]:
        """The judgements."""
        features = self.embed(rows)
        judged: Tensor = self.head(features).squeeze(1)
        if self.classes is not None:
            judged = judged + (self.classes(classes) * features).sum(dim=1)
        return judged


class AdversarialNetwork(nn.Module):
    """A generator and a discriminator, and what each wants.

    Parameters: ``generator.*`` and ``discriminator.*``.

    Args:
        settings: The settings.
        generator: Makes rows.
        discriminator: Judges them.
        latent_size: Numbers of the noise that a row is made of.
        num_classes: Classes of which both are told; 0 is of none.

    Attributes:
        latent_size: Numbers of the noise that a row is made of.
        generator: Makes rows.
        discriminator: Judges them.
        judges_apart: Whether real and made rows are judged in batches of their own, as they must
            be where a judgement depends on the rows beside it; together is faster.

    Source:
        Goodfellow et al. (2014), "Generative adversarial nets", arXiv 1406.2661.

    Example:
        >>> generator, discriminator = Generator(nn.Linear(2, 3)), Discriminator(nn.Linear(3, 4), 4)
        >>> network = AdversarialNetwork(AdversarialSettings(), generator, discriminator, 2)
        >>> network.sample(5, generator=torch.Generator()).shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        settings: AdversarialSettings,
        generator: Generator,
        discriminator: Discriminator,
        latent_size: int,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.latent_size = latent_size
        self.discriminator_steps = settings.discriminator_steps
        self.discriminator_lr_factor = settings.discriminator_lr_factor
        self.judges_apart = False
        self._settings = settings
        penalized = settings.penalty != "none" and settings.penalty_weight > 0
        self.penalty_every = settings.penalty_every if penalized else 0
        self.told = ToldClasses(num_classes)

    def start(self, *rows: Tensor) -> None:
        """See how common each class is among training rows."""
        if self.told.count:
            self.told.start(rows[-1])

    def draw(self, *rows: Tensor, generator: torch.Generator) -> Drawn:
        """Rows, noise to make others of, a point between each pair, and the classes of both."""
        real = rows[0]
        noise = torch.randn(len(real), self.latent_size, generator=generator)
        share = torch.rand(len(real), generator=generator)
        return Drawn((real, noise.to(real), share.to(real), *rows[1:]), real)

    def generate(
        self, real: Tensor, noise: Tensor, share: Tensor, classes: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """As many rows as there are real ones, of the same classes."""
        return (self.generator(noise, classes),)

    def discriminator_loss(
        self,
        made: tuple[Tensor, ...],
        real: Tensor,
        noise: Tensor,
        share: Tensor,
        classes: Tensor | None = None,
    ) -> Tensor:
        """How badly the discriminator tells the two apart."""
        return self.loss(self._judged(real, made[0], classes))

    def penalized_loss(
        self,
        made: tuple[Tensor, ...],
        real: Tensor,
        noise: Tensor,
        share: Tensor,
        classes: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The same, and the penalty on the discriminator's slope."""
        kind, weight = self._settings.penalty, self._settings.penalty_weight
        if kind == "slope_1":
            points = between(real, made[0], share)
            penalty = slope_penalty(self.discriminator(points, classes), points)
            return self.discriminator_loss(made, real, noise, share, classes), weight * penalty
        real, fake = real.detach().requires_grad_(), made[0]
        if kind == "r1_r2":
            fake = fake.detach().requires_grad_()
        judged = self._judged(real, fake, classes)
        penalty = squared_slope(judged.real, real).mean()
        if kind == "r1_r2":
            penalty = penalty + squared_slope(judged.made, fake).mean()
        return self.loss(judged), weight / 2 * penalty

    def generator_loss(
        self,
        made: tuple[Tensor, ...],
        real: Tensor,
        noise: Tensor,
        share: Tensor,
        classes: Tensor | None = None,
    ) -> Tensor:
        """How badly the discriminator is deceived."""
        kind = self._settings.adversarial_loss
        if kind.startswith("relativistic"):
            judged = self._judged(real, made[0], classes)
            return generator_loss(judged.real, judged.made, kind)
        judgements = self.discriminator(made[0], classes)
        return generator_loss(judgements, judgements, kind)

    def _judged(self, real: Tensor, made: Tensor, classes: Tensor | None) -> Judged:
        if self.judges_apart:
            return Judged(self.discriminator(real, classes), self.discriminator(made, classes))
        both = None if classes is None else torch.cat([classes, classes])
        return Judged(*self.discriminator(torch.cat([real, made]), both).chunk(2))

    def forward(
        self, real: Tensor, noise: Tensor, share: Tensor, classes: Tensor | None = None
    ) -> Judged:
        """What the discriminator says of the rows, and of as many made ones."""
        made = self.generator(noise, classes)
        return Judged(self.discriminator(real, classes), self.discriminator(made, classes))

    def loss(self, outputs: Judged, target: Any = None, weight: Tensor | None = None) -> Tensor:
        """The discriminator's loss: of a generator that it cannot see through, the highest."""
        return discriminator_loss(outputs.real, outputs.made, self._settings.adversarial_loss)

    def measure(self, *rows: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """How often the discriminator finds a real row more real than a made one.

        Returns:
            ``discriminator_accuracy``: 1 or 0 of each pair, 1/2 of a tie. Its mean is the area
            under the curve of telling the two apart: 1/2 where they cannot be.
        """
        judged = self(*self.draw(*rows, generator=generator).inputs)
        above = (judged.real > judged.made).float() + (judged.real == judged.made).float() / 2
        return {"discriminator_accuracy": above}

    def scores(self, rows: Tensor) -> Float[Tensor, " row"]:
        """How badly rows are made again, and how much less real they seem than made ones.

        The mean squared error a number, and a tenth of the softplus of how far the discriminator's
        judgement of a row lies below its mean judgement of made rows. Only of networks that are
        told no classes.
        """
        with torch.no_grad():
            usual = self.discriminator(self.decode(self._candidates(rows))).mean()
            doubt = nn.functional.softplus(usual - self.discriminator(rows))
        return self.parts(rows).flatten(1).mean(dim=1) + DOUBT_WEIGHT * doubt

    def parts(self, rows: Tensor) -> Float[Tensor, "row ..."]:
        """The squared error of each number of the nearest row that the generator is found to make.

        What the discriminator doubts has no parts.
        """
        codes = nearest_codes(self.decode, rows, self._candidates(rows))
        with torch.no_grad():
            return (self.decode(codes) - rows).square()

    def _candidates(self, rows: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(CANDIDATES, self.latent_size, generator=generator).to(rows)

    def embed(self, *rows: Tensor) -> Tensor:
        """The discriminator's last features, [row, feature]."""
        return self.discriminator.embed(rows[0])

    def decode(self, codes: Tensor, classes: Tensor | None = None) -> Tensor:
        """The rows that noise becomes."""
        made: Tensor = self.generator(codes, classes)
        return made

    def sample(
        self,
        num_samples: int,
        *,
        generator: torch.Generator,
        classes: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """New rows.

        Args:
            num_samples: How many.
            generator: Draws, on the processor.
            classes: Codes of the classes to make, [row]; None draws them by how common they were.
            options: None.
        """
        like = self.told.shares
        codes = self.told.codes(num_samples, classes, generator)
        noise = torch.randn(num_samples, self.latent_size, generator=generator)
        return self.decode(noise.to(like), None if codes is None else codes.to(like.device))
