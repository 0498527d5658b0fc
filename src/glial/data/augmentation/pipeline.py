"""Training rows changed at random just before they are learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from glial.core.errors import InputError
from glial.data.augmentation.images import as_floats, changed_images
from glial.data.augmentation.mixing import mixed
from glial.data.augmentation.settings import AugmentSettings
from glial.data.augmentation.sounds import Spectra, changed_sounds
from glial.data.batches import Batch, Finish

Modality = Literal["number", "category", "image", "sequence", "text", "words", "sound"]
PADDING, UNKNOWN = 0, 1


class Augmentation:
    """Changes a batch of training rows, each in its own way, drawn from a seed.

    Nothing is drawn from torch's global generators, so what else is random in training neither
    changes the draws nor is changed by them.

    Args:
        settings: What is done, and how strongly.
        modalities: What each tensor of a batch's inputs holds.
        rows: All training rows, for the spread of their numbers; needed for noise on numbers.
        opened: Makes images of what is held where that is something else, with a last channel
            that says where they are no padding.
        spectra: Makes features of each tensor of sounds, in their order.

    Raises:
        InputError: If nothing among the inputs can be changed in a way that is asked for.

    Example:
        >>> augmentation = Augmentation(AugmentSettings(flip="horizontal"), ["image"])
        >>> batch = Batch((torch.rand(4, 3, 8, 8),), torch.tensor([0, 1, 1, 0]))
        >>> once, again = augmentation(batch, 7), augmentation(batch, 7)
        >>> bool((once.inputs[0] == again.inputs[0]).all())
        True
    """

    def __init__(
        self,
        settings: AugmentSettings,
        modalities: Sequence[Modality],
        rows: Batch | None = None,
        opened: Finish | None = None,
        spectra: Sequence[Spectra] = (),
    ) -> None:
        _check(settings, modalities)
        self.settings = settings
        self._modalities = list(modalities)
        self._opened = opened
        sounds = [place for place, kind in enumerate(modalities) if kind == "sound"]
        self._spectra = dict(zip(sounds, spectra, strict=True))
        self._spread: Tensor | None = None
        if settings.number_noise and rows is not None:
            self._spread = _spread(rows.inputs[self._modalities.index("number")])

    def __call__(self, batch: Batch, seed: int) -> Batch:
        """The batch changed.

        Args:
            batch: Rows as they are held: images of bytes, or of floats between 0 and 1.
            seed: Decides all draws.

        Returns:
            A new batch; its images are floats between 0 and 1, and its sounds features, where
            they were changed.
        """
        generator = torch.Generator(batch.target.device).manual_seed(seed)
        if self._opened is not None:
            batch = batch._replace(inputs=self._opened(batch.inputs))
        inputs = tuple(
            self._changed(part, place, generator) for place, part in enumerate(batch.inputs)
        )
        batch = batch._replace(inputs=inputs)
        return mixed(batch, self.settings, seed) if self.settings.mixes else batch

    def _changed(self, part: Tensor, place: int, generator: torch.Generator) -> Tensor:
        settings, modality = self.settings, self._modalities[place]
        if modality == "sound" and (settings.changes_sounds or settings.mixes):
            return changed_sounds(part, settings, generator, self._spectra[place])
        if modality == "image" and settings.changes_images:
            masked = self._opened is not None
            return changed_images(as_floats(part), settings, generator, masked=masked)
        if modality == "number" and self._spread is not None:
            noise = torch.randn(part.shape, generator=generator, device=part.device)
            return part + settings.number_noise * self._spread.to(part.device) * noise
        if modality == "text" and settings.token_dropout:
            return without_tokens(part, settings.token_dropout, generator)
        return part


def without_tokens(tokens: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Texts in which some tokens became the unknown one.

    Args:
        tokens: Numbers of tokens, [row, position]; 0 is padding, which stays, and 1 unknown.
        probability: Chance of each token; one of each text stays in any case.
        generator: Decides; on the tokens' device.

    Example:
        >>> tokens = torch.tensor([[5, 6, 7, 0]])
        >>> without_tokens(tokens, 0.999, torch.Generator().manual_seed(0)).tolist()
        [[1, 6, 1, 0]]
    """
    draws = torch.rand(tokens.shape, generator=generator, device=tokens.device)
    draws = draws.masked_fill(tokens == PADDING, 2.0)
    kept = draws.masked_fill(tokens == PADDING, -1.0).argmax(dim=1, keepdim=True)
    dropped = (draws < probability).scatter(1, kept, value=False)
    return tokens.masked_fill(dropped, UNKNOWN)


def _spread(numbers: Tensor) -> Tensor:
    """Standard deviation of each column; 0 for those of two values, which are yes or no."""
    low, high = numbers.amin(dim=0), numbers.amax(dim=0)
    several = ((numbers != low) & (numbers != high)).any(dim=0)
    return numbers.std(dim=0, correction=0) * several


def _check(settings: AugmentSettings, modalities: Sequence[Modality]) -> None:
    """Refuse what none of the inputs can be changed by."""
    needs = {
        "image": ("images", settings.changes_images or settings.cutmix),
        "number": ("columns of numbers", settings.number_noise),
        "text": ("texts read as tokens", settings.token_dropout),
        "sound": ("sounds", settings.changes_sounds),
    }
    got = ", ".join(modalities)
    for modality, (name, asked) in needs.items():
        if asked and modality not in modalities:
            raise InputError(
                f"data.augment asks for changes of {name}, and there are none",
                expected=name,
                got=got,
                do="take these keys out of data.augment, or set data.augment=none",
            )
    if settings.mixup and {"category", "text"} & set(modalities):
        raise InputError(
            "data.augment.mixup adds rows, which codes and tokens cannot be",
            expected="inputs that are all numbers, images or sounds",
            got=got,
            do="set data.categories=one-hot, or take mixup out of data.augment",
        )
    if settings.cutmix and set(modalities) != {"image"}:
        raise InputError(
            "data.augment.cutmix pastes pieces of images, which other inputs do not have",
            expected="inputs that are all images",
            got=got,
            do="take mixup's place: data.augment.mixup, or leave cutmix out",
        )
