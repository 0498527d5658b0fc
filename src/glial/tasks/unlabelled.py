"""Learning from rows alone: making up new ones, and saying them with fewer numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from glial.core.errors import InputError
from glial.tasks.embedding import embedding_columns
from glial.tasks.labels import Labels, LabelType
from glial.tasks.settings import TaskSettings
from glial.tasks.task import Decoded, Loss, Task, count_of


class Generation:
    """Learn how rows are distributed, and make up new ones.

    What a network says of a row, in the task's terms, are figures: how well it gives the row back,
    or how likely the row is to it. They are told by the network itself, see
    `glial.models.unlabelled.Unlabelled.measure`.

    Args:
        classes: The column of classes that the network is told, and its values; None of none.
        shares: How common each class is.
        figures: The names of the figures.
        trivial: What a trivial predictor's figures are, by their names, where there is one.
        whole: Columns of whole numbers, which are made up as such.
        settings: The plan's ``task`` part.

    Example:
        >>> task = Generation(None, [], TaskSettings(), figures=["log_likelihood"])
        >>> task.decode(torch.tensor([[-1.5]])).frame()["log_likelihood"].to_list()
        [-1.5]
    """

    name: str = "generate"
    monitored: tuple[str, ...] = ("loss",)
    thresholds: list[float] | None = None

    def __init__(
        self,
        classes: tuple[str, Labels] | None,
        shares: Sequence[float],
        settings: TaskSettings,
        *,
        figures: Sequence[str] = (),
        trivial: dict[str, float] | None = None,
        whole: Sequence[str] = (),
        embedding_size: int = 0,
    ) -> None:
        self.targets = [] if classes is None else [classes[0]]
        self.labels = None if classes is None else classes[1]
        self.shares = list(shares)
        self.settings = settings
        self.figures = list(figures)
        self.trivial = dict(trivial or {})
        self.whole = list(whole)
        self.embedding_size = embedding_size

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, targets: list[str], settings: TaskSettings, loss: Loss | None
    ) -> Generation:
        """The task of training rows, the classes of the one target column told.

        Args:
            frame: The training rows.
            targets: A column of classes, or none.
            settings: The plan's ``task`` part.
            loss: Is not used: the network says what it learns.

        Raises:
            InputError: If the target is no column of classes.
        """
        whole = [column.name for column in frame if column.dtype.is_integer()]
        if not targets:
            return cls(None, [], settings, whole=whole)
        labels = Labels.of(frame[targets[0]])
        if 2 * len(labels.names) > frame.height:
            raise InputError(
                f"the target {targets[0]!r} is told as a class, and hardly a value comes twice",
                expected="a column of classes",
                got=f"{len(labels.names):,} values in {frame.height:,} rows",
                do="name a column of classes, or leave the target out",
            )
        counts = np.bincount(labels.codes(frame[targets[0]]), minlength=len(labels.names))
        shares = (counts / counts.sum()).tolist()
        return cls((targets[0], labels), shares, settings, whole=whole)

    @property
    def num_outputs(self) -> int:
        """Number of classes that the network is told; 0 of none."""
        return len(self.shares)

    def learns_from(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows that may be learnt from: all of them."""
        return frame

    def encode(self, frame: pl.DataFrame) -> Tensor:
        """Codes of the rows' classes, [row]; zeros of none."""
        if self.labels is None:
            return torch.zeros(frame.height, dtype=torch.int64)
        return torch.from_numpy(self.labels.codes(frame[self.targets[0]]))

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean of the first figure; what is learnt the network says itself.

        Args:
            outputs: The numbers of the embedding, where there is one, and then the figures, [row,
                number].
            target: Is not used.
            weight: Weight of each row.
        """
        first = outputs[:, outputs.shape[1] - len(self.figures)]
        return first.mean() if weight is None else (first * weight).sum() / weight.sum()

    def mass(self, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The number of rows, or the sum of their weights."""
        return count_of(target) if weight is None else weight.sum()

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """The mean of the first figure."""
        return {"loss": float(self.loss(outputs, target))}

    def tune(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> None:
        """Nothing: there is no threshold."""

    def decode(self, outputs: Tensor, frame: pl.DataFrame | None = None) -> Decoded:
        """The embedding of each row, where there is one, and its figures."""
        values = outputs.double().numpy()
        size = values.shape[1] - len(self.figures)
        told = dict(zip(self.figures, values[:, size:].T, strict=True))
        return Decoded({**embedding_columns(values[:, :size]), **told})

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """The mean of each figure."""
        values = outputs[:, outputs.shape[1] - len(self.figures) :].double().numpy()
        means = np.average(values, axis=0, weights=weight)
        return dict(zip(self.figures, means.tolist(), strict=True))

    def pool(self, members: Sequence[tuple[Task, Tensor]]) -> Tensor:
        """The mean of several networks' figures."""
        return torch.stack([outputs for _, outputs in members]).mean(dim=0)

    def spread(
        self, members: Sequence[tuple[Task, Tensor]], frame: pl.DataFrame | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Nothing: networks of rows alone are trained one at a time."""
        return {}

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """The trivial predictor's figures for every row; NaN where there is none."""
        told = [self.trivial.get(name, float("nan")) for name in self.figures]
        return torch.tensor(told, dtype=torch.float64).expand(num_rows, -1)

    def details(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, Any]:
        """Nothing more."""
        return {}

    def state(self) -> dict[str, Any]:
        """What was fitted."""
        return {
            "task": self.name,
            "targets": self.targets,
            "classes": [] if self.labels is None else self.labels.names,
            "label_type": None if self.labels is None else self.labels.kind,
            "shares": self.shares,
            "figures": self.figures,
            "trivial": self.trivial,
            "whole": self.whole,
            "embedding_size": self.embedding_size,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> Generation:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        classes = None
        if held.targets:
            if held.label_type is None or len(set(held.classes)) != len(held.classes):
                raise ValueError("the classes do not fit together")
            labels = Labels(held.classes, held.label_type)
            labels.typed()
            classes = (held.targets[0], labels)
        if len(held.shares) != len(held.classes) * len(held.targets):
            raise ValueError("there is not one share a class")
        return cls(
            classes,
            held.shares,
            settings,
            figures=held.figures,
            trivial=held.trivial,
            whole=held.whole,
            embedding_size=held.embedding_size,
        )


class Reduction(Generation):
    """Learn to say rows with fewer numbers, and to give them back from these.

    Predictions are the rows' embeddings, beside the figures.

    Example:
        >>> task = Reduction(None, [], TaskSettings(), figures=["reconstruction_error"])
        >>> task.decode(torch.tensor([[0.5, 1.0, 2.0]])).frame().columns
        ['embedding_0', 'embedding_1', 'reconstruction_error']
    """

    name = "reduce"


class _State(BaseModel):
    """What ``decoding.json`` holds of the task."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    task: Literal["generate", "reduce"]
    targets: list[str] = Field(max_length=1)
    classes: list[str]
    label_type: LabelType | None
    shares: list[Annotated[float, Field(ge=0, le=1)]]
    figures: list[str]
    trivial: dict[str, float]
    whole: list[str]
    embedding_size: int = Field(ge=0)
