"""The weights of convolutions as tiles."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from glial.core.errors import InputError
from glial.nn.pictures.layers import check_convolves, check_layers, spread
from glial.nn.pictures.sheet import Sheet, Strip, Tile

LAYERS = 6


def draw_filters(
    network: nn.Module, layers: Sequence[str] | None = None, *, most: int = 64
) -> Sheet:
    """The filters of convolutions: what each of their units looks for.

    Of a convolution with three channels before it, each filter is a tile in colours; of others it
    is grey, and the mean over the channels before it where there are several. Mid-grey is a weight
    of 0; black and white are minus and plus the largest size among a layer's tiles, which its
    heading tells.

    Args:
        network: The network.
        layers: Paths of convolutions, as in ``named_modules()``; None is the first convolution
            and five more of those with kernels larger than 1 x 1, evenly spread.
        most: The most filters of a layer that are drawn, in their order.

    Returns:
        A sheet with a strip for each layer.

    Raises:
        InputError: If there is no convolution, or a layer is none.

    Source:
        Zeiler, Fergus (2014), "Visualizing and understanding convolutional networks",
        arXiv 1311.2901, figure 6.

    Example:
        >>> import torch
        >>> layer = nn.Conv2d(1, 1, 2)
        >>> with torch.no_grad():
        ...     _ = layer.weight.copy_(torch.tensor([[[[-2.0, 0.0], [1.0, 2.0]]]]))
        >>> strip = draw_filters(nn.Sequential(layer)).strips[0]
        >>> strip.heading
        '0: 1 filter of 1 x 2 x 2; black -2, grey 0, white 2'
        >>> strip.pixels(strip.tiles[0])[:, :, 0].tolist()
        [[0, 128], [191, 255]]
    """
    check_convolves(network)
    found = {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    if layers is None:
        first, *others = found
        wide = [name for name in others if max(found[name].kernel_size) > 1]
        layers = [first, *spread(wide, LAYERS - 1)]
    check_layers(network, layers)
    for name in layers:
        if name not in found:
            raise InputError(
                f"the layer {name!r} has no filters",
                expected="a convolution of images",
                got=type(network.get_submodule(name)).__name__,
                do=f"name convolutions, such as {', '.join(list(found)[:5])}",
            )
    return Sheet([_strip(name, found[name], most) for name in layers])


def _strip(name: str, layer: nn.Conv2d, most: int) -> Strip:
    weight = layer.weight.detach()
    count, channels, height, width = weight.shape
    shown = weight[:most] if channels == 3 else weight[:most].mean(dim=1)
    limit = shown.abs().max().item()
    told = f"{count} filters" if len(shown) == count else f"{len(shown)} of {count} filters"
    kind = "" if channels in (1, 3) else ", mean over channels"
    zero = "black" if channels != 3 else "dark"
    heading = (
        f"{name}: {told if count > 1 else '1 filter'} of {channels} x {height} x {width}{kind}; "
        f"{zero} {-limit:.3g}, grey 0, {'white' if channels != 3 else 'bright'} {limit:.3g}"
    )
    tiles = [Tile(values, str(number)) for number, values in enumerate(shown)]
    return Strip(heading, tiles, -limit, limit)
