"""Digits that a generative adversarial network made up, told by a network that knows real ones.

`glial train DATA --task generate --model dcgan` on MNIST's 60,000 images; a classifier of the same
images says what the samples are. Printed are its accuracy on the real test images, the share of
each digit among the samples, how sure it is of them, and, of a conditional network, how often it
finds the class that was asked for.

    python benchmarks/digits_gan.py ../shared/data/mnist.npz [--conditional] [--epochs 6] [--rows N]
        [--seed 0] [--picture FILE.png]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

import glial

SAMPLES = 10_000
CLASSES = 10


def classifier(images: Tensor, codes: Tensor, seed: int, epochs: int = 2) -> nn.Module:
    """A small convolutional network that learns real digits."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(32 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, CLASSES)),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(128):
            optimizer.zero_grad()
            functional.cross_entropy(network(images[rows]), codes[rows]).backward()
            optimizer.step()
    return network.eval()


def scaled(images: np.ndarray) -> Tensor:
    """Pixels from -1 to 1, [row, 1, height, width]."""
    return torch.as_tensor(images, dtype=torch.float32)[:, None] / 127.5 - 1


@torch.inference_mode()
def told(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """The class of each image, and its probability."""
    parts = [network(part).softmax(dim=1) for part in images.split(1000)]
    sure, codes = torch.cat(parts).max(dim=1)
    return codes, sure


def grid(images: Tensor, columns: int) -> Image.Image:
    """Images from -1 to 1 beside and below each other, light on dark."""
    rows = [torch.cat(list(row), dim=2) for row in images.split(columns)]
    pixels = ((torch.cat(rows, dim=1)[0] + 1) * 127.5).round().clamp(0, 255).byte()
    return Image.fromarray(pixels.numpy())


def main() -> None:
    """Train, sample, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="an .npz with train_x, train_y, test_x, test_y")
    parser.add_argument("--conditional", action="store_true")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rows", type=int, help="so many training rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    data = np.load(asked.data)
    images, codes = data["train_x"][: asked.rows], data["train_y"][: asked.rows]
    judge = classifier(scaled(images), torch.as_tensor(codes).long(), asked.seed)
    right, _ = told(judge, scaled(data["test_x"]))
    found: dict[str, object] = {
        "accuracy_on_real": float((right == torch.as_tensor(data["test_y"])).float().mean())
    }
    changes = dict(part.split("=", 1) for part in asked.set) | {"train.seed": asked.seed}
    if asked.epochs is not None:
        changes["train.epochs"] = asked.epochs
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "digits.npz"
        np.savez(source, x=images, y=codes)
        begin = time.perf_counter()
        run = glial.train(
            source,
            target="y" if asked.conditional else None,
            task="generate",
            model="dcgan",
            set=changes,
            out=False,
        )
        found["minutes"] = (time.perf_counter() - begin) / 60
    network = run.model.eval()
    wanted = torch.arange(SAMPLES) % CLASSES if asked.conditional else None
    with torch.inference_mode():
        generator = torch.Generator().manual_seed(asked.seed)
        made = network.sample(SAMPLES, generator=generator, classes=wanted)
    said, sure = told(judge, made)
    shares = torch.bincount(said, minlength=CLASSES) / SAMPLES
    found |= {
        "epochs": run.epochs,
        "shares": [round(share, 4) for share in shares.tolist()],
        "least_share": float(shares.min()),
        "mean_probability": float(sure.mean()),
    }
    if wanted is not None:
        found["as_asked_for"] = float((said == wanted).float().mean())
    if asked.picture is not None:
        order = made[:100] if wanted is None else made[:100].view(10, 10, 1, 28, 28).transpose(0, 1)
        grid(order.reshape(100, 1, 28, 28), 10).save(asked.picture, optimize=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
