"""Convolutions that torch lacks, and the size of what a convolution or a pooling gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from glial.core.errors import InputError

Padding = int | Literal["valid", "same"] | tuple[int, int]
Images = Float[Tensor, "row channel height width"]


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow does: a side of n pixels gives ``ceil(n / stride)``.

    Zeros are put around the input, by as many as the size of the image needs; where their number
    is odd, the one more stands at the end. Torch's own ``padding="same"`` knows stride 1 only,
    and a symmetric padding sees other pixels where sides are even and the stride is 2. As in
    torch the kernel is not flipped.

    Args:
        in_channels: Channels of the images.
        out_channels: Channels of the maps.
        kernel_size: Side of the kernel, or height and width.
        stride: Pixels from one place to the next.
        dilation: Pixels from one number of the kernel to the next.
        groups: Groups of channels that do not see each other.
        bias: Add a number of its own to each map.

    Source:
        TensorFlow's ``padding="SAME"``, https://www.tensorflow.org/api_docs/python/tf/nn.

    Example:
        >>> import torch
        >>> SameConv2d(3, 8, 3, stride=2)(torch.zeros(1, 3, 15, 20)).shape
        torch.Size([1, 8, 8, 10])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        *,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            dilation=dilation,
            groups=groups,
            bias=bias,
        )

    def forward(self, images: Images) -> Float[Tensor, "row feature high wide"]:
        """The maps."""
        height, width = (
            same_padding(
                images.shape[axis + 2], self.kernel_size[axis], stride, self.dilation[axis]
            )
            for axis, stride in enumerate(self.stride)
        )
        extra = (0, width[1] - width[0], 0, height[1] - height[0])
        if any(extra):
            images = functional.pad(images, extra)
        return functional.conv2d(
            images,
            self.weight,
            self.bias,
            self.stride,
            (height[0], width[0]),
            self.dilation,
            self.groups,
        )

    def extra_repr(self) -> str:
        """The sizes, as the module's printed form shows them."""
        return f"{super().extra_repr()}, padding=same"  # type: ignore[no-untyped-call]


