"""Receptive fields: which pixels a unit of a convolutional network sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

from glial.core.errors import InputError
from glial.nn.graph import capture
from glial.nn.summary import evaluating

CONVOLUTIONS = {f"aten.conv{n}d.{kind}" for n in (1, 2, 3) for kind in ("default", "padding")}
POOLINGS = {f"aten.{kind}_pool{n}d.default" for n in (1, 2, 3) for kind in ("max", "avg")}
PLACE_BY_PLACE = {
    "aten.alias.default",
    "aten.batch_norm.default",
    "aten.clone.default",
    "aten.contiguous.default",
    "aten.dropout.default",
    "aten.feature_dropout.default",
    "aten.feature_alpha_dropout.default",
    "aten.alpha_dropout.default",
    "aten.hardswish.default",
    "aten.hardswish_.default",
    "aten.log_sigmoid.default",
    "aten.mish_.default",
    "aten.prelu.default",
    "aten.relu6_.default",
    "aten.to.dtype",
}
REDUCTIONS = {"aten.mean.dim", "aten.sum.dim_IntList", "aten.amax.default"}
CHANNELS_LAST, CHANNELS_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
ADAPTIVE = {f"aten.adaptive_{kind}_pool{n}d.default" for n in (1, 2, 3) for kind in ("max", "avg")}


class _Side(NamedTuple):
    """A window along one side."""

    kernel: int = 1
    stride: int = 1
    before: int = 0
    dilation: int = 1


@dataclass(frozen=True)
class ReceptiveField:
    """The pixels that units of the last maps see, a number for each side of the image.

    Attributes:
        size: Pixels from the first to the last one seen. Between them there may be some that are
            not, where kernels are dilated or strides are larger than kernels.
        stride: Pixels from the field of one unit to that of the next; 0 where every unit sees the
            whole image.
        start: First pixel of the first unit's field; negative where it starts in the padding.
        image: Pixels of the image.

    Example:
        >>> ReceptiveField((3, 3), (2, 2), (-1, -1), (8, 8)).end
        (2, 2)
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    start: tuple[int, ...]
    image: tuple[int, ...]

    @property
    def end(self) -> tuple[int, ...]:
        """First pixel behind the first unit's field."""
        return tuple(start + size for start, size in zip(self.start, self.size, strict=True))

    def pixels(self, unit: Sequence[int]) -> tuple[range, ...]:
        """What one unit sees of the image, without the padding.

        Where the field reaches beyond the image, some of this may be unseen: what a stride left
        over at the end.

        Args:
            unit: Its place in the last maps.

        Example:
            >>> ReceptiveField((3, 3), (2, 2), (-1, -1), (8, 8)).pixels((0, 2))
            (range(0, 2), range(3, 6))
        """
        firsts = [self.start[axis] + place * self.stride[axis] for axis, place in enumerate(unit)]
        return tuple(
            range(max(first, 0), min(first + size, side))
            for first, size, side in zip(firsts, self.size, self.image, strict=True)
        )


def receptive_field(
    network: nn.Module | Sequence[nn.Module], image: Sequence[int]
) -> ReceptiveField:
    """The receptive field of a network's last maps, by its layers' sizes and not by its weights.

    It is followed through convolutions, poolings, paddings, subsampling and whatever works place
    by place, along all branches. A unit behind any other operation counts as seeing all that
    there is before it, as behind a dense layer or a global pooling it does.

    Args:
        network: The network, or its layers one after another. Give a part of a network, such as
            ``network[:5]``, to know what units in its middle see.
        image: [channel, height, width] of an image that it takes, or [channel, length].

    Returns:
        The field, a `ReceptiveField`.

    Raises:
        InputError: If the output does not hang on the image.

    Source:
        Araujo, Norris, Sim (2019), "Computing receptive fields of convolutional neural networks",
        doi:10.23915/distill.00021, equations 2 and 4.

    Example:
        >>> layers = [nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1)]
        >>> field = receptive_field(layers, (3, 32, 32))
        >>> field.size, field.stride, field.start  # 1 + 2 + 1 + 2 * 2 pixels
        ((8, 8), (2, 2), (-3, -3))
    """
    module = network if isinstance(network, nn.Module) else nn.Sequential(*network)
    field = receptive_fields_of_outputs(module, image)[0]
    if field is None:
        raise InputError(
            "the network's output does not hang on the image",
            expected="a network of one image",
            got=type(network).__name__,
            do="give a network that uses the image",
        )
    return field


