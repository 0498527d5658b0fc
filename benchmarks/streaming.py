"""Data larger than memory: what training on it takes of memory and speed, beside data held in it.

Makes a Parquet file of random numbers (54 float32 columns, a target that a fixed network gave them,
row groups of 100,000) and a folder of small JPEG images in ten classes, then trains one epoch on
each with ``data.stream=always``, and one on a piece of each with ``data.stream=never``.

    python benchmarks/streaming.py FOLDER [--parquet-gb 4] [--images 100000] [--make-only]

Needs pyarrow and Pillow. Files that are there are not made again. Printed: the peak of the memory
that the child process and its own children hold, absolute and over the size of the data, and the
ratio of samples a second, streamed over in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

NUM_COLUMNS, NUM_CLASSES, ROWS_OF_GROUP = 54, 7, 100_000
ROW_BYTES = 4 * (NUM_COLUMNS + 1)
SIDE, NUM_IMAGE_CLASSES = 32, 10
GIGABYTE = 10**9
POLL_SECONDS = 0.05


def make_parquet(path: Path, gigabytes: float) -> None:
    """Write the table a row group at a time; random numbers do not compress."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    first = random.standard_normal((NUM_COLUMNS, 32), dtype=np.float32) / NUM_COLUMNS**0.5
    second = random.standard_normal((32, NUM_CLASSES), dtype=np.float32)
    names = [f"x{number}" for number in range(NUM_COLUMNS)]
    schema = pa.schema([(name, pa.float32()) for name in names] + [("y", pa.int32())])
    rows = max(1, round(gigabytes * GIGABYTE / ROW_BYTES))
    unfinished = path.with_suffix(".part")
    with pq.ParquetWriter(unfinished, schema, compression="none", use_dictionary=False) as writer:
        for start in range(0, rows, ROWS_OF_GROUP):
            shape = (min(ROWS_OF_GROUP, rows - start), NUM_COLUMNS)
            x = random.standard_normal(shape, dtype=np.float32)
            y = np.argmax(np.tanh(2 * x @ first) @ second, axis=1).astype(np.int32)
            columns = [*np.ascontiguousarray(x.T), y]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=ROWS_OF_GROUP)
            _say(f"{path.name}: {start + shape[0]:,} of {rows:,} rows")
    unfinished.rename(path)


def make_images(folder: Path, count: int) -> None:
    """Write the images, a folder a class: the class's texture in noise."""
    from PIL import Image

    random = np.random.default_rng(0)
    tiles = random.integers(40, 216, (NUM_IMAGE_CLASSES, 8, 8, 3))
    textures = np.tile(tiles, (1, SIDE // 8, SIDE // 8, 1))
    unfinished = folder.with_name(f"{folder.name}.part")
    for label in range(NUM_IMAGE_CLASSES):
        (unfinished / f"class-{label}").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        label = number % NUM_IMAGE_CLASSES
        noise = random.normal(0, 40, (SIDE, SIDE, 3))
        image = Image.fromarray(np.clip(textures[label] + noise, 0, 255).astype(np.uint8))
        image.save(unfinished / f"class-{label}" / f"{number:06}.jpg", quality=90)
        if number % 1000 == 999:
            _say(f"{folder.name}: {number + 1:,} of {count:,} images")
    unfinished.rename(folder)


def _say(text: str) -> None:
    print(f"\r{text}", end="", file=sys.stderr, flush=True)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*.*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def train(path: Path, stream: str) -> dict[str, Any]:
    """One epoch in a child process: its own report, and the peaks of its memory in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "glial", "train", str(path), "--epochs=1", "--json"]
        command += [f"--set=data.stream={stream}", f"--out={folder}/run", "--quiet"]
        command += [] if path.is_dir() else ["--target=y"]
        output = Path(folder, "report.json")
        with output.open("w") as file:
            child = subprocess.Popen(command, stdout=file)
            sampled, ended = 0, 0
            while not ended:
                sampled = max(sampled, _held(child.pid))
                time.sleep(POLL_SECONDS)
                ended, status, usage = os.wait4(child.pid, os.WNOHANG)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            sys.exit(f"glial train ended with {child.returncode}: {output.read_text()}")
        unit = 1 if sys.platform == "darwin" else 1024
        return json.loads(output.read_text()) | {
            "peak": usage.ru_maxrss * unit,
            "peak_with_children": sampled,
        }


def _held(process: int) -> int:
    """Resident bytes of a process and all that it started, where /proc tells."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return 0
    own = next((line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")), "0")
    return int(own) * 1024 + sum(_held(int(child)) for child in children)


def compare(whole: Path, piece: Path) -> None:
    """Train on the whole as a stream and on the piece in memory, and print the two beside."""
    streamed, held = train(whole, "always"), train(piece, "never")
    size = size_of(whole)
    print(f"\n{whole.name}, {size / GIGABYTE:.2f} GB; in memory: {piece.name}")
    for name, result, of in (("streamed", streamed, size), ("in memory", held, size_of(piece))):
        peak = max(result["peak"], result["peak_with_children"])
        print(f"  {name:10} peak {peak / GIGABYTE:6.2f} GB, {peak / of:8.2f} of the data's size")
    ratio = streamed["samples_per_second"] / held["samples_per_second"]
    print(f"  samples a second, streamed over in memory: {ratio:.2f}")


def main() -> None:
    """Make what is missing, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parquet-gb", type=float, default=4.0, help="0 leaves the table out")
    parser.add_argument("--images", type=int, default=100_000, help="0 leaves the images out")
    parser.add_argument("--piece-gb", type=float, default=0.1, help="the table held in memory")
    parser.add_argument("--piece-images", type=int, default=10_000)
    parser.add_argument("--make-only", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    tables = [
        options.folder / f"rows-{gb:g}gb.parquet" for gb in (options.parquet_gb, options.piece_gb)
    ]
    images = [
        options.folder / f"images-{count}" for count in (options.images, options.piece_images)
    ]
    pairs = []
    if options.parquet_gb:
        pairs.append(tables)
        for path, gigabytes in zip(tables, (options.parquet_gb, options.piece_gb), strict=True):
            if not path.exists():
                make_parquet(path, gigabytes)
    if options.images:
        pairs.append(images)
        for path, count in zip(images, (options.images, options.piece_images), strict=True):
            if not path.exists():
                make_images(path, count)
    for whole, piece in pairs:
        if not options.make_only:
            compare(whole, piece)


if __name__ == "__main__":
    main()
