"""The names of torchvision that public examples use, for machines where it cannot be installed."""

from torchvision import datasets, transforms, utils

__all__ = ["datasets", "transforms", "utils"]
