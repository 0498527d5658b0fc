"""A memory of what normal images look like, patch by patch; what is unlike all of it is anomalous.

Source:
    Roth et al. (2022), "Towards total recall in industrial anomaly detection", arXiv 2106.08265:
    the maps of a network's layers, each place with its neighbours, a greedy coreset of normal ones,
    and the distance to the nearest of these. Distances are those of Mahalanobis, as by Rippel et
    al. (2020), arXiv 2005.14140, each beside how near normal patches lie around there, as by
    Breunig et al. (2000), "LOF: identifying density-based local outliers",
    doi:10.1145/342009.335388.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.core.errors import InputError
from glial.functional import blurred, gaussian_kernels, greedy_coreset
from glial.models.efficientnet_lite import EfficientNetLite, EfficientNetLiteSettings
from glial.models.unlabelled import Drawn, UnlabelledSettings
from glial.models.weights import start_from

COLOURS, OF_IMAGENET = 3, 1000
NEIGHBOURHOOD = 3  # places on a side that each place is averaged with
STARTING_IMAGES = 64
LEAST_VARIANCE = 0.01  # added to each feature's, in units of how it usually varies
PATCHES_AT_ONCE = 4096  # that may come into the memory with a batch
OTHERS = 3  # normal patches that are kept to look around among, for each that is remembered
NEAR = 3  # of these, that around each are looked for
SAME = 0.01  # a patch so near is the one that is remembered
DISTANCES_AT_ONCE = 1 << 23

Images = Float[Tensor, "row channel height width"]
Maps = Float[Tensor, "row feature high wide"]


class PatchMemorySettings(UnlabelledSettings):
    """A memory of patches.

    Attributes:
        features: What images are seen with: ``imagenet`` for the published weights of an
            EfficientNet-Lite0, ``random`` for its first ones, or a file of its weights or a run.
        stages: Of its stages, counted from 0, those whose maps are looked at, ascending.
        memory: Patches that are kept, at most.
        blur: Standard deviation of the blur over what each pixel is told, in pixels.

    Example:
        >>> network = PatchMemorySettings(features="random").build(0, images=[[1, 32, 32]])
        >>> network.parts(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 1, 32, 32])
    """

    description: ClassVar[str] = "anomalous images: far from all patches that are remembered"
    source: ClassVar[str] = "Roth et al. (2022), arXiv 2106.08265"
    tasks: ClassVar[tuple[str, ...]] = ("anomaly",)
    takes_numbers: ClassVar[bool] = False
    objective: ClassVar[str] = "remembering"

    name: Literal["patch_memory"] = "patch_memory"
    features: str = "imagenet"
    stages: list[int] = Field(default=[0, 1], min_length=1)
    memory: int = Field(default=1000, ge=1)
    blur: float = Field(default=4.0, gt=0)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """All images once.

        Example:
            >>> PatchMemorySettings.train_defaults("anomaly")["epochs"]
            1
        """
        return {"epochs": 1, "batch_size": 16, "lr": 1.0}

    def for_data(
        self,
        num_rows: int,
        num_inputs: int,
        num_outputs: int,
        task: str = "anomaly",
        *,
        images: Sequence[Sequence[int]] = (),
    ) -> PatchMemorySettings:
        """The same: nothing is left open.

        Args:
            num_rows: Rows of training.
            num_inputs: 0.
            num_outputs: 0.
            task: Name of the task.
            images: [channel, height, width] of the one image.
        """
        return self.model_copy()

    def build(
        self,
        num_inputs: int,
        num_outputs: int = 0,
        cardinalities: Sequence[int] = (),
        *,
        images: Sequence[Sequence[int]] = (),
        sequences: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network, its memory empty.

        Args:
            num_inputs: 0.
            num_outputs: 0.
            cardinalities: None.
            images: [channel, height, width] of the one image.
            sequences: None.

        Raises:
            InputError: If there is anything but one column of images, grey or of colours.
        """
        shape = self.shape_of(
            num_inputs, num_outputs, cardinalities, images=images, sequences=sequences
        )
        if shape[0] not in (1, COLOURS):
            raise InputError(
                "the model 'patch_memory' looks at grey images or colours",
                expected="1 or 3 channels",
                got=str(shape[0]),
                do="set data.images.color=rgb",
            )
        return PatchMemory(self)


