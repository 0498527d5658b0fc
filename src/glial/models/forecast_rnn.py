"""A recurrent network over a window's past, and a decoder for the steps to come.

Source:
    Wen et al. (2017), "A multi-horizon quantile recurrent forecaster", arXiv 1711.11053: a
    recurrent encoder and dense decoders, of the whole horizon and of each step.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from glial.models.forecast import (
    DecodedForecast,
    ForecastSettings,
    History,
    Known,
    StepDecoder,
    WindowSizes,
    forecast_recipe,
)
from glial.nn.recurrent import GRU, LSTM, RNN

CELLS: dict[str, Any] = {"gru": GRU, "lstm": LSTM, "rnn": RNN}


class ForecastRNNSettings(ForecastSettings):
    """A recurrent network of windows of series.

    Attributes:
        cell: The kind of recurrent layer.
        num_units: Its units, and those of the decoder.
        num_layers: How many lie above each other.
        dropout: Share of hidden outputs dropped in training.

    Example:
        >>> windows = {"context": 24, "horizon": 12, "season": 12, "targets": 1}
        >>> network = ForecastRNNSettings(cell="lstm").build(0, 36, windows=windows)
        >>> network(torch.zeros(2, 24, 1)).shape
        torch.Size([2, 36])
    """

    description: ClassVar[str] = "series: a GRU, LSTM or plain recurrent layer over the past"
    source: ClassVar[str] = "Wen et al. (2017), arXiv 1711.11053"

    name: Literal["forecast_rnn"] = "forecast_rnn"
    cell: Literal["gru", "lstm", "rnn"] = "gru"
    num_units: int = Field(default=32, ge=1)
    num_layers: int = Field(default=1, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall, and clipped gradients.

        Example:
            >>> ForecastRNNSettings.train_defaults("forecasting")["clip_norm"]
            1.0
        """
        return forecast_recipe(num_rows, lr=0.003, steps=300)

    def network(self, sizes: WindowSizes) -> nn.Module:
        """The network of windows of these sizes."""
        return ForecastRNN(self, sizes)


class ForecastRNN(DecodedForecast):
    """Recurrent layers over the past, and a decoder that all steps share.

    Args:
        settings: The settings.
        sizes: Of the windows.

    Example:
        >>> windows = {"context": 4, "horizon": 3, "season": 2, "targets": 1}
        >>> network = ForecastRNN(ForecastRNNSettings(num_units=5), WindowSizes(windows, 2, 3))
        >>> network(torch.zeros(6, 4, 1), torch.zeros(6, 7, 2)).shape
        torch.Size([6, 3])
    """

    def __init__(self, settings: ForecastRNNSettings, sizes: WindowSizes) -> None:
        super().__init__()
        units = settings.num_units
        self.recurrent = CELLS[settings.cell](
            sizes.targets + sizes.covariates, units, num_layers=settings.num_layers
        )
        self.decoder = StepDecoder(sizes, units, units, settings.dropout)

    def forward(self, history: History, known: Known | None = None) -> Float[Tensor, "row output"]:
        """The numbers that are forecast."""
        past = history if known is None else _with_past(history, known)
        states = self.recurrent(past)[0]
        outputs: Tensor = self.decoder(states[:, -1], history, known)
        return outputs


def _with_past(history: History, known: Known) -> Tensor:
    """What is seen of each step that has passed: its values and what was known of it."""
    return torch.cat([history, known[:, : history.shape[1]]], dim=2)
