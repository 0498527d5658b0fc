"""A vector for each row, such that rows of one class lie near each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from glial.core.errors import InputError
from glial.core.seeds import torch_generator
from glial.functional import metric_losses
from glial.functional.neighbours import recall_at, retrieval_scores, retrieval_values
from glial.tasks.labels import Labels, LabelType, label_texts
from glial.tasks.settings import TaskSettings
from glial.tasks.task import Decoded, Loss, Task, count_of

# Neighbours of so many rows are looked for after an epoch, and of so many in the end.
MONITORED_ROWS = 5_000
SCORED_ROWS = 10_000
# The loss of validation rows is that of batches of so many.
JUDGED_TOGETHER = 256
MARGINS = {"contrastive": 0.5, "triplet": 0.2, "proxy": 0.0}


class Embedding:
    """Learn where to put rows so that those of one class are near each other.

    A network's outputs are the embedding, whose direction alone counts: it is brought to length 1.
    Behind these outputs, in training, a proxy loss wants the similarities of a row to the proxy of
    each class: see `glial.nn.proxies.WithProxies`. Without them, as of validation rows, the mean of
    the other rows of a class stands for its proxy.

    Args:
        target: Name of the column with the classes.
        labels: The classes.
        settings: Loss, margin and size.
        custom_loss: The user's own ``loss(embeddings, target)``, when the settings name it.
    """

    name = "embedding"
    monitored = ("loss", "recall_at_1")
    thresholds: list[float] | None = None

    def __init__(
        self,
        target: str,
        labels: Labels,
        settings: TaskSettings,
        custom_loss: Loss | None = None,
    ) -> None:
        self.targets = [target]
        self.labels = labels
        self.settings = settings
        self._custom_loss = custom_loss
        self.loss_name = "proxy" if settings.loss == "auto" else settings.loss

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, targets: list[str], settings: TaskSettings, loss: Loss | None
    ) -> Embedding:
        """The task for the training rows of a table.

        Raises:
            InputError: If there is not one target with two classes or more, one of them with two
                rows.
        """
        labels = Labels.of(frame[targets[0]])
        codes = labels.codes(frame[targets[0]])
        most = int(np.bincount(codes + 1)[1:].max(initial=0))
        if len(targets) != 1 or len(labels.names) < 2 or most < 2 or (codes < 0).any():
            raise InputError(
                f"the target {', '.join(targets)!r} cannot be learnt as an embedding",
                expected="one column with a class in each row, of two or more, some of them twice",
                got=f"{len(labels.names)} classes of at most {most} rows in {targets[0]!r}",
                do="name one column whose equal values say which rows belong together",
            )
        return cls(targets[0], labels, settings, loss)

    @property
    def num_outputs(self) -> int:
        """Numbers of an embedding."""
        return self.settings.embedding_size

    @property
    def num_proxies(self) -> int:
        """Proxies to be learnt beside the network, one a class; 0 where the loss has none."""
        return len(self.labels.names) if self.loss_name == "proxy" else 0

    @property
    def rows_per_class(self) -> int:
        """Rows of a class that are to stand in a batch together."""
        asked = self.settings.rows_per_class
        return asked or (1 if self.loss_name == "proxy" else 4)

    def encode(self, frame: pl.DataFrame) -> Tensor:
        """Class indices; labels that training never showed have further ones."""
        column = frame[self.targets[0]]
        codes = self.labels.codes(column)
        texts = label_texts(column).filter(pl.Series(codes < 0))
        new = texts.fill_null("").rank("dense").to_numpy().astype(np.int64)
        codes[codes < 0] = len(self.labels.names) - 1 + new
        return torch.from_numpy(codes)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean loss of all members, each with embeddings of its own."""
        if outputs.ndim == 3:
            parts = [self._loss(part, target, weight) for part in outputs.unbind(dim=1)]
            return torch.stack(parts).mean()
        return self._loss(outputs, target, weight)

    def _loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        size, margin = self.num_outputs, self.settings.margin
        margin = MARGINS.get(self.loss_name, 0.0) if margin is None else margin
        embeddings = functional.normalize(outputs[:, :size], dim=1)
        if self._custom_loss is not None:
            return self._custom_loss(embeddings, target)
        if self.loss_name == "contrastive":
            return metric_losses.contrastive(embeddings, target, margin=margin, weight=weight)
        if self.loss_name == "triplet":
            return metric_losses.triplet(
                embeddings, target, margin=margin, mining=self.settings.mining, weight=weight
            )
        smoothing = self.settings.label_smoothing or 0.0
        similarities = outputs[:, size:]
        if similarities.shape[1] == 0:
            smoothing = 0.0
            similarities, target, alone = _to_centres(embeddings, target)
            weight = (~alone).to(embeddings) if weight is None else weight * ~alone
        return metric_losses.proxy_nca(
            similarities,
            target,
            temperature=self.settings.temperature,
            margin=margin,
            label_smoothing=smoothing,
            weight=weight,
        )

    def mass(self, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The number of rows, or the sum of their weights."""
        own = self._custom_loss is not None
        return count_of(target) if weight is None or own else weight.sum()

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """The loss, and how often the nearest row is of the same class; of many rows some."""
        order = _drawn(len(target), MONITORED_ROWS).to(target.device)
        outputs, target = outputs[order].float(), target[order]
        whole = self.loss_name == "proxy"
        together = len(outputs) if whole else JUDGED_TOGETHER
        parts = zip(torch.split(outputs, together), torch.split(target, together), strict=True)
        losses = [float(self.loss(part, rows)) * len(rows) for part, rows in parts]
        recall = recall_at(self.vectors(outputs), target.cpu(), 1)
        return {"loss": sum(losses) / len(target), "recall_at_1": recall}

    def vectors(self, outputs: Tensor) -> Tensor:
        """Embeddings of length 1, [row, feature]; those of several members side by side.

        The similarity of two rows is then the mean of what their members say.
        """
        vectors = outputs.detach().float().cpu()
        if vectors.ndim == 3:
            vectors = functional.normalize(vectors, dim=2).flatten(1)
        return functional.normalize(vectors, dim=1)

    def tune(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> None:
        """Nothing: embeddings are not decided between."""

    def decode(self, outputs: Tensor, frame: pl.DataFrame | None = None) -> Decoded:
        """The numbers of each row's embedding."""
        return Decoded(embedding_columns(self.vectors(outputs).numpy()))

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """Whether the rows near a row are of its class; of many rows some."""
        order = _drawn(frame.height, SCORED_ROWS)
        weights = None if weight is None else torch.from_numpy(weight).float()[order]
        vectors = self.vectors(outputs[order.to(outputs.device)])
        return retrieval_scores(vectors, self.encode(frame)[order], weight=weights)

    def row_scores(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
        """What each row adds to the scores, [row]; NaN where it is not searched for."""
        order = _drawn(frame.height, SCORED_ROWS)
        vectors = self.vectors(outputs[order.to(outputs.device)])
        found = {}
        for name, values in retrieval_values(vectors, self.encode(frame)[order]).items():
            found[name] = np.full(frame.height, np.nan)
            found[name][order.numpy()] = values.numpy()
        return found

    def details(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, Any]:
        """Nothing beyond the metrics."""
        return {}

    def pool(self, members: Sequence[tuple[Task, Tensor]]) -> Tensor:
        """Embeddings of all networks side by side, as each has its own space."""
        return torch.cat([self.vectors(outputs) for _, outputs in members], dim=1)

    def spread(
        self, members: Sequence[tuple[Task, Tensor]], frame: pl.DataFrame | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Nothing: places in different spaces are not compared."""
        return {}

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """Places drawn at random: what is near tells nothing of classes."""
        generator = torch_generator(0, "trivial embeddings")
        return torch.randn(num_rows, self.num_outputs, generator=generator)

    def state(self) -> dict[str, Any]:
        """The classes."""
        return {
            "task": self.name,
            "targets": self.targets,
            "classes": self.labels.names,
            "label_type": self.labels.kind,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> Embedding:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        labels = Labels(held.classes, held.label_type)
        labels.typed()
        if len(set(held.classes)) != len(held.classes):
            raise ValueError("a class stands there twice")
        return cls(held.targets[0], labels, settings)


class _State(BaseModel):
    """What ``decoding.json`` holds of an embedding."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    task: Literal["embedding"]
    targets: list[str] = Field(min_length=1, max_length=1)
    classes: list[str] = Field(min_length=2)
    label_type: LabelType


def embedding_columns(vectors: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Embeddings as columns of a table.

    Args:
        vectors: [row, feature].

    Example:
        >>> list(embedding_columns(np.zeros((1, 2))))
        ['embedding_0', 'embedding_1']
    """
    return {f"embedding_{number}": column for number, column in enumerate(vectors.T)}


def _drawn(num_rows: int, most: int) -> Tensor:
    """Numbers of rows in no order: neighbours that are equally near have none by their class."""
    return torch.randperm(num_rows, generator=torch_generator(0, "judged rows"))[:most]


def _to_centres(embeddings: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cosines to the mean of each class's other rows, class numbers, and who has no such rows."""
    classes, codes = torch.unique(target, return_inverse=True)
    sums = embeddings.new_zeros(len(classes), embeddings.shape[1]).index_add(0, codes, embeddings)
    others = functional.normalize(sums[codes] - embeddings, dim=1)
    own = (others * embeddings).sum(dim=1, keepdim=True)
    cosines = metric_losses.cosine_similarities(embeddings, sums)
    alone = codes.bincount()[codes] == 1
    return cosines.scatter(1, codes[:, None], own), codes, alone