class PatchMemory(nn.Module):
    """The eyes, what they saw of normal images, and how far others are from it.

    Images come from -1 to 1. The eyes look as they do in evaluation, also while it is remembered.

    Args:
        settings: The settings.

    Raises:
        InputError: If stages are none of the eyes', or not ascending.

    Example:
        >>> network = PatchMemory(PatchMemorySettings(features="random", memory=5))
        >>> images = torch.rand(4, 3, 32, 32) * 2 - 1
        >>> network.start(images)
        >>> _ = network.remember(images)
        >>> int(network.filled), network.scores(images).shape
        (5, torch.Size([4]))
    """

    memory: Tensor
    near: Tensor
    others: Tensor
    chances: Tensor
    seen: Tensor
    filled: Tensor
    center: Tensor
    whitening: Tensor

    def __init__(self, settings: PatchMemorySettings) -> None:
        super().__init__()
        self.settings = settings
        eyes = EfficientNetLite(EfficientNetLiteSettings(), COLOURS, 1)
        stages, there = list(settings.stages), len(eyes.blocks)
        if stages != sorted(set(stages)) or not 0 <= stages[0] <= stages[-1] < there:
            raise InputError(
                "these stages cannot be looked at",
                expected=f"numbers from 0 to {there - 1}, ascending",
                got=str(stages),
                do="set model.stages=[0,1]",
            )
        self.stages, self._blur = stages, settings.blur
        self.conv_stem, self.bn1 = eyes.conv_stem, eyes.bn1
        self.blocks = nn.Sequential(*list(eyes.blocks)[: stages[-1] + 1])
        self.train()
        with torch.no_grad():
            size = self._seen(torch.zeros(1, COLOURS, 32, 32)).shape[1]
        self.register_buffer("center", torch.zeros(size))
        self.register_buffer("whitening", torch.eye(size))
        self.register_buffer("memory", torch.zeros(settings.memory, size))
        self.register_buffer("near", torch.ones(settings.memory))
        self.register_buffer("others", torch.zeros(OTHERS * settings.memory, size))
        self.register_buffer("chances", torch.full((OTHERS * settings.memory,), torch.inf))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def train(self, mode: bool = True) -> PatchMemory:
        """The mode; the eyes are always in evaluation."""
        super().train(mode)
        self.bn1.eval()
        self.blocks.eval()
        return self

    @torch.no_grad()
    def start(self, images: Images) -> None:
        """Put the published weights in, and measure what the eyes usually see.

        Args:
            images: Some normal images.

        Raises:
            InputError: If the weights are not at hand.
        """
        if self.settings.features != "random":
            settings = EfficientNetLiteSettings(weights=self.settings.features)
            published = EfficientNetLite(settings, COLOURS, OF_IMAGENET)
            start_from(published, settings)
            own = self.state_dict()
            theirs = published.state_dict()
            self.load_state_dict({**own, **{k: v for k, v in theirs.items() if k in own}})
        patches = _patches(self._seen(images[:STARTING_IMAGES])).double()
        center, spread = patches.mean(dim=0), patches.std(dim=0, correction=0)
        scaled = (patches - center) / spread.clamp_min(1e-6)
        values, vectors = torch.linalg.eigh(scaled.T @ scaled / len(scaled))
        turned = vectors / (values.clamp_min(0) + LEAST_VARIANCE).sqrt()
        self.center.copy_(center)
        self.whitening.copy_(turned / spread.clamp_min(1e-6)[:, None])

    @torch.no_grad()
    def remember(self, images: Images) -> Tensor:
        """Take normal images into the memory; once it is full, it keeps those that stand for all.

        Args:
            images: The images.

        Returns:
            How far their patches are from what is remembered, in the mean.
        """
        count = int(self.filled)
        patches = _patches(self.maps(images))
        # Which patches are taken hangs on how many were seen: a step draws nothing.
        generator = torch.Generator().manual_seed(int(self.seen))
        chances = torch.rand(len(patches), generator=generator).to(patches)
        self.seen += len(patches)
        some = patches[chances.argsort()[:PATCHES_AT_ONCE]]
        known = torch.cat([self.memory[:count], some])
        chosen, distances = greedy_coreset(known, len(self.memory))
        self.memory.zero_()
        self.memory[: len(chosen)] = known[chosen]
        self.filled.fill_(len(chosen))
        self._look_around(patches, chances)
        return distances[count:].mean()

    def _look_around(self, patches: Tensor, chances: Tensor) -> None:
        """How near other normal patches lie to each that is remembered, by a fair sample of all."""
        lowest = torch.cat([self.chances, chances]).topk(len(self.others), largest=False)
        self.others.copy_(torch.cat([self.others, patches])[lowest.indices])
        self.chances.copy_(lowest.values)
        there = self.others[self.chances.isfinite()]
        gaps = torch.cdist(self.memory, there)
        gaps.masked_fill_(gaps < SAME, torch.inf)
        if gaps.shape[1] >= NEAR:
            around = gaps.topk(NEAR, dim=1, largest=False).values[:, -1]
            self.near.copy_(around.where(around.isfinite(), torch.ones_like(around)))

    def maps(self, images: Images) -> Maps:
        """What is seen of images, turned so that all features vary alike and by themselves."""
        seen = self._seen(images).movedim(1, 3)
        found: Tensor = ((seen - self.center) @ self.whitening).movedim(3, 1)
        return found

    def _seen(self, images: Images) -> Maps:
        hidden = functional.relu6(self.bn1(self.conv_stem(images.expand(-1, COLOURS, -1, -1))))
        found: list[Tensor] = []
        for number, stage in enumerate(self.blocks):
            hidden = stage(hidden)
            if number in self.stages:
                found.append(_with_neighbours(hidden))
        size = (found[-1].shape[2], found[-1].shape[3])
        return torch.cat([functional.adaptive_avg_pool2d(maps, size) for maps in found], dim=1)

    def forward(self, images: Images) -> Float[Tensor, "row high wide"]:
        """How far each patch is from the nearest that is remembered.

        In units of how far normal ones are from that.
        """
        maps = self.maps(images)
        count = max(1, int(self.filled))
        parts = torch.split(_patches(maps), max(1, DISTANCES_AT_ONCE // count))
        nearest = [torch.cdist(part, self.memory[:count]).min(dim=1) for part in parts]
        beside = torch.cat([one.values / self.near[one.indices] for one in nearest])
        return beside.reshape(len(images), *maps.shape[2:])

    def _told(self, patches: Tensor, size: Sequence[int]) -> Float[Tensor, "row 1 height width"]:
        """How far the surroundings of each pixel are, from what is said of patches."""
        wide = functional.interpolate(
            patches[:, None], list(size), mode="bilinear", align_corners=False
        )
        return blurred(wide, gaussian_kernels(torch.full_like(wide[0, 0, 0, :1], self._blur)))

    def scores(self, images: Images) -> Float[Tensor, " row"]:
        """How far the surroundings are of the pixel where they are farthest."""
        return self._told(self(images), images.shape[2:]).amax(dim=(1, 2, 3))

    def parts(self, images: Images) -> Images:
        """How far each pixel's surroundings are, alike for all its channels."""
        return self._told(self(images), images.shape[2:]).expand_as(images) / images.shape[1]

    def draw(self, images: Images, *, generator: torch.Generator) -> Drawn:
        """The images themselves; nothing is drawn."""
        return Drawn((images,), images)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """How far patches are from what is remembered, in the mean."""
        each = outputs.mean(dim=(1, 2))
        return each.mean() if weight is None else (each * weight).sum() / weight.sum()

    def measure(self, images: Images, *, generator: torch.Generator) -> dict[str, Tensor]:
        """``distance``: of the farthest patch of each image."""
        return {"distance": self.scores(images)}


def _with_neighbours(maps: Tensor) -> Tensor:
    """Each place as the mean of those around it."""
    reach = NEIGHBOURHOOD // 2
    return functional.avg_pool2d(maps, NEIGHBOURHOOD, 1, reach, count_include_pad=False)


def _patches(maps: Tensor) -> Tensor:
    return maps.movedim(1, 3).flatten(0, 2)
