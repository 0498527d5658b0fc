"""What a trained network makes of rows before its head: vectors to compare and learn from."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from glial.core.errors import InputError, unknown_name
from glial.core.files import write_atomic
from glial.data import to_kind_of, write_table
from glial.functional.masked import masked_mean
from glial.functional.neighbours import Metric, near_copies, nearest
from glial.functional.planes import LayoutName, laid_out
from glial.nn.tokens import PADDING
from glial.runs.loading import load
from glial.runs.prediction import notice_differences, read_for
from glial.runs.run import Run
from glial.runs.unlabelled.judging import vectors
from glial.tasks.embedding import Embedding, embedding_columns
from glial.tasks.unlabelled import Generation

logger = logging.getLogger(__name__)

ARRAYS = ".npz"
INPUTS = "inputs"
# Layers whose outputs are [row, channel, place]; those of others are [row, place, channel].
_CHANNELS_FIRST = (
    nn.Conv1d,
    nn.BatchNorm1d,
    nn.MaxPool1d,
    nn.AvgPool1d,
    nn.AdaptiveMaxPool1d,
    nn.AdaptiveAvgPool1d,
)


@dataclass(frozen=True)
class Embedded:
    """Rows as vectors.

    Attributes:
        vectors: [row, feature].
        paths: The files of images, where the rows came from such; else None.

    Example:
        >>> rows = Embedded(torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]))
        >>> rows.near(1)["near_1"].to_list(), rows.copies(0.99)
        ([1, 0, 0], [{'rows': [0, 1], 'similarity': 1.0}])
    """

    vectors: Tensor
    paths: pl.Series | None = None

    def frame(self) -> pl.DataFrame:
        """A row per row: ``path`` where there is one, and ``embedding_<i>``."""
        columns = pl.DataFrame(embedding_columns(self.vectors.numpy()))
        return columns if self.paths is None else pl.DataFrame([self.paths, *columns])

    def near(
        self, num_neighbours: int, others: Embedded | None = None, *, metric: Metric = "cosine"
    ) -> pl.DataFrame:
        """The nearest rows of each row.

        Args:
            num_neighbours: How many each.
            others: The rows to search; None searches the other rows of these.
            metric: See `glial.functional.nearest`.

        Returns:
            For each k from 1 on ``near_<k>``, a row's number counted from 0, ``distance_<k>`` and,
            where it has one, ``near_path_<k>``.
        """
        searched = self if others is None else others
        _check_sizes(self, searched)
        found = nearest(
            self.vectors, num_neighbours, None if others is None else others.vectors, metric=metric
        )
        columns: dict[str, Any] = {}
        for k, (distance, row) in enumerate(zip(*(part.T for part in found), strict=True), 1):
            columns[f"near_{k}"] = row.numpy()
            columns[f"distance_{k}"] = distance.numpy()
            if searched.paths is not None:
                columns[f"near_path_{k}"] = searched.paths.gather(row.numpy())
        return pl.DataFrame(columns)

    def copies(self, threshold: float, others: Embedded | None = None) -> list[dict[str, Any]]:
        """Pairs of rows that are nearly the same, the most similar first.

        Args:
            threshold: The least cosine similarity.
            others: Rows to compare with; None compares these with each other.

        Returns:
            ``rows``, their numbers counted from 0, ``similarity`` and, of image files, ``paths``.
        """
        searched = self if others is None else others
        _check_sizes(self, searched)
        found = near_copies(self.vectors, threshold, None if others is None else others.vectors)
        told: list[dict[str, Any]] = []
        for (row, other), similarity in zip(*(part.tolist() for part in found), strict=True):
            pair: dict[str, Any] = {"rows": [row, other], "similarity": similarity}
            if self.paths is not None and searched.paths is not None:
                pair["paths"] = [self.paths[row], searched.paths[other]]
            told.append(pair)
        return told

    def reduced(self, how: LayoutName, *, seed: int = 0) -> Embedded:
        """The rows in a plane.

        Args:
            how: ``tsne`` keeps neighbours beside one another, and has no map: it lays out these
                rows and no others; ``pca`` keeps as much of their variance as it can.
            seed: Seed of what t-SNE draws.

        Raises:
            InputError: If there are fewer than three rows, or the way is unknown.

        Example:
            >>> Embedded(torch.eye(4)).reduced("pca").vectors.shape
            torch.Size([4, 2])
        """
        if how not in ("tsne", "pca"):
            raise InputError(
                "rows are laid out by tsne or pca", expected="tsne or pca", got=str(how)
            )
        if len(self.vectors) < 3:
            raise InputError(
                "there are too few rows to lay out in a plane",
                expected="at least 3",
                got=str(len(self.vectors)),
            )
        if how == "tsne":
            logger.info("t-SNE has no map for new rows: other rows are laid out anew")
        plane = laid_out(self.vectors.double().numpy(), how, seed=seed)
        return replace(self, vectors=torch.from_numpy(plane).float())

    def write(self, path: Path, near: pl.DataFrame | None = None) -> None:
        """Write a table, or for ``.npz`` the arrays ``x``, ``path``, ``near`` and ``distance``.

        Args:
            path: The file, its ending the format.
            near: What `near` found, to stand beside.

        Raises:
            InputError: If the file cannot be written.
        """
        if path.suffix.lower() != ARRAYS:
            frame = self.frame()
            write_table(frame if near is None else frame.hstack(near.get_columns()), path)
            return
        arrays = {"x": self.vectors.numpy()}
        if self.paths is not None:
            arrays["path"] = np.array(self.paths.to_list(), dtype=np.str_)
        for kind in ("near", "distance") if near is not None else ():
            columns = [c for c in near.get_columns() if c.name.rpartition("_")[0] == kind]  # type: ignore[union-attr]
            arrays[kind] = np.stack([column.to_numpy() for column in columns], axis=1)
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        write_atomic(path, buffer.getvalue())


def embed(
    run: Run | str | Path,
    source: Any,
    *,
    layer: str | None = None,
    reduce: LayoutName | None = None,
) -> Any:
    """What a network makes of rows before its head, for searching them or for other models.

    Args:
        run: The run, or its folder.
        source: A file, glob pattern, folder of images, data set or table in memory; it needs no
            target.
        layer: The layer whose output is taken, by its path in ``named_modules()``, the mean over
            all places where it has some; by default what the head sees. For the task ``embedding``
            that is its result, of length 1. ``inputs`` are the rows' numbers as the network is
            given them.
        reduce: ``tsne`` or ``pca`` lays these rows out in a plane by it: see `Embedded.reduced`.

    Returns:
        A table of the caller's kind (polars for files): ``embedding_0`` and so on, a row per row;
        for image files and folders of them ``path`` before these, which it is sorted by. Of several
        networks all vectors stand side by side.

    Raises:
        InputError: If columns are missing, the source cannot be read, or there is no such layer.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="mlp", epochs=2, out=False)
        >>> embed(run, "iris").shape[0], embed(run, "iris", layer="head").shape
        (150, (150, 3))
    """
    rows = embed_rows(run, source, layer=layer)
    return to_kind_of((rows if reduce is None else rows.reduced(reduce)).frame(), source)


def embed_rows(run: Run | str | Path, source: Any, *, layer: str | None = None) -> Embedded:
    """What `embed` gives, as vectors with the paths of images.

    Args:
        run: The run, or its folder.
        source: As for `embed`.
        layer: As for `embed`.

    Raises:
        InputError: As by `embed`.

    Example:
        >>> import glial
        >>> run = glial.train("iris", model="linear", epochs=1, out=False)
        >>> embed_rows(run, "iris").vectors.shape  # a linear model's head sees the row itself
        torch.Size([150, 4])
    """
    run = run if isinstance(run, Run) else load(run)
    if run.takes_batches:
        raise InputError(
            "this run was trained on a loader, and takes no table",
            expected="a run of a table, of images or of texts",
            got=f"the run {run.path or 'in memory'}",
            do="call the network's layers with your own batches: run.model",
        )
    frame, paths = read_for(run, source)
    if frame.height == 0:
        raise InputError("there are no rows to embed", expected="at least one row", got="none")
    notice_differences(run, frame)
    return Embedded(_vectors(run, frame, layer), paths)


def _vectors(run: Run, frame: pl.DataFrame, layer: str | None) -> Tensor:
    decoder: Any = run.decoder
    if isinstance(decoder, Embedding) and layer is None:
        return decoder.vectors(run.outputs(frame))
    if isinstance(decoder, Generation) and layer is None:
        return vectors(run, frame).cpu()
    if layer == INPUTS and layer not in dict(run.model.named_modules()):
        return replace(run, model=_Given(run.model), members=[]).outputs(frame).float().cpu()
    parts = [
        replace(one, model=_Before(one.model, layer)).outputs(frame, notice=number == 0)
        for number, one in enumerate(run.members or [run])
    ]
    return torch.cat(parts, dim=1).float().cpu()


def _check_sizes(rows: Embedded, others: Embedded) -> None:
    if rows.vectors.shape[1] != others.vectors.shape[1]:
        raise InputError(
            "the rows to search are vectors of another size",
            expected=f"{rows.vectors.shape[1]} numbers each",
            got=str(others.vectors.shape[1]),
            do="embed both by the same run and layer",
        )


class _Given(nn.Module):
    """The numbers that a network is given of each row, [row, number]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network  # says on which device inputs are wanted

    def forward(self, *inputs: Tensor) -> Tensor:
        numbers = [part.flatten(1) for part in inputs if part.is_floating_point() and part.ndim > 1]
        if not numbers:
            raise InputError(
                "the network is given no numbers of a row",
                expected="columns of numbers, or images",
                got="tokens or codes",
                do="name a layer with --layer (layer= in Python)",
            )
        return torch.cat(numbers, dim=1)