class DepthwiseSeparableConv2d(nn.Module):
    """A convolution in two: one kernel for each channel, then a mixture of channels at each place.

    With a kernel of k by k, c channels before and o after it has ``k k c + c o`` weights in the
    place of ``k k c o``, and as many fewer products.

    Args:
        in_channels: Channels of the images.
        out_channels: Channels of the maps.
        kernel_size: Side of the kernels.
        stride: Pixels from one place to the next.
        padding: Zeros on each side, or ``same`` as in `SameConv2d`.
        dilation: Pixels from one number of a kernel to the next.
        bias: Add a number of its own to each map, in both parts.
        between: What stands between the two; MobileNet has normalisation and an activation there.

    Source:
        Howard et al. (2017), "MobileNets: efficient convolutional neural networks for mobile
        vision applications", arXiv 1704.04861, section 3.1.

    Example:
        >>> import torch
        >>> layer = DepthwiseSeparableConv2d(8, 16, 3, bias=False)
        >>> sum(weight.numel() for weight in layer.parameters()), 3 * 3 * 8 + 8 * 16
        (200, 200)
        >>> layer(torch.zeros(1, 8, 5, 5)).shape
        torch.Size([1, 16, 5, 5])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        *,
        padding: int | Literal["same"] = "same",
        dilation: int = 1,
        bias: bool = True,
        between: nn.Module | None = None,
    ) -> None:
        super().__init__()
        sizes = (in_channels, in_channels, kernel_size, stride)
        self.depthwise: nn.Conv2d
        if padding == "same":
            self.depthwise = SameConv2d(*sizes, dilation=dilation, groups=in_channels, bias=bias)
        else:
            self.depthwise = nn.Conv2d(*sizes, padding, dilation, groups=in_channels, bias=bias)
        self.between = nn.Identity() if between is None else between
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=bias)

    def forward(self, images: Images) -> Float[Tensor, "row feature high wide"]:
        """The maps."""
        maps: Tensor = self.pointwise(self.between(self.depthwise(images)))
        return maps


def same_padding(size: int, kernel: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Zeros before and after a side, so that it gives ``ceil(size / stride)`` places.

    Args:
        size: Pixels of the side.
        kernel: Numbers of the kernel along it.
        stride: Pixels from one place to the next.
        dilation: Pixels from one number of the kernel to the next.

    Returns:
        Both; the second is the larger one by 1 where their sum is odd. At stride 1 and with an
        odd kernel each is ``(kernel - 1) / 2``.

    Source:
        See `SameConv2d`.

    Example:
        >>> same_padding(5, 3), same_padding(6, 3, stride=2), same_padding(7, 1, stride=2)
        ((1, 1), (0, 1), (0, 0))
    """
    places = -(-size // stride)
    total = max((places - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


@overload
def conv_output_size(
    size: int,
    kernel: int,
    stride: int = 1,
    padding: Padding = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int: ...


@overload
def conv_output_size(
    size: tuple[int, ...],
    kernel: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: Padding | Sequence[Padding] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> tuple[int, ...]: ...


def conv_output_size(
    size: int | tuple[int, ...],
    kernel: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: Any = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> int | tuple[int, ...]:
    r"""How many places a convolution or a pooling has along a side.

    .. math:: \left\lfloor \frac{n + 2p - d(f - 1) - 1}{s} \right\rfloor + 1

    Args:
        size: Pixels n of the side, or of each side.
        kernel: Numbers f of the kernel along it; here and below one for all sides, or one a side.
        stride: Pixels s from one place to the next; a pooling's is mostly its kernel.
        padding: Pixels p put before the side and as many after it; a pair (before, after) where
            there is one side, in a sequence of one entry a side where there are several; ``valid``
            is none, ``same`` is as in `SameConv2d`.
        dilation: Pixels d from one number of the kernel to the next.
        ceil_mode: Keep a last window that is not full, as torch's poolings do, if it does not
            start in the padding behind the side.

    Returns:
        The number of places: an int for an int, else one for each side.

    Raises:
        InputError: If the kernel is larger than the padded side.

    Source:
        Dumoulin, Visin (2016), "A guide to convolution arithmetic for deep learning",
        arXiv 1603.07285, relationships 6 and 15.

    Example:
        >>> conv_output_size(12, 3), conv_output_size(5, 7, padding=1)
        (10, 1)
        >>> conv_output_size((224, 224), 7, stride=2, padding=3)
        (112, 112)
    """
    if not isinstance(size, tuple):
        return conv_output_size((size,), kernel, stride, [padding], dilation, ceil_mode)[0]
    return tuple(
        _places(*sides, ceil_mode)
        for sides in zip(
            size,
            _each(kernel, len(size)),
            _each(stride, len(size)),
            _each(padding, len(size)),
            _each(dilation, len(size)),
            strict=True,
        )
    )


def _each(value: Any, count: int) -> list[Any]:
    """An entry a side, of one for all or a sequence of one a side."""
    if isinstance(value, int | str):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise InputError(
            "not one entry for each side",
            expected=f"one number, or {count} of them",
            got=repr(value),
            do="give an entry a side, a padding before and after a side as a pair within it",
        )
    return values


def _places(
    size: int, kernel: int, stride: int, padding: Padding, dilation: int, ceil_mode: bool
) -> int:
    if padding == "same":
        return -(-size // stride)
    if padding == "valid":
        padding = 0
    before, after = padding if isinstance(padding, tuple) else (padding, padding)
    span = (kernel - 1) * dilation + 1
    free = size + before + after - span
    places = (-(-free // stride) if ceil_mode else free // stride) + 1
    if ceil_mode and (places - 1) * stride >= size + before:
        places -= 1
    if places < 1:
        raise InputError(
            "the kernel is larger than the padded image",
            expected=f"a side of at least {span} pixels, padding included",
            got=f"{size} pixels and {before} + {after} of padding",
            do="take a smaller kernel or a larger image, or pad more",
        )
    return places
