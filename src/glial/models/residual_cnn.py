"""The default network for images: a small residual convolutional network.

Variants: widths, blocks a stage, stride of the stem, activation, attention to places, dropout.

Source:
    He, Zhang, Ren, Sun (2016), "Deep residual learning for image recognition", arXiv 1512.03385;
    shortcuts that average before they project (ResNet-D): He, Zhang, Zhang, Zhang, Xie, Li (2019),
    "Bag of tricks for image classification with convolutional neural networks", arXiv 1812.01187;
    attention to places: Woo, Park, Lee, Kweon (2018), "CBAM: convolutional block attention
    module", arXiv 1807.06521, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.functional.masked import masked_places, mean_of_places
from glial.models.image import ImageNetwork, one_image
from glial.models.settings import ModelSettings
from glial.nn.activations import activation
from glial.nn.initialization import initialize
from glial.nn.map_attention import SpatialAttention

DEFAULT_WIDTHS = (32, 64, 128)
FEW_ROWS, MANY_ROWS, VERY_MANY_ROWS = 2_000, 5_000, 30_000
SMALL_SIDE, LARGE_SIDE = 20, 80


class ResidualCNNSettings(ModelSettings):
    """A residual convolutional network for one column of images.

    Attributes:
        widths: Channels of each stage; every stage but the first halves height and width. None
            is 32, 64 and 128; half of these for fewer than 2,000 rows, and twice for images with
            colours from 5,000 rows on (told by `for_data`).
        depth: Residual blocks of each stage, of two convolutions each.
        stem: Stride of the first convolution; "auto" is 1 for images with a side of less than
            20 pixels, 4 from 80 pixels on, else 2.
        activation: After each convolution.
        attention: ``spatial`` weighs the places of each block's maps before they are added.
        dropout: Share of the features dropped in training before the head.
        initialization: Starting weights of the convolutions.

    Example:
        >>> import torch
        >>> network = ResidualCNNSettings(widths=[4, 8]).build(0, 3, images=[[1, 8, 8]])
        >>> network(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 3])
    """

    takes_numbers: ClassVar[bool] = False
    takes_images: ClassVar[bool] = True
    any_size: ClassVar[bool] = True
    takes_masks: ClassVar[bool] = True
    description: ClassVar[str] = "the default for images: a small residual convolutional network"
    source: ClassVar[str] = "He, Zhang, Ren, Sun (2016), arXiv 1512.03385"

    name: Literal["residual_cnn"] = "residual_cnn"
    widths: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None
    depth: int = Field(default=1, ge=1)
    stem: Literal["auto", 1, 2, 4] = "auto"
    activation: str = "relu"
    attention: Literal["none", "spatial"] = "none"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    initialization: str = "he_normal"

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cycle of the learning rate; more epochs where there are fewer rows.

        Example:
            >>> ResidualCNNSettings.train_defaults("classification", 50_000)["epochs"]
            10
        """
        batch_size, epochs, lr = 32, 40, 0.004
        if num_rows >= VERY_MANY_ROWS:
            batch_size, epochs, lr = 128, 10, 0.004
        elif num_rows >= MANY_ROWS:
            batch_size, epochs, lr = 64, 45, 0.003
        recipe = {
            "optimizer": "adamw",
            "lr": lr,
            "weight_decay": 0.05,
            "schedule": "one_cycle",
            "batch_size": batch_size,
            "epochs": epochs,
            "monitor": "loss" if task == "regression" else "score",
        }
        return recipe if task == "regression" else {**recipe, "task.label_smoothing": 0.1}

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "classification",
        images: Sequence[Sequence[int]] = (),
    ) -> ResidualCNNSettings:
        """Widths by the number of rows, and the stem's stride by the size of the images.

        Example:
            >>> ResidualCNNSettings().for_data(60_000, 0, 10, images=[[1, 28, 28]]).stem
            2
        """
        widths = self.widths
        if widths is None:
            colours = bool(images) and images[0][0] > 1
            factor = 0.5 if num_rows < FEW_ROWS else 2 if colours and num_rows >= MANY_ROWS else 1
            widths = [round(width * factor) for width in DEFAULT_WIDTHS]
        stem = self.stem
        if stem == "auto" and images:
            stem = _stride(images[0])
        return self.model_copy(update={"widths": widths, "stem": stem})

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; without `for_data` its widths are 32, 64 and 128."""
        image = one_image(self.name, num_inputs, cardinalities, images)
        return ResidualCNN(self, image, num_outputs)


def _stride(image: Sequence[int]) -> Literal[1, 2, 4]:
    side = min(image[1:])
    return 1 if side < SMALL_SIDE else 4 if side >= LARGE_SIDE else 2


class _Block(nn.Module):
    """Two convolutions, and a way past them."""

    def __init__(self, before: int, after: int, stride: int, settings: ResidualCNNSettings) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.activation1 = activation(settings.activation)
        self.activation2 = activation(settings.activation)
        self.attention = SpatialAttention() if settings.attention == "spatial" else None
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.AvgPool2d(stride, ceil_mode=True))
        if before != after:
            self.shortcut.append(nn.Conv2d(before, after, 1, bias=False))
            self.shortcut.append(nn.BatchNorm2d(after))

    def forward(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
        hidden = masked_places(self.activation1(self.norm1(self.conv1(images))), mask)
        hidden = self.norm2(self.conv2(hidden))
        if self.attention is not None:
            hidden = self.attention(masked_places(hidden, mask))
        output: Tensor = self.activation2(hidden + self.shortcut(images))
        return masked_places(output, mask)


class ResidualCNN(ImageNetwork):
    """A strided stem, stages of residual blocks, the mean over all places, and a head.

    Parameters: ``stem.*``, ``blocks.<i>.conv1.weight``, ``blocks.<i>.norm1.*`` and so on,
    ``blocks.<i>.shortcut.*``, ``head.weight`` and ``head.bias``. Since it ends in a mean over
    places, it takes images of other sizes than those that it was made for. Called with a mask
    after the images, it says of padded ones what it says of the same images with less padding:
    every convolution sees zeros beyond an image, and the mean is over real pixels. That is exact
    where the padded sides are multiples of all strides together.

    Args:
        settings: The settings.
        image: Channels, height and width of an image.
        num_outputs: Outputs.

    Example:
        >>> import torch
        >>> network = ResidualCNN(ResidualCNNSettings(widths=[4, 8]), [3, 32, 32], 10)
        >>> network.embed(torch.zeros(2, 3, 32, 32)).shape, network.num_features
        (torch.Size([2, 8]), 8)
    """

    def __init__(
        self, settings: ResidualCNNSettings, image: Sequence[int], num_outputs: int
    ) -> None:
        super().__init__()
        widths = settings.widths or list(DEFAULT_WIDTHS)
        stride = _stride(image) if settings.stem == "auto" else settings.stem
        kernel = {1: 3, 2: 4, 4: 8}[stride]
        self.stem = nn.Sequential(
            nn.Conv2d(image[0], widths[0], kernel, stride, (kernel - stride + 1) // 2, bias=False),
            nn.BatchNorm2d(widths[0]),
            activation(settings.activation),
        )
        blocks: list[nn.Module] = []
        before = widths[0]
        for stage, width in enumerate(widths):
            for number in range(settings.depth):
                halves = stage > 0 and number == 0
                blocks.append(_Block(before, width, 2 if halves else 1, settings))
                before = width
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(before, num_outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                initialize(settings.initialization, module.weight)

    def features(
        self,
        images: Float[Tensor, "row channel height width"],
        mask: Float[Tensor, "row 1 height width"] | None = None,
    ) -> Float[Tensor, "row feature high wide"]:
        """Maps of the last stage.

        Args:
            images: Scaled pixels.
            mask: 1 where a pixel is real, 0 where it is padding; None is all real.
        """
        if mask is None:
            maps: Tensor = self.blocks(self.stem(images))
            return maps
        maps = masked_places(self.stem(masked_places(images, mask)), mask)
        for block in self.blocks:
            maps = block(maps, mask)
        return maps

    def embed(
        self,
        images: Float[Tensor, "row channel height width"],
        mask: Float[Tensor, "row 1 height width"] | None = None,
    ) -> Float[Tensor, "row feature"]:
        """What the head sees of each image: the mean over all places, or over the real ones."""
        return mean_of_places(self.features(images, mask), mask)

    def forward(
        self,
        images: Float[Tensor, "row channel height width"],
        mask: Float[Tensor, "row 1 height width"] | None = None,
    ) -> Float[Tensor, "row output"]:
        """The head's output for each image."""
        output: Tensor = self.head(self.dropout(self.embed(images, mask)))
        return output

    def layer_groups(self) -> list[list[str]]:
        """The stem, each block, the head."""
        blocks = [[f"blocks.{number}"] for number in range(len(self.blocks))]
        return [["stem"], *blocks, ["head"]]
