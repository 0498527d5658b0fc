"""Text read word by word from both ends, and the largest of each unit's states.

Source:
    Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for statistical
    machine translation", arXiv 1406.1078 (the unit). Maximum over positions: Conneau et al. (2017),
    "Supervised learning of universal sentence representations", arXiv 1705.02364.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from glial.functional import masked_max
from glial.models.text import TextNetwork, TextSettings, text_recipe
from glial.nn.recurrent import BidirectionalGRU
from glial.nn.tokens import PADDING


class TextGRUSettings(TextSettings):
    """A recurrent network of a text.

    Attributes:
        num_units: Units of each direction; None is as many as numbers in a token's vector.

    Example:
        >>> import torch
        >>> network = TextGRUSettings(num_units=8).build(0, 2, vocabularies=[100])
        >>> network(torch.tensor([[5, 7, 0]])).shape
        torch.Size([1, 2])
    """

    description: ClassVar[str] = "a text or two: a GRU from both ends, the largest of its states"
    source: ClassVar[str] = "Cho et al. (2014), arXiv 1406.1078"

    name: Literal["text_gru"] = "text_gru"
    num_units: int | None = Field(default=None, ge=1)

    @classmethod
    def train_defaults(cls, task: str, num_rows: int = 1000) -> dict[str, Any]:
        """AdamW with one cosine fall, and clipped gradients.

        Example:
            >>> TextGRUSettings.train_defaults("classification")["clip_norm"]
            1.0
        """
        return text_recipe(num_rows, lr=0.002, epochs=8)

    def network(self, vocabulary: int, num_outputs: int, size: int) -> TextNetwork:
        """The network of a vocabulary."""
        return TextGRU(self, vocabulary, num_outputs, size)


class TextGRU(TextNetwork):
    """Vectors of tokens, a GRU in both directions, its maxima over the text, and a linear head.

    Args:
        settings: The settings.
        vocabulary: Number of tokens.
        num_outputs: Outputs.
        size: Length of a token's vector.

    Example:
        >>> import torch
        >>> network = TextGRU(TextGRUSettings(num_units=3), 10, 2, 4)
        >>> network.embed(torch.tensor([[3, 4, 0]])).shape
        torch.Size([1, 6])
    """

    def __init__(
        self, settings: TextGRUSettings, vocabulary: int, num_outputs: int, size: int
    ) -> None:
        super().__init__(settings, vocabulary, size)
        units = settings.num_units or size
        self.gru = BidirectionalGRU(size, units)
        self.num_features = 2 * units
        self.head = nn.Linear(self.num_features, num_outputs)

    def embed(self, tokens: Int[Tensor, "row position"]) -> Float[Tensor, "row feature"]:
        """The largest state of each unit of each direction over the text."""
        mask = tokens != PADDING
        states = self.gru(self.embedding(tokens), mask.sum(dim=1))
        return masked_max(states, mask)
