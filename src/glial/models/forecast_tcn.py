"""Dilated causal convolutions over a window's past, and a decoder for the steps to come.

Source:
    van den Oord et al. (2016), "WaveNet", arXiv 1609.03499 (dilated causal convolutions); Bai,
    Kolter, Koltun (2018), "An empirical evaluation of generic convolutional and recurrent networks
    for sequence modeling", arXiv 1803.01271, section 3 (residual blocks of them).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from glial.models.forecast import (
    DecodedForecast,
    ForecastSettings,
    History,
    Known,
    StepDecoder,
    WindowSizes,
    forecast_recipe,
)


class ForecastTCNSettings(ForecastSettings):
    """A temporal convolutional network of windows of series.

    Attributes:
        channels: Of each convolution, and units of the decoder.
        kernel_size: Steps that a convolution sees.
        dropout: Share of hidden outputs dropped in training.

    Example:
        >>> windows = {"context": 24, "horizon": 12, "season": 12, "targets": 1}
        >>> network = ForecastTCNSettings().build(0, 36, windows=windows)
        >>> network(torch.zeros(2, 24, 1)).shape
        torch.Size([2, 36])
    """

    description: ClassVar[str] = "series: dilated causal convolutions over the past"
    source: ClassVar[str] = "Bai, Kolter, Koltun (2018), arXiv 1803.01271"

    name: Literal["forecast_tcn"] = "forecast_tcn"
    channels: int = Field(default=32, ge=1)
    kernel_size: int = Field(default=3, ge=2)
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall.

        Example:
            >>> ForecastTCNSettings.train_defaults("forecasting")["schedule"]
            'cosine'
        """
        return forecast_recipe(num_rows, lr=0.003, steps=300)

    def network(self, sizes: WindowSizes) -> nn.Module:
        """The network of windows of these sizes."""
        return ForecastTCN(self, sizes)


class CausalBlock(nn.Module):
    """A dilated convolution that sees no later step, with a way around it.

    Args:
        channels: Of its input and output.
        kernel_size: Steps that it sees.
        dilation: Steps from one of these to the next.

    Example:
        >>> block = CausalBlock(2, 3, dilation=2)
        >>> first, second = torch.zeros(1, 2, 9), torch.zeros(1, 2, 9)
        >>> second[:, :, 6:] = 1.0
        >>> torch.equal(block(first)[:, :, :6], block(second)[:, :, :6])
        True
    """

    def __init__(self, channels: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.reach = (kernel_size - 1) * dilation
        self.convolution = nn.Conv1d(channels, channels, kernel_size, dilation=dilation)
        self.mixing = nn.Conv1d(channels, channels, 1)

    def forward(
        self, inputs: Float[Tensor, "row channel step"]
    ) -> Float[Tensor, "row channel step"]:
        """The sums of input and block."""
        hidden = torch.relu(self.convolution(functional.pad(inputs, (self.reach, 0))))
        outputs: Tensor = inputs + self.mixing(hidden)
        return outputs


class ForecastTCN(DecodedForecast):
    """Causal blocks until one sees the whole past, and a decoder that all steps share.

    Args:
        settings: The settings.
        sizes: Of the windows.

    Example:
        >>> windows = {"context": 24, "horizon": 3, "season": 2, "targets": 1}
        >>> network = ForecastTCN(ForecastTCNSettings(kernel_size=3), WindowSizes(windows, 2, 3))
        >>> [block.reach for block in network.blocks]
        [2, 4, 8, 16]
    """

    def __init__(self, settings: ForecastTCNSettings, sizes: WindowSizes) -> None:
        super().__init__()
        channels = settings.channels
        self.entry = nn.Conv1d(sizes.targets + sizes.covariates, channels, 1)
        blocks: list[CausalBlock] = []
        seen = 1
        while not blocks or seen < sizes.context:
            blocks.append(CausalBlock(channels, settings.kernel_size, 2 ** len(blocks)))
            seen += blocks[-1].reach
        self.blocks = nn.ModuleList(blocks)
        self.decoder = StepDecoder(sizes, channels, channels, settings.dropout)

    def forward(self, history: History, known: Known | None = None) -> Float[Tensor, "row output"]:
        """The numbers that are forecast."""
        past = history
        if known is not None:
            past = torch.cat([history, known[:, : history.shape[1]]], dim=2)
        states = self.entry(past.transpose(1, 2))
        for block in self.blocks:
            states = block(states)
        outputs: Tensor = self.decoder(states[:, :, -1], history, known)
        return outputs
