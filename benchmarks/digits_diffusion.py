"""Digits that a diffusion made of noise, told by a network that knows real ones.

`glial train DATA --task generate --model diffusion --target y` on MNIST's 60,000 images; a
classifier of the same images says what the samples are. Printed are its accuracy on the real test
images, the share of each digit among the samples of classes drawn by how common they were, how
sure it is of them, how often it finds the class that was asked for (with guidance and without), the
bound in bits per pixel, and the minutes of training and of sampling.

    python benchmarks/digits_diffusion.py ../shared/data/mnist.npz [--unconditional] [--epochs N]
        [--rows N] [--steps 50] [--guidance 2] [--samples 2000] [--seed 0] [--pictures FOLDER]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import glial
from digits_gan import CLASSES, classifier, grid, scaled, told

SHOWN = (0, 5, 10, 20, 30, 40, 45, 50)


def trained(images: np.ndarray, codes: np.ndarray, asked: argparse.Namespace) -> Any:
    """A run of the diffusion's defaults on these digits."""
    changes = dict(part.split("=", 1) for part in asked.set) | {"train.seed": asked.seed}
    if asked.epochs is not None:
        changes["train.epochs"] = asked.epochs
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "digits.npz"
        np.savez(source, x=images, y=codes)
        return glial.train(
            source,
            target=None if asked.unconditional else "y",
            task="generate",
            model="diffusion",
            set=changes,
            out=False,
        )


def draw(network: Any, asked: argparse.Namespace, folder: Path) -> None:
    """A row of samples for each digit, and some of them on their way from noise."""
    generator = torch.Generator().manual_seed(asked.seed)
    codes = None if asked.unconditional else torch.arange(100) // 10
    options = {} if asked.unconditional else {"guidance": asked.guidance}
    made = network.sample(100, generator=generator, classes=codes, steps=asked.steps, **options)
    grid(made, 10).save(folder / "diffusion-digits.png", optimize=True)
    codes = None if asked.unconditional else torch.arange(10)
    generator = torch.Generator().manual_seed(asked.seed)
    way = list(network.denoising(10, generator, codes, asked.steps, **options))
    shown = [way[round(share / SHOWN[-1] * (len(way) - 1))] for share in SHOWN]
    beside = torch.stack(shown, dim=1).flatten(0, 1).clamp(-1, 1)
    grid(beside, len(SHOWN)).save(folder / "diffusion-over-time.png", optimize=True)


def main() -> None:
    """Train, sample, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="an .npz with train_x, train_y, test_x, test_y")
    parser.add_argument("--unconditional", action="store_true")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rows", type=int, help="so many rows")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    data = np.load(asked.data)
    images, codes = data["train_x"][: asked.rows], data["train_y"][: asked.rows]
    judge = classifier(scaled(images), torch.as_tensor(codes).long(), asked.seed)
    right, _ = told(judge, scaled(data["test_x"]))
    real = (right == torch.as_tensor(data["test_y"])).float().mean()
    begin = time.perf_counter()
    run = trained(images, codes, asked)
    found: dict[str, Any] = {
        "accuracy_on_real": round(float(real), 4),
        "minutes": round((time.perf_counter() - begin) / 60, 2),
        "epochs": run.epochs,
        "metrics": run.metrics["test"],
    }
    network: Any = run.model.eval()
    generator = torch.Generator().manual_seed(asked.seed)
    begin = time.perf_counter()
    said, sure = told(judge, network.sample(asked.samples, generator=generator, steps=asked.steps))
    shares = torch.bincount(said, minlength=CLASSES) / asked.samples
    found |= {
        "sampling_minutes": round((time.perf_counter() - begin) / 60, 2),
        "shares": [round(share, 4) for share in shares.tolist()],
        "least_share": round(float(shares.min()), 4),
        "mean_probability": round(float(sure.mean()), 4),
    }
    for guidance in () if asked.unconditional else (1.0, asked.guidance):
        wanted = torch.arange(asked.samples // 4) % CLASSES
        made = network.sample(
            len(wanted), generator=generator, classes=wanted, steps=asked.steps, guidance=guidance
        )
        share = (told(judge, made)[0] == wanted).float().mean()
        found[f"as_asked_for_with_guidance_{guidance:g}"] = round(float(share), 4)
    print(json.dumps(found), flush=True)
    if asked.pictures is not None:
        asked.pictures.mkdir(parents=True, exist_ok=True)
        draw(network, asked, asked.pictures)


if __name__ == "__main__":
    main()
