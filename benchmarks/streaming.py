"""Train on a table and on images larger than is wanted in memory; print peak memory and rates.

    python benchmarks/streaming.py [--gigabytes 4] [--columns 54] [--images 100000] [--folder DIR]

Makes a Parquet file of 32-bit floats with a target, in row groups of 100,000 rows, and a folder of
small JPEG images in two classes; trains an epoch on each as ``glial train`` does, streamed, in a
process of its own; then some epochs on a part of the same rows that is held in memory. Prints the
peak of the resident memory and the rows learnt from in a second, also as a ratio to the part in
memory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

GROUP_ROWS = 100_000
PART = 20  # the part held in memory is this share of the rows
PART_EPOCHS = 4  # enough of it for a rate
# An epoch ends with a validation, whose share of the time is to be alike.
SHARES = [f"--set=data.split.{key}" for key in ("train=0.96", "val=0.02", "test=0.02")]
TABLE = ["--model=mlp", "--set=train.batch_size=1024", "--set=train.lr=0.001"]
IMAGES = [
    "--model=residual_cnn",
    "--set=model.widths=[8, 16]",
    "--set=model.depth=1",
    "--set=train.batch_size=256",
    "--set=train.lr=0.001",
    "--set=data.augment=none",
]


def table_rows(num_rows: int, num_columns: int, seed: int) -> pl.DataFrame:
    """Normal numbers, and a target that needs several of them."""
    x = np.random.default_rng(seed).standard_normal((num_rows, num_columns), dtype=np.float32)
    frame = pl.DataFrame({f"x{i}": x[:, i] for i in range(num_columns)})
    return frame.with_columns(y=(pl.col("x0") + pl.col("x1") * pl.col("x2")).cast(pl.Float32))


def make_table(path: Path, num_rows: int, num_columns: int) -> None:
    """A Parquet file written a row group at a time, so that it is never whole in memory."""
    import pyarrow.parquet as pq

    first = table_rows(1, num_columns, 0).to_arrow()
    with pq.ParquetWriter(path, first.schema, compression="none", use_dictionary=False) as writer:
        for number, start in enumerate(range(0, num_rows, GROUP_ROWS)):
            rows = table_rows(min(GROUP_ROWS, num_rows - start), num_columns, number)
            writer.write_table(rows.to_arrow().cast(first.schema), row_group_size=GROUP_ROWS)


def make_images(folder: Path, count: int, size: int = 48) -> None:
    """JPEG images of noise; those of one class are brighter in the upper half."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for number in range(count):
        label = number % 2
        place = folder / ("bright" if label else "dark") / f"{number:06d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 200, (size, size, 3), dtype=np.uint8)
        pixels[: size // 2] += np.uint8(40 * label)
        Image.fromarray(pixels).save(place, quality=85)


def trained(source: Path, *more: str, epochs: int = 1) -> tuple[dict[str, object], float]:
    """What ``glial train`` says of some epochs, and the peak of its resident memory in GB."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "glial", "train", str(source), "--json"]
        command += [f"--epochs={epochs}", *SHARES]
        with subprocess.Popen(
            [*command, f"--out={out}/run", *more], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None  # noqa: S101 - narrows the type
            said = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"training on {source} failed")
    return json.loads(said), usage.ru_maxrss / 1e6


def show(name: str, streamed: tuple[dict, float], held: tuple[dict, float], size: float) -> None:
    """Print a case."""
    rates = [float(result["samples_per_second"]) for result, _ in (streamed, held)]
    print(
        f"{name}: {size:.2f} GB, peak {streamed[1]:.2f} GB resident, {rates[0]:,.0f} rows a second "
        f"streamed, {rates[1]:,.0f} with a part in memory (ratio {rates[0] / rates[1]:.2f}; that "
        f"part's peak was {held[1]:.2f} GB)",
        flush=True,
    )


def main() -> None:
    """Make the data, train, print, and delete the data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=4.0, help="of the table; 0 for none")
    parser.add_argument("--columns", type=int, default=54)
    parser.add_argument("--images", type=int, default=100_000, help="0 for none")
    parser.add_argument("--folder", help="where the data is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        if options.gigabytes:
            num_rows = int(options.gigabytes * 1e9 / (4 * (options.columns + 1)))
            whole, part = Path(root, "whole.parquet"), Path(root, "part.parquet")
            make_table(whole, num_rows, options.columns)
            make_table(part, num_rows // PART, options.columns)
            streamed = trained(whole, "--target=y", *TABLE, "--set=data.stream=always")
            held = trained(
                part, "--target=y", *TABLE, "--set=data.stream=never", epochs=PART_EPOCHS
            )
            show("table", streamed, held, whole.stat().st_size / 1e9)
            whole.unlink()
        if options.images:
            folder, few = Path(root, "images"), Path(root, "few")
            make_images(folder, options.images)
            make_images(few, options.images // PART)
            size = sum(path.stat().st_size for path in folder.rglob("*.jpg")) / 1e9
            streamed = trained(folder, *IMAGES, "--set=data.stream=always")
            held = trained(few, *IMAGES, "--set=data.stream=never", epochs=PART_EPOCHS)
            show("images", streamed, held, size)
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
