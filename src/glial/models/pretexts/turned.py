"""Pretexts that ask what was done to an image: how far it was turned, how its pieces lie."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glial.models.pretexts.pretext import Pretext, RowForm
from glial.models.unlabelled import Drawn

LARGE_GRID, SMALL_GRID = 3, 2
LARGE_SIDE = 24  # pixels from which on an image is cut into the larger grid
NUM_ORDERS = 30
_SEAM = 8  # a piece's border that is blanked is one of so many parts of its side


class Recognition(Pretext):
    """A pretext whose answer is one of several: a linear layer over the encoder's vector.

    Args:
        encoder: A network of images.
        form: What a row holds.
        num_answers: How many there are.

    Example:
        >>> issubclass(Rotation, Recognition)
        True
    """

    def __init__(self, encoder: nn.Module, form: RowForm, num_answers: int) -> None:
        super().__init__(encoder, form)
        self.num_answers = num_answers
        self.answer = nn.Linear(self.num_features, num_answers)

    def forward(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row answer"]:
        """Logits of the answers."""
        logits: Tensor = self.answer(self.embed(images))
        return logits

    def figures(self, outputs: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Nats that the right answer costs, and whether it was given."""
        return {
            "pretext_loss": functional.cross_entropy(outputs, target, reduction="none"),
            "pretext_accuracy": (outputs.argmax(dim=1) == target).float(),
        }

    def trivial_outputs(self, target: Tensor) -> Tensor:
        """All answers alike."""
        return torch.zeros(len(target), self.num_answers, device=target.device)


class Rotation(Recognition):
    """By how many quarter turns an image was turned: 0, 1, 2 or 3.

    An image that is not square is cut to its middle square first, and stretched again, so that its
    sides tell nothing.

    Args:
        encoder: A network of images.
        form: What a row holds.

    Source:
        Gidaris, Singh, Komodakis (2018), "Unsupervised representation learning by predicting image
        rotations", arXiv 1803.07728.

    Example:
        >>> from glial.models import build
        >>> encoder = build("residual_cnn", num_outputs=1, images=[[1, 2, 2]], widths=[4])
        >>> image, draw = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.Generator()
        >>> turned = Rotation(encoder, RowForm((1, 2, 2))).draw(image, generator=draw)
        >>> torch.equal(turned.inputs[0][0], image[0].rot90(int(turned.target), (1, 2)))
        True
    """

    name = "rotation"
    source = "Gidaris, Singh, Komodakis (2018), arXiv 1803.07728"

    def __init__(self, encoder: nn.Module, form: RowForm) -> None:
        super().__init__(encoder, form, num_answers=4)

    def draw(
        self, images: Float[Tensor, "row channel height width"], *, generator: torch.Generator
    ) -> Drawn:
        """Images turned, and by how much."""
        turns = torch.randint(4, (len(images),), generator=generator).to(images.device)
        size = (images.shape[2], images.shape[3])
        square = _middle_square(images)
        turned = torch.stack([square.rot90(number, (2, 3)) for number in range(4)])
        drawn = turned[turns, torch.arange(len(images), device=images.device)]
        if size[0] != size[1]:
            drawn = functional.interpolate(drawn, size, mode="bilinear", align_corners=False)
        return Drawn((drawn,), turns)


