"""What all networks of one image have in common: sizes, maps, embeddings, a head, layer groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.models.settings import ModelSettings

TRANSFER_SIDE = 128  # published weights see little in smaller images
Scaling = Literal["imagenet", "signed", "standard"]


class ImageModelSettings(ModelSettings):
    """A network of one column of images.

    The class knows what the network was published with; `build` makes it for other images, with
    as many channels as they have.

    Attributes:
        input_size: [channel, height, width] of the images that it was published for.
        min_side: The least height and width that it takes.
        normalization: How pixels were scaled for its published weights: ``imagenet`` by the means
            (0.485, 0.456, 0.406) and deviations (0.229, 0.224, 0.225) of ImageNet's colours,
            ``signed`` to -1 to 1, ``standard`` by the training rows' own.
        num_classes: Outputs that it was published with.
        width: Factor on the channels of every layer; 1 is the published network.

    Example:
        >>> ImageModelSettings().for_data(100, 0, 10).width
        1.0
    """

    takes_numbers: ClassVar[bool] = False
    takes_images: ClassVar[bool] = True
    any_size: ClassVar[bool] = True
    input_size: ClassVar[tuple[int, int, int]] = (3, 224, 224)
    min_side: ClassVar[int] = 32
    normalization: ClassVar[Scaling] = "imagenet"
    num_classes: ClassVar[int] = 1000

    width: float = Field(default=1.0, gt=0, le=16)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cycle of the learning rate; more epochs where there are fewer rows.

        Example:
            >>> ImageModelSettings.train_defaults("classification", 50_000)["epochs"]
            20
        """
        recipe = {
            "optimizer": "adamw",
            "lr": 0.002,
            "weight_decay": 0.05,
            "schedule": "one_cycle",
            "batch_size": 64 if num_rows >= 5_000 else 32,
            "epochs": 20 if num_rows >= 30_000 else 30,
            "clip_norm": 1.0,
            "monitor": "loss" if task == "regression" else "score",
        }
        return recipe if task == "regression" else {**recipe, "task.label_smoothing": 0.1}

    def transfer_defaults(self, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """Fewer epochs and a lower rate than from scratch.

        Example:
            >>> ImageModelSettings().transfer_defaults("classification")["lr"]
            0.001
        """
        shorter = {"lr": 0.001, "batch_size": 32, "epochs": 12 if num_rows >= 5_000 else 15}
        return {**self.train_defaults(task, num_rows), **shorter}

    def data_defaults(self) -> dict[str, Any]:
        """Images as large as the network needs; as its published weights know them, with these.

        Example:
            >>> ImageModelSettings(weights="imagenet").data_defaults()["images.scaling"]
            'imagenet'
        """
        if self.weights is None:
            return {"images.min_side": self.min_side}
        side = max(self.min_side, min(TRANSFER_SIDE, *self.input_size[1:]))
        colours = {"images.scaling": self.normalization, "images.channels": "rgb"}
        return {"images.min_side": side, **colours}

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "classification",
        images: Sequence[Sequence[int]] = (),
    ) -> ImageModelSettings:
        """The settings as they are: the network is the published one, whatever the data."""
        return self.model_copy()

    def build(
        self,
        num_inputs: int = 0,
        num_outputs: int | None = None,
        cardinalities: Sequence[int] = (),
        images: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; with no sizes the published one.

        Args:
            num_inputs: 0.
            num_outputs: Numbers that the head gives for a row; None is as published.
            cardinalities: None.
            images: [channel, height, width] of the one image; none is as published.

        Raises:
            InputError: If there is anything beside one image, or it is too small.
        """
        image = self.input_size
        if images or num_inputs or cardinalities:
            image = one_image(self.name_or_kind, num_inputs, cardinalities, images)
        if min(image[1:]) < self.min_side:
            raise InputError(
                f"the images are too small for the model {self.name_or_kind!r}",
                expected=f"at least {self.min_side} x {self.min_side} pixels",
                got=f"{image[1]} x {image[2]}",
                do=f"set data.images.size=[{self.min_side},{self.min_side}], "
                "for sounds more data.sounds.bands or seconds, or choose the model residual_cnn",
            )
        outputs = self.num_classes if num_outputs is None else num_outputs
        self.check_sizes(0, outputs, images=[image])
        return self.network(image, outputs)

    @property
    def name_or_kind(self) -> str:
        """The model's name in the table."""
        return str(getattr(self, "name", type(self).__name__))

    def network(self, image: tuple[int, int, int], num_outputs: int) -> nn.Module:
        """The network of images of one size, an `ImageNetwork`.

        Args:
            image: [channel, height, width].
            num_outputs: Outputs of the head.
        """
        raise NotImplementedError

    def scaled(self, channels: int, divisor: int = 8) -> int:
        """A number of channels times the width, as a multiple of the divisor; as it is at width 1.

        Example:
            >>> settings = ImageModelSettings(width=0.25)
            >>> settings.scaled(64), settings.scaled(100), ImageModelSettings().scaled(100)
            (16, 24, 100)
        """
        if self.width == 1:
            return channels
        return max(divisor, round(channels * self.width / divisor) * divisor)


class ImageNetwork(nn.Module):
    """Maps of an image, one vector of them, and a linear head.

    Who derives from it names its head, gives ``features`` (a method, or a module where published
    weights have one of this name) and, where the vector is not the mean over all places, `embed`.

    Attributes:
        head_name: Path of the last linear layer, as in ``named_modules()``.
        auxiliary_names: Paths of the heads that are there in training only.
        groups: Layers from the image to the head, as prefixes of parameters' names: what is frozen,
            set free and given rates together.
        features: Maps of the last stage, [row, channel, height, width].

    Example:
        >>> import torch
        >>> from glial.models.residual_cnn import ResidualCNNSettings
        >>> network = ResidualCNNSettings(widths=[4, 8]).build(0, 3, images=[[3, 32, 32]])
        >>> images = torch.zeros(2, 3, 32, 32)
        >>> network.features(images).shape, network.embed(images).shape, network.num_features
        (torch.Size([2, 8, 8, 8]), torch.Size([2, 8]), 8)
        >>> network.reset_head(5)
        >>> network(images).shape, [group[0] for group in network.layer_groups()]
        (torch.Size([2, 5]), ['stem', 'blocks.0', 'blocks.1', 'head'])
    """

    head_name: ClassVar[str] = "head"
    auxiliary_names: ClassVar[tuple[str, ...]] = ()
    groups: ClassVar[tuple[tuple[str, ...], ...]] = ()
    features: Callable[[Tensor], Tensor]

    def embed(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature"]:
        """What the head sees of each image: by default the mean over all places."""
        return self.features(images).mean(dim=(2, 3))

    def forward(self, images: Float[Tensor, "row channel height width"]) -> Any:
        """The head's output for each image, [row, output]."""
        return self.classifier_head(self.embed(images))

    @property
    def classifier_head(self) -> nn.Module:
        """The last linear layer."""
        return self.get_submodule(self.head_name)

    @property
    def num_features(self) -> int:
        """Numbers of an image's embedding."""
        head = self.classifier_head
        if not isinstance(head, nn.Linear):
            raise AttributeError(f"{self.head_name} is not linear")  # noqa: TRY004 - for hasattr
        return head.in_features

    def reset_head(self, num_outputs: int) -> None:
        """Put a new last layer, for other classes, in the place of the old one.

        Args:
            num_outputs: Its outputs.
        """
        self.set_submodule(self.head_name, new_head(self.classifier_head, num_outputs))

    def remove_head(self) -> None:
        """Leave nothing behind the embedding: neither the head nor auxiliary ones."""
        self.set_submodule(self.head_name, nn.Identity())
        for name in self.auxiliary_names:
            setattr(self, name, None)

    def layer_groups(self) -> list[list[str]]:
        """Prefixes of parameters' names, a group each from the image to the head."""
        return [list(group) for group in self.groups]


def new_head(old: nn.Module, num_outputs: int) -> nn.Linear:
    """A linear layer of the inputs of another, its weights small and its biases zero.

    Example:
        >>> new_head(nn.Linear(4, 10), 3).weight.shape
        torch.Size([3, 4])
    """
    assert isinstance(old, nn.Linear)  # noqa: S101 - narrows the type
    kinds: dict[str, Any] = {"device": old.weight.device, "dtype": old.weight.dtype}
    head = nn.Linear(old.in_features, num_outputs, **kinds)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head


def one_image(
    name: str, num_inputs: int, cardinalities: Sequence[int], images: Sequence[Sequence[int]]
) -> tuple[int, int, int]:
    """The size of the one image of a row that holds nothing else.

    Raises:
        InputError: If there is none, or anything beside it.

    Example:
        >>> one_image("resnet18", 0, [], [[3, 32, 32]])
        (3, 32, 32)
    """
    if len(images) != 1 or num_inputs or cardinalities:
        raise InputError(
            f"the model {name!r} takes one column of images and nothing else",
            expected="one image",
            got=f"{len(images)} images, {num_inputs} numbers, {len(cardinalities)} categories",
            do="choose the model mixed, or leave the other columns out",
        )
    channels, height, width = images[0]
    return channels, height, width