class _Before(nn.Module):
    """A network that gives what one of its layers gave, or what its head saw, [row, feature]."""

    def __init__(self, network: nn.Module, layer: str | None) -> None:
        super().__init__()
        self.network = network
        self.embeds = layer is None and callable(getattr(network, "embed", None))
        self.takes_input = layer is None
        self.layer = network if self.embeds else _found(network, layer)

    def forward(self, *inputs: Tensor) -> Tensor:
        if self.embeds:
            return self._rows(self.network.embed(*inputs), inputs)  # type: ignore[operator]
        seen: list[Any] = []

        def look(_: nn.Module, given: tuple[Any, ...], result: Any) -> None:
            seen.append(given[0] if self.takes_input else result)

        handle = self.layer.register_forward_hook(look)
        try:
            self.network(*inputs)
        finally:
            handle.remove()
        return self._rows(seen[-1] if seen else None, inputs)

    def _rows(self, value: Any, inputs: tuple[Tensor, ...]) -> Tensor:
        """A layer's result with a row per row, the mean over places taken."""
        num_rows = len(inputs[0])
        if isinstance(value, tuple) and value:
            value = value[0]
        found = value if isinstance(value, Tensor) and value.ndim > 1 else torch.zeros(0, 0)
        members = getattr(self.network, "num_members", None)
        if found.ndim == 3 and found.shape[1] == num_rows and len(found) in (1, members):
            return found.transpose(0, 1).flatten(1)  # [member, row, feature]
        if len(found) != num_rows or not found.is_floating_point():
            raise InputError(
                "this layer gives no vector for each row",
                expected="a layer that is called with all rows and gives numbers for each",
                got=f"{type(self.layer).__name__} gives {_told(value)} for {num_rows} rows",
                do="choose another layer: glial inspect RUN lists them",
            )
        if found.ndim == 3:
            turned = isinstance(self.layer, _CHANNELS_FIRST)
            return _mean_over_places(found.transpose(1, 2) if turned else found, inputs)
        return found.flatten(2).mean(dim=2) if found.ndim > 3 else found


def _mean_over_places(value: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    """The mean of [row, place, feature] over places; of a text's over those that hold a token."""
    texts = [part for part in inputs if part.dtype == torch.int64]
    if not texts or texts[-1].shape != value.shape[:2]:
        return value.mean(dim=1)
    mean: Tensor = masked_mean(value, texts[-1] != PADDING)
    return mean


def _told(value: Any) -> str:
    return f"{list(value.shape)}" if isinstance(value, Tensor) else "no tensor"


def _found(network: nn.Module, layer: str | None) -> nn.Module:
    """The layer of a name; of none the head."""
    modules: dict[str, nn.Module] = dict(network.named_modules())
    if layer is not None:
        if layer not in modules or not layer:
            raise unknown_name("layer", layer, [name for name in modules if name])
        return modules[layer]
    named = getattr(network, "head_name", "head")
    if named in modules:
        return modules[named]
    layers = [module for module in modules.values() if hasattr(module, "weight")]
    if not layers:
        raise InputError(
            "this network has no layer that could be its head",
            expected="a layer with weights",
            got=type(network).__name__,
            do="name a layer with --layer (layer= in Python)",
        )
    return layers[-1]
