"""How likely a variational autoencoder finds handwritten digits that it never saw, in nats.

MNIST (``mnist.npz``, looked for in the folder ``GLIAL_DATA``), each image drawn as black and white
by its greys, anew in every step. The network and its training are what `VAESettings` gives by
default. Beside its bounds stand the best model of independent pixels and what papers report.

    python benchmarks/variational.py [--seeds 1] [--rows 55000] [--epochs N] [--samples 500]
        [--tested 1000] [--threads 1] [--pictures FOLDER]

With ``--pictures`` the last seed's samples and a walk between digits are drawn there as PNG files.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from glial.core.seeds import torch_generator
from glial.data.batches import Batch, TensorBatches
from glial.models.vae import VAE, VAESettings
from glial.training import TrainSettings
from glial.training.objective import Descent
from glial.training.schedules import Moment

REPORTED = (
    "reported: -86.8 (VAE, dense) and -84.8 (50 weighted samples), 3,280 epochs, arXiv 1509.00519"
)


def loaded() -> tuple[Tensor, Tensor]:
    """Training and test images, from -1 to 1."""
    folder = Path(os.environ.get("GLIAL_DATA", "shared/data"))
    with np.load(folder / "mnist.npz") as arrays:
        parts = [arrays[name] for name in ("train_x", "test_x")]
    train, test = (torch.from_numpy(p).float().reshape(-1, 1, 28, 28) / 127.5 - 1 for p in parts)
    return train, test


def trained(rows: Tensor, epochs: int | None, seed: int) -> VAE:
    """The default network after its default training."""
    recipe = VAESettings.train_defaults("generate", len(rows))
    recipe |= {} if epochs is None else {"epochs": epochs}
    settings = TrainSettings(**recipe)
    torch.manual_seed(seed)
    sized = VAESettings().for_data(len(rows), 0, 0, images=[[1, 28, 28]])
    network = sized.build(0, 0, images=[[1, 28, 28]])
    network.start(rows)

    def drawn(batch: Batch, number: int) -> Batch:
        found = network.draw(*batch.inputs, generator=torch_generator(number))
        return Batch(found.inputs, found.target)

    whole = Batch((rows,), torch.zeros(len(rows)))
    batches = TensorBatches(whole, int(settings.batch_size), seed, augment=drawn)
    descent = Descent(network, network.loss, settings, lr=float(settings.lr))
    steps = settings.epochs * batches.num_batches
    network.train()
    for epoch in range(settings.epochs):
        total = 0.0
        for number, batch in enumerate(batches.epoch(epoch)):
            step = epoch * batches.num_batches + number
            total += float(descent.step(batch, Moment(step, epoch, step / steps)))
        print(f"epoch {epoch + 1}: loss {total / batches.num_batches:.2f}", flush=True)
    return network.eval()


def independent(train: Tensor, test: Tensor) -> float:
    """Nats a row where each pixel is white by its own share of the training images."""
    shares = ((train + 1) / 2).mean(dim=0).clamp(1e-4, 1 - 1e-4)
    white = (test + 1) / 2
    nats = white * shares.log() + (1 - white) * (1 - shares).log()
    return float(nats.flatten(1).sum(dim=1).mean())


@torch.no_grad()
def measured(network: VAE, test: Tensor, samples: int, seed: int) -> dict[str, float]:
    """Means of the figures over test rows."""
    network.settings = network.settings.model_copy(update={"evaluation_samples": samples})
    generator = torch_generator(seed, "test")
    parts = [network.measure(some, generator=generator) for some in test.split(500)]
    return {name: float(torch.cat([part[name] for part in parts]).mean()) for name in parts[0]}


@torch.no_grad()
def draw_pictures(network: VAE, test: Tensor, folder: Path) -> None:
    """A sheet of samples, and a walk from each of some digits to the next."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    samples = network.sample(60, generator=torch_generator(0, "pictures"))
    codes = network.embed(test[:6])
    shares = torch.linspace(0, 1, 10)[:, None]
    walks = torch.cat([torch.lerp(one, other, shares) for one, other in itertools.pairwise(codes)])
    for name, images in (("samples", samples), ("walk", network.decode(walks))):
        lines = images.view(-1, 10, 28, 28).transpose(1, 2).reshape(-1, 280)
        pixels = ((lines + 1) * 127.5).round().byte().numpy()
        Image.fromarray(255 - pixels).save(folder / f"vae-{name}.png", optimize=True)


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rows", type=int, default=55_000)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--tested", type=int, default=1_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train, test = loaded()
    train, test = train[: options.rows], test[: options.tested]
    for seed in range(options.seeds):
        start, worked = time.monotonic(), time.process_time()
        network = trained(train, options.epochs, seed)
        wall, worked = time.monotonic() - start, time.process_time() - worked
        print(f"seed {seed}: {len(train)} rows, {wall:.0f} s, {worked:.0f} s of processor time")
        for name, value in measured(network, test, options.samples, seed).items():
            print(f"  {name}: {value:.3f}")
        if options.pictures:
            draw_pictures(network, test, options.pictures)
    print(f"  independent pixels: {independent(train, test):.3f}")
    print(f"  {REPORTED}")


if __name__ == "__main__":
    main()
