"""Which changes of images are measured to help, whether a network agrees, and what they cost.

For each data set the trial that training makes before its first step; then a small convolutional
network trained with and without each flip, on other images than it is judged by; and last the time
of a batch's augmentation as a share of a step of that network.

    python benchmarks/augmentation.py [--seeds 3] [--epochs 20] [--data digits mnist cifar10]

``mnist.npz`` and ``cifar10-subset.zip`` are looked for in the folder ``GLIAL_DATA``; pictures of
digits at 8 by 8 come with scikit-learn.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from glial.data import Batch, TensorBatches
from glial.data.augmentation import Augmentation, AugmentSettings, chosen, measure

TRAIN, TEST = 4000, 3000


def images_of(name: str) -> tuple[Tensor, Tensor]:
    """Images of bytes and their classes, in a random order."""
    folder = Path(os.environ.get("GLIAL_DATA", "."))
    if name == "digits":
        from sklearn.datasets import load_digits

        data = load_digits()
        images, classes = (data.images * 255 / 16).round().astype(np.uint8)[:, None], data.target
    elif name == "mnist":
        with np.load(folder / "mnist.npz", allow_pickle=False) as data:
            images, classes = data["train_x"][:, None], data["train_y"]
    else:
        with zipfile.ZipFile(folder / "cifar10-subset.zip") as archive:
            names = [n for n in archive.namelist() if n.startswith("train/") and ".jpg" in n]
            pixels = [np.array(Image.open(io.BytesIO(archive.read(n)))) for n in names]
        images = np.stack(pixels).transpose(0, 3, 1, 2)
        classes = np.unique([n.split("/")[1] for n in names], return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(len(images))[: TRAIN + TEST]
    target = torch.from_numpy(classes[order].astype(np.int64))
    return torch.from_numpy(np.ascontiguousarray(images[order])), target


def network(images: Tensor) -> nn.Module:
    """Three convolutions and a dense layer, for ten classes."""
    layers: list[nn.Module] = []
    before = images.shape[1]
    for width in (16, 32, 64):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if width < 64 else [nn.AdaptiveAvgPool2d(2)]
        before = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * before, 10))


def batches_of(rows: Batch, settings: AugmentSettings, seed: int) -> TensorBatches:
    """Batches as training makes them."""
    augment = Augmentation(settings, ["image"])
    return TensorBatches(rows, 128, seed, augment=augment, finish=finish)


def finish(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Pixels between 0 and 1."""
    return tuple(x if x.is_floating_point() else x.float() / 255 for x in inputs)


def accuracy(rows: Batch, test: Batch, settings: AugmentSettings, seed: int, epochs: int) -> float:
    """The share of test images that a network trained with these settings gets right."""
    torch.manual_seed(seed)
    model, batches = network(rows.inputs[0]), batches_of(rows, settings, seed)
    optimizer = torch.optim.AdamW(model.parameters(), 6e-3)
    steps = epochs * batches.num_batches
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps)
    for epoch in range(epochs):
        for batch in batches.epoch(epoch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(*batch.inputs), batch.target).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        outputs = model(*finish(test.inputs))
    return float((outputs.argmax(dim=1) == test.target).float().mean())


def cost(rows: Batch) -> dict[str, float]:
    """Time of a batch's augmentation as a share of a step without it, the quickest of many."""
    augmented = {
        "flip": AugmentSettings(flip="horizontal"),
        "moves": AugmentSettings(rotate=10.0, translate=0.1, scale=[0.9, 1.1]),
        "light": AugmentSettings(brightness=0.2, contrast=0.2, saturation=0.2),
        "noise": AugmentSettings(noise=0.05),
        "blur": AugmentSettings(blur=1.0),
        "mixup": AugmentSettings(mixup=0.2),
        "cutmix": AugmentSettings(cutmix=1.0),
    }
    model = network(rows.inputs[0])
    batch = Batch((rows.inputs[0][:128],), rows.target[:128])
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(*finish(batch.inputs)), batch.target).backward()
        optimizer.step()

    def seconds(work: object) -> float:
        begin = time.perf_counter()
        work()  # type: ignore[operator]
        return time.perf_counter() - begin

    whole, parts = [], {name: [] for name in augmented}
    for turn in range(40):
        whole.append(seconds(step))
        for name, settings in augmented.items():
            augment = Augmentation(settings, ["image"])
            parts[name].append(seconds(lambda a=augment, t=turn: a(batch, t)))
    return {name: min(times) / min(whole) for name, times in parts.items()}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--data", nargs="+", default=["digits"])
    options = parser.parse_args()
    for name in options.data:
        images, target = images_of(name)
        num_train = min(TRAIN, len(images) * 2 // 3)
        rows = Batch((images[:num_train],), target[:num_train])
        test = Batch((images[num_train:],), target[num_train:])
        begin = time.process_time()
        trials = measure(rows.inputs, rows.target, seed=0)
        told = chosen(trials).model_dump(exclude_defaults=True)
        print(f"{name}: chosen {told}, in {time.process_time() - begin:.1f} s of one core")
        for trial in trials:
            print(f"  {trial.change}: {trial.gain:+.1%} ± {trial.uncertainty:.1%}")
        for flip in ("none", "horizontal", "vertical"):
            settings = AugmentSettings(flip=flip)
            found = [
                accuracy(rows, test, settings, seed, options.epochs)
                for seed in range(options.seeds)
            ]
            spread = statistics.stdev(found) if len(found) > 1 else 0.0
            print(f"  network, flip {flip}: {statistics.fmean(found):.2%} ± {spread:.2%}")
        shares = ", ".join(f"{key} {share:.1%}" for key, share in cost(rows).items())
        print(f"  cost of a step: {shares}")


if __name__ == "__main__":
    main()
