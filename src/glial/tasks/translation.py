"""Write one text from another, token by token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from glial.core.errors import InputError
from glial.data.cells import spelt
from glial.data.encoders import ENCODERS, Phrases, fit_phrases
from glial.data.settings import DataSettings
from glial.data.stored import from_stored, to_stored
from glial.nn.tokens import PADDING
from glial.tasks.overlap import bleu, chrf
from glial.tasks.settings import TaskSettings
from glial.tasks.task import Decoded, Loss, Task

BEHIND = -1  # what targets are padded with
KINDS = ("phrases", "subword-phrases")
Scores = Float[Tensor, "row position token"]
Targets = Int[Tensor, "row position"]
Longer = Int[Tensor, "row longest"]


class Translation:
    """Learn to tell the next token of a text from another text and the tokens before.

    A network's outputs are scores of the token at each position, [row, position, token], given
    those before it. Behind the encoder's tokens there are two more: the start, which every text
    begins with, and the end.

    Args:
        target: Name of the column that is written.
        encoder: How its texts become tokens, and back.
        counts: How often each token, the end included, stands in the training rows.
        settings: Loss and smoothing.
        custom_loss: The user's own ``loss(outputs, target)``, when the settings name it.
    """

    name = "translation"
    monitored: tuple[str, ...] = ("loss", "token_accuracy")
    thresholds: list[float] | None = None

    def __init__(
        self,
        target: str,
        encoder: Phrases,
        counts: Sequence[int],
        settings: TaskSettings,
        custom_loss: Loss | None = None,
    ) -> None:
        self.targets = [target]
        self.encoder = encoder
        self.counts = list(counts)
        self.settings = settings
        self._custom_loss = custom_loss
        (size,) = encoder.size
        self.start, self.end = size, size + 1
        if len(self.counts) != size + 2 or min(self.counts) < 0:
            raise ValueError("the counts of tokens do not fit the tokens")

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        targets: list[str],
        settings: TaskSettings,
        loss: Loss | None,
        *,
        data: DataSettings | None = None,
    ) -> Translation:
        """The task for the training rows of a table.

        Args:
            frame: The training rows.
            targets: The one column that is written.
            settings: The plan's ``task`` part.
            loss: The user's own loss.
            data: The plan's ``data`` part: what a token is, and how many are known.

        Raises:
            InputError: If there is not one target, or no token is known.
        """
        if len(targets) != 1:
            raise InputError(
                "a translation has one text",
                expected="one target",
                got=", ".join(targets),
                do="train a network for each of them",
            )
        column = frame[targets[0]]
        encoder = fit_phrases(column, data or DataSettings())
        (size,) = encoder.size
        task = cls(targets[0], encoder, [0] * (size + 2), settings, loss)
        target = task.encode(frame)
        task.counts = torch.bincount(target[target != BEHIND], minlength=size + 2).tolist()
        return task

    @property
    def num_outputs(self) -> int:
        """Tokens that are told apart, the start and the end included."""
        return len(self.counts)

    @property
    def longest(self) -> int:
        """The most tokens of a text, the end included."""
        return self.encoder.max_length + 1

    def encode(self, frame: pl.DataFrame) -> Tensor:
        """The tokens of each text and the end, [row, position], and -1 behind it."""
        held = self.encoder.tensor(frame[self.targets[0]]).long()
        target = functional.pad(held, (0, 1), value=PADDING)
        lengths = (held != PADDING).sum(dim=1, keepdim=True)
        target = target.masked_fill(target == PADDING, BEHIND)
        return target.scatter(1, lengths, self.end)

    def before(self, target: Targets) -> Targets:
        """What a network is given to tell a target: the start, then all tokens but the end.

        Args:
            target: As `encode` gives it.
        """
        known = target[:, :-1].masked_fill(target[:, 1:] == BEHIND, PADDING)
        return functional.pad(known, (1, 0), value=self.start)

    def loss(self, outputs: Scores, target: Longer, weight: Tensor | None = None) -> Tensor:
        """The mean cross entropy of a token."""
        target = target[:, : outputs.shape[1]]
        if self._custom_loss is not None:
            return self._custom_loss(outputs, target)
        smoothing = self.settings.label_smoothing or 0.0
        told = functional.cross_entropy(
            outputs.flatten(0, 1),
            target.flatten(),
            ignore_index=BEHIND,
            reduction="none",
            label_smoothing=smoothing,
        ).view_as(target)
        if weight is not None:
            told = told * weight[:, None]
        return told.sum() / self.mass(target, weight).clamp_min(torch.finfo(told.dtype).tiny)

    def mass(self, target: Targets, weight: Tensor | None = None) -> Tensor:
        """The number of tokens, each counted by its row's weight."""
        if self._custom_loss is not None:
            return torch.tensor(float(len(target)), device=target.device)
        tokens = (target != BEHIND).sum(dim=1).float()
        return tokens.sum() if weight is None else (tokens * weight).sum()

    def tally(self, outputs: Scores, target: Longer) -> Tensor:
        """What figures of many rows are added up from.

        Args:
            outputs: Scores of some rows.
            target: Their tokens.

        Returns:
            Sums, [3]: minus the logarithms of the probabilities of the tokens, how often the
            likeliest is right, and how many there are.
        """
        target = target[:, : outputs.shape[1]]
        flat, tokens = outputs.float().flatten(0, 1), target.flatten()
        told = functional.cross_entropy(flat, tokens, ignore_index=BEHIND, reduction="none")
        right = (outputs.argmax(dim=2) == target).sum()
        return torch.stack([told.double().sum(), right.double(), (target != BEHIND).sum().double()])

    @staticmethod
    def figures(tally: Tensor) -> dict[str, float]:
        """Mean logarithm, perplexity and accuracy of a token, from sums of `tally`."""
        total, right, tokens = tally.tolist()
        tokens = max(1.0, tokens)
        mean = total / tokens
        return {
            "log_loss": mean,
            "perplexity": math.exp(min(mean, 700.0)),
            "token_accuracy": right / tokens,
        }

    def monitor(self, outputs: Tensor, target: Tensor) -> dict[str, float]:
        """The loss of a token, unsmoothed, and how often the likeliest is right."""
        return self.monitored_figures(self.tally(outputs, target))

    def monitored_figures(self, tally: Tensor) -> dict[str, float]:
        """The same from sums of `tally`."""
        found = self.figures(tally)
        return {"loss": found["log_loss"], "token_accuracy": found["token_accuracy"]}

    def tune(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> None:
        """Nothing: there is no threshold."""

    def texts(self, tokens: Int[Tensor, "row position"]) -> list[str]:
        """The texts of tokens, each up to its first end."""
        rows = [row[: row.index(self.end)] if self.end in row else row for row in tokens.tolist()]
        return self.encoder.decode([[t for t in row if t != self.start] for row in rows])

    def decode(self, outputs: Tensor, frame: pl.DataFrame | None = None) -> Decoded:
        """The texts of the likeliest token at each position, given the right ones before it."""
        return Decoded({"prediction": np.array(self.texts(outputs.argmax(dim=2)), dtype=object)})

    def scores(
        self, outputs: Tensor, frame: pl.DataFrame, weight: NDArray[Any] | None = None
    ) -> dict[str, float]:
        """How well each token is told from those before it."""
        return self.figures(self.tally(outputs, self.encode(frame).to(outputs.device)))

    def quality(self, texts: Sequence[str], frame: pl.DataFrame) -> dict[str, float]:
        """How near texts are to those that should be written.

        Args:
            texts: What was written, one a row.
            frame: Rows with their targets.

        Returns:
            ``bleu`` and ``chrf``, from 0 to 100 as they are usually told, and ``exact_match``, the
            share of texts that are right in every letter, runs of blanks taken as one.
        """
        wanted = sentences(frame[self.targets[0]])
        same = [" ".join(text.split()) == other for text, other in zip(texts, wanted, strict=True)]
        return {
            "bleu": bleu(texts, wanted),
            "chrf": chrf(texts, wanted),
            "exact_match": sum(same) / max(1, len(same)),
        }

    def baseline(self, sources: pl.Series, frame: pl.DataFrame) -> dict[str, float]:
        """The figures of who copies the source, and guesses tokens by how common they are.

        Args:
            sources: The texts that are read.
            frame: Rows with their targets.
        """
        target = self.encode(frame)
        tokens = target[target != BEHIND]
        shares = self._log_shares()
        right = (tokens == int(shares.argmax())).double().sum()
        tally = torch.stack([-shares[tokens].sum(), right, tokens.new_tensor(len(tokens)).double()])
        return {**self.quality(sentences(sources), frame), **self.figures(tally)}

    def _log_shares(self) -> Tensor:
        """Logarithms of how common each token is; none is impossible."""
        counts = torch.tensor(self.counts, dtype=torch.float64) + 1
        return (counts / counts.sum()).log()

    def details(self, outputs: Tensor, frame: pl.DataFrame) -> dict[str, Any]:
        """Nothing beyond the metrics."""
        return {}

    def pool(self, members: Sequence[tuple[Task, Tensor]]) -> Tensor:
        """The logarithms of the members' mean probabilities."""
        parts = torch.stack([outputs.log_softmax(dim=2) for _, outputs in members])
        return parts.logsumexp(dim=0) - math.log(len(members))

    def spread(
        self, members: Sequence[tuple[Task, Tensor]], frame: pl.DataFrame | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Nothing: texts are not averaged."""
        return {}

    def trivial_outputs(self, num_rows: int) -> Tensor:
        """Scores of the first token by how common each is."""
        return self._log_shares().expand(num_rows, 1, -1)

    def state(self) -> dict[str, Any]:
        """The tokens, and how common they are."""
        kind = next(kind for kind in KINDS if isinstance(self.encoder, ENCODERS[kind]))
        values, _ = to_stored(self.encoder)
        return {
            "task": self.name,
            "targets": self.targets,
            "encoder": {"kind": kind, **values},
            "counts": self.counts,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], settings: TaskSettings) -> Translation:
        """The task that was saved.

        Raises:
            ValueError: If the state is damaged.
        """
        held = _State.model_validate(state)
        kind = held.encoder.get("kind")
        if kind not in KINDS:
            raise ValueError(f"there are no tokens of the kind {kind!r}")
        encoder = from_stored(ENCODERS[kind], held.encoder, {})
        return cls(held.targets[0], encoder, held.counts, settings)


class _State(BaseModel):
    """What ``decoding.json`` holds of a translation."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    task: Literal["translation"]
    targets: list[str] = Field(min_length=1, max_length=1)
    encoder: dict[str, Any]
    counts: list[int] = Field(min_length=1)


def sentences(column: pl.Series) -> list[str]:
    """The texts of a column, runs of blanks made one; missing ones are empty.

    Example:
        >>> sentences(pl.Series([" a  b", None]))
        ['a b', '']
    """
    return [" ".join(text.split()) for text in spelt(column).fill_null("")]