def receptive_fields_of_outputs(
    network: nn.Module, image: Sequence[int]
) -> list[ReceptiveField | None]:
    """The receptive field of each output of a network that has several: see `receptive_field`.

    Args:
        network: The network.
        image: [channel, height, width] of an image that it takes, or [channel, length].

    Returns:
        A field for each output; None of one that does not hang on the image.

    Example:
        >>> receptive_fields_of_outputs(nn.MaxPool2d(2), (1, 8, 8))[0].stride
        (2, 2)
    """
    known = next(network.parameters(), torch.zeros(()))
    program = capture(network, (known.new_zeros(1, *image),)).program
    names = set(program.graph_signature.user_inputs)
    sides = tuple(image[1:])
    point = (1,) * len(sides)
    fields: dict[str, ReceptiveField | None] = {}
    for node in program.graph.nodes:
        if node.op == "output":
            break
        is_image = node.op == "placeholder" and node.name in names
        start = ReceptiveField(point, point, (0,) * len(sides), sides)
        fields[node.name] = start if is_image else _through(node, fields)
    return [fields[str(name)] for name in program.graph_signature.user_outputs]


def _through(node: fx.Node, fields: dict[str, ReceptiveField | None]) -> ReceptiveField | None:
    """What the units that an operation gives see, by what those that it takes see."""
    seen = [field for before in node.all_input_nodes if (field := fields[before.name])]
    if not seen:
        return None
    first = seen[0]
    if (window := _window(node)) is not None:
        return _moved(first, window)
    if not _is_place_by_place(node) or any(field.stride != first.stride for field in seen):
        none = (0,) * len(first.image)
        return ReceptiveField(first.image, none, none, first.image)
    starts = [min(places) for places in zip(*(field.start for field in seen), strict=True)]
    ends = [max(places) for places in zip(*(field.end for field in seen), strict=True)]
    sizes = [end - start for start, end in zip(starts, ends, strict=True)]
    return ReceptiveField(tuple(sizes), first.stride, tuple(starts), first.image)


def _moved(field: ReceptiveField, window: list[_Side]) -> ReceptiveField:
    """What units see that see a window of units."""
    sides = list(zip(window, field.size, field.stride, field.start, strict=True))
    return ReceptiveField(
        tuple(size + (side.kernel - 1) * side.dilation * step for side, size, step, _ in sides),
        tuple(step * side.stride for side, _, step, _ in sides),
        tuple(start - side.before * step for side, _, step, start in sides),
        field.image,
    )


