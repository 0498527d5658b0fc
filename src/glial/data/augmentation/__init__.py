"""Training rows changed at random: which changes help, the changes, and a look at them."""

from glial.data.augmentation.measurement import Trial, chosen, measure
from glial.data.augmentation.pipeline import Augmentation, Modality
from glial.data.augmentation.preview import Preview
from glial.data.augmentation.settings import AugmentSettings

__all__ = ["AugmentSettings", "Augmentation", "Modality", "Preview", "Trial", "chosen", "measure"]
