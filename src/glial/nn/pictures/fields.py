"""Where in an image the units of a network look: how far at most, and how strongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glial.nn.pictures.layers import Call, check_convolves, check_layers, leaves, spread, watched
from glial.nn.pictures.maps import no_maps
from glial.nn.pictures.sheet import Sheet, Strip, Tile
from glial.nn.receptive import ReceptiveField, receptive_fields_of_outputs
from glial.nn.summary import evaluating

STAGES = 12
SIDE = 174


@dataclass(frozen=True)
class MeasuredField:
    """What the central unit of a layer sees of an image.

    Attributes:
        layer: Its path, as in ``named_modules()``.
        field: What the layer's units can see, by kernels and strides alone.
        unit: Row and column of the central unit in the layer's maps.
        strength: Mean size of the unit's derivative by each pixel, [height, width] of the image.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3))
        >>> found = measure_fields(network, (1, 16, 16))[1]
        >>> found.box, found.support
        ((6, 6, 5, 5), (6, 6, 5, 5))
    """

    layer: str
    field: ReceptiveField
    unit: tuple[int, int]
    strength: Tensor

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Top, left, height and width of all that the unit can see; partly beyond the edges."""
        starts = zip(self.field.start, self.unit, self.field.stride, strict=True)
        top, left = (start + place * stride for start, place, stride in starts)
        height, width = self.field.size
        return top, left, height, width

    @property
    def support(self) -> tuple[int, int, int, int]:
        """The smallest such box around all pixels on which the unit was found to depend."""
        ends = [self.strength.sum(dim=axis).nonzero().flatten().tolist() for axis in (1, 0)]
        (top, height), (left, width) = (
            (places[0], places[-1] - places[0] + 1) if places else (0, 0) for places in ends
        )
        return top, left, height, width

    def to_dict(self) -> dict[str, str | int]:
        """Size and stride as JSON; the stride is that of rows, and 0 behind a global pooling."""
        (height, width), stride = self.field.size, self.field.stride[0]
        return {"layer": self.layer, "height": height, "width": width, "stride": stride}


class _Layers(nn.Module):
    """A network that ends with the maps of some of its layers."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        with watched(self.network, self.names) as calls:
            self.network(images)
        return tuple(call.output for call in calls)


def measure_fields(
    network: nn.Module,
    image_size: tuple[int, int, int],
    layers: Sequence[str] | None = None,
    *,
    samples: int = 3,
    seed: int = 0,
) -> list[MeasuredField]:
    """How far the central unit of each layer sees, and how strongly it depends on each pixel.

    How far is told by `glial.nn.receptive_field`. How strongly is measured on random images, with
    the weights as they are: the gradient of the unit's channels, summed with random signs.

    Args:
        network: The network of one image, left as it was.
        image_size: Channels, height and width of the image.
        layers: Paths of layers, as in ``named_modules()``; None is up to twelve of those whose
            units see more than those of all layers before them, evenly spread.
        samples: Random images.
        seed: Of these images and of the signs.

    Returns:
        A field for each layer, in the order in which they run; of a layer that is called several
        times, for its last call.

    Raises:
        InputError: If there is no convolution, or a layer does not give maps.

    Source:
        Luo, Li, Urtasun, Zemel (2016), "Understanding the effective receptive field in deep
        convolutional neural networks", arXiv 1701.04128, section 3.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2))
        >>> [found.to_dict() for found in measure_fields(network, (1, 32, 32))][1]
        {'layer': '2', 'height': 5, 'width': 5, 'stride': 4}
    """
    check_convolves(network)
    check_layers(network, layers or [])
    names = leaves(network) if layers is None else list(dict.fromkeys(layers))
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(samples, 1, *image_size, generator=generator)
    images = images.to(next(network.parameters()))
    with torch.no_grad(), evaluating(network), watched(network, names) as calls:
        network(images[0])
    last = {call.layer: place for place, call in enumerate(calls)}
    for name in layers or []:
        if name not in last:
            raise no_maps(network, name)
    fields = receptive_fields_of_outputs(_Layers(network, names), image_size)
    seen = {place: field for place in sorted(last.values()) if (field := fields[place])}
    wanted = list(seen) if layers else spread(_growing(seen) or list(seen), STAGES)
    found = []
    for place, strength in zip(
        wanted, _strengths(network, images, names, wanted, generator), strict=True
    ):
        call = calls[place]
        height, width = call.output.shape[2:]
        unit = (height // 2, width // 2)
        found.append(MeasuredField(call.layer, seen[place], unit, strength))
    return found


def _growing(fields: dict[int, ReceptiveField]) -> list[int]:
    """The places whose fields are larger than all before them."""
    places: list[int] = []
    largest: tuple[int, ...] = (1, 1)
    for place, field in fields.items():
        wider = tuple(max(pair) for pair in zip(field.size, largest, strict=True))
        if wider != largest:
            places.append(place)
            largest = wider
    return places


def _strengths(
    network: nn.Module,
    images: Tensor,
    names: list[str],
    wanted: list[int],
    generator: torch.Generator,
) -> list[Tensor]:
    """The mean size of the gradient of each call's central unit, [height, width]."""
    totals = [torch.zeros(images.shape[-2:], dtype=torch.float64) for _ in wanted]
    for image in images:
        seen = image.clone().requires_grad_()
        with torch.enable_grad(), evaluating(network), watched(network, names) as calls:
            network(seen)
        for total, place in zip(totals, wanted, strict=True):
            gradient = _of_centre(calls[place], seen, generator)
            total += gradient.abs().sum(dim=(0, 1)).cpu().double() / len(images)
    return totals


def _of_centre(call: Call, image: Tensor, generator: torch.Generator) -> Tensor:
    _, channels, height, width = call.output.shape
    signs = torch.randint(0, 2, (channels,), generator=generator) * 2 - 1
    unit = call.output[0, :, height // 2, width // 2]
    (gradient,) = torch.autograd.grad(unit @ signs.to(unit), image, retain_graph=True)
    return gradient


def draw_receptive_fields(
    network: nn.Module,
    image_size: tuple[int, int, int],
    layers: Sequence[str] | None = None,
) -> tuple[Sheet, list[MeasuredField]]:
    """Where in an image the central unit of each layer looks: a tile for each layer.

    A tile shows how strongly the unit depends on each pixel, as the root of the share of the
    strongest; the outlined box is all that it can see.

    Args:
        network: The network of one image, left as it was.
        image_size: Channels, height and width of the image.
        layers: See `measure_fields`.

    Returns:
        A sheet of one strip, and the numbers.

    Raises:
        InputError: If there is no convolution, or a layer does not give maps.

    Source:
        See `measure_fields`.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 1, 3))
        >>> sheet, fields = draw_receptive_fields(network, (1, 9, 9))
        >>> sheet.strips[0].tiles[0].label.splitlines(), fields[0].support
        (['0', '3 x 3, stride 1'], (3, 3, 3, 3))
    """
    fields = measure_fields(network, image_size, layers)
    _, height, width = image_size
    heading = f"receptive fields in an image of {height} x {width}: box, all that the central "
    heading += "unit sees; brightness, the root of its share of the strongest derivative"
    return Sheet(
        [Strip(heading, [_tile(field) for field in fields], 0.0, 1.0, "heat", SIDE)]
    ), fields


def _tile(found: MeasuredField) -> Tile:
    share = found.strength / (found.strength.max() or 1.0)
    _, _, height, width = found.box
    stride = found.field.stride[0]
    label = f"{height} x {width}, stride {stride}" if stride else "all of the image"
    return Tile(share.sqrt(), f"{found.layer}\n{label}", found.box)
