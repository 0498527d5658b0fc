"""A network of images as eyes: what its layers make of photographs of any size."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.data.encoders.images import ImageEncoder, scaling_of
from glial.data.images import ImageSettings
from glial.models import MODELS
from glial.models.image import ImageNetwork
from glial.models.weights import PUBLISHED, start_from
from glial.nn.pictures.layers import check_convolves, watched
from glial.runs.loading import load
from glial.runs.run import Run
from glial.runs.transfer import SHIPPED

PIXELS = "pixels"  # the image itself, as a layer


@dataclass(frozen=True)
class Eyes:
    """A network that looks at images, and how they are scaled for it.

    Attributes:
        network: In evaluation mode, its parameters without gradients.
        channels: 1 of grey images, 3 of colours.
        min_side: The least height and width that it takes.
        shift: What is subtracted from pixels from 0 to 1, [channel, 1, 1].
        scale: What they are then multiplied by.

    Example:
        >>> eyes = Eyes(nn.Sequential(nn.Conv2d(1, 2, 1)), 1, 1, torch.zeros(1), torch.ones(1))
        >>> [list(maps.shape) for maps in eyes.maps(torch.zeros(1, 1, 3, 4), ["0"]).values()]
        [[1, 2, 3, 4]]
    """

    network: nn.Module
    channels: int
    min_side: int
    shift: Tensor
    scale: Tensor

    def maps(self, pixels: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """What layers make of pixels from 0 to 1, by their names."""
        names = [name for name in layers if name != PIXELS]
        found = {PIXELS: pixels} if PIXELS in layers else {}
        scaled = (pixels - self.shift) * self.scale
        with watched(self.network, names) as calls:
            self._look(scaled)
        return found | {call.layer: call.output for call in calls}

    def once(self, pixels: Tensor) -> dict[str, Tensor]:
        """The maps of all layers that are called once, in the order of the calls."""
        names = [name for name, _ in self.network.named_modules() if name]
        with torch.no_grad(), watched(self.network, names) as calls:
            self._look((pixels - self.shift) * self.scale)
        counts = Counter(call.layer for call in calls)
        return {call.layer: call.output for call in calls if counts[call.layer] == 1}

    def _look(self, scaled: Tensor) -> None:
        see = self.network.features if isinstance(self.network, ImageNetwork) else self.network
        see(scaled)


def eyes_of(network: Run | str | Path) -> Eyes:
    """The eyes of published weights, or of a run; the run's network is copied.

    Args:
        network: ``imagenet``, or a run of images, or its folder.

    Raises:
        InputError: If the run is not of one network of images of any size.
    """
    if isinstance(network, str) and network == PUBLISHED:
        settings = MODELS.resolve(SHIPPED)(weights=PUBLISHED)
        model = settings.build()
        start_from(model, settings)
        nothing = np.zeros((1, 1, 3), dtype=np.uint8)
        scaling = scaling_of([nothing], 3, ImageSettings(scaling=settings.normalization))
        return _eyes(model, 3, settings.min_side, *scaling[1:])
    run = network if isinstance(network, Run) else load(network)
    name = str(run.sizes.get("name"))
    kind: Any = MODELS.resolve(name) if name in MODELS else None
    encoders = [] if run.takes_batches else list(run.encoding.encoders.values())
    images = [encoder for encoder in encoders if isinstance(encoder, ImageEncoder)]
    if run.members or len(images) != 1 or len(encoders) != 1 or not getattr(kind, "any_size", 0):
        raise InputError(
            "this run cannot look at photographs",
            expected="a run of one network of images of any size, such as residual_cnn",
            got=f"the model {run.plan.model['name']} in {run.path or 'memory'}",
            do="name another run, or leave the network out for published features",
        )
    form = images[0].form
    least = int(getattr(kind, "min_side", 1))
    return _eyes(run.model, form.channels, least, images[0].shift, images[0].scale)


def _eyes(
    model: nn.Module, channels: int, min_side: int, shift: NDArray[Any], scale: NDArray[Any]
) -> Eyes:
    check_convolves(model)
    still = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    like = next(still.parameters())
    factors = torch.from_numpy(np.stack([shift, scale])).to(like)[..., None, None]
    return Eyes(still, channels, min_side, factors[0], factors[1])
