"""What networks are tried with: sizes of every kind of input that they take, and rows of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from glial.functional import Stepwise
from glial.models.settings import ModelSettings

NUM_INPUTS = 5
CARDINALITIES = (3, 4, 30)
IMAGE = (3, 12, 10)
VOCABULARY = 12
LENGTH = 7
NUM_NUMBERS = 2  # at each step of a sequence
FEATURES = (9, 5, 11)  # numbers that features of a word may be, and last its letters
LETTERS = 4
WINDOWS = {"context": 6, "horizon": 1, "season": 2, "targets": 1}


def sizes_of(settings: ModelSettings) -> list[dict[str, Any]]:
    """Sizes of networks to try: of one output, of three, with categories, and with images.

    Args:
        settings: The model's.

    Example:
        >>> from glial.models.text_gru import TextGRUSettings
        >>> [sizes["num_outputs"] for sizes in sizes_of(TextGRUSettings())]
        [1, 3]
    """
    others: dict[str, Any] = {"cardinalities": ()}
    # At the least side maps may end as one place, of which one row has no variance.
    side = 2 * getattr(settings, "min_side", 0)
    images = [IMAGE if side <= min(IMAGE[1:]) else (3, side, side)]
    if settings.takes_images and not settings.takes_numbers:
        others["images"] = images
    if settings.takes_sequences:
        others["sequences"] = [[NUM_NUMBERS]]
    if settings.takes_texts:
        others["vocabularies"] = [VOCABULARY] * settings.num_texts
    if settings.takes_series:
        others["windows"] = WINDOWS
    numbers = NUM_INPUTS if settings.takes_numbers else 0
    if settings.takes_words:
        others["words"] = [list(FEATURES)]
    counts = [1] if settings.max_outputs == 1 else [settings.min_outputs, 3]
    found = [{"num_inputs": numbers, "num_outputs": count, **others} for count in counts]
    if settings.takes_series:
        found.append({**found[-1], "num_inputs": NUM_INPUTS})
    if settings.takes_categories:
        found.append({**found[-1], "cardinalities": CARDINALITIES})
    if settings.takes_images and settings.takes_numbers:
        alone = {**found[0], "num_inputs": 0, "images": images}
        found += [alone, {**found[-1], "images": images}]
    return found


def inputs_of(network: nn.Module, sizes: Mapping[str, Any]) -> list[Tensor]:
    """Rows for a network of these sizes, the texts and sequences of unequal lengths.

    Args:
        network: The network; one whose first weights look at rows is started.
        sizes: One of `sizes_of`.

    Example:
        >>> from glial.models.linear import LinearSettings
        >>> sizes = sizes_of(LinearSettings())[0]
        >>> [list(part.shape) for part in inputs_of(LinearSettings().build(**sizes), sizes)]
        [[32, 5]]
    """
    generator = torch.Generator().manual_seed(0)
    cardinalities = sizes["cardinalities"]
    rows = 4 * max(cardinalities, default=8)
    parts = []
    if "windows" in sizes:
        return _windows(sizes, rows, generator)
    if sizes["num_inputs"] or cardinalities:
        parts.append(torch.randn(rows, sizes["num_inputs"], generator=generator))
    if cardinalities:
        parts.append(torch.stack([torch.arange(rows) % count for count in cardinalities], dim=1))
    parts += [torch.randn(rows, *image, generator=generator) for image in sizes.get("images", ())]
    for (count,) in sizes.get("sequences", ()):
        steps = torch.randn(rows, LENGTH, count, generator=generator)
        lengths = torch.arange(rows) % LENGTH + 1
        parts += [steps * (torch.arange(LENGTH) < lengths[:, None])[:, :, None], lengths]
    for count in sizes.get("vocabularies", ()):
        tokens = torch.randint(1, count, (rows, LENGTH), generator=generator)
        length = torch.arange(rows)[:, None] % LENGTH + 1
        parts.append(tokens.where(torch.arange(LENGTH) < length, 0))
    for sizes_of_word in sizes.get("words", ()):
        *features, letters = sizes_of_word
        counts = [*features, *[letters] * LETTERS]
        told = [torch.randint(1, count, (rows, LENGTH), generator=generator) for count in counts]
        length = torch.arange(rows)[:, None, None] % LENGTH + 1
        positions = torch.arange(LENGTH)[:, None]
        parts.append(torch.stack(told, dim=2).where(positions < length, 0))
    start = getattr(network, "start", None)
    if callable(start) and not isinstance(network, Stepwise):
        start(*parts)
    return parts


def _windows(sizes: Mapping[str, Any], rows: int, generator: torch.Generator) -> list[Tensor]:
    """Windows of series: what went before and, if anything is, what is known of all steps."""
    windows = sizes["windows"]
    shapes = [(windows["context"], windows["targets"])]
    if sizes["num_inputs"]:
        shapes.append((windows["context"] + windows["horizon"], sizes["num_inputs"]))
    return [torch.randn(rows, *shape, generator=generator) for shape in shapes]
