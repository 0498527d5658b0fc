"""Training rows changed at random: which changes help, the changes, and a look at them."""

from glial.data.augmentation.pipeline import Augmentation
from glial.data.augmentation.settings import AugmentSettings

__all__ = ["AugmentSettings", "Augmentation"]