def _window(node: fx.Node) -> list[_Side] | None:
    """The window of an operation along each side; None where it has none."""
    name, arguments = str(node.target), _arguments(node)
    if name not in CONVOLUTIONS | POOLINGS | {"aten.pad.default", "aten.slice.Tensor"}:
        return None
    maps = node.all_input_nodes[0].meta["val"]
    num_sides = maps.ndim - 2
    if name in CONVOLUTIONS:
        kernels = list(arguments["weight"].meta["val"].shape[2:])
        padding = arguments["padding"]
        strides, dilations = (
            _each(arguments[key], num_sides, []) for key in ("stride", "dilation")
        )
        if padding == "same":
            spans = zip(kernels, dilations, strict=True)
            padding = [(kernel - 1) * dilation // 2 for kernel, dilation in spans]
        paddings = _each(0 if padding == "valid" else padding, num_sides, [])
    elif name in POOLINGS:
        kernels = _each(arguments["kernel_size"], num_sides, [])
        strides = _each(arguments["stride"], num_sides, kernels)
        paddings = _each(arguments["padding"], num_sides, [])
        dilations = _each(arguments.get("dilation", 1), num_sides, [])
    elif name == "aten.pad.default" and arguments["mode"] != "circular":
        ends = list(arguments["pad"])[: 2 * num_sides]
        ends += [0] * (2 * num_sides - len(ends))
        return [_Side(before=before) for before in ends[-2::-2]]
    elif name == "aten.slice.Tensor":
        side = arguments["dim"] % maps.ndim - 2
        cut = _Side(before=-_first(arguments["start"], maps, side), stride=arguments["step"])
        return [cut if axis == side else _Side() for axis in range(num_sides)]
    else:
        return None
    columns = zip(kernels, strides, paddings, dilations, strict=True)
    return [_Side(*sizes) for sizes in columns]


def _first(start: int | None, maps: Tensor, side: int) -> int:
    """Where a slice starts, counted from the front and within the maps."""
    length = int(maps.shape[side + 2])
    return range(length)[slice(start, None)].start


def _is_place_by_place(node: fx.Node) -> bool:
    """Whether what an operation gives at a place hangs on its inputs at that place only."""
    name, arguments = str(node.target), _arguments(node)
    if name in REDUCTIONS:
        return arguments["dim"] in ([1], 1) and arguments["keepdim"]
    if name == "aten.cat.default":
        return bool(arguments["dim"] == 1)
    if name == "aten.permute.default":
        return list(arguments["dims"]) in (CHANNELS_LAST, CHANNELS_FIRST)
    if name == "aten.layer_norm.default":
        return len(arguments["normalized_shape"]) == 1 and _is_turned(node)
    if name == "aten.linear.default":
        return _is_turned(node)
    if name in ADAPTIVE:
        return bool(arguments["self"].meta["val"].shape == node.meta["val"].shape)
    is_pointwise = torch.Tag.pointwise in getattr(node.target, "tags", ())
    return is_pointwise or name in PLACE_BY_PLACE


def _is_turned(node: fx.Node) -> bool:
    """Whether the channels of the maps that an operation works on stand last."""
    while True:
        maps = [before for before in node.all_input_nodes if before.meta["val"].ndim == 4]
        if not maps:
            return False
        node = maps[0]
        if str(node.target) == "aten.permute.default":
            return list(_arguments(node)["dims"]) == CHANNELS_LAST


def _arguments(node: fx.Node) -> dict[str, Any]:
    """The arguments of an operation by name, with their defaults."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return {}
    values = {argument.name: argument.default_value for argument in schema.arguments}
    return {**values, **dict(zip(values, node.args, strict=False)), **node.kwargs}


def _each(value: Any, count: int, otherwise: list[int]) -> list[int]:
    """A number for each side, of one for all, of one a side, or of none."""
    values = [value] if isinstance(value, int) else list(value) or otherwise
    return values * count if len(values) == 1 else values


def receptive_field_of(
    network: nn.Module,
    images: Float[Tensor, "row channel *side"],
    unit: Sequence[int],
) -> Float[Tensor, "*side"]:
    """How much each pixel moves one number of a network's output, measured by gradients.

    The pixels where it is not zero are those that the unit sees in these images: some of its
    receptive field, or all of it. A ReLU that is off and a window's numbers that are not the
    largest hide the pixels before them, so that several images show more than one. How the
    numbers fall off from the middle is the effective receptive field.

    Args:
        network: The network, used in evaluation mode and left as it was.
        images: Images that it takes.
        unit: The number's place behind the row: (channel, row, column) in maps, (output,) in
            vectors.

    Returns:
        The absolute gradient of each pixel: summed over its channels, the mean over images.

    Raises:
        InputError: If the output has no such number.

    Source:
        Luo, Li, Urtasun, Zemel (2016), "Understanding the effective receptive field in deep
        convolutional neural networks", arXiv 1701.04128, section 3.

    Example:
        >>> network = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        >>> _ = nn.init.ones_(network.weight)
        >>> receptive_field_of(network, torch.zeros(1, 1, 3, 3), (0, 0, 0))
        tensor([[1., 1., 0.],
                [1., 1., 0.],
                [0., 0., 0.]])
    """
    given = images.detach().clone().requires_grad_()
    with evaluating(network), torch.enable_grad():
        outputs: Tensor = network(given)
    sides = outputs.shape[1:]
    if len(unit) != len(sides) or not all(
        -side <= place < side for place, side in zip(unit, sides, strict=True)
    ):
        raise InputError(
            "the network's output has no such number",
            expected=f"places in {list(sides)}",
            got=str(list(unit)),
            do="count from 0, the channel first",
        )
    for place in unit:
        outputs = outputs[:, place]
    (gradient,) = torch.autograd.grad(outputs.sum(), given)
    return gradient.abs().sum(dim=1).mean(dim=0)
