"""ViT-B/16: a transformer over an image's patches of 16 x 16 pixels.

Variants: width (a multiple of 96 numbers for each patch), dropout.

Source:
    Dosovitskiy et al. (2021), "An image is worth 16x16 words: transformers for image recognition
    at scale", arXiv 2010.11929, section 3.1. Departure: the head starts with small numbers, not
    zeros, so that every layer learns from the first step on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from math import isqrt
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.models.image import ImageModelSettings, ImageNetwork
from glial.nn.attention import MultiHeadAttention

SIZE, DEPTH, HEADS, PATCH = 768, 12, 12, 16
EPSILON = 1e-6
POSITIONS = "encoder.pos_embedding"


class ViTSettings(ImageModelSettings):
    """A vision transformer.

    The network is one for images of the size that it is built for, in patches of 16 x 16 pixels.

    Attributes:
        name: The variant.
        dropout: Share of numbers dropped in training behind the positions, in and behind each
            layer's two parts.

    Example:
        >>> network = ViTSettings(width=0.125).build(0, 5, images=[[3, 64, 32]])
        >>> network(torch.zeros(2, 3, 64, 32)).shape
        torch.Size([2, 5])
    """

    description: ClassVar[str] = "a transformer over an image's patches; wants many images"
    source: ClassVar[str] = "Dosovitskiy et al. (2021), arXiv 2010.11929"
    any_size: ClassVar[bool] = False
    min_side: ClassVar[int] = PATCH

    name: Literal["vit_b_16"] = "vit_b_16"
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """As for other networks of images, with a lower rate: transformers learn by small steps.

        Source:
            Touvron et al. (2021), "Training data-efficient image transformers", arXiv 2012.12877,
            table 9.

        Example:
            >>> ViTSettings.train_defaults("classification")["lr"]
            0.0005
        """
        return {**super().train_defaults(task, num_rows), "lr": 0.0005}

    def converted(self, state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
        """Published weights for a network of images of its size.

        The vectors of positions are interpolated bicubically, corner on corner; that of the
        class token stays. Where they are as many as the network's they are taken as they are.
        Names of older files (``mlp.linear_1``) become those of the network.

        Args:
            state: Tensors by torchvision's names, of a network of square images where the number
                of positions is another.
            network: Whom they are for.

        Raises:
            InputError: If the number of positions is another and not that of a square.

        Example:
            >>> settings = ViTSettings(width=0.125)
            >>> network = settings.build(0, 5, images=[[3, 64, 32]])
            >>> state = {"encoder.pos_embedding": torch.zeros(1, 1 + 14 * 14, 96)}
            >>> settings.converted(state, network)["encoder.pos_embedding"].shape
            torch.Size([1, 9, 96])
        """
        renamed = {
            name.replace("mlp.linear_1.", "mlp.0.").replace("mlp.linear_2.", "mlp.3."): value
            for name, value in state.items()
        }
        if POSITIONS in renamed:
            assert isinstance(network, ViT)  # noqa: S101 - narrows the type
            renamed[POSITIONS] = resized_positions(renamed[POSITIONS], network.grid)
        return renamed

    def data_defaults(self) -> dict[str, Any]:
        """Sides that whole patches fill.

        Example:
            >>> ViTSettings().data_defaults()
            {'images.min_side': 16, 'images.multiple': 16}
        """
        return {**super().data_defaults(), "images.multiple": PATCH}

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network for images of one size.

        Raises:
            InputError: If a side is not a multiple of 16.
        """
        if image[1] % PATCH or image[2] % PATCH:
            fits = [PATCH * -(-side // PATCH) for side in image[1:]]
            raise InputError(
                f"the images cannot be cut into patches for the model {self.name!r}",
                expected=f"a height and a width that are multiples of {PATCH}",
                got=f"{image[1]} x {image[2]}",
                do=f"set data.images.size=[{fits[0]},{fits[1]}]",
            )
        return ViT(self, image, num_outputs)


def resized_positions(
    positions: Float[Tensor, "1 before size"], grid: tuple[int, int]
) -> Float[Tensor, "1 after size"]:
    """The vectors of positions of a square grid of patches, for another grid.

    Args:
        positions: The class token's vector, then those of the patches row by row.
        grid: Patches along height and width.

    Returns:
        As before, the patches' interpolated bicubically; the same tensor where there are as many.

    Raises:
        InputError: If there are not as many patches as in a square, and the grid has another
            number of them.

    Example:
        >>> resized_positions(torch.zeros(1, 5, 8), (3, 4)).shape
        torch.Size([1, 13, 8])
    """
    count = positions.shape[1] - 1
    if count == grid[0] * grid[1]:
        return positions
    side = isqrt(count)
    if side * side != count or not count:
        raise InputError(
            "the positions are not those of square images",
            expected="a square number of patches",
            got=str(count),
            do=f"take weights of square images, or of {grid[0]} x {grid[1]} patches",
        )
    maps = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    maps = functional.interpolate(maps, grid, mode="bicubic", align_corners=True)
    return torch.cat([positions[:, :1], maps.flatten(2).transpose(1, 2)], dim=1)


class EncoderLayer(nn.Module):
    """Attention over positions, then two linear layers at each, each normalised and added.

    Args:
        size: Numbers of a vector; between the linear layers there are four times as many.
        heads: Heads of the attention.
        dropout: Share of numbers dropped in training.

    Source:
        Dosovitskiy et al. (2021), figure 1 (right), equations 2 and 3.

    Example:
        >>> EncoderLayer(8, 2)(torch.zeros(3, 5, 8)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(self, size: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(size, EPSILON)
        self.self_attention = MultiHeadAttention(size, heads)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(size, EPSILON)
        layers = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)
        self.mlp = nn.Sequential(
            layers[0], nn.GELU(), nn.Dropout(dropout), layers[1], nn.Dropout(dropout)
        )
        for layer in layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)

    def forward(
        self,
        vectors: Float[Tensor, "row position size"],
        mask: Bool[Tensor, "row position"] | None = None,
    ) -> Float[Tensor, "row position size"]:
        """The vectors of the next layer.

        Args:
            vectors: One a position.
            mask: Positions that are no padding; None counts all.
        """
        mixed = vectors + self.dropout(self.self_attention(self.ln_1(vectors), mask=mask))
        output: Tensor = mixed + self.mlp(self.ln_2(mixed))
        return output


class Encoder(nn.Module):
    """Vectors of positions, layers, and a normalisation.

    Args:
        positions: Patches and the class token.
        size: Numbers of a vector.
        dropout: Share of numbers dropped in training.

    Example:
        >>> Encoder(5, 96)(torch.zeros(2, 5, 96)).shape
        torch.Size([2, 5, 96])
    """

    def __init__(self, positions: int, size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.empty(1, positions, size).normal_(std=0.02))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential()
        for number in range(DEPTH):
            layer = EncoderLayer(size, HEADS, dropout)
            self.layers.add_module(f"encoder_layer_{number}", layer)
        self.ln = nn.LayerNorm(size, EPSILON)

    def forward(
        self, vectors: Float[Tensor, "row position size"]
    ) -> Float[Tensor, "row position size"]:
        """The last vectors."""
        output: Tensor = self.ln(self.layers(self.dropout(vectors + self.pos_embedding)))
        return output


class ViT(ImageNetwork):
    """Patches and a class token, twelve layers over them, and a head on the class token.

    Parameters have torchvision's names: ``class_token``, ``conv_proj.*``,
    ``encoder.pos_embedding``, ``encoder.layers.encoder_layer_<i>.*``, ``encoder.ln.*``,
    ``heads.head.weight`` and ``heads.head.bias``.

    Args:
        settings: The settings.
        image: [channel, height, width], the last two multiples of 16.
        num_outputs: Outputs.

    Example:
        >>> network = ViT(ViTSettings(width=0.125), (3, 64, 32), 10)
        >>> images = torch.zeros(1, 3, 64, 32)
        >>> network.features(images).shape, network.embed(images).shape, network.num_features
        (torch.Size([1, 96, 4, 2]), torch.Size([1, 96]), 96)
    """

    head_name = "heads.head"
    groups = (
        ("class_token", "conv_proj", "encoder.pos_embedding"),
        *((f"encoder.layers.encoder_layer_{number}",) for number in range(DEPTH)),
        ("encoder.ln", "heads"),
    )

    def __init__(
        self, settings: ViTSettings, image: tuple[int, int, int], num_outputs: int
    ) -> None:
        super().__init__()
        size = settings.scaled(SIZE, 8 * HEADS)
        self.side = image[1:]
        self.grid = (image[1] // PATCH, image[2] // PATCH)
        self.class_token = nn.Parameter(torch.zeros(1, 1, size))
        self.conv_proj = nn.Conv2d(image[0], size, PATCH, PATCH)
        self.encoder = Encoder(1 + self.grid[0] * self.grid[1], size, settings.dropout)
        nn.init.trunc_normal_(self.conv_proj.weight, std=(image[0] * PATCH**2) ** -0.5)
        head = nn.Linear(size, num_outputs)
        self.heads = nn.Sequential(OrderedDict(head=head))
        nn.init.normal_(head.weight, std=0.01)
        for layer in (self.conv_proj, head):
            assert isinstance(layer.bias, Tensor)  # noqa: S101 - narrows the type
            nn.init.zeros_(layer.bias)

    def vectors(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row position size"]:
        """The last vectors: the class token's, then those of the patches row by row.

        Raises:
            InputError: If the images are of another size than the network.
        """
        if images.shape[2:] != self.side:
            raise InputError(
                "the network is one for images of another size",
                expected=f"{self.side[0]} x {self.side[1]}",
                got=f"{images.shape[2]} x {images.shape[3]}",
                do="resize the images, or build a network of their size",
            )
        patches = self.conv_proj(images).flatten(2).transpose(1, 2)
        token = self.class_token.expand(patches.shape[0], -1, -1)
        output: Tensor = self.encoder(torch.cat([token, patches], dim=1))
        return output

    def features(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature high wide"]:
        """The patches' last vectors as maps, a 16th of the image high and wide."""
        patches = self.vectors(images)[:, 1:].transpose(1, 2)
        return patches.reshape(*patches.shape[:2], *self.grid)

    def embed(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature"]:
        """The class token's last vector."""
        return self.vectors(images)[:, 0]
