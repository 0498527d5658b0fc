"""How far an image is from another in what it shows, in its style, and how smooth it is.

Source:
    Gatys, Ecker, Bethge (2016), "Image style transfer using convolutional neural networks", CVPR,
    doi:10.1109/CVPR.2016.265.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

Maps = Float[Tensor, "row channel height width"]
Grams = Float[Tensor, "row channel channel"]


def gram_matrix(maps: Maps) -> Grams:
    r"""Which channels are active together: the mean over places of their products.

    Args:
        maps: A layer's maps.

    Returns:
        :math:`G_{ij} = \frac{1}{M} \sum_k F_{ik} F_{jk}` over the M places, symmetric and positive
        semi-definite. The paper's matrix is M times this one; the mean compares images of
        different sizes.

    Example:
        >>> import torch
        >>> gram_matrix(torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]]))
        tensor([[[5., 1.],
                 [1., 2.]]])
    """
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def style_loss(grams: Grams, target: Grams) -> Float[Tensor, " row"]:
    r"""A layer's part of the distance in style: a quarter of the mean squared difference.

    Args:
        grams: `gram_matrix` of an image's maps.
        target: That of the style's.

    Returns:
        At least 0: :math:`\frac{1}{4 N^2} \sum_{ij} (G_{ij} - A_{ij})^2` of N channels.

    Source:
        Gatys, Ecker, Bethge (2016), eq. (4), where both images have as many places.

    Example:
        >>> import torch
        >>> style_loss(torch.full((1, 2, 2), 3.0), torch.full((1, 2, 2), 1.0))
        tensor([1.])
    """
    return (grams - target).square().mean(dim=(1, 2)) / 4


def content_loss(maps: Maps, target: Maps) -> Float[Tensor, " row"]:
    """How far an image is from another in what it shows: half the sum of squared differences.

    Args:
        maps: A layer's maps of an image.
        target: Its maps of the other.

    Source:
        Gatys, Ecker, Bethge (2016), eq. (1).

    Example:
        >>> import torch
        >>> content_loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))
        tensor([2.])
    """
    return (maps - target).square().sum(dim=(1, 2, 3)) / 2


def total_variation(images: Maps) -> Float[Tensor, " row"]:
    """How much neighbouring pixels differ: mean absolute differences, down and across added.

    Args:
        images: At least two pixels high and wide.

    Returns:
        0 for one colour; 1 for stripes of 0 and 1 a pixel wide, 2 for a chessboard.

    Source:
        Rudin, Osher, Fatemi (1992), "Nonlinear total variation based noise removal algorithms",
        doi:10.1016/0167-2789(92)90242-F; here direction by direction, as a mean.

    Example:
        >>> import torch
        >>> total_variation(torch.eye(2)[None, None])
        tensor([2.])
    """
    down = images.diff(dim=2).abs().mean(dim=(1, 2, 3))
    return down + images.diff(dim=3).abs().mean(dim=(1, 2, 3))
