"""Two looks at one row: what is drawn of images and of tables' cells, a whole batch at once."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from glial.models.pretexts.pretext import RowForm

# Of a view at full strength: degrees, shear, shift in parts of the image, and the least and the
# largest zoom; then by how much the contrast changes, and the noise beside the images' deviation.
TURN, SHEAR, SHIFT = 20.0, 0.25, 0.12
ZOOM = 0.75, 1.5
CONTRAST, NOISE = 0.4, 0.1


def image_view(
    images: Float[Tensor, "row channel height width"],
    generator: torch.Generator,
    *,
    strength: float = 1.0,
) -> Float[Tensor, "row channel height width"]:
    """Images turned, sheared, zoomed and moved at once, relit and made noisy, each by its own.

    Nothing is mirrored, as mirrored letters and digits are others. What a move uncovers is filled
    with the nearest pixel of the border.

    Args:
        images: Pixels in any units.
        generator: Draws, on the processor.
        strength: 0 leaves images alone, 1 is as strong as the constants of this module say.

    Example:
        >>> images = torch.rand(2, 1, 8, 8)
        >>> torch.allclose(image_view(images, torch.Generator(), strength=0.0), images, atol=1e-6)
        True
    """
    amounts = 2 * torch.rand(8, len(images), generator=generator, dtype=torch.float64) - 1
    turn, shear, right, down, zoom, stretch, contrast, light = strength * amounts
    angle = turn * math.radians(TURN)
    low, high = (math.log(value) for value in ZOOM)
    factor = ((high + low) / 2 * strength + (high - low) / 2 * zoom).exp()
    aspect = (stretch * math.log(4 / 3) / 2).exp()
    # From places of the view to those of the image, both from -1 to 1.
    cos, sin = angle.cos(), angle.sin()
    across, along = aspect / factor, 1 / (aspect * factor)
    top = torch.stack([cos * across, (SHEAR * shear * cos - sin) * along, 2 * SHIFT * right], dim=1)
    bottom = torch.stack(
        [sin * across, (SHEAR * shear * sin + cos) * along, 2 * SHIFT * down], dim=1
    )
    matrix = torch.stack([top, bottom], dim=1).to(images)
    places = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, places, padding_mode="border", align_corners=False)
    scale = images.std() if images.numel() > 1 else images.new_zeros(())
    noise = torch.randn(images.shape, generator=generator).to(images)
    factor = (1 + CONTRAST * contrast).to(images)[:, None, None, None]
    shift = (CONTRAST * light).to(images)[:, None, None, None]
    view: Tensor = moved * factor + scale * (shift / 2 + strength * NOISE * noise)
    return view


def other_cells(
    numbers: Float[Tensor, "row number"],
    codes: Int[Tensor, "row category"] | None,
    form: RowForm,
    share: float,
    generator: torch.Generator,
) -> tuple[tuple[Tensor, ...], Float[Tensor, "row column"]]:
    """Rows some of whose cells are those of other rows, and which cells were chosen.

    A cell takes the value of its column in a row that is drawn from the batch, so each column keeps
    its own distribution; it may be the value that stood there.

    Args:
        numbers: Numbers of the rows.
        codes: Codes of their categories, where they have any.
        form: Which number belongs to which column.
        share: Share of the cells.
        generator: Draws, on the processor.

    Returns:
        The rows, and 1 for each chosen cell, columns of codes behind those of numbers.

    Source:
        Yoon, Zhang, Jordon, van der Schaar (2020), "VIME: extending the success of self- and
        semi-supervised learning to tabular domain", NeurIPS 33, section 4.1; Bahri, Jiang, Tay,
        Metzler (2022), "SCARF", arXiv 2106.15147, algorithm 1.

    Example:
        >>> rows = torch.tensor([[1.0, 10.0], [2.0, 20.0]])
        >>> form, draw = RowForm(owners=(0, 1)), torch.Generator().manual_seed(0)
        >>> (drawn,), chosen = other_cells(rows, None, form, 1.0, draw)
        >>> chosen.tolist(), bool(((drawn[:, 0] == 1) | (drawn[:, 0] == 2)).all())
        ([[1.0, 1.0], [1.0, 1.0]], True)
    """
    shape = (len(numbers), form.num_columns)
    chosen = (torch.rand(shape, generator=generator) < share).to(numbers.device)
    sources = torch.randint(len(numbers), shape, generator=generator).to(numbers.device)
    own = torch.arange(len(numbers), device=numbers.device)[:, None]
    rows = torch.where(chosen, sources, own)
    owners = torch.tensor(form.owners, dtype=torch.int64, device=numbers.device)
    drawn = (numbers.gather(0, rows[:, owners]),)
    if codes is not None:
        return (*drawn, codes.gather(0, rows[:, form.num_columns - codes.shape[1] :])), (
            chosen.to(numbers)
        )
    return drawn, chosen.to(numbers)
