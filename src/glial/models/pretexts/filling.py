"""Pretexts that hide parts of an image, which are to be filled in from the rest."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from glial.functional import hidden_error
from glial.models.pretexts.pretext import Pretext, RowForm
from glial.models.unlabelled import Drawn
from glial.nn.summary import evaluating

DECODER_WIDTH = 64


class Filling(Pretext):
    """A small decoder over the encoder's last maps tells the pixels that were hidden.

    Hidden pixels are 0, in scaled units, and only they count. A network without maps is asked
    by its vector.

    Args:
        encoder: A network of images.
        form: What a row holds.

    Example:
        >>> issubclass(Inpainting, Filling) and issubclass(MaskedPatches, Filling)
        True
    """

    def __init__(self, encoder: nn.Module, form: RowForm) -> None:
        super().__init__(encoder, form)
        assert form.image is not None  # noqa: S101 - the kinds say so
        self.image = form.image
        channels, height, width = form.image
        with torch.no_grad(), evaluating(encoder):
            maps = self._maps(torch.zeros(2, *form.image))
        steps = (-(-height // maps.shape[2]), -(-width // maps.shape[3]))
        self.steps = steps
        self.decoder = nn.Sequential(
            nn.Conv2d(maps.shape[1], DECODER_WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(DECODER_WIDTH, channels * steps[0] * steps[1], 1),
        )

    def _maps(self, images: Tensor) -> Tensor:
        features = getattr(self.encoder, "features", None)
        found: Tensor = features(images) if callable(features) else self.embed(images)
        return found[:, :, None, None] if found.ndim == 2 else found

    def hidden(self, num_rows: int, generator: torch.Generator) -> Tensor:
        """Which pixels are hidden: 1 where they are, [row, 1, height, width]."""
        raise NotImplementedError

    def draw(
        self, images: Float[Tensor, "row channel height width"], *, generator: torch.Generator
    ) -> Drawn:
        """Images with parts hidden; the target is the whole image, and last what was hidden."""
        hidden = self.hidden(len(images), generator).to(images)
        return Drawn((images * (1 - hidden),), torch.cat([images, hidden], dim=1))

    def forward(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row channel height width"]:
        """The whole images."""
        told: Tensor = self.decoder(self._maps(images))
        rows, _, high, wide = told.shape
        channels, height, width = self.image
        told = told.reshape(rows, channels, *self.steps, high, wide).permute(0, 1, 4, 2, 5, 3)
        told = told.reshape(rows, channels, high * self.steps[0], wide * self.steps[1])
        return told[:, :, :height, :width]

    def figures(self, outputs: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The mean squared error of hidden pixels, in scaled units."""
        error = hidden_error(outputs, target[:, :-1], target[:, -1:])
        return {"pretext_loss": error, "reconstruction_error": error.detach()}

    def trivial_outputs(self, target: Tensor) -> Tensor:
        """The mean image of these rows."""
        return target[:, :-1].mean(dim=0, keepdim=True).expand_as(target[:, :-1])


class Inpainting(Filling):
    """One rectangle of an image is hidden, half as high and wide as it.

    Args:
        encoder: A network of images.
        form: What a row holds.

    Source:
        Pathak et al. (2016), "Context encoders: feature learning by inpainting", arXiv 1604.07379,
        eq. (1), without its adversarial loss.

    Example:
        >>> from glial.models import build
        >>> encoder = build("residual_cnn", num_outputs=1, images=[[1, 8, 8]], widths=[4])
        >>> network = Inpainting(encoder, RowForm((1, 8, 8)))
        >>> network.hidden(2, torch.Generator()).sum(dim=(1, 2, 3))
        tensor([16., 16.])
    """

    name = "inpainting"
    source = "Pathak et al. (2016), arXiv 1604.07379"

    def hidden(self, num_rows: int, generator: torch.Generator) -> Tensor:
        """One rectangle each."""
        inside = []
        for side in self.image[1:]:
            length = max(1, side // 2)
            first = torch.randint(side - length + 1, (num_rows, 1), generator=generator)
            places = torch.arange(side)
            inside.append((places >= first) & (places < first + length))
        return (inside[0][:, :, None] & inside[1][:, None, :])[:, None].float()


class MaskedPatches(Filling):
    """Square patches are hidden at random, most of the image.

    Args:
        encoder: A network of images.
        form: What a row holds.
        share: Share of the patches that are hidden.

    Source:
        He et al. (2022), "Masked autoencoders are scalable vision learners", arXiv 2111.06377;
        blank patches in place of left-out ones, so that any encoder will do: Xie et al. (2022),
        "SimMIM", arXiv 2111.09886.

    Example:
        >>> from glial.models import build
        >>> encoder = build("residual_cnn", num_outputs=1, images=[[1, 8, 8]], widths=[4])
        >>> network = MaskedPatches(encoder, RowForm((1, 8, 8)), share=0.5)
        >>> network.patch, float(network.hidden(1, torch.Generator()).mean())
        ((2, 2), 0.5)
    """

    name = "masked"
    source = "He et al. (2022), arXiv 2111.06377; Xie et al. (2022), arXiv 2111.09886"

    def __init__(self, encoder: nn.Module, form: RowForm, *, share: float = 0.6) -> None:
        super().__init__(encoder, form)
        self.share = share
        # A vision transformer's own patches; else a seventh of the image, four pixels of 28.
        own = getattr(encoder, "grid", None)
        self.grid = tuple(own) if own else tuple(min(7, -(-s // 2)) for s in self.image[1:])

    @property
    def patch(self) -> tuple[int, int]:
        """Height and width of a patch."""
        height, width = (-(-s // n) for s, n in zip(self.image[1:], self.grid, strict=True))
        return height, width

    def hidden(self, num_rows: int, generator: torch.Generator) -> Tensor:
        """As many patches of each image."""
        height, width = self.patch
        high, wide = (-(-s // p) for s, p in zip(self.image[1:], self.patch, strict=True))
        count = min(high * wide - 1, max(1, round(self.share * high * wide)))
        order = torch.rand(num_rows, high * wide, generator=generator).argsort(dim=1)
        hidden = (order.argsort(dim=1) < count).float().reshape(num_rows, 1, high, wide)
        hidden = functional.interpolate(hidden, scale_factor=(height, width), mode="nearest")
        return hidden[:, :, : self.image[1], : self.image[2]]
