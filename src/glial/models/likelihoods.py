"""How likely rows are, told what a decoder says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.functional.gaussians import discretized_logistic_log_likelihood, gaussian_log_density

LikelihoodName = Literal["bernoulli", "gaussian", "logistic"]
LEAST_VARIANCE = 1e-4
LEAST_LOG_SCALE = -7.0


class Likelihood(nn.Module):
    """The distribution of a row around what is decoded for it.

    Args:
        shape: Of a row.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def seen(self, rows: Tensor) -> Tensor:
        """Rows as the encoder sees them where nothing is drawn."""
        return rows

    def drawn(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Rows as they are learnt from."""
        return rows

    def start_of(self, rows: Tensor) -> Tensor:
        """What a decoder that knows nothing would best say, of the shape of a row."""
        return rows.mean(dim=0)

    def spread(self) -> Tensor:
        """What the likelihood has learnt itself, of a shape that fits a row's."""
        return torch.zeros(())

    def log_likelihood(self, decoded: Tensor, rows: Tensor, spread: Tensor) -> Tensor:
        """Of rows given what is decoded, in nats, [row, sample].

        Args:
            decoded: [row, sample, ...].
            rows: Drawn rows, [row, ...].
            spread: As :meth:`spread` gives it.
        """
        raise NotImplementedError

    def mean(self, decoded: Tensor) -> Tensor:
        """The rows to expect, in their own units."""
        return decoded

    def sample(self, decoded: Tensor, generator: torch.Generator) -> Tensor:
        """Rows drawn around what is decoded, in their own units."""
        raise NotImplementedError


class Bernoulli(Likelihood):
    """Pixels that are black or white, by chance as they are grey.

    What is decoded are logits. Images of -1 to 1 are drawn anew as black and white in every step,
    so a likelihood is one of binary images.

    Source:
        Salakhutdinov, Murray (2008), "On the quantitative analysis of deep belief networks",
        doi:10.1145/1390156.1390266, section 6.

    Example:
        >>> pixels = Bernoulli((1, 1, 2))
        >>> white = torch.ones(1, 1, 1, 2)
        >>> pixels.log_likelihood(torch.zeros(1, 1, 1, 1, 2), white, pixels.spread())
        tensor([[-1.3863]])
    """

    def seen(self, rows: Tensor) -> Tensor:
        """Greys as probabilities of white."""
        return ((rows + 1) / 2).clamp(0, 1)

    def drawn(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Zeros and ones."""
        chances = self.seen(rows)
        uniform = torch.rand(chances.shape, generator=generator, dtype=torch.float32)
        return (uniform.to(chances.device) < chances).to(chances.dtype)

    def start_of(self, rows: Tensor) -> Tensor:
        """The logit of each pixel's mean."""
        return torch.logit(self.seen(rows).mean(dim=0).clamp(0.01, 0.99))

    def log_likelihood(self, decoded: Tensor, rows: Tensor, spread: Tensor) -> Tensor:
        """The sum over pixels."""
        pixels = rows[:, None].expand_as(decoded)
        losses = functional.binary_cross_entropy_with_logits(decoded, pixels, reduction="none")
        return -losses.flatten(2).sum(dim=2)

    def mean(self, decoded: Tensor) -> Tensor:
        """Probabilities of white, from -1 to 1."""
        return 2 * torch.sigmoid(decoded) - 1

    def sample(self, decoded: Tensor, generator: torch.Generator) -> Tensor:
        """Black and white, -1 and 1."""
        return 2 * self.drawn(self.mean(decoded), generator) - 1


class Gaussian(Likelihood):
    """Numbers with a normal error of one variance for all rows, learnt or given.

    Each number has its own variance, each channel of images one.

    Args:
        shape: Of a row.
        variance: Where it is given; None learns it.

    Source:
        Rybkin, Daniilidis, Levine (2021), "Simple and effective VAE training with calibrated
        decoders", arXiv 2006.13202.

    Example:
        >>> numbers = Gaussian((2,), 1.0)
        >>> numbers.log_likelihood(torch.zeros(1, 1, 2), torch.zeros(1, 2), numbers.spread())
        tensor([[-1.8379]])
    """

    def __init__(self, shape: Sequence[int], variance: float | None = None) -> None:
        super().__init__(shape)
        own = (shape[0], *[1] * (len(shape) - 1))
        self.raw_variance = nn.Parameter(torch.full(own, 0.5413)) if variance is None else None
        if variance is not None:
            self.register_buffer("fixed", torch.full(own, float(variance)), persistent=False)

    def spread(self) -> Tensor:
        """The logarithm of the variance of each number or channel."""
        if self.raw_variance is None:
            fixed: Tensor = self.get_buffer("fixed")
            return fixed.log()
        return (functional.softplus(self.raw_variance) + LEAST_VARIANCE).log()

    def log_likelihood(self, decoded: Tensor, rows: Tensor, spread: Tensor) -> Tensor:
        """The sum over numbers."""
        told = gaussian_log_density(rows[:, None].expand_as(decoded), decoded, spread)
        return told.flatten(2).sum(dim=2)

    def sample(self, decoded: Tensor, generator: torch.Generator) -> Tensor:
        """With an error drawn."""
        noise = torch.randn(decoded.shape, generator=generator).to(decoded)
        return decoded + noise * (0.5 * self.spread()).exp()


class Logistic(Likelihood):
    """Pixels of 256 levels, from -1 to 1, with one learnt scale a channel.

    Example:
        >>> pixels = Logistic((1, 1, 1))
        >>> white = torch.ones(1, 1, 1, 1)
        >>> pixels.log_likelihood(torch.zeros(1, 1, 1, 1, 1), white, pixels.spread()).shape
        torch.Size([1, 1])
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__(shape)
        self.log_scale = nn.Parameter(torch.full((shape[0], *[1] * (len(shape) - 1)), -2.0))

    def spread(self) -> Tensor:
        """The logarithm of each channel's scale."""
        return self.log_scale.clamp_min(LEAST_LOG_SCALE)

    def log_likelihood(self, decoded: Tensor, rows: Tensor, spread: Tensor) -> Tensor:
        """The sum over pixels and channels."""
        pixels = rows[:, None].expand_as(decoded)
        told = discretized_logistic_log_likelihood(pixels, decoded, spread)
        return told.flatten(2).sum(dim=2)

    def mean(self, decoded: Tensor) -> Tensor:
        """The centre, within -1 and 1."""
        return decoded.clamp(-1, 1)

    def sample(self, decoded: Tensor, generator: torch.Generator) -> Tensor:
        """Levels drawn around it."""
        uniform = torch.rand(decoded.shape, generator=generator).clamp(1e-6, 1 - 1e-6)
        drawn = (decoded + self.spread().exp() * torch.logit(uniform).to(decoded)).clamp(-1, 1)
        return torch.round((drawn + 1) * 127.5) / 127.5 - 1


def make_likelihood(
    name: LikelihoodName, shape: Sequence[int], variance: float | None = None
) -> Likelihood:
    """The likelihood of rows of a shape.

    Raises:
        InputError: If rows of numbers are to be pixels.

    Example:
        >>> make_likelihood("gaussian", (3,)).shape
        (3,)
    """
    if name == "gaussian":
        return Gaussian(shape, variance)
    if len(shape) != 3:
        raise InputError(
            f"the likelihood {name!r} is one of pixels",
            expected="model.likelihood: gaussian for numbers",
            got=f"{name} for rows of {shape[0]} numbers",
            do="leave model.likelihood out",
        )
    return Bernoulli(shape) if name == "bernoulli" else Logistic(shape)
