"""Handwritten digits from a file of arrays."""

import os

import numpy as np
import torch
from torch.utils.data import Dataset


class MNIST(Dataset):
    """The first rows of MNIST, shuffled once, from the file that ``MNIST_NPZ`` names.

    ``MNIST_ROWS`` says how many training rows there are; a quarter as many are for testing.
    """

    def __init__(self, root, train=True, download=False, transform=None):
        rows = int(os.environ.get("MNIST_ROWS", "4000"))
        part, rows = ("train", rows) if train else ("test", max(1000, rows // 4))
        with np.load(os.environ["MNIST_NPZ"]) as arrays:
            self.data = torch.from_numpy(arrays[f"{part}_x"][:rows]).reshape(-1, 28, 28)
            self.targets = torch.from_numpy(arrays[f"{part}_y"][:rows]).long()
        self.transform = transform

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        image = self.data[index].numpy()
        return self.transform(image) if self.transform else image, int(self.targets[index])
