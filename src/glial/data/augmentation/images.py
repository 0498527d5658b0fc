"""Images changed at random, a whole batch at once: every image by amounts of its own."""

from __future__ import annotations

from math import ceil, log
from types import ModuleType

import torch
from jaxtyping import Float
from torch import Tensor

from glial.core.optional import require
from glial.data.augmentation.settings import AugmentSettings

Images = Float[Tensor, "row channel height width"]

# A blur narrower than this changes no pixel; kornia wants more than 0.
_LEAST_SIGMA = 1e-3


def as_floats(images: Tensor) -> Tensor:
    """Images with pixels between 0 and 1, of bytes or of such floats.

    Example:
        >>> as_floats(torch.tensor([[[[0, 255]]]], dtype=torch.uint8)).tolist()
        [[[[0.0, 1.0]]]]
    """
    return images if images.is_floating_point() else images.float() / 255


def changed_images(
    images: Images, settings: AugmentSettings, generator: torch.Generator, *, masked: bool = False
) -> Images:
    """Images mirrored, moved, blurred, relit and made noisy, in this order.

    What a move uncovers is filled with the nearest pixel of the border, which suits dark and
    light backgrounds alike. All moves are one, so that pixels are interpolated once.

    Args:
        images: Pixels between 0 and 1.
        settings: What is done, and how strongly.
        generator: Decides the amounts; on the images' device.
        masked: Whether the last channel says where the image is, and is moved along with it only.

    Returns:
        New images of the same shape, with pixels between 0 and 1.

    Raises:
        InputError: If kornia is needed and not installed.

    Example:
        >>> images = torch.rand(2, 1, 8, 8)
        >>> settings = AugmentSettings(rotate=10.0, noise=0.1)
        >>> changed_images(images, settings, torch.Generator().manual_seed(0)).shape
        torch.Size([2, 1, 8, 8])
    """
    plain, draw = images, _Draw(generator, len(images), images.device)
    if settings.flip in ("horizontal", "both"):
        images = _where(draw.chance(0.5), images.flip(-1), images)
    if settings.flip in ("vertical", "both"):
        images = _where(draw.chance(0.5), images.flip(-2), images)
    if settings.moves:
        images = _moved(images, settings, draw)
    mask = images[:, -1:] if masked else None
    images = images if mask is None else images[:, :-1]
    if settings.blur:
        images = _blurred(images, settings.blur, draw)
    images = _relit(images, settings, draw)
    if settings.noise:
        noise = torch.randn(
            images.shape, generator=generator, device=images.device, dtype=images.dtype
        )
        images = (images + settings.noise * noise).clamp(0, 1)
    images = images if mask is None else torch.cat([images, mask], dim=1)
    if settings.probability < 1:
        images = _where(draw.chance(settings.probability), images, plain)
    return images


class _Draw:
    """Random amounts, one for each image."""

    def __init__(self, generator: torch.Generator, num_rows: int, device: torch.device) -> None:
        self._generator = generator
        self._shape = (num_rows,)
        self._device = device

    def uniform(self, low: float, high: float) -> Tensor:
        values = torch.rand(self._shape, generator=self._generator, device=self._device)
        return low + (high - low) * values

    def around(self, middle: float, reach: float) -> Tensor:
        return self.uniform(middle - reach, middle + reach)

    def chance(self, probability: float) -> Tensor:
        return self.uniform(0.0, 1.0) < probability


def _where(chosen: Tensor, images: Tensor, others: Tensor) -> Tensor:
    return torch.where(chosen[:, None, None, None], images, others)


def _kornia(part: str) -> ModuleType:
    return require(f"kornia.{part}", extra="vision", purpose="augmentation of images")


def _moved(images: Images, settings: AugmentSettings, draw: _Draw) -> Images:
    """Turned and scaled about their middle, then moved: one interpolation for all of it."""
    height, width = images.shape[-2:]
    transform = _kornia("geometry.transform")
    shift = []
    for size in (width, height):
        border = round(settings.crop * size)
        cut = draw.uniform(-border - 0.5, border + 0.5).round().clamp(-border, border)
        shift.append(cut + draw.around(0.0, settings.translate * size))
    low, high = settings.scale
    factor = draw.uniform(log(low), log(high)).exp()
    middle = factor.new_tensor([(width - 1) / 2, (height - 1) / 2]).expand(len(images), 2)
    angle = draw.around(0.0, settings.rotate)
    matrix = transform.get_affine_matrix2d(
        torch.stack(shift, dim=1), middle, torch.stack([factor, factor], dim=1), angle
    )
    return _warped(images, matrix)


def _warped(images: Images, matrix: Tensor) -> Images:
    """Each image moved by its own matrix [row, 3, 3], in pixels."""
    size = (images.shape[-2], images.shape[-1])
    warp = _kornia("geometry.transform").warp_affine
    moved: Tensor = warp(images, matrix[:, :2].to(images), size, padding_mode="border")
    return moved


def _blurred(images: Images, most: float, draw: _Draw) -> Images:
    radius = min(ceil(3 * most), min(images.shape[-2:]) - 1)  # the border is mirrored
    if radius < 1:
        return images
    sigma = draw.uniform(0.0, most).clamp_min(_LEAST_SIGMA)
    blur = _kornia("filters").gaussian_blur2d
    blurred: Tensor = blur(images, 2 * radius + 1, torch.stack([sigma, sigma], dim=1))
    return blurred


def _relit(images: Images, settings: AugmentSettings, draw: _Draw) -> Images:
    """Brightness, contrast and saturation changed, by the formulas that Pillow uses."""
    changes = {
        "adjust_brightness_accumulative": settings.brightness,
        "adjust_contrast_with_mean_subtraction": settings.contrast,
        "adjust_saturation_with_gray_subtraction": (
            settings.saturation if images.shape[1] == 3 else 0.0
        ),
    }
    for name, reach in changes.items():
        if reach:
            images = getattr(_kornia("enhance"), name)(images, draw.around(1.0, reach))
    return images
