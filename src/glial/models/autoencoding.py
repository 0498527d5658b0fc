"""What all autoencoders share: corrupted rows, a code, penalties on it, and rows given back.

Source:
    Hinton and Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
    doi:10.1126/science.1127647; denoising: Vincent, Larochelle, Bengio, Manzagol (2008),
    doi:10.1145/1390156.1390294; contractive: Rifai, Vincent, Muller, Glorot, Bengio (2011),
    "Contractive auto-encoders: explicit invariance during feature extraction", ICML, equation 2;
    sparse: Lee, Ekanadham, Ng (2008), "Sparse deep belief net model for visual area V2", NIPS.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from glial.functional.image_quality import psnr, ssim
from glial.functional.losses import reduce
from glial.models.corruption import CorruptionSettings
from glial.models.unlabelled import Drawn

Rows = Float[Tensor, "row ..."]
Codes = Float[Tensor, "row latent"]
PerRow = Float[Tensor, " row"]

PEAK = 2.0  # pixels run from -1 to 1
MOST_CODES = 64


class AutoencoderSettings(CorruptionSettings):
    """An autoencoder: rows through a narrow code, and back.

    Attributes:
        code_size: Numbers of a code; None is twice the root of a row's numbers, at most half of
            them and at most 64.
        code_activation: Of the code; "auto" is sigmoid where codes are sparse by ``kl`` or
            contractive, relu where they are by ``l1``, and else linear.
        sparsity: ``kl`` pulls each unit's mean over a batch to a target, ``l1`` every activation
            to 0.
        sparsity_target: The mean that ``kl`` pulls to.
        sparsity_weight: How strongly.
        contraction: Weight of the encoder's squared derivatives by the rows (the squared Frobenius
            norm of its Jacobian): codes change little where rows do. 0 leaves them alone.

    The weights of penalties are for errors that are summed over a row's numbers, as published.

    Example:
        >>> AutoencoderSettings(sparsity="kl").code_activation_name
        'sigmoid'
    """

    tasks: ClassVar[tuple[str, ...]] = ("reduce", "anomaly")

    code_size: int | None = Field(default=None, ge=1)
    code_activation: str = "auto"
    sparsity: Literal["none", "kl", "l1"] = "none"
    sparsity_target: float = Field(default=0.05, gt=0, lt=1)
    sparsity_weight: float = Field(default=0.1, ge=0)
    contraction: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _activations_are_shares(self) -> AutoencoderSettings:
        if self.sparsity == "kl" and self.code_activation_name != "sigmoid":
            raise ValueError("code_activation: sigmoid for sparsity: kl, which compares shares")
        return self

    @property
    def code_activation_name(self) -> str:
        """The activation of codes."""
        if self.code_activation != "auto":
            return self.code_activation
        if self.sparsity == "kl" or self.contraction:
            return "sigmoid"
        return "relu" if self.sparsity == "l1" else "linear"

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall; more epochs where there are fewer rows.

        Example:
            >>> AutoencoderSettings.train_defaults("reduce", 60_000)["epochs"]
            20
        """
        return {
            "optimizer": "adamw",
            "lr": 0.002,
            "batch_size": 128,
            "epochs": 20 if num_rows >= 30_000 else 60 if num_rows >= 5_000 else 200,
            "schedule": "cosine",
            "patience": 20,
        }

    def size_for(self, numbers: int) -> int:
        """Numbers of the code of a row of so many."""
        return self.code_size or max(1, min(numbers // 2, round(2 * sqrt(numbers)), MOST_CODES))


class Autoencoded(NamedTuple):
    """What an autoencoder makes of rows.

    Attributes:
        rows: The rows given back.
        code: Their codes.
        contraction: Of each row the squared norm of the code's derivative by it, or 0 where
            nobody asks.

    Example:
        >>> Autoencoded(torch.zeros(1, 3), torch.zeros(1, 2), torch.zeros(1)).code.shape
        torch.Size([1, 2])
    """

    rows: Rows
    code: Codes
    contraction: PerRow


class AutoencoderNetwork(nn.Module):
    """A network that gives rows back through codes.

    Who derives from it gives :meth:`encode` and :meth:`decode`, and :meth:`exact_contraction` where
    there is a closed form.

    Args:
        settings: The settings.
        shape: Of one row: (number,) or (channel, height, width).

    Attributes:
        latent_size: Numbers of a code.
        tells_contraction: Whether there is such a closed form.

    Example:
        >>> from glial.models import build
        >>> network = build("autoencoder", num_inputs=8, code_size=2)
        >>> isinstance(network, AutoencoderNetwork), network.reconstruct(torch.zeros(3, 8)).shape
        (True, torch.Size([3, 8]))
    """

    tells_contraction: bool = False

    def __init__(self, settings: AutoencoderSettings, shape: tuple[int, ...]) -> None:
        super().__init__()
        settings.check_corruption(pictures=len(shape) == 3)
        self.settings = settings
        self.shape = shape
        self.latent_size = settings.size_for(prod(shape))

    def encode(self, rows: Rows) -> Codes:
        """The codes of rows."""
        raise NotImplementedError

    def decode(self, codes: Codes, classes: Tensor | None = None) -> Rows:
        """The rows that codes stand for.

        Args:
            codes: A code a row.
            classes: None: the network is told no classes.
        """
        raise NotImplementedError

    def embed(self, rows: Rows) -> Codes:
        """The codes of rows."""
        return self.encode(rows)

    def reconstruct(self, rows: Rows) -> Rows:
        """Rows as their codes keep them; of those with noise what the network takes for clean."""
        return within_range(self.decode(self.encode(rows)))

    def scores(self, rows: Rows) -> PerRow:
        """How badly each row is given back: the mean squared error a number."""
        return self.parts(rows).flatten(1).mean(dim=1)

    def parts(self, rows: Rows) -> Rows:
        """The squared error of each number."""
        return (self.reconstruct(rows) - rows).square()

    def exact_contraction(self, code: Codes) -> PerRow:
        """The squared norm of each code's derivative by its row, where codes alone tell it."""
        raise NotImplementedError

    def draw(self, rows: Rows, *, generator: torch.Generator) -> Drawn:
        """Corrupted rows to start from, and the rows themselves to give back.

        Args:
            rows: The rows.
            generator: Draws noise, and the directions in which codes shall change little.
        """
        inputs: tuple[Tensor, ...] = (self.settings.corrupted(rows, generator),)
        if self.settings.contraction and not self.tells_contraction:
            signs = torch.randint(0, 2, (len(rows), self.latent_size), generator=generator)
            inputs = (*inputs, (2 * signs - 1).to(rows))
        return Drawn(inputs, rows)

    def forward(self, rows: Rows, probes: Codes | None = None) -> Autoencoded:
        """Rows given back, their codes, and how much these change with the rows.

        Args:
            rows: The rows, corrupted ones where the network learns to restore.
            probes: A direction of codes a row, of independent signs, to estimate the squared
                Frobenius norm of the Jacobian J by: it is the mean of the squared length of J'v
                over such v (Hutchinson 1990, doi:10.1080/03610919008812866).
        """
        if probes is not None:
            found: Any = torch.func.vjp(self.encode, rows)
            code, pullback = found
            contraction = pullback(probes)[0].square().flatten(1).sum(dim=1)
        else:
            code = self.encode(rows)
            exact = self.settings.contraction and self.tells_contraction
            contraction = self.exact_contraction(code) if exact else code.new_zeros(len(code))
        return Autoencoded(self.decode(code), code, contraction)

    def loss(self, outputs: Autoencoded, target: Rows, weight: PerRow | None = None) -> Tensor:
        """The mean squared error a number, and the penalties on the code in the same measure.

        Args:
            outputs: What the network made of drawn rows.
            target: The rows themselves.
            weight: Of each row.
        """
        error = (outputs.rows - target).square().flatten(1).mean(dim=1)
        return reduce(error, weight) + self.penalty(outputs, weight) / prod(self.shape)

    def penalty(self, outputs: Autoencoded, weight: PerRow | None = None) -> Tensor:
        """What sparsity and contraction add to the mean squared error of a whole row.

        Args:
            outputs: What the network made of drawn rows.
            weight: Of each row.
        """
        settings = self.settings
        total = settings.contraction * reduce(outputs.contraction, weight)
        if settings.sparsity == "l1":
            total = total + settings.sparsity_weight * reduce(outputs.code.abs().sum(1), weight)
        elif settings.sparsity == "kl":
            shares = _mean_of_rows(outputs.code, weight)
            total = total + settings.sparsity_weight * kl_of_shares(
                settings.sparsity_target, shares
            )
        return total

    def measure(self, rows: Rows, *, generator: torch.Generator) -> dict[str, Tensor]:
        """How far what is given back is from the rows; and corrupted rows themselves.

        Args:
            rows: The rows.
            generator: Draws noise.
        """
        corrupted = self.settings.corrupted(rows, generator)
        return restoration_figures(self.reconstruct(corrupted), rows, corrupted)


def restoration_figures(given: Rows, rows: Rows, corrupted: Rows) -> dict[str, Tensor]:
    """Figures of rows given back, [row] each.

    ``reconstruction_error`` is the mean squared error a number; pictures have ``psnr`` in decibels
    and ``ssim`` too. Those that begin with ``corrupted_`` are of what the network was given, where
    that was not the rows themselves.

    Args:
        given: What the network gives.
        rows: What it should give.
        corrupted: What it was given.

    Example:
        >>> rows, worse = torch.zeros(1, 2), torch.ones(1, 2)
        >>> restoration_figures(rows + 0.5, rows, worse)
        {'reconstruction_error': tensor([0.2500]), 'corrupted_reconstruction_error': tensor([1.])}
    """
    found = _figures(given, rows)
    if corrupted is not rows:
        found |= {f"corrupted_{name}": value for name, value in _figures(corrupted, rows).items()}
    return found


def _figures(given: Tensor, rows: Tensor) -> dict[str, Tensor]:
    found = {"reconstruction_error": (given - rows).square().flatten(1).mean(dim=1)}
    if rows.ndim == 4:
        found["psnr"] = psnr(given, rows, peak=PEAK)
        found["ssim"] = ssim((given + 1) / PEAK, (rows + 1) / PEAK)
    return found


def within_range(rows: Rows) -> Rows:
    """Pixels cut off at black and white; other rows as they are."""
    return rows.clamp(-1, 1) if rows.ndim == 4 else rows


def kl_of_shares(target: float, shares: Float[Tensor, " unit"]) -> Float[Tensor, ""]:
    r"""How far the mean activations of units are from a target, summed over them.

    .. math:: \sum_j \rho \log \frac{\rho}{\hat\rho_j}
        + (1 - \rho) \log \frac{1 - \rho}{1 - \hat\rho_j}

    Args:
        target: rho, between 0 and 1.
        shares: The means, from 0 to 1.

    Source:
        Ng (2011), "Sparse autoencoder", CS294A lecture notes, section 3.

    Example:
        >>> kl_of_shares(0.5, torch.tensor([0.5, 0.1]))
        tensor(0.5108)
    """
    tiny = torch.finfo(shares.dtype).eps
    shares = shares.clamp(tiny, 1 - tiny)
    wanted = torch.full_like(shares, target)
    on = wanted * (wanted.log() - shares.log())
    off = (1 - wanted) * ((1 - wanted).log() - (1 - shares).log())
    return (on + off).sum()


def _mean_of_rows(code: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return code.mean(dim=0)
    return (weight[:, None] * code).sum(0) / weight.sum().clamp_min(torch.finfo(code.dtype).tiny)