def _middle_square(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[:, :, top : top + side, left : left + side]


class Jigsaw(Recognition):
    """In which of several orders the pieces of an image were laid.

    The image is cut into 3 x 3 pieces (2 x 2 below 24 pixels), which are laid in one of 30 orders
    that differ in as many places as can be (24, all there are, of four pieces). The border of each
    piece is blanked, as the edges of neighbours would tell too much.

    Args:
        encoder: A network of images.
        form: What a row holds.

    Source:
        Noroozi and Favaro (2016), "Unsupervised learning of visual representations by solving
        jigsaw puzzles", arXiv 1603.09246; one network over the whole shuffled image: Carlucci et
        al. (2019), "Domain generalization by solving jigsaw puzzles", arXiv 1903.06864.

    Example:
        >>> from glial.models import build
        >>> encoder = build("residual_cnn", num_outputs=1, images=[[1, 8, 8]], widths=[4])
        >>> network = Jigsaw(encoder, RowForm((1, 8, 8)))
        >>> network.grid, network.num_answers
        (2, 24)
    """

    name = "jigsaw"
    source = "Noroozi and Favaro (2016), arXiv 1603.09246"

    def __init__(self, encoder: nn.Module, form: RowForm) -> None:
        side = min(form.image[1:]) if form.image else LARGE_SIDE
        grid = LARGE_GRID if side >= LARGE_SIDE else SMALL_GRID
        orders = far_orders(grid * grid, NUM_ORDERS)
        super().__init__(encoder, form, len(orders))
        self.grid = grid
        self._orders = orders

    def draw(
        self, images: Float[Tensor, "row channel height width"], *, generator: torch.Generator
    ) -> Drawn:
        """Images with their pieces laid anew, and in which order."""
        chosen = torch.randint(self.num_answers, (len(images),), generator=generator)
        laid = shuffled(images, self._orders[chosen].to(images.device), self.grid)
        return Drawn((laid,), chosen.to(images.device))


@cache
def far_orders(num_pieces: int, num_orders: int) -> Int[Tensor, "order piece"]:
    """Orders of pieces that differ in many places, chosen one after the other.

    The first is the natural one; each further one is the first, in the order of `itertools`, of
    those whose least number of differing places from all before is largest.

    Args:
        num_pieces: Pieces, at most 9.
        num_orders: How many orders; all, where there are no more.

    Source:
        Noroozi and Favaro (2016), arXiv 1603.09246, algorithm 1, which begins with a random one.

    Example:
        >>> far_orders(3, 3).tolist()  # all places differ between any two
        [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    """
    places = itertools.chain.from_iterable(itertools.permutations(range(num_pieces)))
    every = torch.from_numpy(np.fromiter(places, dtype=np.int8).reshape(-1, num_pieces))
    chosen = [0]
    least = (every != every[0]).sum(dim=1)
    while len(chosen) < min(num_orders, len(every)):
        chosen.append(int(least.argmax()))
        least = torch.minimum(least, (every != every[chosen[-1]]).sum(dim=1))
    return every[chosen].long()


def shuffled(
    images: Float[Tensor, "row channel height width"],
    orders: Int[Tensor, "row piece"],
    grid: int,
) -> Float[Tensor, "row channel height width"]:
    """Images whose pieces are laid anew, a blank border about each.

    Args:
        images: The images.
        orders: For each place, row by row, the piece that comes there.
        grid: Pieces along a side.

    Example:
        >>> image = torch.arange(1.0, 5.0).reshape(1, 1, 2, 2)
        >>> shuffled(image, torch.tensor([[3, 2, 1, 0]]), grid=2)[0, 0]
        tensor([[4., 3.],
                [2., 1.]])
    """
    rows, channels, height, width = images.shape
    high, wide = height // grid, width // grid
    cut = images[:, :, : high * grid, : wide * grid]
    pieces = cut.reshape(rows, channels, grid, high, grid, wide).permute(0, 2, 4, 1, 3, 5)
    pieces = pieces.reshape(rows, grid * grid, channels, high, wide)
    seams = [min(-(-side // _SEAM), (side - 1) // 2) for side in (high, wide)]
    inner = pieces[..., seams[0] : high - seams[0], seams[1] : wide - seams[1]]
    pieces = functional.pad(inner, (seams[1], seams[1], seams[0], seams[0]))
    laid = pieces[torch.arange(rows, device=images.device)[:, None], orders]
    laid = laid.reshape(rows, grid, grid, channels, high, wide).permute(0, 3, 1, 4, 2, 5)
    laid = laid.reshape(rows, channels, high * grid, wide * grid)
    return functional.pad(laid, (0, width - wide * grid, 0, height - high * grid))
