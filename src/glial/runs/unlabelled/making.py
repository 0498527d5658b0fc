"""What a network that learnt how rows are distributed makes up, as tables and pictures."""

from __future__ import annotations

import inspect
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

from glial.core.errors import InputError, unknown_name
from glial.core.files import make_folder, write_atomic
from glial.core.optional import require
from glial.core.progress import share_logger
from glial.core.seeds import torch_generator
from glial.data import check_table_ending, write_table
from glial.data.encoders import ImageEncoder
from glial.data.restoring import restored
from glial.models.unlabelled import Decodes, Samples
from glial.nn.summary import evaluating
from glial.runs.run import Run
from glial.tasks.unlabelled import Generation

logger = logging.getLogger(__name__)

GRID, TABLE = "grid.png", "samples.csv"
GRID_SIDE, GAP = 48, 2  # pixels: images are enlarged to about this, and stand this far apart
MADE_AT_ONCE = 256
WALKED, WALK_ENDS, WALK_STEPS = 10, 2.5, 9


@dataclass(frozen=True)
class Made:
    """Rows that were made up.

    Attributes:
        rows: As the network gives them, [row, ...], scaled.
        frame: The rows of a table in its columns' own units; None of images and sequences.
        images: Pixels of 8 bits, [row, channel, height, width]; None of others.
        classes: What the network was told of each row, where it was told something.
        columns: In how many columns a grid of them reads best; None of no matter.

    Example:
        >>> Made(torch.zeros(2, 5, 3)).table().shape
        (2, 1)
    """

    rows: Tensor
    frame: pl.DataFrame | None = None
    images: Tensor | None = None
    classes: list[str] | None = None
    columns: int | None = None

    def write(self, out: Path) -> None:
        """Write a table, or a folder of PNG files with ``grid.png``, all of them at a glance.

        Args:
            out: A folder, which is made; rows of a table go to ``samples.csv`` there, or to a
                .csv, .parquet or .jsonl file. What stood there under the same names is written
                anew.

        Raises:
            InputError: If the place cannot be written, or its ending does not fit.
        """
        check_place(out, has_images=self.images is not None)
        if out.suffix:
            write_table(self.table(), out)
            return
        make_folder(out)
        if self.images is None:
            write_table(self.table(), out / TABLE)
            return
        digits = len(str(len(self.images) - 1))
        for number, image in enumerate(self.images):
            told = "" if self.classes is None else f"-{_as_name(self.classes[number])}"
            write_atomic(out / f"{number:0{digits}d}{told}.png", png_of(image))
        write_atomic(out / GRID, png_of(grid_of(self.images, self.columns)))

    def table(self) -> pl.DataFrame:
        """The rows of a table; of sequences a list a row."""
        if self.frame is not None:
            return self.frame
        return pl.DataFrame({"value": self.rows.tolist()})


