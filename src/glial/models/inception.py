"""What the Inception networks have in common: branches side by side, and auxiliary heads.

Source:
    Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich (2015), "Going deeper
    with convolutions", arXiv 1409.4842.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from glial.models.image import ImageNetwork, new_head
from glial.nn.auxiliary import WithAuxiliary
from glial.nn.batch_norm import BatchNorm2d


class ConvNorm(nn.Module):
    """A convolution without biases, batch normalisation (epsilon 0.001) and a rectifier.

    Parameters: ``conv.weight``, ``bn.weight``, ``bn.bias``.

    Args:
        before: Channels of its input.
        after: Channels of its output.
        kernel: Side of the kernel, or its height and width.
        stride: Of the convolution.
        padding: Zeros on each side; None keeps height and width where the stride is 1, and is
            none where it is more.
        pool: What is done to the maps before.

    Source:
        Ioffe and Szegedy (2015), "Batch normalization", arXiv 1502.03167, section 3.2.

    Example:
        >>> unit = ConvNorm(3, 8, (1, 7))
        >>> unit(torch.zeros(2, 3, 9, 9)).shape, ConvNorm(3, 8, 3, 2)(torch.zeros(2, 3, 9, 9)).shape
        (torch.Size([2, 8, 9, 9]), torch.Size([2, 8, 4, 4]))
    """

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        padding: int | None = None,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        if padding is None:
            zeros = (sides[0] // 2, sides[1] // 2) if stride == 1 else (0, 0)
        else:
            zeros = (padding, padding)
        self.pool = pool
        self.conv = nn.Conv2d(before, after, sides, stride, zeros, bias=False)
        self.bn = BatchNorm2d(after, eps=0.001)

    def forward(
        self, maps: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature high wide"]:
        """The rectified maps."""
        if self.pool is not None:
            maps = self.pool(maps)
        return functional.relu(self.bn(self.conv(maps)), inplace=True)


@dataclass(frozen=True)
class Conv:
    """A step of a branch: what `ConvNorm` is told, but for the channels before it.

    Attributes:
        channels: Of its output, at width 1.
        kernel: Side of the kernel, or its height and width.
        stride: Of the convolution.
        padding: As for `ConvNorm`.
        pool: What is done to the maps before.

    Example:
        >>> Conv(64, 3).kernel
        3
    """

    channels: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    padding: int | None = None
    pool: nn.Module | None = None


Step = Conv | tuple[Conv, Conv] | nn.Module


class Branches(nn.Module):
    """Branches that start from the same maps; their outputs stand behind one another as channels.

    A branch is steps one after another: convolutions or poolings, and as its last step perhaps two
    convolutions side by side. Parameters: ``<branch>.*`` for a branch of one step, else
    ``<branch>.<step>.*``; for a branch that ends in two side by side ``<branch>_<step>.*``, and for
    these ``<branch>_<step>a.*`` and ``<branch>_<step>b.*``.

    Args:
        before: Channels of the maps.
        branches: Steps of each branch.
        scaled: Gives the channels to make of those that a step says.
        first: Where given, all names are of the second kind, and a branch's first step has this
            number; it is 0 else.

    Attributes:
        out_channels: Channels of all branches together.

    Source:
        arXiv 1409.4842, section 4 and figure 2.

    Example:
        >>> block = Branches(4, {"one": [Conv(8)], "two": [Conv(2), Conv(6, 3)]}, int)
        >>> block(torch.zeros(2, 4, 5, 5)).shape, block.out_channels
        (torch.Size([2, 14, 5, 5]), 14)
        >>> [name for name, _ in block.named_parameters() if name.endswith("conv.weight")]
        ['one.conv.weight', 'two.0.conv.weight', 'two.1.conv.weight']
    """

    def __init__(
        self,
        before: int,
        branches: Mapping[str, Sequence[Step]],
        scaled: Callable[[int], int],
        first: int | None = None,
    ) -> None:
        super().__init__()
        self.out_channels = 0
        self.paths: list[list[list[str]]] = []
        for branch, steps in branches.items():
            levels: list[list[nn.Module]] = []
            after = [before]
            for step in steps:
                if isinstance(step, nn.Module):
                    levels.append([step])
                    continue
                pair = step if isinstance(step, tuple) else (step,)
                made = [_unit(sum(after), part, scaled) for part in pair]
                after = [unit.conv.out_channels for unit in made]
                levels.append([*made])
            self.out_channels += sum(after)
            self.paths.append(self._named(branch, levels, first))

    def _named(
        self, branch: str, levels: list[list[nn.Module]], first: int | None
    ) -> list[list[str]]:
        """Take up the units of a branch, and say under which names."""
        if len(levels) == 1:
            self.add_module(branch, levels[0][0])
            return [[branch]]
        if first is None and len(levels[-1]) == 1:
            self.add_module(branch, nn.Sequential(*(unit for level in levels for unit in level)))
            return [[branch]]
        path = []
        for number, level in enumerate(levels, first or 0):
            letters = "ab" if len(level) == 2 else [""]
            path.append([f"{branch}_{number}{letter}" for letter in letters])
            for name, unit in zip(path[-1], level, strict=True):
                self.add_module(name, unit)
        return path

    def forward(
        self, maps: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature high wide"]:
        """The channels of all branches."""
        outputs: list[Tensor] = []
        for path in self.paths:
            hidden = maps
            for (name,) in path[:-1]:
                hidden = getattr(self, name)(hidden)
            outputs += [getattr(self, name)(hidden) for name in path[-1]]
        return torch.cat(outputs, dim=1)


def _unit(before: int, step: Conv, scaled: Callable[[int], int]) -> ConvNorm:
    after = scaled(step.channels)
    return ConvNorm(before, after, step.kernel, step.stride, step.padding, step.pool)


class AuxiliaryNetwork(ImageNetwork):
    """Stages one after another, some with a further head in training, dropout and a head.

    Who derives from it names its stages in ``groups``, the heads in the last of these, and sets
    ``dropout``.

    Attributes:
        auxiliary_weight: What the loss of each auxiliary head counts.
        auxiliary_after: Each auxiliary head by the stage whose maps it sees; None stands in a
            head's place where there is none.
        auxiliary_last: Name of an auxiliary head's last layer.

    Source:
        arXiv 1409.4842, section 5.

    Example:
        >>> from glial.models.googlenet import GoogLeNetSettings
        >>> network = GoogLeNetSettings(width=0.125).build(0, 5, images=[[3, 32, 32]])
        >>> outputs = network(torch.zeros(2, 3, 32, 32))
        >>> outputs.outputs.shape, len(outputs.auxiliary), outputs.weight
        (torch.Size([2, 5]), 2, 0.3)
        >>> network.eval()(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 5])
    """

    auxiliary_weight: ClassVar[float]
    auxiliary_after: ClassVar[Mapping[str, str]]
    auxiliary_last: ClassVar[str]
    dropout: nn.Dropout

    def _run(self, images: Tensor, auxiliary: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Maps of the last stage, and outputs of the auxiliary heads where they are wanted."""
        maps, found = images, []
        for name in (name for group in self.groups[:-1] for name in group):
            maps = getattr(self, name)(maps)
            if auxiliary and name in self.auxiliary_after:
                head = getattr(self, self.auxiliary_after[name])
                if head is not None:
                    found.append(head(maps))
        return maps, tuple(found)

    def features(
        self, images: Float[Tensor, "row channel height width"]
    ) -> Float[Tensor, "row feature high wide"]:
        """Maps of the last stage."""
        return self._run(images, auxiliary=False)[0]

    def forward(self, images: Float[Tensor, "row channel height width"]) -> Any:
        """The head's output for each image; in training with those of the auxiliary heads."""
        maps, auxiliary = self._run(images, auxiliary=self.training)
        outputs: Tensor = self.classifier_head(self.dropout(maps.mean(dim=(2, 3))))
        return WithAuxiliary(outputs, auxiliary, self.auxiliary_weight) if auxiliary else outputs

    def reset_head(self, num_outputs: int) -> None:
        """Put new last layers, for other classes, in the place of the heads' old ones.

        Args:
            num_outputs: Their outputs.
        """
        super().reset_head(num_outputs)
        for name in self.auxiliary_names:
            head = getattr(self, name)
            if head is not None:
                last = new_head(getattr(head, self.auxiliary_last), num_outputs)
                setattr(head, self.auxiliary_last, last)

    def layer_groups(self) -> list[list[str]]:
        """Prefixes of parameters' names, a group each; without poolings, and heads left out."""
        known = {name.split(".")[0] for name, _ in self.named_parameters()}
        return [[name for name in group if name in known] for group in self.groups]
