"""Sequences of numbers read step by step: plain, gated or long short-term memory units.

Source:
    Hochreiter and Schmidhuber (1997), "Long short-term memory", doi:10.1162/neco.1997.9.8.1735;
    Cho et al. (2014), arXiv 1406.1078 (the gated unit); Elman (1990),
    doi:10.1207/s15516709cog1402_1 (the plain one).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import nn

from glial.models.sequence import Lengths, SequenceNetwork, SequenceSettings, States, Steps
from glial.nn.memory import remember
from glial.nn.recurrence import Recurrent
from glial.nn.recurrent import GRU, LSTM, RNN

UNITS: dict[str, type[Recurrent]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class SequenceRNNSettings(SequenceSettings):
    """A recurrent network of a sequence.

    Attributes:
        unit: Plain units, gated ones, or those with a cell.
        layers: Layers, each reading the states of the one below.
        bidirectional: Whether units read from the end too, so that a state knows what comes later;
            not where steps must be judged as they come.
        hidden_dropout: Share of the states dropped in training on their way to the next step, the
            same at all steps.
        memory: For how many steps gates keep what they have seen before they have learnt anything
            (`glial.nn.remember`); None leaves them as they are drawn.

    Example:
        >>> network = SequenceRNNSettings(size=8).build(0, 2, sequences=[[3]])
        >>> network(torch.zeros(4, 20, 3), torch.tensor([20, 7, 1, 20])).shape
        torch.Size([4, 2])
    """

    description: ClassVar[str] = "a sequence: recurrent units, and an attention over their states"
    source: ClassVar[str] = "Cho et al. (2014), arXiv 1406.1078"

    name: Literal["sequence_rnn"] = "sequence_rnn"
    unit: Literal["rnn", "gru", "lstm"] = "gru"
    layers: int = Field(default=1, ge=1)
    bidirectional: bool = True
    hidden_dropout: float = Field(default=0.0, ge=0, lt=1)
    memory: int | None = Field(default=None, ge=2)

    @model_validator(mode="after")
    def _gated(self) -> SequenceRNNSettings:
        if self.memory is not None and self.unit == "rnn":
            raise ValueError("a unit with gates, gru or lstm, for a memory")
        return self

    def network(self, num_numbers: int, num_outputs: int, size: int) -> nn.Module:
        """The network of steps of so many numbers."""
        return SequenceRNN(self, num_numbers, num_outputs, size)


class SequenceRNN(SequenceNetwork):
    """Recurrent layers, what stands for the whole of their states, and a linear head.

    Args:
        settings: The settings.
        num_numbers: Numbers at each step.
        num_outputs: Outputs.
        size: Units of each direction.

    Example:
        >>> network = SequenceRNN(SequenceRNNSettings(unit="lstm", each_step=True), 3, 2, 4)
        >>> network(torch.zeros(1, 5, 3)).shape
        torch.Size([1, 5, 2])
    """

    def __init__(
        self, settings: SequenceRNNSettings, num_numbers: int, num_outputs: int, size: int
    ) -> None:
        super().__init__(settings, size * (1 + settings.bidirectional), num_outputs)
        self.recurrent = UNITS[settings.unit](
            num_numbers,
            size,
            num_layers=settings.layers,
            bidirectional=settings.bidirectional,
            hidden_dropout=settings.hidden_dropout,
        )
        if settings.memory is not None:
            remember(self.recurrent, settings.memory)
        self.takes_ends = settings.pooling == "last" and settings.bidirectional

    def states(self, steps: Steps, lengths: Lengths) -> States:
        """The states of the last layer, of both directions side by side."""
        states: States = self.recurrent(steps, lengths)[0]
        if self.pool is None or not self.takes_ends:
            return states
        # Who reads backwards has seen all at the first step.
        forwards, backwards = states.chunk(2, dim=2)
        ends = backwards[:, :1].expand_as(backwards)
        return torch.cat([forwards, ends], dim=2)
