"""What a network that learnt from rows alone says of rows, and how good that is."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.core.progress import share_logger
from glial.core.seeds import torch_generator
from glial.data import Encoding
from glial.data.batches import Batch, take
from glial.models.unlabelled import Encodes, Samples
from glial.nn.summary import evaluating
from glial.runs.preparation import weights_of
from glial.runs.run import Run
from glial.runs.unlabelled.making import make
from glial.runs.unlabelled.preparation import batch_of, rows_of
from glial.runs.unlabelled.quality import LEAST_ROWS, MOST_ROWS, SampleQuality, sample_quality
from glial.runs.ways import Judged
from glial.tasks.unlabelled import Generation, Reduction

logger = logging.getLogger(__name__)

JUDGED_AT_ONCE = 256
MOST_SAMPLES, SEED = 500, 12345  # images of a diffusion take their time
LEAST_VARIANCE = 1e-6


def told(run: Run, frame: pl.DataFrame) -> Tensor:
    """What a run's network says of rows: its figures and, where it reduces, their embeddings.

    Args:
        run: The run.
        frame: The rows; of a network that is told classes, with their column.

    Returns:
        [row, figure or number of the embedding], in the task's terms.

    Raises:
        InputError: If a column is missing, or a class is none that training showed.
    """
    task: Any = run.decoder
    network: Any = run.model

    def figures(rows: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
        told = network.measure(*rows, generator=generator)
        columns = [told[name].double()[:, None] for name in task.figures]
        if task.embedding_size:
            columns = [network.embed(*rows).flatten(1).double(), *columns]
        return torch.cat(columns, dim=1)

    return in_parts(run, frame, figures)


def vectors(run: Run, frame: pl.DataFrame) -> Tensor:
    """The embeddings of rows, [row, feature].

    Args:
        run: The run.
        frame: The rows, as for `told`.

    Raises:
        InputError: As by `told`, and if the network embeds nothing.
    """
    network = run.model
    if not isinstance(network, Encodes):
        raise InputError(
            f"the model {run.plan.model['name']} makes no vectors of rows",
            expected="a network that embeds, such as an autoencoder, vae or flow",
            got=f"a run of {run.plan.model['name']}",
            do="name a layer with --layer (layer= in Python)",
        )
    return in_parts(run, frame, lambda rows, _: network.embed(*rows).flatten(1).float())


def in_parts(
    run: Run,
    frame: pl.DataFrame,
    function: Callable[[tuple[Tensor, ...], torch.Generator], Tensor],
) -> Tensor:
    """What a function gives for some rows at a time; what is drawn hangs on their place alone.

    Args:
        run: The run.
        frame: The rows.
        function: Is called with some of them, as the network takes them, and draws.
    """
    task: Any = run.decoder
    batch = batch_of(run.plan, run.encoding, task, frame)
    tell = share_logger(logger, "judging rows")
    parts = batch_parts(batch, JUDGED_AT_ONCE)
    found = []
    with evaluating(run.model), torch.no_grad():
        for number, part in enumerate(parts):
            generator = torch_generator(0, "judged", number)
            found.append(function(rows_of(run.encoding, task, part), generator))
            tell((number + 1) / len(parts))
    return torch.cat(found)


def batch_parts(batch: Batch, size: int) -> list[Batch]:
    """A batch in parts of a size, the last one smaller."""
    rows = torch.arange(len(batch.target), device=batch.target.device)
    return [take(batch, part) for part in torch.split(rows, size)]


def with_figures(
    network: nn.Module, encoding: Encoding, task: Generation, rows: Batch
) -> Generation:
    """The task with what the network says of a row, and what a trivial predictor would.

    That gives every row back as the mean, of numbers it takes each to be normally distributed by
    itself, and what an image becomes is the median of all.

    Args:
        network: The network, trained or not.
        encoding: How the rows became tensors.
        task: What is learnt.
        rows: Some training rows as they are held.
    """
    own: Any = network
    finished = rows_of(encoding, task, rows)
    few = tuple(part[:2] for part in finished)
    with evaluating(network), torch.no_grad():
        task.figures = list(own.measure(*few, generator=torch.Generator().manual_seed(0)))
        if isinstance(task, Reduction) and isinstance(network, Encodes):
            task.embedding_size = network.embed(*few).flatten(1).shape[1]
    variances = finished[0].double().flatten(1).var(dim=0, correction=0)
    last = finished[-1].double()
    trivial = {
        "reconstruction_error": float(variances.mean()),
        "absolute_error": float((last - last.median(dim=0).values).abs().mean()),
    }
    if finished[0].ndim == 2:
        varying = variances.clamp_min(LEAST_VARIANCE)
        nats = -0.5 * float((2 * math.pi * math.e * varying).log().sum())
        trivial |= dict.fromkeys(("elbo", "iwae_bound", "log_likelihood"), nats)
    task.trivial = {name: value for name, value in trivial.items() if name in task.figures}
    return task


def judged(
    run: Run, frame: pl.DataFrame, *, baseline: bool, known: pl.DataFrame | None = None
) -> Judged:
    """How good a run's network is for rows and, where it makes some up, how good those are.

    Args:
        run: The run.
        frame: The rows.
        baseline: Whether the trivial predictor is judged too.
        known: Training rows, beside which samples are judged; None judges none.
    """
    weight = weights_of(frame, run.plan.data.weight)
    outputs = told(run, frame)
    trivial = {}
    if baseline:
        figures = run.decoder.scores(run.decoder.trivial_outputs(frame.height), frame, weight)
        trivial = {name: value for name, value in figures.items() if not math.isnan(value)}
    metrics = run.decoder.scores(outputs, frame, weight)
    if known is not None and (found := judged_samples(run, known, frame)) is not None:
        metrics |= found.samples
        trivial |= found.baseline if baseline else {}
    return Judged(metrics, trivial)


def judged_samples(run: Run, known: pl.DataFrame, kept: pl.DataFrame) -> SampleQuality | None:
    """How good a run's samples are; None of runs that are to make nothing up.

    Args:
        run: The run.
        known: Training rows, or others that stand for them.
        kept: Rows that were kept back.
    """
    task: Any = run.decoder
    network = run.model
    if isinstance(task, Reduction) or not isinstance(network, Samples):
        return None
    frames = [frame.head(MOST_ROWS) for frame in (known, kept)]
    batches = [batch_of(run.plan, run.encoding, task, frame) for frame in frames]
    rows = [rows_of(run.encoding, task, batch) for batch in batches]
    if any(len(part) > 1 + bool(task.shares) for part in rows):
        return None  # pairs of images, and sequences with their lengths
    count = min(MOST_SAMPLES, kept.height)
    if count < LEAST_ROWS:
        return None
    found = sample_quality(rows[0][0], rows[1][0], make(run, count, seed=SEED).rows)
    logger.info(
        "%d samples, %s: Fréchet distance %.4g (training rows %.4g), coverage %.2f (%.2f)",
        found.num_rows,
        "by 64 principal components" if rows[0][0].ndim > 2 else "by their scaled numbers",
        *(part[name] for name in ("frechet_distance", "coverage") for part in found[:3:2]),
    )
    return found
