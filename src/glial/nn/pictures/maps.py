"""What the layers of a network make of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.nn.pictures.layers import (
    Call,
    check_convolves,
    check_layers,
    leaves,
    spread,
    watched,
)
from glial.nn.pictures.sheet import Sheet, Strip, Tile
from glial.nn.summary import evaluating

ROWS = 8
SIDE, IMAGE_SIDE = 84, 168
BRIGHTEST = 0.005  # share of the places that may be brighter than white


@dataclass(frozen=True)
class FeatureMaps:
    """What one call of a layer gave for one image.

    Attributes:
        layer: Its path, as in ``named_modules()``; where it is called several times, also which
            call it was.
        kind: Its class.
        values: The maps, [channel, height, width].
        strongest: Channels by the mean size of their numbers, the strongest first, [channel].

    Example:
        >>> found = feature_maps(nn.Sequential(nn.Conv2d(1, 4, 3)), torch.zeros(1, 8, 8))[0]
        >>> found.layer, found.values.shape
        ('0', torch.Size([4, 6, 6]))
    """

    layer: str
    kind: str
    values: Tensor
    strongest: list[int]


def feature_maps(
    network: nn.Module,
    image: Float[Tensor, "channel height width"],
    layers: Sequence[str] | None = None,
) -> list[FeatureMaps]:
    """What layers make of one image, in evaluation mode.

    Args:
        network: The network of one image, left as it was.
        image: The image as the network takes it, scaled.
        layers: Paths of layers, as in ``named_modules()``; None is up to eight activations,
            evenly spread, or convolutions and other layers where activations are no modules.

    Returns:
        Their maps in the order in which they came.

    Raises:
        InputError: If there is no convolution, or a layer does not give maps.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
        >>> [found.layer for found in feature_maps(network, torch.zeros(1, 4, 4))]
        ['1']
    """
    check_convolves(network)
    check_layers(network, layers or [])
    like = next(network.parameters())
    images = image[None].to(device=like.device, dtype=like.dtype)
    names = leaves(network) if layers is None else list(dict.fromkeys(layers))
    with torch.no_grad(), evaluating(network), watched(network, names) as calls:
        network(images)
    for name in layers or []:
        if not any(call.layer == name for call in calls):
            raise no_maps(network, name)
    chosen = _chosen(calls) if layers is None else calls
    last = {call.layer: call.number for call in calls}
    return [_found(call, last[call.layer]) for call in chosen]


def no_maps(network: nn.Module, name: str) -> InputError:
    """The error for a layer without maps.

    Example:
        >>> no_maps(nn.Sequential(nn.Linear(1, 1)), "0").got
        'Linear'
    """
    return InputError(
        f"the layer {name!r} gives no maps",
        expected="a layer that gives channels of height and width for an image",
        got=type(network.get_submodule(name)).__name__,
        do="name a convolution, a pooling, or a block of them",
    )


def _chosen(calls: list[Call]) -> list[Call]:
    wide = [call for call in calls if call.output[0, 0].numel() > 1]
    active = [call for call in wide if call.is_active]
    convolutions = [call for call in wide if isinstance(call.module, nn.Conv2d)]
    return spread(active or convolutions or wide or calls, ROWS)


def _found(call: Call, calls: int) -> FeatureMaps:
    values = call.output[0]
    strength = values.abs().mean(dim=(1, 2))
    name = call.layer if calls == 1 else f"{call.layer} (call {call.number} of {calls})"
    order = strength.sort(descending=True, stable=True).indices.tolist()
    return FeatureMaps(name, type(call.module).__name__, values, order)


def draw_maps(
    network: nn.Module,
    image: Float[Tensor, "channel height width"],
    layers: Sequence[str] | None = None,
    *,
    most: int = 12,
) -> Sheet:
    """The feature maps of one image: a strip for each layer, its strongest channels first.

    The first strip is the image. Maps that are nowhere negative go from black at 0 to white;
    others from blue over white at 0 to red. A layer's maps share one range, which its heading
    tells; 1 place in 200 may lie beyond it.

    Args:
        network: The network of one image, left as it was.
        image: The image as the network takes it, scaled.
        layers: See `feature_maps`.
        most: The most channels of a layer that are drawn.

    Returns:
        A sheet; a tile's label is its channel.

    Raises:
        InputError: If there is no convolution, or a layer does not give maps.

    Source:
        Zeiler, Fergus (2014), "Visualizing and understanding convolutional networks",
        arXiv 1311.2901, section 4.

    Example:
        >>> sheet = draw_maps(nn.Sequential(nn.Conv2d(1, 4, 3)), torch.rand(1, 8, 8), most=3)
        >>> [len(strip.tiles) for strip in sheet.strips]
        [1, 3]
    """
    found = feature_maps(network, image, layers)
    colours = image if image.shape[0] == 3 else image[0]
    size = " x ".join(map(str, image.shape))
    low, high = image.min().item(), image.max().item()
    told = f"image: {size}; black {low:.3g}, white {high:.3g}"
    strips = [Strip(told, [Tile(colours)], low, high, side=IMAGE_SIDE)]
    return Sheet(strips + [_strip(maps, most) for maps in found])


def _strip(maps: FeatureMaps, most: int) -> Strip:
    shown = maps.strongest[:most]
    values = maps.values[shown]
    sizes = values.abs().flatten()
    rank = max(1, sizes.numel() - int(BRIGHTEST * sizes.numel()))
    limit = sizes.kthvalue(rank).values.item() or sizes.max().item()
    signed = bool((values < 0).any())
    count, height, width = maps.values.shape
    told = f"{len(shown)} strongest of {count}" if len(shown) < count else str(count)
    heading = f"{maps.layer} ({maps.kind}): {told} channels of {height} x {width}; "
    heading += (
        f"blue {-limit:.3g}, white 0, red {limit:.3g}" if signed else f"black 0, white {limit:.3g}"
    )
    tiles = [Tile(values[place], str(channel)) for place, channel in enumerate(shown)]
    low, palette = (-limit, "signs") if signed else (0.0, "heat")
    return Strip(heading, tiles, low, limit, palette, SIDE)
