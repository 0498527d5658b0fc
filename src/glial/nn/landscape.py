"""The surface of a loss around a network's weights, along two directions that can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from glial.core.errors import InputError
from glial.core.seeds import torch_generator

Weights = Float[Tensor, " weight"]
Directions = Float[Tensor, "direction weight"]


def weights_of(model: nn.Module) -> Weights:
    """All parameters of a network as one vector, in the order of ``model.parameters()``.

    Returns:
        A copy, without its graph.

    Example:
        >>> weights_of(nn.Linear(2, 1)).shape
        torch.Size([3])
    """
    return parameters_to_vector(model.parameters()).detach().clone()


def filter_normalized(model: nn.Module, direction: Weights) -> Weights:
    r"""A direction whose every filter is as long as the network's filter that it belongs to.

    .. math:: d_{ij} \leftarrow \frac{d_{ij}}{\|d_{ij}\|} \, \|\theta_{ij}\|

    A filter is what makes one output: a row of a dense layer's matrix, a kernel of a
    convolution. So a layer may be scaled up and the next one down, which changes nothing of what
    a network of rectifiers computes, and its surface looks the same.

    Args:
        model: The network.
        direction: A number for each parameter, as `weights_of` orders them.

    Returns:
        The direction; zero for parameters of one dimension (biases, the scales of
        normalisations) and for filters that are zero.

    Source:
        Li, Xu, Taylor, Studer, Goldstein (2018), "Visualizing the loss landscape of neural
        nets", arXiv 1712.09913, section 4.

    Example:
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[0.0, 2.0]]))
        >>> filter_normalized(layer, torch.tensor([3.0, 4.0])).tolist()
        [1.2000000476837158, 1.600000023841858]
    """
    parts: list[Tensor] = []
    start = 0
    for parameter in model.parameters():
        part = direction[start : start + parameter.numel()]
        start += parameter.numel()
        parts.append(_like_filters(part, parameter.detach()))
    return torch.cat(parts)


def _like_filters(part: Tensor, parameter: Tensor) -> Tensor:
    if parameter.ndim < 2:
        return torch.zeros_like(part)
    own, wanted = part.reshape(len(parameter), -1), parameter.reshape(len(parameter), -1)
    least = torch.finfo(part.dtype).tiny
    scale = wanted.norm(dim=1, keepdim=True) / own.norm(dim=1, keepdim=True).clamp_min(least)
    scaled: Tensor = (own * scale).reshape(-1)
    return scaled


def random_directions(model: nn.Module, *, seed: int = 0) -> Directions:
    """Two random directions, normalised filter by filter.

    Args:
        model: The network.
        seed: Of the draws.

    Returns:
        [2, weight]; see `filter_normalized`.

    Source:
        Li et al. (2018), arXiv 1712.09913, section 4.

    Example:
        >>> random_directions(nn.Linear(2, 1)).shape
        torch.Size([2, 3])
    """
    generator = torch_generator(seed, "landscape")
    here = weights_of(model)
    drawn = (torch.randn(here.numel(), generator=generator).to(here) for _ in range(2))
    return torch.stack([filter_normalized(model, each) for each in drawn])


def path_directions(
    path: Float[Tensor, "moment weight"],
) -> tuple[Directions, Float[Tensor, "2"]]:
    """The two principal components of the way that training went.

    Args:
        path: The weights at three moments or more, the last of them those now.

    Returns:
        Two directions of length 1 at right angles, and the share of the path's variance that
        each keeps.

    Raises:
        InputError: If there are fewer than three moments, or the weights never moved.

    Source:
        Li et al. (2018), arXiv 1712.09913, section 7.2: principal components of the rows
        ``weights at a moment - weights at the end``.

    Example:
        >>> path = torch.tensor([[0.0, 0.0, 1.0], [3.0, 0.0, 1.0], [3.0, 1.0, 1.0]])
        >>> directions, shares = path_directions(path)
        >>> directions[:, 2].tolist(), round(shares.sum().item(), 3)
        ([0.0, 0.0], 1.0)
    """
    moved = path - path[-1:]
    moved = moved - moved.mean(dim=0, keepdim=True)
    spread = float(moved.square().sum())
    if len(path) < 3 or path.shape[1] < 2 or not 0 < spread < float("inf"):
        raise InputError(
            "there is no path to look along",
            expected="weights at three moments or more, finite, that are not all the same",
            got=f"{len(path)} moments of {path.shape[1]} weights, of total variance {spread:g}",
            do="train for some steps first, or take random directions",
        )
    _, lengths, directions = torch.linalg.svd(moved, full_matrices=False)
    return directions[:2], (lengths.square() / spread)[:2]


def loss_surface(
    model: nn.Module,
    loss: Callable[[], Tensor],
    directions: Directions,
    x: Sequence[float],
    y: Sequence[float],
) -> Float[Tensor, "y x"]:
    r"""The loss at the network's weights, moved along two directions.

    .. math:: f(\alpha, \beta) = L(\theta + \alpha \delta + \beta \eta)

    The weights are put back whatever happens.

    Args:
        model: The network.
        loss: Computes the loss by the model as it then is.
        directions: The two directions, as `random_directions` or `path_directions` give them.
        x: Steps along the first direction.
        y: Steps along the second.

    Returns:
        The losses, not differentiable; they may be infinite far away.

    Source:
        Li et al. (2018), arXiv 1712.09913, eq. (1).

    Example:
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.zeros_(layer.weight)
        >>> squares = lambda: layer.weight.square().sum()
        >>> loss_surface(layer, squares, torch.eye(2), [0.0, 1.0], [0.0, 2.0]).tolist()
        [[0.0, 1.0], [4.0, 5.0]]
    """
    here = weights_of(model)
    values = here.new_empty(len(y), len(x))
    with torch.no_grad():
        try:
            for row, up in enumerate(y):
                for column, along in enumerate(x):
                    put_weights(model, here + along * directions[0] + up * directions[1])
                    values[row, column] = loss()
        finally:
            put_weights(model, here)
    return values


def put_weights(model: nn.Module, weights: Weights) -> None:
    """Give a network the parameters of a vector, in their own memory: optimisers go on.

    Args:
        model: The network.
        weights: A number for each parameter, as `weights_of` orders them.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> put_weights(layer, torch.tensor([1.0, 2.0, 3.0]))
        >>> layer.bias.item()
        3.0
    """
    sizes = [parameter.numel() for parameter in model.parameters()]
    with torch.no_grad():
        for parameter, part in zip(model.parameters(), torch.split(weights, sizes), strict=True):
            parameter.copy_(part.view_as(parameter))


def on_plane(
    path: Float[Tensor, "moment weight"], center: Weights, directions: Directions
) -> Float[Tensor, "moment 2"]:
    """Where weights lie on the plane of two directions: the nearest point of it to each.

    Args:
        path: Weights.
        center: The weights at the plane's origin.
        directions: The plane's two directions, of any length and angle.

    Returns:
        Steps along each direction, by least squares.

    Example:
        >>> on_plane(torch.tensor([[2.0, 3.0, 9.0]]), torch.zeros(3), 2 * torch.eye(3)[:2]).tolist()
        [[1.0, 1.5]]
    """
    moved = (path - center).double()
    solution: Tensor = torch.linalg.lstsq(directions.double().T, moved.T).solution
    return solution.T.to(path.dtype)