def make(
    run: Run,
    num_samples: int,
    *,
    seed: int = 0,
    only: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Made:
    """New rows from a run.

    Args:
        run: The run of a network that makes up rows.
        num_samples: How many.
        seed: Seed of what is drawn.
        only: The class of all, where the network is told classes; by default they are drawn by how
            common they were.
        options: What the network's own ``sample`` takes beside, such as ``steps`` of a diffusion.

    Raises:
        InputError: If the run makes nothing up, or is asked for what it cannot do.
    """
    network = run.model
    if not isinstance(network, Samples):
        raise InputError(
            f"the model {run.plan.model['name']} makes nothing up",
            expected="a network that samples, such as vae, gan, flow or diffusion",
            got=f"a run of {run.plan.model['name']}",
            do="glial train SOURCE --task generate",
        )
    given = {key: value for key, value in (options or {}).items() if value is not None}
    _check_options(network, given, run.plan.model["name"])
    classes = _classes(run, num_samples, only, seed)
    generator = torch_generator(seed, "samples")
    tell = share_logger(logger, "making rows up")
    parts = []
    with evaluating(network), torch.no_grad():
        for begin in range(0, num_samples, MADE_AT_ONCE):
            end = min(begin + MADE_AT_ONCE, num_samples)
            told = None if classes is None else classes[begin:end]
            parts.append(
                network.sample(end - begin, generator=generator, classes=told, **given).cpu()
            )
            tell(end / num_samples)
    return shown(run, torch.cat(parts), classes)


def interpolate(run: Run, num_samples: int, steps: int, *, seed: int = 0) -> Made:
    """Rows along ways from one code to another, so many steps each.

    Ways are arcs, on which codes stay as likely as their ends.

    Args:
        run: The run of a network in whose space of codes one can walk.
        num_samples: How many ways.
        steps: Rows on each, both ends counted, at least 2.
        seed: Seed of the ends.

    Source:
        White (2016), "Sampling generative networks", arXiv 1609.04468, section 2.1.
    """
    network = _walkable(run)
    generator = torch_generator(seed, "interpolation")
    ends = torch.randn(2, num_samples, network.latent_size, generator=generator)
    shares = torch.linspace(0, 1, steps).tolist()
    codes = torch.stack([arc(ends[0], ends[1], share) for share in shares], dim=1)
    return _decoded(run, network, codes.flatten(0, 1), columns=steps)


def walk(run: Run) -> Made:
    """What each number of a code does: rows where one goes from low to high, the others kept.

    Of networks with many numbers the first ten are walked; the kept ones are 0.

    Args:
        run: As for `interpolate`.
    """
    network = _walkable(run)
    places = torch.linspace(-WALK_ENDS, WALK_ENDS, WALK_STEPS)
    count = min(WALKED, network.latent_size)
    codes = torch.zeros(count, WALK_STEPS, network.latent_size)
    for number in range(count):
        codes[number, :, number] = places
    return _decoded(run, network, codes.flatten(0, 1), columns=WALK_STEPS)


def arc(first: Tensor, last: Tensor, share: float) -> Tensor:
    """A share of the way on the arc from one code to another, [row, latent].

    Example:
        >>> arc(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 0.5).round(decimals=3)
        tensor([[0.7070, 0.7070]])
    """
    cosine = torch.nn.functional.cosine_similarity(first, last, dim=1)
    angle = cosine.clamp(-1, 1).acos()[:, None]
    sine = angle.sin()
    straight = first + share * (last - first)
    bent = ((1 - share) * angle).sin() * first + (share * angle).sin() * last
    return torch.where(sine > 1e-6, bent / sine.clamp_min(1e-6), straight)


def shown(
    run: Run, rows: Tensor, classes: Tensor | None = None, columns: int | None = None
) -> Made:
    """Rows as a network gives them, in the units of what it was trained on.

    Args:
        run: The run.
        rows: [row, ...].
        classes: Codes of their classes, [row].
        columns: See `Made`.
    """
    task: Any = run.decoder
    names = None
    if classes is not None and task.labels is not None:
        names = [task.labels.names[code] for code in classes.tolist()]
    held = next(iter(run.encoding.encoders.values()))
    if rows.ndim == 4 and isinstance(held, ImageEncoder):
        return Made(rows, None, held.restore(rows), names, columns)
    if rows.ndim != 2:
        return Made(rows, None, None, names, columns)
    frame = restored(run.encoding, rows, task.whole)
    if names is not None:
        typed = pl.Series(task.targets[0], names)
        if task.labels.kind == "integer":
            typed = typed.cast(pl.Int64)
        frame = frame.with_columns(typed)
    return Made(rows, frame, None, names, columns)


def check_place(out: Path, *, has_images: bool) -> None:
    """Refuse a place where what is made cannot be written.

    Args:
        out: The place.
        has_images: Whether images are made, which need a folder.

    Raises:
        InputError: If so.

    Example:
        >>> check_place(Path("samples.csv"), has_images=False)
    """
    if out.suffix and not has_images:
        check_table_ending(out)
    elif out.suffix or out.is_file():
        raise InputError(
            f"{out} is no folder",
            expected="a folder"
            + (" for images, one file each, and grid.png" if has_images else ", or a .csv file"),
            got=repr(out.name),
            do="write --out samples/",
        )


def png_of(image: Tensor) -> bytes:
    """The bytes of a PNG file of pixels of 8 bits, [channel, height, width].

    Raises:
        InputError: If Pillow is not installed.

    Example:
        >>> png_of(torch.zeros(1, 2, 2, dtype=torch.uint8))[1:4]
        b'PNG'
    """
    pillow = require("PIL.Image", extra="vision", purpose="drawing images")
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    file = io.BytesIO()
    pillow.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(
        file, "png", optimize=True
    )
    return file.getvalue()


def grid_of(images: Tensor, columns: int | None = None) -> Tensor:
    """Images side by side, on white; small ones are enlarged.

    Args:
        images: Pixels of 8 bits, [row, channel, height, width].
        columns: How many stand beside each other; None makes it about a square.

    Returns:
        Pixels, [channel, height, width].

    Example:
        >>> grid_of(torch.zeros(4, 1, 48, 48, dtype=torch.uint8)).shape
        torch.Size([1, 98, 98])
    """
    count, channels, height, width = images.shape
    times = max(1, round(GRID_SIDE / max(height, width)))
    images = images.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)
    height, width = height * times, width * times
    across = min(count, columns or int(-(-(count**0.5) // 1)))
    down = -(-count // across)
    sheet = images.new_full(
        (channels, down * (height + GAP) - GAP, across * (width + GAP) - GAP), 255
    )
    for number, image in enumerate(images):
        top, left = number // across * (height + GAP), number % across * (width + GAP)
        sheet[:, top : top + height, left : left + width] = image
    return sheet


def _walkable(run: Run) -> Any:
    if isinstance(run.model, Decodes) and isinstance(run.model, Samples):
        return run.model
    raise InputError(
        f"the model {run.plan.model['name']} has no codes of a known distribution to walk between",
        expected="a network that samples and decodes, such as vae, gan or flow",
        got=f"a run of {run.plan.model['name']}",
        do="leave --interpolate and --walk out",
    )


def _decoded(run: Run, network: Any, codes: Tensor, columns: int) -> Made:
    task: Any = run.decoder
    classes = None
    if task.shares:  # the commonest, for all
        classes = torch.full((len(codes),), int(torch.tensor(task.shares).argmax()))
    with evaluating(run.model), torch.no_grad():
        parts = [
            network.decode(part, None if classes is None else classes[: len(part)]).cpu()
            for part in torch.split(codes, MADE_AT_ONCE)
        ]
    return shown(run, torch.cat(parts), classes, columns)


def _classes(run: Run, num_samples: int, only: str | None, seed: int) -> Tensor | None:
    """Codes of the classes to make; None where the network is told none."""
    task = run.decoder
    assert isinstance(task, Generation)  # noqa: S101 - narrows the type
    if task.labels is None:
        if only is not None:
            raise InputError(
                "this network is told no classes",
                expected="a run that was trained with --target",
                got=f"the class {only!r}",
                do="leave the class out, or train with --target COLUMN",
            )
        return None
    if only is not None:
        if only not in task.labels.names:
            raise unknown_name("class", only, task.labels.names)
        return torch.full((num_samples,), task.labels.names.index(only))
    generator = torch_generator(seed, "classes")
    shares = torch.tensor(task.shares, dtype=torch.float64)
    return torch.multinomial(shares, num_samples, replacement=True, generator=generator)


def _check_options(network: Samples, options: Mapping[str, Any], name: str) -> None:
    takes = [key for key in inspect.signature(network.sample).parameters if key != "options"]
    own = [key for key in takes if key not in ("num_samples", "generator", "classes")]
    for key in options:
        if key not in own:
            raise InputError(
                f"the model {name} does not take {key}",
                expected=", ".join(own) or "no options",
                got=key,
                do=f"leave --{key.replace('_', '-')} out",
            )


def _as_name(told: str) -> str:
    """A class as a part of a file's name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in told)[:40] or "none"
