"""Telling the next token of a text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from glial.tasks.settings import TaskSettings
from glial.tasks.task import Decoded, Loss, Task, averaged_members

ROWS_AT_ONCE = 1 << 12


class LanguageModelling:
    """Learn to tell the next token of a text from those before.

    Losses are in nats a token: the mean of what -ln p of the right token is. The trivial predictor
    knows how often each token stands in the training text, plus once more, and nothing else.

    Args:
        target: What the texts are called.
        counts: How often each token stands in the training text.
        settings: The plan's ``task`` part.
        custom_loss: The user's own ``loss(outputs, target)``, when the settings name it.

    Example:
        >>> task = LanguageModelling("text", [0, 3, 1], TaskSettings())
        >>> uniform, right = torch.zeros(1, 2, 3), torch.tensor([[1, 2]])
        >>> float(task.loss(uniform, right).exp())  # as many as there are tokens
        3.0
    """

    name = "language-modelling"
    monitored: tuple[str, ...] = ("loss", "perplexity")
    thresholds: list[float] | None = None

    def __init__(
        self,
        target: str,
        counts: Sequence[int],
        settings: TaskSettings,
        custom_loss: Loss | None = None,
    ) -> None:
        self.targets = [target]
        self.counts = list(counts)
        self.settings = settings
        self._custom_loss = custom_loss

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, targets: list[str], settings: TaskSettings, loss: Loss | None
    ) -> LanguageModelling:
        """The task of a vocabulary.

        Args:
            frame: A row a token, in the target's column how often it stands in the training text.
            targets: That one column.
            settings: The plan's ``task`` part.
            loss: The user's own.
        """
        return cls(targets[0], frame[targets[0]].to_list(), settings, loss)

    @property
    def num_outputs(self) -> int:
        """A score for each token."""
        return len(self.counts)

    @property
    def log_shares(self) -> Tensor:
        """The logarithm of each token's share of the training text, each counted once more."""
        counts = torch.tensor(self.counts, dtype=torch.float64) + 1
        return (counts / counts.sum()).log()

    def encode(self, frame: pl.DataFrame) -> Tensor:
        """The numbers of tokens, a row each."""
        return torch.from_numpy(frame[self.targets[0]].to_numpy().astype(np.int64))

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Nats a token.

        Args:
            outputs: Scores, [row, position, token].
            target: The right tokens, [row, position]; -1 counts for nothing.
            weight: Is not used.
        """
        if self._custom_loss is not None:
            return self._custom_loss(outputs, target)
        smoothing = self.settings.label_smoothing or 0.0
        return functional.cross_entropy(
            outputs.flatten(0, -2), target.flatten(), ignore_index=-1, label_smoothing=smoothing
        )

    def mass(self, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The number of tokens that the loss is a mean over."""
        return (target >= 0).sum().float()

    def told(self, outputs: Tensor, target: Tensor) -> Tensor:
        """What scores say of the right tokens: their ln p, and 1 where none is likelier.

        Args:
            outputs: Scores, [..., token].
            target: The right tokens, [...].

        Returns:
            [..., 2], of float64.

        Example:
            >>> task = LanguageModelling("text", [1, 1], TaskSettings())
            >>> task.told(torch.zeros(1, 2), torch.tensor([0])).exp()[0, 0]
            tensor(0.5000, dtype=torch.float64)
        """
        right = outputs.float().log_softmax(dim=-1).gather(-1, target[..., None])[..., 0]
        hits = outputs.argmax(dim=-1) == target
        return torch.stack([right.double(), hits.double()], dim=-1)

    def figures(self, told: Tensor, num_characters: int | None = None) -> dict[str, float]:
        """Metrics of tokens.

        Args:
            told: As of `told`, [token, 2].
            num_characters: How many characters the tokens stand for, for figures that can be
                compared between vocabularies.

        Returns:
            ``log_loss`` (nats a token), ``perplexity``, ``accuracy`` and, with characters,
            ``bits_per_character``.
        """
        if not len(told):
            nothing = ["log_loss", "perplexity", "accuracy"]
            return dict.fromkeys(nothing, math.nan)
        nats = -float(told[:, 0].mean())
        found = {
            "log_loss": nats,
            "perplexity": math.exp(nats) if nats < 700 else math.inf,
            "accuracy": float(told[:, 1].mean()),
        }
        if num_characters:
            found["bits_per_character"] = nats * len(told) / num_characters / math.log(2)
        return found

    def trivial_told(self, target: Tensor) -> Tensor:
        """What the trivial predictor says of tokens, as `told`."""
        shares = self.log_shares
        hits = (target == int(shares.argmax())).double()
        return torch.stack([shares[target], hits], dim=-1)

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """Loss and perplexity of some windows."""
        kept = target >= 0
        figures = self.figures(self.told(outputs[kept], target[kept]))
        return {"loss": figures["log_loss"], "perplexity": figures["perplexity"]}

    def tune(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> None:
        """Nothing: there is no threshold."""

    def decode(self, outputs: Tensor, frame: pl.DataFrame | None = None) -> Decoded:
        """The likeliest token of each row, by its number."""
        return Decoded({"prediction": averaged_members(outputs).argmax(dim=-1).numpy()})

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """Metrics of scores, [token, token of the vocabulary]; weights are not used."""
        target, size = self.encode(frame), ROWS_AT_ONCE
        begins = range(0, len(target), size)
        parts = [self.told(outputs[b : b + size], target[b : b + size]) for b in begins]
        return self.figures(torch.cat(parts))

    def pool(self, members: Sequence[tuple[Task, Tensor]]) -> Tensor:
        """Logarithms of the mean of the members' probabilities."""
        return torch.stack([outputs.softmax(dim=-1) for _, outputs in members]).mean(dim=0).log()

    def spread(
        self, members: Sequence[tuple[Task, Tensor]], frame: pl.DataFrame | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Standard deviation over members of the likeliest token's probability."""
        shares = torch.stack([outputs.softmax(dim=-1) for _, outputs in members]).double()
        likeliest = shares.mean(dim=0).argmax(dim=-1)
        of_it = shares.gather(-1, likeliest.expand(len(shares), -1)[..., None])[..., 0]
        return {"spread": of_it.std(dim=0).numpy()}

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """The logarithms of shares in the training text, for each row."""
        return self.log_shares.float().expand(num_rows, -1)

    def details(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, Any]:
        """Nothing more."""
        return {}

    def state(self) -> dict[str, Any]:
        """What was fitted."""
        return {"task": self.name, "targets": self.targets, "counts": self.counts}

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: TaskSettings) -> LanguageModelling:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        return cls(held.targets[0], held.counts, settings)


class _State(BaseModel):
    """What ``decoding.json`` holds of the task."""

    model_config = ConfigDict(extra="forbid", strict=True)

    task: Literal["language-modelling", "pretrain"]
    targets: list[str] = Field(min_length=1, max_length=1)
    counts: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
