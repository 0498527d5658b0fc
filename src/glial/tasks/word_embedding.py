"""A vector for each word, such that words of like use lie near each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import normalize

from glial.core.errors import InputError
from glial.core.seeds import torch_generator
from glial.tasks.embedding import embedding_columns
from glial.tasks.settings import TaskSettings
from glial.tasks.task import Decoded, Loss, Task, count_of


class WordEmbedding:
    """Learn vectors of words from plain text; a network's outputs are the means of texts.

    What is judged is how well a word foretells those beside it in text that was kept back: the
    mean of -ln p over such pairs, in nats. The trivial predictor knows how often each word is
    foretold in the training text and nothing else. A row of a table is a pair, whose target is
    what the network makes of ln p.

    Args:
        target: What the texts are called.
        counts: How often each word is foretold in training, [word], its number the place.
        size: Numbers of a vector.

    Example:
        >>> task = WordEmbedding("text", [0.0, 0.0, 1.0, 3.0], size=4)
        >>> [round(share, 2) for share in task.log_shares[2:].exp().tolist()]
        [0.25, 0.75]
    """

    name = "embedding"
    monitored: tuple[str, ...] = ("loss",)
    thresholds: list[float] | None = None

    def __init__(self, target: str, counts: Sequence[float], size: int) -> None:
        self.targets = [target]
        self.counts = list(counts)
        self.num_outputs = size
        if not any(self.counts):
            raise ValueError("there is no word")

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, targets: list[str], settings: TaskSettings, loss: Loss | None
    ) -> WordEmbedding:
        """The task of a vocabulary.

        Args:
            frame: A row a word, in the target's column how often it is foretold.
            targets: That one column.
            settings: The plan's ``task`` part.
            loss: None.

        Raises:
            InputError: If the user gives a loss.
        """
        if loss is not None or settings.loss not in ("auto",):
            raise InputError(
                "the loss of word vectors is the model's own",
                expected="task.loss: auto",
                got="a function" if loss is not None else settings.loss,
                do="choose among model.name word2vec, glove and fasttext instead",
            )
        return cls(targets[0], frame[targets[0]].to_list(), settings.embedding_size)

    @property
    def log_shares(self) -> Tensor:
        """The logarithm of the chance that the trivial predictor gives each word, [word]."""
        counts = torch.tensor(self.counts, dtype=torch.float64)
        return (counts / counts.sum()).log()

    def drawn(self, count: int, seed: int) -> Tensor:
        """Words as often as they are foretold, to tell those beside a word from, [row].

        Args:
            count: How many.
            seed: Decides which.
        """
        generator = torch_generator(seed, "words to tell from")
        shares = torch.tensor(self.counts, dtype=torch.float64).cumsum(0)
        at = torch.rand(count, generator=generator, dtype=torch.float64) * shares[-1]
        return torch.searchsorted(shares, at, right=True).clamp_max(len(shares) - 1)

    def figures(
        self, told: Tensor, of_drawn: Tensor, shares: Tensor, shares_of_drawn: Tensor
    ) -> dict[str, float]:
        """Metrics of words that stand beside others.

        Args:
            told: ln p of each word, given what stands beside it, [row].
            of_drawn: Of a drawn word in its place.
            shares: ln p of each word, given nothing.
            shares_of_drawn: Of the drawn ones.

        Returns:
            ``log_loss``, the mean of -ln p in nats, and ``roc_auc``, how often the right word gains
            more by what stands beside it than the drawn one; 0.5 by chance.

        Example:
            >>> task, nats = WordEmbedding("text", [1.0], 2), -torch.ones(2)
            >>> task.figures(nats, 2 * nats, nats, nats)
            {'log_loss': 1.0, 'roc_auc': 1.0}
        """
        gained = (told.double() - shares) - (of_drawn.double() - shares_of_drawn)
        above = (gained > 0).double() + (gained == 0).double() / 2
        return {"log_loss": -float(told.double().mean()), "roc_auc": float(above.mean())}

    def encode(self, frame: pl.DataFrame) -> Tensor:
        """What a network makes of ln p, a row each."""
        return torch.from_numpy(frame[self.targets[0]].to_numpy().astype(np.float32))

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean of -ln p; outputs and weights are not used."""
        return -target.mean()

    def mass(self, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The number of pairs."""
        return count_of(target)

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """The loss of pairs."""
        return {"loss": float(self.loss(outputs, target))}

    def tune(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> None:
        """Nothing: there is no threshold."""

    def decode(self, outputs: Tensor, frame: pl.DataFrame | None = None) -> Decoded:
        """The numbers of each text's vector."""
        return Decoded(embedding_columns(outputs.detach().float().cpu().numpy()))

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """The loss of pairs; outputs and weights are not used."""
        return {"log_loss": float(self.loss(outputs, self.encode(frame)))}

    def details(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, Any]:
        """Nothing more."""
        return {}

    def pool(self, members: Sequence[tuple[Task, Tensor]]) -> Tensor:
        """The directions of all networks side by side, as each has its own space."""
        return torch.cat([normalize(outputs, dim=1) for _, outputs in members], dim=1)

    def spread(
        self, members: Sequence[tuple[Task, Tensor]], frame: pl.DataFrame | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Nothing: places in different spaces are not compared."""
        return {}

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """Places drawn at random."""
        generator = torch_generator(0, "trivial embeddings")
        return torch.randn(num_rows, self.num_outputs, generator=generator)

    def state(self) -> dict[str, Any]:
        """How often each word is foretold, and the size of vectors."""
        return {
            "task": "word-embedding",
            "targets": self.targets,
            "counts": self.counts,
            "size": self.num_outputs,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> WordEmbedding:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        return cls(held.targets[0], held.counts, held.size)


class _State(BaseModel):
    """What ``decoding.json`` holds of word vectors."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    task: Literal["word-embedding"]
    targets: list[str] = Field(min_length=1, max_length=1)
    counts: list[Annotated[float, Field(ge=0)]] = Field(min_length=1)
    size: int = Field(ge=1)
