"""A look at what augmentation does: a sheet of pictures, and a table of numbers and tokens."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glial.core.optional import require
from glial.data.augmentation.images import as_floats
from glial.data.augmentation.pipeline import Augmentation, Modality
from glial.data.batches import Batch

SIDE = 96  # pixels that an image is shown with, about
GAP, LINE = 6, 14
SHOWN = 8  # numbers or tokens of a row in a table


@dataclass(frozen=True)
class Preview:
    """Some training rows beside several changed versions of each.

    Attributes:
        labels: What each row is, in words.
        modalities: What each tensor of the inputs holds.
        original: The rows as they are held.
        versions: The same rows, changed, as many times as one likes.

    Example:
        >>> from glial.data.augmentation import AugmentSettings
        >>> batch = Batch((torch.rand(2, 1, 8, 8),), torch.tensor([0, 1]))
        >>> augmentation = Augmentation(AugmentSettings(flip="both"), ["image"])
        >>> preview = Preview.of(batch, ["cat", "dog"], ["image"], augmentation, versions=3)
        >>> len(preview.versions)
        3
    """

    labels: list[str]
    modalities: list[Modality]
    original: Batch
    versions: list[Batch]

    @classmethod
    def of(
        cls,
        rows: Batch,
        labels: Sequence[str],
        modalities: Sequence[Modality],
        augmentation: Augmentation | None,
        *,
        versions: int = 7,
    ) -> Preview:
        """Change some rows several times.

        Args:
            rows: The rows, as they are held.
            labels: What each is, in words.
            modalities: What each tensor of the inputs holds.
            augmentation: What changes them; None leaves them.
            versions: How often.
        """
        changed = [rows if augmentation is None else augmentation(rows, n) for n in range(versions)]
        return cls(list(labels), list(modalities), rows, changed)

    def table(self) -> list[dict[str, Any]]:
        """The first numbers or tokens of each row, before and after a change.

        Returns:
            For each row and each tensor that is no image or sound its ``label``, what it
            ``holds``, the
            ``original`` values and the ``changed`` ones of the first version.
        """
        return [
            {
                "label": self.told(self.versions[0], row),
                "holds": modality,
                "original": before[row, :SHOWN].tolist(),
                "changed": after[row, :SHOWN].tolist(),
            }
            for row in range(len(self.labels))
            for modality, before, after in zip(
                self.modalities, self.original.inputs, self.versions[0].inputs, strict=True
            )
            if modality not in ("image", "sound")
        ]

    def told(self, version: Batch, row: int) -> str:
        """What a changed row is, in words; of one that is mixed, both and their shares."""
        if version.other is None or version.weight is None or version.other_weight is None:
            return self.labels[row]
        share = version.weight[row] / (version.weight[row] + version.other_weight[row])
        same = (self.original.target == version.other[row]).reshape(len(self.labels), -1)
        other = self.labels[int(same.all(dim=1).long().argmax())]
        return f"{share:.0%} {self.labels[row]}, {1 - share:.0%} {other}"

    def png(self) -> bytes | None:
        """The first column of images as a picture: a line for each row, the original first.

        Returns:
            The bytes of a PNG file; None where the rows hold no images.

        Raises:
            InputError: If Pillow is not installed.
        """
        if "image" not in self.modalities:
            return None
        place = self.modalities.index("image")
        lines = [
            [(self.original.inputs[place][row], self.labels[row])]
            + [(version.inputs[place][row], self.told(version, row)) for version in self.versions]
            for row in range(len(self.labels))
        ]
        return _drawn(lines)


def _drawn(lines: list[list[tuple[Tensor, str]]]) -> bytes:
    """A sheet of images with their labels under them."""
    pillow = require("PIL.Image", extra="vision", purpose="drawing a sheet of images")
    draw = require("PIL.ImageDraw", extra="vision", purpose="drawing a sheet of images")
    height, width = lines[0][0][0].shape[-2:]
    factor = SIDE / max(height, width)
    factor = max(1, round(factor)) if factor >= 1 else factor
    wide, high = max(1, round(width * factor)), max(1, round(height * factor))
    step = (max(wide, SIDE) + GAP, high + LINE + GAP)
    size = (GAP + len(lines[0]) * step[0] + 2 * GAP, 2 * GAP + LINE + len(lines) * step[1])
    sheet = pillow.new("RGB", size, "white")
    pen = draw.Draw(sheet)
    for column in range(len(lines[0])):
        left = GAP + column * step[0] + (2 * GAP if column else 0)
        pen.text((left, GAP), "changed" if column else "original", fill="grey")
        for number, line in enumerate(lines):
            image, label = line[column]
            top = GAP + LINE + number * step[1]
            picture = pillow.fromarray(_bytes(image).numpy())
            smooth = pillow.Resampling.NEAREST if factor >= 1 else pillow.Resampling.BOX
            sheet.paste(picture.resize((wide, high), smooth), (left, top))
            pen.text((left, top + high), _short(label, step[0]), fill="black")
    file = io.BytesIO()
    sheet.save(file, "png")
    return file.getvalue()


def _short(label: str, width: int) -> str:
    """As much of a label as fits, six pixels a letter."""
    return label[: width // 6]


def _bytes(image: Tensor) -> Tensor:
    """An image [channel, height, width] as red, green and blue bytes [height, width, 3]."""
    floats = as_floats(image[None])[0].cpu()
    colours = floats[:3] if len(floats) >= 3 else floats[:1].expand(3, -1, -1)
    return (colours * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
