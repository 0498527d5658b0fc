"""What the settings of all networks of sequences of numbers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.core.errors import InputError
from glial.functional import dropout
from glial.models.settings import ModelSettings
from glial.models.text import text_recipe
from glial.nn.sequence_pooling import PoolingName, SequencePool, steps_within

MANY_ROWS = 20_000
Steps = Float[Tensor, "row time number"]
States = Float[Tensor, "row time feature"]
Lengths = Int[Tensor, " row"]


class SequenceSettings(ModelSettings):
    """A network of one sequence: a state at each step, features of the whole, a linear head.

    Attributes:
        each_step: Whether there are outputs for each step, and not for the whole; the task
            ``tagging`` sets it.
        size: Numbers of a step's state; None is 64, and 128 from 20,000 rows on.
        pooling: What stands for the whole: the last state, or the mean, the maxima or an attention
            over all; not used where each step has outputs.
        dropout: Share of features dropped in training, before the head.

    Example:
        >>> SequenceSettings().for_data(100_000, 1, 2).size
        128
    """

    tasks: ClassVar[tuple[str, ...]] = (*ModelSettings.tasks, "tagging")
    takes_numbers: ClassVar[bool] = False
    takes_sequences: ClassVar[bool] = True

    each_step: bool = False
    size: int | None = Field(default=None, ge=1)
    pooling: PoolingName = "attention"
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @property
    def per_position(self) -> bool:  # type: ignore[override]
        """Whether there are outputs for each step."""
        return self.each_step

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall, and clipped gradients.

        Example:
            >>> SequenceSettings.train_defaults("regression")["clip_norm"]
            1.0
        """
        return text_recipe(num_rows, lr=0.003, epochs=10)

    def for_data(
        self, num_rows: int, num_inputs: int, num_outputs: int, task: str = "classification"
    ) -> SequenceSettings:
        """Wider states where there are many rows, and outputs for each step where it is tagged."""
        size = self.size or (64 if num_rows < MANY_ROWS else 128)
        return self.model_copy(
            update={"size": size, "each_step": self.each_step or task == "tagging"}
        )

    def build(
        self,
        num_inputs: int,
        num_outputs: int,
        cardinalities: Sequence[int] = (),
        sequences: Sequence[Sequence[int]] = (),
    ) -> nn.Module:
        """The network; without `for_data` a state has 64 numbers.

        Args:
            num_inputs: 0.
            num_outputs: Numbers that the head gives for a row, or for each step.
            cardinalities: None.
            sequences: [number], how many a step of the one sequence has.

        Raises:
            InputError: If there is no sequence, or anything beside one.
        """
        self.check_sizes(num_inputs, num_outputs, cardinalities, sequences=sequences)
        if num_inputs or len(sequences) > 1:
            raise InputError(
                f"the model {getattr(self, 'name', '')!r} takes one sequence and nothing else",
                expected="columns of sequences",
                got=f"{num_inputs} numbers and {len(sequences)} sequences",
                do="choose the model mixed",
            )
        return self.network(int(sequences[0][0]), num_outputs, self.size or 64)

    def network(self, num_numbers: int, num_outputs: int, size: int) -> nn.Module:
        """The network of steps of so many numbers, with ``embed``, ``num_features`` and ``head``.

        Args:
            num_numbers: Numbers at each step.
            num_outputs: Outputs.
            size: Numbers of a step's state.
        """
        raise NotImplementedError


class SequenceNetwork(nn.Module):
    """States of the steps, what stands for the whole, and a linear head.

    It is called with the numbers of each step, zeros behind a row's end, and with the rows' lengths
    (at least 1), which may be left out where all are equally long. Who derives from it gives
    ``states``.

    Args:
        settings: The settings.
        num_features: Numbers of a state.
        num_outputs: Outputs.

    Example:
        >>> SequenceNetwork(SequenceSettings(), 4, 2).head
        Linear(in_features=4, out_features=2, bias=True)
    """

    head: nn.Module

    def __init__(self, settings: SequenceSettings, num_features: int, num_outputs: int) -> None:
        super().__init__()
        self.dropout = settings.dropout
        self.each_step = settings.each_step
        self.num_features = num_features
        self.pool = None if self.each_step else SequencePool(num_features, settings.pooling)
        self.head = nn.Linear(num_features, num_outputs)

    def states(self, steps: Steps, lengths: Lengths) -> States:
        """A vector for each step, without meaning behind a row's end."""
        raise NotImplementedError

    def embed(self, steps: Steps, lengths: Lengths | None = None) -> Tensor:
        """What the head sees: of each row, [row, feature], or of each step.

        Args:
            steps: Numbers at each step.
            lengths: Steps of each row that are no padding; None counts all.
        """
        if lengths is None:
            lengths = steps.new_full((steps.shape[0],), steps.shape[1], dtype=torch.int64)
        states = self.states(steps, lengths)
        return states if self.pool is None else self.pool(states, lengths)

    def forward(self, steps: Steps, lengths: Lengths | None = None) -> Tensor:
        """The head's output for each row, [row, output], or for each step, [row, time, output].

        Behind a row's end these are 0.
        """
        features = dropout(self.embed(steps, lengths), self.dropout, training=self.training)
        outputs: Tensor = self.head(features)
        if self.pool is not None or lengths is None:
            return outputs
        return outputs * steps_within(outputs, lengths)[:, :, None]
